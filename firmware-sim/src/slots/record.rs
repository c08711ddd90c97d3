//! What the device knows of its slots, in flash.

use core::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;
use sequential_storage::cache::Cache;
use sequential_storage::map::{MapConfig, MapStorage};
use serde::{Deserialize, Serialize};

use super::SlotError;

/// The only key of the map.
const KEY: u8 = 0;
/// Longer than any record, key and padding to a word of flash included.
const BUFFER: usize = 128;

/// A whole model in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// 0 or 1.
    pub slot: u8,
    /// The version it was staged with.
    pub version: u32,
    /// Bytes.
    pub length: u32,
    /// See [`runtime::image::Image::checksum`].
    pub checksum: u32,
}

/// What the slot beside that of the confirmed model holds.
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
}

/// The record. It is replaced as a whole, so that a cut of power leaves the old or the new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The model that was confirmed last.
    pub confirmed: Option<Stored>,
    /// What the other slot holds.
    pub beside: Beside,
}

fn map<F: NorFlash>(
    flash: &mut F,
    range: Range<u32>,
) -> Result<MapStorage<u8, &mut F, impl sequential_storage::cache::CacheImpl<u8>>, SlotError<F::Error>> {
    let config = MapConfig::try_new(range).map_err(|_| SlotError::Layout)?;
    Ok(MapStorage::new(flash, config, Cache::new_uncached()))
}

/// The record in `range`; None if there has never been one, or it is lost.
pub(super) async fn load<F: NorFlash>(flash: &mut F, range: Range<u32>) -> Result<Option<Record>, SlotError<F::Error>> {
    let mut buffer = [0; BUFFER];
    let found = map(flash, range)?.fetch_item::<&[u8]>(&mut buffer, &KEY).await;
    match found {
        Ok(None) => Ok(None),
        Ok(Some(bytes)) => postcard::from_bytes(bytes).map(Some).map_err(|_| SlotError::Record),
        Err(error) => Err(error.into()),
    }
}

/// Replaces the record in `range`.
pub(super) async fn store<F: NorFlash>(
    flash: &mut F,
    range: Range<u32>,
    record: &Record,
) -> Result<(), SlotError<F::Error>> {
    let (mut bytes, mut buffer) = ([0; BUFFER / 2], [0; BUFFER]);
    let bytes: &[u8] = postcard::to_slice(record, &mut bytes).map_err(|_| SlotError::Record)?;
    map(flash, range)?.store_item(&mut buffer, &KEY, &bytes).await.map_err(SlotError::from)
}

/// Empties `range`, where a record cannot be read.
pub(super) async fn clear<F: NorFlash>(flash: &mut F, range: Range<u32>) -> Result<(), SlotError<F::Error>> {
    flash.erase(range.start, range.end).await.map_err(SlotError::Flash)
}
