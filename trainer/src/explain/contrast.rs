//! Contrast: what each value says for c₁ and against c₂.
//!
//! The best q(c|x) given the rest is proportional to exp(e_c), e_c = Σ_p E log p(x_p|z,c) + E log
//! p(z|c), so a log-ratio of two clusters is e_c₁ - e_c₂: the normaliser cancels. The first part of
//! e_c is a sum over values, and value by value the difference of two such sums is the map; the
//! second part belongs to the latent and to no value. With the same points of z on both sides
//! nothing is approximated, and map and latent part add up to the log-ratio but for rounding.
//!
//! Two expectations are all that it takes, 2D passes of the decoder each; no gradient is formed.

use burn::tensor::{Int, Tensor};

use super::expectation::Expectation;
use crate::model::Prior;

/// Evidence of each value for c₁, Δ_p = E log p(x_p|z,c₁) - E log p(x_p|z',c₂), from the two
/// expectations.
///
/// With z' = z it is complete: for q the mean-field optimum at the same points of z
/// ([`crate::elbo::optimum`]), Σ_p Δ_p + E log p(z|c₁) - E log p(z|c₂) = log q(c₁|x) - log q(c₂|x),
/// with nothing left over.
///
/// A decoder that hardly needs c leaves most of that ratio in the latent terms, which no value
/// carries. With z' = z + [`shift`] the second expectation is that of the frame's counterpart in
/// c₂, which lies to μ_c₂ as the frame does to μ_c₁, and the values carry the decision. It is as
/// complete, with E log p(z'|c₂) in place of E log p(z|c₂) and q the optimum where q(z|x,c₂) is
/// q(z|x) so moved; a move leaves the entropy of q(z|x,c) as it is.
///
/// # Shapes
/// - output: `[B,P]`, nats
pub fn map(first: &Expectation, second: &Expectation) -> Tensor<2> {
    first.log_density.clone() - second.log_density.clone()
}

/// Move μ_c₂ - μ_c₁ of the latent from a frame to its counterpart in c₂.
///
/// # Shapes
/// - `first`, `second`: c₁, c₂ `[B]`
/// - output: `[B,D]`
pub fn shift(prior: &Prior, first: Tensor<1, Int>, second: Tensor<1, Int>) -> Tensor<2> {
    prior.mu_c.val().select(0, second) - prior.mu_c.val().select(0, first)
}
