//! Comma-separated rows of numbers, one frame a row; a header line is recognised by not being numbers.
//!
//! A column named `label` or `class` holds classes (whole numbers or names) and is only scored against.

use std::collections::BTreeMap;
use std::path::Path;

use super::ReadProblem;
use crate::data::Frames;
use crate::frame::FrameShape;

/// Reads the rows of a file as frames of shape `[1,1,F]`.
pub fn read(path: &Path) -> Result<Frames, ReadProblem> {
    let mut reader =
        ::csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(::csv::Trim::All).from_path(path)?;
    let mut label_column = None;
    let mut columns = None;
    let mut values = Vec::new();
    let mut names = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = record?;
        let line = record.position().map_or(index as u64 + 1, |p| p.line());
        if index == 0 && record.iter().all(|field| field.parse::<f32>().is_err()) {
            label_column = record.iter().position(|f| matches!(f.to_ascii_lowercase().as_str(), "label" | "class"));
            columns = Some(record.len());
            continue;
        }
        let expected = *columns.get_or_insert(record.len());
        if record.len() != expected {
            return Err(format!("line {line}: {} fields, expected {expected}", record.len()).into());
        }
        for (column, field) in record.iter().enumerate() {
            if Some(column) == label_column {
                names.push(field.to_owned());
                continue;
            }
            let value: f32 = field
                .parse()
                .map_err(|_| format!("line {line}, field {}: \"{field}\", expected a number", column + 1))?;
            if !value.is_finite() {
                return Err(format!("line {line}, field {}: {value}, expected a finite number", column + 1).into());
            }
            values.push(value);
        }
    }
    let width = columns.map_or(0, |c| c - usize::from(label_column.is_some()));
    let shape = FrameShape { channels: 1, height: 1, width };
    Ok(Frames { shape, values, labels: label_column.map(|_| number(&names)) })
}

/// Numbers the class names: as they are if all are whole numbers, else in alphabetical order.
fn number(names: &[String]) -> Vec<u32> {
    if let Ok(numbers) = names.iter().map(|n| n.parse()).collect() {
        return numbers;
    }
    let mut order: BTreeMap<&str, u32> = names.iter().map(|n| (n.as_str(), 0)).collect();
    for (rank, value) in order.values_mut().enumerate() {
        *value = rank as u32;
    }
    names.iter().map(|n| order[n.as_str()]).collect()
}
