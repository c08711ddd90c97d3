//! What may be said of recordings on the command line.

use std::fmt;
use std::str::FromStr;

use super::super::super::input::READING;

/// How recordings are cut into windows, and who they are of.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct RecordingOptions {
    /// Cut recordings into windows so long, in samples or as 2s or 500ms: files (or arrays of T by C) are recordings then, their
    /// rows samples and their columns channels
    #[arg(long, value_name = "SPAN", help_heading = READING)]
    pub window: Option<Span>,
    /// From the begin of a window to that of the next [default: half a window]
    #[arg(long, value_name = "SPAN", help_heading = READING)]
    pub hop: Option<Span>,
    /// Samples a second of recordings
    #[arg(long, value_name = "HZ", help_heading = READING)]
    pub rate: Option<f64>,
    /// Column of the times of samples: dates, or numbers of seconds (of :ms, :us, :ns after its name); gaps part a recording
    #[arg(long, value_name = "COLUMN[:UNIT]", help_heading = READING)]
    pub time: Option<String>,
    /// Time between two samples from which on it is a gap [default: 1.5 usual steps; with --resample 5.5]
    #[arg(long, value_name = "SPAN", help_heading = READING)]
    pub gap: Option<Span>,
    /// Samples a second that recordings are brought to, by interpolation between their times
    #[arg(long, value_name = "HZ", help_heading = READING)]
    pub resample: Option<f64>,
    /// Column that says which recording a row is of [default: every file is one]
    #[arg(long, value_name = "COLUMN", help_heading = READING)]
    pub recording: Option<String>,
    /// Column that says of whom a recording is, a person or a machine, or a pattern of paths with {} for the name, as
    /// '{}/*.csv' for the folder [default: every recording is a group of its own]
    #[arg(long, value_name = "COLUMN|PATTERN", help_heading = READING)]
    pub group: Option<String>,
    /// Groups that are not trained on but calibrate, by name, or a share of the groups; eval and predict take these alone
    #[arg(long, value_name = "GROUP,...|SHARE", value_delimiter = ',', help_heading = READING)]
    pub hold_out: Vec<String>,
}

impl RecordingOptions {
    /// The first option that says something of recordings, but for `--window`.
    pub fn said(&self) -> Option<&'static str> {
        let said = [
            (self.hop.is_some(), "--hop"),
            (self.rate.is_some(), "--rate"),
            (self.time.is_some(), "--time"),
            (self.gap.is_some(), "--gap"),
            (self.resample.is_some(), "--resample"),
            (self.recording.is_some(), "--recording"),
            (self.group.is_some(), "--group"),
            (!self.hold_out.is_empty(), "--hold-out"),
        ];
        said.into_iter().find(|(is_said, _)| *is_said).map(|(_, name)| name)
    }
}

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Span {
    /// In samples.
    Samples(usize),
    /// In seconds.
    Seconds(f64),
}

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected a number of samples, as 100, or a time, as 2s, 500ms or 1min";
        if let Ok(samples) = text.parse::<usize>() {
            return if samples > 0 { Ok(Self::Samples(samples)) } else { Err(expected) };
        }
        let units = [("ms", 1e-3), ("us", 1e-6), ("min", 60.0), ("h", 3600.0), ("s", 1.0)];
        let seconds = units
            .iter()
            .find_map(|(unit, seconds)| Some(text.strip_suffix(unit)?.trim().parse::<f64>().ok()? * seconds));
        seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0).map(Self::Seconds).ok_or(expected)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Samples(samples) => write!(f, "{samples}"),
            Self::Seconds(seconds) => write!(f, "{seconds}s"),
        }
    }
}

impl Span {
    /// The number of samples, at least one.
    ///
    /// # Errors
    /// If it takes a rate that is not known, or is no whole number of samples by more than rounding.
    pub fn samples(self, option: &str, rate: Option<f64>) -> Result<usize, String> {
        let seconds = match self {
            Self::Samples(samples) => return Ok(samples),
            Self::Seconds(seconds) => seconds,
        };
        let Some(rate) = rate else {
            return Err(format!(
                "--{option} {self}: nobody said how many samples a second there are; say --rate HZ, or --time COLUMN, or \
                 --{option} as a number of samples"
            ));
        };
        let samples = (seconds * rate).round();
        if !(1.0..=f64::from(u32::MAX)).contains(&samples) {
            return Err(format!(
                "--{option} {self} is {} samples at {rate} a second, expected 1 or more",
                seconds * rate
            ));
        }
        Ok(samples as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_samples_or_a_time() {
        for (text, span) in [
            ("100", Span::Samples(100)),
            ("2s", Span::Seconds(2.0)),
            ("500ms", Span::Seconds(0.5)),
            ("1.5min", Span::Seconds(90.0)),
        ] {
            assert_eq!(text.parse(), Ok(span), "{text}");
            assert_eq!(span.to_string().parse(), Ok(span), "{text}");
        }
        for wrong in ["0", "-1", "2.5", "s", "0s", "infs", "2 weeks"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
        assert_eq!(Span::Seconds(2.0).samples("window", Some(50.0)), Ok(100));
        assert!(Span::Seconds(2.0).samples("window", None).unwrap_err().contains("--rate"));
        assert!(Span::Seconds(0.001).samples("hop", Some(50.0)).unwrap_err().contains("0.05 samples"));
    }
}
