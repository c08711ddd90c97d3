//! The plane in which the clusters lie furthest apart.

use nalgebra::{Cholesky, DMatrix, DVector, SymmetricEigen};

/// Added to the diagonal of the scatter within clusters, relative to its mean: a latent that does
/// not vary stays invertible.
const RIDGE: f64 = 1e-6;

/// Fisher's linear discriminant for soft clusters (R. A. Fisher 1936).
///
/// With S_w = E Σ_c q(c|x) (m - m̄_c)(m - m̄_c)ᵀ and S_b = Σ_c q̄_c (m̄_c - m̄)(m̄_c - m̄)ᵀ, the
/// rows are the two a that maximise aᵀ S_b a / aᵀ S_w a, scaled so that aᵀ S_w a = 1: distances are
/// in standard deviations within a cluster.
#[derive(Clone, Debug)]
pub struct Discriminant {
    axes: [Vec<f64>; 2],
}

impl Discriminant {
    /// The discriminant of the latent means of frames and their responsibilities.
    ///
    /// None without frames, or if the means do not vary at all.
    ///
    /// # Shapes
    /// - `means`: m `[N,D]`; `log_q`: log q(c|x) `[N,K]`
    pub fn new(means: &[f64], log_q: &[f32], d: usize, k: usize) -> Option<Self> {
        let frames = || means.chunks_exact(d).zip(log_q.chunks_exact(k));
        let n = frames().count() as f64;
        let mut weights = vec![0.0; k];
        let mut centres = DMatrix::<f64>::zeros(d, k);
        for (m, log_q) in frames() {
            for (c, log_q) in log_q.iter().enumerate() {
                let q = f64::from(*log_q).exp() / n;
                weights[c] += q;
                for (i, m) in m.iter().enumerate() {
                    centres[(i, c)] += q * m;
                }
            }
        }
        let mean = centres.column_sum();
        let mut between = DMatrix::<f64>::zeros(d, d);
        for (c, weight) in weights.iter().enumerate().filter(|(_, w)| **w > 0.0) {
            let centre = centres.column(c) / *weight;
            centres.set_column(c, &centre);
            let apart = centre - &mean;
            between += &apart * apart.transpose() * *weight;
        }
        let mut within = DMatrix::<f64>::zeros(d, d);
        for (m, log_q) in frames() {
            let m = DVector::from_column_slice(m);
            for (c, log_q) in log_q.iter().enumerate() {
                let q = f64::from(*log_q).exp() / n;
                // Most responsibilities are so small that they change no digit.
                if q * n > 1e-9 {
                    let apart = &m - centres.column(c);
                    within.ger(q, &apart, &apart, 1.0);
                }
            }
        }
        let ridge = RIDGE * (within.trace() + between.trace()) / d as f64;
        within += DMatrix::identity(d, d) * ridge;
        let whitener = Cholesky::new(within)?.l().try_inverse()?;
        let eigen = SymmetricEigen::new(&whitener * between * whitener.transpose());
        let mut order: Vec<usize> = (0..d).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let axis = |rank: usize| match order.get(rank) {
            Some(&at) => (whitener.transpose() * eigen.eigenvectors.column(at)).iter().copied().collect(),
            // One latent dimension has no second axis.
            None => vec![0.0; d],
        };
        Some(Self { axes: [axis(0), axis(1)] })
    }

    /// Place of a point of the latent in the plane.
    pub fn place(&self, z: &[f64]) -> [f64; 2] {
        [0, 1].map(|i| self.axes[i].iter().zip(z).map(|(a, z)| a * z).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clusters_are_told_apart_along_the_inverse_scatter_times_their_difference() {
        // Within both clusters the scatter is [[4, 0], [0, 1]]; the means differ by (2, 2).
        let around = [[2f64.sqrt() * 2.0, 0.0], [-2f64.sqrt() * 2.0, 0.0], [0.0, 2f64.sqrt()], [0.0, -2f64.sqrt()]];
        let of = |shift: f64| around.into_iter().flat_map(move |[x, y]| [x + shift, y + shift]);
        let means: Vec<f64> = of(0.0).chain(of(2.0)).collect();
        let log_q: Vec<f32> =
            (0..8).flat_map(|n| if n < 4 { [0.0, f32::NEG_INFINITY] } else { [f32::NEG_INFINITY, 0.0] }).collect();
        let found = Discriminant::new(&means, &log_q, 2, 2).unwrap();
        // S_w⁻¹ (2, 2) is (1/2, 2), of which aᵀ S_w a = 5; along a the means differ by 5/√5.
        let [a, b] = [found.place(&[1.0, 0.0])[0], found.place(&[0.0, 1.0])[0]];
        assert!((b / a - 4.0).abs() < 1e-4 && (4.0 * a * a + b * b - 1.0).abs() < 1e-4, "{a} {b}");
        assert!(((2.0 * (a + b)).abs() - 5f64.sqrt()).abs() < 1e-4);
    }

    #[test]
    fn one_latent_dimension_has_a_line_and_no_spread_has_none() {
        let log_q = [0.0, f32::NEG_INFINITY, f32::NEG_INFINITY, 0.0];
        let line = Discriminant::new(&[1.0, 3.0], &log_q, 1, 2).unwrap();
        assert!(line.place(&[3.0])[0] != line.place(&[1.0])[0] && line.place(&[3.0])[1] == 0.0);
        assert!(Discriminant::new(&[2.0, 2.0], &log_q, 1, 2).is_none());
        assert!(Discriminant::new(&[], &[], 1, 2).is_none());
    }
}
