//! Rows in units of their own columns, so that neither an offset nor a unit costs digits.
//!
//! A column of time stamps, 1.7e9 with differences of a millisecond, has its sums taken over differences from its first
//! row. EM then sees columns of mean 0 and deviation 1: its starts do not hang on units, and what is added to variances
//! is a share of a column's own variance. Families of covariance are closed under a factor a column, the isotropic one
//! under one factor for all, and log p(x) of the data is that of scaled rows less the logarithms of the deviations.

use serde::{Deserialize, Serialize};

use super::{CovarianceType, EStep, Mixture, Points};

/// What takes rows to mean 0 and deviation 1: scaled = (x - shift) / deviation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Weighted mean of each column `[D]`, to a hundredth of its deviation, in its units.
    pub shift: Vec<f64>,
    /// Weighted standard deviation of each column `[D]`, in its units; 1 for a constant one. For isotropic covariances
    /// the root of the mean variance, the same for all.
    pub deviation: Vec<f64>,
}

impl Scale {
    /// The scale of `points` for covariances of a family.
    pub fn of(points: Points<'_>, kind: CovarianceType) -> Self {
        let (d, total) = (points.dim(), points.total_weight());
        let first = points.row(0);
        let mean =
            |f: &dyn Fn(&[f64]) -> f64| points.rows().zip(points.weights()).map(|(x, w)| w * f(x)).sum::<f64>() / total;
        let shift: Vec<f64> = (0..d).map(|j| first[j] + mean(&|x| x[j] - first[j])).collect();
        let largest: Vec<f64> =
            (0..d).map(|j| points.rows().map(|x| (x[j] - first[j]).abs()).fold(0.0, f64::max)).collect();
        // Divided by the largest difference first, so that no square leaves the range of f64.
        let deviation = (0..d).map(|j| match largest[j] {
            0.0 => 0.0,
            unit => unit * mean(&|x| ((x[j] - shift[j]) / unit).powi(2)).sqrt(),
        });
        let mut deviation: Vec<f64> = deviation.collect();
        if kind == CovarianceType::Isotropic {
            let unit = deviation.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
            let square = deviation.iter().map(|v| (v / unit).powi(2)).sum::<f64>() / d as f64;
            deviation.fill(unit * square.sqrt());
        }
        deviation.iter_mut().filter(|v| !(v.is_normal() && **v > 0.0)).for_each(|v| *v = 1.0);
        let shift = shift.iter().zip(&deviation).map(|(shift, unit)| rounded(*shift, *unit)).collect();
        Self { shift, deviation }
    }

    /// The rows `[N,D]`, scaled.
    pub fn apply(&self, points: Points<'_>) -> Vec<f64> {
        let scaled = |x: &[f64]| -> Vec<f64> {
            x.iter().zip(&self.shift).zip(&self.deviation).map(|((x, shift), unit)| (x - shift) / unit).collect()
        };
        points.rows().flat_map(scaled).collect()
    }

    /// What `mixture`, of scaled rows, is in the units of the data.
    pub fn undo(&self, mixture: &Mixture) -> Mixture {
        let d = self.shift.len();
        let means = mixture.means.iter().enumerate().map(|(i, m)| self.shift[i % d] + m * self.deviation[i % d]);
        Mixture {
            weights: mixture.weights.clone(),
            means: means.collect(),
            covariances: mixture.covariances.iter().map(|c| c.stretched(&self.deviation)).collect(),
        }
    }

    /// An E-step on scaled `points` with the densities that the rows have in the units of the data.
    pub fn undo_densities(&self, points: Points<'_>, mut scaled: EStep) -> EStep {
        let volume: f64 = self.deviation.iter().map(|v| v.ln()).sum();
        scaled.log_densities.iter_mut().for_each(|l| *l -= volume);
        scaled.log_likelihood -= volume * points.total_weight();
        scaled
    }
}

/// A mean in as few decimals as tell a hundredth of the deviation: that number a file gives back to the last bit, where
/// the last bit of a time stamp is much of a deviation.
fn rounded(mean: f64, deviation: f64) -> f64 {
    let decimals = (2.0 - deviation.log10().floor()).clamp(0.0, 330.0) as usize;
    format!("{mean:.decimals$}").parse().unwrap_or(mean)
}
