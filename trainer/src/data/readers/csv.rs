//! Comma-separated rows of numbers, one frame a row; a header line is recognised by not being numbers.
//!
//! A column named `label` or `class`, or as is asked for, holds classes (whole numbers or names) and is only scored against.

use std::collections::BTreeMap;
use std::path::Path;

use ::csv::StringRecord;

use super::ReadProblem;
use super::value::Value;
use crate::data::Frames;
use crate::frame::FrameShape;

/// Names of the columns that are no features.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// Column of classes; None: the first called `label` or `class`, in whatever case, if there is one.
    pub label: Option<String>,
    /// Column of weights, if rows have any.
    pub weight: Option<String>,
}

/// What stands in a file, column by column of its meaning.
pub struct Rows<T> {
    /// The features as frames of shape `[1,1,F]`, with the classes.
    pub frames: Frames<T>,
    /// Names of the features `[F]`; None without a header line.
    pub names: Option<Vec<String>>,
    /// Weights of the rows `[N]`, finite and not negative, if they were asked for.
    pub weights: Option<Vec<f64>>,
}

/// The columns of a header line by their meaning.
struct Header {
    label: Option<usize>,
    weight: Option<usize>,
    names: Vec<String>,
}

impl Header {
    fn new(line: &StringRecord, asked: &Columns) -> Result<Self, ReadProblem> {
        let find = |name: &String| match line.iter().position(|field| field == name) {
            Some(column) => Ok(column),
            None => Err(format!("no column \"{name}\"; there are {}", line.iter().collect::<Vec<_>>().join(", "))),
        };
        let known = || line.iter().position(|f| matches!(f.to_ascii_lowercase().as_str(), "label" | "class"));
        let weight = asked.weight.as_ref().map(find).transpose()?;
        let label = asked.label.as_ref().map(find).transpose()?.or_else(known);
        if label.is_some() && label == weight {
            return Err(format!("column \"{}\" cannot be both label and weight", &line[label.unwrap_or(0)]).into());
        }
        let features = (0..line.len()).filter(|column| Some(*column) != label && Some(*column) != weight);
        Ok(Self { label, weight, names: features.map(|column| line[column].to_owned()).collect() })
    }
}

/// Reads the rows of a file.
pub fn read<T: Value>(path: &Path, asked: &Columns) -> Result<Rows<T>, ReadProblem> {
    let mut reader =
        ::csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(::csv::Trim::All).from_path(path)?;
    let mut header: Option<Header> = None;
    let mut columns = None;
    let (mut values, mut classes, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for (index, record) in reader.records().enumerate() {
        let record = record?;
        let line = record.position().map_or(index as u64 + 1, |p| p.line());
        if index == 0 && record.iter().all(|field| field.parse::<f64>().is_err()) {
            header = Some(Header::new(&record, asked)?);
            columns = Some(record.len());
            continue;
        }
        if let (None, Some(name)) = (&header, asked.label.as_ref().or(asked.weight.as_ref())) {
            return Err(format!("no header line, so no column \"{name}\"").into());
        }
        let expected = *columns.get_or_insert(record.len());
        if record.len() != expected {
            return Err(format!("line {line}: {} fields, expected {expected}", record.len()).into());
        }
        for (column, field) in record.iter().enumerate() {
            let place = || format!("line {line}, field {}", column + 1);
            match &header {
                Some(header) if header.label == Some(column) => classes.push(field.to_owned()),
                Some(header) if header.weight == Some(column) => {
                    let weight = number::<f64>(field, place)?;
                    if weight < 0.0 {
                        return Err(format!("{}: weight {weight}, expected 0 or more", place()).into());
                    }
                    weights.push(weight);
                }
                _ => values.push(number::<T>(field, place)?),
            }
        }
    }
    let (label, weight) = header.as_ref().map_or((None, None), |header| (header.label, header.weight));
    let width = columns.map_or(0, |c| c - usize::from(label.is_some()) - usize::from(weight.is_some()));
    let shape = FrameShape { channels: 1, height: 1, width };
    Ok(Rows {
        frames: Frames { shape, values, labels: label.map(|_| numbered(&classes)) },
        names: header.map(|header| header.names),
        weights: weight.map(|_| weights),
    })
}

/// The finite number of a field.
fn number<T: Value>(field: &str, place: impl Fn() -> String) -> Result<T, ReadProblem> {
    let value: T = field.parse().map_err(|_| format!("{}: \"{field}\", expected a number", place()))?;
    if !value.is_finite() {
        return Err(format!("{}: {value}, expected a finite number", place()).into());
    }
    Ok(value)
}

/// Numbers the class names: as they are if all are whole numbers, else in alphabetical order.
fn numbered(names: &[String]) -> Vec<u32> {
    if let Ok(numbers) = names.iter().map(|n| n.parse()).collect() {
        return numbers;
    }
    let mut order: BTreeMap<&str, u32> = names.iter().map(|n| (n.as_str(), 0)).collect();
    for (rank, value) in order.values_mut().enumerate() {
        *value = rank as u32;
    }
    names.iter().map(|n| order[n.as_str()]).collect()
}
