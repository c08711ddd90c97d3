//! How far a frame lies from everything that the model was fitted to.
//!
//! A latent is where the encoder puts a frame, and an encoder puts what it never saw where it puts something else: a digit
//! turned by 90 degrees has the latent of an ordinary one. The decoder then says what the encoder took it for, and that is
//! not what the frame is. So novelty counts both.

use burn::tensor::Tensor;

use crate::elbo;
use crate::model::{ClusterVae, Likelihood, Posterior};

/// Least variance of a value, so that a frame of which every value is certain is not divided by 0.
pub const LEAST_VARIANCE: f64 = 1e-6;

/// How novelty counts the decoder, and what it is where nobody runs one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoveltyScore {
    /// Nats that novelty counts for a dispersion of 1; 0 for a novelty of the latent alone.
    pub dispersion_weight: f32,
    /// Threshold of the novelty of the latent alone, nats.
    pub latent_threshold: f32,
}

impl NoveltyScore {
    /// The novelty of the latent alone, with its threshold, nats.
    pub const fn latent(latent_threshold: f32) -> Self {
        Self { dispersion_weight: 0.0, latent_threshold }
    }
}

/// Novelty of the latent: -log Σ_c p(c) exp(E_q(z|x) log p(z|c)), its negative log-likelihood under the mixture prior.
///
/// # Shapes
/// - output: `[B]`, nats
pub fn latent_novelty(model: &ClusterVae, posterior: &Posterior) -> Tensor<1> {
    let k = model.prior.clusters() as f64;
    -elbo::log_sum_exp(model.alignment(posterior)) + k.ln()
}

/// Dispersion: the squared error of a frame over the one that its decoder expects, at the latent mean m and the most
/// probable cluster c,
///
/// φ = Σ_p (x_p - x̂_p)² / Σ_p Var(x_p|m,c), Var = x̂_p (1 - x̂_p) (Bernoulli) or σ² (Gaussian), at least 10⁻⁶.
///
/// See [`runtime::Dispersion`], which computes the same.
///
/// # Shapes
/// - `x`: `[B,P]`, scaled; output: `[B]`
pub fn dispersion(model: &ClusterVae, x: Tensor<2>, posterior: &Posterior) -> Tensor<1> {
    let decoder = &model.decoder;
    let cluster = model.log_responsibilities(posterior).argmax(1).squeeze_dim::<1>(1);
    let mean = decoder.mean(decoder.forward_of(posterior.mu_z.clone(), cluster));
    let found = (x - mean.clone()).square().sum_dim(1);
    let variance = match decoder.likelihood {
        Likelihood::Bernoulli => mean.clone() * (mean.neg() + 1.0),
        Likelihood::Gaussian => mean.zeros_like() + decoder.log_noise.val().exp().reshape([1, 1]),
    };
    (found / variance.clamp_min(LEAST_VARIANCE).sum_dim(1)).squeeze_dim::<1>(1)
}

/// Novelty: that of the latent, and `weight` nats for a dispersion of 1; at a weight of 0 the decoder is not run.
///
/// # Shapes
/// - `x`: `[B,P]`, scaled; output: `[B]`, nats
pub fn novelty(model: &ClusterVae, x: Tensor<2>, posterior: &Posterior, weight: f32) -> Tensor<1> {
    let latent = latent_novelty(model, posterior);
    if weight == 0.0 { latent } else { latent + dispersion(model, x, posterior) * f64::from(weight) }
}
