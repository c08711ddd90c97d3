//! Files of typed columns, Parquet and Arrow IPC: a table with a feature a column, or frames as the lists of one column.

mod cells;
mod claims;
mod lists;
mod pictures;

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use arrow_select::{concat::concat_batches, filter::filter_record_batch};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use self::cells::ColumnCells;
use self::lists::{is_frames, unnested};
use self::pictures::Files;
use super::npy::{FRAMES, Wanted};
use super::pictures::Source;
use super::table::{self, TableRequest, unique};
use super::{Raw, ReadError, ReadProblem};
use crate::data::Missing;

/// A kind of file of typed columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Parquet.
    Parquet,
    /// Arrow IPC with a footer, also called Feather.
    ArrowFile,
    /// Arrow IPC as it comes, without a footer.
    ArrowStream,
}

impl Format {
    /// The format by how a file begins.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [b'P', b'A', b'R', b'1', ..] => Some(Self::Parquet),
            [b'A', b'R', b'R', b'O', b'W', b'1', ..] => Some(Self::ArrowFile),
            [0xff, 0xff, 0xff, 0xff, ..] => Some(Self::ArrowStream),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Parquet => "Parquet",
            Self::ArrowFile => "Arrow IPC",
            Self::ArrowStream => "an Arrow IPC stream",
        }
    }
}

/// The frames, classes and weights of a file; `decode` makes frames of pictures.
pub fn read(
    format: Format,
    bytes: Vec<u8>,
    wanted: &Wanted,
    request: TableRequest,
    decode: &dyn Fn(&[Source]) -> Result<Raw, ReadError>,
) -> Result<Raw, ReadProblem> {
    // The crates below panic on some bytes that no program writes.
    catch_unwind(AssertUnwindSafe(|| frames(format, bytes, wanted, request, decode)))
        .unwrap_or_else(|_| Err(format!("damaged: the reader of {} panicked", format.name()).into()))
}

fn frames(
    format: Format,
    bytes: Vec<u8>,
    wanted: &Wanted,
    request: TableRequest,
    decode: &dyn Fn(&[Source]) -> Result<Raw, ReadError>,
) -> Result<Raw, ReadProblem> {
    let mut all = whole(format, bytes).map_err(|problem| match problem.to_string() {
        text if text.contains("Disabled feature at compile time: brotli") => {
            "compressed by Brotli, which is not read: write it with zstd or snappy".into()
        }
        _ => problem,
    })?;
    if all.num_rows() == 0 {
        return Err("no frames: the file has no rows".into());
    }
    let names = unique(all.schema().fields().iter().map(|field| field.name().clone()).collect());
    let (frames, raw) = match column_of_frames(&all, &names, wanted, &request)? {
        Some(frames) => {
            let present = rows_with(&mut all, frames, request.missing)?;
            let (array, layout) = unnested(all.schema().field(frames), all.column(frames))?;
            (frames, Raw { layout, notes: present.into_iter().collect(), ..Raw::new("", array) })
        }
        None => match column_of_pictures(&all, &names, &request)? {
            Some((frames, files)) => (frames, decode(&sources(&names[frames], files)?)?),
            None => {
                let cells = ColumnCells::of(&all)?;
                return table::raw(&cells, names.len(), Some(&names), format!("{}, columns", format.name()), request);
            }
        },
    };
    let others: Vec<usize> = (0..names.len()).filter(|at| *at != frames).collect();
    let (rest, others) = (all.project(&others)?, others.iter().map(|&at| names[at].clone()).collect::<Vec<_>>());
    let cells = ColumnCells::of(&rest)?;
    let labels = table::labels(&cells, &others, request)?;
    let label = labels.as_ref().map(|(name, _)| name.clone());
    let left: Vec<String> =
        others.iter().map(|name| format!("\"{name}\"")).filter(|name| Some(name) != label.as_ref()).collect();
    let mut notes = raw.notes;
    if !left.is_empty() {
        notes.push(format!("columns left out, beside the frames: {}", left.join(", ")));
    }
    let of = if raw.format.is_empty() { String::new() } else { format!(" of {}", raw.format) };
    Ok(Raw {
        format: format!("{} \"{}\"{of}", format.name(), names[frames]),
        has_columns: true,
        labels,
        kept: table::kept(&cells, Some(&others), others.len(), request.keep)?,
        notes,
        files: None,
        ..raw
    })
}

/// Leaves out the rows whose frame is null, if such are left out, with a word on that.
fn rows_with(all: &mut RecordBatch, frames: usize, missing: Missing) -> Result<Option<String>, ReadProblem> {
    let column = all.column(frames);
    let nulls = column.null_count();
    if nulls == 0 || missing != Missing::Drop {
        return Ok(None);
    }
    let present: BooleanArray = (0..column.len()).map(|n| Some(column.is_valid(n))).collect();
    let note = format!("{nulls} rows left out, whose \"{}\" is null", all.schema().field(frames).name());
    *all = filter_record_batch(all, &present)?;
    Ok(Some(note))
}

/// The pictures of a column, to be decoded.
fn sources(column: &str, files: Files) -> Result<Vec<Source>, ReadProblem> {
    let source = |(row, file): (usize, Option<Vec<u8>>)| {
        let name = format!("row {}, column \"{column}\"", row + 1);
        let bytes = file.ok_or_else(|| format!("{name}: null, expected a picture"))?;
        Ok(Source { path: name.clone().into(), name, class: None, bytes: Some(bytes) })
    };
    files.into_iter().enumerate().map(source).collect()
}

/// The column of pictures, if there is one, and the bytes of each.
fn column_of_pictures(
    all: &RecordBatch,
    names: &[String],
    request: &TableRequest,
) -> Result<Option<(usize, Files)>, ReadProblem> {
    let (chosen, ignored) = (&request.options.columns, &request.options.ignore);
    for (at, name) in names.iter().enumerate() {
        if ignored.contains(name) || !(chosen.is_empty() || chosen.contains(name)) {
            continue;
        }
        if let Some(files) = pictures::files(all.column(at))? {
            return Ok(Some((at, files)));
        }
    }
    Ok(None)
}

/// All rows of a file.
fn whole(format: Format, bytes: Vec<u8>) -> Result<RecordBatch, ReadProblem> {
    let together = |schema: SchemaRef, batches: &mut dyn Iterator<Item = Result<RecordBatch, ArrowError>>| {
        let batches = batches.collect::<Result<Vec<_>, _>>()?;
        concat_batches(&schema, &batches)
    };
    Ok(match format {
        Format::Parquet => {
            let mut reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes))?.build()?;
            together(arrow_array::RecordBatchReader::schema(&reader), &mut reader)?
        }
        Format::ArrowFile => {
            claims::of_file(&bytes)?;
            let mut reader = FileReader::try_new(Cursor::new(bytes), None)?;
            together(reader.schema(), &mut reader)?
        }
        Format::ArrowStream => {
            claims::of_stream(&bytes)?;
            let mut reader = StreamReader::try_new(Cursor::new(bytes), None)?;
            together(reader.schema(), &mut reader)?
        }
    })
}

/// The column whose lists are the frames, if there is one, and nobody asked for others.
fn column_of_frames(
    all: &RecordBatch,
    names: &[String],
    wanted: &Wanted,
    request: &TableRequest,
) -> Result<Option<usize>, ReadProblem> {
    let lists = |at: &usize| is_frames(all.column(*at).data_type());
    if let Some(name) = wanted.frames {
        return match names.iter().position(|n| n == name) {
            Some(at) if lists(&at) => Ok(Some(at)),
            Some(at) => {
                Err(format!("column \"{name}\" is of {}, expected lists of numbers", all.column(at).data_type()).into())
            }
            None => Err(format!("no column \"{name}\"; there are {}", names.join(", ")).into()),
        };
    }
    let (chosen, ignored) = (&request.options.columns, &request.options.ignore);
    let free = |at: &usize| {
        (chosen.is_empty() || chosen.contains(&names[*at]))
            && !ignored.contains(&names[*at])
            && Some(&*names[*at]) != request.label
    };
    // A model of named columns takes those.
    let named = |at: &usize| request.expected.columns.as_ref().is_none_or(|model| model.contains(&names[*at]));
    let found: Vec<usize> = (0..names.len()).filter(lists).filter(free).filter(named).collect();
    let usual = |at: &&usize| FRAMES.contains(&&*names[**at].to_ascii_lowercase());
    let fitted = |at: &&usize| Some(&*names[**at]) == wanted.usual_frames;
    let fitted: Vec<usize> = found.iter().filter(fitted).copied().collect();
    let usual: Vec<usize> = if fitted.is_empty() { found.iter().filter(usual).copied().collect() } else { fitted };
    match (&found[..], &usual[..]) {
        ([], _) => Ok(None),
        ([one], _) | (_, [one]) => Ok(Some(*one)),
        (several, _) => {
            let listed: Vec<String> = several.iter().map(|&at| format!("\"{}\"", names[at])).collect();
            Err(format!("columns {} hold lists: say --array NAME for the frames", listed.join(", ")).into())
        }
    }
}

/// An array in the form in which it holds its values one by one.
fn plain(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    use DataType::{Dictionary, LargeList, LargeListView, List, ListView, RunEndEncoded};
    let plainer = match array.data_type() {
        Dictionary(_, value) => (**value).clone(),
        RunEndEncoded(_, value) => value.data_type().clone(),
        ListView(of) => List(of.clone()),
        LargeListView(of) | List(of) => LargeList(of.clone()),
        _ => return Ok(Arc::clone(array)),
    };
    plain(&arrow_cast::cast(array, &plainer)?)
}
