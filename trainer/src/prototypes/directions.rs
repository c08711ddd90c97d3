//! The directions in which the latents of a cluster vary most.

use nalgebra::{DMatrix, SymmetricEigen};

/// A direction of the latent, and how far the latents spread along it.
#[derive(Clone, Debug, PartialEq)]
pub struct Direction {
    /// Unit vector of the direction `[D]`; its largest entry is positive.
    pub axis: Vec<f64>,
    /// Standard deviation of z along the direction.
    pub deviation: f64,
}

/// The principal axes of the aggregated posterior of some frames, widest first.
///
/// z drawn from q(z|x) of a frame drawn at random has the covariance Cov(m) + E diag v; the axes
/// are its eigenvectors, the deviations the roots of its eigenvalues.
///
/// # Shapes
/// - `means`: m `[N,D]`; `variances`: v `[N,D]`
///
/// # Panics
/// If `d` is 0, or the lengths differ or are no multiple of `d`.
pub fn principal_directions(means: &[f64], variances: &[f64], d: usize) -> Vec<Direction> {
    assert!(means.len() == variances.len() && means.len().is_multiple_of(d));
    let n = (means.len() / d).max(1) as f64;
    let mut mean = vec![0.0; d];
    let mut covariance = DMatrix::<f64>::zeros(d, d);
    for m in means.chunks_exact(d) {
        mean.iter_mut().zip(m).for_each(|(sum, value)| *sum += value / n);
    }
    for (m, v) in means.chunks_exact(d).zip(variances.chunks_exact(d)) {
        for i in 0..d {
            for j in 0..d {
                covariance[(i, j)] += (m[i] - mean[i]) * (m[j] - mean[j]) / n;
            }
            covariance[(i, i)] += v[i] / n;
        }
    }
    let eigen = SymmetricEigen::new(covariance);
    let mut directions: Vec<Direction> = (0..d)
        .map(|k| {
            let axis: Vec<f64> = eigen.eigenvectors.column(k).iter().copied().collect();
            let largest = axis.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
            // The sign of an eigenvector is arbitrary; this one makes reports of the same model
            // alike.
            let axis = axis.into_iter().map(|a| a * largest.signum()).collect();
            Direction { axis, deviation: eigen.eigenvalues[k].max(0.0).sqrt() }
        })
        .collect();
    directions.sort_by(|a, b| b.deviation.total_cmp(&a.deviation));
    directions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_on_a_diagonal_with_equal_posterior_variances() {
        // Cov(m) = [[2,2],[2,2]], so that the axes are (1,1)/√2 with 4 + 0.5 and (1,-1)/√2 with 0 +
        // 0.5.
        let means = [3.0, 3.0, -1.0, -1.0, 1.0 + 2f64.sqrt(), 1.0 + 2f64.sqrt(), 1.0 - 2f64.sqrt(), 1.0 - 2f64.sqrt()];
        let scatter: f64 = means.iter().step_by(2).map(|m| (m - 1.0).powi(2)).sum::<f64>() / 4.0;
        let found = principal_directions(&means, &[0.5; 8], 2);
        assert!((found[0].deviation - (2.0 * scatter + 0.5).sqrt()).abs() < 1e-12);
        assert!((found[1].deviation - 0.5f64.sqrt()).abs() < 1e-12);
        let half = 0.5f64.sqrt();
        assert!(found[0].axis.iter().all(|a| (a - half).abs() < 1e-12), "{found:?}");
    }

    #[test]
    fn the_posterior_variance_alone_decides_where_the_means_are_equal() {
        let found = principal_directions(&[1.0, 2.0, 1.0, 2.0], &[0.1, 0.4, 0.3, 0.6], 2);
        assert!((found[0].deviation - 0.5f64.sqrt()).abs() < 1e-12 && (found[0].axis[1] - 1.0).abs() < 1e-12);
        assert!((found[1].deviation - 0.2f64.sqrt()).abs() < 1e-12 && (found[1].axis[0] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn one_frame_has_the_axes_of_its_posterior() {
        let found = principal_directions(&[5.0, -5.0], &[0.01, 0.04], 2);
        assert!((found[0].deviation - 0.2).abs() < 1e-12 && (found[0].axis[1] - 1.0).abs() < 1e-12);
    }
}
