//! How files are written, so that a crash leaves the old or the new one, and how their content is
//! named.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Links that are followed one after the other, as many as Linux follows.
const MOST_LINKS: usize = 40;
/// The first letters in the name of a file that is not yet whole.
pub const UNFINISHED: &str = ".unfinished-";

/// Writes a file under a temporary name, syncs it, renames it, and syncs the folder.
///
/// A link is followed, and a file that is replaced keeps its permissions. What is no file, as a device or a pipe, is
/// written to as it stands.
///
/// # Errors
/// [`Error::Resource`]; the old file is then untouched, unless it was the folder's sync that
/// failed.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = Unfinished::create(path)?;
    file.write_all(bytes).map_err(|e| Error::resource(path.display(), e))?;
    file.finish()
}

/// A file that is written bit by bit, and is there once it is whole, as [`write_atomically`] has it.
pub struct Unfinished {
    path: PathBuf,
    file: Beside,
}

/// Where the bytes go until the file is whole.
enum Beside {
    /// To a temporary file, with the permissions of the one that it is to replace.
    Temporary(tempfile::NamedTempFile, Option<Permissions>),
    /// To what is no file, at once.
    Itself(File),
}

impl Unfinished {
    /// Begins to write the file at a path.
    ///
    /// # Errors
    /// [`Error::Resource`].
    pub fn create(path: &Path) -> Result<Self> {
        match replaced(path)? {
            None => Self::in_place(path),
            Some(target) => Self::temporary(target, UNFINISHED, None),
        }
    }

    /// As [`Unfinished::create`], for one that no other program writes meanwhile: its temporary name is always the same
    /// ([`beside`]), and what a program that was killed left there is replaced.
    ///
    /// # Errors
    /// [`Error::Resource`].
    pub fn create_alone(path: &Path) -> Result<Self> {
        let Some(target) = replaced(path)? else { return Self::in_place(path) };
        let name = beside(&target, "");
        match std::fs::remove_file(&name) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::resource(name.display(), e)),
            _ => {}
        }
        Self::temporary(target, name.file_name().unwrap_or_default(), Some(0))
    }

    fn in_place(path: &Path) -> Result<Self> {
        let file = File::options().write(true).open(path).map_err(|e| Error::resource(path.display(), e))?;
        Ok(Self { path: path.to_owned(), file: Beside::Itself(file) })
    }

    /// A file whose temporary name begins so, with so many letters more.
    fn temporary(target: PathBuf, begins: impl AsRef<OsStr>, letters: Option<usize>) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(&begins);
        if let Some(letters) = letters {
            builder.rand_bytes(letters);
        }
        // Temporary files are private by default; the result is a file like any other, under the umask.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder_of(&target)).map_err(|e| Error::resource(target.display(), e))?;
        let permissions = std::fs::metadata(&target).ok().map(|old| old.permissions());
        Ok(Self { path: target, file: Beside::Temporary(file, permissions) })
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// As for [`write_atomically`].
    pub fn finish(self) -> Result<()> {
        let Self { path, file } = self;
        let fault = |e: std::io::Error| Error::resource(path.display(), e);
        let Beside::Temporary(file, permissions) = file else { return Ok(()) };
        if let Some(permissions) = permissions {
            file.as_file().set_permissions(permissions).map_err(fault)?;
        }
        file.as_file().sync_all().map_err(fault)?;
        file.persist(&path).map_err(|e| fault(e.error))?;
        // Only Unix syncs a folder, as a file that is open.
        #[cfg(unix)]
        File::open(folder_of(&path)).and_then(|f| f.sync_all()).map_err(fault)?;
        Ok(())
    }
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.file {
            Beside::Temporary(file, _) => file.write(bytes),
            Beside::Itself(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.file {
            Beside::Temporary(file, _) => file.flush(),
            Beside::Itself(file) => file.flush(),
        }
    }
}

/// The file that is replaced by what is written to a path, links followed, whether it is there or not; None for what is
/// no file, as a device or a pipe.
///
/// # Errors
/// [`Error::Resource`] for links that lead nowhere.
pub fn replaced(path: &Path) -> Result<Option<PathBuf>> {
    if std::fs::metadata(path).is_ok_and(|old| !old.is_file() && !old.is_dir()) {
        return Ok(None);
    }
    let target = if path.is_symlink() { followed(path) } else { Ok(path.to_owned()) };
    target.map(Some).map_err(|e| Error::resource(path.display(), e))
}

/// The name under which a program keeps what it needs until the file at `target` is whole; `what` tells one such from
/// another.
pub fn beside(target: &Path, what: &str) -> PathBuf {
    let mut name = OsString::from(UNFINISHED);
    name.push(target.file_name().unwrap_or_default());
    name.push(what);
    folder_of(target).join(name)
}

/// The folder of a file.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Where a link leads, also to what is not there yet.
fn followed(link: &Path) -> std::io::Result<PathBuf> {
    let mut path = link.to_owned();
    for _ in 0..MOST_LINKS {
        if !path.is_symlink() {
            return Ok(path);
        }
        let next = std::fs::read_link(&path)?;
        path = path.parent().map_or_else(|| next.clone(), |folder| folder.join(&next));
    }
    Err(std::io::Error::other("links that lead in a circle"))
}

/// The SHA-256 of some bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    let mut hash = Hash::default();
    hash.update(bytes);
    hash.finish()
}

/// A SHA-256 of bytes that come in parts.
#[derive(Clone, Default)]
pub struct Hash(Sha256);

impl Hash {
    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes, in hexadecimal.
    pub fn finish(self) -> String {
        self.0.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn links_are_followed_modes_kept_and_pipes_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "old").unwrap();
        std::fs::set_permissions(at("file"), PermissionsExt::from_mode(0o640)).unwrap();
        symlink("file", at("link")).unwrap();
        write_atomically(&at("link"), b"new").unwrap();
        assert!(at("link").is_symlink());
        assert_eq!(std::fs::read(at("file")).unwrap(), b"new");
        assert_eq!(std::fs::metadata(at("file")).unwrap().permissions().mode() & 0o777, 0o640);
        // A link to nothing yet, and one to itself.
        symlink("later", at("ahead")).unwrap();
        write_atomically(&at("ahead"), b"made").unwrap();
        assert_eq!(std::fs::read(at("later")).unwrap(), b"made");
        symlink("circle", at("circle")).unwrap();
        assert!(write_atomically(&at("circle"), b"").is_err());

        let pipe = at("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read(pipe).unwrap()
        });
        write_atomically(&pipe, b"through").unwrap();
        assert_eq!(reader.join().unwrap(), b"through");
        assert!(!std::fs::metadata(&pipe).unwrap().is_file());
        assert!(write_atomically(folder.path(), b"").is_err());
    }
}
