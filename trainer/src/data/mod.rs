//! Frames from files: every reader checks its file completely and returns [`Frames`].

mod csv;
pub mod digits;
mod idx;
mod images;
mod npy;
mod open;

pub mod augment;
pub mod batches;
pub mod neighbours;
pub mod scaling;
pub mod store;

pub use npy::{write_npy, write_npy_frames};
pub use open::{Role, open, open_table, parts};

/// Shape of one frame, channels first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FrameShape {
    /// Channels C.
    pub channels: usize,
    /// Rows H; 1 for windows and feature rows.
    pub height: usize,
    /// Columns W.
    pub width: usize,
}

/// What a frame is; it decides standardisation, the default augmentation and the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// `[C,H,W]`: C colours of H rows and W columns.
    Image,
    /// `[C,1,W]` or `[1,C,W]`: W samples in time of C sensor channels.
    Window,
    /// `[1,1,F]`: one row of features without order.
    Features,
}

/// An image this many times wider than high, or more, is taken for a window whose rows are sensor channels.
const WINDOW_ASPECT: usize = 4;

impl FrameShape {
    /// Values per frame, P = C·H·W.
    pub fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// True if a frame holds no value at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The kind of frame this shape stands for, unless one is told.
    pub fn kind(&self) -> FrameKind {
        let wide = self.channels == 1 && self.width >= WINDOW_ASPECT * self.height;
        match (self.channels, self.height, self.width) {
            (_, _, 1) | (1, 1, _) => FrameKind::Features,
            (_, 1, _) => FrameKind::Window,
            _ if wide => FrameKind::Window,
            _ => FrameKind::Image,
        }
    }
}

impl std::fmt::Display for FrameShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// N frames of one shape, every value finite.
#[derive(Clone, Debug)]
pub struct Frames {
    /// Shape of each frame.
    pub shape: FrameShape,
    /// `[N,C,H,W]`, row-major; bytes are divided by 255, floats are as in the file.
    pub values: Vec<f32>,
    /// Class of each frame, for scoring only.
    pub labels: Option<Vec<u32>>,
}

impl Frames {
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
    pub fn frame(&self, n: usize) -> &[f32] {
        let p = self.shape.len();
        &self.values[n * p..(n + 1) * p]
    }

    /// The frames at `indices`, in that order, with their labels.
    ///
    /// # Panics
    /// If an index is not below [`Frames::len`].
    pub fn select(&self, indices: &[usize]) -> Frames {
        let values = indices.iter().flat_map(|&n| self.frame(n)).copied().collect();
        let labels = self.labels.as_ref().map(|l| indices.iter().map(|&n| l[n]).collect());
        Frames { shape: self.shape, values, labels }
    }
}
