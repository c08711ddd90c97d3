//! The plane in which the clusters lie furthest apart.

use nalgebra::{Cholesky, DMatrix, SymmetricEigen};

use crate::prototypes::Latents;

/// Added to the diagonal of the scatter within clusters, relative to its mean: a latent that does not vary stays invertible.
const RIDGE: f64 = 1e-6;

/// Fisher's linear discriminant for soft clusters (R. A. Fisher 1936).
///
/// With S_w = E Σ_c q(c|x) (m - m̄_c)(m - m̄_c)ᵀ and S_b = Σ_c q̄_c (m̄_c - m̄)(m̄_c - m̄)ᵀ, the rows are the two a that
/// maximise aᵀ S_b a / aᵀ S_w a, scaled so that aᵀ S_w a = 1: distances are in standard deviations within a cluster.
#[derive(Clone, Debug)]
pub struct Discriminant {
    axes: [Vec<f64>; 2],
}

impl Discriminant {
    /// Of `latents` under `k` clusters; None without frames, or if the means do not vary at all.
    pub fn new(latents: &Latents, k: usize) -> Option<Self> {
        let d = latents.dim;
        let n = latents.len() as f64;
        let mut weights = vec![0.0; k];
        let mut means = DMatrix::<f64>::zeros(d, k);
        for frame in 0..latents.len() {
            for (c, log_q) in latents.log_q(frame).iter().enumerate() {
                let q = f64::from(*log_q).exp() / n;
                weights[c] += q;
                for (i, m) in latents.mean(frame).iter().enumerate() {
                    means[(i, c)] += q * m;
                }
            }
        }
        let mean = means.column_sum();
        let mut between = DMatrix::<f64>::zeros(d, d);
        for (c, weight) in weights.iter().enumerate().filter(|(_, w)| **w > 0.0) {
            let centre = means.column(c) / *weight;
            means.set_column(c, &centre);
            let apart = centre - &mean;
            between += &apart * apart.transpose() * *weight;
        }
        let mut within = DMatrix::<f64>::zeros(d, d);
        for frame in 0..latents.len() {
            let m = DMatrix::from_column_slice(d, 1, latents.mean(frame));
            for (c, log_q) in latents.log_q(frame).iter().enumerate() {
                let q = f64::from(*log_q).exp() / n;
                // Most responsibilities are so small that they change no digit.
                if q * n > 1e-9 {
                    let apart = m.column(0) - means.column(c);
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

    /// Where a point of the latent lies in the plane.
    pub fn place(&self, z: &[f64]) -> [f64; 2] {
        [0, 1].map(|i| self.axes[i].iter().zip(z).map(|(a, z)| a * z).sum())
    }
}
