//! What the device knows of its slots, in flash.
//!
//! There are two copies, each a map of `sequential-storage` in its half of the range, and every
//! record has a number, one more than the one before: the later one counts. A record is written to
//! the copy with the earlier number, and read back; if it is not there, that copy is erased and written again. So the copy
//! that counts is never touched, whatever a cut of power, in a write or in an erasure, leaves of
//! the other. (The map alone outlives a torn write, but not every torn erasure: a page whose first
//! and last word read as erased is taken for an empty one, whatever is left in it.)
//!
//! Then it is written to the other copy, too, and a boot that finds the copies unlike does so first:
//! of a word that power was cut in, a bit may read one way now and the other way later, so what was
//! read once from a copy that may be torn must stand in one that is not before anyone acts on it.

use core::ops::Range;

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::map::{MapConfig, MapStorage};
use serde::{Deserialize, Serialize};

use super::SlotError;
use crate::summary::whole;

/// The only key of the map.
const KEY: u8 = 0;
/// Bytes that hold any record, with its key and padding to a word of flash.
const BUFFER: usize = 128;

/// A whole model in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Number of the slot, 0 or 1.
    pub slot: u8,
    /// Version that the model was staged with.
    pub version: u32,
    /// Length of the model, bytes.
    pub length: u32,
    /// Checksum of the model, see [`runtime::flash::FlashModel::checksum`].
    pub checksum: u32,
}

/// Content of the slot beside that of the confirmed model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Beside {
    /// Nothing that is known to be whole.
    #[default]
    Nothing,
    /// The model confirmed before.
    Previous(Stored),
    /// A model to boot.
    Next(Stored),
    /// A model that has been booted, and not confirmed since.
    Trial(Stored),
    /// A model to boot that is being looked at, or was when the device started anew.
    Tried {
        /// The model.
        model: Stored,
        /// Times that it has been looked at.
        attempts: u8,
    },
}

/// The record of both slots, which is replaced as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Model that was confirmed last.
    pub confirmed: Option<Stored>,
    /// Content of the other slot.
    pub beside: Beside,
}

/// The map in one half. [`super::Slots::new`] has checked that it fits.
fn map<F: NorFlash, E>(flash: &mut F, half: Range<u32>) -> Result<Map<'_, F>, SlotError<E>> {
    let config = MapConfig::try_new(half).map_err(|_| SlotError::Layout)?;
    Ok(MapStorage::new(flash, config, Cache::new_uncached()))
}

type Map<'f, F> = MapStorage<u8, &'f mut F, Cache<Uncached, Uncached, Uncached, u8>>;

/// Flash that is not written: the map repairs what it reads, and a copy that needs repair does not
/// count.
struct ReadOnly<'f, F>(&'f mut F);

/// Why a read-only flash refuses.
#[derive(Debug)]
enum Refused<E> {
    Flash(E),
    Write,
}

impl<E: NorFlashError> NorFlashError for Refused<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Flash(error) => error.kind(),
            Self::Write => NorFlashErrorKind::Other,
        }
    }
}

impl<F: NorFlash> ErrorType for ReadOnly<'_, F> {
    type Error = Refused<F::Error>;
}

impl<F: NorFlash> ReadNorFlash for ReadOnly<'_, F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.read(offset, bytes).await.map_err(Refused::Flash)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<F: NorFlash> NorFlash for ReadOnly<'_, F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    async fn erase(&mut self, _: u32, _: u32) -> Result<(), Self::Error> {
        Err(Refused::Write)
    }

    async fn write(&mut self, _: u32, _: &[u8]) -> Result<(), Self::Error> {
        Err(Refused::Write)
    }
}

/// The halves of the range, for a copy each.
fn halves(range: &Range<u32>) -> [Range<u32>; 2] {
    let middle = range.start + (range.end - range.start) / 2;
    [range.start..middle, middle..range.end]
}

/// The copy in one half; None if there is none that can be read as it is.
async fn fetch<F: NorFlash>(flash: &mut F, half: Range<u32>) -> Result<Option<(u32, Record)>, SlotError<F::Error>> {
    let mut buffer = [0; BUFFER];
    match map(&mut ReadOnly(flash), half)?.fetch_item::<&[u8]>(&mut buffer, &KEY).await {
        Ok(Some(bytes)) => Ok(whole(bytes).ok()),
        Err(sequential_storage::Error::Storage { value: Refused::Flash(error), .. }) => Err(SlotError::Flash(error)),
        Ok(None) | Err(_) => Ok(None),
    }
}

/// Whether a record of this number came after the other. Numbers go round: of the two copies one is a step ahead.
fn is_newer(number: u32, other: u32) -> bool {
    (1..1 << 31).contains(&number.wrapping_sub(other))
}

/// A copy of the record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub record: Record,
    number: u32,
    /// The half that it is in.
    half: usize,
    /// Whether the other half says the same. If not, power went between the two, and the cells of this one may be such that
    /// read otherwise another time.
    pub settled: bool,
}

/// The copy that counts; None if there has never been one, or both are lost.
pub(super) async fn load<F: NorFlash>(flash: &mut F, range: &Range<u32>) -> Result<Option<Kept>, SlotError<F::Error>> {
    let mut newest: Option<Kept> = None;
    for (at, half) in halves(range).into_iter().enumerate() {
        let Some((number, record)) = fetch(flash, half).await? else { continue };
        let settled = newest.is_some_and(|other| other.record == record);
        match &mut newest {
            Some(other) if !is_newer(number, other.number) => other.settled = settled,
            _ => newest = Some(Kept { record, number, half: at, settled }),
        }
    }
    Ok(newest)
}

/// Puts a record in the place of the one that counted, and of its copy, and gives back the one that counts now.
///
/// A cut may leave cells that read right now and wrong later: it takes both copies to lose the record so, and a cut leaves
/// no more than one of them.
pub(super) async fn store<F: NorFlash>(
    flash: &mut F,
    range: &Range<u32>,
    old: Option<Kept>,
    record: Record,
) -> Result<Kept, SlotError<F::Error>> {
    let first = put(flash, range, old, record).await?;
    let second = put(flash, range, Some(first), record).await?;
    Ok(Kept { settled: true, ..second })
}

/// Writes the copy that does not count, which then does.
async fn put<F: NorFlash>(
    flash: &mut F,
    range: &Range<u32>,
    old: Option<Kept>,
    record: Record,
) -> Result<Kept, SlotError<F::Error>> {
    let (number, half) = old.map_or((0, 0), |old| (old.number.wrapping_add(1), 1 - old.half.min(1)));
    let kept = Kept { record, number, half, settled: false };
    let [first, second] = halves(range);
    let place = if half == 0 { first } else { second };
    // What the flash says here may be what a cut left, so it does not count yet.
    if matches!(write(flash, place.clone(), (number, record)).await, Ok(true)) {
        return Ok(kept);
    }
    flash.erase(place.start, place.end).await.map_err(SlotError::Flash)?;
    if write(flash, place, (number, record)).await? { Ok(kept) } else { Err(SlotError::Record) }
}

/// Writes a copy; whether it can be read back.
async fn write<F: NorFlash>(flash: &mut F, half: Range<u32>, copy: (u32, Record)) -> Result<bool, SlotError<F::Error>> {
    let (mut bytes, mut buffer) = ([0; BUFFER / 2], [0; BUFFER]);
    let bytes: &[u8] = postcard::to_slice(&copy, &mut bytes).map_err(|_| SlotError::Record)?;
    map(flash, half.clone())?.store_item(&mut buffer, &KEY, &bytes).await?;
    Ok(fetch(flash, half).await? == Some(copy))
}

#[cfg(all(test, feature = "host"))]
mod tests {
    use embassy_futures::block_on;

    use super::{Beside, Kept, Record, Stored, load, store};
    use crate::host::flash::SimFlash;

    /// A number that only grew would end at the last one, and then the first copy would count for ever.
    #[test]
    fn the_newest_record_counts_when_numbers_go_round() {
        let (range, mut flash) = (0..4 * 4096, SimFlash::<4, 4096>::new(4, 0));
        let record = |version| {
            let model = Stored { slot: 0, version, length: 64, checksum: version };
            Record { confirmed: Some(model), beside: Beside::Nothing }
        };
        let before = Kept { record: record(0), number: u32::MAX - 6, half: 1, settled: true };
        let mut kept = block_on(store(&mut flash, &range, Some(before), record(0))).unwrap();
        for version in 1..10 {
            kept = block_on(store(&mut flash, &range, Some(kept), record(version))).unwrap();
            let found = block_on(load(&mut flash, &range)).unwrap().unwrap();
            assert_eq!((found.record, found.number, found.half), (record(version), kept.number, kept.half));
        }
        assert_eq!(kept.number, 13);
    }
}
