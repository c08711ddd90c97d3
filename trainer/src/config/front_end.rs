//! Settings of the front end: what becomes of a window before the networks see it.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::frame::{FrameKind, FrameShape};

/// What becomes of a frame before the networks see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrontEndChoice {
    /// `spectral` for windows of 16 to 2048 samples that were cut anywhere, so that a sample's place in its window says
    /// nothing; else `none`.
    Auto,
    /// Nothing: the networks see samples.
    None,
    /// Mean, log deviation and the shares of bands of the spectrum of every channel.
    Spectral,
}

/// Widths of windows that have a spectrum to speak of, samples; past the most, the matrices of the exported graph take more
/// room than any network.
const WIDTHS: [usize; 2] = [16, 2048];

impl FrontEndChoice {
    /// Whether frames of a kind and shape can have a spectrum.
    pub fn has_spectrum(kind: FrameKind, shape: FrameShape) -> bool {
        kind == FrameKind::Window && (WIDTHS[0]..=WIDTHS[1]).contains(&shape.width)
    }

    /// Whether frames of a kind and shape can have the front end that is asked for.
    ///
    /// # Errors
    /// [`Error::Config`] if they cannot.
    pub(super) fn check(self, kind: FrameKind, shape: FrameShape) -> Result<()> {
        if self != Self::Spectral || Self::has_spectrum(kind, shape) {
            return Ok(());
        }
        let [least, most] = WIDTHS;
        let problem = format!(
            "spectral needs windows of {least} to {most} samples, and these are {kind} of shape {shape}; cut other windows, or \
             use none or auto"
        );
        Err(Error::config("frontend", problem))
    }
}
