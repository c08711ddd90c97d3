//! Checksums that hold again after an image was changed, for tests that look past them: written after the format's page
//! alone, so that it is also a second opinion on it.

/// CRC-32C (RFC 3720).
fn crc(parts: &[&[u8]]) -> u32 {
    !parts.iter().copied().flatten().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 })
    })
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize)
}

/// Makes the checksums of sections and header hold. Bytes that have no sections are left alone.
pub fn repair(bytes: &mut [u8]) {
    let Some(table_end) = table_end(bytes) else { return };
    for entry in (64..table_end).step_by(16) {
        let range = word(bytes, entry).zip(word(bytes, entry + 4));
        let content = range.and_then(|(from, length)| bytes.get(from..from.checked_add(length)?));
        if let Some(sum) = content.map(|content| crc(&[content])) {
            bytes[entry + 8..entry + 12].copy_from_slice(&sum.to_le_bytes());
        }
    }
    let sum = crc(&[&bytes[..60], &bytes[64..table_end]]);
    bytes[60..64].copy_from_slice(&sum.to_le_bytes());
}

/// Four sections, one a layer, and one for every flag but the lowest of words 8 and 9.
fn table_end(bytes: &[u8]) -> Option<usize> {
    let [values, heads, layers] = [8, 9, 10].map(|at| word(bytes, 4 * at));
    let optional = [values?, heads?].map(|flags| (flags >> 1).count_ones() as usize);
    let sections = layers?.checked_add(4 + optional[0] + optional[1])?;
    let end = sections.checked_mul(16)?.checked_add(64)?;
    (end <= bytes.len()).then_some(end)
}
