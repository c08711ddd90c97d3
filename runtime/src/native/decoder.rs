//! An engine whose novelty also counts the decoder: what a latent cannot tell shows in the frame.

use bytemuck::cast_slice_mut;

use super::{Critic, CriticError, Engine, EngineError, agrees, ends, run, scratch_len_for, standardised};
use crate::flash::{DecoderModel, DecoderNetwork, FlashModel};
use crate::kernels::Kernel;
use crate::layer::{Layer, padded};
use crate::{Assignment, FrameError, ValueRange};

/// A model with a decoder in a flash image, ready to assign frames; it takes no memory but the scratch memory it is given.
///
/// Cluster and confidence are those of [`Engine`]; novelty is -log p(z) + w φ, φ the dispersion of the frame
/// ([`crate::Dispersion`]). The decoder is run once, at the mean of the latent and for the most probable cluster.
#[derive(Debug)]
pub struct DecoderEngine<'a> {
    engine: Engine<'a>,
    decoder: DecoderNetwork<'a>,
}

/// Values of scratch memory that an engine for this model needs on the fastest kernel of this machine: those of encoder or
/// decoder, whichever needs more, the latent mean, and the features of a front end.
pub fn decoder_scratch_len(model: &DecoderModel<'_>) -> usize {
    needed(model, Kernel::best())
}

fn needed(model: &DecoderModel<'_>, kernel: Kernel) -> usize {
    let layers = || model.decoder.layers(0).into_iter().flatten();
    let list = layers().map(|dense| kernel.list_len(&Layer::Dense(dense))).max().unwrap_or(0);
    let decoder = values_len(&model.decoder) + list;
    decoder.max(scratch_len_for(&model.model, kernel)) + padded(model.head().latent()) + kept_len(&model.model)
}

/// Values that are kept while the encoder runs: the features of a front end, which are not made a second time.
fn kept_len(model: &FlashModel<'_>) -> usize {
    if model.front_end().is_some() { padded(model.input_shape().len()) } else { 0 }
}

/// Most values that the inputs and outputs of a layer of the decoder have together, both in whole vectors.
fn values_len(decoder: &DecoderNetwork<'_>) -> usize {
    let layers = decoder.layers(0).into_iter().flatten();
    layers.map(|dense| padded(dense.inputs()) + padded(dense.outputs())).max().unwrap_or(0)
}

impl<'a> DecoderEngine<'a> {
    /// An engine on the fastest kernel of this machine.
    ///
    /// # Errors
    /// [`EngineError::Scratch`] if `scratch` is shorter than [`decoder_scratch_len`].
    pub fn new(model: DecoderModel<'a>, scratch: &'a mut [f32]) -> Result<Self, EngineError> {
        Self::with_kernel(model, scratch, Kernel::best())
    }

    /// An engine on one kernel; scratch memory for the fastest is enough for any.
    ///
    /// # Errors
    /// As [`DecoderEngine::new`].
    pub fn with_kernel(model: DecoderModel<'a>, scratch: &'a mut [f32], kernel: Kernel) -> Result<Self, EngineError> {
        let (needed, found) = (needed(&model, kernel), scratch.len());
        if found < needed {
            return Err(EngineError::Scratch { needed, found });
        }
        let DecoderModel { model, decoder } = model;
        Ok(Self { engine: Engine::with_kernel(model, scratch, kernel)?, decoder })
    }

    /// Assigns a frame `[C·H·W]`, channels first, in the units of the training data.
    ///
    /// # Errors
    /// [`FrameError`]; never panics, whatever the values.
    pub fn assign(&mut self, frame: &[f32]) -> Result<Assignment, FrameError> {
        let is_outside = self.engine.write_input(frame)?;
        self.judge(frame.iter().copied(), is_outside)
    }

    /// Assigns a frame of bytes, each divided by 255, as images are.
    ///
    /// # Errors
    /// [`FrameError`]; never panics.
    pub fn assign_u8(&mut self, frame: &[u8]) -> Result<Assignment, FrameError> {
        let is_outside = self.engine.write_input_u8(frame)?;
        self.judge(frame.iter().map(|byte| f32::from(*byte) / 255.0), is_outside)
    }

    /// Assigns a frame whose values come one after another, as [`Engine::assign_values`] takes them.
    ///
    /// # Errors
    /// As [`DecoderEngine::assign`].
    pub fn assign_values(&mut self, frame: impl Iterator<Item = f32> + Clone) -> Result<Assignment, FrameError> {
        let is_outside = self.engine.write_input_values(frame.clone())?;
        self.judge(frame, is_outside)
    }

    /// The range of values seen in training; None in images that do not say.
    pub fn range(&self) -> Option<ValueRange<'a>> {
        self.engine.model.range()
    }

    /// The critic of the image on the fastest kernel of this machine, for [`DecoderEngine::explain`].
    ///
    /// # Errors
    /// As [`Critic::new`].
    pub fn critic(&self, scratch: &'a mut [f32]) -> Result<Critic<'a>, CriticError> {
        Critic::new(&self.engine.model, scratch)
    }

    /// Assigns a frame as [`DecoderEngine::assign`] does, and writes to `trust` what [`Engine::explain`] does.
    ///
    /// # Errors
    /// As [`Engine::explain`]; never panics.
    pub fn explain(
        &mut self,
        critic: &mut Critic<'_>,
        frame: &[f32],
        trust: &mut [f32],
    ) -> Result<Assignment, FrameError> {
        let (expected, found) = (self.engine.model.input_shape().len(), trust.len());
        if found != expected {
            return Err(FrameError::Length { expected, found });
        }
        let assignment = self.assign(frame)?;
        let Engine { model, scratch, .. } = &self.engine;
        let latent = model.head().latent();
        let mu = scratch.len().checked_sub(padded(latent)).and_then(|from| scratch.get(from..from + latent));
        critic.draw(model, frame, mu.ok_or(FrameError::Engine)?, trust)?;
        Ok(assignment)
    }

    /// Compares the golden frame's assignment with the golden answer.
    ///
    /// # Errors
    /// [`EngineError::SelfTest`], by the tolerances of [`Engine::self_test`].
    pub fn self_test(&mut self) -> Result<(), EngineError> {
        let golden = self.engine.model.golden();
        let assignment = self.assign(golden.frame);
        if assignment.is_ok_and(|found| agrees(&found, golden)) { Ok(()) } else { Err(EngineError::SelfTest) }
    }

    /// Assigns the frame that is written already; `frame` are its values before they were scaled.
    fn judge(&mut self, frame: impl Iterator<Item = f32>, is_outside: bool) -> Result<Assignment, FrameError> {
        let Engine { model, kernel, values, scratch } = &mut self.engine;
        let latent_from = scratch.len().checked_sub(padded(model.head().latent())).ok_or(FrameError::Engine)?;
        let (work, mu) = scratch.split_at_mut_checked(latent_from).ok_or(FrameError::Engine)?;
        let kept_from = latent_from.checked_sub(kept_len(model)).ok_or(FrameError::Engine)?;
        let (work, kept) = work.split_at_mut_checked(kept_from).ok_or(FrameError::Engine)?;
        kept.iter_mut().zip(&*work).for_each(|(slot, feature)| *slot = *feature);
        let latent = run(model, *kernel, *values, work, is_outside)?;
        let mut assignment = latent.assign(model.head())?;
        mu.fill(0.0);
        mu.iter_mut().zip(latent.mu).for_each(|(slot, value)| *slot = *value);
        let outputs = decode(&self.decoder, assignment.cluster, *kernel, mu, work).ok_or(FrameError::Engine)?;
        let dispersion = self.decoder.dispersion();
        let outputs = outputs.iter().copied();
        let found = match model.front_end() {
            Some(_) => dispersion.of(kept.iter().take(model.input_shape().len()).copied().zip(outputs)),
            None => dispersion.of(standardised(model, frame).zip(outputs)),
        };
        dispersion.add(found, model.head(), &mut assignment)?;
        Ok(assignment)
    }
}

/// All layers for a cluster, from `mu`; their outputs lie in `work`.
fn decode<'s>(
    decoder: &DecoderNetwork<'_>,
    cluster: usize,
    kernel: Kernel,
    mu: &[f32],
    work: &'s mut [f32],
) -> Option<&'s [f32]> {
    let (values, list) = work.split_at_mut_checked(values_len(decoder))?;
    let list: &mut [u32] = cast_slice_mut(list);
    let (mut count, mut outputs) = (0, 0);
    for (index, dense) in decoder.layers(cluster)?.enumerate() {
        outputs = padded(dense.outputs());
        let inputs = if index == 0 { 0 } else { padded(dense.inputs()) };
        let (from, to) = ends(values, index, inputs, outputs)?;
        let from = if index == 0 { mu } else { &*from };
        if !kernel.dense(&dense, from, to, list) {
            return None;
        }
        count = index + 1;
    }
    ends(values, count, outputs, 0).map(|(last, _)| &*last)
}
