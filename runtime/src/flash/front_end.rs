//! The section of the front end.

use super::error::Part;
use super::read::read_u32;
use super::rest::Rest;
use super::{FRONT_END_HEADER, FlashError};
use crate::frontend::CONSTANTS;
use crate::layer::MAX_UNITS;
use crate::{FrameShape, FrontEnd, Spectral, Tone};

/// The kind of front end that is a spectrum.
pub(super) const SPECTRAL: u32 = 1;
/// The kind of front end that takes the colours from pictures.
pub(super) const TONE: u32 = 2;
/// Words of the header that say something.
const USED_WORDS: usize = 3;
const WRONG: FlashError = FlashError::Inconsistent("the front end does not fit the frames");

/// The front end of frames of a shape.
pub(super) fn read<'a>(bytes: &'a [u8], part: Part, shape: FrameShape) -> Result<FrontEnd<'a>, FlashError> {
    let (header, rest) = bytes.split_at_checked(FRONT_END_HEADER).ok_or(WRONG)?;
    let words: [u32; FRONT_END_HEADER / 4] = core::array::from_fn(|i| read_u32(header, 4 * i));
    if words.iter().skip(USED_WORDS).any(|word| *word != 0) {
        return Err(WRONG);
    }
    match words[0] {
        SPECTRAL => spectral([words[1], words[2]], rest, part, shape).map(FrontEnd::Spectral),
        TONE if words[2] == 0 && rest.is_empty() => {
            Tone::new(shape, f32::from_bits(words[1])).map(FrontEnd::Tone).ok_or(WRONG)
        }
        _ => Err(WRONG),
    }
}

fn spectral<'a>(
    [length, bands]: [u32; 2],
    rest: &'a [u8],
    part: Part,
    shape: FrameShape,
) -> Result<Spectral<'a>, FlashError> {
    if bands as usize > MAX_UNITS {
        return Err(WRONG);
    }
    let mut rest = Rest { bytes: rest, part, wrong: WRONG };
    let window = rest.floats(shape.width)?;
    // Not 0, or the header would have been refused.
    let constants = rest.floats(CONSTANTS * (shape.len() / shape.width.max(1)))?;
    let edges = bytemuck::try_cast_slice(rest.bytes).map_err(|_| WRONG)?;
    if edges.len() != bands as usize + 1 {
        return Err(WRONG);
    }
    Spectral::new(shape, length as usize, window, constants, edges).ok_or(WRONG)
}
