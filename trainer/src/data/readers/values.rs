//! The values of an array, in memory or where they lie in files.

use std::ops::Range;

use super::in_files::InFiles;
use super::stored::Stored;
use super::value::Value;
use super::{ReadError, ReadProblem};

/// Values as they are stored, in the order of their array.
#[derive(Clone, Debug)]
pub enum Values {
    /// In memory.
    Memory(Stored),
    /// Read from files when they are asked for.
    Files(InFiles),
}

impl From<Stored> for Values {
    fn from(stored: Stored) -> Self {
        Self::Memory(stored)
    }
}

impl Values {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::Memory(stored) => stored.len(),
            Self::Files(files) => files.len(),
        }
    }

    /// An array without values of the same type.
    fn kind(&self) -> Stored {
        match self {
            Self::Memory(stored) => stored.gather(std::iter::empty()),
            Self::Files(files) => files.kind(),
        }
    }

    /// Name of the type, as Rust and NumPy have it.
    pub fn type_name(&self) -> &'static str {
        self.kind().type_name()
    }

    /// The value that stands for white where pictures are stored in this type; None where the type has no such value.
    pub fn white(&self) -> Option<f64> {
        self.kind().white()
    }

    /// True if the type has values that are no finite numbers.
    pub fn is_float(&self) -> bool {
        matches!(self.kind(), Stored::F16(_) | Stored::F32(_) | Stored::F64(_))
    }

    /// The least and the greatest finite value, if there is one.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn range(&self) -> Result<Option<(f64, f64)>, ReadError> {
        match self {
            Self::Memory(stored) => Ok(stored.range()),
            Self::Files(files) => {
                let mut range: Option<(f64, f64)> = None;
                files.each_chunk(|stored| {
                    let Some((least, most)) = stored.range() else { return };
                    range = Some(range.map_or((least, most), |(a, b)| (least.min(a), most.max(b))));
                })?;
                Ok(range)
            }
        }
    }

    /// True if every value is a whole number.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn is_whole(&self) -> Result<bool, ReadError> {
        match self {
            Self::Memory(stored) => Ok(stored.is_whole()),
            Self::Files(files) => {
                let mut whole = true;
                files.each_chunk(|stored| whole &= stored.is_whole())?;
                Ok(whole)
            }
        }
    }

    /// All values in memory.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn into_memory(self) -> Result<Stored, ReadError> {
        match self {
            Self::Memory(stored) => Ok(stored),
            Self::Files(files) => files.read(0..files.len()),
        }
    }

    /// Writes the values at `places` to `out` as frames or tables hold them, as shares of `white` if there is one.
    ///
    /// # Errors
    /// If a file cannot be read.
    ///
    /// # Panics
    /// If there are not as many places as values to write, or there is no such place.
    pub fn widen<T: Value>(&self, places: Range<usize>, white: Option<f64>, out: &mut [T]) -> Result<(), ReadError> {
        match self {
            Self::Memory(stored) => stored.widen(places, white, out),
            Self::Files(files) => {
                let stored = files.read(places)?;
                stored.widen(0..stored.len(), white, out);
            }
        }
        Ok(())
    }

    /// These values, then others of the same type.
    ///
    /// # Errors
    /// If they are of another type, or a file cannot be read.
    pub fn followed_by(self, other: Self) -> Result<Self, ReadProblem> {
        Ok(match (self, other) {
            (Self::Files(files), Self::Files(more)) if files.kind().type_name() == more.kind().type_name() => {
                Self::Files(files.followed_by(more))
            }
            (a, b) => {
                let in_memory = |values: Self| values.into_memory().map_err(|e| e.problem);
                Self::Memory(in_memory(a)?.followed_by(in_memory(b)?)?)
            }
        })
    }
}
