//! What is left of a section while it is read from its begin to its end.

use super::FlashError;
use super::error::Part;
use super::read::finite;

/// The part of a section that is not read yet.
pub(super) struct Rest<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// The section, for the error of a number that is not finite.
    pub part: Part,
    /// The error of a section that is too short.
    pub wrong: FlashError,
}

impl<'a> Rest<'a> {
    /// The next `count` values, all finite.
    pub fn floats(&mut self, count: usize) -> Result<&'a [f32], FlashError> {
        let bytes = self.take(count.checked_mul(size_of::<f32>()))?;
        let values = bytemuck::try_cast_slice(bytes).map_err(|_| self.wrong)?;
        if finite(values, &[]) { Ok(values) } else { Err(FlashError::NotFinite(self.part)) }
    }

    /// The next `count` f16 weights, all finite; None is more than can be counted.
    pub fn weights(&mut self, count: Option<usize>) -> Result<&'a [u16], FlashError> {
        let bytes = self.take(count.and_then(|count| count.checked_mul(size_of::<u16>())))?;
        let weights = bytemuck::try_cast_slice(bytes).map_err(|_| self.wrong)?;
        if finite(&[], weights) { Ok(weights) } else { Err(FlashError::NotFinite(self.part)) }
    }

    fn take(&mut self, length: Option<usize>) -> Result<&'a [u8], FlashError> {
        let (bytes, rest) = length.and_then(|length| self.bytes.split_at_checked(length)).ok_or(self.wrong)?;
        self.bytes = rest;
        Ok(bytes)
    }
}
