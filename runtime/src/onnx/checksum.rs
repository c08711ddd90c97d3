//! The checksum of an exported ONNX file, since protobuf has none of its own.

use super::names::{CHECKSUM_DIGITS, CHECKSUM_KEY};

const CRC: crc::Crc<u32, crc::Table<16>> = crc::Crc::<u32, crc::Table<16>>::new(&crc::CRC_32_ISCSI);

/// The place of the checksum's key in a file, if it has one.
pub fn key_in(bytes: &[u8]) -> Option<usize> {
    let key = CHECKSUM_KEY.as_bytes();
    bytes.windows(key.len()).rposition(|window| window == key)
}

/// The place of the checksum's digits in a file, if it has one.
///
/// In protobuf the value follows its key with a tag byte and a length byte.
fn place_of(bytes: &[u8]) -> Option<usize> {
    let place = key_in(bytes)? + CHECKSUM_KEY.len() + 2;
    (place + CHECKSUM_DIGITS <= bytes.len()).then_some(place)
}

/// CRC-32C of the file with the digits at `place` read as `0`.
fn compute(bytes: &[u8], place: usize) -> u32 {
    let mut digest = CRC.digest();
    digest.update(&bytes[..place]);
    digest.update(&[b'0'; CHECKSUM_DIGITS]);
    digest.update(&bytes[place + CHECKSUM_DIGITS..]);
    digest.finalize()
}

/// Writes the checksum into an encoded model that has the key with eight digits as its value.
///
/// Returns false, and changes nothing, if the model has no such key.
pub fn write(bytes: &mut [u8]) -> bool {
    let Some(place) = place_of(bytes) else { return false };
    let digits = format!("{:08x}", compute(bytes, place));
    bytes[place..place + CHECKSUM_DIGITS].copy_from_slice(digits.as_bytes());
    true
}

/// Whether the checksum of a file is that of its bytes.
pub fn holds(bytes: &[u8]) -> bool {
    place_of(bytes).is_some_and(|place| {
        let digits = format!("{:08x}", compute(bytes, place));
        bytes[place..place + CHECKSUM_DIGITS] == *digits.as_bytes()
    })
}
