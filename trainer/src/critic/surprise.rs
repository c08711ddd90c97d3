//! H3: where a frame is not what its cluster expects.
//!
//! The surprise -log p(x_p|x,c) of a value under the predictive of its frame, z averaged out, less its mean and over its
//! standard deviation under that same predictive: 0 is what the model expects of the value, 1 a standard deviation more.
//! Raw surprise would be high wherever the model is unsure, on every edge of every digit.

use burn::tensor::Tensor;

use super::expectation::Expectation;
use crate::model::{Decoder, Likelihood};

/// A mean nearer to 0 or 1 than one step of a byte is taken for one step away: frames of bytes cannot show more.
const RESOLUTION: f64 = 1.0 / 255.0;

/// The standardised surprise of each value under the cluster of `expectation`.
///
/// - Bernoulli with mean μ: -log p(x) is linear in x, so it is (x - μ) / √(μ(1 - μ)), with the sign that makes the less
///   probable side positive.
/// - Gaussian with mean μ and variance σ² + Var(x̂), the moments of the predictive: ((x - μ)²/variance - 1) / √2.
///
/// # Shapes
/// - `x`: `[B,P]`
/// - output: `[B,P]`, standard deviations
pub fn map(expectation: &Expectation, x: Tensor<2>, decoder: &Decoder) -> Tensor<2> {
    let mean = expectation.mean.clone();
    match decoder.likelihood {
        Likelihood::Bernoulli => {
            let mean = mean.clamp(RESOLUTION, 1.0 - RESOLUTION);
            let deviation = (mean.clone() * (mean.clone().neg() + 1.0)).sqrt();
            let towards_ink = (x - mean.clone()) / deviation;
            towards_ink.clone().mask_where(mean.greater_elem(0.5), towards_ink.neg())
        }
        Likelihood::Gaussian => {
            let squared = (x - mean).square();
            // E(x - x̂)² = (x - E x̂)² + Var x̂.
            let spread = (expectation.squared_error.clone() - squared.clone()).clamp_min(0.0);
            let variance = spread + decoder.log_noise.val().exp().reshape([1, 1]);
            (squared / variance - 1.0) / 2f64.sqrt()
        }
    }
}
