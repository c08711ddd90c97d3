//! H2: what each value says for c₁ and against c₂.

use burn::tensor::Tensor;

use super::expectation::Expectation;

/// Δ_p = E log p(x_p|z,c₁) - E log p(x_p|z,c₂).
///
/// It is complete: with q the mean-field optimum (E7) at the same points of z,
/// Σ_p Δ_p + E log p(z|c₁) - E log p(z|c₂) = log q(c₁|x) - log q(c₂|x), with nothing left over.
///
/// # Shapes
/// - output: `[B,P]`, nats
pub fn map(first: &Expectation, second: &Expectation) -> Tensor<2> {
    first.log_density.clone() - second.log_density.clone()
}
