//! What stored values are taken for: which axis is what, what a frame is, how values are scaled.

use super::layout::{Layout, Reading};
use super::readers::{ReadProblem, Values};
use crate::frame::{FrameKind, FrameShape};

/// What is known of frames before they are read: by the settings, or by the model that they are for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    /// What a frame is.
    pub kind: Option<FrameKind>,
    /// Shape of a frame.
    pub shape: Option<FrameShape>,
    /// Names of the features, in the order that the model takes them in.
    pub columns: Option<Vec<String>>,
}

/// What the values of an array are taken for.
#[derive(Clone, Debug, PartialEq)]
pub struct Meaning {
    /// The way from the array to frames.
    pub reading: Reading,
    /// What a frame is.
    pub kind: FrameKind,
    /// The stored value that becomes 1; None: values are kept as they are.
    pub white: Option<f64>,
}

/// What was said of the values on the command line, and by their format.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said<'a> {
    /// The meaning of the axes.
    pub layout: Option<&'a Layout>,
    /// The stored value that counts as 1.
    pub white: Option<f64>,
    /// Whether the format is one of pictures.
    pub pixels: bool,
}

impl Meaning {
    /// What an array of these sizes and values is taken for; `range` is the least and the greatest of them.
    ///
    /// # Errors
    /// If it may mean several things, with the options that decide, or nothing that is known.
    pub fn of(
        sizes: &[usize],
        values: &Values,
        range: Option<(f64, f64)>,
        said: Said,
        expected: &Expected,
    ) -> Result<Self, ReadProblem> {
        if let Some(white) = said.white.filter(|white| !(white.is_finite() && *white > 0.0)) {
            return Err(format!("--white {white}, expected a number above 0").into());
        }
        let reading = match said.layout {
            Some(layout) => Reading::of(layout, sizes)?,
            None => guess(sizes, values, range, said.pixels, expected)?,
        };
        let reading = spelled(reading, expected);
        let kind = expected.kind.unwrap_or(reading.kind);
        let white = said.white.or_else(|| values.white().filter(|_| kind == FrameKind::Image));
        Ok(Self { reading, kind, white })
    }
}

/// The one reading that there is, or that fits what is expected.
fn guess(
    sizes: &[usize],
    values: &Values,
    range: Option<(f64, f64)>,
    pixels: bool,
    expected: &Expected,
) -> Result<Reading, String> {
    let unit = range.is_some_and(|(least, most)| least >= 0.0 && most <= 1.0);
    let pixels = pixels || values.white().is_some() || (sizes.len() > 2 && unit);
    let guesses = Reading::guesses(sizes, pixels);
    if let ([one], [_, _, ..]) = (&guesses[..], sizes) {
        return Ok(one.clone());
    }
    let shape = |reading: &&Reading| expected.shape.is_some_and(|shape| same_frames(shape, reading));
    let kind = |reading: &&Reading| expected.kind.is_none_or(|kind| kind == reading.kind);
    let known = expected.shape.is_some() || expected.kind.is_some();
    let fitting: Vec<&Reading> = match expected.shape {
        Some(_) => guesses.iter().filter(shape).filter(kind).collect(),
        None => guesses.iter().filter(kind).collect(),
    };
    match (&fitting[..], &guesses[..]) {
        ([one], _) if known => Ok((*one).clone()),
        // Of a kind that the shape does not stand for: the values are the same.
        ([one, ..], _) if known && fitting.iter().all(|other| other.order == one.order) => Ok((*one).clone()),
        (_, []) => Err(format!("shape {sizes:?}, expected [N,F], [N,H,W], [N,C,H,W], [N,H,W,C], [N,C,T] or [N,T,C]")),
        (_, [one]) => Err(format!("shape {sizes:?}, expected [N,F] or more axes; is it {}?", one.offer())),
        (_, several) => {
            let offers: Vec<String> = several.iter().map(Reading::offer).collect();
            Err(format!("shape {sizes:?} may be {}", offers.join(" or ")))
        }
    }
}

/// Whether a reading gives frames of this shape; windows have two spellings.
fn same_frames(shape: FrameShape, reading: &Reading) -> bool {
    shape == reading.shape || (reading.kind == FrameKind::Window && shape == flat(reading.shape))
}

/// `[C,1,W]` as `[1,C,W]`.
fn flat(shape: FrameShape) -> FrameShape {
    FrameShape { channels: 1, height: shape.channels, width: shape.width }
}

/// The reading with the shape spelled as the model has it.
fn spelled(reading: Reading, expected: &Expected) -> Reading {
    match expected.shape {
        Some(shape) if same_frames(shape, &reading) => Reading { shape, ..reading },
        // Rows that are the frames of another shape one after the other, as a table of pixels is.
        Some(shape) if reading.kind == FrameKind::Features && reading.shape.len() == shape.len() => {
            Reading { shape, ..reading }
        }
        _ => reading,
    }
}
