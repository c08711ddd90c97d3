//! The engine for machines where tract cannot go, and for speed where it can: runs a flash image where it lies, with
//! neither heap nor `std`.

#[cfg(feature = "std")]
mod batch;
mod critic;
mod decoder;
mod input;

#[cfg(feature = "std")]
pub use batch::Batch;
pub use critic::{Critic, CriticError, critic_scratch_len};
pub use decoder::{DecoderEngine, decoder_scratch_len};

use bytemuck::cast_slice_mut;

use crate::flash::{FlashError, FlashModel, Golden};
use crate::head::exp;
use crate::kernels::{Kernel, LEAST, flushed};
use crate::layer::{Layer, padded};
use crate::{Assignment, FrameError, Head, check_frame};
use input::standardised;

/// A model in a flash image, ready to assign frames; it takes no memory but the scratch memory it is given.
///
/// ```
/// use runtime::flash::{Aligned, FlashModel};
/// use runtime::native::{Engine, scratch_len};
///
/// static MODEL: &Aligned<[u8]> =
///     &Aligned(*include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/digits.cvi")));
///
/// let model = FlashModel::new(&MODEL.0)?;
/// let golden = model.golden();
/// let mut scratch = vec![0.0; scratch_len(&model)];
/// let mut engine = Engine::new(model, &mut scratch)?;
/// let answer = engine.assign(golden.frame)?;
/// assert!((answer.novelty - golden.novelty).abs() < 0.1);
/// // A frame of another size is refused, and so is one with a NaN.
/// assert!(engine.assign(&golden.frame[1..]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Engine<'a> {
    model: FlashModel<'a>,
    kernel: Kernel,
    /// Values of the scratch memory that hold inputs and outputs; the kernel's list is the rest.
    values: usize,
    scratch: &'a mut [f32],
}

/// The posterior of a frame's latent as the encoder gives it: q(z|x) = N(m, diag v).
#[derive(Clone, Copy, Debug)]
pub struct Latent<'a> {
    /// The mean m `[D]`.
    pub mu: &'a [f32],
    /// The log-variance log v `[D]`, within the range that the model clamps it to.
    pub log_var: &'a [f32],
    /// Logits of q(c|x) `[K]`, where the model has a learned cluster head.
    pub logits: Option<&'a [f32]>,
    /// Whether the frame lies outside the range of values seen in training, as an [`Assignment`] says it.
    pub is_outside: bool,
}

impl Latent<'_> {
    /// Assigns the latent to a cluster of a head.
    ///
    /// # Errors
    /// As [`Head::assign`].
    pub fn assign(&self, head: &Head<'_>) -> Result<Assignment, FrameError> {
        head.assign_frame([self.mu, self.log_var], self.logits, self.is_outside)
    }
}

/// Why an engine could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The scratch memory is too small.
    #[error("{found} values of scratch memory, this model needs {needed}")]
    Scratch {
        /// Values needed: [`scratch_len`].
        needed: usize,
        /// Values given.
        found: usize,
    },
    /// The bytes are no flash image.
    #[error(transparent)]
    Flash(#[from] FlashError),
    /// The golden frame does not give what it gave at export.
    #[error("the self-test failed: the golden frame does not give its golden answer")]
    SelfTest,
}

/// Scratch memory for the models of which [`scratch_len`] is at most `N`, to be declared where it shall lie: on the stack,
/// in a static, in memory that is closely coupled to the processor.
///
/// ```
/// use runtime::flash::{Aligned, FlashModel};
/// use runtime::native::{Engine, EngineError, Scratch};
///
/// static MODEL: &Aligned<[u8]> =
///     &Aligned(*include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/digits.cvi")));
///
/// let model = FlashModel::new(&MODEL.0)?;
/// let mut scratch = Scratch::<8037>::new();
/// assert!(Engine::new(model.clone(), &mut scratch.0).is_ok());
/// // Too little is an error that says how much is needed.
/// let mut small = Scratch::<1000>::new();
/// let refused = Engine::new(model, &mut small.0).err();
/// assert!(matches!(refused, Some(EngineError::Scratch { needed: 8037, found: 1000 })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Scratch<const N: usize>(pub [f32; N]);

impl<const N: usize> Scratch<N> {
    /// Scratch memory of zeros.
    pub const fn new() -> Self {
        Self([0.0; N])
    }
}

impl<const N: usize> Default for Scratch<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Values of scratch memory that an engine for this model needs on the fastest kernel of this machine: the inputs and
/// outputs of one layer, of the one that has most, or what the front end works in, and the kernel's list of those inputs
/// that are not 0.
pub fn scratch_len(model: &FlashModel<'_>) -> usize {
    scratch_len_for(model, Kernel::best())
}

/// Values of scratch memory that an engine for this model needs on a kernel of choice; see [`scratch_len`].
pub fn scratch_len_for(model: &FlashModel<'_>, kernel: Kernel) -> usize {
    values_len(model) + model.layers().iter().map(|layer| kernel.list_len(layer)).max().unwrap_or(0)
}

/// Most values that the inputs and outputs of a layer have together, or those of the front end, in whole vectors.
fn values_len(model: &FlashModel<'_>) -> usize {
    let layers = model.layers().iter().map(|layer| padded(layer.inputs()) + padded(layer.outputs())).max().unwrap_or(0);
    layers.max(padded(model.input_shape().len()) + input::work_len(model))
}

impl<'a> Engine<'a> {
    /// An engine on the fastest kernel of this machine.
    ///
    /// # Errors
    /// [`EngineError::Scratch`] if `scratch` is shorter than [`scratch_len`].
    pub fn new(model: FlashModel<'a>, scratch: &'a mut [f32]) -> Result<Self, EngineError> {
        Self::with_kernel(model, scratch, Kernel::best())
    }

    /// An engine on one kernel.
    ///
    /// # Errors
    /// [`EngineError::Scratch`] if `scratch` is shorter than [`scratch_len_for`].
    pub fn with_kernel(model: FlashModel<'a>, scratch: &'a mut [f32], kernel: Kernel) -> Result<Self, EngineError> {
        let (needed, found) = (scratch_len_for(&model, kernel), scratch.len());
        if found < needed {
            return Err(EngineError::Scratch { needed, found });
        }
        let values = values_len(&model);
        Ok(Self { model, kernel, values, scratch })
    }

    /// An engine without a model, which refuses every frame and has no self-test to pass, for [`Engine::init`].
    pub const fn empty() -> Self {
        Self { model: FlashModel::empty(), kernel: Kernel::SCALAR, values: 0, scratch: &mut [] }
    }

    /// Gives the engine the model of a flash image, on the fastest kernel of this machine, in place: a static one then
    /// never takes room on the stack. After an error it has none, as [`Engine::close`] leaves it.
    ///
    /// # Errors
    /// [`EngineError::Flash`] for bytes that are no image, [`EngineError::Scratch`] if `scratch` is shorter than
    /// [`scratch_len`].
    // Apart, so that what it takes of the stack is gone before a frame comes.
    #[inline(never)]
    pub fn init(&mut self, bytes: &'a [u8], scratch: &'a mut [f32]) -> Result<(), EngineError> {
        // Without values there is no room for a frame, so a frame is refused until all below has gone well.
        self.values = 0;
        self.model.init(bytes)?;
        let (needed, found) = (scratch_len(&self.model), scratch.len());
        if found < needed {
            self.model.clear();
            return Err(EngineError::Scratch { needed, found });
        }
        self.kernel = Kernel::best();
        self.scratch = scratch;
        self.values = values_len(&self.model);
        Ok(())
    }

    /// Takes the model away: the engine then refuses every frame, as [`Engine::empty`] does.
    pub fn close(&mut self) {
        self.values = 0;
        self.model.clear();
    }

    /// The model that the engine runs; one without layers, of frames without values, if it has none.
    pub fn model(&self) -> &FlashModel<'a> {
        &self.model
    }

    /// The kernel that the engine runs on.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Assigns a frame `[C·H·W]`, channels first, in the units of the training data.
    ///
    /// # Errors
    /// [`FrameError`]; never panics, whatever the values.
    pub fn assign(&mut self, frame: &[f32]) -> Result<Assignment, FrameError> {
        let is_outside = self.write_input(frame)?;
        run(&self.model, self.kernel, self.values, self.scratch, is_outside)?.assign(self.model.head())
    }

    /// Assigns a frame of bytes, each divided by 255, as images are.
    ///
    /// # Errors
    /// [`FrameError`]; never panics.
    pub fn assign_u8(&mut self, frame: &[u8]) -> Result<Assignment, FrameError> {
        let is_outside = self.write_input_u8(frame)?;
        run(&self.model, self.kernel, self.values, self.scratch, is_outside)?.assign(self.model.head())
    }

    /// Assigns a frame whose values come one after another, in the order and the units of [`Engine::assign`], so that they
    /// need not lie in memory as a frame.
    ///
    /// # Errors
    /// As [`Engine::assign`].
    pub fn assign_values(&mut self, frame: impl Iterator<Item = f32> + Clone) -> Result<Assignment, FrameError> {
        let is_outside = self.write_input_values(frame)?;
        run(&self.model, self.kernel, self.values, self.scratch, is_outside)?.assign(self.model.head())
    }

    /// Encodes a frame as [`Engine::assign`] takes it, for a head other than the model's.
    ///
    /// # Errors
    /// As [`Engine::assign`].
    pub fn encode(&mut self, frame: &[f32]) -> Result<Latent<'_>, FrameError> {
        let is_outside = self.write_input(frame)?;
        run(&self.model, self.kernel, self.values, self.scratch, is_outside)
    }

    /// Encodes a frame as [`Engine::assign_u8`] takes it.
    ///
    /// # Errors
    /// As [`Engine::assign_u8`].
    pub fn encode_u8(&mut self, frame: &[u8]) -> Result<Latent<'_>, FrameError> {
        let is_outside = self.write_input_u8(frame)?;
        run(&self.model, self.kernel, self.values, self.scratch, is_outside)
    }

    /// Encodes a frame as [`Engine::assign_values`] takes it.
    ///
    /// # Errors
    /// As [`Engine::assign`].
    pub fn encode_values(&mut self, frame: impl Iterator<Item = f32> + Clone) -> Result<Latent<'_>, FrameError> {
        let is_outside = self.write_input_values(frame)?;
        run(&self.model, self.kernel, self.values, self.scratch, is_outside)
    }

    /// Checks a frame and writes it where the first layer finds it; true if it lies outside the range seen in training.
    fn write_input(&mut self, frame: &[f32]) -> Result<bool, FrameError> {
        check_frame(frame, self.model.shape().len())?;
        self.write_values(frame.iter().copied())?;
        Ok(self.model.range().is_some_and(|range| !range.holds(frame)))
    }

    /// [`Engine::write_input`] for bytes, each divided by 255; any byte is a finite value.
    fn write_input_u8(&mut self, frame: &[u8]) -> Result<bool, FrameError> {
        let (expected, found) = (self.model.shape().len(), frame.len());
        if found != expected {
            return Err(FrameError::Length { expected, found });
        }
        self.write_values(frame.iter().map(|byte| f32::from(*byte) / 255.0))?;
        Ok(self.model.range().is_some_and(|range| !range.holds_bytes(frame)))
    }

    /// [`Engine::write_input`] for values that come one after another.
    fn write_input_values(&mut self, frame: impl Iterator<Item = f32> + Clone) -> Result<bool, FrameError> {
        let (expected, found) = (self.model.shape().len(), frame.clone().count());
        if found != expected {
            return Err(FrameError::Length { expected, found });
        }
        if let Some(index) = frame.clone().position(|value| !value.is_finite()) {
            return Err(FrameError::NotFinite { index });
        }
        self.write_values(frame.clone())?;
        Ok(self.model.range().is_some_and(|range| !range.holds_values(frame)))
    }

    /// Writes the values of a frame where the first layer finds them; a front end works at the end of the memory.
    fn write_values(&mut self, frame: impl Iterator<Item = f32>) -> Result<(), FrameError> {
        let inputs = padded(self.model.input_shape().len());
        let (row, work) = self.scratch.split_at_mut_checked(inputs).ok_or(FrameError::Engine)?;
        input::write(&self.model, row, work, frame)
    }

    /// Compares the golden frame's assignment with the golden answer.
    ///
    /// # Errors
    /// [`EngineError::SelfTest`] if a responsibility differs by more than 2e-3, or the novelty by more than 1 %, or if there
    /// is no model.
    pub fn self_test(&mut self) -> Result<(), EngineError> {
        let golden = self.model.golden();
        // By reference: an assignment is large.
        let Ok(assignment) = &self.assign(golden.frame) else { return Err(EngineError::SelfTest) };
        if agrees(assignment, golden) { Ok(()) } else { Err(EngineError::SelfTest) }
    }
}

/// Whether an assignment is the golden one: responsibilities within 2e-3, novelty within 1 %.
#[inline(always)]
fn agrees(assignment: &Assignment, golden: Golden<'_>) -> bool {
    let close = assignment
        .log_responsibilities
        .iter()
        .zip(golden.log_responsibilities)
        .all(|(found, expected)| (exp(*found) - exp(*expected)).abs() <= 2e-3);
    let novelty = (assignment.novelty - golden.novelty).abs() <= 0.01 * golden.novelty.abs().max(1.0);
    close && novelty
}

/// All layers, on the frame at the start of `scratch`, of which `values` hold inputs and outputs; `is_outside` is passed
/// on.
fn run<'s>(
    model: &FlashModel<'_>,
    kernel: Kernel,
    values: usize,
    scratch: &'s mut [f32],
    is_outside: bool,
) -> Result<Latent<'s>, FrameError> {
    let (values, list) = scratch.split_at_mut_checked(values).ok_or(FrameError::Engine)?;
    let list: &mut [u32] = cast_slice_mut(list);
    let mut outputs = 0;
    for (index, layer) in model.layers().iter().enumerate() {
        outputs = padded(layer.outputs());
        let (from, to) = ends(values, index, padded(layer.inputs()), outputs).ok_or(FrameError::Engine)?;
        let done = match layer {
            Layer::Dense(dense) => kernel.dense(dense, from, to, list),
            Layer::Conv(conv) => kernel.conv(conv, from, to, list),
        };
        if !done {
            return Err(FrameError::Engine);
        }
    }
    let (last, _) = ends(values, model.layers().len(), outputs, 0).ok_or(FrameError::Engine)?;
    latent(model, last, is_outside)
}

/// The inputs of layer `index`, and the place of its outputs: at either end of the memory, in turn.
fn ends(values: &mut [f32], index: usize, inputs: usize, outputs: usize) -> Option<(&mut [f32], &mut [f32])> {
    let length = values.len();
    let at_start = index.is_multiple_of(2);
    let (start, rest) = values.split_at_mut_checked(if at_start { inputs } else { outputs })?;
    let end = rest.get_mut((length - start.len()).checked_sub(if at_start { outputs } else { inputs })?..)?;
    Some(if at_start { (start, end) } else { (end, start) })
}

/// A log v within its range. What is not finite becomes a NaN, which the head refuses: no range makes it an answer.
#[inline(always)]
pub(crate) fn clamped(v: f32, [low, high]: [f32; 2]) -> f32 {
    // Not `clamp`, which panics on a range that no image has. The product is 0 of what is finite.
    let within = if v < low {
        low
    } else if v > high {
        high
    } else {
        v
    };
    within + 0.0 * v
}

/// m, log v and logits among the outputs of the last layer.
fn latent<'s>(model: &FlashModel<'_>, outputs: &'s mut [f32], is_outside: bool) -> Result<Latent<'s>, FrameError> {
    let (d, k) = (model.head().latent(), model.head().clusters());
    let [low, high] = model.log_var_range();
    let (mu, rest) = outputs.split_at_mut_checked(d).ok_or(FrameError::Engine)?;
    let (log_var, logits) = rest.split_at_mut_checked(d).ok_or(FrameError::Engine)?;
    log_var.iter_mut().for_each(|v| *v = clamped(*v, [low, high]));
    // A decoder and a critic walk it as a layer's inputs.
    mu.iter_mut().for_each(|v| *v = flushed(*v, LEAST));
    let logits = if model.learned_head() { Some(logits.get(..k).ok_or(FrameError::Engine)?) } else { None };
    Ok(Latent { mu, log_var, logits, is_outside })
}
