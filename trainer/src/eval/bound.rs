//! The bound of eq. (6.1) on a data set, every term, with the exact sum over c.

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::Serialize;

use crate::config::ClusterPosterior;
use crate::data::Frames;
use crate::elbo::{Terms, optimum};
use crate::error::Result;
use crate::fit::{Fitted, encode, to_host};
use crate::rng::{Purpose, stream};

/// Means over the frames, nats. Term 1 is estimated with one sample of z a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct BoundReport {
    /// Eq. (6.1).
    pub elbo: f64,
    /// Term 1.
    pub reconstruction: f64,
    /// Term 2.
    pub alignment: f64,
    /// Term 3 without its sign.
    pub cluster_kl: f64,
    /// Term 4.
    pub latent_entropy: f64,
    /// H(q̄), the entropy of the mean cluster distribution.
    pub marginal_entropy: f64,
    /// I(x;c) = H(q̄) - mean H(q(c|x)).
    pub mutual_information: f64,
}

/// Evaluates the bound; the samples of z come from the run's seed.
///
/// # Errors
/// If the frames have another shape than the model takes.
pub fn bound(fitted: &Fitted, frames: &Frames, device: &Device) -> Result<BoundReport> {
    let scaled = fitted.scale(frames)?;
    let model = &fitted.model;
    let mut sums = [0.0f64; 5];
    let mut shares = vec![0.0f64; fitted.config.clusters];
    let mut part = 0;
    encode(model, &scaled, device, |_, x, posterior| {
        let [b, d] = posterior.mu_z.dims();
        let mut rng = stream(fitted.config.seed, Purpose::Evaluation, part);
        part += 1;
        let noise: Vec<f32> = (0..b * d).map(|_| rng.sample(StandardNormal)).collect();
        let z = posterior.sample(Tensor::from_data(TensorData::new(noise, [b, d]), device));
        let log_likelihood = model.decoder.log_likelihood_all(x, z);
        let alignment = model.alignment(&posterior);
        let log_q = match fitted.config.cluster_posterior {
            ClusterPosterior::MeanField => optimum::log_responsibilities(log_likelihood.clone() + alignment.clone()),
            ClusterPosterior::Gmm | ClusterPosterior::Amortised => model.log_responsibilities(&posterior),
        };
        let share = to_host(log_q.clone().exp().sum_dim(0))?;
        shares.iter_mut().zip(share).for_each(|(s, v)| *s += f64::from(v));
        let terms = Terms::new(log_q, log_likelihood, alignment, posterior.log_var_z);
        let values = [terms.total(), terms.reconstruction, terms.alignment, terms.cluster_kl, terms.latent_entropy];
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += to_host(value)?.into_iter().map(f64::from).sum::<f64>();
        }
        Ok(())
    })?;
    let n = frames.len() as f64;
    let [elbo, reconstruction, alignment, cluster_kl, latent_entropy] = sums.map(|s| s / n);
    let marginal_entropy = shares.iter().map(|s| s / n).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum();
    let mean_entropy = (fitted.config.clusters as f64).ln() - cluster_kl;
    Ok(BoundReport {
        elbo,
        reconstruction,
        alignment,
        cluster_kl,
        latent_entropy,
        marginal_entropy,
        mutual_information: marginal_entropy - mean_entropy,
    })
}
