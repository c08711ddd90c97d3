//! Eq. (6.1), term 1: log p(x|z,c), a value of the frame at a time.

use std::f64::consts::PI;

use burn::tensor::activation::log_sigmoid;
use burn::tensor::{IndexingUpdateOp, Int, Tensor};

/// Log-density of one value under a Bernoulli given by its logit, for x in `[0, 1]`.
///
/// log Bernoulli(x; sigmoid(logit)) = x·logit - log(1 + exp(logit)); the logarithm is that of a
/// sigmoid, -log(1 + exp(logit)) = log sigmoid(-logit), which no logit overflows.
///
/// # Shapes
/// - `x` broadcasts to `logits`; output as `logits`, nats
pub fn log_bernoulli<const R: usize>(x: Tensor<R>, logits: Tensor<R>) -> Tensor<R> {
    x * logits.clone() + log_sigmoid(-logits)
}

/// Log-density of one value under a Gaussian, log N(x; mean, exp(log_var)).
///
/// # Shapes
/// - `x` broadcasts to `mean`; `log_var`: `[1]`, one for all values; output as `mean`, nats
pub fn log_gaussian<const R: usize>(x: Tensor<R>, mean: Tensor<R>, log_var: Tensor<1>) -> Tensor<R> {
    let log_var = log_var.reshape([1; R]);
    let precision = (-log_var.clone()).exp();
    ((x - mean).square() * precision + log_var + (2.0 * PI).ln()) * -0.5
}

/// Smallest probability that the second cluster's weight is divided by.
const FLOOR: f64 = 1e-12;

/// Two clusters a frame from which Σ_c q(c|x) f(c) is estimated without bias, value and gradient.
///
/// The most probable cluster c₁ counts exactly; of the rest one, c₂, is drawn with probability
/// p(c) = q(c)/(1 - q(c₁)). Since Σ_c q(c) = 1,
///
/// Σ_c q(c) f(c) = f(c₁) + Σ_{c≠c₁} q(c) (f(c) - f(c₁)) = f(c₁) + E_{c₂~p} w (f(c₂) - f(c₁)), w =
/// q(c₂)/p(c₂).
///
/// p is held fixed under the gradient, so the value of w is 1 - q(c₁) for every draw and its
/// gradient is ∇q(c₂)/p(c₂). The expected gradient through w is Σ_{c≠c₁} ∇q(c) (f(c) - f(c₁)) = Σ_c
/// ∇q(c) f(c), because Σ_c ∇q(c) = 0: f(c₁) is a control variate that costs nothing. Where the
/// model is sure, w is small and so is the noise. The decoder is run twice a frame instead of K
/// times.
pub struct TwoClusters {
    /// The most probable cluster c₁ of each frame `[B]`.
    pub first: Tensor<1, Int>,
    /// The cluster c₂ of each frame, drawn from the others `[B]`.
    pub second: Tensor<1, Int>,
    /// Weight w = q(c₂)/p(c₂) of each frame `[B]`.
    weight: Tensor<1>,
}

impl TwoClusters {
    /// Picks the clusters.
    ///
    /// c₂ is drawn by adding Gumbel noise to log q and taking the largest among the others, which
    /// has the probability p without p being normalised.
    ///
    /// # Shapes
    /// - `log_q`: log q(c|x) `[B,K]`; `gumbel`: standard Gumbel noise `[B,K]`
    pub fn draw(log_q: Tensor<2>, gumbel: Tensor<2>) -> Self {
        let fixed = log_q.clone().detach();
        let first = fixed.clone().argmax(1);
        // A finite stand-in for -infinity keeps the arithmetic below free of NaN.
        let others = fixed.clone().scatter(1, first.clone(), first.clone().float() * 0.0 - 1e9, IndexingUpdateOp::Add);
        let second = (others.clone() + gumbel).argmax(1);
        let rest = others.clone().exp().sum_dim(1).clamp_min(FLOOR);
        let log_proposal = others.gather(1, second.clone()) - rest.log();
        let weight = (log_q.gather(1, second.clone()) - log_proposal).exp();
        Self {
            first: first.squeeze_dim::<1>(1),
            second: second.squeeze_dim::<1>(1),
            weight: weight.squeeze_dim::<1>(1),
        }
    }

    /// The estimate of Σ_c q(c|x) f(c) `[B]` from f(c₁) and f(c₂) `[B]`.
    pub fn expectation(self, first: Tensor<1>, second: Tensor<1>) -> Tensor<1> {
        first.clone() + self.weight * (second - first)
    }
}
