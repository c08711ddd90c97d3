//! What a reader finds in a file, before it is said what the values mean.

use std::sync::Arc;

use super::ReadProblem;
use super::labels::RawLabels;
use super::stored::Array;
use super::values::Values;
use crate::data::kept::Kept;
use crate::data::layout::Layout;
use crate::data::windowing::Recordings;

/// The content of a file as it is stored.
#[derive(Clone, Debug)]
pub struct Raw {
    /// The format, as it is told to the user.
    pub format: String,
    /// Size of each axis of the array, the outermost first; one axis is that of the frames.
    pub sizes: Vec<usize>,
    /// The values, the last axis fastest.
    pub values: Values,
    /// The meaning of the axes, where the format has one.
    pub layout: Option<Layout>,
    /// Whether values are those of pixels because the format is one of pictures.
    pub pixels: bool,
    /// Whether frames are the rows of a table.
    pub table: bool,
    /// Whether there are columns that can be asked for: by number where they have no names.
    pub has_columns: bool,
    /// Where labels are from, and the labels.
    pub labels: Option<(String, RawLabels)>,
    /// Names of the features, if the file has any.
    pub columns: Option<Vec<String>>,
    /// Name of the file that each frame is from, where each has its own.
    pub files: Option<Vec<String>>,
    /// Weights of the rows `[N]`, finite and not negative, if they were asked for.
    pub weights: Option<Vec<f64>>,
    /// Columns that are carried through to the output `[N]` each.
    pub kept: Vec<Kept>,
    /// Samples a second, where the format says so: what it holds is a recording then.
    pub rate: Option<f64>,
    /// The recordings that the frames are windows of; the values are their samples `[T,C]` then, one recording after the other.
    pub recordings: Option<Arc<Recordings>>,
    /// What the user should know: what was left out, and why.
    pub notes: Vec<String>,
}

impl Raw {
    /// Values of which the format says no more.
    pub fn new(format: &str, array: Array) -> Self {
        Self::of(format, array.sizes, array.values.into())
    }

    /// Values of an array of these sizes, in memory or in a file.
    pub fn of(format: &str, sizes: Vec<usize>, values: Values) -> Self {
        Self {
            format: format.to_owned(),
            sizes,
            values,
            layout: None,
            pixels: false,
            table: false,
            has_columns: false,
            labels: None,
            columns: None,
            files: None,
            weights: None,
            kept: Vec::new(),
            rate: None,
            recordings: None,
            notes: Vec::new(),
        }
    }

    /// These frames, then those of another file of the same kind.
    ///
    /// # Errors
    /// If the two differ in the type or number of their values, their columns, or in whether they have labels.
    pub fn followed_by(mut self, other: Self) -> Result<Self, ReadProblem> {
        let (sizes, more) = (&self.sizes, &other.sizes);
        if sizes.len() != more.len() || sizes[1..] != more[1..] {
            return Err(format!("shape {more:?}, expected {sizes:?} of another count, as in the file before").into());
        }
        if self.columns != other.columns {
            let [before, now] = [&self.columns, &other.columns].map(|names| match names {
                Some(names) => names.join(", "),
                None => "no header".to_owned(),
            });
            return Err(
                format!("columns {now}; in the file before {before}; --columns says which, and their order").into()
            );
        }
        if self.rate != other.rate {
            let told = |rate: Option<f64>| rate.map_or("no rate".to_owned(), |rate| format!("{rate} samples a second"));
            let [before, now] = [self.rate, other.rate].map(told);
            return Err(format!("{now}; in the file before {before}").into());
        }
        if self.labels.is_some() != other.labels.is_some() {
            return Err("labels in some of the files only; say --label NAME, or --label none".into());
        }
        self.sizes[0] += more[0];
        self.values = self.values.followed_by(other.values)?;
        self.labels = self.labels.zip(other.labels).map(|((name, a), (_, b))| (name, a.followed_by(b)));
        self.files = self.files.zip(other.files).map(|(a, b)| [a, b].concat());
        self.weights = self.weights.zip(other.weights).map(|(a, b)| [a, b].concat());
        let kept = self.kept.into_iter().zip(&other.kept).map(|(a, b)| a.followed_by(b));
        self.kept = kept.collect::<Result<_, _>>()?;
        self.notes.extend(other.notes);
        self.notes.dedup();
        Ok(self)
    }
}
