//! An image with a decoder: its section is read by who judges novelty by it, and by nobody else.

use heapless::Vec;

use super::error::Part;
use super::read::{File, read_u32};
use super::rest::Rest;
use super::{CriticNetwork, DECODER_HEADER, FlashError, FlashModel, Golden};
use crate::dispersion::Dispersion;
use crate::layer::{Dense, Layer, Layout, MAX_UNITS, padded};
use crate::{FrameShape, FrontEnd, Head, ValueRange, Windowing};

/// Words of the header before the widths of the layers.
const FIXED_WORDS: usize = 4;
/// Most layers of a decoder: the header has a word for the width of each but the last.
pub const MAX_DECODER_LAYERS: usize = DECODER_HEADER / 4 - FIXED_WORDS + 1;
const WRONG: FlashError = FlashError::Inconsistent("the decoder does not fit the model");

/// A model whose novelty counts what its decoder says of a frame, read where its bytes lie.
///
/// It is another type than [`FlashModel`], which refuses such images: an engine that does not run the decoder would call
/// other frames novel by the same threshold.
#[derive(Clone, Debug)]
pub struct DecoderModel<'a> {
    /// Encoder and head, the threshold being that of the novelty with the decoder.
    pub(crate) model: FlashModel<'a>,
    pub(crate) decoder: DecoderNetwork<'a>,
}

impl<'a> DecoderModel<'a> {
    /// Checks every byte; nothing is copied.
    ///
    /// # Errors
    /// [`FlashError`], also for an image without a decoder; never panics, whatever the bytes.
    pub fn new(bytes: &'a [u8]) -> Result<Self, FlashError> {
        let file = File::<true>::new(bytes)?;
        let mut model = FlashModel::empty();
        model.read(&file)?;
        let index = file.decoder_index();
        let decoder = read(file.section(index)?, Part::Section(index), &model)?;
        Ok(Self { model, decoder })
    }

    /// Shape of a frame.
    pub fn shape(&self) -> FrameShape {
        self.model.shape()
    }

    /// The mixture over the latents; its threshold is that of the novelty with the decoder.
    pub fn head(&self) -> &Head<'a> {
        self.model.head()
    }

    /// The encoder, first layer first.
    pub fn layers(&self) -> &[Layer<'a>] {
        self.model.layers()
    }

    /// The front end, if there is one, as [`FlashModel::front_end`].
    pub fn front_end(&self) -> Option<&FrontEnd<'a>> {
        self.model.front_end()
    }

    /// Shape of what the encoder takes, as [`FlashModel::input_shape`].
    pub fn input_shape(&self) -> FrameShape {
        self.model.input_shape()
    }

    /// The range of values seen in training, as [`FlashModel::range`].
    pub fn range(&self) -> Option<ValueRange<'a>> {
        self.model.range()
    }

    /// How frames are cut out of a stream of samples, as [`FlashModel::windowing`].
    pub fn windowing(&self) -> Option<Windowing> {
        self.model.windowing()
    }

    /// The golden frame and its answer, as [`FlashModel::golden`], the novelty that with the decoder.
    pub fn golden(&self) -> Golden<'a> {
        self.model.golden()
    }

    /// The critic, if there is one.
    ///
    /// # Errors
    /// As [`CriticNetwork::new`].
    pub fn critic(&self) -> Result<Option<CriticNetwork<'a>>, FlashError> {
        CriticNetwork::new(&self.model)
    }

    /// The checksum in the header, which tells one model from another.
    pub fn checksum(&self) -> u32 {
        self.model.checksum()
    }
}

/// The decoder p(x|z,c), inner to the engine: dense layers with ReLU between them, the first with biases of its own for every cluster.
#[derive(Clone, Debug)]
pub(crate) struct DecoderNetwork<'a> {
    /// The first layer, its bias that of cluster 0.
    first: Dense<'a>,
    /// Biases of the first layer `[K, outputs padded]`.
    biases: &'a [f32],
    rest: Vec<Dense<'a>, MAX_DECODER_LAYERS>,
    dispersion: Dispersion,
}

impl<'a> DecoderNetwork<'a> {
    /// The layers for a cluster, the last one without ReLU; None if there is no such cluster.
    pub fn layers(&self, cluster: usize) -> Option<impl Iterator<Item = Dense<'a>> + '_> {
        let width = padded(self.first.outputs());
        let bias = self.biases.get(cluster * width..(cluster + 1) * width)?;
        let shape = [self.first.inputs(), self.first.outputs()];
        let first = Dense::new(shape, self.first.layout(), true, bias, self.first.weights())?;
        Some(core::iter::once(first).chain(self.rest.iter().copied()))
    }

    /// What the outputs mean, and how much novelty counts them.
    pub fn dispersion(&self) -> Dispersion {
        self.dispersion
    }
}

fn read<'a>(bytes: &'a [u8], part: Part, model: &FlashModel<'a>) -> Result<DecoderNetwork<'a>, FlashError> {
    let (header, rest) = bytes.split_at_checked(DECODER_HEADER).ok_or(WRONG)?;
    let words: [u32; DECODER_HEADER / 4] = core::array::from_fn(|i| read_u32(header, 4 * i));
    let [count, bernoulli] = [words[0], words[1]].map(|word| word as usize);
    let [noise, weight] = [words[2], words[3]].map(f32::from_bits);
    let dispersion = Dispersion { bernoulli: bernoulli == 1, noise, weight };
    let (widths, _) = words
        .get(FIXED_WORDS..)
        .and_then(|words| words.split_at_checked(count.checked_sub(1)?))
        .filter(|(widths, zeros)| !widths.is_empty() && zeros.iter().all(|word| *word == 0))
        .ok_or(WRONG)?;
    if bernoulli > 1 {
        return Err(WRONG);
    }
    if !dispersion.holds() {
        return Err(FlashError::NotFinite(part));
    }
    let mut rest = Rest { bytes: rest, part, wrong: WRONG };
    let (mut inputs, mut first, mut biases, mut layers) = (model.head().latent(), None, &[][..], Vec::new());
    let outputs = widths.iter().map(|width| *width as usize).chain([model.input_shape().len()]);
    for (index, outputs) in outputs.enumerate() {
        // Longer ones cannot be counted, and are no layer's.
        if outputs > MAX_UNITS {
            return Err(WRONG);
        }
        let rows = if index == 0 { model.head().clusters() } else { 1 };
        let bias = rest.floats(rows * padded(outputs))?;
        let layout = Layout::for_outputs(outputs);
        let weights = rest.weights(Dense::weight_count([inputs, outputs], layout))?;
        let own = bias.get(..padded(outputs)).ok_or(WRONG)?;
        let layer = Dense::new([inputs, outputs], layout, index + 1 < count, own, weights).ok_or(WRONG)?;
        if index == 0 {
            (first, biases) = (Some(layer), bias);
        } else {
            layers.push(layer).map_err(|_| WRONG)?;
        }
        inputs = outputs;
    }
    if !rest.bytes.is_empty() {
        return Err(WRONG);
    }
    Ok(DecoderNetwork { first: first.ok_or(WRONG)?, biases, rest: layers, dispersion })
}
