//! The novelty threshold, from frames that training did not see.

use super::stage::{encode, to_host};
use crate::data::Frames;
use crate::elbo;
use crate::error::Result;
use crate::model::{ClusterVae, Posterior};

use burn::tensor::Tensor;

/// Novelty: -log Σ_c p(c) exp(E_q(z|x) log p(z|c)), the negative log-likelihood of the latent under
/// the mixture prior.
///
/// # Shapes
/// - output: `[B]`, nats
pub fn novelty(model: &ClusterVae, posterior: &Posterior) -> Tensor<1> {
    let k = model.prior.clusters() as f64;
    -elbo::log_sum_exp(model.alignment(posterior)) + k.ln()
}

/// The novelty that a share `rate` of the frames exceeds.
pub fn novelty_threshold(model: &ClusterVae, frames: &Frames, rate: f64) -> Result<f32> {
    let device = model.prior.mu_c.val().device();
    let mut values = Vec::with_capacity(frames.len());
    encode(model, frames, &device, |_, _, posterior| {
        values.extend(to_host(novelty(model, &posterior))?);
        Ok(())
    })?;
    values.sort_by(f32::total_cmp);
    let rank = ((1.0 - rate) * values.len() as f64).ceil() as usize;
    Ok(values[rank.clamp(1, values.len()) - 1])
}
