//! Why an operation on the slots failed.

use runtime::flash::FlashError;
use runtime::native::EngineError;

/// Reason why an operation on the slots failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotError<E> {
    /// The flash has failed; this is its own error.
    #[error("the flash failed: {0:?}")]
    Flash(E),
    /// The layout does not fit the flash.
    #[error("slots and record must be apart, inside the flash, at multiples of its erase size; the record needs four")]
    Layout,
    /// The record cannot be read or written.
    #[error("the record of the slots is damaged, or its flash is worn out")]
    Record,
    /// The image is longer than a slot, or its bytes are not as many as announced.
    #[error("{found} bytes, where {expected} fit or were announced")]
    Length {
        /// Bytes announced, or those of a slot.
        expected: u32,
        /// Bytes that were given.
        found: u32,
    },
    /// A part of an image, but the last, is no whole number of 64 bytes.
    #[error("an image is written in parts of a multiple of 64 bytes")]
    Part,
    /// The version is not above the confirmed one.
    #[error("version {found} is not above version {confirmed}, which is confirmed; force it to go back")]
    Version {
        /// Version of the confirmed model.
        confirmed: u32,
        /// Version that was given.
        found: u32,
    },
    /// The bytes are no image.
    #[error(transparent)]
    Image(#[from] FlashError),
    /// The image's golden frame does not give its golden answer, or there is too little scratch
    /// memory.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An operation out of order.
    #[error("{0}")]
    Order(&'static str),
}

impl<E> From<sequential_storage::Error<E>> for SlotError<E> {
    fn from(error: sequential_storage::Error<E>) -> Self {
        match error {
            sequential_storage::Error::Storage { value, .. } => Self::Flash(value),
            _ => Self::Record,
        }
    }
}
