//! Initial weights, from the run's own random numbers rather than from a backend's global state.

use burn::module::{Initializer, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Draws the weights of layers, uniform in ±1/√fan_in.
pub struct Init<'a> {
    /// Source of the random numbers.
    pub rng: ChaCha8Rng,
    /// Device that the weights live on.
    pub device: &'a Device,
}

impl Init<'_> {
    /// A tensor of numbers uniform in ±`bound`.
    pub fn uniform<const D: usize>(&mut self, shape: [usize; D], bound: f32) -> Param<Tensor<D>> {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| (self.rng.random::<f32>() * 2.0 - 1.0) * bound).collect();
        self.param(values, shape)
    }

    /// A tensor with these values.
    pub fn param<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device))
    }

    /// A dense layer with random weights and biases, uniform in ±1/√inputs.
    pub fn linear(&mut self, inputs: usize, outputs: usize) -> Linear {
        let bound = 1.0 / (inputs as f32).sqrt();
        Linear { weight: self.uniform([inputs, outputs], bound), bias: Some(self.uniform([outputs], bound)) }
    }

    /// A convolution with a square kernel and stride 2 that halves the image, rounding up.
    pub fn conv(&mut self, inputs: usize, outputs: usize, kernel: usize) -> Conv2d {
        let bound = 1.0 / ((inputs * kernel * kernel) as f32).sqrt();
        let pad = kernel / 2;
        let mut conv = Conv2dConfig::new([inputs, outputs], [kernel, kernel])
            .with_stride([2, 2])
            .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
            .with_initializer(Initializer::Zeros)
            .init(self.device);
        conv.weight = self.uniform([outputs, inputs, kernel, kernel], bound);
        conv.bias = Some(self.uniform([outputs], bound));
        conv
    }
}
