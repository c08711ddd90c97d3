//! Decides from a path which reader it takes, and checks what every reader must hold.

use std::path::{Path, PathBuf};

use super::{csv, digits, idx, images, npy};
use crate::data::Frames;
use crate::error::{Error, Result};

/// Which part of a data set is wanted where it has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// The part models are fitted on (`train-*` in an MNIST folder).
    Fit,
    /// The part models are scored on (`t10k-*` in an MNIST folder).
    Score,
}

impl Role {
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
/// [`Error::Data`] with the file, the place and what was expected.
pub fn open(path: Option<&Path>, role: Role) -> Result<Frames> {
    let Some(path) = path else { return digits::embedded(role) };
    let frames = if path.is_dir() {
        match mnist_file(path, role, "images-idx3-ubyte") {
            Some(file) => read_idx(&file)?,
            None if images::holds_images(path)? => images::read(path)?,
            None => {
                return Err(Error::data(
                    path,
                    format!("neither {}-images-idx3-ubyte[.gz] nor PNG or JPEG files in this folder", role.prefix()),
                ));
            }
        }
    } else {
        open_file(path)?
    };
    checked(path, frames)
}

/// Opens one table of numbers, `.csv` or `.npy` `[N,F]`, for the `gmm` verb.
pub fn open_table(path: &Path) -> Result<Frames> {
    checked(path, open_file(path)?)
}

fn open_file(path: &Path) -> Result<Frames> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    match extension.as_str() {
        "npy" => npy::read_npy(path),
        "npz" => npy::read_npz(path),
        "csv" => csv::read(path),
        _ => read_idx(path),
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| Error::data(path, e))
}

/// An IDX file of images, with the labels file beside it if its name follows MNIST's.
fn read_idx(path: &Path) -> Result<Frames> {
    let bytes = read_bytes(path)?;
    if !idx::looks_like_idx(&bytes) {
        return Err(Error::data(
            path,
            "not an IDX file (magic 00 00 08, gzipped or not); other inputs are .npy, .npz, .csv and folders of PNG or JPEG",
        ));
    }
    let mut frames = idx::frames(path, &bytes)?;
    if let Some(labels) = labels_beside(path) {
        frames.labels = Some(idx::labels(&labels, &read_bytes(&labels)?)?);
    }
    Ok(frames)
}

fn labels_beside(images: &Path) -> Option<PathBuf> {
    let name = images.file_name()?.to_str()?;
    let labels = images.with_file_name(name.replace("images-idx3", "labels-idx1"));
    (labels != images && labels.is_file()).then_some(labels)
}

fn mnist_file(folder: &Path, role: Role, what: &str) -> Option<PathBuf> {
    let plain = folder.join(format!("{}-{what}", role.prefix()));
    let zipped = folder.join(format!("{}-{what}.gz", role.prefix()));
    [plain, zipped].into_iter().find(|p| p.is_file())
}

fn checked(path: &Path, frames: Frames) -> Result<Frames> {
    if frames.shape.is_empty() || frames.is_empty() {
        return Err(Error::data(path, format!("no frames (shape of a frame: {})", frames.shape)));
    }
    if let Some(at) = frames.values.iter().position(|v| !v.is_finite()) {
        let p = frames.shape.len();
        return Err(Error::data(
            path,
            format!("frame {}, value {}: {}, expected a finite number", at / p, at % p, frames.values[at]),
        ));
    }
    if let Some(labels) = &frames.labels
        && labels.len() != frames.len()
    {
        return Err(Error::data(path, format!("{} labels for {} frames", labels.len(), frames.len())));
    }
    Ok(frames)
}
