//! Surprise: where a frame is not what its cluster expects.
//!
//! -log p(x_p|x,c) under the predictive of the frame, z averaged out, less what the model expects
//! of it and over its standard deviation: 0 is the surprise of an ordinary value of such a frame, 1
//! a standard deviation more.
//!
//! Expectation and deviation are those of one value drawn at random from a frame drawn from the
//! predictive, so they are two numbers a frame. With e_p and s_p² the mean and variance of the cost
//! of value p under its own predictive, the law of total variance gives mean ē = (1/P) Σ_p e_p and
//! variance (1/P) Σ_p (s_p² + (e_p - ē)²). Two numbers for each value, of the model or of held-out
//! frames, would forgive what lies where the model is unsure, and a stroke that does not belong
//! makes the model unsure where it lies.
//!
//! Both are in closed form. For a Bernoulli with mean p and logit l the cost -log p(x) is linear in
//! x, so e_p is the cost at x = p, and s_p² = l² p(1 - p). For a Gaussian with variance w the cost
//! is ½ (χ² + log w) but for a constant, χ² of one degree, so e_p = ½ (1 + log w) and s_p² = ½. All
//! follows from the moments of one [`Expectation`]; the decoder is not run again.

use burn::tensor::Tensor;

use super::expectation::Expectation;
use crate::elbo::reconstruction::log_bernoulli;
use crate::model::{Decoder, Likelihood};

/// Least distance of a mean from 0 and from 1, one step of a byte: frames of bytes cannot show
/// more.
const RESOLUTION: f64 = 1.0 / 255.0;
/// Least variance that is divided by, for frames of which every value is certain.
const LEAST_VARIANCE: f64 = 1e-6;

/// The standardised surprise of each value under the cluster of `expectation`.
///
/// The predictive of a Bernoulli decoder is Bernoulli with the mean over z; that of a Gaussian one
/// is taken as Gaussian with its moments, mean and σ² + Var(x̂).
///
/// # Shapes
/// - `x`: `[B,P]`
/// - output: `[B,P]`, standard deviations
pub fn map(expectation: &Expectation, x: Tensor<2>, decoder: &Decoder) -> Tensor<2> {
    let mean = expectation.mean.clone();
    // -log p of what is seen, then its expectation and variance under the predictive of the value,
    // all [B,P].
    let (seen, expected, variance) = match decoder.likelihood {
        Likelihood::Bernoulli => {
            let mean = mean.clamp(RESOLUTION, 1.0 - RESOLUTION);
            let other = mean.clone().neg() + 1.0;
            let logit = mean.clone().log() - other.clone().log();
            let cost = |x: Tensor<2>| log_bernoulli(x, logit.clone()).neg();
            let variance = logit.clone().square() * mean.clone() * other;
            (cost(x), cost(mean), variance)
        }
        Likelihood::Gaussian => {
            let squared = (x - mean).square();
            // E(x - x̂)² = (x - E x̂)² + Var x̂.
            let spread = (expectation.squared_error.clone() - squared.clone()).clamp_min(0.0);
            let variance = spread + decoder.log_noise.val().exp().reshape([1, 1]);
            // Constants cancel. Twice the surprise is (x - mean)²/variance, χ² of one degree, and
            // log variance.
            let log_variance = variance.clone().log();
            let seen = (squared / variance + log_variance.clone()) * 0.5;
            let half = Tensor::zeros(seen.dims(), &seen.device()) + 0.5;
            (seen, log_variance * 0.5 + 0.5, half)
        }
    };
    let centre = expected.clone().mean_dim(1);
    let variance = (variance + (expected - centre.clone()).square()).mean_dim(1);
    (seen - centre) / variance.clamp_min(LEAST_VARIANCE).sqrt()
}
