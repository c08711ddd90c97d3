//! Opens a data set: picks the reader by the path, and checks what frames of every reader must hold.

use std::path::{Path, PathBuf};

use super::csv::Columns;
use super::value::Value;
use super::{ReadError, ReadProblem, csv, digits, idx, images, npy};
use crate::data::Frames;
use crate::error::Result;

/// One of the two parts of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// The part models are fitted on (`train-*` in an MNIST folder).
    Fit,
    /// The part models are scored on (`t10k-*` in an MNIST folder).
    Score,
}

impl Role {
    /// How MNIST's files of this part begin.
    fn prefix(self) -> &'static str {
        match self {
            Role::Fit => "train",
            Role::Score => "t10k",
        }
    }
}

/// The parts of a data set: both of the embedded digits and of an MNIST folder that has both, else the one that holds
/// everything there is.
pub fn parts(path: Option<&Path>) -> Vec<Role> {
    let both = [Role::Fit, Role::Score];
    let Some(path) = path else { return both.to_vec() };
    let found: Vec<Role> =
        both.into_iter().filter(|role| mnist_file(path, *role, "images-idx3-ubyte").is_some()).collect();
    if found.is_empty() { vec![Role::Score] } else { found }
}

/// Opens a data set; without a path, the digits embedded in the program.
///
/// Takes a folder with MNIST-named IDX files (gzipped or not), one IDX file, `.npy`, `.npz`, `.csv`,
/// or a folder of PNG or JPEG files.
///
/// # Errors
/// [`crate::Error::Data`] with the file, the place and what was expected.
pub fn open(path: Option<&Path>, role: Role) -> Result<Frames> {
    Ok(match path {
        None => digits::embedded(role)?,
        Some(path) => checked(path, read(path, role)?)?,
    })
}

/// A table of numbers in double precision.
#[derive(Clone, Debug)]
pub struct Table {
    /// The rows as frames of any shape, with their classes; bytes are the numbers that they are.
    pub rows: Frames<f64>,
    /// Names of the columns, if the file has a header.
    pub columns: Option<Vec<String>>,
    /// Weights of the rows `[N]`, finite and not negative, if they were asked for.
    pub weights: Option<Vec<f64>>,
}

/// Opens one table of numbers, a file that [`open`] takes, of which `columns` says what is no feature.
///
/// # Errors
/// [`crate::Error::Data`] with the file, the place and what was expected.
pub fn open_table(path: &Path, columns: &Columns) -> Result<Table> {
    let file = read_file(path, columns)?;
    Ok(Table { rows: checked(path, file.frames)?, columns: file.names, weights: file.weights })
}

fn read(path: &Path, role: Role) -> Result<Frames, ReadError> {
    if !path.is_dir() {
        return Ok(read_file(path, &Columns::default())?.frames);
    }
    match mnist_file(path, role, "images-idx3-ubyte") {
        Some(file) => read_idx(&file),
        None if images::holds_images(path)? => images::read(path),
        None => Err(ReadError::new(
            path,
            format!("neither {}-images-idx3-ubyte[.gz] nor PNG or JPEG files in this folder", role.prefix()),
        )),
    }
}

fn read_file<T: Value>(path: &Path, columns: &Columns) -> Result<csv::Rows<T>, ReadError> {
    let fault = |problem| ReadError::new(path, problem);
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    if extension == "csv" {
        return csv::read(path, columns).map_err(fault);
    }
    if let Some(name) = columns.label.as_ref().or(columns.weight.as_ref()) {
        return Err(fault(format!("no column \"{name}\": only a .csv with a header line names its columns").into()));
    }
    let frames = match extension.as_str() {
        "npy" => npy::read_npy(path).map_err(fault)?,
        "npz" => npy::read_npz(path).map_err(fault)?,
        _ => read_idx(path)?,
    };
    Ok(csv::Rows { frames, names: None, weights: None })
}

/// An IDX file of images, with the labels file beside it if its name follows MNIST's.
fn read_idx<T: Value>(path: &Path) -> Result<Frames<T>, ReadError> {
    let images = || -> Result<Frames<T>, ReadProblem> {
        let bytes = std::fs::read(path)?;
        if !idx::looks_like_idx(&bytes) {
            return Err(
                "not an IDX file (magic 00 00 08, gzipped or not); other inputs are .npy, .npz, .csv and folders \
                        of PNG or JPEG"
                    .into(),
            );
        }
        idx::frames(&bytes)
    };
    let mut frames = images().map_err(|problem| ReadError::new(path, problem))?;
    if let Some(beside) = labels_beside(path) {
        let labels = std::fs::read(&beside).map_err(ReadProblem::from).and_then(|bytes| idx::labels(&bytes));
        frames.labels = Some(labels.map_err(|problem| ReadError::new(&beside, problem))?);
    }
    Ok(frames)
}

/// The labels file beside an images file of MNIST's name, if there is one.
fn labels_beside(images: &Path) -> Option<PathBuf> {
    let name = images.file_name()?.to_str()?;
    let labels = images.with_file_name(name.replace("images-idx3", "labels-idx1"));
    (labels != images && labels.is_file()).then_some(labels)
}

/// The file of a part in an MNIST folder, plain or gzipped, if there is one.
fn mnist_file(folder: &Path, role: Role, what: &str) -> Option<PathBuf> {
    let plain = folder.join(format!("{}-{what}", role.prefix()));
    let zipped = folder.join(format!("{}-{what}.gz", role.prefix()));
    [plain, zipped].into_iter().find(|p| p.is_file())
}

/// The frames, if there are any, every value is finite, and labels are as many as frames.
fn checked<T: Value>(path: &Path, frames: Frames<T>) -> Result<Frames<T>, ReadError> {
    if frames.shape.is_empty() || frames.is_empty() {
        return Err(ReadError::new(path, format!("no frames (shape of a frame: {})", frames.shape)));
    }
    if let Some(at) = frames.values.iter().position(|v| !v.is_finite()) {
        let p = frames.shape.len();
        return Err(ReadError::new(
            path,
            format!("frame {}, value {}: {}, expected a finite number", at / p, at % p, frames.values[at]),
        ));
    }
    if let Some(labels) = &frames.labels
        && labels.len() != frames.len()
    {
        return Err(ReadError::new(path, format!("{} labels for {} frames", labels.len(), frames.len())));
    }
    Ok(frames)
}
