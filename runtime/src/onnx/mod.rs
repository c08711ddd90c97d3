//! ONNX: the engine for machines with `std`, and the names of the format. tract runs the encoder, [`Head`] does the rest.

pub mod checksum;
mod decoder;
mod explain;
mod front_end;
mod fused;
mod linear;
mod load;
pub mod names;

use std::path::Path;

use tract_onnx::prelude::*;

pub use explain::{ExplainError, Explanation};

use crate::kernels::flushed;
use crate::{Assignment, FrameError, FrameShape, FrontEnd, FrontEndSpec, Head, ValueRange, Windowing, check_frame};

/// Arithmetic of the encoder; the head is f32 in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// f32 arithmetic; weights stored as f16 are widened at load.
    #[default]
    F32,
    /// tract's whole-graph f16. Fast only where the CPU has f16 arithmetic; convolutions are slow elsewhere.
    F16,
    /// Weights in f16 and sums in f32, on this crate's kernels within tract: the fastest without a flash image.
    Fused,
}

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The checksum is wrong.
    #[error(
        "the file is damaged, or was saved again by another program: its checksum does not hold; take it as `trainer export` \
         wrote it, export it anew, or, if the change is yours, write its checksum anew: `trainer stamp`"
    )]
    Damaged,
    /// There is no checksum.
    #[error("the file is no model written by `trainer export`: it has no checksum")]
    Foreign,
    /// The file is whole, but not of the version or form that this crate reads.
    #[error("not a model of this version: {0}")]
    Incompatible(String),
    /// tract does not accept the graph.
    #[error("tract refuses the graph: {0}")]
    Graph(String),
}

/// A graph that tract has made ready to run.
type Plan = TypedSimpleState;

/// A model in an ONNX file, ready to assign frames.
///
/// ```
/// let mut engine = runtime::Engine::load("../models/digits.onnx")?;
/// let frame = vec![0.0; engine.shape().len()];
/// let answer = engine.assign(&frame)?;
/// assert_eq!(answer.log_responsibilities.len(), engine.clusters());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Every call takes memory from the heap: tract for its tensors, this engine for copies of their values. The head is
/// made once, at loading, and an [`Assignment`] holds no memory of the heap.
pub struct Engine {
    shape: FrameShape,
    /// What makes the features that the encoder takes, if it does not take the frame itself.
    front_end: Option<FrontEndSpec>,
    head: Head<'static>,
    /// Whether the encoder gives logits of q(c|x) besides m and log v.
    has_logits: bool,
    /// The range of values seen in training, if the model says.
    seen: Option<load::Seen>,
    /// How frames are cut out of recordings, if the model says.
    windowing: Option<Windowing>,
    /// The encoder for one frame, which tract runs faster.
    single: Plan,
    /// The encoder for any number of frames.
    batch: Plan,
    /// The decoder that novelty counts, if it does.
    novelty: Option<decoder::NoveltyDecoder>,
    /// The decoder, for explanations, once it is loaded.
    decoder: Option<explain::Decoder>,
}

impl Engine {
    /// Loads an ONNX file written by `trainer export`, in f32.
    ///
    /// # Errors
    /// [`LoadError`] if the file cannot be read, is damaged, or is no such model.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        Self::load_with(path, Precision::F32)
    }

    /// Loads an ONNX file with a choice of arithmetic.
    ///
    /// # Errors
    /// As [`Engine::load`].
    pub fn load_with(path: impl AsRef<Path>, precision: Precision) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| LoadError::Io { path: path.display().to_string(), source })?;
        Self::from_bytes(&bytes, precision)
    }

    /// Loads a model from the bytes of its file.
    ///
    /// # Errors
    /// As [`Engine::load`]; never panics, whatever the bytes.
    pub fn from_bytes(bytes: &[u8], precision: Precision) -> Result<Self, LoadError> {
        load::load(bytes, precision)
    }

    /// Shape of the frames that the model takes.
    pub fn shape(&self) -> FrameShape {
        self.shape
    }

    /// The front end, which makes the features that the encoder takes of a frame; None where it takes the frame itself.
    pub fn front_end(&self) -> Option<FrontEnd<'_>> {
        self.front_end.as_ref().and_then(FrontEndSpec::front_end)
    }

    /// Shape of what the encoder takes, and of maps that explain: of the features if there is a front end, else of a frame.
    pub fn input_shape(&self) -> FrameShape {
        front_end::input_shape(self.front_end.as_ref(), self.shape)
    }

    /// Clusters K.
    pub fn clusters(&self) -> usize {
        self.head.clusters()
    }

    /// Novelty past which a frame is called novel, nats.
    pub fn novelty_threshold(&self) -> f32 {
        self.head.novelty_threshold()
    }

    /// The range of values seen in training; None in files that do not say, as those of before 2026-11-27.
    pub fn range(&self) -> Option<ValueRange<'_>> {
        self.seen.as_ref().and_then(|seen| ValueRange::new(&seen.least, &seen.most, self.shape.len()))
    }

    /// How frames are cut out of a stream of samples; None in files that do not say, as those of frames that are no windows of
    /// a recording.
    pub fn windowing(&self) -> Option<Windowing> {
        self.windowing
    }

    /// The standard deviation of the values that training saw of every channel or column `[G]`, in the units of the
    /// training data; None where [`Engine::range`] is.
    pub fn deviation(&self) -> Option<&[f32]> {
        self.seen.as_ref().map(|seen| &seen.deviation[..])
    }

    /// Names of the operators that tract runs for one frame.
    pub fn operators(&self) -> impl Iterator<Item = String> {
        self.single.model().nodes.iter().map(|node| node.op.name().into_owned())
    }

    /// Assigns one frame `[C,H,W]`.
    ///
    /// # Errors
    /// [`FrameError`] if the frame has another size or a value that is not finite.
    pub fn assign(&mut self, frame: &[f32]) -> Result<Assignment, FrameError> {
        check_frame(frame, self.shape.len())?;
        let (inputs, shape) = (front_end::inputs(self.front_end.as_ref(), frame)?, self.input_shape());
        let outputs = run(&mut self.single, &inputs, 1, shape)?;
        self.assignments([frame, &inputs], &outputs, 1)?.pop().ok_or(FrameError::Engine)
    }

    /// Assigns one frame of bytes, which stand for value / 255.
    ///
    /// # Errors
    /// As [`Engine::assign`].
    pub fn assign_u8(&mut self, frame: &[u8]) -> Result<Assignment, FrameError> {
        let values: Vec<f32> = frame.iter().map(|&v| f32::from(v) / 255.0).collect();
        self.assign(&values)
    }

    /// Assigns N frames `[N,C,H,W]` at once.
    ///
    /// # Errors
    /// As [`Engine::assign`]; one bad frame refuses the batch.
    pub fn assign_batch(&mut self, frames: &[f32]) -> Result<Vec<Assignment>, FrameError> {
        let count = frames.len() / self.shape.len();
        check_frame(frames, count * self.shape.len())?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let (inputs, shape) = (front_end::inputs(self.front_end.as_ref(), frames)?, self.input_shape());
        let outputs = run(&mut self.batch, &inputs, count, shape)?;
        self.assignments([frames, &inputs], &outputs, count)
    }

    /// Assigns the `count` frames of the outputs of [`run`]; `frames` are in the units of the data, `inputs` as the encoder
    /// takes them, `[N,P]` both.
    fn assignments(
        &mut self,
        [frames, inputs]: [&[f32]; 2],
        outputs: &[Vec<f32>],
        count: usize,
    ) -> Result<Vec<Assignment>, FrameError> {
        let by_latent = (0..count).map(|n| self.assignment(outputs, n));
        let mut assignments = by_latent.collect::<Result<Vec<_>, _>>()?;
        if let Some(decoder) = &mut self.novelty {
            let mu = outputs.first().and_then(|mu| mu.get(..count * self.head.latent())).ok_or(FrameError::Engine)?;
            decoder.judge(inputs, mu, &self.head, &mut assignments)?;
        }
        if let Some(range) = self.range() {
            let frames = frames.chunks_exact(self.shape.len());
            frames.zip(&mut assignments).for_each(|(frame, found)| found.is_outside = !range.holds(frame));
        }
        Ok(assignments)
    }

    /// Assigns frame `n` of the outputs of [`run`], its novelty that of the latent alone.
    fn assignment(&self, outputs: &[Vec<f32>], n: usize) -> Result<Assignment, FrameError> {
        let of_frame = |output: usize, width: usize| {
            outputs.get(output).and_then(|o| o.get(n * width..(n + 1) * width)).ok_or(FrameError::Engine)
        };
        let (k, d) = (self.head.clusters(), self.head.latent());
        let logits = if self.has_logits { Some(of_frame(2, k)?) } else { None };
        self.head.assign(of_frame(0, d)?, of_frame(1, d)?, logits)
    }
}

/// Values nearer to 0 than this, 2⁻¹⁰⁰, are taken for 0: their products with most weights would be subnormal numbers, over
/// which many processors take a hundred times as long.
const LEAST_IN: f32 = f32::from_bits((127 - 100) << 23);

/// The outputs of the encoder for `count` frames, each as one run of values.
fn run(plan: &mut Plan, frames: &[f32], count: usize, shape: FrameShape) -> Result<Vec<Vec<f32>>, FrameError> {
    let dims = [count, shape.channels, shape.height, shape.width];
    let fact = plan.model().input_fact(0).map_err(|_| FrameError::Engine)?;
    let kind = fact.datum_type;
    // As `kernels::LEAST` says; scaling may be in the graph, so that values of small units must stay.
    let frames: Vec<f32> = frames.iter().map(|value| flushed(*value, LEAST_IN)).collect();
    let input = Tensor::from_shape(&dims, &frames).and_then(|t| t.cast_to_dt(kind).map(|t| t.into_owned()));
    let input = input.map_err(|_| FrameError::Engine)?;
    let outputs = plan.run(tvec!(input.into())).map_err(|_| FrameError::Engine)?;
    outputs
        .iter()
        .map(|output| {
            let output = output.cast_to::<f32>().map_err(|_| FrameError::Engine)?;
            let values = output.try_as_plain_ram().and_then(|plain| plain.as_slice::<f32>().map(<[f32]>::to_vec));
            values.map_err(|_| FrameError::Engine)
        })
        .collect()
}
