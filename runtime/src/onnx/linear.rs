//! The maps of a mixture on the values themselves, whose decoder is linear, x = B z + x̄ with orthogonal columns.
//!
//! Its inverse is the encoder, Wᵀ = diag(1/‖B_d‖²) Bᵀ, so that Σ_c⁻¹ = W Wᵀ/s_c. With d = x - m_c the parts d_p (Σ_c⁻¹ d)_p
//! add up to the squared distance of the frame from the cluster; and given the other values, x_p is Gaussian with
//! variance 1/(Σ_c⁻¹)_pp around x_p - (Σ_c⁻¹ d)_p/(Σ_c⁻¹)_pp.

use super::LoadError;
use crate::Head;

/// A linear decoder and its inverse.
pub(super) struct Linear {
    /// B `[D,P]`, a row for each dimension of z.
    columns: Vec<f32>,
    /// x̄ `[P]`.
    mean: Vec<f32>,
    /// W `[D,P]`, as B lies.
    inverse: Vec<f32>,
}

/// A frame beside one cluster.
pub(super) struct Beside {
    /// What each value adds to -2 log p(x,c), but for a constant of the model `[P]`.
    pub cost: Vec<f32>,
    /// How far each value is from what the others foretell, and that in standard deviations, squared `[P]`.
    pub error: Vec<[f32; 2]>,
}

impl Linear {
    /// The points z `[D+1,D]` at which the decoder tells B and x̄.
    pub fn probes(latent: usize) -> Vec<f32> {
        let ones = (0..latent * latent).map(|i| f32::from(u8::from(i / latent == i % latent)));
        core::iter::repeat_n(0.0, latent).chain(ones).collect()
    }

    /// The decoder that gave `outputs` `[D+1,P]` at [`Linear::probes`].
    pub fn of(outputs: &[f32], values: usize) -> Result<Self, LoadError> {
        let (mean, moved) = outputs.split_at_checked(values).unwrap_or((&[], &[]));
        let less_mean = |row: &[f32]| row.iter().zip(mean).map(|(v, mean)| v - mean).collect::<Vec<f32>>();
        let columns: Vec<f32> = moved.chunks_exact(values.max(1)).flat_map(less_mean).collect();
        let inverse: Vec<f32> = columns
            .chunks_exact(values.max(1))
            .flat_map(|row| {
                let square: f32 = row.iter().map(|v| v * v).sum();
                row.iter().map(move |v| v / square)
            })
            .collect();
        if inverse.is_empty() || inverse.iter().any(|v| !v.is_finite()) {
            return Err(LoadError::Incompatible("its decoder is called linear and cannot be inverted".into()));
        }
        Ok(Self { columns, mean: mean.to_vec(), inverse })
    }

    /// A frame `x` `[P]`, scaled, with its latent mean `mu` `[D]`, beside a cluster of `head`.
    pub fn beside(&self, x: &[f32], mu: &[f32], head: &Head<'_>, cluster: usize) -> Beside {
        let (p, d) = (x.len(), mu.len());
        let centre = head.means().get(cluster * d..).unwrap_or_default();
        let precision = head.precisions().nth(cluster).unwrap_or(1.0);
        let share = head.shares().nth(cluster).unwrap_or(1.0);
        let constant = -(d as f32 * precision.ln() + 2.0 * share.ln()) / p as f32;
        let (mut mean, mut pulled, mut own) = (self.mean.clone(), vec![0.0; p], vec![0.0; p]);
        let rows = self.columns.chunks_exact(p.max(1)).zip(self.inverse.chunks_exact(p.max(1)));
        for ((columns, inverse), (mu, centre)) in rows.zip(mu.iter().zip(centre)) {
            for at in 0..p {
                mean[at] += columns[at] * centre;
                pulled[at] += inverse[at] * (mu - centre) * precision;
                own[at] += inverse[at] * inverse[at] * precision;
            }
        }
        Beside {
            cost: (0..p).map(|at| (x[at] - mean[at]) * pulled[at] + constant).collect(),
            error: (0..p).map(|at| [pulled[at] / own[at], pulled[at] * pulled[at] / own[at]]).collect(),
        }
    }
}
