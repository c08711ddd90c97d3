//! The checksum of an exported ONNX model, which protobuf itself has none of.

use super::names::{CHECKSUM_DIGITS, CHECKSUM_KEY};

const CRC: crc::Crc<u32, crc::Table<16>> = crc::Crc::<u32, crc::Table<16>>::new(&crc::CRC_32_ISCSI);

/// Where the digits of the checksum stand in a file, if it has one.
///
/// In protobuf the value follows its key with a tag byte and a length byte.
fn place_of(bytes: &[u8]) -> Option<usize> {
    let key = CHECKSUM_KEY.as_bytes();
    let at = bytes.windows(key.len()).rposition(|window| window == key)?;
    let place = at + key.len() + 2;
    (place + CHECKSUM_DIGITS <= bytes.len()).then_some(place)
}

fn compute(bytes: &[u8], place: usize) -> u32 {
    let mut digest = CRC.digest();
    digest.update(&bytes[..place]);
    digest.update(&[b'0'; CHECKSUM_DIGITS]);
    digest.update(&bytes[place + CHECKSUM_DIGITS..]);
    digest.finalize()
}

/// Writes the checksum into an encoded model that has the key with eight digits as its value.
///
/// Returns false if it has not.
pub fn write(bytes: &mut [u8]) -> bool {
    let Some(place) = place_of(bytes) else { return false };
    let digits = format!("{:08x}", compute(bytes, place));
    bytes[place..place + CHECKSUM_DIGITS].copy_from_slice(digits.as_bytes());
    true
}

/// True if the file is as it was written.
pub fn holds(bytes: &[u8]) -> bool {
    place_of(bytes).is_some_and(|place| {
        let digits = format!("{:08x}", compute(bytes, place));
        bytes[place..place + CHECKSUM_DIGITS] == *digits.as_bytes()
    })
}
