//! The engine for machines where tract cannot go, and for speed where it can: runs a flash image where it lies, with
//! neither heap nor `std`.

#[cfg(feature = "std")]
mod batch;

#[cfg(feature = "std")]
pub use batch::Batch;

use bytemuck::cast_slice_mut;

use crate::image::Image;
use crate::kernels::Kernel;
use crate::layer::{Layer, padded};
use crate::{Assignment, FrameError, check_frame};

/// A model in a flash image, ready to assign frames.
#[derive(Debug)]
pub struct Engine<'a> {
    image: Image<'a>,
    kernel: Kernel,
    /// Of the scratch memory what holds inputs and outputs; the kernel's list is the rest.
    values: usize,
    scratch: &'a mut [f32],
}

/// Why an engine could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The scratch memory is too small.
    #[error("{found} values of scratch memory, this model needs {needed}")]
    Scratch {
        /// What [`scratch_len`] gives.
        needed: usize,
        /// Values given.
        found: usize,
    },
    /// The golden frame does not give what it gave at export.
    #[error("the self-test failed: the golden frame does not give its golden answer")]
    SelfTest,
}

/// Scratch memory for the models of which [`scratch_len`] is at most `N`, to be declared where it shall lie.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Scratch<const N: usize>(pub [f32; N]);

impl<const N: usize> Scratch<N> {
    /// All zeros.
    pub const fn new() -> Self {
        Self([0.0; N])
    }
}

impl<const N: usize> Default for Scratch<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Values of scratch memory that an engine for this image needs on the fastest kernel of this machine: the inputs and
/// outputs of one layer, of the one that has most, and the kernel's list of those inputs that are not 0.
pub fn scratch_len(image: &Image<'_>) -> usize {
    scratch_len_for(image, Kernel::best())
}

/// The same on a kernel of choice.
pub fn scratch_len_for(image: &Image<'_>, kernel: Kernel) -> usize {
    values_len(image) + image.layers().iter().map(|layer| kernel.list_len(layer)).max().unwrap_or(0)
}

/// Most values that the inputs and outputs of a layer have together, both in whole vectors.
fn values_len(image: &Image<'_>) -> usize {
    image.layers().iter().map(|layer| padded(layer.inputs()) + padded(layer.outputs())).max().unwrap_or(0)
}

impl<'a> Engine<'a> {
    /// An engine on the fastest kernel of this machine.
    ///
    /// # Errors
    /// [`EngineError::Scratch`] if `scratch` is shorter than [`scratch_len`].
    pub fn new(image: Image<'a>, scratch: &'a mut [f32]) -> Result<Self, EngineError> {
        Self::with_kernel(image, scratch, Kernel::best())
    }

    /// An engine on one kernel.
    ///
    /// # Errors
    /// [`EngineError::Scratch`] if `scratch` is shorter than [`scratch_len_for`].
    pub fn with_kernel(image: Image<'a>, scratch: &'a mut [f32], kernel: Kernel) -> Result<Self, EngineError> {
        let (needed, found) = (scratch_len_for(&image, kernel), scratch.len());
        if found < needed {
            return Err(EngineError::Scratch { needed, found });
        }
        let values = values_len(&image);
        Ok(Self { image, kernel, values, scratch })
    }

    /// The model.
    pub fn image(&self) -> &Image<'a> {
        &self.image
    }

    /// The kernel it runs on.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Assigns a frame `[C·H·W]`, channels first, in the units of the training data.
    ///
    /// # Errors
    /// [`FrameError`]; never panics, whatever the values.
    pub fn assign(&mut self, frame: &[f32]) -> Result<Assignment, FrameError> {
        check_frame(frame, self.image.shape().len())?;
        load(&self.image, self.scratch, frame);
        self.run()
    }

    /// Assigns a frame of bytes, each divided by 255, as images are.
    ///
    /// # Errors
    /// [`FrameError`]; never panics.
    pub fn assign_u8(&mut self, frame: &[u8]) -> Result<Assignment, FrameError> {
        let (expected, found) = (self.image.shape().len(), frame.len());
        if found != expected {
            return Err(FrameError::Length { expected, found });
        }
        load_values(&self.image, self.scratch, frame.iter().map(|byte| f32::from(*byte) / 255.0));
        self.run()
    }

    /// Compares the golden frame's assignment with the golden answer.
    ///
    /// # Errors
    /// [`EngineError::SelfTest`] if a responsibility differs by more than 2e-3, or the novelty by more than 1 %.
    pub fn self_test(&mut self) -> Result<(), EngineError> {
        let golden = self.image.golden();
        let assignment = self.assign(golden.frame).map_err(|_| EngineError::SelfTest)?;
        let close = assignment
            .log_responsibilities
            .iter()
            .zip(golden.log_responsibilities)
            .all(|(found, expected)| (libm::expf(*found) - libm::expf(*expected)).abs() <= 2e-3);
        let novelty = (assignment.novelty - golden.novelty).abs() <= 0.01 * golden.novelty.abs().max(1.0);
        if close && novelty { Ok(()) } else { Err(EngineError::SelfTest) }
    }

    /// All layers, then the head.
    fn run(&mut self) -> Result<Assignment, FrameError> {
        let (values, list) = self.scratch.split_at_mut_checked(self.values).ok_or(FrameError::Engine)?;
        let list: &mut [u32] = cast_slice_mut(list);
        let mut outputs = 0;
        for (index, layer) in self.image.layers().iter().enumerate() {
            outputs = padded(layer.outputs());
            let (from, to) = ends(values, index, padded(layer.inputs()), outputs).ok_or(FrameError::Engine)?;
            let done = match layer {
                Layer::Dense(dense) => self.kernel.dense(dense, from, to, list),
                Layer::Conv(conv) => self.kernel.conv(conv, from, to, list),
            };
            if !done {
                return Err(FrameError::Engine);
            }
        }
        let (last, _) = ends(values, self.image.layers().len(), outputs, 0).ok_or(FrameError::Engine)?;
        answer(&self.image, last)
    }
}

/// Where layer `index` finds its inputs and where it puts its outputs: at either end of the memory, in turn.
fn ends(values: &mut [f32], index: usize, inputs: usize, outputs: usize) -> Option<(&mut [f32], &mut [f32])> {
    let length = values.len();
    let at_start = index.is_multiple_of(2);
    let (start, rest) = values.split_at_mut_checked(if at_start { inputs } else { outputs })?;
    let end = rest.get_mut((length - start.len()).checked_sub(if at_start { outputs } else { inputs })?..)?;
    Some(if at_start { (start, end) } else { (end, start) })
}

/// Writes a frame to `row` as the first layer takes it: standardised, and for a convolution channels last.
fn load(image: &Image<'_>, row: &mut [f32], frame: &[f32]) {
    load_values(image, row, frame.iter().copied());
}

fn load_values(image: &Image<'_>, row: &mut [f32], frame: impl ExactSizeIterator<Item = f32>) {
    let shape = image.shape();
    // Only convolutions know channels.
    let channels = match image.layers().first() {
        Some(Layer::Conv(_)) => shape.channels,
        _ => 1,
    };
    match image.scaling() {
        None => place(row, channels, frame),
        // By halves, so that the difference of two large values stays finite; f64, as in training, is slow on a
        // microcontroller.
        Some([shift, factor]) => {
            let scaled = frame.zip(shift).zip(factor);
            place(row, channels, scaled.map(|((v, s), f)| (0.5 * v - 0.5 * s) * f * 2.0));
        }
    }
}

/// Writes the values of a frame, channels first, to `row`, channels last.
fn place(row: &mut [f32], channels: usize, values: impl ExactSizeIterator<Item = f32>) {
    if channels == 1 {
        row.iter_mut().zip(values).for_each(|(slot, value)| *slot = value);
        return;
    }
    let pixels = values.len().checked_div(channels).unwrap_or(0);
    let (mut pixel, mut channel) = (0, 0);
    for value in values {
        if let Some(slot) = row.get_mut(pixel * channels + channel) {
            *slot = value;
        }
        pixel += 1;
        if pixel == pixels {
            (pixel, channel) = (0, channel + 1);
        }
    }
}

/// From the outputs of the last layer to an assignment.
fn answer(image: &Image<'_>, outputs: &mut [f32]) -> Result<Assignment, FrameError> {
    let head = image.head();
    let (d, k) = (head.latent(), head.clusters());
    let [low, high] = image.log_var_range();
    let (mu, rest) = outputs.split_at_mut_checked(d).ok_or(FrameError::Engine)?;
    let (log_var, logits) = rest.split_at_mut_checked(d).ok_or(FrameError::Engine)?;
    // `clamp` keeps a NaN, which the head then refuses.
    log_var.iter_mut().for_each(|v| *v = v.clamp(low, high));
    let logits = if image.learned_head() { Some(logits.get(..k).ok_or(FrameError::Engine)?) } else { None };
    head.assign(mu, log_var, logits)
}
