//! The hot layers of training on the CPU: one pass over memory where Burn's CPU backend takes many.
//!
//! Each has the value and the gradient of the same thing written with Burn's own operations, which
//! GPUs run (`tests/trainer/cpu_layers.rs` compares them). Work is cut into parts of a fixed size
//! and their sums are added in order, so results do not depend on the number of threads.

mod adam;
mod autodiff;
mod bernoulli;
mod conv_block;
#[expect(unsafe_code, reason = "the matrix product takes pointers")]
mod gemm;
mod norm_block;
mod vectors;

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::{Device, Tensor};

use adam::Factors;
pub use adam::optimizer;
use conv_block::Shape;

/// Whether `device` is the CPU backend, which these layers are for.
pub fn on_cpu(device: &Device) -> bool {
    device.clone().inner() == Device::flex()
}

/// Output of [`conv_block`] and of [`norm_block`].
pub struct Normalised {
    /// Normalised values after ReLU: `[B, rows·columns·O]`, channels last, of a convolution, else
    /// `[B,W]`.
    pub output: Tensor<2>,
    /// Mean of each channel or column over the batch `[O]`, without gradient.
    pub mean: Tensor<1>,
    /// Biased variance of each channel or column over the batch `[O]`, without gradient.
    pub variance: Tensor<1>,
}

/// A convolution with an odd square kernel and stride 2, batch normalisation with the batch's own
/// statistics, ReLU.
///
/// # Shapes
/// - `maps`: `[B, H·W·C]`, channels last; `size`: `[H,W]`
/// - `weight`: `[O,C,k,k]`; `bias`, `gamma`, `beta`: `[O]`
/// - output: `[B, ⌈H/2⌉·⌈W/2⌉·O]`, channels last
///
/// # Panics
/// If the shapes do not fit, or the tensors are not on the CPU.
pub fn conv_block(
    maps: Tensor<2>,
    size: [usize; 2],
    weight: Tensor<4>,
    bias: Tensor<1>,
    [gamma, beta]: [Tensor<1>; 2],
    epsilon: f64,
) -> Normalised {
    let [outputs, channels, kernel, _] = weight.dims();
    let shape = Shape { frames: maps.dims()[0], height: size[0], width: size[1], channels, outputs, kernel };
    assert_eq!(maps.dims()[1], size[0] * size[1] * channels, "maps of another size");
    let (output, mean, variance) = <Dispatch as CpuLayers>::conv_block(
        maps.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        shape,
        epsilon,
    );
    Normalised {
        output: Tensor::from_dispatch(output),
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    }
}

/// Batch normalisation of each column with the batch's own statistics, then ReLU.
///
/// # Shapes
/// - `input`: `[B,W]`; `gamma`, `beta`: `[W]`
/// - output: `[B,W]`
///
/// # Panics
/// If the shapes do not fit, or the tensors are not on the CPU.
pub fn norm_block(input: Tensor<2>, [gamma, beta]: [Tensor<1>; 2], epsilon: f64) -> Normalised {
    assert_eq!([input.dims()[1]; 2], [gamma.dims()[0], beta.dims()[0]], "columns and what they are scaled by");
    let (output, mean, variance) = <Dispatch as CpuLayers>::norm_block(
        input.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        epsilon,
    );
    Normalised {
        output: Tensor::from_dispatch(output),
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    }
}

/// Log likelihood of a Bernoulli, Σ_p log Bernoulli(x_p; sigmoid(logit_p)) of each row.
///
/// A value's part of it is that of [`crate::elbo::reconstruction::log_bernoulli`].
///
/// # Shapes
/// - `frames`: `[N,P]`; `logits`: `[N·R,P]`, R rows for each frame in turn
/// - output: `[N·R]`, nats; no gradient flows to `frames`
///
/// # Panics
/// If the shapes do not fit, or the tensors are not on the CPU.
pub fn bernoulli(frames: Tensor<2>, logits: Tensor<2>) -> Tensor<1> {
    let ([n, p], [rows, q]) = (frames.dims(), logits.dims());
    assert!(p == q && n > 0 && rows.is_multiple_of(n), "{rows} rows of {q} logits for {n} frames of {p} values");
    let output = <Dispatch as CpuLayers>::bernoulli(frames.into_dispatch(), logits.into_dispatch());
    Tensor::from_dispatch(output)
}

/// The layers as operations of a backend, which is how Burn lets gradients be written by hand.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait CpuLayers: Backend {
    /// Convolution block as an operation of a backend, see [`conv_block`]: output, mean, variance.
    fn conv_block(
        maps: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        shape: Shape,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Log likelihood as an operation of a backend, see [`bernoulli`].
    fn bernoulli(frames: FloatTensor<Self>, logits: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Normalisation as an operation of a backend, see [`norm_block`]: output, mean, variance.
    fn norm_block(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// One step of Adam: values and both moments after it; nothing is tracked.
    fn adam(
        values: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        factors: Factors,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}
