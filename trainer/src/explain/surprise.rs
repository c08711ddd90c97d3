//! H3: where a frame is not what its cluster expects.
//!
//! -log p(x_p|x,c) under the predictive of the frame, z averaged out, less what the model expects of it and over its
//! standard deviation: 0 is the surprise of an ordinary value of such a frame, 1 a standard deviation more.
//!
//! Expectation and deviation are those of one value drawn at random from a frame drawn from the predictive, so they are
//! two numbers a frame. Two numbers for each value, of the model or of held-out frames, would forgive what lies where the
//! model is unsure, and a stroke that does not belong makes the model unsure where it lies.

use burn::tensor::Tensor;

use super::expectation::Expectation;
use crate::elbo::reconstruction::log_bernoulli;
use crate::model::{Decoder, Likelihood};

/// A mean nearer to 0 or 1 than one step of a byte is taken for one step away: frames of bytes cannot show more.
const RESOLUTION: f64 = 1.0 / 255.0;
/// Least variance that is divided by, for frames of which every value is certain.
const LEAST_VARIANCE: f64 = 1e-6;

/// The standardised surprise of each value under the cluster of `expectation`.
///
/// The predictive of a Bernoulli decoder is Bernoulli with the mean over z; that of a Gaussian one is taken as Gaussian
/// with its moments, mean and σ² + Var(x̂).
///
/// # Shapes
/// - `x`: `[B,P]`
/// - output: `[B,P]`, standard deviations
pub fn map(expectation: &Expectation, x: Tensor<2>, decoder: &Decoder) -> Tensor<2> {
    let mean = expectation.mean.clone();
    // -log p of what is seen, then its expectation and variance under the predictive of the value, all [B,P].
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
            // Constants cancel. Twice the surprise is (x - mean)²/variance, χ² of one degree, and log variance.
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
