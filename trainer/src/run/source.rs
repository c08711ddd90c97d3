//! Where the frames of a run were read from, so that an interrupted run finds them again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data::{self, Frames, Role};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::fit;

const FILE: &str = "data.json";

/// The content of `data.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// What `--data` named, as an absolute path; None for the embedded digits.
    pub path: Option<PathBuf>,
    /// SHA-256 of the values of the frames, f32 little-endian.
    pub sha256: String,
}

impl Source {
    /// The source of `frames`, which [`data::open`] read from `path`.
    ///
    /// # Errors
    /// [`Error::Resource`] if there is no working directory, to which a relative path is relative.
    pub fn new(path: Option<&Path>, frames: &Frames) -> Result<Self> {
        let absolute = |path: &Path| -> Result<PathBuf> {
            let path = std::path::absolute(path).map_err(|e| Error::resource(path.display(), e))?;
            // JSON is Unicode; a path that is not is not found again, and --data has to name it.
            Ok(PathBuf::from(path.to_string_lossy().into_owned()))
        };
        Ok(Self { path: path.map(absolute).transpose()?, sha256: fit::sha256_of(frames) })
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

    /// Reads the frames again, from where `given` says that they are now, else from where they were.
    ///
    /// # Errors
    /// [`Error::Data`] if they are not there, or other frames are.
    pub fn open(&self, given: Option<&Path>) -> Result<Frames> {
        let path = given.or(self.path.as_deref());
        if let (None, Some(path)) = (given, path)
            && !path.exists()
        {
            let problem =
                "the run was fitted to frames from here, and there is nothing now; name their place with --data";
            return Err(Error::data(path, problem));
        }
        let frames = data::open(path, Role::Fit)?;
        if fit::sha256_of(&frames) != self.sha256 {
            let problem = match given {
                Some(_) => "not the frames that the interrupted run was fitted to",
                None => {
                    "the frames here are no longer those that the interrupted run was fitted to; name those with --data, \
                     or begin a new run"
                }
            };
            return Err(path.map_or_else(|| Error::data("embedded digits", problem), |path| Error::data(path, problem)));
        }
        Ok(frames)
    }
}
