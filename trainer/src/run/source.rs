//! Where the frames of a run were read from, and how, so that an interrupted run finds them again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data::{self, Input};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::fit;

const FILE: &str = "data.json";

/// The content of `data.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The words of a command line that read the frames, with absolute paths; none for the embedded digits.
    pub input: Vec<String>,
    /// SHA-256 of the values of the frames, f32 little-endian.
    pub sha256: String,
}

impl Source {
    /// The source of `frames`, which `input` read.
    ///
    /// # Errors
    /// [`Error::Resource`] if there is no working directory, to which a relative path is relative.
    pub fn new(input: &Input, frames: &dyn data::Source) -> Result<Self> {
        // JSON is Unicode; a path that is not is not found again, and --data has to name it.
        let words = input.absolute()?.words();
        let input = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        Ok(Self { input, sha256: fit::sha256_of(frames)? })
    }

    /// The source that a run directory tells; None for a run from before there was such a file.
    ///
    /// # Errors
    /// [`Error::Model`] if the file is damaged.
    pub fn of_run(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| Error::model(&path, e)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::model(&path, e)),
        }
    }

    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        let text = serde_json::to_string_pretty(self).map_err(|e| Error::resource(path.display(), e))?;
        write_atomically(&path, text.as_bytes())
    }

    /// Where the frames are to be read from again: what `given` names, else where they were.
    ///
    /// # Errors
    /// [`Error::Data`] if nothing is given and there is nothing where they were.
    pub fn input(&self, given: &Input) -> Result<Input> {
        if !given.is_embedded() {
            return Ok(given.clone());
        }
        let input = Input::of_words(&self.input)?;
        // A pattern is no file; what it finds is looked at when it is read.
        let is_file = |path: &&PathBuf| !path.to_string_lossy().contains(['*', '?', '[']);
        if let Some(path) = input.data.iter().filter(is_file).find(|path| !path.exists()) {
            let problem = match input.is_standard() {
                true => "the run was fitted to frames from standard input; give them again with --data",
                false => {
                    "the run was fitted to frames from here, and there is nothing now; name their place with --data"
                }
            };
            return Err(Error::data(path, problem));
        }
        Ok(input)
    }

    /// Whether `frames`, which `input` read, are those of the run; `given`: it is not from the run itself.
    ///
    /// # Errors
    /// [`Error::Data`] if they are not.
    pub fn check(&self, frames: &dyn data::Source, input: &Input, given: bool) -> Result<()> {
        if fit::sha256_of(frames)? == self.sha256 {
            return Ok(());
        }
        let problem = if given {
            "not the frames that the interrupted run was fitted to"
        } else {
            "the frames here are no longer those that the interrupted run was fitted to; name those with --data, or begin a \
             new run"
        };
        Err(Error::data(&*input.name(), problem))
    }
}
