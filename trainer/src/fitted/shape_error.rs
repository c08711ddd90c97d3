//! Frames that a model does not take.

use crate::error::Error;
use crate::frame::FrameShape;

/// Frames have another shape than those the model was fitted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("frames of shape {found}, the model takes {expected}")]
pub struct ShapeError {
    /// Shape of the frames.
    pub found: FrameShape,
    /// Shape of a frame of the model.
    pub expected: FrameShape,
}

impl From<ShapeError> for Error {
    fn from(error: ShapeError) -> Self {
        Self::Data { subject: "frames".into(), problem: error.to_string(), source: Some(Box::new(error)) }
    }
}
