//! The section of the front end.

use super::error::Part;
use super::read::read_u32;
use super::rest::Rest;
use super::{FRONT_END_HEADER, FlashError};
use crate::frontend::CONSTANTS;
use crate::layer::MAX_UNITS;
use crate::{FrameShape, FrontEnd, LogMel, Spectral, Steps, Tone};

/// The kind of front end that is a spectrum.
pub(super) const SPECTRAL: u32 = 1;
/// The kind of front end that takes the colours from pictures.
pub(super) const TONE: u32 = 2;
/// The kind of front end that is bands of sound over time.
pub(super) const LOG_MEL: u32 = 3;
/// Words of the header that say something.
pub(super) const USED_WORDS: usize = 7;
const WRONG: FlashError = FlashError::Inconsistent("the front end does not fit the frames");

/// The front end of frames of a shape.
pub(super) fn read<'a>(bytes: &'a [u8], part: Part, shape: FrameShape) -> Result<FrontEnd<'a>, FlashError> {
    let (header, rest) = bytes.split_at_checked(FRONT_END_HEADER).ok_or(WRONG)?;
    let words: [u32; FRONT_END_HEADER / 4] = core::array::from_fn(|i| read_u32(header, 4 * i));
    if words.iter().skip(USED_WORDS).any(|word| *word != 0) {
        return Err(WRONG);
    }
    match words[0] {
        SPECTRAL if words.iter().skip(3).all(|word| *word == 0) => {
            spectral([words[1], words[2]], rest, part, shape).map(FrontEnd::Spectral)
        }
        LOG_MEL => {
            let [hop, count, pooled] = [words[3], words[4], words[5]].map(|word| word as usize);
            let steps = Steps { hop, count, pooled, rate: f32::from_bits(words[6]) };
            log_mel([words[1], words[2]], steps, rest, part, shape).map(FrontEnd::LogMel)
        }
        TONE if words.iter().skip(2).all(|word| *word == 0) && rest.is_empty() => {
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

fn log_mel<'a>(
    [length, bands]: [u32; 2],
    steps: Steps,
    rest: &'a [u8],
    part: Part,
    shape: FrameShape,
) -> Result<LogMel<'a>, FlashError> {
    if [length, bands].iter().any(|word| *word as usize > MAX_UNITS) {
        return Err(WRONG);
    }
    let mut rest = Rest { bytes: rest, part, wrong: WRONG };
    let window = rest.floats(length as usize)?;
    let constants = rest.floats(CONSTANTS * (shape.len() / shape.width.max(1)))?;
    let edges: &[u32] = bytemuck::try_cast_slice(rest.bytes).map_err(|_| WRONG)?;
    if edges.len() != bands as usize + 2 {
        return Err(WRONG);
    }
    LogMel::new(shape, steps, window, constants, edges).ok_or(WRONG)
}
