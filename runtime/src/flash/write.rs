//! A flash image from the model that `trainer export` has folded.

use std::vec::Vec;

use half::f16;

use super::front_end::{LOG_MEL, SPECTRAL, TONE, USED_WORDS};
use super::{
    ALIGNMENT, CRITIC_HEADER, DECODER_HEADER, FIXED_SECTIONS, FRONT_END_HEADER, HEADER, LAYER, MAGIC, SECTION, VERSION,
    checksum, header_checksum, word,
};
use crate::layer::{Conv, Dense, Layout, padded};
use crate::{Calibration, Dispersion, FrameShape, FrontEndSpec, Steps, Windowing};

/// A model in f32, to be encoded as a flash image.
#[derive(Clone, Debug)]
pub struct ModelSpec {
    /// Shape of a frame.
    pub shape: FrameShape,
    /// The front end, if the encoder takes features of it; its shape is then that of a frame, and `scaling` is of features.
    pub front_end: Option<FrontEndSpec>,
    /// Shift and factor of every value that the encoder takes, if values are standardised.
    pub scaling: Option<[Vec<f32>; 2]>,
    /// The least and the largest value that training saw `[G]`, of every channel or column; None if that is not known.
    pub range: Option<[Vec<f32>; 2]>,
    /// How frames are cut out of a stream of samples; None if that is not known.
    pub windowing: Option<Windowing>,
    /// Convolutions, first one first, each with ReLU.
    pub convs: Vec<ConvSpec>,
    /// Dense layers, first one first; each but the last with ReLU. The last gives m, log v and, with a learned head,
    /// logits, side by side.
    pub dense: Vec<DenseSpec>,
    /// Whether the last layer also gives the logits of q(c|x).
    pub learned_head: bool,
    /// Range that log v is clamped to.
    pub log_var_range: [f32; 2],
    /// The means μ_c of the mixture `[K,D]`.
    pub mu_c: Vec<f32>,
    /// The log-variances log σ_c² of the mixture `[K]`.
    pub log_var_c: Vec<f32>,
    /// log K p(c) `[K]`, if p(c) is not 1/K.
    pub log_weights: Option<Vec<f32>>,
    /// Novelty threshold and temperature.
    pub calibration: Calibration,
    /// The golden frame `[P]`, which the self-test assigns.
    pub golden_frame: Vec<f32>,
    /// The model's log q(c|x) of the golden frame `[K]`, nats.
    pub golden_log_responsibilities: Vec<f32>,
    /// The model's novelty of the golden frame, nats.
    pub golden_novelty: f32,
    /// The amortised critic, if there is one.
    pub critic: Option<CriticSpec>,
    /// The decoder, if novelty counts what it says of a frame; threshold and golden novelty are then of that novelty.
    pub decoder: Option<DecoderSpec>,
}

/// A decoder, as [`super::DecoderModel`] holds it.
#[derive(Clone, Debug)]
pub struct DecoderSpec {
    /// Dense layers from z to the P outputs, at least two, each but the last with ReLU. The biases of the first are
    /// `[K, outputs]`, a row a cluster.
    pub dense: Vec<DenseSpec>,
    /// What the outputs mean, and how much novelty counts them.
    pub dispersion: Dispersion,
}

/// An amortised critic, as [`super::CriticNetwork`] computes it.
#[derive(Clone, Debug)]
pub struct CriticSpec {
    /// Dense layers from m to the grid `[C,⌈H/factor⌉,⌈W/factor⌉]`.
    pub dense: [DenseSpec; 3],
    /// The bias `[C,H,W]`, which is added to the enlarged grid.
    pub bias: Vec<f32>,
    /// Kernels of the local convolution `[C,side,side]`.
    pub local: Vec<f32>,
    /// The side of the local kernels, odd.
    pub side: usize,
    /// Values of a frame, in each direction, for each value of the grid.
    pub factor: usize,
    /// Whether the decoder is Bernoulli.
    pub bernoulli: bool,
    /// 1/(2s²), s the noise of a value.
    pub sharpness: f32,
}

/// A convolution with zero padding of half its kernel.
#[derive(Clone, Debug)]
pub struct ConvSpec {
    /// Outputs, channels, and the side of the kernel.
    pub shape: [usize; 3],
    /// Stride.
    pub stride: usize,
    /// Weights `[outputs, channels, kernel, kernel]`.
    pub weight: Vec<f32>,
    /// Biases `[outputs]`.
    pub bias: Vec<f32>,
}

/// A dense layer. After convolutions its inputs are in the order `[channel][row][column]`, as ONNX flattens.
#[derive(Clone, Debug)]
pub struct DenseSpec {
    /// Inputs, outputs.
    pub shape: [usize; 2],
    /// Weights `[inputs, outputs]`.
    pub weight: Vec<f32>,
    /// Biases `[outputs]`.
    pub bias: Vec<f32>,
}

/// Encodes a model as a flash image.
///
/// Shapes are not checked here, and never make it panic: [`super::FlashModel::new`] of the result says what does not fit.
/// Weights that are not as many as their shape says are left out.
pub fn encode(spec: &ModelSpec) -> Vec<u8> {
    let mut table = Vec::new();
    let mut sections = Vec::new();
    let made = spec.front_end.as_ref().and_then(FrontEndSpec::front_end);
    let inputs = made.map_or(spec.shape, |made| made.shape());
    let mut maps = [inputs.height, inputs.width, inputs.channels];
    for conv in &spec.convs {
        let [outputs, channels, kernel] = conv.shape;
        let numbers = [channels, outputs, kernel, conv.stride, maps[0], maps[1], 0];
        table.extend(entry([1, 1, 0, 0], numbers));
        sections.push(section(&conv.bias, &conv_weights(conv)));
        maps = [maps[0].div_ceil(conv.stride.max(1)), maps[1].div_ceil(conv.stride.max(1)), outputs];
    }
    for (index, dense) in spec.dense.iter().enumerate() {
        let [inputs, outputs] = dense.shape;
        let flattened = (index == 0 && !spec.convs.is_empty()).then_some(maps);
        let (layout, weights) = dense_weights(dense, flattened);
        let relu = u8::from(index + 1 < spec.dense.len());
        table.extend(entry([0, relu, u8::from(layout == Layout::Panels), 0], [inputs, outputs, 0, 0, 0, 0, 0]));
        sections.push(section(&dense.bias, &weights));
    }
    let values = [&spec.scaling, &spec.range].map(|pair| pair.iter().flatten().flatten().copied().collect::<Vec<_>>());
    let golden = [&spec.golden_frame[..], &spec.golden_log_responsibilities, &[spec.golden_novelty]].concat();
    let head = [&spec.mu_c[..], &spec.log_var_c, spec.log_weights.as_deref().unwrap_or_default()].concat();
    let fixed = [table, floats(&head), floats(&values.concat()), floats(&golden)];
    let front_end = spec.front_end.as_ref().map(front_end);
    let windowing = spec.windowing.map(|windowing| {
        let rate = windowing.rate().unwrap_or_default();
        [(windowing.hop() as u32).to_le_bytes(), rate.to_le_bytes()].concat()
    });
    let critic = spec.critic.as_ref().map(critic);
    let decoder = spec.decoder.as_ref().map(decoder);
    assemble(
        spec,
        fixed.into_iter().chain(sections).chain(front_end).chain(windowing).chain(critic).chain(decoder).collect(),
    )
}

/// The section of the front end.
fn front_end(spec: &FrontEndSpec) -> Vec<u8> {
    type Lists<'s> = [&'s [f32]; 2];
    let (words, lists, edges): ([u32; USED_WORDS], Lists<'_>, &[u32]) = match spec {
        FrontEndSpec::Spectral(spec) => {
            let bands = spec.edges.len().saturating_sub(1) as u32;
            ([SPECTRAL, spec.length as u32, bands, 0, 0, 0, 0], [&spec.window, &spec.constants], &spec.edges)
        }
        FrontEndSpec::Tone(tone) => ([TONE, tone.floor().to_bits(), 0, 0, 0, 0, 0], [&[], &[]], &[]),
        FrontEndSpec::LogMel(spec) => {
            let Steps { hop, count, pooled, rate } = spec.steps;
            let bands = spec.edges.len().saturating_sub(2) as u32;
            let words =
                [LOG_MEL, spec.window.len() as u32, bands, hop as u32, count as u32, pooled as u32, rate.to_bits()];
            (words, [&spec.window, &spec.constants], &spec.edges)
        }
    };
    let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    bytes.resize(FRONT_END_HEADER, 0);
    bytes.extend(lists.into_iter().flat_map(floats));
    bytes.extend(edges.iter().flat_map(|edge| edge.to_le_bytes()));
    bytes
}

/// The section of the decoder.
fn decoder(spec: &DecoderSpec) -> Vec<u8> {
    let Dispersion { bernoulli, noise, weight } = spec.dispersion;
    let fixed = [spec.dense.len() as u32, u32::from(bernoulli), noise.to_bits(), weight.to_bits()];
    let widths = spec.dense.iter().rev().skip(1).rev().map(|dense| dense.shape[1] as u32);
    let mut bytes: Vec<u8> = fixed.into_iter().chain(widths).flat_map(u32::to_le_bytes).collect();
    bytes.resize(DECODER_HEADER, 0);
    for dense in &spec.dense {
        for bias in dense.bias.chunks(dense.shape[1].max(1)) {
            bytes.extend(section(bias, &[]));
        }
        bytes.extend(section(&[], &dense_weights(dense, None).1));
    }
    bytes
}

/// The section of the critic.
fn critic(spec: &CriticSpec) -> Vec<u8> {
    let [hidden, units] = [0, 1].map(|layer| spec.dense[layer].shape[1] as u32);
    let [factor, bernoulli, side] = [spec.factor as u32, u32::from(spec.bernoulli), spec.side as u32];
    let words = [hidden, units, factor, bernoulli, spec.sharpness.to_bits(), side];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.resize(CRITIC_HEADER, 0);
    bytes.extend(floats(&spec.bias));
    bytes.extend(floats(&spec.local));
    for dense in &spec.dense {
        bytes.extend(section(&dense.bias, &dense_weights(dense, None).1));
    }
    bytes
}

/// Header, section table, sections.
fn assemble(spec: &ModelSpec, sections: Vec<Vec<u8>>) -> Vec<u8> {
    let clusters = spec.log_var_c.len();
    let mut bytes = vec![0; HEADER + sections.len() * SECTION];
    let mut table = Vec::new();
    for section in &sections {
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        let row = [bytes.len() as u32, section.len() as u32, checksum(&[section]), 0];
        table.extend(row.iter().flat_map(|v| v.to_le_bytes()));
        bytes.extend(section);
    }
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    bytes[HEADER..HEADER + table.len()].copy_from_slice(&table);

    let mut words = [0u32; HEADER / 4];
    words[0] = u32::from_le_bytes(MAGIC);
    words[word::VERSION] = VERSION;
    words[word::LENGTH] = bytes.len() as u32;
    words[word::CHANNELS] = spec.shape.channels as u32;
    words[word::HEIGHT] = spec.shape.height as u32;
    words[word::WIDTH] = spec.shape.width as u32;
    words[word::CLUSTERS] = clusters as u32;
    words[word::LATENT] = (spec.mu_c.len() / clusters.max(1)) as u32;
    let [front_end, windowing] = [spec.front_end.is_some(), spec.windowing.is_some()].map(u32::from);
    let [critic, decoder] = [spec.critic.is_some(), spec.decoder.is_some()].map(u32::from);
    words[word::VALUES] = u32::from(spec.scaling.is_some()) | front_end << 1 | windowing << 2;
    words[word::HEADS] = u32::from(spec.learned_head) | critic << 1 | decoder << 2;
    words[word::LAYERS] = (sections.len() - FIXED_SECTIONS) as u32 - front_end - windowing - critic - decoder;
    words[word::THRESHOLD] = spec.calibration.novelty_threshold.to_bits();
    words[word::TEMPERATURE] = spec.calibration.temperature.to_bits();
    words[word::LOG_VAR_MIN] = spec.log_var_range[0].to_bits();
    words[word::LOG_VAR_MAX] = spec.log_var_range[1].to_bits();
    for (at, value) in words.iter().enumerate() {
        bytes[at * 4..at * 4 + 4].copy_from_slice(&value.to_le_bytes());
    }
    let checksum = header_checksum(&bytes, &table);
    bytes[word::CHECKSUM * 4..HEADER].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn entry(kinds: [u8; 4], numbers: [usize; 7]) -> [u8; LAYER] {
    let mut entry = [0; LAYER];
    entry[..4].copy_from_slice(&kinds);
    for (at, number) in numbers.iter().enumerate() {
        entry[4 + 4 * at..8 + 4 * at].copy_from_slice(&(*number as u32).to_le_bytes());
    }
    entry
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Weights at their places; where there is none, 0. None at all unless they are as many as their `shape` says: `count`,
/// with the padding, is then no more than the padding makes of them.
fn placed(shape: &[usize], count: Option<usize>, weights: &[f32], place: impl Fn(usize) -> usize) -> Vec<f16> {
    let expected = shape.iter().try_fold(1usize, |product, width| product.checked_mul(*width));
    let count = count.filter(|_| expected == Some(weights.len()) && !weights.is_empty());
    let mut values = vec![f16::ZERO; count.unwrap_or(0)];
    for (at, weight) in weights.iter().enumerate().take_while(|_| count.is_some()) {
        if let Some(slot) = values.get_mut(place(at)) {
            *slot = f16::from_f32(*weight);
        }
    }
    values
}

/// Bias, then weights.
fn section(bias: &[f32], values: &[f16]) -> Vec<u8> {
    let mut bytes = floats(bias);
    bytes.resize(padded(bias.len()) * size_of::<f32>(), 0);
    bytes.extend(values.iter().flat_map(|w| w.to_le_bytes()));
    bytes
}

/// The weights of a convolution in the kernels' order.
pub(crate) fn conv_weights(conv: &ConvSpec) -> Vec<f16> {
    let [outputs, channels, kernel] = conv.shape;
    placed(&[outputs, channels, kernel, kernel], Conv::weight_count(channels, outputs, kernel), &conv.weight, |at| {
        let area = kernel * kernel;
        let (output, channel, tap) = (at / (channels * area), at / area % channels, at % area);
        (tap * channels + channel) * padded(outputs) + output
    })
}

/// The weights of a dense layer in the kernels' order, and which that is.
///
/// `maps` are height, width and channels of what a convolution before the layer gives.
pub(crate) fn dense_weights(dense: &DenseSpec, maps: Option<[usize; 3]>) -> (Layout, Vec<f16>) {
    let [inputs, outputs] = dense.shape;
    let layout = Layout::for_outputs(outputs);
    // None of maps that are not what the layer takes.
    let maps = maps.filter(|maps| Some(inputs) == maps.iter().try_fold(1usize, |n, length| n.checked_mul(*length)));
    let weights = placed(&dense.shape, Dense::weight_count(dense.shape, layout), &dense.weight, |at| {
        let (input, output) = (at / outputs, at % outputs);
        let input = match maps {
            Some([height, width, channels]) => input % (height * width) * channels + input / (height * width),
            None => input,
        };
        Dense::place(inputs, outputs, layout, input, output)
    });
    (layout, weights)
}
