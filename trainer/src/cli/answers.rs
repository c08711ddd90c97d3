//! The answers to frames as columns, and how they are written: CSV, lines of JSON, Parquet or Arrow IPC.

use std::io::Write;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Float32Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow_schema::{ArrowError, DataType};
use runtime::Assignment;
use trainer::data::{DataSet, texts};
use trainer::{Error, Result};

/// How answers are written, by the name of their file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Fields between these characters.
    Csv(u8),
    /// An object of JSON a line.
    JsonLines,
    /// Parquet.
    Parquet,
    /// Arrow IPC with a footer.
    Arrow,
}

impl Form {
    /// The form for a file; CSV for what has no extension, as devices and pipes.
    ///
    /// # Errors
    /// [`Error::Config`] for an extension that says something else.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        extension.parse().map_err(|problem: String| Error::config("--out", format!("{}: {problem}", path.display())))
    }
}

impl FromStr for Form {
    type Err = String;

    fn from_str(extension: &str) -> Result<Self, String> {
        match extension {
            "" | "csv" | "txt" | "dat" => Ok(Self::Csv(b',')),
            "tsv" | "tab" => Ok(Self::Csv(b'\t')),
            "jsonl" | "ndjson" => Ok(Self::JsonLines),
            "parquet" | "pq" => Ok(Self::Parquet),
            "arrow" | "feather" | "ipc" => Ok(Self::Arrow),
            other => Err(format!(".{other} is not written; .csv, .tsv, .jsonl, .parquet and .arrow are")),
        }
    }
}

/// The answers to the frames of `set`, a column each; `threshold` is that of the novelty.
///
/// # Errors
/// [`Error::Config`] if a column that is kept has the name of an answer.
pub fn batch(set: &DataSet, assignments: &[Assignment], threshold: f32) -> Result<RecordBatch> {
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    let mut push = |name: &str, values: ArrayRef| columns.push((name.to_owned(), values));
    // Who carries an index or a label of their own through wants that.
    let is_kept = |name: &str| set.kept.iter().any(|column| column.name == name);
    if !is_kept("index") {
        push("index", Arc::new(UInt64Array::from_iter_values(0..assignments.len() as u64)));
    }
    if let Some(files) = &set.files {
        push("file", Arc::new(StringArray::from_iter_values(files)));
    }
    set.kept.iter().for_each(|column| push(&column.name, Arc::clone(&column.values)));
    if let Some(labels) = set.frames.labels.as_ref().filter(|_| !is_kept("label")) {
        push("label", Arc::new(StringArray::from_iter_values(labels.iter().map(|&label| set.class(label)))));
    }
    let reals = |of: fn(&Assignment) -> f32| Arc::new(Float32Array::from_iter_values(assignments.iter().map(of)));
    let flags =
        |of: fn(&Assignment) -> bool| Arc::new(assignments.iter().map(|a| Some(of(a))).collect::<BooleanArray>());
    push("cluster", Arc::new(UInt32Array::from_iter_values(assignments.iter().map(|a| a.cluster as u32))));
    push("confidence", reals(|a| a.confidence));
    push("novelty", reals(|a| a.novelty));
    push("novelty_threshold", Arc::new(Float32Array::from_value(threshold, assignments.len())));
    push("is_novel", flags(|a| a.is_novel));
    push("is_outside", flags(|a| a.is_outside));
    push("runner_up", Arc::new(assignments.iter().map(|a| a.runner_up.map(|c| c as u32)).collect::<UInt32Array>()));
    let clusters = assignments.first().map_or(0, |a| a.log_responsibilities.len());
    for c in 0..clusters {
        let values = assignments.iter().map(|a| a.responsibilities().nth(c).unwrap_or(0.0));
        push(&format!("p_{c}"), Arc::new(Float32Array::from_iter_values(values)));
    }
    let twice = |at: &usize| columns[..*at].iter().any(|(name, _)| *name == columns[*at].0);
    if let Some((name, _)) = (0..columns.len()).find(twice).map(|at| &columns[at]) {
        return Err(Error::config("--keep", format!("{name}: an answer has this name; rename the column")));
    }
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, values)| (name, values, true)))
        .map_err(|e| Error::resource("table", e))
}

/// The bytes of a file of these columns.
///
/// # Errors
/// [`Error::Resource`] if a column is of a type that the form has not.
pub fn written(form: Form, columns: &RecordBatch) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match form {
        Form::Csv(delimiter) => csv(&mut bytes, columns, delimiter),
        Form::JsonLines => json_lines(&mut bytes, columns),
        Form::Parquet => parquet(&mut bytes, columns),
        Form::Arrow => arrow(&mut bytes, columns),
    }
    .map_err(|e| Error::resource("--out", e))?;
    Ok(bytes)
}

fn csv(out: &mut Vec<u8>, columns: &RecordBatch, delimiter: u8) -> Result<(), ArrowError> {
    let fault = |e: csv::Error| ArrowError::CsvError(e.to_string());
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(out);
    writer.write_record(columns.schema().fields().iter().map(|field| field.name())).map_err(fault)?;
    let columns = columns.columns().iter().map(spelled).collect::<Result<Vec<_>, _>>()?;
    for row in 0..columns.first().map_or(0, |column| column.len()) {
        writer.write_record(columns.iter().map(|c| if c.is_valid(row) { c.value(row) } else { "" })).map_err(fault)?;
    }
    writer.flush().map_err(|e| ArrowError::CsvError(e.to_string()))
}

fn json_lines(out: &mut Vec<u8>, columns: &RecordBatch) -> Result<(), ArrowError> {
    let fault = |e: serde_json::Error| ArrowError::JsonError(e.to_string());
    let schema = columns.schema();
    let names = schema.fields().iter().map(|field| serde_json::to_string(field.name()));
    let names = names.collect::<Result<Vec<_>, _>>().map_err(fault)?;
    // Numbers and truth values as they are spelled, which is JSON; but for what is no finite number.
    let bare = |kind: &DataType| kind.is_numeric() || *kind == DataType::Boolean;
    let bare: Vec<bool> = columns.columns().iter().map(|column| bare(column.data_type())).collect();
    let columns = columns.columns().iter().map(spelled).collect::<Result<Vec<_>, _>>()?;
    for row in 0..columns.first().map_or(0, |column| column.len()) {
        let fields =
            columns.iter().zip(&names).zip(&bare).map(|((column, name), bare)| -> Result<String, ArrowError> {
                let value = match column.is_valid(row).then(|| column.value(row)) {
                    None => "null".to_owned(),
                    Some(text) if *bare && !matches!(text, "NaN" | "inf" | "-inf") => text.to_owned(),
                    Some(_) if *bare => "null".to_owned(),
                    Some(text) => serde_json::to_string(text).map_err(fault)?,
                };
                Ok(format!("{name}:{value}"))
            });
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        writeln!(out, "{{{}}}", fields.join(",")).map_err(ArrowError::from)?;
    }
    Ok(())
}

fn parquet(out: &mut Vec<u8>, columns: &RecordBatch) -> Result<(), ArrowError> {
    use ::parquet::basic::Compression;
    use ::parquet::file::properties::WriterProperties;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(out, columns.schema(), Some(properties))?;
    writer.write(columns)?;
    writer.close()?;
    Ok(())
}

fn arrow(out: &mut Vec<u8>, columns: &RecordBatch) -> Result<(), ArrowError> {
    let mut writer = arrow_ipc::writer::FileWriter::try_new(out, &columns.schema())?;
    writer.write(columns)?;
    writer.finish()
}

/// Values below this are written with an exponent, not with dozens of zeros.
const SMALL: f64 = 1e-4;
/// Values from here on are written with an exponent.
const LARGE: f64 = 1e16;

/// The values as they are written: numbers in the fewest digits that give them back in their precision.
fn spelled(values: &ArrayRef) -> Result<StringArray, ArrowError> {
    fn number<N: Into<f64> + Copy + std::fmt::Display + std::fmt::LowerExp>(value: N) -> String {
        let size: f64 = value.into().abs();
        match size == 0.0 || !size.is_finite() || (SMALL..LARGE).contains(&size) {
            true => value.to_string(),
            false => format!("{value:e}"),
        }
    }
    Ok(match values.data_type() {
        DataType::Float32 => values.as_primitive::<Float32Type>().iter().map(|v| v.map(number)).collect(),
        DataType::Float64 => values.as_primitive::<Float64Type>().iter().map(|v| v.map(number)).collect(),
        _ => texts(values)?.as_string::<i32>().clone(),
    })
}

#[cfg(test)]
mod tests {
    use arrow_array::Float64Array;

    use super::*;

    #[test]
    fn numbers_are_written_in_the_digits_that_mean_something() {
        let values = [0.1 + 0.2, 1e-45, 0.0, -3e-7, 12345.678, f64::NAN, 1e300];
        let singles: ArrayRef = Arc::new(Float32Array::from_iter_values(values.map(|v| v as f32)));
        let spell = |values: &ArrayRef| spelled(values).unwrap().iter().flatten().collect::<Vec<_>>().join(" ");
        assert_eq!(spell(&singles), "0.3 1e-45 0 -3e-7 12345.678 NaN inf");
        let doubles: ArrayRef = Arc::new(Float64Array::from_iter_values(values));
        assert_eq!(spell(&doubles), "0.30000000000000004 1e-45 0 -3e-7 12345.678 NaN 1e300");
        let batch = RecordBatch::try_from_iter([("a \"b\"", singles)]).unwrap();
        let lines = String::from_utf8(written(Form::JsonLines, &batch).unwrap()).unwrap();
        let parsed: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            (parsed.len(), parsed[3]["a \"b\""].as_f64(), parsed[6]["a \"b\""].is_null()),
            (7, Some(-3e-7), true)
        );
    }

    #[test]
    fn the_form_is_told_by_the_name() {
        for (name, form) in
            [("a.PARQUET", Form::Parquet), ("/dev/stdout", Form::Csv(b',')), ("a.b/c.tsv", Form::Csv(b'\t'))]
        {
            assert_eq!(Form::of(Path::new(name)).unwrap(), form);
        }
        assert!(Form::of(Path::new("a.xlsx")).unwrap_err().to_string().contains(".parquet"));
    }
}
