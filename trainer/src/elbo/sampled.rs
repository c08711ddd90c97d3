//! Bounds evaluated at samples of z, where c may depend on z: the bound of §2, and eq. (1.10) with c summed out.
//!
//! §2 has q(c|z) where eq. (6.1) has q(c|x). §4 of the paper says that the first is never below the second; with q(c|x)
//! the mean of q(c|z) neither sign holds in general, so both are reported and the gap has the sign it has.

use std::f64::consts::PI;

use burn::tensor::Tensor;

use super::{cluster_kl, expectation, log_sum_exp, optimum};

/// log N(z; m, diag v) of samples z = m + noise·√v.
///
/// # Shapes
/// - `noise`, `log_var_z`: `[B,D]`
/// - output: `[B]`, nats
pub fn log_posterior(noise: Tensor<2>, log_var_z: Tensor<2>) -> Tensor<1> {
    let d = noise.dims()[1] as f64;
    ((noise.square() + log_var_z).sum_dim(1) + d * (2.0 * PI).ln()).squeeze_dim::<1>(1) * -0.5
}

/// What the model says of one sample of z a frame.
#[derive(Clone, Debug)]
pub struct AtSample {
    /// log q(z|x) `[B]`.
    pub log_posterior: Tensor<1>,
    /// log p(z|c) `[B,K]`.
    pub log_prior: Tensor<2>,
    /// log p(x|z,c) `[B,K]`.
    pub log_likelihood: Tensor<2>,
}

impl AtSample {
    /// log q(c|z), the responsibilities of the mixture prior for the sample `[B,K]`.
    pub fn log_cluster_posterior(&self) -> Tensor<2> {
        optimum::log_responsibilities(self.log_prior.clone())
    }

    /// The sample's part of a bound with any q(c|·) `[B,K]`; its mean over z is E10 with q(c|z), and L̂ of §4 with q(c|x).
    ///
    /// # Shapes
    /// - output: `[B]`, nats
    pub fn bound(&self, log_q: Tensor<2>) -> Tensor<1> {
        let joint = self.log_likelihood.clone() + self.log_prior.clone();
        expectation(log_q.clone().exp(), joint) - self.log_posterior.clone() - cluster_kl::to_uniform(log_q)
    }

    /// log [Σ_c p(x|z,c) p(z|c) p(c) / q(z|x)]: its mean over z is eq. (1.10) with c summed out, and the log of the
    /// mean of its exponential over S samples is the importance-weighted estimate of log p(x).
    ///
    /// # Shapes
    /// - output: `[B]`, nats
    pub fn log_weight(&self) -> Tensor<1> {
        let k = self.log_prior.dims()[1] as f64;
        let joint = self.log_likelihood.clone() + self.log_prior.clone();
        log_sum_exp(joint) - k.ln() - self.log_posterior.clone()
    }
}
