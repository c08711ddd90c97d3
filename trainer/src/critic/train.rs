//! Training of the critic: least squares on exact maps, by Adam.

use burn::module::Module;
use burn::nn::Linear;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand::seq::SliceRandom;

use super::measure::exact_part;
use super::network::{Critic, HIDDEN, Layout, Network};
use crate::config::EncoderKind;
use crate::data::Source;
use crate::error::{Error, Result};
use crate::explain::trust;
use crate::fitted::{Fitted, encode, to_host};
use crate::model::{Init, Likelihood};
use crate::rng::{Purpose, stream};

/// Most frames that a critic is trained on.
const MAX_FRAMES: usize = 20_000;
/// Steps of the training of a critic.
pub const STEPS: usize = 4000;
/// Frames of a step.
const BATCH: usize = 256;
/// Highest learning rate: it rises along a cosine for the first part of the steps, and falls to 0
/// along another.
const LEARNING_RATE: f64 = 5e-2;
/// Steps in which the learning rate rises.
const RISE: usize = STEPS * 3 / 10;
/// Logits that values of 0 and 1 begin at.
const EDGE: f32 = 0.02;

/// Examples to learn from: means m `[N,D]`, frames as the model takes them `[N,P]`, exact maps
/// `[N,P]`.
#[derive(Default)]
struct Examples {
    mu: Vec<f32>,
    x: Vec<f32>,
    map: Vec<f32>,
}

impl Examples {
    /// Draws at most [`MAX_FRAMES`] of the frames and computes their exact maps.
    fn new(fitted: &Fitted, frames: &dyn Source, device: &Device) -> Result<Self> {
        let mut order: Vec<usize> = (0..frames.len()).collect();
        order.shuffle(&mut stream(fitted.config.seed, Purpose::Critic, 0));
        order.truncate(MAX_FRAMES);
        let scaled = fitted.prepare(&frames.gather(&order)?)?.all()?;
        let noise = trust::noise(&fitted.model)?;
        let (mut mu, mut map) = (Vec::new(), Vec::with_capacity(scaled.values.len()));
        encode(&fitted.model, &scaled, device, |_, x, posterior| {
            map.extend(to_host(exact_part(fitted, x, &posterior, noise))?);
            mu.extend(to_host(posterior.mu_z)?);
            Ok(())
        })?;
        Ok(Self { mu, x: scaled.values, map })
    }
}

/// Trains a critic for a model on frames in the units of the data, at most 20,000 of them.
///
/// `progress` hears the steps done.
///
/// # Errors
/// [`crate::Error::Config`] as for [`factor`](super::factor), [`crate::Error::Data`] if the frames
/// have another shape than the model takes, [`Error::Model`] if the encoder is linear.
pub fn train(fitted: &Fitted, frames: &dyn Source, device: &Device, progress: &mut dyn FnMut(usize)) -> Result<Critic> {
    if fitted.config.encoder.kind == EncoderKind::Identity {
        let problem = "its decoder gives every value back, so there is no trust to learn; a network has some";
        return Err(Error::model("critic", problem));
    }
    let tracking = device.clone().autodiff();
    let mut examples = Examples::default();
    let mut critic = Critic::of(fitted, |layout| {
        examples = Examples::new(fitted, frames, device)?;
        begin(fitted, &examples, layout, &tracking)
    })?;
    let count = examples.x.len() / fitted.inner_shape().len();
    let mut optimizer = AdamConfig::new().init();
    let enlarge = critic.enlarge(&tracking);
    for step in 0..STEPS {
        let mut rng = stream(fitted.config.seed, Purpose::Critic, 2 + step as u64);
        let picked: Vec<usize> = (0..BATCH).map(|_| rng.random_range(0..count)).collect();
        let rows = |values: &[f32]| {
            let width = values.len() / count;
            let values: Vec<f32> = picked.iter().flat_map(|&n| &values[n * width..(n + 1) * width]).copied().collect();
            Tensor::<2>::from_data(TensorData::new(values, [BATCH, width]), &tracking)
        };
        let found = critic.forward(rows(&examples.x), rows(&examples.mu), &enlarge);
        let loss = (found - rows(&examples.map)).square().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &critic.network);
        critic.network = optimizer.step(learning_rate(step), critic.network, gradients);
        progress(step + 1);
    }
    critic.network = critic.network.valid();
    Ok(critic)
}

/// Learning rate of a step.
fn learning_rate(step: usize) -> f64 {
    let (at, turns) = if step < RISE { (step, RISE) } else { (STEPS - step, STEPS - RISE) };
    LEARNING_RATE * 0.5 * (1.0 - (std::f64::consts::PI * at as f64 / turns as f64).cos())
}

/// A network to begin with: random weights, m standardised by the first layer, the mean frame as
/// bias.
///
/// # Errors
/// [`crate::Error::Resource`] if the device fails.
fn begin(fitted: &Fitted, examples: &Examples, layout: &Layout, device: &Device) -> Result<Network> {
    let mut init = Init { rng: stream(fitted.config.seed, Purpose::Critic, 1), device };
    let (d, p, side) = (layout.latent, layout.shape.len(), layout.side);
    let (mean, deviation) = moments(&examples.mu, d);
    let first = init.linear(d, HIDDEN[0]);
    let (mut weight, mut bias) = (to_host(first.weight.val())?, vec![0.0; HIDDEN[0]]);
    for ((row, deviation), mean) in weight.chunks_exact_mut(HIDDEN[0]).zip(&deviation).zip(&mean) {
        for (weight, bias) in row.iter_mut().zip(&mut bias) {
            *weight /= deviation;
            *bias -= *weight * mean;
        }
    }
    let first = Linear { weight: init.param(weight, [d, HIDDEN[0]]), bias: Some(init.param(bias, [HIDDEN[0]])) };
    let (typical, _) = moments(&examples.x, p);
    let typical = typical.into_iter().map(|v| match fitted.likelihood {
        Likelihood::Bernoulli => {
            let v = v.clamp(EDGE, 1.0 - EDGE);
            (v / (1.0 - v)).ln()
        }
        Likelihood::Gaussian => v,
    });
    Ok(Network {
        first,
        second: init.linear(HIDDEN[0], HIDDEN[1]),
        third: init.linear(HIDDEN[1], layout.places),
        local: init.param(vec![0.0; layout.shape.channels * side * side], [layout.shape.channels, 1, side, side]),
        bias: init.param(typical.collect(), [p]),
    })
}

/// Mean and standard deviation of each column; a column without spread has deviation 1.
fn moments(values: &[f32], width: usize) -> (Vec<f32>, Vec<f32>) {
    let count = (values.len() / width) as f64;
    let (mut sum, mut squares) = (vec![0.0f64; width], vec![0.0f64; width]);
    for row in values.chunks_exact(width) {
        for ((v, sum), squares) in row.iter().zip(&mut sum).zip(&mut squares) {
            *sum += f64::from(*v);
            *squares += f64::from(*v).powi(2);
        }
    }
    let mean: Vec<f64> = sum.iter().map(|sum| sum / count).collect();
    let deviation = squares.iter().zip(&mean).map(|(s, m)| (s / count - m * m).max(0.0).sqrt());
    let deviation = deviation.map(|d| if d > 1e-6 { d as f32 } else { 1.0 }).collect();
    (mean.into_iter().map(|m| m as f32).collect(), deviation)
}
