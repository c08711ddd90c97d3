//! What a frame is: its shape, and what its axes mean.

/// Shape of one frame, channels first: `[C,H,W]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FrameShape {
    /// Channels C: colours, or sensors of a window.
    pub channels: usize,
    /// Rows H; 1 for windows and feature rows.
    pub height: usize,
    /// Columns W: pixels, samples in time, or features.
    pub width: usize,
}

/// What a frame is: it decides standardisation, the views by default and the encoder.
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

    /// The kind of frame that this shape stands for where the settings name none.
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

impl FrameKind {
    /// Values of a frame that are of one channel, and lie side by side: a row's feature is a channel of its own.
    pub fn channel_len(self, shape: FrameShape) -> usize {
        match self {
            Self::Features => 1,
            Self::Window => shape.width,
            Self::Image => shape.height * shape.width,
        }
    }
}

impl std::fmt::Display for FrameShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

impl std::fmt::Display for FrameKind {
    /// Many frames of the kind, in a word or three.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Image => "images",
            Self::Window => "windows",
            Self::Features => "rows of features",
        })
    }
}
