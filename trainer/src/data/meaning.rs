//! What stored values are taken for: which axis is what, what a frame is, how values are scaled.

use super::layout::{Layout, Reading};
use super::manner::Manner;
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
    /// How the frames were read that the model was fitted to, if it says so.
    pub manner: Option<Manner>,
}

impl Expected {
    /// Whether an array of these sizes is read by this layout as frames that are expected.
    pub(super) fn fits(&self, layout: &Layout, sizes: &[usize]) -> bool {
        let reading = Reading::of(layout, sizes);
        reading.is_ok_and(|reading| self.shape.is_some_and(|shape| same_frames(shape, &reading)))
    }
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
    /// Whether that was asked for, and does not only follow from the format.
    pub asked: bool,
    /// The stored value that counts as 1.
    pub white: Option<f64>,
    /// Whether the format is one of pictures.
    pub pixels: bool,
    /// Names of the columns of rows, if they have any.
    pub columns: Option<&'a [String]>,
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
        let rows = reading.kind == FrameKind::Features && sizes.len() == 2;
        let squares = if rows { squares(&reading, (values, range), &said, expected)? } else { None };
        let reading = match squares {
            Some(layout) => Reading::of(&layout, sizes)?,
            None => spelled(reading, expected),
        };
        let kind = expected.kind.unwrap_or(reading.kind);
        if let (Some(layout), Some(_)) = (said.layout, expected.shape)
            && reading.kind != kind
            && reading.kind != FrameKind::Features
        {
            return Err(
                format!("--layout {layout} makes {} of the frames, the model takes {kind}", reading.kind).into()
            );
        }
        let kept = expected.manner.as_ref().and_then(|manner| manner.white(values));
        if let (Some(white), Some(kept)) = (said.white, kept)
            && white != kept
        {
            return Err(format!("--white {white}: the model was fitted to frames whose white was {kept}").into());
        }
        // A model that is used to values as they are gets them so.
        let as_they_are = expected.manner.as_ref().is_some_and(|manner| manner.white.is_none());
        let as_pixels = sizes.len() == 2 && !as_they_are && is_bytes(values, range)?;
        let by_type = values.white().or(as_pixels.then_some(BYTE));
        let white = said.white.or(kept).or_else(|| by_type.filter(|_| kind == FrameKind::Image));
        Ok(Self { reading, kind, white })
    }
}

/// White where pixels are bytes, whatever type they are written as.
const BYTE: f64 = 255.0;
/// Rows of so many bytes are pictures of digits, or of what else comes in their form.
const DIGIT: usize = 28 * 28;

/// Whether numbers are those of bytes, and more than a truth value.
fn is_bytes(values: &Values, range: Option<(f64, f64)>) -> Result<bool, ReadProblem> {
    let in_range = range.is_some_and(|(least, most)| least >= 0.0 && most > 1.0 && most <= BYTE);
    Ok(in_range && values.is_whole().map_err(|e| e.problem)?)
}

/// The layout of rows that are square pictures beyond doubt: their columns are called pixels, or are as many as those of
/// MNIST, and hold bytes.
fn squares(
    rows: &Reading,
    (values, range): (&Values, Option<(f64, f64)>),
    said: &Said,
    expected: &Expected,
) -> Result<Option<Layout>, ReadProblem> {
    let count = rows.shape.len();
    let side = count.isqrt();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let pixel = |name: &String| {
        let name = name.to_ascii_lowercase();
        let rest =
            name.strip_prefix("pixel").or(name.strip_prefix("px")).map(|rest| rest.trim_start_matches(['_', ' ']));
        rest.is_some_and(digits) || name.split_once('x').is_some_and(|(row, column)| digits(row) && digits(column))
    };
    let named = count > 1 && said.columns.is_some_and(|names| names.iter().all(pixel));
    let free = !said.asked && expected.shape.is_none() && expected.kind.is_none_or(|kind| kind == FrameKind::Image);
    let sure = free && side * side == count && (named || count == DIGIT) && is_bytes(values, range)?;
    Ok(sure.then(|| format!("nhw:{side}x{side}").parse().ok()).flatten())
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
