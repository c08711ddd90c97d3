//! What a model in a file says of frames: an ONNX file through tract, a flash image through the native engine.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prost::Message;
use rayon::prelude::*;
use runtime::flash::{Buffer, DecoderModel, FlashModel, MAGIC};
use runtime::native::{Batch, DecoderEngine, decoder_scratch_len};
use runtime::onnx::names;
use runtime::{Assignment, Engine, ValueRange};
use tract_onnx::pb::ModelProto;

use crate::data::{Expected, Manner, SeenValues, Source, Windowing, chunks_of, frames_in};
use crate::error::{Error, Result, Subject};
use crate::files::sha256;
use crate::frame::{FrameKind, FrameShape};

/// Frames that go through an engine together.
const BATCH: usize = 256;
/// Bytes of the frames that go through all engines together.
const CHUNK_BYTES: usize = 32 << 20;

/// A model in a file.
pub struct Exported {
    path: PathBuf,
    bytes: Buffer,
    expected: Expected,
    shape: FrameShape,
    seen: Option<SeenValues>,
    threshold: f32,
    /// Engines that are loaded and idle.
    idle: Mutex<Vec<Engine>>,
}

impl Exported {
    /// Reads a model.
    ///
    /// # Errors
    /// [`Error::Model`] if it cannot be read, or is neither an ONNX file of `trainer export` nor a flash image.
    pub fn open(path: &Path) -> Result<Self> {
        // Not `Buffer::read`, which reads of what is no flash image no more than its first bytes.
        let bytes = std::fs::read(path).map_err(|e| Error::model(path, e))?;
        let bytes = Buffer::copy_of(&bytes);
        let seen = |range: Option<ValueRange<'_>>, deviation: Option<&[f32]>| {
            let range = range?;
            let (least, most) = (range.least().to_vec(), range.most().to_vec());
            // A flash image does not say how values vary between the two.
            let deviation = deviation.map_or_else(|| vec![0.0; least.len()], <[f32]>::to_vec);
            Some(SeenValues { least, most, deviation })
        };
        let (shape, expected, seen, threshold) = if bytes.starts_with(&MAGIC) {
            let (shape, range, threshold, windowing) = of_flash(&bytes).map_err(|e| Error::model(path, e))?;
            let expected = windowing.map_or_else(Expected::default, |windowing| of_windows(shape.width, windowing));
            (shape, expected, seen(range, None), threshold)
        } else {
            let engine = Engine::from_bytes(&bytes, runtime::Precision::F32).map_err(|e| Error::model(path, e))?;
            let seen = seen(engine.range(), engine.deviation());
            (engine.shape(), described(&bytes), seen, engine.novelty_threshold())
        };
        let shape = FrameShape { channels: shape.channels, height: shape.height, width: shape.width };
        let kind = expected.kind.unwrap_or_else(|| shape.kind());
        let expected = Expected { kind: Some(kind), shape: Some(shape), ..expected };
        Ok(Self { path: path.to_owned(), bytes, expected, shape, seen, threshold, idle: Mutex::default() })
    }

    /// What is to be known of frames before they are read: their shape, and as far as the file says, what they are and the
    /// names of their features.
    pub fn expected(&self) -> &Expected {
        &self.expected
    }

    /// The values that the model was fitted to; None if the file does not say.
    pub fn seen(&self) -> Option<&SeenValues> {
        self.seen.as_ref()
    }

    /// SHA-256 of the file.
    pub fn sha256(&self) -> String {
        sha256(&self.bytes)
    }

    /// The threshold past which a frame is novel, nats.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Assignments of frames, made in parallel; `subject` is what the frames are called in an error.
    ///
    /// # Errors
    /// [`Error::Data`] if the frames do not fit the model, [`Error::Model`] if it cannot be loaded.
    pub fn assign(&self, frames: &dyn Source, subject: impl Into<Subject>) -> Result<Vec<Assignment>> {
        let subject = subject.into();
        let mut all = Vec::with_capacity(frames.len());
        self.each_part(frames, &subject, &mut |part| {
            all.extend(part);
            Ok(())
        })?;
        Ok(all)
    }

    /// Assignments as [`Exported::assign`] makes them, handed to `visit` part by part, in order.
    ///
    /// # Errors
    /// As for [`Exported::assign`], and what `visit` says.
    pub fn each_part(
        &self,
        frames: &dyn Source,
        subject: &Subject,
        visit: &mut dyn FnMut(Vec<Assignment>) -> Result<()>,
    ) -> Result<()> {
        if frames.shape() != self.shape {
            let model = self.path.display();
            let problem = format!("frames of shape {}, the model takes {} ({model})", frames.shape(), self.shape);
            return Err(Error::data(subject.clone(), problem));
        }
        // Whole batches, so that how they are cut into parts changes nothing.
        let count = frames_in(CHUNK_BYTES, self.shape).next_multiple_of(BATCH);
        for chunk in chunks_of(frames, count) {
            visit(self.of_values(&chunk?.1, subject)?)?;
        }
        Ok(())
    }

    /// Assignments of the values of whole frames.
    fn of_values(&self, values: &[f32], subject: &Subject) -> Result<Vec<Assignment>> {
        let fault = |e: &dyn std::fmt::Display| Error::data(subject.clone(), e);
        if !self.bytes.starts_with(&MAGIC) {
            let parts = values.par_chunks(BATCH * self.shape.len()).map(|part| {
                let mut engine = self.engine()?;
                let assigned = engine.assign_batch(part).map_err(|e| fault(&e));
                self.idle().push(engine);
                assigned
            });
            return Ok(parts.collect::<Result<Vec<_>>>()?.concat());
        }
        if let Ok(model) = FlashModel::new(&self.bytes) {
            return Batch::new(model).assign(values).map_err(|e| fault(&e));
        }
        let model = DecoderModel::new(&self.bytes).map_err(|e| Error::model(&self.path, e))?;
        let mut scratch = vec![0.0; decoder_scratch_len(&model)];
        let mut engine = DecoderEngine::new(model, &mut scratch).map_err(|e| Error::model(&self.path, e))?;
        values.chunks_exact(self.shape.len()).map(|frame| engine.assign(frame).map_err(|e| fault(&e))).collect()
    }

    /// An engine that is idle, or else a new one: there are never more than threads.
    fn engine(&self) -> Result<Engine> {
        match self.idle().pop() {
            Some(engine) => Ok(engine),
            None => Engine::from_bytes(&self.bytes, runtime::Precision::F32).map_err(|e| Error::model(&self.path, e)),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Engine>> {
        // An engine is pushed or popped whole, whatever became of who did.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shape of a frame of a flash image, with a decoder or without, the range of values that training saw, and the threshold
/// of novelty.
fn of_flash(bytes: &[u8]) -> Result<OfFlash<'_>, runtime::flash::FlashError> {
    match (FlashModel::new(bytes), DecoderModel::new(bytes)) {
        (Ok(model), _) => Ok((model.shape(), model.range(), model.head().novelty_threshold(), model.windowing())),
        (_, Ok(model)) => Ok((model.shape(), model.range(), model.head().novelty_threshold(), model.windowing())),
        (Err(e), _) => Err(e),
    }
}

/// What [`of_flash`] finds.
type OfFlash<'a> = (runtime::FrameShape, Option<ValueRange<'a>>, f32, Option<runtime::Windowing>);

/// What a flash image says of recordings; it keeps no names of channels.
fn of_windows(window: usize, windowing: runtime::Windowing) -> Expected {
    let rate = windowing.rate().map(f64::from);
    let windows = Windowing { window, hop: windowing.hop(), rate, time: None, recording: None, resampled: false };
    let manner = Some(Manner { windows: Some(windows), ..Manner::default() });
    Expected { kind: Some(FrameKind::Window), manner, ..Expected::default() }
}

/// What the metadata of an ONNX file say of frames.
fn described(bytes: &[u8]) -> Expected {
    let model = ModelProto::decode(bytes).unwrap_or_default();
    let entry =
        |key: &str| model.metadata_props.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
    let kind = match entry(names::KIND_KEY) {
        Some("image") => Some(FrameKind::Image),
        Some("window") => Some(FrameKind::Window),
        Some("features") => Some(FrameKind::Features),
        _ => None,
    };
    let columns = entry(names::COLUMNS_KEY).and_then(|text| serde_json::from_str(text).ok());
    let manner = entry(names::MANNER_KEY).and_then(|text| serde_json::from_str(text).ok());
    Expected { kind, shape: None, columns, manner }
}

/// Assignments of an exported model, made in parallel; each thread has an engine of its own.
///
/// # Errors
/// [`Error::Data`] if the frames do not fit the model, [`Error::Model`] if it cannot be loaded.
pub fn assign(model: &Path, frames: &dyn Source) -> Result<Vec<Assignment>> {
    Exported::open(model)?.assign(frames, "frames")
}
