//! One program at a time writes to a run directory.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// The file that is locked, and gone when nobody writes. What a killed program leaves of it holds no one up.
const NAME: &str = "run.lock";

/// The right to write to a run directory, until it is released or dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: File,
    held: AtomicBool,
}

impl Lock {
    /// Takes the lock of a run directory. On a file system that has no locks there is none, and nobody is kept out.
    ///
    /// # Errors
    /// [`Error::Resource`] if another program holds it, with the number of its process.
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let fault = |e: std::io::Error| Error::resource(path.display(), e);
        let mut file = loop {
            let options = File::options().read(true).write(true).create(true).truncate(false).open(&path);
            let mut file = options.map_err(fault)?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    // Where a lock keeps readers out too, it stays unnamed.
                    let _ = file.read_to_string(&mut holder);
                    let holder = if holder.is_empty() { "another program" } else { holder.trim() };
                    let problem = format!("{holder} is writing to this run; wait until it has ended, or stop it");
                    return Err(Error::resource(folder.display(), problem));
                }
                Err(TryLockError::Error(e)) if e.kind() != std::io::ErrorKind::Unsupported => return Err(fault(e)),
                _ => {}
            }
            // Who held it may have removed the file since it was opened; then another may be there by now.
            if is_at(&file, &path) {
                break file;
            }
        };
        file.set_len(0).and_then(|()| writeln!(file, "process {}", std::process::id())).map_err(fault)?;
        Ok(Self { path, file, held: AtomicBool::new(true) })
    }

    /// Lets others write.
    pub fn release(&self) {
        if self.held.swap(false, Ordering::Relaxed) {
            // While it is still held, so that it is nobody else's; what stays of it holds no one up.
            let _ = std::fs::remove_file(&self.path);
            let _ = self.file.unlock();
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.release();
    }
}

/// Whether an open file is the one at a path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |found: std::io::Result<std::fs::Metadata>| found.map(|found| (found.dev(), found.ino())).ok();
    let there = id(std::fs::metadata(path));
    there.is_some() && there == id(file.metadata())
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_a_folder_and_leaves_nothing_there() {
        let folder = tempfile::tempdir().unwrap();
        // As a killed program leaves it.
        std::fs::write(folder.path().join(NAME), "process 1").unwrap();
        let first = Lock::take(folder.path()).unwrap();
        let refused = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {} is writing", std::process::id())), "{refused}");
        first.release();
        let second = Lock::take(folder.path()).unwrap();
        // What was released is not released again.
        drop(first);
        assert!(Lock::take(folder.path()).is_err());
        drop(second);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
