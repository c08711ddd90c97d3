//! Where windows begin in recordings.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, UInt64Array};

use super::super::Role;
use super::super::find::few;
use super::super::labels::RawLabels;
use super::super::raw::Raw;
use super::super::stored::Stored;
use super::super::{ReadError, ReadProblem};
use super::options::Span;
use super::times::{self, JITTER};
use super::{Columns, RecordingOptions};
use crate::data::kept::texts;
use crate::data::windowing::{Cut, Recordings, Stretch, Windowing};

/// Groups that are told by name.
const SHOWN_GROUPS: usize = 8;
/// Samples that are looked at to see whether a channel only rises.
const MOST_RISING: usize = 10_000;
/// Most stretches of rows that a recording may have in a table, on average.
const MOST_AGAIN: usize = 3;
/// Steps that do not tell a rate to a hundredth.
const FEW_STEPS: usize = 100;
/// Share by which a rate may be off a whole number that is meant.
const NEARLY_WHOLE: f64 = 1e-3;
/// Samples a second below which it is said what times were taken for.
const SLOW: f64 = 0.5;
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
pub fn recorded(mut raw: Raw, name: &str, columns: &Columns) -> Result<(Raw, Vec<Recorded>), ReadProblem> {
    let carried = raw.kept.split_off(raw.kept.len().saturating_sub(columns.carried()));
    let mut carried = carried.into_iter().map(|column| column.values);
    let mut next = |asked: bool| if asked { carried.next() } else { None };
    let time = next(columns.time.is_some());
    let [recording, group] = [columns.recording.is_some(), columns.group.is_some()].map(&mut next);
    let one = |rows: Range<usize>| Recorded { name: name.to_owned(), group: None, class: None, rows, times: None };
    let (sizes, mut found) = match raw.sizes[..] {
        [0, ..] => return Err("no samples".into()),
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
        found.clear();
        let (mut begin, mut seen) = (0, HashMap::new());
        for row in 1..=sizes[0] {
            if row < sizes[0] && key(row) == key(begin) {
                continue;
            }
            let (recording, group) = key(begin);
            let own = recording.or(group.clone()).unwrap_or_default();
            let times: &mut usize = seen.entry(key(begin)).or_insert(0);
            *times += 1;
            let again = if *times > 1 { format!("#{times}") } else { String::new() };
            found.push(Recorded { name: format!("{name}:{own}{again}"), group, ..one(begin..row) });
            begin = row;
        }
        // Once more may be another recording of the same name; row by row it is a table that is not sorted.
        if found.len() > MOST_AGAIN * seen.len() {
            let column = columns.recording.as_ref().or(columns.group.as_ref()).map_or("", String::as_str);
            let (changes, of) = (found.len() - 1, seen.len());
            let problem = format!(
                "the rows of a recording are not together: column \"{column}\" changes {changes} times between {of} recordings; \
                 sort the table by it, and then by time"
            );
            return Err(problem.into());
        }
    }
    if let (Some(column), Some((name, unit))) = (&time, &columns.time) {
        let all = times::seconds(column, *unit).map_err(|e| format!("column \"{name}\": {e}"))?;
        for recording in &mut found {
            let times = &all[recording.rows.clone()];
            let spread = times::spread(times);
            if spread.is_some() {
                let note =
                    format!("column \"{name}\" has one time for several samples, over which it is spread evenly");
                raw.notes.push(note);
            }
            recording.times = Some(spread.unwrap_or_else(|| times.to_vec()));
        }
        raw.notes.dedup();
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
        let told = counted(recorded.len(), "recording");
        let told = if files > 1 { format!("{told} in {files} files") } else { told };
        if cuts.is_empty() {
            let window = windowing.told(windowing.window);
            let problem = format!("{told}, no stretch without a gap as long as a window of {window}");
            return Err([vec![problem], raw.notes].concat().join("; ").into());
        }
        if !short.is_empty() {
            raw.notes.push(format!("{} without a window left out: {}", counted(short.len(), "recording"), few(&short)));
        }
        if grouped {
            let windows = |group: usize| {
                cuts.iter().filter(|cut| recordings[cut.stretch as usize].group as usize == group).count()
            };
            let told = groups
                .names
                .iter()
                .enumerate()
                .take(SHOWN_GROUPS)
                .map(|(at, name)| format!("{name} ({})", windows(at)));
            let more = if groups.names.len() > SHOWN_GROUPS { ", ..." } else { "" };
            let told = told.collect::<Vec<_>>().join(", ");
            raw.notes.push(format!("{} by their windows: {told}{more}", counted(groups.names.len(), "group")));
        }
        raw.notes.extend(rising(&raw, &recorded).map_err(|e| e.problem)?);
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
    fn parted(
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

/// A number of things.
fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
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

/// Stretches without a gap, in samples from the begin of their recording.
type Stretches = Vec<Range<usize>>;

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
