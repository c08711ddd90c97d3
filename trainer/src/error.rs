//! The error every part of the trainer returns; its kind decides the exit code.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use crate::gmm::GmmError;
use crate::stage::StageName;

/// Result with the trainer's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error beneath another; of any type, since those above this floor have errors of their own.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A file or folder.
    Path(PathBuf),
    /// What has no path: frames in memory, an option of the command line, a file not yet written.
    Name(String),
}

impl Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl From<&Path> for Subject {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<&PathBuf> for Subject {
    fn from(path: &PathBuf) -> Self {
        Self::Path(path.clone())
    }
}

impl From<&str> for Subject {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

/// Everything that can go wrong on the user's side, grouped by what the user can do about it.
///
/// The text of an error says all there is to say; a source, where there is one, has it once more, for programs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is unknown or out of range.
    #[error("configuration: {key}: {problem}")]
    Config {
        /// Dotted key, or the file that could not be read as a configuration.
        key: String,
        /// What is wrong and what is accepted.
        problem: String,
        /// The error of the part that was set so.
        source: Option<Cause>,
    },
    /// A data file is damaged or of another form than expected.
    #[error("data: {subject}: {problem}")]
    Data {
        /// The file or folder, or frames in memory.
        subject: Subject,
        /// Place in the file, what was found, what was expected.
        problem: String,
        /// The error of the reader, or of the model that refuses the frames.
        source: Option<Cause>,
    },
    /// A value became NaN or infinite in training.
    #[error(
        "training diverged: {what} is not finite at {stage} step {step}; lower the learning rate \
         (--set {stage}.learning_rate=...){}",
        kept.as_ref().map_or(String::new(), |k| format!("; the last good state is {}", k.display()))
    )]
    Diverged {
        /// The quantity that is not finite.
        what: String,
        /// The stage; the configuration has a table of its name.
        stage: StageName,
        /// The step within the stage, from 1.
        step: usize,
        /// The last checkpoint of the run, if one was written.
        kept: Option<PathBuf>,
    },
    /// The clusters collapsed, again after every restart.
    #[error(
        "the clusters collapsed in {attempts} attempt{s}: {why}; try another --seed, fewer clusters (--set clusters=...), \
         longer stages (--set pretrain.steps=...), or lower the bound if such clusters are what you want",
        s = if *attempts == 1 { "" } else { "s" }
    )]
    Collapsed {
        /// How often training was begun.
        attempts: usize,
        /// The measure of the clusters that is below its bound, and both numbers.
        why: String,
    },
    /// The number of clusters was to be found, and there is none that a model could have.
    #[error("clusters=auto: {why}; say how many (--set clusters=K) to cut the frames all the same")]
    Uncounted {
        /// What was found instead.
        why: String,
    },
    /// A model file or run directory is damaged or incompatible.
    #[error("model: {subject}: {problem}")]
    Model {
        /// The file or folder, or a file that is being made.
        subject: Subject,
        /// What is wrong, and where there is one, the mend.
        problem: String,
    },
    /// A file could not be written, or the device asked for is missing.
    #[error("resource: {what}: {problem}")]
    Resource {
        /// File, folder or device.
        what: String,
        /// The answer of the system, or what is missing.
        problem: String,
    },
    /// A quality bar was missed.
    #[error("quality: {} of {of} bars missed: {}", missed.len(), missed.join("; "))]
    Quality {
        /// The measurement of each bar that is missed.
        missed: Vec<String>,
        /// Number of bars.
        of: usize,
    },
    /// Who watches a pass over the frames asked for an end; what it was for then ends as if it had been broken off.
    #[error("stopped")]
    Stopped,
    /// The user stopped the program.
    #[error("interrupted; go on with: trainer fit --resume {}", run.display())]
    Interrupted {
        /// The run directory, to go on from.
        run: PathBuf,
    },
}

impl Error {
    /// An [`Error::Config`] about the setting `key`, without a source.
    pub fn config(key: impl Into<String>, problem: impl Display) -> Self {
        Self::Config { key: key.into(), problem: problem.to_string(), source: None }
    }

    /// An [`Error::Data`] about a file, a folder or frames, without a source.
    pub fn data(subject: impl Into<Subject>, problem: impl Display) -> Self {
        Self::Data { subject: subject.into(), problem: problem.to_string(), source: None }
    }

    /// An [`Error::Model`] about a file or folder.
    pub fn model(subject: impl Into<Subject>, problem: impl Display) -> Self {
        Self::Model { subject: subject.into(), problem: problem.to_string() }
    }

    /// An [`Error::Resource`] about a file, a folder or a device.
    pub fn resource(what: impl Display, problem: impl Display) -> Self {
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
            Self::Uncounted { .. } => 8,
            Self::Stopped | Self::Interrupted { .. } => 130,
        }
    }
}

impl From<GmmError> for Error {
    /// Names the setting that asks for what EM cannot do.
    fn from(error: GmmError) -> Self {
        let (key, mend) = match error {
            GmmError::Rows { .. } | GmmError::NotFinite { .. } | GmmError::Columns { .. } => ("gmm", ""),
            GmmError::Weight { .. } | GmmError::Weights { .. } => ("weight", ""),
            GmmError::FewPoints { .. } | GmmError::FewDistinct { .. } => ("components", ""),
            GmmError::Singular => ("estimator", ": use fewer components, --estimator map, or a larger reg_covar"),
        };
        Self::Config { key: key.into(), problem: format!("{error}{mend}"), source: Some(Box::new(error)) }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn what_em_cannot_do_names_a_setting_and_keeps_its_cause() {
        for (cause, text) in [
            (GmmError::Rows { values: 3, dim: 2 }, "configuration: gmm: 3 values do not make rows of 2"),
            (GmmError::NotFinite { row: 4, column: 1 }, "configuration: gmm: row 4, column 1 is not finite"),
            (
                GmmError::FewPoints { components: 3, points: 2 },
                "configuration: components: 3 components for 2 points, expected at most one a point",
            ),
            (
                GmmError::Singular,
                "configuration: estimator: a covariance became singular in every start: \
                 use fewer components, --estimator map, or a larger reg_covar",
            ),
        ] {
            let error = Error::from(cause);
            assert_eq!((error.to_string().as_str(), error.exit_code()), (text, 2));
            assert_eq!(error.source().and_then(|source| source.downcast_ref()), Some(&cause));
        }
    }
}
