//! q(z|x) = N(m, diag v).

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::Init;
use crate::config::EncoderConfig;
use crate::cpu;
use crate::frame::{FrameKind, FrameShape};

/// Range that log v is clamped to, so that exp(log v) stays in what f16 can hold.
pub const LOG_VAR_RANGE: (f32, f32) = (-8.0, 4.0);

/// Convolution with stride 2, normalisation, ReLU.
#[derive(Module, Debug)]
pub struct ConvBlock {
    /// Convolution with a square kernel and stride 2.
    pub conv: Conv2d,
    /// Normalisation of the channels; folded into the convolution at export.
    pub norm: BatchNorm,
}

/// Dense layer, normalisation, ReLU.
#[derive(Module, Debug)]
pub struct DenseBlock {
    /// Dense layer, before the normalisation.
    pub linear: Linear,
    /// Normalisation of the columns; folded into the dense layer at export.
    pub norm: BatchNorm,
}

/// Convolutions, dense layers, then the two heads m and log v.
#[derive(Module, Debug)]
pub struct Encoder {
    /// Convolution blocks; none for frames that are no images.
    pub convs: Vec<ConvBlock>,
    /// Dense blocks, at least one.
    pub dense: Vec<DenseBlock>,
    /// Head of the latent mean m.
    pub mu: Linear,
    /// Head of the latent log-variance log v, before clamping.
    pub log_var: Linear,
    /// Channels, height and width of a frame.
    #[module(skip)]
    pub shape: [usize; 3],
}

/// Posterior q(z|x) = N(m, diag v) of B frames, as the encoder gives it.
#[derive(Clone, Debug)]
pub struct Posterior {
    /// Latent mean m `[B,D]`.
    pub mu_z: Tensor<2>,
    /// Latent log-variance log v `[B,D]`, within [`LOG_VAR_RANGE`].
    pub log_var_z: Tensor<2>,
    /// Output of the last hidden layer `[B,hidden]`.
    pub features: Tensor<2>,
}

impl Encoder {
    /// An encoder with random weights.
    pub fn new(config: &EncoderConfig, shape: FrameShape, kind: FrameKind, latent: usize, init: &mut Init<'_>) -> Self {
        let mut size = [shape.channels, shape.height, shape.width];
        let channels: &[usize] = if kind == FrameKind::Image { config.channels.list() } else { &[] };
        let convs = channels
            .iter()
            .map(|&outputs| {
                let conv = init.conv(size[0], outputs, config.kernel);
                size = [outputs, size[1].div_ceil(2), size[2].div_ceil(2)];
                ConvBlock { conv, norm: BatchNormConfig::new(outputs).init(init.device) }
            })
            .collect();
        let mut inputs = size.iter().product();
        let dense = config
            .hidden
            .iter()
            .map(|&outputs| {
                let linear = init.linear(inputs, outputs);
                inputs = outputs;
                DenseBlock { linear, norm: BatchNormConfig::new(outputs).init(init.device) }
            })
            .collect();
        let (mu, log_var) = (init.linear(inputs, latent), init.linear(inputs, latent));
        Self { convs, dense, mu, log_var, shape: [shape.channels, shape.height, shape.width] }
    }

    /// Width of the last hidden layer.
    pub fn features(&self) -> usize {
        self.mu.weight.dims()[0]
    }

    /// Encodes B frames.
    ///
    /// On the CPU, training takes the layers of [`crate::cpu`]: convolutions where there are any,
    /// else the normalisation of the dense layers. All else, and prediction, is Burn's own.
    ///
    /// # Shapes
    /// - `frames`: `[B,P]`
    /// - output: see [`Posterior`]
    pub fn forward(&self, frames: Tensor<2>) -> Posterior {
        let b = frames.dims()[0];
        let mut hidden = frames;
        let trains_on_cpu = cpu::on_cpu(&hidden.device()) && hidden.device().is_autodiff();
        if !self.convs.is_empty() && trains_on_cpu {
            hidden = self.conv_blocks_on_cpu(hidden);
        } else if !self.convs.is_empty() {
            let [c, h, w] = self.shape;
            let mut maps = hidden.reshape([b, c, h, w]);
            for (layer, block) in self.convs.iter().enumerate() {
                let out = if layer == 0 { conv_of_frames(&block.conv, maps) } else { block.conv.forward(maps) };
                maps = relu(block.norm.forward(out));
            }
            hidden = maps.flatten(1, 3);
        }
        // After convolutions the dense layers are small, and Burn's own do.
        let wide_on_cpu = trains_on_cpu && self.convs.is_empty();
        for block in &self.dense {
            let out = block.linear.forward(hidden);
            hidden = if wide_on_cpu { norm_on_cpu(&block.norm, out) } else { relu(block.norm.forward(out)) };
        }
        Posterior {
            mu_z: self.mu.forward(hidden.clone()),
            log_var_z: self.log_var.forward(hidden.clone()).clamp(LOG_VAR_RANGE.0, LOG_VAR_RANGE.1),
            features: hidden,
        }
    }
}

impl Encoder {
    /// Encodes the parts of a batch, each on a device of its own, normalised by the statistics of
    /// the whole batch.
    ///
    /// # Shapes
    /// - `parts`: `[b,P]` each, Σ b = B
    /// - output: see [`Posterior`], a part each
    pub fn forward_parts(&self, parts: Vec<Tensor<2>>) -> Vec<Posterior> {
        let [mut c, mut h, mut w] = self.shape;
        let mut hidden = parts;
        for (layer, ConvBlock { conv, norm }) in self.convs.iter().enumerate() {
            let [outputs, _, _, _] = conv.weight.dims();
            let convolve = |part: Tensor<2>| {
                let conv = conv.clone().to_device(&part.device());
                let b = part.dims()[0];
                let maps = part.reshape([b, c, h, w]);
                let out = if layer == 0 { conv_of_frames(&conv, maps) } else { conv.forward(maps) };
                out.flatten::<3>(2, 3)
            };
            let out = normalise_parts(norm, hidden.into_iter().map(convolve).collect());
            hidden = out.into_iter().map(|part| part.flatten(1, 2)).collect();
            (c, h, w) = (outputs, h.div_ceil(2), w.div_ceil(2));
        }
        for DenseBlock { linear, norm } in &self.dense {
            let dense = |part: Tensor<2>| linear.clone().to_device(&part.device()).forward(part).unsqueeze_dim(2);
            let out = normalise_parts(norm, hidden.into_iter().map(dense).collect());
            hidden = out.into_iter().map(|part| part.squeeze_dim(2)).collect();
        }
        hidden
            .into_iter()
            .map(|features| {
                let head = |linear: &Linear| linear.clone().to_device(&features.device()).forward(features.clone());
                let log_var_z = head(&self.log_var).clamp(LOG_VAR_RANGE.0, LOG_VAR_RANGE.1);
                Posterior { mu_z: head(&self.mu), log_var_z, features }
            })
            .collect()
    }

    /// All convolutions in training on the CPU; the same as Burn's own, with channels last in
    /// between.
    fn conv_blocks_on_cpu(&self, frames: Tensor<2>) -> Tensor<2> {
        let [mut c, mut h, mut w] = self.shape;
        let b = frames.dims()[0];
        let mut maps = frames.reshape([b, c, h * w]).swap_dims(1, 2).reshape([b, h * w * c]);
        for ConvBlock { conv, norm } in &self.convs {
            let [outputs, _, _, _] = conv.weight.dims();
            let bias = conv.bias.as_ref().map_or_else(|| Tensor::zeros([outputs], &maps.device()), |bias| bias.val());
            let affine = [norm.gamma.val(), norm.beta.val()];
            let done = cpu::conv_block(maps, [h, w], conv.weight.val(), bias, affine, norm.epsilon);
            (c, h, w) = (outputs, h.div_ceil(2), w.div_ceil(2));
            maps = with_running(norm, done);
        }
        maps.reshape([b, h * w, c]).swap_dims(1, 2).reshape([b, c * h * w])
    }
}

/// Normalisation and ReLU in training on the CPU.
fn norm_on_cpu(norm: &BatchNorm, input: Tensor<2>) -> Tensor<2> {
    with_running(norm, cpu::norm_block(input, [norm.gamma.val(), norm.beta.val()], norm.epsilon))
}

/// The output of a normalisation, once its running statistics are brought up to date.
fn with_running(norm: &BatchNorm, done: cpu::Normalised) -> Tensor<2> {
    update_running(norm, done.mean, done.variance);
    done.output
}

/// Brings the running statistics up to date, as Burn's own normalisation does.
fn update_running(norm: &BatchNorm, mean: Tensor<1>, variance: Tensor<1>) {
    for (running, found) in [(&norm.running_mean, mean), (&norm.running_var, variance)] {
        let kept = running.value_sync().to_device(&found.device()) * (1.0 - norm.momentum);
        running.update((kept + found * norm.momentum).detach());
    }
}

/// Normalisation by the statistics of all parts, and ReLU.
///
/// # Shapes
/// - `parts`: `[b,C,S]`, normalised for every C; output as these
fn normalise_parts(norm: &BatchNorm, parts: Vec<Tensor<3>>) -> Vec<Tensor<3>> {
    let home = norm.gamma.val().device();
    let values: usize = parts.iter().map(|part| part.dims()[0] * part.dims()[2]).sum();
    let channels = norm.gamma.dims()[0];
    let mean_of = |of: &dyn Fn(&Tensor<3>) -> Tensor<3>| {
        let sums = parts.iter().map(|part| of(part).sum_dim(0).sum_dim(2).to_device(&home));
        sums.reduce(|a, b| a + b).unwrap_or_else(|| Tensor::zeros([1, channels, 1], &home)) / values as f64
    };
    let mean = mean_of(&Tensor::clone);
    let variance = mean_of(&|part| (part.clone() - mean.clone().to_device(&part.device())).square());
    update_running(norm, mean.clone().reshape([channels]), variance.clone().reshape([channels]));
    let scale = norm.gamma.val().reshape([1, channels, 1]) / (variance + norm.epsilon).sqrt();
    let beta = norm.beta.val().reshape([1, channels, 1]);
    let normalise = |part: Tensor<3>| {
        let [mean, scale, beta] = [&mean, &scale, &beta].map(|tensor| tensor.clone().to_device(&part.device()));
        relu((part - mean) * scale + beta)
    };
    parts.iter().cloned().map(normalise).collect()
}

impl Posterior {
    /// A draw of z given standard normal `noise` `[B,D]`.
    pub fn sample(&self, noise: Tensor<2>) -> Tensor<2> {
        self.mu_z.clone() + noise * self.log_var_z.clone().mul_scalar(0.5).exp()
    }

    /// The frames `from..from + count` alone.
    pub fn narrow(&self, from: usize, count: usize) -> Posterior {
        let part = |t: &Tensor<2>| t.clone().narrow(0, from, count);
        Posterior { mu_z: part(&self.mu_z), log_var_z: part(&self.log_var_z), features: part(&self.features) }
    }
}

/// The convolution of the first layer, as one product with the frames' patches.
///
/// Frames need no gradient, so the patches cost one copy; on the CPU backend this takes a fifth of
/// the time of its general convolution, forward and backward.
///
/// # Shapes
/// - `frames`: `[B,C,H,W]`
/// - output: `[B,O,⌈H/2⌉,⌈W/2⌉]`
fn conv_of_frames(conv: &Conv2d, frames: Tensor<4>) -> Tensor<4> {
    let [b, c, h, w] = frames.dims();
    let [outputs, _, kernel, _] = conv.weight.dims();
    let (rows, columns) = (h.div_ceil(2), w.div_ceil(2));
    let pad = kernel / 2;
    let padded = frames.pad((pad, pad, pad, pad), 0.0);
    let patches: Tensor<6> = padded.unfold::<5, _>(2, kernel, 2).unfold(3, kernel, 2);
    // [B,C,rows,columns,k,k] → [B, C·k·k, rows·columns]
    let patches = patches.permute([0, 1, 4, 5, 2, 3]).reshape([b, c * kernel * kernel, rows * columns]);
    let weight = conv.weight.val().reshape([1, outputs, c * kernel * kernel]);
    let mut out = weight.matmul(patches);
    if let Some(bias) = &conv.bias {
        out = out + bias.val().reshape([1, outputs, 1]);
    }
    out.reshape([b, outputs, rows, columns])
}
