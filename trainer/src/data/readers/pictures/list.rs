//! The files of a folder: which are pictures, and which are left out.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::super::ReadError;

const EXTENSIONS: [&str; 12] = ["png", "jpg", "jpeg", "jpe", "jfif", "bmp", "dib", "tif", "tiff", "webp", "pgm", "ppm"];
/// What systems leave in folders.
const OF_SYSTEMS: [&str; 5] = ["__MACOSX", "Thumbs.db", "ehthumbs.db", "desktop.ini", "Icon\r"];

/// True if the name of a file says that it is a picture.
pub fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str()) || matches!(e.as_str(), "pnm" | "pbm"))
}

/// True for what is there and can be read once at most, such as a pipe or a device.
pub fn is_pipe(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// The files in a folder and its sub-folders.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Those that were looked for, in natural order.
    pub found: Vec<PathBuf>,
    /// Other files, which are left out; not those that are hidden or of the system.
    pub others: Vec<PathBuf>,
}

/// Lists a folder and its sub-folders in natural order; `is_wanted` says which files are looked for.
pub fn list(folder: &Path, is_wanted: &dyn Fn(&Path) -> bool) -> Result<Listing, ReadError> {
    let mut listing = Listing::default();
    let mut folders = vec![folder.to_owned()];
    // Links may lead back to where they lie.
    let mut seen = HashSet::new();
    while let Some(folder) = folders.pop() {
        if !seen.insert(folder.canonicalize().map_err(|e| ReadError::new(&folder, e))?) {
            continue;
        }
        let entries = std::fs::read_dir(&folder)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>())
            .map_err(|e| ReadError::new(&folder, e))?;
        for path in entries {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') || OF_SYSTEMS.contains(&&*name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if is_wanted(&path) && !is_pipe(&path) {
                listing.found.push(path);
            } else {
                listing.others.push(path);
            }
        }
    }
    listing.found.sort_by(|a, b| by_path(a, b));
    listing.others.sort_by(|a, b| by_path(a, b));
    Ok(listing)
}

fn by_path(a: &Path, b: &Path) -> Ordering {
    let names = |path: &Path| path.iter().map(|name| name.to_string_lossy().into_owned()).collect::<Vec<_>>();
    let (a, b) = (names(a), names(b));
    let differ = a.iter().zip(&b).map(|(a, b)| natural(a, b)).find(|order| order.is_ne());
    differ.unwrap_or_else(|| a.len().cmp(&b.len()))
}

/// The order in which people count: 2 before 10; equal numbers by their text.
pub fn natural(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| -> Vec<(bool, String)> {
        let mut parts: Vec<(bool, String)> = Vec::new();
        for c in text.chars() {
            match parts.last_mut().filter(|(digits, _)| *digits == c.is_ascii_digit()) {
                Some((_, part)) => part.push(c),
                None => parts.push((c.is_ascii_digit(), c.to_string())),
            }
        }
        parts
    };
    let part = |((a_digits, a), (b_digits, b)): (&(bool, String), &(bool, String))| match a_digits & b_digits {
        true => {
            let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        }
        false => a.cmp(b),
    };
    let (p, q) = (parts(a), parts(b));
    let differ = p.iter().zip(&q).map(part).find(|order| order.is_ne());
    differ.unwrap_or_else(|| p.len().cmp(&q.len()).then_with(|| a.cmp(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count() {
        let mut names = ["100.png", "10.png", "1.png", "a2b10", "a2b9", "a10", "0.png", "01.png", "b"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["0.png", "01.png", "1.png", "10.png", "100.png", "a2b9", "a2b10", "a10", "b"]);
    }
}
