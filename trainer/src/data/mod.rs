//! The frames: read from files, taken for what they are, scaled, seen in random views, dealt out in batches.
//!
//! Reading, meaning and scaling are apart: `readers` give values as they are stored, [`meaning`] says which axis is what
//! and what a frame is; [`scaling`] standardises them for a model. Values stay as they are stored, in memory or in their
//! file, until a [`Source`] is asked for frames.

pub mod batches;
mod computed;
mod front_end;
mod input;
mod kept;
pub mod layout;
mod log_mel;
mod manner;
pub mod meaning;
mod missing;
mod preparation;
mod readers;
pub mod scaling;
mod seen;
mod set;
mod source;
mod spectral;
mod stored_frames;
mod tone;
pub mod views;
mod windowing;

pub use computed::Computed;
pub use front_end::FrontEnd;
pub use input::{Input, open};
pub use kept::{Kept, texts};
pub use log_mel::LogMel;
pub use manner::Manner;
pub use meaning::Expected;
pub use missing::Missing;
pub use preparation::{Preparation, Standardised};
pub use readers::{
    PictureOptions, ReadError, ReadProblem, RecordingOptions, Role, TableOptions, digits, write_npy, write_npy_frames,
};
pub use seen::{Comparison, SeenValues};
pub use set::{DataSet, Taken};
pub use source::{Part, Source, Watched, chunks, chunks_of, each_frame, frames_in};
pub use spectral::{Spectral, placed};
pub use stored_frames::StoredFrames;
pub use tone::{Colours, Tone};
pub use windowing::{Cut, Recordings, Stretch, Windowing};

use crate::error::Result;
use crate::frame::FrameShape;

/// N frames of one shape in memory, widened, every value finite; in f32, but for tables, which keep f64.
#[derive(Clone, Debug)]
pub struct Frames<T = f32> {
    /// Shape of each frame.
    pub shape: FrameShape,
    /// The values `[N,C,H,W]`, row-major; bytes of frames are divided by 255, those of tables and floats are as in the
    /// file.
    pub values: Vec<T>,
    /// Class of each frame, for scoring only.
    pub labels: Option<Vec<u32>>,
}

impl<T: Copy> Frames<T> {
    /// Number of frames N.
    pub fn len(&self) -> usize {
        self.values.len() / self.shape.len()
    }

    /// True if there is no frame.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Values of frame `n`.
    ///
    /// # Panics
    /// If `n` is not below [`Frames::len`].
    pub fn frame(&self, n: usize) -> &[T] {
        let p = self.shape.len();
        &self.values[n * p..(n + 1) * p]
    }

    /// The frames at `indices`, in that order, with their labels.
    ///
    /// # Panics
    /// If an index is not below [`Frames::len`].
    pub fn select(&self, indices: &[usize]) -> Self {
        let values = indices.iter().flat_map(|&n| self.frame(n)).copied().collect();
        let labels = self.labels.as_ref().map(|l| indices.iter().map(|&n| l[n]).collect());
        Self { shape: self.shape, values, labels }
    }
}

impl Source for Frames {
    fn shape(&self) -> FrameShape {
        self.shape
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn labels(&self) -> Option<&[u32]> {
        self.labels.as_deref()
    }

    fn read(&self, indices: &[usize], values: &mut [f32]) -> Result<()> {
        let p = self.shape.len();
        assert_eq!(values.len(), indices.len() * p, "room for every frame");
        values.chunks_exact_mut(p).zip(indices).for_each(|(values, &n)| values.copy_from_slice(self.frame(n)));
        Ok(())
    }
}
