//! Whether a file of Arrow IPC holds what it says it holds: its reader makes room for that before it looks.

use arrow_ipc::{Block, Message, root_as_footer, root_as_message};

use super::super::ReadProblem;

/// Magic and length at the end of a file with a footer.
const TRAILER: usize = 10;
/// What a message of today begins with, before its length.
const MARKER: [u8; 4] = [0xff; 4];
/// Bytes of a length.
const LENGTH: usize = 4;
/// Most bytes that a compressed one can stand for: a block of Zstandard repeats one byte 128 KiB long in four, and LZ4 does
/// less.
const MOST_REPEATED: u64 = 1 << 15;
/// Bytes that a compressed buffer may have besides.
const SMALL: u64 = 1 << 20;

/// Checks the blocks that the footer of a file names.
///
/// # Errors
/// If one lies outside of the file or says that it unpacks to more than it can, or the footer is none.
pub fn of_file(bytes: &[u8]) -> Result<(), ReadProblem> {
    let damaged = || ReadProblem::from("damaged: its footer describes more than there is");
    let body = bytes.len().checked_sub(TRAILER).ok_or_else(damaged)?;
    let length = i32::from_le_bytes([bytes[body], bytes[body + 1], bytes[body + 2], bytes[body + 3]]);
    let start = usize::try_from(length).ok().and_then(|length| body.checked_sub(length)).ok_or_else(damaged)?;
    let footer = root_as_footer(&bytes[start..body]).map_err(|e| format!("damaged: {e}"))?;
    let [batches, dictionaries] = [footer.recordBatches(), footer.dictionaries()];
    for block in batches.iter().flatten().chain(dictionaries.iter().flatten()) {
        let (message, body) = parts(bytes, block).ok_or_else(damaged)?;
        let message = match message {
            [0xff, 0xff, 0xff, 0xff, ..] => message.get(MARKER.len() + LENGTH..),
            _ => message.get(LENGTH..),
        };
        let message = root_as_message(message.ok_or_else(damaged)?).map_err(|e| format!("damaged: {e}"))?;
        unpacked(message, body)?;
    }
    Ok(())
}

/// A message with what it begins with, and its body.
fn parts<'a>(bytes: &'a [u8], block: &Block) -> Option<(&'a [u8], &'a [u8])> {
    let rest = bytes.get(usize::try_from(block.offset()).ok()?..)?;
    let (message, rest) = rest.split_at_checked(usize::try_from(block.metaDataLength()).ok()?)?;
    Some((message, rest.get(..usize::try_from(block.bodyLength()).ok()?)?))
}

/// Checks the messages of a stream.
///
/// # Errors
/// If one is longer than the rest of the file or says that it unpacks to more than it can, or is none.
pub fn of_stream(bytes: &[u8]) -> Result<(), ReadProblem> {
    let mut rest = bytes;
    while let [0xff, 0xff, 0xff, 0xff, a, b, c, d, ..] = *rest {
        let length = i32::from_le_bytes([a, b, c, d]);
        let damaged = || ReadProblem::from("damaged: a message is longer than the rest of the file");
        let length = usize::try_from(length).map_err(|_| damaged())?;
        if length == 0 {
            break;
        }
        let after = rest.get(MARKER.len() + LENGTH..).unwrap_or_default();
        let (message, after) = after.split_at_checked(length).ok_or_else(damaged)?;
        let message = root_as_message(message).map_err(|e| format!("damaged: {e}"))?;
        let body = usize::try_from(message.bodyLength()).map_err(|_| damaged())?;
        let (body, after) = after.split_at_checked(body).ok_or_else(damaged)?;
        unpacked(message, body)?;
        rest = after;
    }
    Ok(())
}

/// Checks what the compressed buffers of a message say that they unpack to.
fn unpacked(message: Message<'_>, body: &[u8]) -> Result<(), ReadProblem> {
    let batch = message.header_as_record_batch();
    let batch = batch.or_else(|| message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data()));
    let Some(batch) = batch.filter(|batch| batch.compression().is_some()) else { return Ok(()) };
    for buffer in batch.buffers().iter().flatten() {
        let start = usize::try_from(buffer.offset()).ok().and_then(|offset| body.get(offset..));
        // Nothing is unpacked of a buffer that is not there, which the reader says, nor where the length is -1.
        let Some([a, b, c, d, e, f, g, h, ..]) = start else { continue };
        let claimed = u64::try_from(i64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h])).unwrap_or(0);
        let packed = u64::try_from(buffer.length()).unwrap_or(0).min(body.len() as u64);
        if claimed > MOST_REPEATED.saturating_mul(packed).saturating_add(SMALL) {
            return Err(format!("damaged: {packed} bytes say that they unpack to {claimed}").into());
        }
    }
    Ok(())
}
