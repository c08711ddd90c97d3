//! Arrays that stay in their files: uncompressed values one after the other, read by position.
//!
//! They are not mapped: a mapping is unsafe where another program may shorten the file, and what of it is resident counts
//! as the program's own. The system keeps what was read in its cache for as long as it has room.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use half::f16;

use super::stored::Stored;
use super::{ReadError, ReadProblem};

/// Bytes of a file from which on its values stay there.
pub const IN_PLACE: u64 = 1 << 20;
/// Values that are read at once in a pass over all.
const CHUNK: usize = 1 << 20;

/// How a number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// Its type.
    pub kind: ElementKind,
    /// Whether its most significant byte comes first.
    pub big_endian: bool,
}

macro_rules! elements {
    ($($kind:ident $type:ty,)*) => {
        /// The type of a number in a file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ElementKind { $($kind,)* }

        impl Element {
            /// Bytes of a number.
            pub fn width(self) -> usize {
                match self.kind { $(ElementKind::$kind => size_of::<$type>(),)* }
            }

            /// The numbers in bytes, which are whole numbers.
            pub fn decode(self, bytes: &[u8]) -> Stored {
                match self.kind {
                    $(ElementKind::$kind => {
                        let of = if self.big_endian { <$type>::from_be_bytes } else { <$type>::from_le_bytes };
                        Stored::$kind(bytes.as_chunks().0.iter().map(|&value| of(value)).collect())
                    })*
                }
            }
        }
    };
}

elements! {
    U8 u8, U16 u16, U32 u32, U64 u64, I8 i8, I16 i16, I32 i32, I64 i64, F16 f16, F32 f32, F64 f64,
}

/// Values of one type in one file, or in several one after the other.
#[derive(Clone, Debug)]
pub struct InFiles {
    /// At least one.
    parts: Vec<InFile>,
}

/// The values of one file.
#[derive(Clone, Debug)]
struct InFile {
    path: PathBuf,
    file: Arc<File>,
    element: Element,
    /// Place of the first byte of the first value.
    offset: u64,
    /// Number of values.
    count: usize,
    /// Length of the file and when it was last written to, as it was opened.
    seen: (u64, Option<SystemTime>),
}

impl InFiles {
    /// The `count` values from byte `offset` on; None if the file is too small to stay, or too short.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(path: &Path, element: Element, offset: u64, count: usize) -> std::io::Result<Option<Self>> {
        let file = File::open(path)?;
        let seen = state(&file)?;
        let end = (count as u64).checked_mul(element.width() as u64).and_then(|bytes| bytes.checked_add(offset));
        let fits = file.metadata()?.is_file() && end.is_some_and(|end| end <= seen.0);
        let part = InFile { path: path.to_owned(), file: Arc::new(file), element, offset, count, seen };
        Ok((fits && part.seen.0 >= IN_PLACE).then(|| Self { parts: vec![part] }))
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.count).sum()
    }

    /// An array without values of the same type.
    pub fn kind(&self) -> Stored {
        self.parts[0].element.decode(&[])
    }

    /// These values, then others of the same type, whatever the order of their bytes.
    pub fn followed_by(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }

    /// The values at `places`.
    ///
    /// # Errors
    /// If a file was changed since it was opened, or the system does not give it.
    ///
    /// # Panics
    /// If there is no such place.
    pub fn read(&self, places: Range<usize>) -> Result<Stored, ReadError> {
        let (mut found, mut before) = (self.kind(), 0);
        for part in &self.parts {
            let within = places.start.max(before)..places.end.min(before + part.count);
            if !within.is_empty() {
                let stored = part.read(within.start - before..within.end - before)?;
                // Most reads are of one file, which then need not be copied.
                found = match found.len() {
                    0 => stored,
                    _ => found.followed_by(stored).map_err(|problem| ReadError::new(&part.path, problem))?,
                };
            }
            before += part.count;
        }
        assert_eq!(found.len(), places.len(), "values {places:?} of {before}");
        Ok(found)
    }

    /// Hands all values to `visit`, some at a time, in their order.
    ///
    /// # Errors
    /// As for [`InFiles::read`].
    pub fn each_chunk(&self, mut visit: impl FnMut(&Stored)) -> Result<(), ReadError> {
        let len = self.len();
        for first in (0..len).step_by(CHUNK) {
            visit(&self.read(first..len.min(first + CHUNK))?);
        }
        Ok(())
    }
}

impl InFile {
    /// The values at `places` of this file.
    fn read(&self, places: Range<usize>) -> Result<Stored, ReadError> {
        let width = self.element.width();
        let mut bytes = vec![0; places.len() * width];
        let fault = |problem: ReadProblem| ReadError::new(&self.path, problem);
        let now = state(&self.file).map_err(|e| fault(e.into()))?;
        if now != self.seen {
            let (before, length) = (self.seen.0, now.0);
            let problem = match before == length {
                true => "was written to while it was read".to_owned(),
                false => format!("had {before} bytes when it was opened and has {length} now"),
            };
            return Err(fault(format!("{problem}; begin again with a file that stays as it is").into()));
        }
        let offset = self.offset + (places.start * width) as u64;
        read_exact_at(&self.file, &mut bytes, offset).map_err(|e| fault(e.into()))?;
        Ok(self.element.decode(&bytes))
    }
}

/// Length of a file, and when it was last written to where the system knows.
fn state(file: &File) -> std::io::Result<(u64, Option<SystemTime>)> {
    let metadata = file.metadata()?;
    Ok((metadata.len(), metadata.modified().ok()))
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => {
                bytes = &mut std::mem::take(&mut bytes)[count..];
                offset += count as u64;
            }
        }
    }
    Ok(())
}
