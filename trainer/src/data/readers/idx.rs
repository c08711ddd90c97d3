//! The IDX format of the MNIST files, gzipped or not.
//!
//! | bytes | content |
//! |---|---|
//! | 0..2 | zero |
//! | 2 | element type: 08 u8, 09 i8, 0B i16, 0C i32, 0D f32, 0E f64, big-endian |
//! | 3 | number of dimensions R |
//! | 4..4+4R | sizes, big-endian u32 |
//! | rest | values, row-major |

use std::borrow::Cow;
use std::io::Read;

use super::ReadProblem;
use super::labels::RawLabels;
use super::stored::{Array, Stored};

/// How a gzip stream begins.
pub const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// True if `bytes` start like an IDX file.
pub fn looks_like_idx(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0, 0x08 | 0x09 | 0x0b | 0x0c | 0x0d | 0x0e, ..])
}

/// Streams of gzip within each other that are unpacked.
const MOST_ZIPPED: usize = 3;

/// What a gzip stream holds, also one in another; other bytes are as they are.
pub fn unzipped(bytes: &[u8]) -> Result<Cow<'_, [u8]>, ReadProblem> {
    let mut bytes = Cow::Borrowed(bytes);
    for _ in 0..MOST_ZIPPED {
        if !bytes.starts_with(&GZIP_MAGIC) {
            break;
        }
        let mut out = Vec::new();
        flate2::read::MultiGzDecoder::new(&*bytes)
            .read_to_end(&mut out)
            .map_err(|source| ReadProblem::Gzip { bytes: out.len(), source })?;
        bytes = Cow::Owned(out);
    }
    Ok(bytes)
}

/// The array in the bytes of an IDX file.
pub fn parse(bytes: &[u8]) -> Result<Array, ReadProblem> {
    let bytes = unzipped(bytes)?;
    let header =
        bytes.get(..4).ok_or_else(|| format!("{} bytes, expected an IDX header of at least 4", bytes.len()))?;
    if !looks_like_idx(&bytes) {
        return Err(format!("byte 0: magic {header:02x?}, expected [00, 00, type, dimensions] of IDX").into());
    }
    let rank = usize::from(header[3]);
    let sizes = bytes
        .get(4..4 + 4 * rank)
        .ok_or_else(|| format!("file ends inside the {rank} sizes of its IDX header"))?
        .chunks_exact(4)
        .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize)
        .collect::<Vec<_>>();
    let rest = &bytes[4 + 4 * rank..];
    let width = match header[2] {
        0x0b => 2,
        0x0c | 0x0d => 4,
        0x0e => 8,
        _ => 1,
    };
    let expected = sizes.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
    if expected.and_then(|count| count.checked_mul(width)) != Some(rest.len()) {
        let expected = expected.map_or("more than memory holds".into(), |e| e.to_string());
        let (at, found) = (4 + 4 * rank, rest.len() as f64 / width as f64);
        return Err(format!("byte {at}: {found} values, expected {expected} for sizes {sizes:?}").into());
    }
    Ok(Array { sizes, values: values(header[2], rest) })
}

/// The values of an element type, from bytes that are whole values.
fn values(element: u8, bytes: &[u8]) -> Stored {
    fn each<const W: usize, T>(bytes: &[u8], of: impl Fn([u8; W]) -> T) -> Vec<T> {
        bytes.as_chunks().0.iter().map(|&value| of(value)).collect()
    }
    match element {
        0x09 => Stored::I8(each(bytes, i8::from_be_bytes)),
        0x0b => Stored::I16(each(bytes, i16::from_be_bytes)),
        0x0c => Stored::I32(each(bytes, i32::from_be_bytes)),
        0x0d => Stored::F32(each(bytes, f32::from_be_bytes)),
        0x0e => Stored::F64(each(bytes, f64::from_be_bytes)),
        _ => Stored::U8(bytes.to_vec()),
    }
}

/// The labels of an IDX file of one dimension `[N]`.
pub fn labels(bytes: &[u8]) -> Result<RawLabels, ReadProblem> {
    let array = parse(bytes)?;
    match array.sizes[..] {
        [_] => Ok(RawLabels::Numbers(array.values.wide())),
        _ => Err(format!("sizes {:?}, expected labels [N]", array.sizes).into()),
    }
}
