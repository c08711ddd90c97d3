//! Settings of the front end: what becomes of a window before the networks see it.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::frame::{FrameKind, FrameShape};

/// What becomes of a frame before the networks see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrontEndChoice {
    /// `spectral` for windows of 16 to 2048 samples that were cut anywhere, so that a sample's place in its window says
    /// nothing; `log-mel` for those of sound; `tone` for pictures of two colours each that are most of how they differ and form no clusters; else `none`.
    Auto,
    /// Nothing: the networks see samples.
    None,
    /// Mean, log deviation and the shares of bands of the spectrum of every channel.
    Spectral,
    /// Shades of a picture along its own main colour, rare colours bright.
    Tone,
    /// Bands of a window of sound over time.
    LogMel,
}

/// Widths of windows that have a spectrum to speak of, samples; past the most, the matrices of the exported graph take more
/// room than any network.
const WIDTHS: [usize; 2] = [16, 2048];

impl FrontEndChoice {
    /// Whether frames of a kind and shape can have a spectrum.
    pub fn has_spectrum(kind: FrameKind, shape: FrameShape) -> bool {
        kind == FrameKind::Window && (WIDTHS[0]..=WIDTHS[1]).contains(&shape.width)
    }

    /// Whether frames of a kind and shape can be shades of a colour.
    pub fn has_tone(kind: FrameKind, shape: FrameShape) -> bool {
        kind == FrameKind::Image && shape.channels <= runtime::MAX_COLOURS
    }

    /// Whether frames of a kind and shape can have the front end that is asked for.
    ///
    /// # Errors
    /// [`Error::Config`] if they cannot.
    pub(super) fn check(self, kind: FrameKind, shape: FrameShape) -> Result<()> {
        let [least, most] = WIDTHS;
        let needs = match self {
            Self::Spectral if !Self::has_spectrum(kind, shape) => {
                format!("spectral needs windows of {least} to {most} samples")
            }
            Self::LogMel if kind != FrameKind::Window => "log-mel needs windows of recordings of sound".to_owned(),
            Self::Tone if !Self::has_tone(kind, shape) => {
                format!("tone needs pictures of 1 to {} channels", runtime::MAX_COLOURS)
            }
            _ => return Ok(()),
        };
        Err(Error::config("frontend", format!("{needs}, and these are {kind} of shape {shape}; use none or auto")))
    }
}
