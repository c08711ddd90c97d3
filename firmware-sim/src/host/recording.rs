//! Recordings of a sensor, read from a file.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use csv::{ReaderBuilder, StringRecord};
use npyz::{NpyFile, Order, TypeChar};

/// First bytes of an .npy file.
const NPY: &[u8] = b"\x93NUMPY";

/// The samples of a recording, in order.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// A value a channel of every sample; None where the recording has one that is missing.
    pub samples: Vec<Option<Vec<f32>>>,
    /// Time of every sample, seconds, if the recording says.
    pub times: Option<Vec<f64>>,
}

/// Which columns of a table are what.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Columns {
    /// Columns of a table that are the channels, in the order of the model, by name or number from 1 [default: all but --time]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub channels: Vec<String>,
    /// Column of a table that has the time of every sample, seconds, by name or number from 1: no window crosses a gap
    #[arg(long, value_name = "NAME")]
    pub time: Option<String>,
}

impl Recording {
    /// Reads an .npy file of samples `[T,C]` (`[T]` of one channel), or a table with a sample a row.
    ///
    /// # Errors
    /// If the file is neither, or has no samples of `channels` values; says where.
    pub fn read(path: &Path, channels: usize, columns: &Columns) -> Result<Self> {
        let mut file = BufReader::new(File::open(path)?);
        let mut start = Vec::new();
        (&mut file).take(NPY.len() as u64).read_to_end(&mut start)?;
        file.rewind()?;
        let recording = if start == NPY {
            ensure!(columns.channels.is_empty() && columns.time.is_none(), "--channels and --time are for tables");
            Self { samples: array(file, channels)?.into_iter().map(Some).collect(), times: None }
        } else {
            table(file, delimiter(path)?, channels, columns)?
        };
        ensure!(!recording.samples.is_empty(), "it has no sample");
        let finite = |sample: &Option<Vec<f32>>| sample.iter().flatten().all(|value| value.is_finite());
        if let Some(at) = recording.samples.iter().position(|sample| !finite(sample)) {
            bail!("sample {} has a value that is not finite", at + 1);
        }
        Ok(recording)
    }
}

/// The samples of an .npy file.
fn array(file: impl Read, channels: usize) -> Result<Vec<Vec<f32>>> {
    let file = NpyFile::new(file)?;
    let shape = file.shape().to_vec();
    let of_one = shape.len() == 1 && channels == 1;
    if !(of_one || matches!(shape[..], [_, found] if found == channels as u64)) {
        bail!("an array of shape {shape:?}; the model takes samples of {channels} channels: [T,{channels}]");
    }
    ensure!(file.order() == Order::C || of_one, "an array in Fortran order; numpy.ascontiguousarray changes that");
    let npyz::DType::Plain(kind) = file.dtype() else { bail!("an array of records") };
    // Numbers of these types are read exactly, or as near as f32 is.
    let values: Vec<f32> = match (kind.type_char(), kind.size_field()) {
        (TypeChar::Int, 1) => file.into_vec::<i8>()?.into_iter().map(f32::from).collect(),
        (TypeChar::Uint, 1) => file.into_vec::<u8>()?.into_iter().map(f32::from).collect(),
        (TypeChar::Int, 2) => file.into_vec::<i16>()?.into_iter().map(f32::from).collect(),
        (TypeChar::Uint, 2) => file.into_vec::<u16>()?.into_iter().map(f32::from).collect(),
        (TypeChar::Float, 4) => file.into_vec()?,
        (TypeChar::Float, 8) => file.into_vec::<f64>()?.into_iter().map(|value| value as f32).collect(),
        _ => bail!("an array of {kind}; expected i8, i16, u8, u16, f32 or f64"),
    };
    Ok(values.chunks_exact(channels).map(<[f32]>::to_vec).collect())
}

/// What divides the fields of a table: tabs, semicolons or commas, whichever its first line has.
fn delimiter(path: &Path) -> Result<u8> {
    let mut line = Vec::new();
    std::io::BufRead::read_until(&mut BufReader::new(File::open(path)?), b'\n', &mut line)?;
    Ok([b'\t', b';'].into_iter().find(|delimiter| line.contains(delimiter)).unwrap_or(b','))
}

fn table(file: impl Read, delimiter: u8, channels: usize, columns: &Columns) -> Result<Recording> {
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter).has_headers(false).trim(csv::Trim::All).from_reader(file);
    let mut rows = reader.records().peekable();
    let first = match rows.peek() {
        Some(Ok(first)) => first.clone(),
        // An empty file has no sample; an error comes with the first row.
        _ => StringRecord::new(),
    };
    let has_header = first.iter().any(|field| !is_missing(field) && field.parse::<f64>().is_err());
    let place = |name: &String| -> Result<usize> {
        let named = first.iter().position(|field| has_header && field == name);
        let numbered = name.parse().ok().filter(|number| (1..=first.len()).contains(number)).map(|number| number - 1);
        named.or(numbered).ok_or_else(|| anyhow!("there is no column {name:?} among {first:?}"))
    };
    let time = columns.time.as_ref().map(place).transpose()?;
    let values: Vec<usize> = match &columns.channels[..] {
        [] => (0..first.len()).filter(|column| Some(*column) != time).collect(),
        names => names.iter().map(place).collect::<Result<_>>()?,
    };
    ensure!(
        values.len() == channels || first.is_empty(),
        "{} columns {first:?} for the {channels} channels of the model: say with --channels which they are, and with --time \
         which has the time",
        values.len()
    );
    let mut recording = Recording { times: time.map(|_| Vec::new()), ..Recording::default() };
    for (index, row) in rows.enumerate().skip(usize::from(has_header)) {
        let (row, line) = (row?, index + 1);
        let number = |column: usize| -> Result<Option<f64>> {
            let field = row.get(column).unwrap_or_default();
            if is_missing(field) {
                return Ok(None);
            }
            field.parse().map(Some).with_context(|| format!("row {line}, column {}: {field:?}", column + 1))
        };
        if let (Some(times), Some(column)) = (&mut recording.times, time) {
            times.push(number(column)?.with_context(|| format!("row {line} has no time"))?);
        }
        let sample = values.iter().map(|column| number(*column)).collect::<Result<Option<Vec<f64>>>>()?;
        recording.samples.push(sample.map(|sample| sample.into_iter().map(|value| value as f32).collect()));
    }
    Ok(recording)
}

fn is_missing(field: &str) -> bool {
    ["", "na", "nan", "null"].contains(&field.to_ascii_lowercase().as_str())
}
