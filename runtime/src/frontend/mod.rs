//! The front end of a model: what becomes of a frame before the encoder sees it.

#[cfg(feature = "spectral")]
mod fft;
mod log_mel;
mod name;
#[cfg(feature = "std")]
mod spec;
mod spectral;
mod tone;

pub use log_mel::{LogMel, Steps};
pub use name::{Feature, Measure};
#[cfg(feature = "std")]
pub use spec::{FrontEndSpec, LogMelSpec, SpectralSpec};
pub(crate) use spectral::CONSTANTS;
pub use spectral::{LENGTHS, Spectral};
#[cfg(feature = "std")]
pub use tone::{LEAN, SQUARINGS};
pub use tone::{MAX_COLOURS, Tone};

use crate::FrameShape;

/// What becomes of a frame before the encoder sees it.
#[derive(Clone, Copy, Debug)]
pub enum FrontEnd<'a> {
    /// Level, spread and spectrum of each channel of a window.
    Spectral(Spectral<'a>),
    /// A picture without its colours.
    Tone(Tone),
    /// Bands of a window of sound over time.
    LogMel(LogMel<'a>),
}

impl FrontEnd<'_> {
    /// Shape of a frame.
    pub fn frame(&self) -> FrameShape {
        match self {
            Self::Spectral(spectral) => spectral.frame(),
            Self::Tone(tone) => tone.frame(),
            Self::LogMel(log_mel) => log_mel.frame(),
        }
    }

    /// Shape of what becomes of it.
    pub fn shape(&self) -> FrameShape {
        match self {
            Self::Spectral(spectral) => spectral.shape(),
            Self::Tone(tone) => tone.shape(),
            Self::LogMel(log_mel) => log_mel.shape(),
        }
    }

    /// Values of the memory that [`FrontEnd::apply`] works in.
    pub fn work(&self) -> usize {
        match self {
            Self::Spectral(spectral) => spectral.length(),
            Self::Tone(tone) => tone.frame().len(),
            Self::LogMel(log_mel) => log_mel.work(),
        }
    }

    /// Writes what becomes of a frame to `out`, of the length of [`FrontEnd::shape`], working in `work`; false, with anything
    /// written, if one of the three is too short, or this crate is built without what it needs. A value that is not finite,
    /// or too large to be squared, gives values that are not finite.
    pub fn apply(&self, frame: impl IntoIterator<Item = f32>, out: &mut [f32], work: &mut [f32]) -> bool {
        match self {
            Self::Spectral(spectral) => spectral.apply(frame, out, work),
            Self::Tone(tone) => tone.apply(frame, out, work),
            Self::LogMel(log_mel) => log_mel.apply(frame, out, work),
        }
    }

    /// What the value at `index` of the result says, where it has a meaning of its own: of a spectrum, or of sound.
    pub fn feature(&self, index: usize) -> Option<Feature> {
        match self {
            Self::Spectral(spectral) => spectral.feature(index),
            Self::LogMel(log_mel) => log_mel.feature(index),
            Self::Tone(_) => None,
        }
    }
}
