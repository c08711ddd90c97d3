//! The smallest latent step that takes a frame to the border with another cluster.

/// Prior p(z|c) = N(μ_c, σ_c² I) of one cluster.
#[derive(Clone, Copy, Debug)]
pub struct Component<'a> {
    /// Mean μ_c of the cluster `[D]`.
    pub mean: &'a [f64],
    /// Variance σ_c² of the cluster.
    pub variance: f64,
    /// log K p(c).
    pub log_weight: f64,
}

impl Component<'_> {
    /// Exponent E_q(z|x) log p(z|c) + log K p(c), nats, but for a term that all clusters share.
    ///
    /// q(z|x) has the mean `m` `[D]` and Σ_d v_d = `total_variance`; the term left out is -(D/2)
    /// log 2π.
    pub fn alignment(&self, m: &[f64], total_variance: f64) -> f64 {
        let square: f64 = m.iter().zip(self.mean).map(|(a, b)| (a - b).powi(2)).sum();
        self.log_weight - 0.5 * (m.len() as f64 * self.variance.ln() + (square + total_variance) / self.variance)
    }
}

/// The smallest step δ `[D]`, Euclidean, from m to where two clusters are as probable as each
/// other; None if there is no such place.
///
/// f(z) = e_1(z) - e_2(z), with e_c as in [`Component::alignment`] and v held fixed, has the
/// gradient g = (z - μ_2)/σ_2² - (z - μ_1)/σ_1² and the constant second derivative a = 1/σ_2² -
/// 1/σ_1² in every direction, so f = 0 is a sphere, or a plane if a = 0, and the nearest point of
/// it lies along g: f(m + t g) = f + t ‖g‖² + ½ a t² ‖g‖². The root nearest to 0, in a form without
/// cancellation, is t = -2 f / (‖g‖² (1 + √(1 - 2 a f / ‖g‖²))). At the centre of the sphere g is 0
/// and every direction is as good: the first axis is taken. Other clusters play no part.
pub fn step_to_border(first: Component<'_>, second: Component<'_>, m: &[f64], total_variance: f64) -> Option<Vec<f64>> {
    let f = first.alignment(m, total_variance) - second.alignment(m, total_variance);
    let curvature = 1.0 / second.variance - 1.0 / first.variance;
    let gradient: Vec<f64> = m
        .iter()
        .zip(first.mean.iter().zip(second.mean))
        .map(|(z, (one, two))| (z - two) / second.variance - (z - one) / first.variance)
        .collect();
    let square: f64 = gradient.iter().map(|g| g * g).sum();
    if f == 0.0 {
        return Some(vec![0.0; m.len()]);
    }
    if square == 0.0 {
        let radius = (-2.0 * f / curvature).sqrt();
        let along_first_axis = (0..m.len()).map(|i| if i == 0 { radius } else { 0.0 });
        return radius.is_finite().then(|| along_first_axis.collect());
    }
    let root = (1.0 - 2.0 * curvature * f / square).sqrt();
    let t = -2.0 * f / (square * (1.0 + root));
    t.is_finite().then(|| gradient.iter().map(|g| t * g).collect())
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::rng::{Purpose, stream};

    fn gap(first: Component<'_>, second: Component<'_>, at: &[f64], v: f64) -> f64 {
        first.alignment(at, v) - second.alignment(at, v)
    }

    fn norm(step: &[f64]) -> f64 {
        step.iter().map(|s| s * s).sum::<f64>().sqrt()
    }

    #[test]
    fn equal_variances_have_the_plane_halfway_between_the_means() {
        let (one, two) = (
            Component { mean: &[0.0, 0.0], variance: 0.5, log_weight: 0.0 },
            Component { mean: &[4.0, 0.0], variance: 0.5, log_weight: 0.0 },
        );
        let step = step_to_border(one, two, &[1.0, 3.0], 0.2).unwrap();
        assert!((step[0] - 1.0).abs() < 1e-12 && step[1].abs() < 1e-12, "{step:?}");
    }

    #[test]
    fn concentric_clusters_have_a_sphere_and_its_centre_steps_by_the_radius() {
        let (one, two) = (
            Component { mean: &[1.0, 2.0], variance: 1.0, log_weight: 0.0 },
            Component { mean: &[1.0, 2.0], variance: 4.0, log_weight: 0.0 },
        );
        // log σ_2²/σ_1² D/2 = (r² + Σv) (1/σ_1² - 1/σ_2²)/2, so r² = (D log 4)/(3/4) - Σv.
        let radius = (2.0 * 4f64.ln() / 0.75 - 0.3).sqrt();
        let step = step_to_border(one, two, &[1.0, 2.0], 0.3).unwrap();
        assert!((norm(&step) - radius).abs() < 1e-12);
        let step = step_to_border(one, two, &[1.0, 2.5], 0.3).unwrap();
        assert!(step[0].abs() < 1e-12 && (step[1] - (radius - 0.5)).abs() < 1e-12, "{step:?}");
    }

    #[test]
    fn a_cluster_that_wins_everywhere_has_no_border() {
        let (wide, narrow) = (
            Component { mean: &[0.0], variance: 4.0, log_weight: 0.0 },
            Component { mean: &[0.0], variance: 1.0, log_weight: 0.0 },
        );
        // So much posterior variance that the narrow one loses even at its own mean.
        assert_eq!(step_to_border(wide, narrow, &[0.0], 5.0), None);
        assert_eq!(step_to_border(wide, narrow, &[1.0], 5.0), None);
        assert_eq!(
            step_to_border(wide, Component { variance: 4.0, mean: &[0.0], log_weight: 0.0 }, &[1.0], 0.0),
            Some(vec![0.0])
        );
    }

    #[test]
    fn both_are_as_probable_after_the_step_and_no_nearer_point_is() {
        let mut rng = stream(7, Purpose::Evaluation, 0);
        let mut borders = 0;
        for _ in 0..200 {
            let mut draw = |scale: f64| -> Vec<f64> { (0..2).map(|_| (rng.random::<f64>() - 0.5) * scale).collect() };
            let (mean_1, mean_2, m, logs) = (draw(4.0), draw(4.0), draw(8.0), draw(3.0));
            let first = Component { mean: &mean_1, variance: logs[0].exp(), log_weight: logs[1] };
            let second = Component { mean: &mean_2, variance: logs[1].exp(), log_weight: 0.0 };
            let v = 0.2;
            let Some(step) = step_to_border(first, second, &m, v) else {
                continue;
            };
            borders += 1;
            let at = |radius: f64, angle: f64| [m[0] + radius * angle.cos(), m[1] + radius * angle.sin()];
            let here = gap(first, second, &m, v);
            let there: Vec<f64> = m.iter().zip(&step).map(|(a, b)| a + b).collect();
            assert!(gap(first, second, &there, v).abs() < 1e-9 * (1.0 + here.abs()));
            // Inside the circle of the step's length the sign of f is that of its centre, wherever
            // one looks.
            for k in 0..3600 {
                let angle = f64::from(k) * std::f64::consts::TAU / 3600.0;
                for share in [0.25, 0.5, 0.75, 0.999] {
                    let found = gap(first, second, &at(norm(&step) * share, angle), v);
                    assert!(found * here > 0.0, "{found} {here}");
                }
            }
        }
        assert!(borders > 100);
    }

    #[test]
    fn nearly_equal_variances_are_as_exact_as_equal_ones() {
        let one = Component { mean: &[0.0], variance: 1.0, log_weight: 0.0 };
        for difference in [1e-15, 1e-12, 1e-9] {
            let two = Component { mean: &[2.0], variance: 1.0 + difference, log_weight: 0.0 };
            let step = step_to_border(one, two, &[0.25], 0.1).unwrap();
            assert!((step[0] - 0.75).abs() < 1e-8, "{difference}: {step:?}");
        }
    }
}
