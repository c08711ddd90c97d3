//! What becomes of a frame before the networks see it, carried in the model.

use runtime::FrontEndSpec;
use serde::{Deserialize, Serialize};

use super::log_mel::LogMel;
use super::spectral::Spectral;
use super::tone::Tone;
use crate::frame::FrameShape;

/// What becomes of a frame before the networks see it; [`runtime::FrontEnd`] computes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum FrontEnd {
    /// Level, spread and spectrum of each channel of a window.
    Spectral(Spectral),
    /// A picture without its colours.
    Tone(Tone),
    /// Bands of a window of sound over time.
    LogMel(LogMel),
}

impl FrontEnd {
    /// Whether it is one of frames of a shape, as one is that was fitted to them; a file may hold anything.
    pub fn fits(&self, shape: FrameShape) -> bool {
        match self {
            Self::Spectral(spectral) => spectral.fits(shape),
            Self::Tone(tone) => tone.spec(shape).is_some(),
            Self::LogMel(log_mel) => log_mel.fits(shape),
        }
    }

    /// The front end as engines compute it, for frames of a shape that it fits.
    pub fn spec(&self, shape: FrameShape) -> Option<FrontEndSpec> {
        match self {
            Self::Spectral(spectral) => Some(FrontEndSpec::Spectral(spectral.spec(shape))),
            Self::Tone(tone) => tone.spec(shape).map(FrontEndSpec::Tone),
            Self::LogMel(log_mel) => Some(FrontEndSpec::LogMel(log_mel.spec(shape))),
        }
    }

    /// Shape of what becomes of frames of a shape.
    pub fn shape(&self, shape: FrameShape) -> FrameShape {
        match self {
            Self::Spectral(spectral) => spectral.shape(),
            Self::Tone(_) => FrameShape { channels: 1, ..shape },
            Self::LogMel(log_mel) => log_mel.shape(),
        }
    }

    /// The numbers of a spectrum, if that is what it makes.
    pub fn spectral(&self) -> Option<&Spectral> {
        match self {
            Self::Spectral(spectral) => Some(spectral),
            Self::Tone(_) | Self::LogMel(_) => None,
        }
    }

    /// Whether what it makes is a picture of sound.
    pub fn is_sound(&self) -> bool {
        matches!(self, Self::LogMel(_))
    }

    /// A frame of a shape of which something near `values` becomes, in the units of the data.
    pub fn frame(&self, values: &[f32], shape: FrameShape) -> Vec<f32> {
        match self {
            Self::Spectral(spectral) => spectral.window(values, shape.width),
            Self::Tone(_) => values.repeat(shape.channels),
            Self::LogMel(log_mel) => log_mel.window(values, shape.width),
        }
    }
}
