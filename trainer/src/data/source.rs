//! A source of frames: it says how many there are, and widens those that are asked for.
//!
//! Whoever looks at all frames asks for a chunk at a time, so that what is held in memory does not grow with their number.
//! A part of a source is a list of indices, and is scaled as it is read; nothing is copied for it.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::sync::OnceLock;

use super::Frames;
use super::preparation::Preparation;
use super::windowing::{Cut, Recordings};
use crate::error::{Error, Result};
use crate::frame::FrameShape;

/// Bytes of widened values that a chunk has about.
const CHUNK_BYTES: usize = 16 << 20;

/// N frames of one shape that are given in f32, a few at a time.
pub trait Source {
    /// Shape of a frame.
    fn shape(&self) -> FrameShape;

    /// Number of frames N.
    fn len(&self) -> usize;

    /// Writes the frames at `indices`, in that order, to `values` `[n,P]`.
    ///
    /// # Errors
    /// [`Error::Data`] if a file no longer gives what it did, [`Error::Stopped`] if who watches the source asks for an end.
    ///
    /// # Panics
    /// If an index is not below [`Source::len`], or `values` does not hold as many frames.
    fn read(&self, indices: &[usize], values: &mut [f32]) -> Result<()>;

    /// Class of each frame `[N]`, for scoring only; None where there are none.
    fn labels(&self) -> Option<&[u32]> {
        None
    }

    /// Where the SHA-256 of the values is kept once it is known; None where it is not kept.
    fn sha256(&self) -> Option<&OnceLock<String>> {
        None
    }

    /// The recordings that the frames are windows of; None where they are of none.
    fn recordings(&self) -> Option<&Recordings> {
        None
    }

    /// Where frame `n` lies in [`Source::recordings`]; None where there are none.
    fn cut(&self, _n: usize) -> Option<Cut> {
        None
    }

    /// True if there is no frame.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The frames at `indices`, in that order, in memory, with their labels.
    ///
    /// # Errors
    /// As for [`Source::read`].
    ///
    /// # Panics
    /// If an index is not below [`Source::len`].
    fn gather(&self, indices: &[usize]) -> Result<Frames> {
        let mut values = vec![0.0; indices.len() * self.shape().len()];
        self.read(indices, &mut values)?;
        let labels = self.labels().map(|labels| indices.iter().map(|&n| labels[n]).collect());
        Ok(Frames { shape: self.shape(), values, labels })
    }

    /// All frames, in memory, with their labels.
    ///
    /// # Errors
    /// As for [`Source::read`].
    fn all(&self) -> Result<Frames> {
        self.gather(&(0..self.len()).collect::<Vec<_>>())
    }
}

/// What a reference refers to.
impl<S: Source + ?Sized> Source for &S {
    fn shape(&self) -> FrameShape {
        (**self).shape()
    }

    fn len(&self) -> usize {
        (**self).len()
    }

    fn read(&self, indices: &[usize], values: &mut [f32]) -> Result<()> {
        (**self).read(indices, values)
    }

    fn labels(&self) -> Option<&[u32]> {
        (**self).labels()
    }

    fn sha256(&self) -> Option<&OnceLock<String>> {
        (**self).sha256()
    }

    fn recordings(&self) -> Option<&Recordings> {
        (**self).recordings()
    }

    fn cut(&self, n: usize) -> Option<Cut> {
        (**self).cut(n)
    }
}

/// Number of frames of a shape that together have about so many bytes in f32, at least one.
pub fn frames_in(bytes: usize, shape: FrameShape) -> usize {
    (bytes / (size_of::<f32>() * shape.len()).max(1)).max(1)
}

/// The frames of a source in chunks, in their order: index of the first, and the values `[n,P]`.
pub fn chunks(source: &dyn Source) -> impl Iterator<Item = Result<(usize, Vec<f32>)>> + '_ {
    chunks_of(source, frames_in(CHUNK_BYTES, source.shape()))
}

/// As [`chunks`], but of `count` frames each; the last may have fewer.
///
/// # Panics
/// If `count` is 0.
pub fn chunks_of(source: &dyn Source, count: usize) -> impl Iterator<Item = Result<(usize, Vec<f32>)>> + '_ {
    (0..source.len()).step_by(count).map(move |first| {
        let indices: Vec<usize> = (first..source.len().min(first + count)).collect();
        Ok((first, source.gather(&indices)?.values))
    })
}

/// Calls `visit` with the values of every frame `[P]`, in their order.
///
/// # Errors
/// As for [`Source::read`].
pub fn each_frame(source: &dyn Source, mut visit: impl FnMut(&[f32])) -> Result<()> {
    for chunk in chunks(source) {
        chunk?.1.chunks_exact(source.shape().len()).for_each(&mut visit);
    }
    Ok(())
}

/// Some frames of a source, or all, prepared as they are read.
#[derive(Debug)]
pub struct Part<'a, S: Source + ?Sized = dyn Source + Sync + 'a> {
    source: &'a S,
    /// Which of the frames, in the order of the part; None for all.
    indices: Option<Vec<u32>>,
    preparation: Preparation<'a>,
}

impl<S: Source + ?Sized> Clone for Part<'_, S> {
    fn clone(&self) -> Self {
        Self { source: self.source, indices: self.indices.clone(), preparation: self.preparation }
    }
}

impl<'a, S: Source + ?Sized> Part<'a, S> {
    /// All frames of a source.
    pub fn all(source: &'a S, preparation: Preparation<'a>) -> Self {
        Self { source, indices: None, preparation }
    }

    /// The frames at `indices`, in that order.
    pub fn of(source: &'a S, indices: Vec<u32>, preparation: Preparation<'a>) -> Self {
        Self { source, indices: Some(indices), preparation }
    }

    /// The same frames, prepared in another way.
    pub fn with(&self, preparation: Preparation<'a>) -> Self {
        Self { source: self.source, indices: self.indices.clone(), preparation }
    }
}

impl<S: Source + ?Sized> Source for Part<'_, S> {
    fn shape(&self) -> FrameShape {
        self.preparation.shape(self.source.shape())
    }

    fn len(&self) -> usize {
        self.indices.as_ref().map_or_else(|| self.source.len(), Vec::len)
    }

    fn recordings(&self) -> Option<&Recordings> {
        self.source.recordings()
    }

    fn cut(&self, n: usize) -> Option<Cut> {
        self.source.cut(self.indices.as_ref().map_or(n, |of| of[n] as usize))
    }

    fn read(&self, indices: &[usize], values: &mut [f32]) -> Result<()> {
        self.preparation.read(self.source.shape(), values, |values| match &self.indices {
            Some(of) => self.source.read(&indices.iter().map(|&n| of[n] as usize).collect::<Vec<_>>(), values),
            None => self.source.read(indices, values),
        })
    }
}

/// A source that says how many frames have been read, and ends a pass over it when that is asked for.
pub struct Watched<'a> {
    source: &'a dyn Source,
    done: Cell<usize>,
    tell: RefCell<&'a mut dyn FnMut(usize) -> ControlFlow<()>>,
}

impl<'a> Watched<'a> {
    /// The same frames; `tell` hears how many have been read so far, before more are read.
    pub fn new(source: &'a dyn Source, tell: &'a mut dyn FnMut(usize) -> ControlFlow<()>) -> Self {
        Self { source, done: Cell::new(0), tell: RefCell::new(tell) }
    }
}

impl Source for Watched<'_> {
    fn shape(&self) -> FrameShape {
        self.source.shape()
    }

    fn len(&self) -> usize {
        self.source.len()
    }

    fn labels(&self) -> Option<&[u32]> {
        self.source.labels()
    }

    fn sha256(&self) -> Option<&OnceLock<String>> {
        self.source.sha256()
    }

    fn recordings(&self) -> Option<&Recordings> {
        self.source.recordings()
    }

    fn cut(&self, n: usize) -> Option<Cut> {
        self.source.cut(n)
    }

    fn read(&self, indices: &[usize], values: &mut [f32]) -> Result<()> {
        if (self.tell.borrow_mut())(self.done.get()).is_break() {
            return Err(Error::Stopped);
        }
        self.done.set(self.done.get() + indices.len());
        self.source.read(indices, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::scaling::Scaling;

    #[test]
    fn a_part_of_a_part_is_read_through_both_and_a_watched_pass_can_be_ended() {
        let shape = FrameShape { channels: 1, height: 1, width: 2 };
        let frames = Frames { shape, values: (0..12).map(|v| v as f32).collect(), labels: None };
        let scaling = Scaling { shift: vec![1.0, 0.0], factor: vec![2.0, 10.0] };
        let outer: Part<'_> = Part::of(&frames, vec![5, 0, 3], Preparation::new(None, Some(&scaling)));
        let inner: Part<'_> = Part::of(&outer, vec![2, 0], Preparation::default());
        assert_eq!(inner.gather(&[1, 0]).unwrap().values, [18.0, 110.0, 10.0, 70.0]);

        let mut told = Vec::new();
        let mut tell = |done| {
            told.push(done);
            if done >= 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let watched = Watched::new(&frames, &mut tell);
        let read: Vec<_> = chunks_of(&watched, 2).map(|chunk| chunk.map(|(first, _)| first)).collect();
        assert!(matches!(read[..], [Ok(0), Ok(2), Err(Error::Stopped)]), "{read:?}");
        assert_eq!(told, [0, 2, 4]);
    }
}
