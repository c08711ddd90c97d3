//! E-step: responsibilities γ(z_k) = π_k N(x; μ_k, Σ_k) / Σ_j π_j N(x; μ_j, Σ_j) (§5.1), by
//! log-sum-exp.
//!
//! The covariances are factored once. Then the points are walked once: for each, the K values log
//! π_k + log N(x; μ_k, Σ_k) are written into its row, their largest is taken out, log p(x) = max +
//! log Σ_k exp(value - max), and the row becomes exp(value - log p(x)). No density is ever out of
//! log space, so a point far from every component still gets responsibilities that sum to 1. The
//! cost is N·K·D²/2 multiply-adds for full covariances, N·K·D for the others, and N·K exponentials
//! twice.

use rayon::prelude::*;

use super::covariance::log_density;
use super::{Mixture, Points};

/// Responsibilities and densities of all points under one mixture.
#[derive(Clone, Debug)]
pub struct EStep {
    /// Responsibilities γ of the components for each point `[N,K]`; each row sums to 1.
    pub responsibilities: Vec<f64>,
    /// Log-density log p(x) of each point `[N]`, nats.
    pub log_densities: Vec<f64>,
    /// Log-likelihood of the points, the sum of log p(x), each as often as its weight says, nats.
    pub log_likelihood: f64,
}

impl EStep {
    /// Mean responsibility of each of `k` components `[K]`, every point counted once.
    pub fn shares(&self, k: usize) -> Vec<f64> {
        let mut shares = vec![0.0; k];
        for row in self.responsibilities.chunks_exact(k) {
            shares.iter_mut().zip(row).for_each(|(s, r)| *s += r);
        }
        let n = self.log_densities.len() as f64;
        shares.iter_mut().for_each(|s| *s /= n);
        shares
    }
}

/// Responsibilities of every component for every point; None if a covariance is not positive
/// definite.
pub fn e_step(points: Points<'_>, mixture: &Mixture) -> Option<EStep> {
    let (k, d) = (mixture.components(), points.dim());
    let whitenings = mixture.covariances.iter().map(|c| c.whitening(d)).collect::<Option<Vec<_>>>()?;
    let mut responsibilities = vec![0.0; points.len() * k];
    let mut log_densities = Vec::with_capacity(points.len());
    let of_point = |difference: &mut Vec<f64>, (x, row): (&[f64], &mut [f64])| {
        for (c, value) in row.iter_mut().enumerate() {
            let (whitening, log_det) = &whitenings[c];
            let distance = whitening.squared_distance(x, mixture.mean(c), difference);
            *value = mixture.weights[c].ln() + log_density(distance, *log_det, d);
        }
        let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|v| (v - max).exp()).sum();
        let log_density = max + sum.ln();
        row.iter_mut().for_each(|v| *v = (*v - log_density).exp());
        log_density
    };
    let pairs = points.par_rows().zip(responsibilities.par_chunks_exact_mut(k));
    pairs.map_init(|| vec![0.0; d], of_point).collect_into_vec(&mut log_densities);
    let log_likelihood = log_densities.iter().zip(points.weights()).map(|(l, w)| l * w).sum();
    Some(EStep { responsibilities, log_densities, log_likelihood })
}
