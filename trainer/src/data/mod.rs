//! The frames: read from files, taken for what they are, scaled, seen in random views, dealt out in batches.
//!
//! Reading, meaning and scaling are apart: `readers` give values as they are stored, [`meaning`] says which axis is what
//! and what a frame is, and only then are values widened; [`scaling`] standardises them for a model.

pub mod batches;
mod front_end;
mod input;
pub mod layout;
pub mod meaning;
mod missing;
mod preparation;
mod readers;
pub mod scaling;
mod seen;
mod set;
mod spectral;
mod tone;
pub mod views;

pub use front_end::FrontEnd;
pub use input::{Input, open};
pub use meaning::Expected;
pub use missing::Missing;
pub use preparation::{Preparation, Standardised, features};
pub use readers::{PictureOptions, ReadError, ReadProblem, Role, TableOptions, digits, write_npy, write_npy_frames};
pub use seen::{Comparison, SeenValues};
pub use set::{DataSet, Taken};
pub use spectral::{Spectral, placed};
pub use tone::{Colours, Tone};

use crate::frame::FrameShape;

/// N frames of one shape, every value finite; in f32, but for tables, which keep f64.
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
