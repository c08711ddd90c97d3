//! What a front end makes of frames, made once where it takes longer than a step of training.

use rayon::prelude::*;

use super::source::{Part, Source, frames_in};
use super::windowing::{Cut, Recordings};
use crate::error::Result;
use crate::frame::FrameShape;

/// Bytes that are kept in memory; of more, frames are made as they are read.
const MOST_BYTES: usize = 1 << 30;
/// Bytes of what is made at once by a thread.
const AT_ONCE: usize = 1 << 18;

/// The frames of a part, kept as they are once made.
pub struct Computed<'a> {
    part: Part<'a>,
    values: Option<Vec<f32>>,
}

impl<'a> Computed<'a> {
    /// Makes the frames of a part, on all cores.
    ///
    /// # Errors
    /// As for [`Source::read`].
    pub fn of(part: Part<'a>) -> Result<Self> {
        let (count, p) = (part.len(), part.shape().len());
        if count.saturating_mul(p) > MOST_BYTES / size_of::<f32>() {
            return Ok(Self { part, values: None });
        }
        let (mut values, at_once) = (vec![0.0; count * p], frames_in(AT_ONCE, part.shape()));
        values.par_chunks_mut(at_once * p).enumerate().try_for_each(|(chunk, values)| {
            let first = chunk * at_once;
            part.read(&(first..first + values.len() / p).collect::<Vec<_>>(), values)
        })?;
        Ok(Self { part, values: Some(values) })
    }
}

impl Source for Computed<'_> {
    fn shape(&self) -> FrameShape {
        self.part.shape()
    }

    fn len(&self) -> usize {
        self.part.len()
    }

    fn recordings(&self) -> Option<&Recordings> {
        self.part.recordings()
    }

    fn cut(&self, n: usize) -> Option<Cut> {
        self.part.cut(n)
    }

    fn read(&self, indices: &[usize], values: &mut [f32]) -> Result<()> {
        let Some(made) = &self.values else { return self.part.read(indices, values) };
        let p = self.shape().len();
        assert_eq!(values.len(), indices.len() * p, "room for every frame");
        values.chunks_exact_mut(p).zip(indices).for_each(|(values, &n)| values.copy_from_slice(&made[n * p..][..p]));
        Ok(())
    }
}
