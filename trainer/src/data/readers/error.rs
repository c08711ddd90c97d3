//! Why a data set cannot be read.

use crate::error::{Error, Subject};

/// A data set cannot be read: which file or folder, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{subject}: {problem}")]
pub struct ReadError {
    /// The file or folder, or the digits inside the program.
    pub subject: Subject,
    /// What is wrong.
    #[source]
    pub problem: ReadProblem,
}

impl ReadError {
    /// What is wrong with `subject`.
    pub fn new(subject: impl Into<Subject>, problem: impl Into<ReadProblem>) -> Self {
        Self { subject: subject.into(), problem: problem.into() }
    }
}

/// What is wrong with a file or folder of data.
#[derive(Debug, thiserror::Error)]
pub enum ReadProblem {
    /// An archive cannot be unpacked.
    #[error(transparent)]
    Archive(#[from] zip::result::ZipError),
    /// The system does not give it, or it is no NumPy file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A row cannot be taken apart into fields.
    #[error(transparent)]
    Csv(#[from] ::csv::Error),
    /// A file of Parquet or Arrow is damaged, or has what is not read.
    #[error(transparent)]
    Parquet(#[from] parquet::errors::ParquetError),
    /// As [`ReadProblem::Parquet`], of the columns themselves.
    #[error(transparent)]
    Arrow(#[from] arrow_schema::ArrowError),
    /// A picture cannot be decoded.
    #[error(transparent)]
    Picture(#[from] image::ImageError),
    /// A gzip stream is damaged.
    #[error("gzip stream is damaged after {bytes} bytes: {source}")]
    Gzip {
        /// Bytes unpacked before the damage.
        bytes: usize,
        /// The decoder's answer.
        source: std::io::Error,
    },
    /// A NumPy array ends early or is damaged.
    #[error("{name}: {source}")]
    Array {
        /// Name of the array in its file.
        name: String,
        /// The reader's answer.
        source: std::io::Error,
    },
    /// The content is not what a reader takes: place in the file, what was found, what was expected.
    #[error("{0}")]
    Content(String),
}

impl From<String> for ReadProblem {
    fn from(problem: String) -> Self {
        Self::Content(problem)
    }
}

impl From<&str> for ReadProblem {
    fn from(problem: &str) -> Self {
        Self::Content(problem.to_owned())
    }
}

/// What is wrong with a part of a file, a picture in a column.
impl From<ReadError> for ReadProblem {
    fn from(error: ReadError) -> Self {
        Self::Content(error.to_string())
    }
}

impl From<ReadError> for Error {
    fn from(ReadError { subject, problem }: ReadError) -> Self {
        Self::Data { subject, problem: problem.to_string(), source: Some(Box::new(problem)) }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_cause_of_a_data_error_is_kept_and_told_once() {
        let gone = ReadError::new(Path::new("a.csv"), io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(gone.to_string(), "a.csv: entity not found");
        let error = Error::from(gone);
        assert_eq!((error.to_string().as_str(), error.exit_code()), ("data: a.csv: entity not found", 3));
        let cause = error.source().and_then(|cause| cause.downcast_ref::<ReadProblem>());
        assert!(matches!(cause, Some(ReadProblem::Io(_))), "{cause:?}");
    }
}
