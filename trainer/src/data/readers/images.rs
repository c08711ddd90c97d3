//! A folder of PNG or JPEG files, all of one size; sub-folders, if any, name the classes.

use std::path::{Path, PathBuf};

use super::ReadError;
use crate::data::Frames;
use crate::frame::FrameShape;

const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];

/// True if `folder` or one of its sub-folders holds an image.
pub fn holds_images(folder: &Path) -> Result<bool, ReadError> {
    Ok(!list(folder)?.is_empty())
}

/// Reads the images of a folder in the order of their paths, values in `[0, 1]`.
///
/// Grey images give one channel, all others three. The sub-folder that an image lies in is its class; images directly
/// in `folder` have none.
pub fn read(folder: &Path) -> Result<Frames, ReadError> {
    let files = list(folder)?;
    let mut shape = None;
    let mut values = Vec::new();
    let mut classes: Vec<&Path> = Vec::new();
    let mut labels = Vec::new();
    for file in &files {
        let decoded = image::open(file).map_err(|e| ReadError::new(file, e))?;
        let grey = !decoded.color().has_color();
        let (width, height) = (decoded.width() as usize, decoded.height() as usize);
        let found = FrameShape { channels: if grey { 1 } else { 3 }, height, width };
        match shape {
            None => shape = Some(found),
            Some(first) if first != found => {
                return Err(ReadError::new(
                    file,
                    format!("shape {found}, expected {first} as in {}", files[0].display()),
                ));
            }
            Some(_) => {}
        }
        if grey {
            values.extend(decoded.to_luma32f().into_raw());
        } else {
            let rgb = decoded.to_rgb32f().into_raw();
            for channel in 0..3 {
                values.extend(rgb.iter().skip(channel).step_by(3));
            }
        }
        if let Some(class) = file.parent().filter(|parent| *parent != folder) {
            if classes.last() != Some(&class) {
                classes.push(class);
            }
            labels.push((classes.len() - 1) as u32);
        }
    }
    let shape = shape.ok_or_else(|| ReadError::new(folder, "no PNG or JPEG file"))?;
    let labels = match labels.len() {
        0 => None,
        n if n == files.len() => Some(labels),
        _ => return Err(ReadError::new(folder, "images lie both in sub-folders (classes) and beside them")),
    };
    Ok(Frames { shape, values, labels })
}

/// The images of a folder and of its sub-folders, in the order of their paths.
fn list(folder: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let mut files = Vec::new();
    for entry in entries(folder)? {
        if entry.is_dir() {
            files.extend(entries(&entry)?.into_iter().filter(|p| is_image(p)));
        } else if is_image(&entry) {
            files.push(entry);
        }
    }
    Ok(files)
}

/// What a folder holds, in the order of names.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let mut paths = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>())
        .map_err(|e| ReadError::new(folder, e))?;
    paths.sort();
    Ok(paths)
}

fn is_image(path: &Path) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| EXTENSIONS.contains(&e.to_ascii_lowercase().as_str()))
}
