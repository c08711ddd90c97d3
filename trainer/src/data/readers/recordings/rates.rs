//! How many samples a second recordings have, and where their times part them.

use std::ops::Range;

use super::super::ReadProblem;
use super::cut::{Cutting, counted};
use super::options::Span;
use super::recorded::Recorded;
use super::times::{self, JITTER};

/// Steps that do not tell a rate to a hundredth.
pub const FEW_STEPS: usize = 100;
/// Share by which a rate may be off a whole number that is meant.
const NEARLY_WHOLE: f64 = 1e-3;
/// Samples a second below which it is said what times were taken for.
const SLOW: f64 = 0.5;
/// Rates that differ by less, as a share, are the same.
pub const SAME_RATE: f64 = 0.01;

/// Stretches without a gap, in samples from the begin of their recording.
pub type Stretches = Vec<Range<usize>>;

impl Cutting<'_> {
    /// Samples a second, by what was said or by the times of samples.
    pub(super) fn rate(
        &self,
        by_times: Option<f64>,
        stated: Option<f64>,
        notes: &mut Vec<String>,
    ) -> Result<Option<f64>, ReadProblem> {
        let positive = |option: &str, rate: Option<f64>| match rate {
            Some(rate) if !(rate.is_finite() && rate > 0.0) => {
                Err(format!("--{option} {rate}, expected a number above 0"))
            }
            _ => Ok(()),
        };
        positive("rate", self.said.rate)?;
        positive("resample", self.said.resample)?;
        let found = by_times.map(rounded).or(stated);
        if let (Some(name), None) = (&self.columns.time, by_times) {
            return Err(format!("column \"{}\": its times never go forward", name.0).into());
        }
        match (self.said.rate, found) {
            (Some(said), Some(found)) if (said / found - 1.0).abs() > SAME_RATE => {
                Err(format!("--rate {said}: by the samples themselves there are {found} a second").into())
            }
            (None, Some(found)) => {
                let by = if by_times.is_some() { "their times" } else { "the files" };
                let slow = self.columns.time.as_ref().filter(|(_, unit)| found < SLOW && *unit == 1.0);
                let hint = slow.map_or(String::new(), |(name, _)| {
                    format!(" (taken as seconds; of milliseconds say --time {name}:ms)")
                });
                notes.push(format!("{found} samples a second by {by}{hint}"));
                Ok(Some(found))
            }
            (said, _) => Ok(said.or(self.usual.filter(|usual| !usual.resampled).and_then(|usual| usual.rate))),
        }
    }

    /// Stretches without a gap of each recording, in samples from its begin, and the samples a second by their times.
    pub(super) fn parted(
        &self,
        recorded: &[Recorded],
        is_resampled: bool,
        notes: &mut Vec<String>,
    ) -> Result<(Vec<Stretches>, Option<f64>), ReadProblem> {
        let (mut gaps, mut back, mut uneven) = (0, 0, (0.0, 0));
        let (mut parted, mut evenly) = (Vec::new(), (0, 0.0));
        let mut first: Option<(f64, &str)> = None;
        for recording in recorded {
            let step = recording.times.as_deref().and_then(times::usual_step);
            let (Some(times), Some(step)) = (&recording.times, step) else {
                parted.push(std::iter::once(0..recording.rows.len()).collect());
                continue;
            };
            let gap = match self.said.gap {
                Some(Span::Seconds(seconds)) => seconds,
                Some(Span::Samples(samples)) => samples as f64 * step,
                None if is_resampled => times::BRIDGED * step,
                None => times::GAP * step,
            };
            let found = times::steps(times, step, gap);
            gaps += found.gaps;
            back += found.back;
            uneven = (uneven.0 + found.uneven.0, uneven.1 + found.uneven.1);
            parted.push(found.stretches);
            let (steps, lasts) = found.evenly;
            if steps == 0 {
                continue;
            }
            // The median tells gaps, the mean the rate: clocks that tell milliseconds are right on average alone.
            let own = steps as f64 / lasts;
            let (before, of) = *first.get_or_insert((own, &recording.name));
            if (own / before - 1.0).abs() > SAME_RATE && !is_resampled && steps > FEW_STEPS {
                let ([own, before], name) = ([own, before].map(rounded), &recording.name);
                let problem = format!(
                    "{own} samples a second in {name}, {before} in {of}; --resample {before} brings all of them to that"
                );
                return Err(problem.into());
            }
            evenly = (evenly.0 + steps, evenly.1 + lasts);
        }
        if gaps > 0 {
            notes.push(format!("{}, which no window crosses", counted(gaps, "gap")));
        }
        if back > 0 {
            notes.push(format!("time does not go forward at {}, which no window crosses", counted(back, "place")));
        }
        let jitter = (uneven.0 / f64::from(uneven.1.max(1) as u32)).sqrt();
        let rate = (evenly.0 > 0).then(|| evenly.0 as f64 / evenly.1);
        if let Some(rate) = rate.filter(|_| jitter > JITTER && !is_resampled) {
            let rate = rate.round().max(1.0);
            notes.push(format!("steps of time vary by {:.0} %, --resample {rate} makes them even", 100.0 * jitter));
        }
        Ok((parted, rate))
    }
}

/// A rate as people say it: a whole number that is near, else in five digits.
fn rounded(rate: f64) -> f64 {
    let whole = rate.round();
    if whole > 0.0 && (rate / whole - 1.0).abs() < NEARLY_WHOLE {
        whole
    } else {
        format!("{rate:.4e}").parse().unwrap_or(rate)
    }
}
