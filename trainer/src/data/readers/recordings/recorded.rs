//! The recordings in a file: the file itself, one for each array of several, or those that a column tells apart.

use std::collections::HashMap;
use std::ops::Range;

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;

use super::super::ReadProblem;
use super::super::raw::Raw;
use super::{Columns, times};
use crate::data::kept::texts;

/// Most stretches of rows that a recording may have in a table, on average.
const MOST_AGAIN: usize = 3;

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
