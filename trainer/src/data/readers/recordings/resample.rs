//! Recordings at another rate.

use std::ops::Range;

use arrow_array::UInt64Array;

use super::super::ReadProblem;
use super::super::raw::Raw;
use super::super::stored::Stored;
use super::recorded::Recorded;
use super::times;

/// Brings every stretch to another rate, and all that is said of its samples with it.
pub fn resample(
    raw: &mut Raw,
    recorded: &mut [Recorded],
    stretches: &mut [(usize, Range<usize>)],
    (from, to): (f64, f64),
) -> Result<(), ReadProblem> {
    let channels = raw.sizes[1];
    let stored =
        std::mem::replace(&mut raw.values, Stored::F64(Vec::new()).into()).into_memory().map_err(|e| e.problem)?;
    let all = stored.wide();
    let lasts: f64 = stretches.iter().map(|(_, part)| part.len() as f64 / from).sum();
    if lasts * to > f64::from(u32::MAX) {
        return Err(format!("--resample {to}: {lasts} s would be more than {} samples", u32::MAX).into());
    }
    let (mut values, mut rows) = (Vec::new(), Vec::new());
    let old: Vec<Range<usize>> = recorded.iter().map(|recording| recording.rows.clone()).collect();
    let mut new_times: Vec<Vec<f64>> = vec![Vec::new(); recorded.len()];
    let mut begins: Vec<Option<usize>> = vec![None; recorded.len()];
    for (n, part) in stretches.iter_mut() {
        let here = old[*n].start + part.start..old[*n].start + part.end;
        let times: Vec<f64> = match &recorded[*n].times {
            Some(times) => times[part.clone()].to_vec(),
            None => part.clone().map(|row| row as f64 / from).collect(),
        };
        let even = times::resampled(&all[here.start * channels..here.end * channels], &times, to);
        let count = even.len() / channels.max(1);
        let begin = *begins[*n].get_or_insert(rows.len());
        *part = rows.len() - begin..rows.len() - begin + count;
        let first = times.first().copied().unwrap_or(0.0);
        for k in 0..count {
            let time = first + k as f64 / to;
            let nearest = times.partition_point(|t| *t < time - 0.5 / from).min(times.len() - 1);
            rows.push((here.start + nearest) as u64);
            new_times[*n].push(time);
        }
        values.extend(even);
    }
    for (n, recording) in recorded.iter_mut().enumerate() {
        let begin = begins[n].unwrap_or(0);
        recording.rows = begin..begin + new_times[n].len();
        recording.times = Some(std::mem::take(&mut new_times[n]));
    }
    raw.labels = raw
        .labels
        .take()
        .map(|(name, labels)| (name, labels.at(&rows.iter().map(|row| *row as usize).collect::<Vec<_>>())));
    let taken = UInt64Array::from(rows);
    raw.kept =
        std::mem::take(&mut raw.kept).into_iter().map(|column| column.taken(&taken)).collect::<Result<_, _>>()?;
    raw.sizes = vec![taken.len(), channels];
    raw.values = Stored::F64(values).into();
    Ok(())
}
