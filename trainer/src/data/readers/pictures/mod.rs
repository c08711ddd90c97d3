//! Pictures, a frame each: PNG, JPEG, BMP, TIFF, WebP and PNM; sub-folders name classes.

mod decode;
mod labels;
mod list;
mod options;

pub use labels::labels;
pub use list::{is_picture, is_pipe, list, natural};
pub use options::{PictureOptions, Size};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::DynamicImage;
use rayon::prelude::*;

use self::decode::{Picture, decode};
use super::ReadError;
use super::labels::RawLabels;
use super::raw::Raw;
use super::stored::{Array, Stored};
use crate::data::layout::Layout;

/// A picture to be read, in memory or not.
pub struct Source {
    /// Its file, or what stands for it.
    pub path: PathBuf,
    /// Its name in the output, and in labels its folder.
    pub name: String,
    /// Its class, if the folder that it lies in names one.
    pub class: Option<String>,
    /// Its bytes, if they are read already.
    pub bytes: Option<Vec<u8>>,
}

/// The pictures of a folder, classes by the first of the sub-folders that they lie in, and what is left out.
pub fn of_folder(folder: &Path) -> Result<(Vec<Source>, Vec<String>), ReadError> {
    let listing = list(folder, &is_picture)?;
    let relative = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_path_buf();
    let source = |path: PathBuf| {
        let inside = relative(&path);
        let class = inside.iter().next().filter(|_| inside.iter().count() > 1);
        let class = class.map(|class| class.to_string_lossy().into_owned());
        Source { name: inside.display().to_string(), class, path, bytes: None }
    };
    let others = listing.others.iter().map(|path| relative(path).display().to_string()).collect();
    let sources: Vec<Source> = listing.found.into_iter().map(source).collect();
    let classed = sources.iter().filter(|source| source.class.is_some()).count();
    if classed > 0 && classed < sources.len() {
        return Err(ReadError::new(folder, "images lie both in sub-folders (classes) and beside them"));
    }
    Ok((sources, others))
}

/// Reads pictures in the order given, decoded on all cores; `colours` asks for three channels even of grey ones.
///
/// Grey pictures give one channel, all others three; of both, all are taken as colour.
pub fn read(sources: &[Source], options: &PictureOptions, colours: bool) -> Result<Raw, ReadError> {
    let picture = |source: &Source| -> Result<Picture, ReadError> {
        let fault = |problem| ReadError::new(&source.path, problem);
        match &source.bytes {
            Some(bytes) => decode(bytes, options).map_err(fault),
            None => decode(&std::fs::read(&source.path).map_err(|e| ReadError::new(&source.path, e))?, options)
                .map_err(fault),
        }
    };
    let pictures: Vec<Picture> = sources.par_iter().map(picture).collect::<Result<_, _>>()?;
    let Some(first) = pictures.first() else { return Err(ReadError::new("pictures", "there are none")) };
    let coloured = pictures.iter().filter(|picture| picture.pixels.color().has_color()).count();
    let colour = !options.gray && (colours || coloured > 0);
    let channels = if colour { 3 } else { 1 };
    let size = |picture: &Picture| (picture.pixels.height() as usize, picture.pixels.width() as usize);
    let (height, width) = size(first);
    if let Some((source, other)) = sources.iter().zip(&pictures).find(|(_, picture)| size(picture) != (height, width)) {
        let (h, w) = size(other);
        let problem = format!(
            "shape {channels}x{h}x{w}, expected {channels}x{height}x{width} as in {}; --resize {width}x{height} makes all so",
            sources[0].path.display()
        );
        return Err(ReadError::new(&source.path, problem));
    }
    let values = values(&pictures, colour);
    let array = Array { sizes: vec![pictures.len(), channels, height, width], values };
    let mut raw = Raw {
        layout: "nchw".parse::<Layout>().ok(),
        pixels: true,
        files: Some(sources.iter().map(|source| source.name.clone()).collect()),
        notes: notes(&pictures, coloured, colour),
        ..Raw::new(&formats(&pictures), array)
    };
    let classes: Option<Vec<String>> = sources.iter().map(|source| source.class.clone()).collect();
    raw.labels = classes.map(|classes| ("sub-folders".to_owned(), RawLabels::Words(classes)));
    Ok(raw)
}

/// The values `[N,C,H,W]` in the deepest type that a picture has.
fn values(pictures: &[Picture], colour: bool) -> Stored {
    fn planes<T: Copy + Send + Sync>(
        pictures: &[Picture],
        channels: usize,
        of: impl Fn(&DynamicImage) -> Vec<T> + Sync,
    ) -> Vec<T> {
        let frame = |picture: &Picture| {
            let values = of(&picture.pixels);
            (0..channels).flat_map(|c| values.iter().skip(c).step_by(channels).copied().collect::<Vec<T>>()).collect()
        };
        let frames: Vec<Vec<T>> = pictures.par_iter().map(frame).collect();
        frames.concat()
    }
    let depth = |picture: &Picture| {
        let color = picture.pixels.color();
        color.bytes_per_pixel() / color.channel_count()
    };
    let channels = if colour { 3 } else { 1 };
    match (pictures.iter().map(depth).max(), colour) {
        (Some(1), false) => Stored::U8(planes(pictures, channels, |p| p.to_luma8().into_raw())),
        (Some(1), true) => Stored::U8(planes(pictures, channels, |p| p.to_rgb8().into_raw())),
        (Some(2), false) => Stored::U16(planes(pictures, channels, |p| p.to_luma16().into_raw())),
        (Some(2), true) => Stored::U16(planes(pictures, channels, |p| p.to_rgb16().into_raw())),
        (_, false) => Stored::F32(planes(pictures, channels, |p| p.to_luma32f().into_raw())),
        (_, true) => Stored::F32(planes(pictures, channels, |p| p.to_rgb32f().into_raw())),
    }
}

/// The formats of the pictures, with how many there are of each.
fn formats(pictures: &[Picture]) -> String {
    let mut counts = BTreeMap::new();
    pictures.iter().for_each(|picture| *counts.entry(format!("{:?}", picture.format)).or_insert(0usize) += 1);
    let named = |(format, count): (String, usize)| format!("{count} {}", format.to_uppercase());
    counts.into_iter().map(named).collect::<Vec<_>>().join(" and ")
}

/// What was done to pictures that the user may not expect.
fn notes(pictures: &[Picture], coloured: usize, colour: bool) -> Vec<String> {
    let count = |holds: fn(&Picture) -> bool| pictures.iter().filter(|picture| holds(picture)).count();
    let (transparent, turned) = (count(|picture| picture.transparent), count(|picture| picture.turned));
    let mut notes = Vec::new();
    if colour && coloured < pictures.len() {
        notes.push(format!("{} grey pictures taken as colour", pictures.len() - coloured));
    }
    if !colour && coloured > 0 {
        notes.push(format!("{coloured} colour pictures taken as grey"));
    }
    if transparent > 0 {
        notes.push(format!("{transparent} transparent pictures laid on their --background"));
    }
    let more = count(|picture| picture.more);
    if more > 0 {
        notes.push(format!("{more} files have several pictures, of which the first is taken"));
    }
    if turned > 0 {
        notes.push(format!("{turned} pictures turned as their EXIF data say"));
    }
    notes
}
