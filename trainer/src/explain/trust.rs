//! Trust: the paper's critic in closed form, low where frame and reconstruction disagree.
//!
//! The paper trains a network towards exp(-2 - ½(x_p - x̂_p)²); without its constant factor this is
//! that optimum, with the noise s² of a value made explicit and the squared error averaged over z.
//! An error of one standard deviation of the noise gives exp(-½) = 0.61, one of three gives 0.01,
//! whatever the units of the data. One expectation, 2D passes of the decoder, is all that it takes.

use burn::tensor::Tensor;

use super::expectation::Expectation;
use crate::error::Result;
use crate::fitted::to_host;
use crate::model::{ClusterVae, Likelihood};

/// Least s², so that a decoder without any noise gives 0 and 1 and no NaN.
const LEAST_NOISE: f32 = 1e-6;

/// Noise s² of a value: one number a model, so that the map is a function of the error alone.
///
/// The Gaussian decoder has it as a weight. The Bernoulli decoder has no such weight; its
/// counterpart is the variance x̂(1 - x̂) that it gives to a value, averaged over the values of the
/// K frames at the centres μ_c of the clusters.
pub fn noise(model: &ClusterVae) -> Result<f32> {
    let variance = match model.decoder.likelihood {
        Likelihood::Gaussian => to_host(model.decoder.log_noise.val().exp())?[0],
        Likelihood::Bernoulli => {
            let clusters = super::indices(0..model.prior.clusters(), &model.prior.mu_c.val().device());
            let mean = model.decoder.mean(model.decoder.forward_of(model.prior.mu_c.val(), clusters));
            to_host((mean.clone() * (mean.neg() + 1.0)).mean())?[0]
        }
    };
    Ok(variance.max(LEAST_NOISE))
}

/// Trust in each value, exp(-½ E(x_p - x̂_p)²/s²); `noise` is s².
///
/// # Shapes
/// - output: `[B,P]`, in (0, 1]
pub fn map(expectation: &Expectation, noise: f32) -> Tensor<2> {
    (expectation.squared_error.clone() * (-0.5 / noise)).exp()
}
