//! The encoder as plain layers on the host: normalisation is folded into the weights before it.
//!
//! A trained normalisation uses its running statistics, which are constants: γ (w·x + b -
//! mean)/√(var + ε) + β = (s w)·x + ((b - mean) s + β) with s = γ/√(var + ε), a number an output.
//! So weights of an output are multiplied by its s and the bias replaced, and what is left is a
//! layer without normalisation, equal in exact arithmetic; the ReLU after it is as before. The
//! device then needs no normalisation at all. Weights of a convolution lie output by output
//! `[O,C,k,k]`, those of a dense layer input by input `[inputs, outputs]`: hence the two loops.

use burn::nn::{BatchNorm, Linear};
use burn::tensor::Tensor;

use crate::error::Result;
use crate::fitted::{Fitted, to_host};
use crate::model::Encoder;

/// A convolution with stride 2 and zero padding of half the kernel, followed by ReLU.
#[derive(Clone, Debug)]
pub struct FoldedConv {
    /// Weights with the normalisation folded in `[O,C,k,k]`.
    pub weight: Vec<f32>,
    /// Outputs O, inputs C and side k of the kernel.
    pub shape: [usize; 3],
    /// Biases with the normalisation folded in `[O]`.
    pub bias: Vec<f32>,
}

/// A dense layer, with or without ReLU after it.
#[derive(Clone, Debug)]
pub struct FoldedDense {
    /// Weights `[inputs, outputs]`.
    pub weight: Vec<f32>,
    /// Number of inputs and number of outputs.
    pub shape: [usize; 2],
    /// Biases `[outputs]`.
    pub bias: Vec<f32>,
}

impl FoldedDense {
    /// A layer as it is; biases are 0 if it has none.
    ///
    /// # Errors
    /// [`crate::Error::Resource`] if the weights cannot be read from the device.
    pub fn of(linear: &Linear) -> Result<Self> {
        let shape = linear.weight.dims();
        let bias = match &linear.bias {
            Some(bias) => to_host(bias.val())?,
            None => vec![0.0; shape[1]],
        };
        Ok(Self { weight: to_host(linear.weight.val())?, shape, bias })
    }
}

/// Every layer of the encoder and what the head needs.
#[derive(Clone, Debug)]
pub struct Folded {
    /// Convolutions, each with ReLU.
    pub convs: Vec<FoldedConv>,
    /// Hidden dense layers, each with ReLU.
    pub dense: Vec<FoldedDense>,
    /// Head of the latent mean m.
    pub mu: FoldedDense,
    /// Head of the latent log-variance log v, before clamping.
    pub log_var: FoldedDense,
    /// Logits of a learned cluster head, if the model has one.
    pub cluster_logits: Option<FoldedDense>,
    /// Means μ_c of the clusters `[K,D]`.
    pub mu_c: Vec<f32>,
    /// Log-variances log σ_c² of the clusters `[K]`.
    pub log_var_c: Vec<f32>,
    /// log K p(c) of the clusters `[K]`, if p(c) is learned.
    pub log_weights: Option<Vec<f32>>,
}

impl Folded {
    /// Folds the normalisation of a fitted model.
    ///
    /// # Errors
    /// [`crate::Error::Resource`] if the weights cannot be read from the device.
    pub fn new(fitted: &Fitted) -> Result<Self> {
        let model = &fitted.model;
        let encoder: &Encoder = &model.encoder;
        let mut convs = Vec::new();
        for block in &encoder.convs {
            let [outputs, inputs, kernel, _] = block.conv.weight.dims();
            let bias = block.conv.bias.as_ref().map(|b| b.val());
            let (scale, bias) = fold_norm(&block.norm, bias, outputs)?;
            let mut weight = to_host(block.conv.weight.val())?;
            let per_output = weight.len() / outputs;
            for (w, s) in weight.chunks_exact_mut(per_output).zip(&scale) {
                w.iter_mut().for_each(|w| *w *= s);
            }
            convs.push(FoldedConv { weight, shape: [outputs, inputs, kernel], bias });
        }
        let mut dense = Vec::new();
        for block in &encoder.dense {
            let mut layer = FoldedDense::of(&block.linear)?;
            let outputs = layer.shape[1];
            let (scale, bias) = fold_norm(&block.norm, block.linear.bias.as_ref().map(|b| b.val()), outputs)?;
            for row in layer.weight.chunks_exact_mut(outputs) {
                row.iter_mut().zip(&scale).for_each(|(w, s)| *w *= s);
            }
            layer.bias = bias;
            dense.push(layer);
        }
        Ok(Self {
            convs,
            dense,
            mu: FoldedDense::of(&encoder.mu)?,
            log_var: FoldedDense::of(&encoder.log_var)?,
            cluster_logits: model.cluster_head.as_ref().map(FoldedDense::of).transpose()?,
            mu_c: to_host(model.prior.mu_c.val())?,
            log_var_c: to_host(model.prior.log_var_c.val())?,
            log_weights: model.prior.log_weights().map(to_host).transpose()?,
        })
    }

    /// Number of weights and biases of encoder and heads together.
    pub fn parameters(&self) -> usize {
        let convs: usize = self.convs.iter().map(|c| c.weight.len() + c.bias.len()).sum();
        let heads = [&self.mu, &self.log_var].into_iter().chain(&self.cluster_logits);
        let dense: usize = self.dense.iter().chain(heads).map(|d| d.weight.len() + d.bias.len()).sum();
        convs + dense + self.mu_c.len() + self.log_var_c.len() + self.log_weights.as_ref().map_or(0, Vec::len)
    }
}

/// Factor s of the weights and new bias (b - mean) s + β of each output, s = γ/√(var + ε).
fn fold_norm(norm: &BatchNorm, bias: Option<Tensor<1>>, outputs: usize) -> Result<(Vec<f32>, Vec<f32>)> {
    let (gamma, beta) = (to_host(norm.gamma.val())?, to_host(norm.beta.val())?);
    let (mean, var) = (to_host(norm.running_mean.value())?, to_host(norm.running_var.value())?);
    let bias = bias.map(to_host).transpose()?.unwrap_or_else(|| vec![0.0; outputs]);
    let scale: Vec<f32> = gamma.iter().zip(&var).map(|(g, v)| g / (v + norm.epsilon as f32).sqrt()).collect();
    let bias = (0..outputs).map(|o| (bias[o] - mean[o]) * scale[o] + beta[o]).collect();
    Ok((scale, bias))
}
