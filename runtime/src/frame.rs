//! The shape of a frame, and the check of every frame before an engine sees it: some engines hide a NaN behind a
//! plausible answer.

/// Shape of one frame, channels first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameShape {
    /// Channels C.
    pub channels: usize,
    /// Rows H.
    pub height: usize,
    /// Columns W.
    pub width: usize,
}

impl FrameShape {
    /// Values per frame, C·H·W, saturating.
    pub fn len(&self) -> usize {
        self.channels.saturating_mul(self.height).saturating_mul(self.width)
    }

    /// True if a frame holds no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a frame was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The frame has another number of values than the model takes.
    #[error("the frame has {found} values, the model takes {expected}")]
    Length {
        /// C·H·W of the model (times the frames of a batch).
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A value is NaN or infinite.
    #[error("value {index} of the frame is not finite")]
    NotFinite {
        /// The index of the value in the frame.
        index: usize,
    },
    /// The model itself gave a value that is not finite, from values too large to be frames.
    #[error("the model's output for this frame is not finite: its values are far out of range")]
    Overflow,
    /// The engine failed: it has no model ([`crate::native::Engine::empty`]), or a defect of its own.
    #[error("the engine has no model, or failed on this frame")]
    Engine,
}

/// Checks length and finiteness of a frame.
///
/// # Errors
/// [`FrameError::Length`] or [`FrameError::NotFinite`].
pub fn check_frame(frame: &[f32], expected: usize) -> Result<(), FrameError> {
    if frame.len() != expected {
        return Err(FrameError::Length { expected, found: frame.len() });
    }
    // Looks at every value, which a compiler makes vectors of; a search that may stop is several times slower.
    if frame.iter().fold(true, |finite, v| finite & v.is_finite()) {
        return Ok(());
    }
    let index = frame.iter().position(|v| !v.is_finite()).unwrap_or_default();
    Err(FrameError::NotFinite { index })
}
