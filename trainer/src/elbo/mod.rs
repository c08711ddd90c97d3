//! The evidence lower bound, one file a term. Tensors in, tensors out: no configuration, no random
//! numbers.
//!
//! The bound of eq. (6.1) for one frame x, the one that training maximises, is
//!
//! L(x) = E_q log p(x|z,c) + E_q log p(z|c) - KL(q(c|x) ‖ p(c)) - E_q log q(z|x),
//!
//! with q(z|x) = N(m, diag v), p(z|c) = N(μ_c, σ_c² I), p(c) = 1/K. Everything is in nats, a value
//! a frame, and everything about clusters is in log space: at log-densities of -40 an `exp` in f16
//! is 0 for every cluster, which looks like a collapse.
//!
#![doc = include_str!("../../docs/equations.md")]

pub mod alignment;
pub mod cluster_kl;
pub mod groups;
pub mod information;
pub mod latent_entropy;
pub mod optimum;
pub mod reconstruction;
pub mod sampled;
pub mod standard;

use burn::tensor::Tensor;

/// The four terms of eq. (6.1), one value of each for each of B frames, nats.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Term 1, the reconstruction E_{q(c|x) q(z|x)} log p(x|z,c) `[B]`.
    pub reconstruction: Tensor<1>,
    /// Term 2, the latent alignment E_{q(c|x)} E_{q(z|x)} log p(z|c) `[B]`.
    pub alignment: Tensor<1>,
    /// Divergence KL(q(c|x) ‖ p(c)) `[B]`, not below 0; term 3 is its negative.
    pub cluster_kl: Tensor<1>,
    /// Term 4, the entropy -E_{q(z|x)} log q(z|x) `[B]`.
    pub latent_entropy: Tensor<1>,
}

impl Terms {
    /// Evaluates the terms from what each cluster would give.
    ///
    /// # Shapes
    /// - `log_q`: log q(c|x) `[B,K]`
    /// - `log_likelihood`: log p(x|z,c) `[B,K]`, z a sample of q(z|x)
    /// - `alignment`: E_q log p(z|c) of each cluster `[B,K]`, see [`alignment::per_cluster`]
    /// - `log_var_z`: log v `[B,D]`
    pub fn new(log_q: Tensor<2>, log_likelihood: Tensor<2>, alignment: Tensor<2>, log_var_z: Tensor<2>) -> Self {
        let reconstruction = expectation(log_q.clone().exp(), log_likelihood);
        Self::with_reconstruction(reconstruction, log_q, alignment, log_var_z)
    }

    /// Evaluates the terms around an estimate of term 1 `[B]`; the rest is as for [`Terms::new`].
    pub fn with_reconstruction(
        reconstruction: Tensor<1>,
        log_q: Tensor<2>,
        alignment: Tensor<2>,
        log_var_z: Tensor<2>,
    ) -> Self {
        Self {
            reconstruction,
            alignment: expectation(log_q.clone().exp(), alignment),
            cluster_kl: cluster_kl::to_uniform(log_q),
            latent_entropy: latent_entropy::gaussian(log_var_z),
        }
    }

    /// The same terms where the exponents of clusters count log K p(c): that part goes from term 2, where it came with
    /// them, to term 3, the divergence from p(c) rather than from 1/K. The total stays.
    ///
    /// # Shapes
    /// - `log_q`: `[B,K]`; `log_weights`: log K p(c) `[1,K]`
    pub fn with_weights(self, log_q: Tensor<2>, log_weights: Tensor<2>) -> Self {
        let weights = expectation(log_q.exp(), log_weights);
        Self { alignment: self.alignment - weights.clone(), cluster_kl: self.cluster_kl - weights, ..self }
    }

    /// The bound of eq. (6.1) `[B]`, nats; the one place where the signs of the terms stand.
    pub fn total(&self) -> Tensor<1> {
        self.reconstruction.clone() + self.alignment.clone() - self.cluster_kl.clone() + self.latent_entropy.clone()
    }
}

/// Expectation Σ_c q(c) f(c) over clusters.
///
/// # Shapes
/// - `q`, `f`: `[B,K]`
/// - output: `[B]`
pub fn expectation(q: Tensor<2>, f: Tensor<2>) -> Tensor<1> {
    (q * f).sum_dim(1).squeeze_dim::<1>(1)
}

/// log Σ exp over the last dimension, stable for any finite input.
///
/// The largest entry is taken out first, so that the largest exponential is 1 and none overflows.
/// It is held fixed under the gradient, which is the softmax either way.
///
/// # Shapes
/// - `x`: `[B,K]`
/// - output: `[B]`
pub fn log_sum_exp(x: Tensor<2>) -> Tensor<1> {
    let max = x.clone().detach().max_dim(1);
    ((x - max.clone()).exp().sum_dim(1).log() + max).squeeze_dim::<1>(1)
}
