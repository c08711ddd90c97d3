//! The error every part of the trainer returns; its kind decides the exit code.

use std::path::{Path, PathBuf};

use crate::stage::StageName;

/// Result with the trainer's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong on the user's side, grouped by what the user can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is unknown or out of range.
    #[error("configuration: {key}: {problem}")]
    Config {
        /// Dotted key, or the file that could not be read as a configuration.
        key: String,
        /// What is wrong and what is accepted.
        problem: String,
    },
    /// A data file is damaged or of another form than expected.
    #[error("data: {}: {problem}", path.display())]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// Place in the file, what was found, what was expected.
        problem: String,
    },
    /// Training produced a value that is not finite.
    #[error(
        "training diverged: {what} is not finite at {stage} step {step}; lower the learning rate \
         (--set {stage}.learning_rate=...){}",
        kept.as_ref().map_or(String::new(), |k| format!("; the last good state is {}", k.display()))
    )]
    Diverged {
        /// The quantity.
        what: String,
        /// The stage, which is also the configuration table's name.
        stage: StageName,
        /// The step within the stage, from 1.
        step: usize,
        /// The last checkpoint before it.
        kept: Option<PathBuf>,
    },
    /// The clusters collapsed, again after every restart.
    #[error(
        "the clusters collapsed in {attempts} attempts: {why}; try another --seed, fewer clusters (--set clusters=...), \
         longer stages (--set pretrain.steps=...), or lower the bound if such clusters are what you want"
    )]
    Collapsed {
        /// How often training was begun.
        attempts: usize,
        /// What is below its bound.
        why: String,
    },
    /// A model file or run directory is damaged or incompatible.
    #[error("model: {}: {problem}", path.display())]
    Model {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A file could not be written, or the device asked for is missing.
    #[error("resource: {what}: {problem}")]
    Resource {
        /// File, folder or device.
        what: String,
        /// The system's answer.
        problem: String,
    },
    /// A quality bar was missed.
    #[error("quality: {} of {of} bars missed: {}", missed.len(), missed.join("; "))]
    Quality {
        /// What was measured by each row that is missed.
        missed: Vec<String>,
        /// Rows.
        of: usize,
    },
    /// The user stopped the program.
    #[error("interrupted; go on with: trainer fit --resume {}", run.display())]
    Interrupted {
        /// The run directory.
        run: PathBuf,
    },
}

impl Error {
    /// An [`Error::Config`].
    pub fn config(key: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self::Config { key: key.into(), problem: problem.to_string() }
    }

    /// An [`Error::Data`].
    pub fn data(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self::Data { path: path.to_owned(), problem: problem.to_string() }
    }

    /// An [`Error::Model`].
    pub fn model(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self::Model { path: path.to_owned(), problem: problem.to_string() }
    }

    /// An [`Error::Resource`].
    pub fn resource(what: impl std::fmt::Display, problem: impl std::fmt::Display) -> Self {
        Self::Resource { what: what.to_string(), problem: problem.to_string() }
    }

    /// Exit code of the process, as listed by `trainer --help`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config { .. } => 2,
            Self::Data { .. } => 3,
            Self::Diverged { .. } | Self::Collapsed { .. } => 4,
            Self::Model { .. } => 5,
            Self::Quality { .. } => 6,
            Self::Resource { .. } => 7,
            Self::Interrupted { .. } => 130,
        }
    }
}
