//! The amortised critic: a network of at most 20,000 parameters that gives H1 in one pass from the latent mean, where the
//! exact map takes 2D passes of the decoder.
//!
//! It is trained after the fit, on frames and exact maps alone: it sees no label and changes nothing of the model.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand::seq::SliceRandom;
use runtime::flash::{Buffer, CriticNetwork, FlashModel};
use runtime::native;

use super::expectation::{Expectation, nodes};
use super::trust;
use crate::data::{FrameKind, FrameShape, Frames};
use crate::error::{Error, Result};
use crate::fit::{Fitted, encode, to_host};
use crate::model::{Init, Likelihood, Posterior};
use crate::rng::{Purpose, stream};

/// Most weights and biases together.
pub const MAX_PARAMETERS: usize = 20_000;
/// Units of the two hidden layers.
const HIDDEN: [usize; 2] = [96, 60];
/// Most values of a frame, in each direction, for each of the grid.
const MAX_FACTOR: usize = 8;
/// Most frames that it is trained on.
const MAX_FRAMES: usize = 20_000;
/// Steps of its training.
pub const STEPS: usize = 4000;
const BATCH: usize = 256;
/// Highest learning rate: it rises along a cosine for the first part of the steps, and falls to 0 along another.
const LEARNING_RATE: f64 = 5e-2;
const RISE: usize = STEPS * 3 / 10;
/// Side of the local kernels, where values that lie beside each other have to do with each other.
const SIDE: usize = 5;
/// Logits that values of 0 and 1 begin at.
const EDGE: f32 = 0.02;

/// What is learned; [`CriticNetwork`] says how it is put together.
#[derive(Module, Debug)]
pub struct Network {
    /// From m.
    pub first: Linear,
    /// Between.
    pub second: Linear,
    /// To the grid.
    pub third: Linear,
    /// Kernels of the local convolution, one a channel `[C,1,side,side]`.
    pub local: Param<Tensor<4>>,
    /// Added to the enlarged grid `[P]`.
    pub bias: Param<Tensor<1>>,
}

/// A critic for one model.
#[derive(Clone, Debug)]
pub struct Amortised {
    /// Weights, without gradient tracking.
    pub network: Network,
    /// Values of a frame, in each direction, for each of the grid.
    pub factor: usize,
    /// s², the noise of a value.
    noise: f32,
    /// Shape of a frame.
    shape: FrameShape,
    likelihood: Likelihood,
}

/// How well a map agrees with the exact one.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Agreement {
    /// R² over all values of all frames: 1 - Σ(exact - found)² / Σ(exact - mean of all)².
    pub r_squared: f64,
    /// Mean over frames of the same within one frame; frames whose exact map is constant are left out.
    pub mean_of_frames: f64,
}

/// The factor of the finest grid that keeps within [`MAX_PARAMETERS`].
///
/// # Errors
/// [`Error::Config`] if there is none. The values of a feature row are not neighbours: nothing lies between two of them, so
/// their factor is 1.
pub fn factor(shape: FrameShape, kind: FrameKind, latent: usize) -> Result<usize> {
    let most = if kind == FrameKind::Features { 1 } else { MAX_FACTOR };
    (1..=most).find(|factor| parameters(shape, *factor, latent) <= MAX_PARAMETERS).ok_or_else(|| {
        let problem = format!("frames of {shape} with {latent} latent dimensions need a critic of more than");
        Error::config("frames", format!("{problem} {MAX_PARAMETERS} parameters; explain them with the decoder"))
    })
}

fn grid(shape: FrameShape, factor: usize) -> [usize; 2] {
    [shape.height.div_ceil(factor), shape.width.div_ceil(factor)]
}

fn side(kind: FrameKind) -> usize {
    if kind == FrameKind::Features { 1 } else { SIDE }
}

fn parameters(shape: FrameShape, factor: usize, latent: usize) -> usize {
    let places = shape.channels * grid(shape, factor).iter().product::<usize>();
    (latent + 1) * HIDDEN[0]
        + (HIDDEN[0] + 1) * HIDDEN[1]
        + (HIDDEN[1] + 1) * places
        + shape.len()
        + shape.channels * SIDE * SIDE
}

/// The exact H1 `[N,P]` of frames in the units of the data, under the cluster that the device gives.
///
/// # Errors
/// [`Error::Data`] if they have another shape than the model takes.
pub fn exact(fitted: &Fitted, frames: &Frames, device: &Device) -> Result<Vec<f32>> {
    let noise = trust::noise(&fitted.model)?;
    let mut maps = Vec::with_capacity(frames.values.len());
    encode(&fitted.model, &fitted.scale(frames)?, device, |_, x, posterior| {
        maps.extend(to_host(exact_part(fitted, x, &posterior, noise))?);
        Ok(())
    })?;
    Ok(maps)
}

fn exact_part(fitted: &Fitted, x: Tensor<2>, posterior: &Posterior, noise: f32) -> Tensor<2> {
    let cluster = fitted.model.log_responsibilities(posterior).argmax(1).squeeze_dim::<1>(1);
    trust::map(&Expectation::new(&fitted.model.decoder, x, nodes(posterior), cluster), noise)
}

/// H1 `[N,P]` of frames in the units of the data, by the native engine on a flash image.
///
/// # Errors
/// [`Error::Model`] if the image has no critic, [`Error::Data`] if a frame is refused.
pub fn native(image: &[u8], frames: &Frames) -> Result<Vec<f32>> {
    let fault = |e: &dyn std::fmt::Display| Error::model(std::path::Path::new("model.cvi"), e);
    let bytes = Buffer::copy_of(image);
    let image = FlashModel::new(&bytes).map_err(|e| fault(&e))?;
    let network =
        CriticNetwork::new(&image).map_err(|e| fault(&e))?.ok_or_else(|| fault(&native::CriticError::Absent))?;
    let mut memory = [native::scratch_len(&image), native::critic_scratch_len(&network)].map(|len| vec![0.0; len]);
    let [encoder, critic] = &mut memory;
    let mut critic = native::Critic::new(&image, critic).map_err(|e| fault(&e))?;
    let mut engine = native::Engine::new(image, encoder).map_err(|e| fault(&e))?;
    let mut maps = vec![0.0; frames.values.len()];
    let p = frames.shape.len();
    for (frame, map) in frames.values.chunks_exact(p).zip(maps.chunks_exact_mut(p)) {
        engine.explain(&mut critic, frame, map).map_err(|e| Error::data(std::path::Path::new("frames"), e))?;
    }
    Ok(maps)
}

/// Compares maps `[N,P]` with exact ones; `p` values a frame.
pub fn agreement(exact: &[f32], found: &[f32], p: usize) -> Agreement {
    let shares: Vec<f64> = exact
        .chunks_exact(p)
        .zip(found.chunks_exact(p))
        .map(|(exact, found)| r_squared(exact, found))
        .filter(|share| share.is_finite())
        .collect();
    let mean_of_frames = shares.iter().sum::<f64>() / shares.len() as f64;
    Agreement { r_squared: r_squared(exact, found), mean_of_frames }
}

fn r_squared(exact: &[f32], found: &[f32]) -> f64 {
    let mean = exact.iter().map(|v| f64::from(*v)).sum::<f64>() / exact.len() as f64;
    let missed: f64 = exact.iter().zip(found).map(|(e, f)| (f64::from(*e) - f64::from(*f)).powi(2)).sum();
    let total: f64 = exact.iter().map(|e| (f64::from(*e) - mean).powi(2)).sum();
    1.0 - missed / total
}

/// Means m `[N,D]`, frames as the model takes them `[N,P]` and exact maps `[N,P]`.
struct Material {
    mu: Vec<f32>,
    x: Vec<f32>,
    map: Vec<f32>,
}

impl Material {
    fn new(fitted: &Fitted, frames: &Frames, device: &Device) -> Result<Self> {
        let mut order: Vec<usize> = (0..frames.len()).collect();
        order.shuffle(&mut stream(fitted.config.seed, Purpose::Critic, 0));
        order.truncate(MAX_FRAMES);
        let scaled = fitted.scale(&frames.select(&order))?;
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

impl Amortised {
    /// Trains a critic for a model on frames in the units of the data, at most 20,000 of them. `progress` hears the steps
    /// done.
    ///
    /// # Errors
    /// [`Error::Config`] as for [`factor`], [`Error::Data`] if the frames have another shape than the model takes.
    pub fn train(fitted: &Fitted, frames: &Frames, device: &Device, progress: &mut dyn FnMut(usize)) -> Result<Self> {
        let shape = fitted.shape;
        let factor = factor(shape, fitted.config.frames.of(shape), fitted.config.latent)?;
        let material = Material::new(fitted, frames, device)?;
        let tracking = device.clone().autodiff();
        let mut critic = Self {
            network: begin(fitted, &material, factor, &tracking)?,
            factor,
            noise: trust::noise(&fitted.model)?,
            shape,
            likelihood: fitted.likelihood,
        };
        let count = material.x.len() / shape.len();
        let mut optimizer = AdamConfig::new().init();
        let enlarge = critic.enlarge(&tracking);
        for step in 0..STEPS {
            let mut rng = stream(fitted.config.seed, Purpose::Critic, 2 + step as u64);
            let picked: Vec<usize> = (0..BATCH).map(|_| rng.random_range(0..count)).collect();
            let rows = |values: &[f32]| {
                let width = values.len() / count;
                let values: Vec<f32> =
                    picked.iter().flat_map(|&n| &values[n * width..(n + 1) * width]).copied().collect();
                Tensor::<2>::from_data(TensorData::new(values, [BATCH, width]), &tracking)
            };
            let found = critic.forward(rows(&material.x), rows(&material.mu), &enlarge);
            let loss = (found - rows(&material.map)).square().mean();
            let gradients = GradientsParams::from_grads(loss.backward(), &critic.network);
            critic.network = optimizer.step(learning_rate(step), critic.network, gradients);
            progress(step + 1);
        }
        critic.network = critic.network.valid();
        Ok(critic)
    }

    /// A critic with these weights, as [`Amortised::train`] begins it, to be loaded from a file.
    ///
    /// # Errors
    /// As for [`factor`].
    pub fn load(fitted: &Fitted, path: &std::path::Path, device: &Device) -> Result<Self> {
        let shape = fitted.shape;
        let factor = factor(shape, fitted.config.frames.of(shape), fitted.config.latent)?;
        let empty = Material { mu: vec![0.0; fitted.config.latent], x: vec![0.0; shape.len()], map: Vec::new() };
        let network = begin(fitted, &empty, factor, device)?;
        let network = network.try_load_file(path).map_err(|e| Error::model(path, e))?;
        let noise = trust::noise(&fitted.model)?;
        Ok(Self { network, factor, noise, shape, likelihood: fitted.likelihood })
    }

    /// Weights and biases together.
    pub fn parameters(&self) -> usize {
        self.network.num_params()
    }

    /// 1/(2s²), s the noise of a value.
    pub fn sharpness(&self) -> f32 {
        0.5 / self.noise
    }

    /// Side of the local kernels.
    pub fn side(&self) -> usize {
        self.network.local.dims()[2]
    }

    /// Whether the decoder is Bernoulli.
    pub fn bernoulli(&self) -> bool {
        self.likelihood == Likelihood::Bernoulli
    }

    /// H1 `[N,P]` of frames in the units of the data.
    ///
    /// # Errors
    /// [`Error::Data`] if they have another shape than the model takes.
    pub fn maps(&self, fitted: &Fitted, frames: &Frames, device: &Device) -> Result<Vec<f32>> {
        let enlarge = self.enlarge(device);
        let mut maps = Vec::with_capacity(frames.values.len());
        encode(&fitted.model, &fitted.scale(frames)?, device, |_, x, posterior| {
            maps.extend(to_host(self.forward(x, posterior.mu_z, &enlarge))?);
            Ok(())
        })?;
        Ok(maps)
    }

    /// H1.
    ///
    /// # Shapes
    /// - `x`: `[B,P]`, as the model takes it; `mu`: `[B,D]`; `enlarge`: [`Amortised::enlarge`]
    /// - output: `[B,P]`
    fn forward(&self, x: Tensor<2>, mu: Tensor<2>, enlarge: &Tensor<2>) -> Tensor<2> {
        let network = &self.network;
        let [b, p] = x.dims();
        let hidden = relu(network.second.forward(relu(network.first.forward(mu))));
        let grid = network.third.forward(hidden).reshape([b * self.shape.channels, enlarge.dims()[0]]);
        let mean = grid.matmul(enlarge.clone()).reshape([b, p]) + network.bias.val().unsqueeze_dim::<2>(0);
        let [c, h, w] = [self.shape.channels, self.shape.height, self.shape.width];
        let half = self.side() / 2;
        let options = ConvOptions::new([1, 1], [half, half], [1, 1], c);
        let local = conv2d(x.clone().reshape([b, c, h, w]), network.local.val(), None, options);
        let mean = mean + local.reshape([b, p]);
        let mean = if self.bernoulli() { sigmoid(mean) } else { mean };
        ((x - mean).square() * -self.sharpness()).exp()
    }

    /// The matrix `[places of the grid, H·W]` that enlarges the grid of a channel.
    fn enlarge(&self, device: &Device) -> Tensor<2> {
        let [rows, columns] = grid(self.shape, self.factor);
        let area = self.shape.height * self.shape.width;
        let mut matrix = vec![0.0; rows * columns * area];
        for (at, [down, across]) in self.taps().iter().enumerate() {
            for (row, share) in down {
                for (column, part) in across {
                    matrix[(row * columns + column) * area + at] += share * part;
                }
            }
        }
        Tensor::from_data(TensorData::new(matrix, [rows * columns, area]), device)
    }

    /// For each value of a channel, the rows and the columns of the grid it lies between, and their shares.
    fn taps(&self) -> Vec<[Taps; 2]> {
        let [rows, columns] = grid(self.shape, self.factor);
        let of = |at, length| {
            let (first, second, share) = CriticNetwork::tap(at, self.factor, length);
            [(first, 1.0 - share), (second, share)]
        };
        let places = (0..self.shape.height).flat_map(|row| (0..self.shape.width).map(move |column| (row, column)));
        places.map(|(row, column)| [of(row, rows), of(column, columns)]).collect()
    }
}

/// The two places of a grid that a value lies between along one side, and their shares.
type Taps = [(usize, f32); 2];

fn learning_rate(step: usize) -> f64 {
    let (at, turns) = if step < RISE { (step, RISE) } else { (STEPS - step, STEPS - RISE) };
    LEARNING_RATE * 0.5 * (1.0 - (std::f64::consts::PI * at as f64 / turns as f64).cos())
}

/// Random weights, m standardised by the first layer, the mean frame as bias.
///
/// # Errors
/// [`Error::Resource`] if the device fails.
fn begin(fitted: &Fitted, material: &Material, factor: usize, device: &Device) -> Result<Network> {
    let mut init = Init { rng: stream(fitted.config.seed, Purpose::Critic, 1), device };
    let (d, p) = (fitted.config.latent, fitted.shape.len());
    let places = fitted.shape.channels * grid(fitted.shape, factor).iter().product::<usize>();
    let side = side(fitted.config.frames.of(fitted.shape));
    let (mean, deviation) = moments(&material.mu, d);
    let first = init.linear(d, HIDDEN[0]);
    let (mut weight, mut bias) = (to_host(first.weight.val())?, vec![0.0; HIDDEN[0]]);
    for ((row, deviation), mean) in weight.chunks_exact_mut(HIDDEN[0]).zip(&deviation).zip(&mean) {
        for (weight, bias) in row.iter_mut().zip(&mut bias) {
            *weight /= deviation;
            *bias -= *weight * mean;
        }
    }
    let first = Linear { weight: init.param(weight, [d, HIDDEN[0]]), bias: Some(init.param(bias, [HIDDEN[0]])) };
    let (typical, _) = moments(&material.x, p);
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
        third: init.linear(HIDDEN[1], places),
        local: init.param(vec![0.0; fitted.shape.channels * side * side], [fitted.shape.channels, 1, side, side]),
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
