//! How files are written, so that a crash leaves the old or the new one, and how their content is
//! named.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The first letters in the name of a file that is not yet whole.
pub const UNFINISHED: &str = ".unfinished-";

/// Writes a file under a temporary name, syncs it, renames it, and syncs the folder.
///
/// # Errors
/// [`Error::Resource`]; the old file is then untouched, unless it was the folder's sync that
/// failed.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let fault = |e: std::io::Error| Error::resource(path.display(), e);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    // Temporary files are private by default; the result is a file like any other, under the umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(fault)?;
    file.write_all(bytes).map_err(fault)?;
    file.as_file().sync_all().map_err(fault)?;
    file.persist(path).map_err(|e| fault(e.error))?;
    File::open(folder).and_then(|f| f.sync_all()).map_err(fault)
}

/// The SHA-256 of some bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
