//! Where windows begin in recordings.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, UInt64Array};

use super::super::ReadProblem;
use super::super::Role;
use super::super::find::few;
use super::super::labels::RawLabels;
use super::super::raw::Raw;
use super::super::stored::Stored;
use super::times::{self, JITTER};
use super::{Columns, RecordingOptions};
use crate::data::kept::texts;
use crate::data::windowing::{Cut, Recordings, Stretch, Windowing};

/// Rates that differ by less, as a share, are the same.
const SAME_RATE: f64 = 0.01;

/// A recording before it is cut.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its name: that of its file, or what stands in the column of recordings.
    pub name: String,
    /// Of whom it is, if somebody said so.
    pub group: Option<String>,
    /// Its class, if its path names it.
    pub class: Option<String>,
    /// Its rows.
    pub rows: Range<usize>,
    /// When each sample was, seconds `[T]`.
    pub times: Option<Vec<f64>>,
}

/// The recordings in what a file holds, which is made `[T,C]`.
///
/// # Errors
/// If it is no such array, or a column of times holds others.
pub fn recorded(
    mut raw: Raw,
    (path, name): (&Path, &str),
    columns: &Columns,
) -> Result<(Raw, Vec<Recorded>), ReadProblem> {
    let carried = raw.kept.split_off(raw.kept.len().saturating_sub(columns.carried()));
    let mut carried = carried.into_iter().map(|column| column.values);
    let mut next = |asked: bool| if asked { carried.next() } else { None };
    let time = next(columns.time.is_some());
    let [recording, group] = [columns.recording.is_some(), columns.group.is_some()].map(&mut next);
    let one = |rows: Range<usize>| Recorded { name: name.to_owned(), group: None, class: None, rows, times: None };
    let (sizes, mut found) = match raw.sizes[..] {
        [t] => (vec![t, 1], vec![one(0..t)]),
        [t, c] if !raw.table && c > t => {
            let problem = format!("shape [{t}, {c}]: {t} samples of {c} channels? A recording is [T,C]; turn it round");
            return Err(problem.into());
        }
        [t, c] => (vec![t, c], vec![one(0..t)]),
        [n, t, c] if c > t => {
            let problem = format!(
                "shape [{n}, {t}, {c}]: {n} recordings of {t} samples of {c} channels? They are [N,T,C]; turn them round"
            );
            return Err(problem.into());
        }
        [n, t, c] => {
            let each = |n: usize| Recorded { name: format!("{name}[{n}]"), ..one(n * t..(n + 1) * t) };
            (vec![n * t, c], (0..n).map(each).collect())
        }
        _ => return Err(format!("shape {:?}, expected recordings [T], [T,C] or [N,T,C]", raw.sizes).into()),
    };
    if raw.labels.as_ref().is_some_and(|(_, labels)| labels.len() != sizes[0]) {
        return Err(
            format!("{} labels, expected one a sample, {}", raw.labels.map_or(0, |l| l.1.len()), sizes[0]).into()
        );
    }
    let names = [recording, group].map(|column| column.map(|column| texts(&column)).transpose());
    let [recording, group] = names;
    let (recording, group) = (recording?, group?);
    if recording.is_some() || group.is_some() {
        let text = |column: &Option<ArrayRef>, row: usize| {
            column.as_ref().map(|column| column.as_string::<i32>().value(row).to_owned())
        };
        let key = |row: usize| (text(&recording, row), text(&group, row));
        let file = path.file_stem().unwrap_or_default().to_string_lossy();
        found.clear();
        let mut begin = 0;
        for row in 1..=sizes[0] {
            if row < sizes[0] && key(row) == key(begin) {
                continue;
            }
            let (recording, group) = key(begin);
            let own = recording.or(group.clone()).unwrap_or_default();
            found.push(Recorded { name: format!("{file}:{own}"), group, ..one(begin..row) });
            begin = row;
        }
    }
    if let (Some(column), Some((name, unit))) = (&time, &columns.time) {
        let all = times::seconds(column, *unit).map_err(|e| format!("column \"{name}\": {e}"))?;
        found.iter_mut().for_each(|recording| recording.times = Some(all[recording.rows.clone()].to_vec()));
    }
    raw.sizes = sizes;
    raw.layout = None;
    Ok((raw, found))
}

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
        let step = times::usual_step(recorded.iter().filter_map(|recording| recording.times.as_deref()));
        let mut rate = self.rate(step, raw.rate, &mut raw.notes)?;
        let to = self.said.resample.or(self.usual.filter(|usual| usual.resampled).and_then(|usual| usual.rate));
        let parted: Vec<Vec<Range<usize>>> = self.parted(&recorded, step, to.is_some(), &mut raw.notes);
        let mut stretches: Vec<(usize, Range<usize>)> = Vec::new();
        for (n, parts) in parted.into_iter().enumerate() {
            stretches.extend(parts.into_iter().map(|part| (n, part)));
        }
        if let Some(to) = to {
            let Some(from) = rate else {
                return Err("--resample: nobody said when samples are; say --time COLUMN, or --rate HZ".into());
            };
            resample(&mut raw, &mut recorded, &mut stretches, (from, to))?;
            raw.notes.push(format!("brought from {} samples a second to {to}", super::super::super::set::short(from)));
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
        let (mut cuts, mut classes, mut short) = (Vec::new(), Vec::new(), Vec::new());
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
        short.extend(
            used.iter().zip(&recorded).filter(|(used, _)| !**used).map(|(_, recording)| recording.name.clone()),
        );
        let told = if files > 1 {
            format!("{} recordings in {files} files", recorded.len())
        } else {
            format!("{} recordings", recorded.len())
        };
        if cuts.is_empty() {
            return Err(format!(
                "{told} without a gap are shorter than a window of {}",
                windowing.told(windowing.window)
            )
            .into());
        }
        if !short.is_empty() {
            raw.notes.push(format!("{} recordings without a window left out: {}", short.len(), few(&short)));
        }
        let held_out = self.held_out(&groups.names, &mut raw.notes)?;
        raw.format = format!("{told}, {}; {windowing}", raw.format);
        let mut found = Recordings {
            windowing,
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

    /// Samples a second, by what was said or by the times of samples.
    fn rate(
        &self,
        step: Option<f64>,
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
        let by_times = step.map(|step| format!("{:.5e}", 1.0 / step).parse().unwrap_or(1.0 / step));
        let found = by_times.or(stated);
        if let (Some(name), None) = (&self.columns.time, by_times) {
            return Err(format!("column \"{}\": its times never go forward", name.0).into());
        }
        match (self.said.rate, found) {
            (Some(said), Some(found)) if (said / found - 1.0).abs() > SAME_RATE => {
                Err(format!("--rate {said}: by the samples themselves there are {found} a second").into())
            }
            (None, Some(found)) => {
                let by = if by_times.is_some() { "their times" } else { "the files" };
                notes.push(format!("{found} samples a second by {by}"));
                Ok(Some(found))
            }
            (said, _) => Ok(said.or(self.usual.filter(|usual| !usual.resampled).and_then(|usual| usual.rate))),
        }
    }

    /// Stretches without a gap of each recording, in samples from its begin.
    fn parted(
        &self,
        recorded: &[Recorded],
        step: Option<f64>,
        is_resampled: bool,
        notes: &mut Vec<String>,
    ) -> Vec<Vec<Range<usize>>> {
        let (mut gaps, mut back, mut uneven) = (0, 0, (0.0, 0));
        let parts = |recording: &Recorded| match (&recording.times, step) {
            (Some(times), Some(step)) => {
                let found = times::steps(times, step);
                gaps += found.gaps;
                back += found.back;
                uneven = (uneven.0 + found.uneven.0, uneven.1 + found.uneven.1);
                found.stretches
            }
            _ => vec![0..recording.rows.len()],
        };
        let parted = recorded.iter().map(parts).collect();
        if gaps > 0 {
            notes.push(format!("{gaps} gaps, which no window crosses"));
        }
        if back > 0 {
            notes.push(format!("time does not go forward at {back} places, which no window crosses"));
        }
        let jitter = (uneven.0 / f64::from(uneven.1.max(1) as u32)).sqrt();
        if jitter > JITTER && !is_resampled {
            let rate = step.map_or(1.0, |step| (1.0 / step).round());
            notes.push(format!("steps of time vary by {:.0} %, --resample {rate} makes them even", 100.0 * jitter));
        }
        parted
    }

    /// How windows are cut at this rate.
    fn windowing(&self, rate: Option<f64>) -> Result<Windowing, ReadProblem> {
        let samples =
            |option: &str, span: Option<super::options::Span>| span.map(|span| span.samples(option, rate)).transpose();
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

    /// Numbers of the groups that are held out.
    fn held_out(&self, groups: &[String], notes: &mut Vec<String>) -> Result<Vec<u32>, ReadProblem> {
        let said = &self.said.hold_out;
        let share = match &said[..] {
            [one] if !groups.contains(one) => one.parse::<f64>().ok(),
            _ => None,
        };
        let found: Vec<u32> = match share {
            Some(share) if share > 0.0 && share < 1.0 => {
                let count = ((share * groups.len() as f64).round() as usize).max(1);
                // Spread over all, whatever they are sorted by.
                (0..count).map(|n| ((2 * n + 1) * groups.len() / (2 * count)) as u32).collect()
            }
            Some(share) => {
                return Err(format!("--hold-out {share}: expected a share between 0 and 1, or names of groups").into());
            }
            None => {
                let number = |name: &String| groups.iter().position(|group| group == name).map(|at| at as u32);
                let missing = said.iter().find(|name| number(name).is_none());
                if let Some(name) = missing {
                    return Err(format!("--hold-out {name}: there is no such group; there are {}", few(groups)).into());
                }
                said.iter().filter_map(number).collect()
            }
        };
        if !found.is_empty() {
            let names: Vec<String> = found.iter().map(|at| groups[*at as usize].clone()).collect();
            notes.push(format!("held out: {} of {} groups, {}", names.len(), groups.len(), few(&names)));
        }
        if found.len() == groups.len() && self.role == Role::Fit {
            return Err("--hold-out names every group, so that none is left to train on".into());
        }
        Ok(found)
    }
}

/// Names by number, in the order in which they come.
#[derive(Default)]
struct Groups {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Groups {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
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

/// Brings every stretch to another rate, and all that is said of its samples with it.
fn resample(
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
