//! Why a frame went to its cluster, by the critic that was trained for the model: one forward pass, no decoder.

use bytemuck::cast_slice_mut;

use super::Engine;
use super::input::{self, Order};
use crate::flash::{CriticNetwork, FlashError, FlashModel};
use crate::head::exp;
use crate::kernels::Kernel;
use crate::layer::{Layer, padded};
use crate::{Assignment, FrameError, FrameShape};

/// The critic of an image, with memory to run in.
#[derive(Debug)]
pub struct Critic<'a> {
    network: CriticNetwork<'a>,
    kernel: Kernel,
    scratch: &'a mut [f32],
}

/// Why an image gives no critic to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CriticError {
    /// The image has none.
    #[error("the image has no critic; `trainer critic` makes one for the next export")]
    Absent,
    /// The scratch memory is too small.
    #[error("{found} values of scratch memory, this critic needs {needed}")]
    Scratch {
        /// Values needed: [`critic_scratch_len`].
        needed: usize,
        /// Values given.
        found: usize,
    },
    /// The section of the critic makes no sense.
    #[error(transparent)]
    Flash(#[from] FlashError),
}

/// Values of scratch memory that the critic needs on the fastest kernel of this machine: inputs and outputs of two
/// layers, and the kernel's list of those inputs that are not 0.
pub fn critic_scratch_len(network: &CriticNetwork<'_>) -> usize {
    scratch_len(network, Kernel::best())
}

fn scratch_len(network: &CriticNetwork<'_>, kernel: Kernel) -> usize {
    let list = network.dense().iter().map(|dense| kernel.list_len(&Layer::Dense(*dense))).max().unwrap_or(0);
    ends(network).iter().sum::<usize>() + network.work_len() + list
}

/// Values of the two parts of the memory that take turns as inputs and outputs of layers; the second then holds the frame.
fn ends(network: &CriticNetwork<'_>) -> [usize; 2] {
    let [hidden, units, grid] = network.dense().map(|dense| padded(dense.outputs()));
    [hidden.max(grid), units.max(padded(network.bias().len()))]
}

impl<'a> Critic<'a> {
    /// The critic of an image on the fastest kernel of this machine.
    ///
    /// # Errors
    /// [`CriticError::Absent`] if the image has none, [`CriticError::Flash`] if its section makes no sense,
    /// [`CriticError::Scratch`] if `scratch` is shorter than [`critic_scratch_len`].
    pub fn new(model: &FlashModel<'a>, scratch: &'a mut [f32]) -> Result<Self, CriticError> {
        Self::with_kernel(model, scratch, Kernel::best())
    }

    /// The critic of an image on a kernel of choice; scratch memory for the fastest is enough for any.
    ///
    /// # Errors
    /// As [`Critic::new`].
    pub fn with_kernel(model: &FlashModel<'a>, scratch: &'a mut [f32], kernel: Kernel) -> Result<Self, CriticError> {
        let network = CriticNetwork::new(model)?.ok_or(CriticError::Absent)?;
        let (needed, found) = (scratch_len(&network, kernel), scratch.len());
        if found < needed {
            return Err(CriticError::Scratch { needed, found });
        }
        Ok(Self { network, kernel, scratch })
    }

    /// Writes the trust of every value of a frame, every one finite.
    pub(super) fn draw(
        &mut self,
        model: &FlashModel<'_>,
        frame: &[f32],
        mu: &[f32],
        trust: &mut [f32],
    ) -> Result<(), FrameError> {
        self.run(model, frame, mu, trust).ok_or(FrameError::Engine)?;
        if trust.iter().all(|v| v.is_finite()) { Ok(()) } else { Err(FrameError::Overflow) }
    }

    /// Writes the trust of every value of a frame with latent mean `mu`; `map` has as many values as the frame.
    fn run(&mut self, model: &FlashModel<'_>, frame: &[f32], mu: &[f32], map: &mut [f32]) -> Option<()> {
        let (network, shape) = (&self.network, model.input_shape());
        let [a, b, c] = network.dense();
        if network.model() != model.checksum() || a.inputs() != mu.len() || network.bias().len() != map.len() {
            return None;
        }
        let [first, second] = ends(network);
        let (grid, rest) = self.scratch.split_at_mut_checked(first)?;
        let (x, rest) = rest.split_at_mut_checked(second)?;
        let (work, list) = rest.split_at_mut_checked(network.work_len())?;
        let list: &mut [u32] = cast_slice_mut(list);
        let kernel = self.kernel;
        let done = kernel.dense(a, mu, grid, list) && kernel.dense(b, grid, x, list) && kernel.dense(c, x, grid, list);
        done.then_some(())?;
        let x = x.get_mut(..map.len())?;
        input::write_in(Order::OF_FRAME, model, x, work, frame.iter().copied()).ok()?;

        let [rows, columns] = [shape.height, shape.width].map(|length| length.div_ceil(network.factor()));
        let area = network.side() * network.side();
        let lines = map.chunks_exact_mut(shape.width).zip(network.bias().chunks_exact(shape.width));
        for (line, (map, bias)) in lines.enumerate() {
            let (channel, row) = (line / shape.height, line % shape.height);
            let (above, below, share) = CriticNetwork::tap(row, network.factor(), rows);
            let of_grid = |row: usize| grid.get((channel * rows + row) * columns..)?.get(..columns);
            let (above, below) = (of_grid(above)?, of_grid(below)?);
            let plane = x.get(channel * shape.height * shape.width..)?;
            let weights = network.local().get(channel * area..)?.get(..area)?;
            for (column, (value, bias)) in map.iter_mut().zip(bias).enumerate() {
                let (left, right, across) = CriticNetwork::tap(column, network.factor(), columns);
                let between = |row: &[f32]| Some(lerp(*row.get(left)?, *row.get(right)?, across));
                let mean = lerp(between(above)?, between(below)?, share) + bias;
                let mean = mean + local(plane, shape, [row, column], weights, network.side());
                let mean = if network.bernoulli() { 1.0 / (1.0 + exp(-mean)) } else { mean };
                let error = *plane.get(row * shape.width + column)? - mean;
                *value = exp(-network.sharpness() * error * error);
            }
        }
        Some(())
    }
}

/// The convolution of a channel at one place, zeros around it.
fn local(plane: &[f32], shape: FrameShape, [row, column]: [usize; 2], weights: &[f32], side: usize) -> f32 {
    let half = side / 2;
    let mut sum = 0.0;
    for (down, weights) in weights.chunks_exact(side).enumerate() {
        // Above the frame the difference wraps around, to what is past it.
        let row = (row + down).wrapping_sub(half);
        if row >= shape.height {
            continue;
        }
        let (from, skipped) = (column.saturating_sub(half), half.saturating_sub(column));
        let to = (column + half + 1).min(shape.width);
        let line = plane.get(row * shape.width + from..row * shape.width + to).unwrap_or_default();
        let weights = weights.get(skipped..).unwrap_or_default();
        sum += line.iter().zip(weights).map(|(x, weight)| x * weight).sum::<f32>();
    }
    sum
}

/// Linear interpolation: `a` at a share of 0, `b` at 1.
fn lerp(a: f32, b: f32, share: f32) -> f32 {
    a + (b - a) * share
}

impl Engine<'_> {
    /// Assigns a frame as [`Engine::assign`] does, and writes to `trust` how well each of its values is what the model
    /// expects of such a frame, as the critic sees it: trust `[C·H·W]`, 0 to 1, low where frame and reconstruction disagree;
    /// of the features of the front end where there is one, `[C,F]` ([`FlashModel::input_shape`]).
    ///
    /// `critic` is that of the same model. The map is exp(-(x - x̂)²/(2s²)), x̂ what the critic expects of the value and s
    /// the noise of a value ([`CriticNetwork`]).
    ///
    /// # Errors
    /// As [`Engine::assign`], and [`FrameError::Length`] for a map of another length than that,
    /// [`FrameError::Engine`] for the critic of another model, of the same shape or not. Never panics.
    pub fn explain(
        &mut self,
        critic: &mut Critic<'_>,
        frame: &[f32],
        trust: &mut [f32],
    ) -> Result<Assignment, FrameError> {
        let (expected, found) = (self.model.input_shape().len(), trust.len());
        if found != expected {
            return Err(FrameError::Length { expected, found });
        }
        let is_outside = self.write_input(frame)?;
        let latent = super::run(&self.model, self.kernel, self.values, self.scratch, is_outside)?;
        let assignment = latent.assign(self.model.head())?;
        critic.draw(&self.model, frame, latent.mu, trust)?;
        Ok(assignment)
    }
}
