//! Which files are meant: patterns, folders with two parts, labels beside images.

use std::path::{Path, PathBuf};

use super::pictures::natural;
use super::{ReadError, Role};

/// The files that a folder without frames holds, in words.
pub fn nothing_in(role: Role, others: &[String]) -> String {
    let held = match others {
        [] => String::new(),
        _ => format!(
            "; it holds {}: give a file, or a pattern such as 'folder/*.csv'",
            others[..others.len().min(6)].join(", ")
        ),
    };
    format!("neither {}-images-idx3-ubyte[.gz] nor a picture in this folder{held}", role.prefix())
}

/// Files that were left out, the first few by name.
pub fn left_out(others: &[String], expected: &str) -> String {
    const SHOWN: usize = 10;
    let more = if others.len() > SHOWN { ", ..." } else { "" };
    format!("{} files left out, no {expected}: {}{more}", others.len(), others[..others.len().min(SHOWN)].join(", "))
}

/// Names, the first few of them where there are many.
pub fn few(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown}, ... ({} in all)", names.len()) } else { shown }
}

/// The paths with patterns replaced by what they match, in natural order.
pub fn expanded(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ReadError> {
    let mut out = Vec::new();
    for path in paths {
        let text = path.to_string_lossy();
        if path.exists() || !text.contains(['*', '?', '[']) {
            out.push(path.clone());
            continue;
        }
        let matches = glob::glob(&text).map_err(|e| ReadError::new(path, e.to_string()))?;
        let mut found: Vec<PathBuf> =
            matches.collect::<Result<_, _>>().map_err(|e| ReadError::new(path, e.to_string()))?;
        if found.is_empty() {
            return Err(ReadError::new(path, "no file has a name of this pattern"));
        }
        found.sort_by(|a, b| natural(&a.to_string_lossy(), &b.to_string_lossy()));
        out.extend(found);
    }
    Ok(out)
}

/// The labels file beside an images file of MNIST's name, if there is one.
pub fn labels_beside(images: &Path) -> Option<PathBuf> {
    let name = images.file_name()?.to_str()?;
    let labels = images.with_file_name(name.replace("images-idx3", "labels-idx1"));
    (labels != images && labels.is_file()).then_some(labels)
}

/// The sub-folder of a part, if a folder has one for both, `train` and `test`.
pub fn part_folder(folder: &Path, role: Role) -> Option<PathBuf> {
    let [train, test] = ["train", "test"].map(|name| folder.join(name));
    let both = train.is_dir() && test.is_dir();
    both.then_some(if role == Role::Fit { train } else { test })
}

/// The file of a part in an MNIST folder, plain or gzipped, if there is one.
pub fn mnist_file(folder: &Path, role: Role, what: &str) -> Option<PathBuf> {
    let plain = folder.join(format!("{}-{what}", role.prefix()));
    let zipped = folder.join(format!("{}-{what}.gz", role.prefix()));
    [plain, zipped].into_iter().find(|p| p.is_file())
}
