//! The best q(c|x) given everything else, and the bound there.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use super::{latent_entropy, log_sum_exp};

/// log q*(c|x), q* ∝ p(c) exp(e_c) with p(c) = 1/K (E7).
///
/// With e_c = E_q log p(x|z,c) + E_q log p(z|c) it maximises eq. (6.1) over q(c|x); with the second
/// part alone it gives the responsibilities of the latent mixture.
///
/// # Shapes
/// - `exponents`: e_c `[B,K]`, nats
/// - output: `[B,K]`
pub fn log_responsibilities(exponents: Tensor<2>) -> Tensor<2> {
    log_softmax(exponents, 1)
}

/// Eq. (6.1) at q*: log Σ_c exp(e_c + log p(c)) + H(q(z|x)) (E8).
///
/// # Shapes
/// - `exponents`: `[B,K]`; `log_var_z`: `[B,D]`
/// - output: `[B]`, nats
pub fn bound(exponents: Tensor<2>, log_var_z: Tensor<2>) -> Tensor<1> {
    let k = exponents.dims()[1] as f64;
    log_sum_exp(exponents) - k.ln() + latent_entropy::gaussian(log_var_z)
}
