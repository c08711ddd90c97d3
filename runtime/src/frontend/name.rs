//! What a feature says, for people.

use core::fmt::{Display, Formatter, Result};

/// A feature of a window: what it is of, and what it says of that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feature {
    /// The channel, counted from 0; people are told it from 1.
    pub channel: usize,
    /// What the feature says of the channel.
    pub measure: Measure,
}

/// What a feature says of a channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// The mean.
    Mean,
    /// The logarithm of the standard deviation.
    LogDeviation,
    /// The logarithm of the power of a band, less that of all the channel, in cycles a sample.
    Band {
        /// The lower end.
        from: f32,
        /// The upper end.
        to: f32,
    },
    /// The logarithm of the power of a band at a time.
    Sound {
        /// The lower end of the band, Hz.
        from: f32,
        /// The upper end, Hz.
        to: f32,
        /// When the time begins, seconds from the begin of the window.
        begin: f32,
        /// When it ends.
        end: f32,
    },
}

impl Display for Measure {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Mean => f.write_str("mean"),
            Self::LogDeviation => f.write_str("log deviation"),
            Self::Sound { from, to, begin, end } => write!(f, "{from:.0} to {to:.0} Hz, {begin:.2} to {end:.2} s"),
            Self::Band { from, to } => write!(f, "{from:.3} to {to:.3} cycles a sample"),
        }
    }
}

impl Display for Feature {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "channel {}, {}", self.channel + 1, self.measure)
    }
}
