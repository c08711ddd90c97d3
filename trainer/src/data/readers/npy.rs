//! NumPy arrays: `.npy`, and `.npz` with frames and labels under the names that people give them.

use std::fs::File;
use std::io::{BufReader, Chain, Cursor, Read, Seek};
use std::path::Path;

use npyz::{DType, Endianness, NpyFile, TypeChar, TypeStr, npz};
use zip::ZipArchive;
use zip::read::ZipFile;

use super::in_files::{Element, ElementKind, InFiles};
use super::labels::RawLabels;
use super::stored::{Array, Stored};
use super::values::Values;
use super::{Raw, ReadProblem, Role};
use crate::error::{Error, Result};
use crate::frame::FrameShape;

/// Names of frames, and how names begin or end that belong to one part of a data set.
pub const FRAMES: [&str; 18] = [
    "x", "data", "images", "image", "imgs", "img", "features", "feature", "frames", "frame", "windows", "window",
    "samples", "signals", "inputs", "input", "arr_0", "values",
];
/// Names of labels.
const LABELS: [&str; 11] =
    ["y", "label", "labels", "target", "targets", "class", "classes", "species", "category", "categories", "arr_1"];

/// Frames of an `.npy` file.
pub fn read_npy(mut reader: impl Read) -> Result<Raw, ReadProblem> {
    let array = array("array", opened(&mut reader)?)?;
    // What was saved to one file twice would be half lost.
    if reader.read(&mut [0])? > 0 {
        return Err("holds more after its array; save one array a file, or several in an .npz".into());
    }
    Ok(Raw::new(".npy", array))
}

/// Frames of an `.npy` file that stay there: numbers in row-major order, and not too few; None of others.
pub fn in_place(path: &Path) -> Result<Option<Raw>, ReadProblem> {
    let mut file = BufReader::new(File::open(path)?);
    let npy = opened(&mut file)?;
    let sizes: Vec<usize> = npy.shape().iter().map(|&size| size as usize).collect();
    let columns_first = npy.order() == npyz::Order::Fortran && sizes.len() > 1;
    let DType::Plain(number) = npy.dtype() else { return Ok(None) };
    let (Some(element), false) = (element(&number), columns_first) else { return Ok(None) };
    let count = sizes.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
    // What was read is the header.
    let offset = file.stream_position()?;
    let Some(count) = count else { return Ok(None) };
    let files = InFiles::new(path, element, offset, count)?;
    Ok(files.map(|files| Raw::of(".npy", sizes, Values::Files(files))))
}

/// How the numbers of an array are stored; None of those that are read into memory.
fn element(number: &TypeStr) -> Option<Element> {
    use ElementKind::*;
    let kind = match (number.type_char(), number.size_field()) {
        (TypeChar::Uint, 1) => U8,
        (TypeChar::Uint, 2) => U16,
        (TypeChar::Uint, 4) => U32,
        (TypeChar::Uint, 8) => U64,
        (TypeChar::Int, 1) => I8,
        (TypeChar::Int, 2) => I16,
        (TypeChar::Int, 4) => I32,
        (TypeChar::Int, 8) => I64,
        (TypeChar::Float, 2) => F16,
        (TypeChar::Float, 4) => F32,
        (TypeChar::Float, 8) => F64,
        _ => return None,
    };
    Some(Element { kind, big_endian: number.endianness() == Endianness::Big })
}

/// Labels of an `.npy` file.
pub fn read_labels(reader: impl Read) -> Result<RawLabels, ReadProblem> {
    labels("array", opened(reader)?)
}

/// Frames, and labels if there are any, of an `.npz` file.
pub fn read_npz(reader: impl Read + Seek, role: Role, wanted: &Wanted) -> Result<Raw, ReadProblem> {
    let mut archive = ZipArchive::new(reader)?;
    let names = array_names(&archive);
    let x = frames_name(&names, role, wanted)?;
    let y = labels_name(&names, &x, wanted)?;
    let mut raw = Raw::new(".npz", array(&x, member(&mut archive, &x)?)?);
    raw.format = format!(".npz \"{x}\"");
    let left_out: Vec<String> = names
        .iter()
        .filter(|name| **name != x && Some(*name) != y.as_ref())
        .map(|name| format!("\"{name}\""))
        .collect();
    if !left_out.is_empty() {
        raw.notes.push(format!("arrays left out: {}", left_out.join(", ")));
    }
    if let Some(y) = y {
        match member(&mut archive, &y).and_then(|npy| labels(&y, npy)) {
            Ok(labels) => raw.labels = Some((format!("\"{y}\""), labels)),
            Err(problem) if wanted.labels.is_some() => return Err(problem),
            Err(problem) => raw.notes.push(format!("no labels, since {problem}")),
        }
    }
    Ok(raw)
}

/// Names of arrays that were asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// The array of frames.
    pub frames: Option<&'a str>,
    /// The array of labels; `none` for none.
    pub labels: Option<&'a str>,
    /// The array of frames that the model is used to, if there is one of this name.
    pub usual_frames: Option<&'a str>,
    /// The array of labels that the model is used to.
    pub usual_labels: Option<&'a str>,
}

/// The parts whose frames an archive names, as `x_train` and `x_test` do.
pub fn parts(reader: impl Read + Seek) -> Vec<Role> {
    let Ok(archive) = ZipArchive::new(reader) else { return Vec::new() };
    let names = array_names(&archive);
    [Role::Fit, Role::Score].into_iter().filter(|role| !in_part(&names, &FRAMES, Some(*role)).is_empty()).collect()
}

/// The words of a name, without those that say which part of a data set it is of, and that part.
fn taken_apart(name: &str) -> (String, Option<Role>) {
    let lower = name.to_ascii_lowercase();
    let (mut part, mut rest) = (None, Vec::new());
    for word in lower.split(['_', '-', '.', ' ']) {
        match word {
            "train" | "training" => part = Some(Role::Fit),
            "test" | "testing" => part = Some(Role::Score),
            other => rest.push(other),
        }
    }
    (rest.join("_"), part)
}

/// The names that mean one of `usual`, of this part.
fn in_part<'a>(names: &'a [String], usual: &[&str], part: Option<Role>) -> Vec<&'a String> {
    let fits = |name: &&String| {
        let (rest, of) = taken_apart(name);
        of == part && usual.contains(&rest.as_str())
    };
    names.iter().filter(fits).collect()
}

/// The one array of frames, by request, by its name, or because there is no other.
fn frames_name(names: &[String], role: Role, wanted: &Wanted) -> Result<String, ReadProblem> {
    let listed = || names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    if let Some(name) = wanted.frames {
        return match names.iter().find(|n| *n == name) {
            Some(name) => Ok(name.clone()),
            None => Err(format!("no array \"{name}\"; there are {}", listed()).into()),
        };
    }
    if let Some(name) = names.iter().find(|name| Some(name.as_str()) == wanted.usual_frames) {
        return Ok(name.clone());
    }
    let other = if role == Role::Fit { Role::Score } else { Role::Fit };
    for part in [Some(role), None, Some(other)] {
        match in_part(names, &FRAMES, part)[..] {
            [] => {}
            [name] => return Ok(name.clone()),
            _ => return Err(format!("arrays {}: which are the frames? Say --array NAME", listed()).into()),
        }
    }
    match names {
        [name] => Ok(name.clone()),
        [] => Err("no array in this archive; of a spreadsheet (.xlsx) save a .csv".into()),
        _ => Err(format!(
            "arrays {}, none with a name of frames (x, x_train, images, data, ...): say --array NAME",
            listed()
        )
        .into()),
    }
}

/// The array of labels beside the frames `x`, if there is one.
fn labels_name(names: &[String], x: &str, wanted: &Wanted) -> Result<Option<String>, ReadProblem> {
    match wanted.labels {
        Some("none") => return Ok(None),
        Some(name) if names.iter().any(|n| n == name) => return Ok(Some(name.to_owned())),
        // A file of their own.
        Some(name) if Path::new(name).is_file() => return Ok(None),
        Some(name) => {
            return Err(format!("no array \"{name}\" of labels; there are {}", names.join(", ")).into());
        }
        None => match wanted.usual_labels {
            Some("none") => return Ok(None),
            Some(name) if names.iter().any(|n| n == name) => return Ok(Some(name.to_owned())),
            _ => {}
        },
    }
    let (stem, part) = taken_apart(x);
    let found = in_part(names, &LABELS, part);
    // `arr_1` means something only beside `arr_0`, and less than a name.
    let (numbered, named): (Vec<&String>, Vec<&String>) = found.into_iter().partition(|name| *name == "arr_1");
    match (&named[..], &numbered[..]) {
        ([name], _) => Ok(Some((*name).clone())),
        ([], [name]) if stem == "arr_0" => Ok(Some((*name).clone())),
        ([], _) => Ok(None),
        (several, _) => {
            let listed = several.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
            Err(format!("arrays {listed} may be labels: say --label NAME, or --label none").into())
        }
    }
}

/// The names of the arrays, in the alphabet's order: an archive gives them in any.
fn array_names<R: Read + Seek>(archive: &ZipArchive<R>) -> Vec<String> {
    let names = archive.file_names().filter_map(npz::array_name_from_file_name);
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort_unstable();
    names
}

/// An array of an archive by its name.
fn member<'a, R: Read + Seek>(
    archive: &'a mut ZipArchive<R>,
    name: &str,
) -> Result<NpyFile<Peeked<ZipFile<'a>>>, ReadProblem> {
    opened(archive.by_name(&npz::file_name_from_array_name(name))?)
}

/// A file whose first bytes were looked at.
type Peeked<R> = Chain<Cursor<Vec<u8>>, R>;

/// Most brackets that may be open in a header; records of records have a few.
const MOST_OPEN: usize = 16;
/// The longest header that is looked at.
const LONGEST_HEADER: u64 = 1 << 20;

/// The header of an array, unless it is nested as none is: that would take the parser for ever.
fn opened<R: Read>(mut reader: R) -> Result<NpyFile<Peeked<R>>, ReadProblem> {
    let mut start = Vec::new();
    // Magic, version, and a length of two bytes, from version 2 on of four.
    reader.by_ref().take(12).read_to_end(&mut start)?;
    let length = match start[..] {
        [_, _, _, _, _, _, 1, _, a, b, _, _] => (u64::from(u16::from_le_bytes([a, b]))).saturating_sub(2),
        [_, _, _, _, _, _, _, _, a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        _ => 0,
    };
    if length > LONGEST_HEADER {
        return Err(format!("a header of {length} bytes, expected one of a NumPy array").into());
    }
    reader.by_ref().take(length).read_to_end(&mut start)?;
    let mut open = 0usize;
    for byte in &start[start.len().min(10)..] {
        match byte {
            b'{' | b'[' | b'(' => open += 1,
            b'}' | b']' | b')' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > MOST_OPEN {
            return Err("damaged: its header is no description of an array".into());
        }
    }
    Ok(NpyFile::new(Cursor::new(start).chain(reader))?)
}

/// The labels of an array of words or numbers.
fn labels<R: Read>(name: &str, npy: NpyFile<R>) -> Result<RawLabels, ReadProblem> {
    let words = matches!(npy.dtype(), DType::Plain(t)
        if matches!(t.type_char(), TypeChar::ByteStr | TypeChar::UnicodeStr));
    if !words {
        return RawLabels::of_array(&array(name, npy)?).map_err(|problem| format!("{name}: {problem}").into());
    }
    let sizes = npy.shape().to_vec();
    if !matches!(sizes[..], [_] | [_, 1]) {
        return Err(format!("{name}: shape {sizes:?}, expected one label a frame").into());
    }
    let fault = |source| ReadProblem::Array { name: name.to_owned(), source };
    Ok(RawLabels::Words(npy.into_vec::<String>().map_err(fault)?))
}

/// An array with its values as they are stored, row-major whatever the order in the file.
fn array<R: Read>(name: &str, npy: NpyFile<R>) -> Result<Array, ReadProblem> {
    let kind = match npy.dtype() {
        DType::Plain(t) => (t.type_char(), t.size_field()),
        other => {
            let problem = format!("{name} has rows of named fields {}; save them as columns of a .csv", other.descr());
            return Err(problem.into());
        }
    };
    let sizes: Vec<usize> = npy.shape().iter().map(|&size| size as usize).collect();
    let columns_first = npy.order() == npyz::Order::Fortran;
    let descr = npy.dtype().descr();
    let fault = |source| ReadProblem::Array { name: name.to_owned(), source };
    macro_rules! read {
        ($variant:ident) => {
            Stored::$variant(npy.into_vec().map_err(fault)?)
        };
    }
    let values = match kind {
        (TypeChar::Bool, _) => read!(Bool),
        (TypeChar::Uint, 1) => read!(U8),
        (TypeChar::Uint, 2) => read!(U16),
        (TypeChar::Uint, 4) => read!(U32),
        (TypeChar::Uint, 8) => read!(U64),
        (TypeChar::Int, 1) => read!(I8),
        (TypeChar::Int, 2) => read!(I16),
        (TypeChar::Int, 4) => read!(I32),
        (TypeChar::Int, 8) => read!(I64),
        (TypeChar::Float, 2) => read!(F16),
        (TypeChar::Float, 4) => read!(F32),
        (TypeChar::Float, 8) => read!(F64),
        _ => {
            let hint = if descr.contains('O') { " (Python objects)" } else { "" };
            let problem = format!(
                "{name} has element type {descr}{hint}, expected integers, floats or bool: save it with .astype(\"float32\")"
            );
            return Err(problem.into());
        }
    };
    Ok(if columns_first { Array::of_columns(sizes, values) } else { Array { sizes, values } })
}

/// The bytes of an `.npy` file of f32 `[N,columns]`, from row-major values.
///
/// # Errors
/// [`Error::Resource`] if the values do not make whole rows.
pub fn write_npy(values: &[f32], columns: usize) -> Result<Vec<u8>> {
    write_rows(values, &[columns])
}

/// The bytes of an `.npy` file of f32 `[N,C,H,W]`, from the values of whole frames.
///
/// # Errors
/// [`Error::Resource`] if the values do not make whole frames.
pub fn write_npy_frames(values: &[f32], shape: FrameShape) -> Result<Vec<u8>> {
    write_rows(values, &[shape.channels, shape.height, shape.width])
}

fn write_rows(values: &[f32], row: &[usize]) -> Result<Vec<u8>> {
    use npyz::WriterBuilder;
    let fault = |e: std::io::Error| Error::resource("npy", e);
    let mut bytes = Vec::new();
    let rows = values.len() / row.iter().product::<usize>();
    let shape: Vec<u64> = [rows].iter().chain(row).map(|&size| size as u64).collect();
    let mut writer =
        npyz::WriteOptions::new().default_dtype().shape(&shape).writer(&mut bytes).begin_nd().map_err(fault)?;
    writer.extend(values).map_err(fault)?;
    writer.finish().map_err(fault)?;
    Ok(bytes)
}
