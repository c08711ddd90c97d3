//! The network: latent mean to a coarse grid, enlarged, with a small convolution of the frame
//! beside it.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use runtime::flash::CriticNetwork;

use crate::data::Source;
use crate::error::{Error, Result};
use crate::explain::trust;
use crate::fitted::{Fitted, encode, to_host};
use crate::frame::{FrameKind, FrameShape};
use crate::model::Likelihood;

/// Most weights and biases together.
pub const MAX_PARAMETERS: usize = 20_000;
/// Units of the two hidden layers.
pub(super) const HIDDEN: [usize; 2] = [96, 60];
/// Most values of a frame, in each direction, for each of the grid.
const MAX_FACTOR: usize = 8;
/// Side of the local kernels, where values that lie beside each other have to do with each other.
const SIDE: usize = 5;

/// Learned parts of a critic; [`CriticNetwork`] says how they are put together.
#[derive(Module, Debug)]
pub struct Network {
    /// First layer, from the latent mean m.
    pub first: Linear,
    /// Second layer, between the hidden ones.
    pub second: Linear,
    /// Third layer, to the values of the grid.
    pub third: Linear,
    /// Kernels of the local convolution, one a channel `[C,1,side,side]`.
    pub local: Param<Tensor<4>>,
    /// Bias of every value of the frame `[P]`, added to the enlarged grid.
    pub bias: Param<Tensor<1>>,
}

/// Sizes of the layers of a [`Network`].
pub(super) struct Layout {
    /// Number of latent dimensions D.
    pub latent: usize,
    /// Shape of a frame.
    pub shape: FrameShape,
    /// Values of the grid, of all channels.
    pub places: usize,
    /// Side of the local kernels.
    pub side: usize,
}

impl Network {
    /// A network whose weights are all 0, to be read from a file.
    fn zeros(layout: &Layout, device: &Device) -> Self {
        fn zeros<const R: usize>(shape: [usize; R], device: &Device) -> Param<Tensor<R>> {
            Param::from_tensor(Tensor::zeros(shape, device))
        }
        let linear =
            |inputs, outputs| Linear { weight: zeros([inputs, outputs], device), bias: Some(zeros([outputs], device)) };
        let (shape, side) = (layout.shape, layout.side);
        Self {
            first: linear(layout.latent, HIDDEN[0]),
            second: linear(HIDDEN[0], HIDDEN[1]),
            third: linear(HIDDEN[1], layout.places),
            local: zeros([shape.channels, 1, side, side], device),
            bias: zeros([shape.len()], device),
        }
    }
}

/// A critic for one model.
#[derive(Clone, Debug)]
pub struct Critic {
    /// Weights, without gradient tracking.
    pub network: Network,
    /// Values of a frame, in each direction, for each of the grid.
    pub factor: usize,
    /// Noise s² of a value, which the map is scaled by.
    noise: f32,
    /// Shape of a frame.
    shape: FrameShape,
    likelihood: Likelihood,
}

/// The factor of the finest grid that keeps within [`MAX_PARAMETERS`].
///
/// The values of a feature row are not neighbours: nothing lies between two of them, so their
/// factor is 1.
///
/// # Errors
/// [`Error::Config`] if no grid is coarse enough.
pub fn factor(shape: FrameShape, kind: FrameKind, latent: usize) -> Result<usize> {
    let most = if kind == FrameKind::Features { 1 } else { MAX_FACTOR };
    (1..=most).find(|factor| parameters(shape, *factor, latent) <= MAX_PARAMETERS).ok_or_else(|| {
        let problem = format!("frames of {shape} with {latent} latent dimensions need a critic of more than");
        Error::config("frames", format!("{problem} {MAX_PARAMETERS} parameters; explain them with the decoder"))
    })
}

/// Rows and columns of the grid of one channel.
fn grid(shape: FrameShape, factor: usize) -> [usize; 2] {
    [shape.height.div_ceil(factor), shape.width.div_ceil(factor)]
}

/// Side of the local kernels for a kind of frame; 1 where values have no neighbours.
fn side(kind: FrameKind) -> usize {
    if kind == FrameKind::Features { 1 } else { SIDE }
}

/// Number of weights and biases with a grid of this factor.
fn parameters(shape: FrameShape, factor: usize, latent: usize) -> usize {
    let places = shape.channels * grid(shape, factor).iter().product::<usize>();
    (latent + 1) * HIDDEN[0]
        + (HIDDEN[0] + 1) * HIDDEN[1]
        + (HIDDEN[1] + 1) * places
        + shape.len()
        + shape.channels * SIDE * SIDE
}

impl Critic {
    /// Reads the critic of a model from a file that [`crate::run::save_critic`] wrote.
    ///
    /// # Errors
    /// As for [`factor`]; [`Error::Model`] if the file is not such a critic's.
    pub fn load(fitted: &Fitted, path: &std::path::Path, device: &Device) -> Result<Self> {
        let empty = Self::of(fitted, |layout| Ok(Network::zeros(layout, device)))?;
        let network = empty.network.try_load_file(path).map_err(|e| Error::model(path, e))?;
        Ok(Self { network, ..empty })
    }

    /// A critic of the shape that suits a model, with the network that `make` gives.
    pub(super) fn of(fitted: &Fitted, make: impl FnOnce(&Layout) -> Result<Network>) -> Result<Self> {
        let (shape, kind, latent) = (fitted.inner_shape(), fitted.inner_kind(), fitted.config.latent);
        let factor = factor(shape, kind, latent)?;
        let places = shape.channels * grid(shape, factor).iter().product::<usize>();
        let network = make(&Layout { latent, shape, places, side: side(kind) })?;
        let noise = trust::noise(&fitted.model)?;
        Ok(Self { network, factor, noise, shape, likelihood: fitted.likelihood })
    }

    /// Number of weights and biases together.
    pub fn parameters(&self) -> usize {
        self.network.num_params()
    }

    /// Factor 1/(2s²) of the squared error, s² the noise of a value.
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

    /// The trust map `[N,P]` of frames in the units of the data.
    ///
    /// # Errors
    /// [`Error::Data`] if they have another shape than the model takes.
    pub fn maps(&self, fitted: &Fitted, frames: &dyn Source, device: &Device) -> Result<Vec<f32>> {
        let enlarge = self.enlarge(device);
        let mut maps = Vec::with_capacity(frames.len() * fitted.inner_shape().len());
        encode(&fitted.model, &fitted.prepare(frames)?, device, |_, x, posterior| {
            maps.extend(to_host(self.forward(x, posterior.mu_z, &enlarge))?);
            Ok(())
        })?;
        Ok(maps)
    }

    /// The trust map exp(-(x - x̂)²/(2s²)) of frames, x̂ the mean that the network expects of each
    /// value.
    ///
    /// x̂ is the grid that the latent mean gives, enlarged by linear interpolation (a product with
    /// `enlarge`), plus a bias a value, plus the local convolution of x; for a Bernoulli decoder
    /// the sigmoid of that.
    ///
    /// # Shapes
    /// - `x`: `[B,P]`, as the model takes it; `mu`: `[B,D]`; `enlarge`: [`Critic::enlarge`]
    /// - output: `[B,P]`, in (0, 1]
    pub(super) fn forward(&self, x: Tensor<2>, mu: Tensor<2>, enlarge: &Tensor<2>) -> Tensor<2> {
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
    pub(super) fn enlarge(&self, device: &Device) -> Tensor<2> {
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

    /// Rows and columns of the grid that each value of a channel lies between, with their shares.
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
