//! NumPy arrays: `.npy`, and `.npz` with the frames under `x` (or its only array) and labels under `y`.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use npyz::{DType, NpyFile, TypeChar, npz};
use zip::ZipArchive;
use zip::read::ZipFile;

use super::ReadProblem;
use super::value::Value;
use crate::data::Frames;
use crate::error::{Error, Result};
use crate::frame::FrameShape;

/// Frames of an `.npy` file.
pub fn read_npy<T: Value>(path: &Path) -> Result<Frames<T>, ReadProblem> {
    let npy = NpyFile::new(BufReader::new(File::open(path)?))?;
    convert("array", npy)
}

/// Frames, and labels if there are any, of an `.npz` file.
pub fn read_npz<T: Value>(path: &Path) -> Result<Frames<T>, ReadProblem> {
    let mut archive = ZipArchive::new(BufReader::new(File::open(path)?))?;
    let names: Vec<String> =
        archive.file_names().filter_map(npz::array_name_from_file_name).map(str::to_owned).collect();
    let x = pick(&names, &["x", "X", "images", "data", "arr_0"])
        .or_else(|| (names.len() == 1).then(|| names[0].clone()))
        .ok_or_else(|| format!("arrays {names:?}, expected the frames under \"x\" (labels, if any, under \"y\")"))?;
    let mut result = convert(&x, member(&mut archive, &x)?)?;
    if let Some(y) = pick(&names, &["y", "Y", "labels"]) {
        result.labels = Some(labels(&y, member(&mut archive, &y)?)?);
    }
    Ok(result)
}

/// An array of an archive by its name.
fn member<'a, R: Read + Seek>(archive: &'a mut ZipArchive<R>, name: &str) -> Result<NpyFile<ZipFile<'a>>, ReadProblem> {
    Ok(NpyFile::new(archive.by_name(&npz::file_name_from_array_name(name))?)?)
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

fn pick(names: &[String], wanted: &[&str]) -> Option<String> {
    wanted.iter().find_map(|w| names.iter().find(|n| n == w)).cloned()
}

/// The frames of one array: `[N,F]`, `[N,H,W]` or `[N,C,H,W]`.
fn convert<T: Value, R: Read>(name: &str, npy: NpyFile<R>) -> Result<Frames<T>, ReadProblem> {
    let sizes = npy.shape().to_vec();
    if npy.order() != npyz::Order::C {
        return Err(format!("{name} is in Fortran order; save it with numpy.ascontiguousarray").into());
    }
    let values = floats(name, npy)?;
    let dims: Vec<usize> = sizes.iter().map(|&s| s as usize).collect();
    let (channels, height, width) = match dims[..] {
        [_, f] => (1, 1, f),
        [_, h, w] => (1, h, w),
        [_, c, h, w] => (c, h, w),
        _ => return Err(format!("{name} has shape {dims:?}, expected [N,F], [N,H,W] or [N,C,H,W]").into()),
    };
    Ok(Frames { shape: FrameShape { channels, height, width }, values, labels: None })
}

/// The values of an array, which is read as what it holds and becomes what is wanted.
fn floats<T: Value, R: Read>(name: &str, npy: NpyFile<R>) -> Result<Vec<T>, ReadProblem> {
    let kind = match npy.dtype() {
        DType::Plain(t) => (t.type_char(), t.size_field()),
        other => return Err(wrong_type(name, &other.descr())),
    };
    let fault = |source| ReadProblem::Array { name: name.to_owned(), source };
    match kind {
        (TypeChar::Uint, 1) => Ok(npy.into_vec::<u8>().map_err(fault)?.into_iter().map(T::of_byte).collect()),
        (TypeChar::Float, 4) => Ok(npy.into_vec::<f32>().map_err(fault)?.into_iter().map(T::of_f32).collect()),
        (TypeChar::Float, 8) => Ok(npy.into_vec::<f64>().map_err(fault)?.into_iter().map(T::of_f64).collect()),
        _ => Err(wrong_type(name, &npy.dtype().descr())),
    }
}

/// The classes of an array of whole numbers.
fn labels<R: Read>(name: &str, npy: NpyFile<R>) -> Result<Vec<u32>, ReadProblem> {
    let kind = match npy.dtype() {
        DType::Plain(t) => (t.type_char(), t.size_field()),
        other => return Err(wrong_type(name, &other.descr())),
    };
    let fault = |source| ReadProblem::Array { name: name.to_owned(), source };
    let wide: Vec<i64> = match kind {
        (TypeChar::Uint, 1) => npy.into_vec::<u8>().map_err(fault)?.into_iter().map(i64::from).collect(),
        (TypeChar::Int, 4) => npy.into_vec::<i32>().map_err(fault)?.into_iter().map(i64::from).collect(),
        (TypeChar::Int, 8) => npy.into_vec::<i64>().map_err(fault)?,
        _ => return Err(wrong_type(name, &npy.dtype().descr())),
    };
    wide.into_iter()
        .enumerate()
        .map(|(n, v)| u32::try_from(v).map_err(|_| format!("{name}[{n}] = {v}, expected a class of 0 or more").into()))
        .collect()
}

fn wrong_type(name: &str, found: &str) -> ReadProblem {
    format!("{name} has element type {found}, expected u8, f32 or f64").into()
}
