//! The times of samples: where a recording has gaps, how even its steps are, and what it is at even times.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::timezone::Tz;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array};
use arrow_cast::parse::string_to_datetime;
use arrow_schema::DataType;

/// Steps this many times the usual one, or longer, are gaps where nobody says otherwise.
pub const GAP: f64 = 1.5;
/// The same where samples are brought to a rate, so that a few that are lost are bridged.
pub const BRIDGED: f64 = 5.5;
/// The zone of times that name none.
const NO_ZONE: &str = "+00:00";
/// Deviation of steps, as a share of the usual one, from which on it is told.
pub const JITTER: f64 = 0.05;

/// A column of times as it is asked for: its name, and how many seconds a number in it stands for.
pub fn asked(text: &str) -> (&str, f64) {
    let units = [(":s", 1.0), (":ms", 1e-3), (":us", 1e-6), (":ns", 1e-9)];
    let found = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)));
    found.unwrap_or((text, 1.0))
}

/// The times in a column, seconds from the first one.
///
/// # Errors
/// With the row of one that is missing, or no time.
pub fn seconds(column: &ArrayRef, unit: f64) -> Result<Vec<f64>, String> {
    let missing = |row: usize| format!("row {}: no time", row + 1);
    if column.null_count() > 0 {
        return Err(missing((0..column.len()).find(|&row| column.is_null(row)).unwrap_or(0)));
    }
    // Numbers with zeros at their end are text to who carries them through as they are written.
    let column = &numbers(column).unwrap_or_else(|| column.clone());
    let times: Vec<f64> = match column.data_type() {
        kind if kind.is_numeric() => {
            let wide = arrow_cast::cast(column, &DataType::Float64).map_err(|e| e.to_string())?;
            let values = wide.as_primitive::<Float64Type>().values();
            // The first is taken away before the unit, so that what counts from 1970 keeps its digits.
            values.iter().map(|value| (value - values.first().unwrap_or(value)) * unit).collect()
        }
        DataType::Timestamp(..) => {
            let nanos = DataType::Timestamp(arrow_schema::TimeUnit::Nanosecond, None);
            let whole = arrow_cast::cast(column, &nanos).and_then(|c| arrow_cast::cast(&c, &DataType::Int64));
            let whole = whole.map_err(|e| e.to_string())?;
            let values = whole.as_primitive::<arrow_array::types::Int64Type>().values();
            values.iter().map(|value| (value - values.first().unwrap_or(value)) as f64 * 1e-9).collect()
        }
        _ => {
            let texts = crate::data::texts(column).map_err(|e| e.to_string())?;
            let zone: Tz = NO_ZONE.parse().map_err(|e: arrow_schema::ArrowError| e.to_string())?;
            let nanos = |(row, text): (usize, Option<&str>)| {
                let text = text.unwrap_or_default();
                let parsed = string_to_datetime(&zone, text).ok().and_then(|time| time.timestamp_nanos_opt());
                parsed.ok_or_else(|| format!("row {}: \"{text}\", expected a time, as 2024-01-31T12:00:00.5", row + 1))
            };
            let values: Vec<i64> = texts.as_string::<i32>().iter().enumerate().map(nanos).collect::<Result<_, _>>()?;
            values.iter().map(|value| (value - values[0]) as f64 * 1e-9).collect()
        }
    };
    match times.iter().position(|time| !time.is_finite()) {
        Some(row) => Err(missing(row)),
        None => Ok(times),
    }
}

/// Texts that are all numbers, as numbers; None of others.
fn numbers(column: &ArrayRef) -> Option<ArrayRef> {
    let texts = column.as_string_opt::<i32>()?;
    let number = |text: Option<&str>| {
        let text = text?.trim();
        text.parse::<f64>().or_else(|_| text.replacen(',', ".", 1).parse()).ok().map(Some)
    };
    let numbers: Vec<Option<f64>> = texts.iter().map(number).collect::<Option<_>>()?;
    Some(Arc::new(Float64Array::from(numbers)))
}

/// The usual step of a recording: the median of those that go forward; None if there is none.
pub fn usual_step(times: &[f64]) -> Option<f64> {
    let mut steps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 0.0).collect();
    let middle = steps.len() / 2;
    (!steps.is_empty()).then(|| *steps.select_nth_unstable_by(middle, f64::total_cmp).1)
}

/// Times of which half or more are those of the sample before, as of a packet with one stamp or of clocks that tell seconds,
/// spread evenly until the next; None of others.
pub fn spread(times: &[f64]) -> Option<Vec<f64>> {
    let equal = times.windows(2).filter(|pair| pair[0] == pair[1]).count();
    let usual = usual_step(times)?;
    if 2 * equal < times.len() {
        return None;
    }
    let runs: Vec<&[f64]> = times.chunk_by(|a, b| a == b).collect();
    let mut spread = Vec::with_capacity(times.len());
    for (at, run) in runs.iter().enumerate() {
        let next = runs.get(at + 1).map_or(f64::INFINITY, |next| next[0] - run[0]);
        // Over a gap, and at the end, a stamp lasts as long as others.
        let lasts = if next > 0.0 && next < GAP * usual { next } else { usual };
        // The first and the last may be a part of what a stamp has.
        let is_end = at == 0 || at + 1 == runs.len();
        let of = if is_end { run.len().max(runs[runs.len() / 2].len()) } else { run.len() };
        let skipped = if at == 0 { of - run.len() } else { 0 };
        spread.extend((0..run.len()).map(|n| run[0] + lasts * (n + skipped) as f64 / of as f64));
    }
    Some(spread)
}

/// What the times of a recording say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Steps {
    /// Where stretches without a gap begin and end, in samples.
    pub stretches: Vec<std::ops::Range<usize>>,
    /// Number of gaps.
    pub gaps: usize,
    /// Number of times that are not after the one before.
    pub back: usize,
    /// Number of steps within stretches, and how long they take in all.
    pub evenly: (usize, f64),
    /// Sum of squares of how far steps within stretches are from the usual one, as shares of it, and their number.
    pub uneven: (f64, usize),
}

/// Parts a recording where a step is `gap` or longer; `usual` is the usual one.
pub fn steps(times: &[f64], usual: f64, gap: f64) -> Steps {
    let mut found = Steps::default();
    let mut begin = 0;
    for at in 1..times.len() {
        let step = times[at] - times[at - 1];
        match step {
            _ if step <= 0.0 => found.back += 1,
            _ if step >= gap => found.gaps += 1,
            _ => {
                found.uneven.0 += (step / usual - 1.0).powi(2);
                found.uneven.1 += 1;
                found.evenly = (found.evenly.0 + 1, found.evenly.1 + step);
                continue;
            }
        }
        found.stretches.push(begin..at);
        begin = at;
    }
    found.stretches.push(begin..times.len());
    found
}

/// A stretch at even times, `rate` a second: values `[T',C]` of samples `[T,C]` at `times` `[T]`, straight lines between
/// them. Where that is fewer than there were, each is a mean over its share of the time.
pub fn resampled(samples: &[f64], times: &[f64], rate: f64) -> Vec<f64> {
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else { return Vec::new() };
    let channels = samples.len() / times.len();
    let count = ((last - first) * rate + 1e-6).floor() as usize + 1;
    let per_step = ((times.len() - 1) as f64 / ((last - first) * rate).max(1.0)).ceil().max(1.0) as usize;
    let mut out = vec![0.0; count * channels];
    let mut before = 0;
    for (n, values) in out.chunks_exact_mut(channels.max(1)).enumerate() {
        let mut below = before;
        for part in 0..per_step {
            let offset = (part as f64 + 0.5) / per_step as f64 - 0.5;
            let time = (first + (n as f64 + offset) / rate).clamp(first, last);
            while below + 2 < times.len() && times[below + 1] <= time {
                below += 1;
            }
            if part == 0 {
                before = below;
            }
            let above = (below + 1).min(times.len() - 1);
            let share = if above > below { (time - times[below]) / (times[above] - times[below]) } else { 0.0 };
            for (channel, value) in values.iter_mut().enumerate() {
                let (a, b) = (samples[below * channels + channel], samples[above * channels + channel]);
                *value += (a + (b - a) * share) / per_step as f64;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn times_are_numbers_of_a_unit_or_dates() {
        let of = |column: ArrayRef, unit| seconds(&column, unit).unwrap();
        assert_eq!(of(Arc::new(Int64Array::from(vec![1_700_000_000_000, 1_700_000_000_020])), 1e-3), [0.0, 0.02]);
        let dates = StringArray::from(vec!["2024-01-31T12:00:00Z", "2024-01-31 12:00:00.25"]);
        assert_eq!(of(Arc::new(dates), 1.0), [0.0, 0.25]);
        assert_eq!(of(Arc::new(StringArray::from(vec!["0.00", "0,50"])), 1.0), [0.0, 0.5]);
        let wrong: ArrayRef = Arc::new(StringArray::from(vec!["2024-01-31T12:00:00Z", "noon"]));
        assert!(seconds(&wrong, 1.0).unwrap_err().contains("row 2: \"noon\""));
        assert_eq!((asked("t:ms"), asked("t"), asked("a:b")), (("t", 1e-3), ("t", 1.0), ("a:b", 1.0)));
    }

    #[test]
    fn gaps_and_times_that_run_back_part_a_recording() {
        let times = [0.0, 0.1, 0.2, 0.5, 0.6, 0.55, 0.65];
        let usual = usual_step(&times).unwrap();
        let found = steps(&times, usual, GAP * usual);
        assert!((usual - 0.1).abs() < 1e-9);
        assert_eq!((found.stretches, found.gaps, found.back), (vec![0..3, 3..5, 5..7], 1, 1));
        assert!(found.uneven.0 < 1e-9);
    }

    #[test]
    fn stamps_of_several_samples_are_spread_over_them() {
        // Four a second, of which the first second has two; a gap of three seconds.
        let times = [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 5.0, 5.0, 5.0, 5.0];
        let even = spread(&times).unwrap();
        assert_eq!(even[..7], [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]);
        assert_eq!(even[9..], [2.75, 5.0, 5.25, 5.5, 5.75]);
        assert_eq!(spread(&[0.0, 0.1, 0.2, 0.2, 0.3]), None);
    }

    #[test]
    fn a_line_stays_one_at_any_rate() {
        let times = [0.0, 0.09, 0.2, 0.31, 0.4, 0.5];
        let samples: Vec<f64> = times.iter().flat_map(|t| [2.0 * t, 1.0 - t]).collect();
        for rate in [10.0, 40.0] {
            let even = resampled(&samples, &times, rate);
            assert_eq!(even.len(), 2 * (1 + (0.5 * rate) as usize));
            for (n, pair) in even.chunks_exact(2).enumerate() {
                let t = n as f64 / rate;
                assert!((pair[0] - 2.0 * t).abs() < 1e-9 && (pair[1] - 1.0 + t).abs() < 1e-9, "{rate} {n} {pair:?}");
            }
        }
        // Fewer samples than there were are means, which a hum between them does not reach.
        let times: Vec<f64> = (0..1000).map(|n| n as f64 / 100.0).collect();
        let hum: Vec<f64> = (0..1000).map(|n| if n % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let slow = resampled(&hum, &times, 10.0);
        assert!(slow[1..slow.len() - 1].iter().all(|v| v.abs() < 0.11), "{slow:?}");
    }
}
