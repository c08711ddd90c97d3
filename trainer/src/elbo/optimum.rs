//! The best q(c|x) given everything else, and the bound there.
//!
//! Let e_c = E_q log p(x|z,c) + E_q log p(z|c) be what eq. (6.1) gives for cluster c. As a function
//! of q(c|x) the bound is
//!
//! Σ_c q(c) (e_c + log p(c) - log q(c)) + H(q(z|x)) = log Σ_c p(c) exp(e_c) - KL(q ‖ q*) +
//! H(q(z|x)),
//!
//! with q*(c) = p(c) exp(e_c) / Σ_k p(k) exp(e_k). Only the divergence depends on q, it is 0 at q*
//! and above 0 elsewhere: q* is the maximum, and the rest is the bound there. Nothing is iterated,
//! and the cost is one log-softmax of K numbers a frame.
//!
//! p(c) = 1/K is a factor of all terms and drops out of q*; it stays in the bound as -log K.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use super::{latent_entropy, log_sum_exp};

/// The best cluster posterior log q*(c|x), q* ∝ p(c) exp(e_c) with p(c) = 1/K (E7).
///
/// With e_c = E_q log p(x|z,c) + E_q log p(z|c) it maximises eq. (6.1) over q(c|x); with the second
/// part alone it gives the responsibilities of the latent mixture, which are the maximum only if
/// the decoder does not see c.
///
/// # Shapes
/// - `exponents`: e_c `[B,K]`, nats
/// - output: `[B,K]`
pub fn log_responsibilities(exponents: Tensor<2>) -> Tensor<2> {
    log_softmax(exponents, 1)
}

/// The bound of eq. (6.1) at the best q(c|x), log Σ_c exp(e_c + log p(c)) + H(q(z|x)) (E8).
///
/// # Shapes
/// - `exponents`: e_c `[B,K]`; `log_var_z`: log v `[B,D]`
/// - output: `[B]`, nats
pub fn bound(exponents: Tensor<2>, log_var_z: Tensor<2>) -> Tensor<1> {
    let k = exponents.dims()[1] as f64;
    log_sum_exp(exponents) - k.ln() + latent_entropy::gaussian(log_var_z)
}
