//! The answers to frames as columns, and how they are written: CSV, lines of JSON, Parquet or Arrow IPC.

use std::io::ErrorKind::BrokenPipe;
use std::io::Write;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array,
};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use runtime::Assignment;
use trainer::data::{Cut, DataSet, Source, texts};
use trainer::timelines::Decision;
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

/// The columns that stand before the answers, of `count` frames of `set` from the one at `first` on: what is known of them.
pub fn given(set: &DataSet, first: usize, count: usize) -> Vec<(String, ArrayRef)> {
    let last = first + count;
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    let mut push = |name: &str, values: ArrayRef| columns.push((name.to_owned(), values));
    // Who carries an index or a label of their own through wants that.
    let is_kept = |name: &str| set.kept.iter().any(|column| column.name == name);
    if !is_kept("index") {
        push("index", Arc::new(UInt64Array::from_iter_values(first as u64..last as u64)));
    }
    if let Some(files) = &set.files {
        push("file", Arc::new(StringArray::from_iter_values(&files[first..last])));
    }
    if let Some(recordings) = set.frames.recordings() {
        let cuts: Vec<Cut> = (first..last).filter_map(|n| set.frames.cut(n)).collect();
        let times =
            |of: usize| Arc::new(Float64Array::from_iter_values(cuts.iter().map(|cut| recordings.times(*cut)[of])));
        push("recording", Arc::new(StringArray::from_iter_values(cuts.iter().map(|cut| recordings.name(*cut)))));
        if recordings.grouped {
            let group = |cut: &Cut| &recordings.groups[recordings.group(*cut) as usize];
            push("group", Arc::new(StringArray::from_iter_values(cuts.iter().map(group))));
        }
        push("begin", times(0));
        push("end", times(1));
    }
    set.kept.iter().for_each(|column| push(&column.name, column.values.slice(first, count)));
    if let Some(labels) = set.frames.labels.as_ref().filter(|_| !is_kept("label")) {
        push(
            "label",
            Arc::new(StringArray::from_iter_values(labels[first..last].iter().map(|&label| set.class(label)))),
        );
    }
    columns
}

/// The answers to the frames of `set` from the one at `first` on, a column each, after what is given; `decisions` are
/// there for windows of recordings, `threshold` is that of the novelty.
///
/// # Errors
/// [`Error::Config`] if a column that is kept has the name of an answer.
pub fn batch(
    set: &DataSet,
    first: usize,
    assignments: &[Assignment],
    decisions: &[Decision],
    threshold: f32,
) -> Result<RecordBatch> {
    let count = assignments.len();
    let mut columns = given(set, first, count);
    let mut push = |name: &str, values: ArrayRef| columns.push((name.to_owned(), values));
    let reals = |of: fn(&Assignment) -> f32| Arc::new(Float32Array::from_iter_values(assignments.iter().map(of)));
    let flags =
        |of: fn(&Assignment) -> bool| Arc::new(assignments.iter().map(|a| Some(of(a))).collect::<BooleanArray>());
    push("cluster", Arc::new(UInt32Array::from_iter_values(assignments.iter().map(|a| a.cluster as u32))));
    push("confidence", reals(|a| a.confidence));
    push("novelty", reals(|a| a.novelty));
    push("novelty_threshold", Arc::new(Float32Array::from_value(threshold, count)));
    push("is_novel", flags(|a| a.is_novel));
    push("is_outside", flags(|a| a.is_outside));
    if !decisions.is_empty() {
        let decided = decisions.iter().map(|decision| decision.cluster.map(|c| c as u32));
        push("decision", Arc::new(decided.collect::<UInt32Array>()));
        let alarmed = decisions.iter().map(|decision| Some(decision.alarmed));
        push("alarm", Arc::new(alarmed.collect::<BooleanArray>()));
    }
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

/// What comes of writing a part.
type Written<T> = std::result::Result<T, ArrowError>;

/// A file of answers that is written part by part.
pub struct Table<'a> {
    form: Form,
    name: String,
    /// Where to; what writes takes it with the first part, which says what columns there are.
    to: Option<&'a mut (dyn Write + Send)>,
    writer: Option<Writer<'a>>,
}

/// What writes the parts.
enum Writer<'a> {
    Csv(Box<csv::Writer<&'a mut (dyn Write + Send)>>),
    JsonLines(&'a mut (dyn Write + Send)),
    Parquet(Box<ArrowWriter<&'a mut (dyn Write + Send)>>),
    Arrow(Box<FileWriter<&'a mut (dyn Write + Send)>>),
}

impl<'a> Table<'a> {
    /// Begins a file of this name.
    pub fn new(form: Form, to: &'a mut (dyn Write + Send), name: &str) -> Self {
        Self { form, name: name.to_owned(), to: Some(to), writer: None }
    }

    /// Writes more rows.
    ///
    /// # Errors
    /// [`Error::Stopped`] if nobody reads any more, [`Error::Resource`] if a column is of a type that the form has not, or
    /// cannot be written.
    pub fn write(&mut self, columns: &RecordBatch) -> Result<()> {
        self.try_write(columns).map_err(|e| self.fault(&e))
    }

    /// Ends the file; one without rows is empty.
    ///
    /// # Errors
    /// As for [`Table::write`].
    pub fn finish(mut self) -> Result<()> {
        let ended = match self.writer.take() {
            None => Ok(()),
            Some(Writer::Csv(mut writer)) => writer.flush().map_err(ArrowError::from),
            Some(Writer::JsonLines(to)) => to.flush().map_err(ArrowError::from),
            Some(Writer::Parquet(writer)) => writer.close().map(|_| ()).map_err(of_parquet),
            Some(Writer::Arrow(mut writer)) => writer.finish(),
        };
        ended.map_err(|e| self.fault(&e))
    }

    fn try_write(&mut self, columns: &RecordBatch) -> Written<()> {
        if let Some(to) = self.to.take() {
            self.writer = Some(match self.form {
                Form::Csv(delimiter) => {
                    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(to);
                    let names = columns.schema();
                    writer.write_record(names.fields().iter().map(|field| field.name())).map_err(of_csv)?;
                    Writer::Csv(Box::new(writer))
                }
                Form::JsonLines => Writer::JsonLines(to),
                Form::Parquet => {
                    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
                    let writer = ArrowWriter::try_new(to, columns.schema(), Some(properties)).map_err(of_parquet)?;
                    Writer::Parquet(Box::new(writer))
                }
                Form::Arrow => Writer::Arrow(Box::new(FileWriter::try_new(to, &columns.schema())?)),
            });
        }
        match self.writer.as_mut() {
            None => Ok(()),
            Some(Writer::Csv(writer)) => csv(writer, columns),
            Some(Writer::JsonLines(to)) => json_lines(to, columns),
            Some(Writer::Parquet(writer)) => writer.write(columns).map_err(of_parquet),
            Some(Writer::Arrow(writer)) => writer.write(columns),
        }
    }

    fn fault(&self, error: &ArrowError) -> Error {
        match error {
            ArrowError::IoError(_, e) if e.kind() == BrokenPipe => Error::Stopped,
            _ => Error::resource(&self.name, error),
        }
    }
}

fn of_csv(error: csv::Error) -> ArrowError {
    match error.into_kind() {
        csv::ErrorKind::Io(e) => e.into(),
        other => ArrowError::CsvError(format!("{other:?}")),
    }
}

/// What went wrong with Parquet, the fault of a file as itself.
fn of_parquet(error: ParquetError) -> ArrowError {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(e) => (*e).into(),
            Err(other) => ArrowError::ParquetError(other.to_string()),
        },
        other => ArrowError::ParquetError(other.to_string()),
    }
}

fn csv(writer: &mut csv::Writer<&mut (dyn Write + Send)>, columns: &RecordBatch) -> Written<()> {
    let columns = columns.columns().iter().map(spelled).collect::<Written<Vec<_>>>()?;
    for row in 0..columns.first().map_or(0, |column| column.len()) {
        writer.write_record(columns.iter().map(|c| if c.is_valid(row) { c.value(row) } else { "" })).map_err(of_csv)?;
    }
    Ok(())
}

fn json_lines(out: &mut (dyn Write + Send), columns: &RecordBatch) -> Written<()> {
    let fault = |e: serde_json::Error| ArrowError::JsonError(e.to_string());
    let schema = columns.schema();
    let names = schema.fields().iter().map(|field| serde_json::to_string(field.name()));
    let names = names.collect::<serde_json::Result<Vec<_>>>().map_err(fault)?;
    // Numbers and truth values as they are spelled, which is JSON; but for what is no finite number.
    let bare = |kind: &DataType| kind.is_numeric() || *kind == DataType::Boolean;
    let bare: Vec<bool> = columns.columns().iter().map(|column| bare(column.data_type())).collect();
    let columns = columns.columns().iter().map(spelled).collect::<Written<Vec<_>>>()?;
    for row in 0..columns.first().map_or(0, |column| column.len()) {
        let fields = columns.iter().zip(&names).zip(&bare).map(|((column, name), bare)| -> Written<String> {
            let value = match column.is_valid(row).then(|| column.value(row)) {
                None => "null".to_owned(),
                Some(text) if *bare && !matches!(text, "NaN" | "inf" | "-inf") => text.to_owned(),
                Some(_) if *bare => "null".to_owned(),
                Some(text) => serde_json::to_string(text).map_err(fault)?,
            };
            Ok(format!("{name}:{value}"))
        });
        let fields = fields.collect::<Written<Vec<_>>>()?;
        writeln!(out, "{{{}}}", fields.join(",")).map_err(ArrowError::from)?;
    }
    Ok(())
}

/// Values below this are written with an exponent, not with dozens of zeros.
const SMALL: f64 = 1e-4;
/// Values from here on are written with an exponent.
const LARGE: f64 = 1e16;

/// The values as they are written: numbers in the fewest digits that give them back in their precision.
fn spelled(values: &ArrayRef) -> Written<StringArray> {
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
        let mut lines = Vec::new();
        let mut table = Table::new(Form::JsonLines, &mut lines, "lines");
        table.write(&batch).unwrap();
        table.finish().unwrap();
        let lines = String::from_utf8(lines).unwrap();
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
