//! Bounds evaluated at samples of z, where c may depend on z: the bound of §2, and eq. (1.10) with
//! c summed out.
//!
//! §2 has q(c|z) where eq. (6.1) has q(c|x). §4 of the paper says that the first, L, is never below
//! the second, L̂. With q(c|x) the mean of q(c|z) over q(z|x), neither sign holds in general:
//!
//! L - L̂ = E Σ_c (q(c|z) - q(c|x)) log p(x,z,c) - I_q(c;z|x),
//!
//! where the information is the Jensen gap of §3, E_q(z|x) KL(q(c|z) ‖ p(c)) - KL(q(c|x) ‖ p(c))
//! (E11). So both are reported and the gap has the sign it has.
//!
//! No bound here has a closed form in z. [`AtSample`] holds what the model says of one z a frame, a
//! few numbers for each cluster; each bound is a function of those, and its mean over samples is
//! left to who draws them.

use std::f64::consts::PI;

use burn::tensor::Tensor;

use super::{cluster_kl, expectation, log_sum_exp, optimum};

/// Log-density log N(z; m, diag v) of samples z = m + noise·√v.
///
/// (z_d - m_d)²/v_d is noise_d², so the samples themselves are not needed: -½ Σ_d (noise_d² + log
/// v_d + log 2π).
///
/// # Shapes
/// - `noise`, `log_var_z`: `[B,D]`
/// - output: `[B]`, nats
pub fn log_posterior(noise: Tensor<2>, log_var_z: Tensor<2>) -> Tensor<1> {
    let d = noise.dims()[1] as f64;
    ((noise.square() + log_var_z).sum_dim(1) + d * (2.0 * PI).ln()).squeeze_dim::<1>(1) * -0.5
}

/// The densities that the model gives to one sample of z a frame.
#[derive(Clone, Debug)]
pub struct AtSample {
    /// Log-density log q(z|x) of the sample `[B]`.
    pub log_posterior: Tensor<1>,
    /// Log-density log p(z|c) of the sample under each cluster's prior `[B,K]`.
    pub log_prior: Tensor<2>,
    /// Log-likelihood log p(x|z,c) of the frame under each cluster `[B,K]`.
    pub log_likelihood: Tensor<2>,
}

impl AtSample {
    /// Responsibilities log q(c|z) of the mixture prior for the sample `[B,K]`.
    pub fn log_cluster_posterior(&self) -> Tensor<2> {
        optimum::log_responsibilities(self.log_prior.clone())
    }

    /// The part of one sample in a bound with any q(c|·) `[B,K]`.
    ///
    /// Σ_c q(c|·) (log p(x|z,c) + log p(z|c)) - log q(z|x) - KL(q(c|·) ‖ 1/K). Its mean over z is
    /// the bound of §2 (E10) with q(c|z), and L̂ of §4 with q(c|x).
    ///
    /// # Shapes
    /// - output: `[B]`, nats
    pub fn bound(&self, log_q: Tensor<2>) -> Tensor<1> {
        let joint = self.log_likelihood.clone() + self.log_prior.clone();
        expectation(log_q.clone().exp(), joint) - self.log_posterior.clone() - cluster_kl::to_uniform(log_q)
    }

    /// Log of the importance weight of one sample, log Σ_c p(x|z,c) p(z|c) p(c) / q(z|x).
    ///
    /// Its mean over z is eq. (1.10) with c summed out; the log of the mean of its exponential over
    /// S samples is the importance-weighted estimate of log p(x).
    ///
    /// # Shapes
    /// - output: `[B]`, nats
    pub fn log_weight(&self) -> Tensor<1> {
        let k = self.log_prior.dims()[1] as f64;
        let joint = self.log_likelihood.clone() + self.log_prior.clone();
        log_sum_exp(joint) - k.ln() - self.log_posterior.clone()
    }
}
