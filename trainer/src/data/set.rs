//! Frames with the word on what was taken for what.

use std::fmt;

use super::StoredFrames;
use super::kept::Kept;
use super::manner::Manner;
use super::meaning::{Expected, Meaning, Said};
use super::missing::{Missing, settled};
use super::readers::{Raw, ReadProblem, Value, few};
use crate::frame::{FrameKind, FrameShape};

/// Frames, and what was taken for what to get them.
#[derive(Clone, Debug)]
pub struct DataSet<F = StoredFrames> {
    /// The frames.
    pub frames: F,
    /// Names of the features `[F]`, if there are any.
    pub columns: Option<Vec<String>>,
    /// Name of each class by its number, where the file has names.
    pub classes: Option<Vec<String>>,
    /// Name of the file that each frame is from `[N]`, where each has its own.
    pub files: Option<Vec<String>>,
    /// Weights of the rows `[N]`, finite and not negative, if they were asked for.
    pub weights: Option<Vec<f64>>,
    /// Columns that are carried through to the output `[N]` each.
    pub kept: Vec<Kept>,
    /// What was taken for what.
    pub taken: Taken,
}

/// What was taken for what, to be told before anything runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// Number of frames N.
    pub count: usize,
    /// Shape of a frame.
    pub shape: FrameShape,
    /// What a frame is.
    pub kind: FrameKind,
    /// Format, type of the values, and the axes of arrays.
    pub source: String,
    /// Type of the values as stored.
    pub stored: &'static str,
    /// Least and greatest value as stored.
    pub range: (f64, f64),
    /// The stored value that became 1; None: values are as stored.
    pub white: Option<f64>,
    /// Where labels are from, and how many classes they name; None without labels.
    pub labels: Option<(String, usize)>,
    /// Names of the features, if there are any.
    pub columns: Option<Vec<String>>,
    /// What else the user should know: what was left out, and why.
    pub notes: Vec<String>,
}

impl<F> DataSet<F> {
    /// Name of a class; its number where it has none.
    pub fn class(&self, label: u32) -> String {
        let name = self.classes.as_ref().and_then(|names| names.get(label as usize));
        name.cloned().unwrap_or_else(|| label.to_string())
    }
}

impl DataSet {
    /// Frames of what a reader found, by what was said of them; `T` is the precision in which they must be finite.
    ///
    /// # Errors
    /// If it is not clear what the values mean, if one is missing or not finite, or if labels are not as many as frames.
    pub fn of<T: Value + Default>(
        raw: Raw,
        said: Said,
        missing: Missing,
        expected: &Expected,
    ) -> Result<Self, ReadProblem> {
        let kept = expected.manner.as_ref().and_then(Manner::layout).filter(|_| raw.layout.is_none() || raw.table);
        let kept = kept.filter(|layout| expected.fits(layout, &raw.sizes));
        let asked = said.layout.or(kept.as_ref());
        let said = Said {
            layout: asked.or(raw.layout.as_ref()),
            asked: asked.is_some(),
            pixels: raw.pixels || said.pixels,
            columns: raw.columns.as_deref(),
            ..said
        };
        let range = raw.values.range().map_err(|e| e.problem)?;
        let Meaning { reading, kind, white } = Meaning::of(&raw.sizes, &raw.values, range, said, expected)?;
        let mut notes = raw.notes;
        let stored = raw.values.type_name();
        let source = match (raw.table || raw.recordings.is_some(), reading.kind) {
            (true, _) if raw.recordings.is_some() => raw.format,
            (true, FrameKind::Features) => raw.format,
            (true, _) => format!("{}, as {}", raw.format, reading.layout),
            _ => format!("{}, {stored} {:?} as {}", raw.format, raw.sizes, reading.layout),
        };
        // Pixels are told apart by their place in the picture; of recordings, columns are channels.
        let named = reading.kind == FrameKind::Features || raw.recordings.is_some();
        let columns = raw.columns.filter(|_| named);
        let range = range.unwrap_or((f64::NAN, f64::NAN));
        if let Some(note) = white.and_then(|white| unused_bits(range.1, white)) {
            notes.push(note);
        }
        let frames = StoredFrames::new((&reading.sizes, raw.values), &reading.order, reading.shape, white);
        let mut frames = frames.map_err(|e| e.problem)?.of_recordings(raw.recordings);
        if frames.shape.is_empty() || frames.is_empty() {
            return Err(format!("no frames (shape of a frame: {})", frames.shape).into());
        }
        if u32::try_from(frames.len()).is_err() {
            return Err(format!("{} frames, at most {} are taken", frames.len(), u32::MAX).into());
        }
        let kept = settled::<T>(&mut frames, missing, columns.as_deref(), &mut notes)?;
        let count = kept.len();
        let labels = match raw.labels {
            Some((name, labels)) if labels.len() == count => Some((name, labels.filtered(&kept))),
            Some((_, labels)) => return Err(format!("{} labels for {count} frames", labels.len()).into()),
            None => None,
        };
        let mut classes = None;
        let mut told = None;
        if let Some((name, labels)) = labels {
            match labels.classes() {
                Ok(found) => {
                    let mut distinct = found.of_frames.clone();
                    distinct.sort_unstable();
                    distinct.dedup();
                    told = Some((name, distinct.len()));
                    (frames.labels, classes) = (Some(found.of_frames), found.names);
                }
                Err(problem) => notes.push(format!("no labels, since in {name} {problem}")),
            }
        }
        fn only<V: Clone>(values: Option<Vec<V>>, kept: &[bool]) -> Option<Vec<V>> {
            let keep =
                |values: Vec<V>| values.into_iter().zip(kept).filter(|(_, kept)| **kept).map(|(v, _)| v).collect();
            values.map(keep)
        }
        let taken = Taken {
            count: frames.len(),
            shape: frames.shape,
            kind,
            source,
            range,
            white,
            labels: told,
            columns: columns.clone(),
            stored,
            notes,
        };
        let (files, weights) = (only(raw.files, &kept), only(raw.weights, &kept));
        let carried = raw.kept.into_iter().map(|column| column.filtered(&kept)).collect::<Result<_, _>>();
        let carried = carried.map_err(|e| e.to_string())?;
        Ok(Self { frames, columns, classes, files, weights, kept: carried, taken })
    }
}

/// The word that pictures use less than the range of their type, as those of 10 or 12 bits in 16 do.
fn unused_bits(most: f64, white: f64) -> Option<String> {
    let bits = 16 - (most as u64).clamp(1, 0xffff).leading_zeros().saturating_sub(48);
    (white == 65535.0 && bits < 16).then(|| {
        let full = (1u64 << bits) - 1;
        format!("{bits} of 16 bits are used; if {full} is white, say --white {full}")
    })
}

/// A number with its thousands set apart.
fn counted(count: usize) -> String {
    let digits = count.to_string();
    let lead = digits.len() % 3;
    let groups = digits.as_bytes()[lead..].chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let all: Vec<String> = (lead > 0).then(|| digits[..lead].to_owned()).into_iter().chain(groups).collect();
    all.join(",")
}

impl fmt::Display for Taken {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = self.range;
        let frames = if self.count == 1 { "frame" } else { "frames" };
        write!(f, "{} {frames} of {} taken as {} ({})", counted(self.count), self.shape, self.kind, self.source)?;
        if let Some(columns) = &self.columns {
            write!(f, ", columns {}", few(columns))?;
        }
        write!(f, ", values {} to {}, ", short(least), short(most))?;
        match self.white {
            Some(white) => write!(f, "divided by {white}")?,
            None if self.kind == FrameKind::Image && least >= 0.0 && most <= 1.0 => write!(f, "kept as they are")?,
            None => write!(f, "kept as they are (fit standardises them)")?,
        }
        match &self.labels {
            Some((name, classes)) => write!(f, "; labels from {name}, {classes} classes, only score")?,
            None if self.notes.iter().any(|note| note.starts_with("no labels")) => {}
            None => write!(f, "; no labels")?,
        }
        // Names of files may have line ends in them.
        let bare = |note: &String| note.replace(char::is_control, " ");
        self.notes.iter().try_for_each(|note| write!(f, "; {}", bare(note)))
    }
}

/// A number in six digits at most.
pub(in crate::data) fn short(value: f64) -> String {
    let rounded = format!("{value:.5e}").parse().unwrap_or(value);
    if rounded != 0.0 && !(1e-4..1e9).contains(&f64::abs(rounded)) {
        format!("{rounded:e}")
    } else {
        rounded.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_told_in_a_line() {
        let mut taken = Taken {
            count: 1797,
            shape: FrameShape { channels: 1, height: 8, width: 8 },
            kind: FrameKind::Image,
            source: ".npy, u8 [1797, 8, 8] as nhw".into(),
            stored: "u8",
            range: (0.0, 16.0),
            white: Some(255.0),
            labels: Some(("\"y\"".into(), 10)),
            columns: None,
            notes: vec!["3 files left out: a, b, c".into()],
        };
        let line = "1,797 frames of 1x8x8 taken as images (.npy, u8 [1797, 8, 8] as nhw), values 0 to 16, divided by 255; \
                    labels from \"y\", 10 classes, only score; 3 files left out: a, b, c";
        assert_eq!(taken.to_string(), line);
        (taken.white, taken.labels, taken.notes) = (None, None, Vec::new());
        assert!(taken.to_string().ends_with("kept as they are (fit standardises them); no labels"));
        assert_eq!(counted(1_000_000), "1,000,000");
        assert_eq!([short(0.1 + 0.2), short(1e39), short(-2.5e-9)], ["0.3", "1e39", "-2.5e-9"]);
        assert!(unused_bits(1023.0, 65535.0).is_some_and(|note| note.contains("10 of 16") && note.contains("1023")));
        assert_eq!((unused_bits(40000.0, 65535.0), unused_bits(100.0, 255.0)), (None, None));
    }
}
