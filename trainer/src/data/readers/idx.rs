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
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::ReadProblem;
use super::in_files::{Element, ElementKind, InFiles};
use super::labels::RawLabels;
use super::stored::Array;
use super::values::Values;

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
    let (element, sizes) = header(&bytes)?;
    let at = 4 + 4 * sizes.len();
    let (rest, width) = (&bytes[at..], element.width());
    let expected = sizes.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
    if expected.and_then(|count| count.checked_mul(width)) != Some(rest.len()) {
        let expected = expected.map_or("more than memory holds".into(), |e| e.to_string());
        let found = rest.len() as f64 / width as f64;
        return Err(format!("byte {at}: {found} values, expected {expected} for sizes {sizes:?}").into());
    }
    Ok(Array { sizes, values: element.decode(rest) })
}

/// Sizes and values of an IDX file whose values stay there; None if they are too few, or not as many as it says.
pub fn in_place(path: &Path) -> Result<Option<(Vec<usize>, Values)>, ReadProblem> {
    let mut start = Vec::new();
    let mut file = File::open(path)?;
    file.by_ref().take(MOST_HEADER).read_to_end(&mut start)?;
    let Ok((element, sizes)) = header(&start) else { return Ok(None) };
    let offset = 4 + 4 * sizes.len() as u64;
    let Some(count) = sizes.iter().try_fold(1usize, |a, &b| a.checked_mul(b)) else { return Ok(None) };
    let bytes = (count as u64).checked_mul(element.width() as u64).and_then(|bytes| bytes.checked_add(offset));
    if bytes != Some(file.metadata()?.len()) {
        return Ok(None);
    }
    Ok(InFiles::new(path, element, offset, count)?.map(|files| (sizes, Values::Files(files))))
}

/// Bytes of the longest header.
const MOST_HEADER: u64 = 4 + 4 * u8::MAX as u64;

/// Element type and sizes, by the first bytes of a file.
fn header(bytes: &[u8]) -> Result<(Element, Vec<usize>), ReadProblem> {
    let start = bytes.get(..4).ok_or_else(|| format!("{} bytes, expected an IDX header of at least 4", bytes.len()))?;
    if !looks_like_idx(bytes) {
        return Err(format!("byte 0: magic {start:02x?}, expected [00, 00, type, dimensions] of IDX").into());
    }
    let rank = usize::from(start[3]);
    let sizes = bytes
        .get(4..4 + 4 * rank)
        .ok_or_else(|| format!("file ends inside the {rank} sizes of its IDX header"))?
        .chunks_exact(4)
        .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize)
        .collect::<Vec<_>>();
    let kind = match start[2] {
        0x09 => ElementKind::I8,
        0x0b => ElementKind::I16,
        0x0c => ElementKind::I32,
        0x0d => ElementKind::F32,
        0x0e => ElementKind::F64,
        _ => ElementKind::U8,
    };
    Ok((Element { kind, big_endian: true }, sizes))
}

/// The labels of an IDX file of one dimension `[N]`.
pub fn labels(bytes: &[u8]) -> Result<RawLabels, ReadProblem> {
    let array = parse(bytes)?;
    match array.sizes[..] {
        [_] => Ok(RawLabels::Numbers(array.values.wide())),
        _ => Err(format!("sizes {:?}, expected labels [N]", array.sizes).into()),
    }
}
