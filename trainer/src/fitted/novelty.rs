//! How far a frame lies from everything that the model was fitted to.

use burn::tensor::Tensor;

use crate::elbo;
use crate::model::{ClusterVae, Posterior};

/// Novelty: -log Σ_c p(c) exp(E_q(z|x) log p(z|c)), the negative log-likelihood of the latent under
/// the mixture prior.
///
/// # Shapes
/// - output: `[B]`, nats
pub fn novelty(model: &ClusterVae, posterior: &Posterior) -> Tensor<1> {
    let k = model.prior.clusters() as f64;
    -elbo::log_sum_exp(model.alignment(posterior)) + k.ln()
}
