//! What the last bytes of a slot say of the model in it, for the day that the record is lost.
//!
//! ```text
//! version ~version checksum ~checksum 0xff..        u32, little-endian; 64 bytes
//! ```
//!
//! A word beside its complement tells any bit that turns, and every one that an erasure or a cut left.

use core::ops::Range;

use super::{MappedFlash, SlotError};

/// Bytes of a label, a multiple of what any flash writes at once.
pub(super) const BYTES: usize = 64;

/// The version of a model, and which model that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label {
    pub version: u32,
    /// Checksum of the model, see [`runtime::flash::FlashModel::checksum`].
    pub checksum: u32,
}

/// The label of a slot, if there is a whole one.
pub(super) fn read<F: MappedFlash>(flash: &F, slot: &Range<u32>) -> Option<Label> {
    let bytes = flash.mapped(slot.end.checked_sub(BYTES as u32)?..slot.end)?;
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(4 * at..4 * at + 4)?.try_into().ok()?));
    let label = Label { version: word(0)?, checksum: word(2)? };
    (word(1)? == !label.version && word(3)? == !label.checksum).then_some(label)
}

/// Labels a slot whose last page was erased before; one that says so already is left alone.
pub(super) async fn write<F: MappedFlash>(
    flash: &mut F,
    slot: &Range<u32>,
    label: Label,
) -> Result<(), SlotError<F::Error>> {
    if read(flash, slot) == Some(label) {
        return Ok(());
    }
    let mut bytes = [0xff; BYTES];
    let words = [label.version, !label.version, label.checksum, !label.checksum];
    bytes.iter_mut().zip(words.iter().flat_map(|word| word.to_le_bytes())).for_each(|(slot, byte)| *slot = byte);
    let at = slot.end.checked_sub(BYTES as u32).ok_or(SlotError::Layout)?;
    flash.write(at, &bytes).await.map_err(SlotError::Flash)
}
