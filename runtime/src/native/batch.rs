//! Many frames at once, where there is a heap: weights are read once for all of them.

use std::vec::Vec;

use super::{Engine, input};
use crate::flash::FlashModel;
use crate::head::Outputs;
use crate::kernels::Kernel;
use crate::layer::{Dense, Layer, Layout, padded};
use crate::{Assignment, FrameError, check_frame};

/// Values between two layers of the frames that go through them together: they should stay in the cache, but the more
/// frames there are, the less it costs to widen the weights.
const BLOCK_VALUES: usize = 1 << 17;
/// Least and most frames that go through the layers together.
const BLOCK: [usize; 2] = [96, 1024];
/// Fewest frames that are worth handing to a thread.
#[cfg(feature = "threads")]
const LEAST_SHARE: usize = 16;

/// A model in a flash image, ready to assign many frames at once.
///
/// Its buffers come from the heap, and are kept from one call to the next without the feature `threads`; every call takes
/// memory for the assignments.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    model: FlashModel<'a>,
    kernel: Kernel,
    #[cfg(not(feature = "threads"))]
    memory: Memory,
}

impl<'a> Batch<'a> {
    /// A batch engine on the fastest kernel of this machine.
    pub fn new(model: FlashModel<'a>) -> Self {
        Self::with_kernel(model, Kernel::best())
    }

    /// A batch engine on a kernel of choice.
    pub fn with_kernel(model: FlashModel<'a>, kernel: Kernel) -> Self {
        Self {
            model,
            kernel,
            #[cfg(not(feature = "threads"))]
            memory: Memory::default(),
        }
    }

    /// Assigns frames `[N,C,H,W]`. With the feature `threads`, blocks of them go to the threads of rayon.
    ///
    /// # Errors
    /// As [`Engine::assign`]; the index of a value counts from the first frame's first.
    pub fn assign(&mut self, frames: &[f32]) -> Result<Vec<Assignment>, FrameError> {
        let length = self.model.shape().len();
        if length == 0 {
            // That of an engine without a model.
            return Err(FrameError::Engine);
        }
        check_frame(frames, frames.len().next_multiple_of(length))?;
        let block = (BLOCK_VALUES / self.units()).clamp(BLOCK[0], BLOCK[1]);
        #[cfg(feature = "threads")]
        {
            use rayon::prelude::*;
            let this = &*self;
            let share = (frames.len() / length).div_ceil(rayon::current_num_threads()).max(LEAST_SHARE);
            let blocks = frames.par_chunks(block.min(share) * length).map_init(Memory::default, |memory, part| {
                let mut assignments = Vec::with_capacity(part.len() / length);
                this.block(part, memory, &mut assignments).map(|()| assignments)
            });
            Ok(blocks.collect::<Result<Vec<_>, _>>()?.concat())
        }
        #[cfg(not(feature = "threads"))]
        {
            let mut memory = core::mem::take(&mut self.memory);
            let mut assignments = Vec::with_capacity(frames.len() / length);
            let mut parts = frames.chunks(block * length);
            let done = parts.try_for_each(|part| self.block(part, &mut memory, &mut assignments));
            self.memory = memory;
            done.map(|()| assignments)
        }
    }

    /// Most values of a frame between two layers.
    fn units(&self) -> usize {
        let outputs = self.model.layers().iter().map(|layer| padded(layer.outputs())).max().unwrap_or(0);
        outputs.max(self.model.input_shape().len())
    }

    /// Assigns the frames of one block.
    fn block(&self, frames: &[f32], memory: &mut Memory, assignments: &mut Vec<Assignment>) -> Result<(), FrameError> {
        let length = self.model.shape().len();
        let count = frames.len() / length;
        let units = self.units();
        let inputs = self.model.input_shape().len();
        let Memory { values: [from, to], work, wide, list } = memory;
        from.resize(count * units, 0.0);
        to.resize(count * units, 0.0);
        wide.resize(self.model.layers().iter().map(Kernel::wide_len).max().unwrap_or(0), 0.0);
        work.resize(input::work_len(&self.model), 0.0);
        for (frame, row) in frames.chunks_exact(length).zip(from.chunks_exact_mut(inputs)) {
            input::write(&self.model, row, work, frame.iter().copied())?;
        }
        let mut stride = inputs;
        for layer in self.model.layers() {
            let (done, next) = match layer {
                Layer::Dense(dense) => {
                    let next = padded(dense.outputs());
                    let done = if skips(dense, &from[..count * stride], stride) {
                        list.resize(dense.inputs(), 0);
                        let rows = from.chunks_exact(stride).zip(to.chunks_exact_mut(next)).take(count);
                        rows.fold(true, |done, (x, out)| done & self.kernel.dense(dense, x, out, list))
                    } else {
                        self.kernel.dense_batch(dense, from, to, [stride, next], count, wide)
                    };
                    (done, next)
                }
                Layer::Conv(conv) => {
                    let next = layer.outputs();
                    (self.kernel.conv_batch(conv, from, to, [stride, next], count, wide), next)
                }
            };
            if !done {
                return Err(FrameError::Engine);
            }
            stride = next;
            core::mem::swap(from, to);
        }
        let outputs = Outputs {
            values: &from[..count * stride],
            stride,
            log_var_range: self.model.log_var_range(),
            learned_head: self.model.learned_head(),
        };
        let first = assignments.len();
        self.model.head().assign_batch(self.kernel, outputs, assignments)?;
        if let Some(range) = self.model.range() {
            for (frame, assignment) in frames.chunks_exact(length).zip(assignments.iter_mut().skip(first)) {
                assignment.is_outside = !range.holds(frame);
            }
        }
        Ok(())
    }
}

/// Buffers, kept from one block to the next, and without threads from one call to the next.
#[derive(Clone, Debug, Default)]
struct Memory {
    /// The inputs of a layer, and its outputs.
    values: [Vec<f32>; 2],
    /// What the front end works in.
    work: Vec<f32>,
    /// Weights of the layer, widened to f32.
    wide: Vec<f32>,
    /// Indexes of the layer's inputs that are not 0.
    list: Vec<u32>,
}

/// Whether skipping zeros, a frame at a time, beats a product of all inputs: it reads the weights again for every frame,
/// so they must lie near, and spares what is 0.
fn skips(dense: &Dense<'_>, x: &[f32], stride: usize) -> bool {
    let near = dense.layout() == Layout::Panels && dense.weights().len() <= NEAR;
    let inputs = dense.inputs();
    near && {
        let some = x.chunks_exact(stride).step_by(SAMPLE).flat_map(|row| &row[..inputs]);
        let (count, zeros) = some.fold((0, 0), |(count, zeros), v| (count + 1, zeros + usize::from(*v == 0.0)));
        zeros * 2 > count
    }
}

/// Most weights that lie near: those of a common second-level cache of 1 MiB.
const NEAR: usize = 1 << 19;
/// One frame in so many is looked at for zeros.
const SAMPLE: usize = 8;

impl<'a> From<&Engine<'a>> for Batch<'a> {
    /// A batch engine of the same model on the same kernel.
    fn from(engine: &Engine<'a>) -> Self {
        Self::with_kernel(engine.model().clone(), engine.kernel())
    }
}
