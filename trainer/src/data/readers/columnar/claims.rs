//! Whether a file of Arrow IPC holds what it says it holds: its reader makes room for that before it looks.

use arrow_ipc::{Block, root_as_footer, root_as_message};

use super::super::ReadProblem;

/// Magic and length at the end of a file with a footer.
const TRAILER: usize = 10;
/// Marker and length before the description of a message.
const PREFIX: usize = 8;

/// Checks the blocks that the footer of a file names.
///
/// # Errors
/// If one lies outside of the file, or the footer is none.
pub fn of_file(bytes: &[u8]) -> Result<(), ReadProblem> {
    let damaged = || ReadProblem::from("damaged: its footer describes more than there is");
    let body = bytes.len().checked_sub(TRAILER).ok_or_else(damaged)?;
    let length = i32::from_le_bytes([bytes[body], bytes[body + 1], bytes[body + 2], bytes[body + 3]]);
    let start = usize::try_from(length).ok().and_then(|length| body.checked_sub(length)).ok_or_else(damaged)?;
    let footer = root_as_footer(&bytes[start..body]).map_err(|e| format!("damaged: {e}"))?;
    let ends = |block: &Block| {
        let lengths = [block.offset(), i64::from(block.metaDataLength()), block.bodyLength()];
        let lengths = lengths.map(|length| usize::try_from(length).ok());
        lengths.into_iter().try_fold(0usize, |sum, length| sum.checked_add(length?))
    };
    let [batches, dictionaries] = [footer.recordBatches(), footer.dictionaries()];
    match batches
        .iter()
        .flatten()
        .chain(dictionaries.iter().flatten())
        .all(|block| ends(block).is_some_and(|end| end <= bytes.len()))
    {
        true => Ok(()),
        false => Err(damaged()),
    }
}

/// Checks the messages of a stream.
///
/// # Errors
/// If one is longer than the rest of the file, or is none.
pub fn of_stream(bytes: &[u8]) -> Result<(), ReadProblem> {
    let mut rest = bytes;
    while let [0xff, 0xff, 0xff, 0xff, a, b, c, d, ..] = *rest {
        let length = i32::from_le_bytes([a, b, c, d]);
        let damaged = || ReadProblem::from("damaged: a message is longer than the rest of the file");
        let length = usize::try_from(length).map_err(|_| damaged())?;
        if length == 0 {
            break;
        }
        let message = rest.get(PREFIX..).and_then(|rest| rest.get(..length)).ok_or_else(damaged)?;
        let message = root_as_message(message).map_err(|e| format!("damaged: {e}"))?;
        let body = usize::try_from(message.bodyLength()).map_err(|_| damaged())?;
        let end = body.checked_add(PREFIX + length).ok_or_else(damaged)?;
        rest = rest.get(end..).ok_or_else(damaged)?;
    }
    Ok(())
}
