//! Answers that are there already, kept beside the table while that is written: a `predict` that was killed goes on where
//! it was, to the same bytes.
//!
//! A journal is a line of JSON that says what was asked ([`Asked`]), then a record for each part of the frames: a line of
//! JSON ([`Head`]), and the answers as a stream of Arrow IPC. What a kill or a power cut left of a record is no record.
//! The table itself is written anew from them, so that every form of it goes on in the same way.

use std::cell::RefCell;
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, Error as IoError, ErrorKind, Read, Result as IoResult, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use rayon::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use trainer::data::Source;
use trainer::files::{Hash, sha256};
use trainer::frame::FrameShape;
use trainer::{Error, Result};

/// Values that are hashed together.
const HASHED_TOGETHER: usize = 1 << 18;
/// Most bytes of a line.
const LONGEST_LINE: u64 = 1 << 16;

/// What the answers answer.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Version of the program.
    pub version: String,
    /// SHA-256 of the model.
    pub model: String,
    /// The device, as it was asked for.
    pub on: String,
    /// Number of frames.
    pub frames: usize,
    /// Shape of a frame.
    pub shape: FrameShape,
    /// Names of the columns before the answers.
    pub columns: Vec<String>,
}

/// What comes before the answers to a part of the frames.
#[derive(Serialize, Deserialize)]
struct Head {
    /// Hash of the frames, as [`Hashed`] has it.
    frames: String,
    /// Bytes of the answers.
    bytes: u64,
    /// SHA-256 of the answers.
    answers: String,
}

/// The answers so far, in a file that is locked for as long as it is open.
pub struct Journal {
    path: PathBuf,
    file: BufReader<File>,
    /// Bytes of what is known to be whole.
    whole: u64,
    /// Whether it holds answers.
    holds_answers: bool,
}

impl Journal {
    /// Opens the journal of these questions: the one at `path` if it is theirs, else a new one in its place.
    ///
    /// # Errors
    /// [`Error::Resource`], also if another program writes it.
    pub fn open(path: &Path, asked: &Asked) -> Result<Self> {
        let fault = |e: &dyn std::fmt::Display| Error::resource(path.display(), e);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|e| fault(&e))?;
        file.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => fault(&"another predict is writing to the same --out; wait for it to end"),
            TryLockError::Error(e) => fault(&e),
        })?;
        let mut journal = Self { path: path.to_owned(), file: BufReader::new(file), whole: 0, holds_answers: false };
        match journal.line::<Asked>().map_err(|e| fault(&e))? {
            Some((found, length)) if found == *asked => journal.whole = length,
            _ => {
                journal.cut()?;
                journal.add(&[&line_of(asked).map_err(|e| fault(&e))?])?;
            }
        }
        Ok(journal)
    }

    /// Hands the answers that there are to `take`, part by part with the hash of the frames, until it says that they are
    /// to others; what is left is dropped.
    ///
    /// # Errors
    /// [`Error::Resource`], and what `take` says.
    pub fn read(&mut self, mut take: impl FnMut(&str, &RecordBatch) -> Result<bool>) -> Result<()> {
        while let Some((head, answers, length)) = self.record().map_err(|e| Error::resource(self.path.display(), e))? {
            if !take(&head.frames, &answers)? {
                break;
            }
            self.whole += length;
            self.holds_answers = true;
        }
        self.cut()
    }

    /// Adds the answers to the next part, whose frames have this hash.
    ///
    /// # Errors
    /// [`Error::Resource`].
    pub fn write(&mut self, frames: String, answers: &RecordBatch) -> Result<()> {
        let fault = |e: &dyn std::fmt::Display| Error::resource(self.path.display(), e);
        let mut bytes = Vec::new();
        let mut writer = StreamWriter::try_new(&mut bytes, &answers.schema()).map_err(|e| fault(&e))?;
        writer.write(answers).and_then(|()| writer.finish()).map_err(|e| fault(&e))?;
        drop(writer);
        let head = Head { frames, bytes: bytes.len() as u64, answers: sha256(&bytes) };
        self.add(&[&line_of(&head).map_err(|e| fault(&e))?, &bytes])?;
        self.holds_answers = true;
        Ok(())
    }

    /// Removes the journal, once the table is at its place.
    pub fn finish(mut self) {
        self.holds_answers = false;
    }

    /// Whether a later run can go on from it.
    pub fn holds_answers(&self) -> bool {
        self.holds_answers
    }

    /// Drops all that is not known to be whole.
    fn cut(&mut self) -> Result<()> {
        let file = self.file.get_mut();
        let cut = file.set_len(self.whole).and_then(|()| file.seek(SeekFrom::Start(self.whole)));
        cut.map(|_| ()).map_err(|e| Error::resource(self.path.display(), e))
    }

    /// Appends bytes.
    fn add(&mut self, parts: &[&[u8]]) -> Result<()> {
        for part in parts {
            self.file.get_mut().write_all(part).map_err(|e| Error::resource(self.path.display(), e))?;
            self.whole += part.len() as u64;
        }
        Ok(())
    }

    /// The next record with its length; None where there is no whole one.
    fn record(&mut self) -> IoResult<Option<(Head, RecordBatch, u64)>> {
        let Some((head, before)) = self.line::<Head>()? else { return Ok(None) };
        let mut bytes = Vec::new();
        (&mut self.file).take(head.bytes).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != head.bytes || sha256(&bytes) != head.answers {
            return Ok(None);
        }
        let mut batches = StreamReader::try_new(&bytes[..], None).map_err(IoError::other)?;
        let batch = batches.next().transpose().map_err(IoError::other)?;
        Ok(batch.map(|batch| (head, batch, before + bytes.len() as u64)))
    }

    /// The next line as what it says, with its length; None where there is no whole one.
    fn line<T: DeserializeOwned>(&mut self) -> IoResult<Option<(T, u64)>> {
        let mut line = Vec::new();
        (&mut self.file).take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        let said = line.strip_suffix(b"\n").and_then(|text| serde_json::from_slice(text).ok());
        Ok(said.map(|said| (said, line.len() as u64)))
    }
}

/// A journal that nobody can go on from is removed.
impl Drop for Journal {
    fn drop(&mut self) {
        if !self.holds_answers {
            // What is left of it says nothing and is in nobody's way.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn line_of(said: &impl Serialize) -> IoResult<Vec<u8>> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    if line.len() as u64 > LONGEST_LINE {
        return Err(IoError::new(ErrorKind::InvalidInput, "too long a line"));
    }
    Ok(line)
}

/// The frames of a source from one of them on, with the hash of what was read.
pub struct Hashed<'a> {
    source: &'a dyn Source,
    first: usize,
    hash: RefCell<Hash>,
}

impl<'a> Hashed<'a> {
    /// The frames from `first` on.
    pub fn new(source: &'a dyn Source, first: usize) -> Self {
        Self { source, first, hash: RefCell::default() }
    }

    /// The hash of what was read since it was last asked for: SHA-256 over those of 2^18 values each, f32 little-endian.
    pub fn take(&self) -> String {
        self.hash.take().finish()
    }
}

impl Source for Hashed<'_> {
    fn shape(&self) -> FrameShape {
        self.source.shape()
    }

    fn len(&self) -> usize {
        self.source.len() - self.first
    }

    fn read(&self, indices: &[usize], values: &mut [f32]) -> Result<()> {
        let indices: Vec<usize> = indices.iter().map(|n| n + self.first).collect();
        self.source.read(&indices, values)?;
        let of_some = |values: &[f32]| sha256(&values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
        let hashes: Vec<String> = values.par_chunks(HASHED_TOGETHER).map(of_some).collect();
        hashes.iter().for_each(|hash| self.hash.borrow_mut().update(hash.as_bytes()));
        Ok(())
    }
}
