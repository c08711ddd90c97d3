//! The IDX format of the MNIST files, gzipped or not.
//!
//! | bytes | content |
//! |---|---|
//! | 0..2 | zero |
//! | 2 | element type; 0x08 is u8, the only one read here |
//! | 3 | number of dimensions R |
//! | 4..4+4R | sizes, big-endian u32 |
//! | rest | values, row-major |

use std::io::Read;

use super::ReadProblem;
use super::value::Value;
use crate::data::Frames;
use crate::frame::FrameShape;

const U8_ELEMENTS: u8 = 0x08;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// An array of bytes, as an IDX file holds it.
pub struct IdxArray {
    /// Size of each dimension, the outermost first.
    pub sizes: Vec<usize>,
    /// The values, row-major.
    pub values: Vec<u8>,
}

/// True if `bytes` start like a gzip or an IDX file.
pub fn looks_like_idx(bytes: &[u8]) -> bool {
    bytes.starts_with(&GZIP_MAGIC) || bytes.starts_with(&[0, 0, U8_ELEMENTS])
}

/// The array in the bytes of an IDX file.
pub fn parse(bytes: &[u8]) -> Result<IdxArray, ReadProblem> {
    let unzipped;
    let bytes = if bytes.starts_with(&GZIP_MAGIC) {
        let mut out = Vec::new();
        flate2::read::MultiGzDecoder::new(bytes)
            .read_to_end(&mut out)
            .map_err(|source| ReadProblem::Gzip { bytes: out.len(), source })?;
        unzipped = out;
        &unzipped[..]
    } else {
        bytes
    };
    let header =
        bytes.get(..4).ok_or_else(|| format!("{} bytes, expected an IDX header of at least 4", bytes.len()))?;
    if header[..2] != [0, 0] || header[2] != U8_ELEMENTS {
        return Err(format!("byte 0: magic {header:02x?}, expected [00, 00, 08, dimensions] (IDX of bytes)").into());
    }
    let rank = usize::from(header[3]);
    let sizes = bytes
        .get(4..4 + 4 * rank)
        .ok_or_else(|| format!("file ends inside the {rank} sizes of its header"))?
        .chunks_exact(4)
        .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize)
        .collect::<Vec<_>>();
    let values = &bytes[4 + 4 * rank..];
    let expected = sizes.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
    if expected != Some(values.len()) {
        let expected = expected.map_or("more than memory holds".into(), |e| e.to_string());
        let (at, found) = (4 + 4 * rank, values.len());
        return Err(format!("byte {at}: {found} values, expected {expected} for sizes {sizes:?}").into());
    }
    Ok(IdxArray { sizes, values: values.to_vec() })
}

/// Frames of an IDX file of images, `[N,H,W]` or `[N,C,H,W]`.
pub fn frames<T: Value>(bytes: &[u8]) -> Result<Frames<T>, ReadProblem> {
    let array = parse(bytes)?;
    let (channels, height, width) = match array.sizes[..] {
        [_, h, w] => (1, h, w),
        [_, c, h, w] => (c, h, w),
        _ => return Err(format!("sizes {:?}, expected images [N,H,W] or [N,C,H,W]", array.sizes).into()),
    };
    let values = array.values.iter().map(|&v| T::of_byte(v)).collect();
    Ok(Frames { shape: FrameShape { channels, height, width }, values, labels: None })
}

/// The labels of an IDX file of one dimension `[N]`.
pub fn labels(bytes: &[u8]) -> Result<Vec<u32>, ReadProblem> {
    let array = parse(bytes)?;
    match array.sizes[..] {
        [_] => Ok(array.values.iter().map(|&v| u32::from(v)).collect()),
        _ => Err(format!("sizes {:?}, expected labels [N]", array.sizes).into()),
    }
}
