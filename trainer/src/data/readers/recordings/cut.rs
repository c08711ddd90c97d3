//! Where windows begin in recordings.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::UInt64Array;

use super::super::Role;
use super::super::find::few;
use super::super::labels::RawLabels;
use super::super::raw::Raw;
use super::super::{ReadError, ReadProblem};
use super::groups::{self, Groups};
use super::options::Span;
use super::rates::{FEW_STEPS, SAME_RATE};
use super::recorded::Recorded;
use super::resample::resample;
use super::{Columns, RecordingOptions};
use crate::data::set::short;
use crate::data::windowing::{Cut, Recordings, Stretch, Windowing};

/// Samples that are looked at to see whether a channel only rises.
const MOST_RISING: usize = 10_000;

/// How recordings are to be cut.
pub struct Cutting<'a> {
    /// What was said of it.
    pub said: &'a RecordingOptions,
    /// How the model cuts them.
    pub usual: Option<&'a Windowing>,
    /// The columns that say something of samples.
    pub columns: &'a Columns,
    /// What the windows are for.
    pub role: Role,
}

impl Cutting<'_> {
    /// The windows of all recordings, whose rows `raw` has one after the other.
    pub fn cut(&self, mut raw: Raw, mut recorded: Vec<Recorded>, files: usize) -> Result<Raw, ReadProblem> {
        let to = self.said.resample.or(self.usual.filter(|usual| usual.resampled).and_then(|usual| usual.rate));
        let (parted, by_times) = self.parted(&recorded, to.is_some(), &mut raw.notes)?;
        let mut rate = self.rate(by_times, raw.rate, &mut raw.notes)?;
        let mut stretches: Vec<(usize, Range<usize>)> = Vec::new();
        for (n, parts) in parted.into_iter().enumerate() {
            stretches.extend(parts.into_iter().map(|part| (n, part)));
        }
        if let Some(to) = to {
            let Some(from) = rate else {
                return Err("--resample: nobody said when samples are; say --time COLUMN, or --rate HZ".into());
            };
            resample(&mut raw, &mut recorded, &mut stretches, (from, to))?;
            raw.notes.push(format!("brought from {} samples a second to {to}", short(from)));
            rate = Some(to);
        }
        let windowing = self.windowing(rate)?;
        if let (Some(usual), Some(found)) = (self.usual.and_then(|usual| usual.rate), rate)
            && (usual / found - 1.0).abs() > SAME_RATE
        {
            let problem =
                format!("{found} samples a second, the model takes {usual}; --resample {usual} brings them to that");
            return Err(problem.into());
        }
        let rows = raw.sizes[0];
        if u32::try_from(rows).is_err() {
            return Err(format!("{rows} samples, at most {} are taken", u32::MAX).into());
        }
        let (mut recordings, grouped) = (Vec::new(), recorded.iter().any(|recording| recording.group.is_some()));
        let (mut groups, mut names) = (Groups::default(), Groups::default());
        let (mut cuts, mut classes) = (Vec::new(), Vec::new());
        let mut used = vec![false; recorded.len()];
        for (n, part) in &stretches {
            let recording = &recorded[*n];
            let group = groups.number(recording.group.as_deref().unwrap_or(&recording.name));
            let first = recording.rows.start + part.start;
            let begin = match (&recording.times, rate) {
                (Some(times), _) => times[part.start] - times[0],
                (None, rate) => part.start as f64 / rate.unwrap_or(1.0),
            };
            recordings.push(Stretch { recording: names.number(&recording.name), group, first: first as u32, begin });
            let stretch = recordings.len() as u32 - 1;
            for first in (first..(first + part.len() + 1).saturating_sub(windowing.window)).step_by(windowing.hop) {
                cuts.push(Cut { stretch, first: first as u32 });
                classes.push(*n);
                used[*n] = true;
            }
        }
        let unused = used.iter().zip(&recorded).filter(|(used, _)| !**used);
        let unused: Vec<String> = unused.map(|(_, recording)| recording.name.clone()).collect();
        let told = counted(recorded.len(), "recording");
        let told = if files > 1 { format!("{told} in {files} files") } else { told };
        if cuts.is_empty() {
            let window = windowing.told(windowing.window);
            let problem = format!("{told}, no stretch without a gap as long as a window of {window}");
            return Err([vec![problem], raw.notes].concat().join("; ").into());
        }
        if !unused.is_empty() {
            let count = counted(unused.len(), "recording");
            raw.notes.push(format!("{count} without a window left out: {}", few(&unused)));
        }
        if grouped {
            raw.notes.push(groups.told(cuts.iter().map(|cut| recordings[cut.stretch as usize].group)));
        }
        raw.notes.extend(rising(&raw, &recorded).map_err(|e| e.problem)?);
        let held_out = groups::held_out(self, &groups.names, &mut raw.notes)?;
        raw.format = format!("{told}, {}; {windowing}", raw.format);
        let mut found = Recordings {
            windowing,
            wav: raw.rate.is_some(),
            names: names.names,
            stretches: recordings,
            groups: groups.names,
            grouped,
            held_out,
            cuts,
        };
        if self.role == Role::Score && !found.held_out.is_empty() {
            let is_held_out = |cut: Cut| found.held_out.contains(&found.group(cut));
            let keep: Vec<bool> = found.cuts.iter().map(|cut| is_held_out(*cut)).collect();
            let mut kept = keep.iter();
            classes.retain(|_| kept.next().is_some_and(|keep| *keep));
            let mut kept = keep.iter();
            found.cuts.retain(|_| kept.next().is_some_and(|keep| *keep));
            if found.cuts.is_empty() {
                return Err("the groups of --hold-out have no window".into());
            }
            raw.notes.push("only the groups of --hold-out are taken".into());
        }
        let window = found.windowing.window;
        raw.labels = match recorded.iter().all(|recording| recording.class.is_some()) {
            true => {
                let class = |n: &usize| recorded[*n].class.clone().unwrap_or_default();
                Some(("the names of files".to_owned(), RawLabels::Words(classes.iter().map(class).collect())))
            }
            false => raw.labels.map(|(name, labels)| {
                let rows: Vec<usize> =
                    found.cuts.iter().map(|cut| usual_row(&labels, cut.first as usize, window)).collect();
                (name, labels.at(&rows))
            }),
        };
        let first = UInt64Array::from_iter_values(found.cuts.iter().map(|cut| u64::from(cut.first)));
        raw.kept = raw.kept.into_iter().map(|column| column.taken(&first)).collect::<Result<_, _>>()?;
        raw.sizes = vec![found.cuts.len(), window, raw.sizes[1]];
        raw.layout = "ntc".parse().ok();
        raw.recordings = Some(Arc::new(found));
        Ok(raw)
    }

    /// How windows are cut at this rate.
    fn windowing(&self, rate: Option<f64>) -> Result<Windowing, ReadProblem> {
        let samples = |option: &str, span: Option<Span>| span.map(|span| span.samples(option, rate)).transpose();
        let said = samples("window", self.said.window)?;
        let (window, usual_hop) = match (said, self.usual) {
            (Some(said), Some(usual)) if said != usual.window => {
                return Err(format!("--window {said}: the model takes windows of {}", usual.told(usual.window)).into());
            }
            (_, Some(usual)) => (usual.window, usual.hop),
            (Some(said), None) => (said, said.div_ceil(2)),
            (None, None) => return Err("how long windows are is not said; say --window SPAN".into()),
        };
        let hop = samples("hop", self.said.hop)?.unwrap_or(usual_hop);
        let time = self.columns.time.as_ref().map(|_| self.said.time.clone().or_else(|| self.usual?.time.clone()));
        let resampled = self.said.resample.is_some() || self.usual.is_some_and(|usual| usual.resampled);
        Ok(Windowing { window, hop, rate, time: time.flatten(), recording: self.columns.recording.clone(), resampled })
    }
}

/// A number of things.
pub fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// What there is to say of a channel of a table that only rises: it is rather a time or a counter.
fn rising(raw: &Raw, recorded: &[Recorded]) -> Result<Option<String>, ReadError> {
    let (Some(names), Some(first), channels) = (&raw.columns, recorded.first(), raw.sizes[1]) else { return Ok(None) };
    let count = first.rows.len().min(MOST_RISING);
    if !raw.table || count < FEW_STEPS {
        return Ok(None);
    }
    let mut values = vec![0.0f64; count * channels];
    raw.values.widen(first.rows.start * channels..(first.rows.start + count) * channels, None, &mut values)?;
    let rises = |channel: &usize| {
        let of = |row: usize| values[row * channels + channel];
        (1..count).all(|row| of(row) > of(row - 1))
    };
    Ok((0..channels).find(rises).and_then(|channel| names.get(channel)).map(|name| {
        format!("column \"{name}\" only rises, but is taken as a channel: if it is a time or counts, say --time {name} or --ignore {name}")
    }))
}

/// The first row of a window that has the label which most of its rows have.
fn usual_row(labels: &RawLabels, first: usize, window: usize) -> usize {
    let mut counts: Vec<(usize, usize)> = Vec::new();
    for row in first..first + window {
        match counts.iter_mut().find(|(of, _)| labels.are_same(*of, row)) {
            Some((_, count)) => *count += 1,
            None => counts.push((row, 1)),
        }
    }
    // Of equals the first.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(first, |(row, _)| *row)
}
