//! How recordings are cut into windows, and which windows are of whom.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How windows are cut out of a recording of C channels, a sample after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windowing {
    /// Samples T of a window.
    pub window: usize,
    /// Samples from the begin of a window to that of the next.
    pub hop: usize,
    /// Samples a second; None where nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Column of the times of samples, as it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Column that says which recording a sample is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<String>,
    /// Whether samples were brought to the rate by interpolation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resampled: bool,
}

impl Windowing {
    /// A number of samples in words, with the time they take where the rate is known.
    pub fn told(&self, samples: usize) -> String {
        match self.rate {
            Some(rate) => format!("{samples} samples ({} s)", super::set::short(samples as f64 / rate)),
            None => format!("{samples} samples"),
        }
    }
}

impl fmt::Display for Windowing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "windows of {}, one every {}", self.told(self.window), self.told(self.hop))
    }
}

/// The recordings that windows are cut from, and where each window lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Recordings {
    /// How they were cut.
    pub windowing: Windowing,
    /// Whether their files are of sound: WAV.
    pub wav: bool,
    /// Names of the recordings.
    pub names: Vec<String>,
    /// Stretches of samples without a gap; no window crosses their ends.
    pub stretches: Vec<Stretch>,
    /// Names of the groups: people, machines, or the recordings themselves.
    pub groups: Vec<String>,
    /// Whether somebody said of which group a recording is.
    pub grouped: bool,
    /// Groups that are held out of training because somebody said so, by number.
    pub held_out: Vec<u32>,
    /// Where each window lies `[N]`, in the order of the samples.
    pub cuts: Vec<Cut>,
}

/// Samples that follow each other evenly.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    /// Number of its recording.
    pub recording: u32,
    /// Number of its group.
    pub group: u32,
    /// Its first sample, among those of all recordings.
    pub first: u32,
    /// When that was: seconds, or samples where no rate is known, from the begin of the recording.
    pub begin: f64,
}

/// Where a window lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Number of its stretch.
    pub stretch: u32,
    /// Its first sample, among those of all recordings.
    pub first: u32,
}

impl Recordings {
    /// Group of a window.
    pub fn group(&self, cut: Cut) -> u32 {
        self.stretches[cut.stretch as usize].group
    }

    /// Recording of a window.
    pub fn recording(&self, cut: Cut) -> u32 {
        self.stretches[cut.stretch as usize].recording
    }

    /// Name of the recording of a window.
    pub fn name(&self, cut: Cut) -> &str {
        &self.names[self.recording(cut) as usize]
    }

    /// When a window begins and ends: seconds, or samples where no rate is known, from the begin of its recording.
    pub fn times(&self, cut: Cut) -> [f64; 2] {
        let stretch = &self.stretches[cut.stretch as usize];
        let rate = self.windowing.rate.unwrap_or(1.0);
        let at = |sample: usize| stretch.begin + sample as f64 / rate;
        let first = (cut.first - stretch.first) as usize;
        [at(first), at(first + self.windowing.window)]
    }

    /// Whether two windows of one stretch share a sample.
    pub fn overlap(&self, a: Cut, b: Cut) -> bool {
        a.stretch == b.stretch && (a.first.abs_diff(b.first) as usize) < self.windowing.window
    }
}
