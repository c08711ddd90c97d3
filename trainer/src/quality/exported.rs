//! The model as the exported f16 files hold it: normalisation folded, weights rounded, biases and
//! head in f32.

use burn::module::{Param, RunningState};
use burn::nn::{BatchNorm, Linear};
use burn::tensor::{Device, Tensor, TensorData};
use half::f16;

use crate::error::Result;
use crate::export::{Folded, FoldedDense};
use crate::fitted::{Fitted, to_host};

/// The model that `model.onnx` and `decoder.onnx` with f16 weights compute, every product in f32.
///
/// # Errors
/// [`crate::Error::Resource`] if the weights cannot be read from the device.
pub fn as_exported(fitted: &Fitted) -> Result<Fitted> {
    let folded = Folded::new(fitted)?;
    let mut out = fitted.clone();
    let device = &out.model.prior.mu_c.val().device();
    for (block, layer) in out.model.encoder.convs.iter_mut().zip(&folded.convs) {
        let [outputs, inputs, kernel] = layer.shape;
        block.conv.weight = param(rounded(&layer.weight), [outputs, inputs, kernel, kernel], device);
        block.conv.bias = Some(param(layer.bias.clone(), [outputs], device));
        pass_through(&mut block.norm, outputs, device);
    }
    for (block, layer) in out.model.encoder.dense.iter_mut().zip(&folded.dense) {
        round(&mut block.linear, layer, device);
        pass_through(&mut block.norm, layer.shape[1], device);
    }
    round(&mut out.model.encoder.mu, &folded.mu, device);
    round(&mut out.model.encoder.log_var, &folded.log_var, device);
    if let (Some(head), Some(layer)) = (&mut out.model.cluster_head, &folded.cluster_logits) {
        round(head, layer, device);
    }
    let decoder = &mut out.model.decoder;
    let from_c = to_host(decoder.from_c.val())?;
    decoder.from_c = param(rounded(&from_c), decoder.from_c.dims(), device);
    for layer in decoder.hidden.iter_mut().chain([&mut decoder.from_z, &mut decoder.output]) {
        let whole = FoldedDense::of(layer)?;
        round(layer, &whole, device);
    }
    Ok(out)
}

/// Puts `folded` into a layer, its weights rounded.
fn round(layer: &mut Linear, folded: &FoldedDense, device: &Device) {
    layer.weight = param(rounded(&folded.weight), folded.shape, device);
    layer.bias = Some(param(folded.bias.clone(), [folded.shape[1]], device));
}

/// Makes a normalisation that is folded into the layer before it do nothing.
fn pass_through(norm: &mut BatchNorm, width: usize, device: &Device) {
    norm.gamma = param(vec![1.0; width], [width], device);
    norm.beta = param(vec![0.0; width], [width], device);
    norm.running_mean = RunningState::new(Tensor::zeros([width], device));
    norm.running_var = RunningState::new(Tensor::ones([width], device) - norm.epsilon);
}

fn rounded(values: &[f32]) -> Vec<f32> {
    values.iter().map(|&v| f16::from_f32(v).to_f32()).collect()
}

fn param<const R: usize>(values: Vec<f32>, shape: [usize; R], device: &Device) -> Param<Tensor<R>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device))
}
