//! The text of a table, whatever its encoding.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::super::ReadProblem;
use super::super::idx::unzipped;
use super::super::known::INPUTS;

/// The text in the bytes of a table, gzipped or not, and its encoding if that is not UTF-8.
///
/// By its byte-order mark, else UTF-16 if every other byte is zero, else UTF-8 if it is that, else Windows-1252, of which
/// Latin-1 is a part.
pub fn decoded(bytes: &[u8], asked: Option<&str>) -> Result<(String, Option<&'static str>), ReadProblem> {
    let bytes = unzipped(bytes)?;
    let encoding = match (asked, Encoding::for_bom(&bytes)) {
        (Some(name), _) => Encoding::for_label(name.as_bytes())
            .ok_or_else(|| format!("--encoding {name}: unknown; utf-8, utf-16le, utf-16be, windows-1252 are known"))?,
        (None, Some((encoding, _))) => encoding,
        (None, None) => guess(&bytes),
    };
    let (text, _, damaged) = encoding.decode(&bytes);
    if damaged {
        return Err(format!("is no text in {}; say --encoding NAME", encoding.name()).into());
    }
    if text.contains('\0') {
        return Err(format!("holds zero bytes, so it is no text; inputs are {INPUTS}").into());
    }
    Ok((text.into_owned(), (encoding != UTF_8).then_some(encoding.name())))
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    let sample = &bytes[..bytes.len().min(1000) & !1];
    let zeros = |parity: usize| sample.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count();
    // Of text in the letters of ASCII one byte of two is zero; a quarter leaves room for others.
    let many = sample.len() / 4;
    match () {
        () if many > 0 && zeros(1) > many && zeros(0) == 0 => UTF_16LE,
        () if many > 0 && zeros(0) > many && zeros(1) == 0 => UTF_16BE,
        () if std::str::from_utf8(bytes).is_ok() => UTF_8,
        () => WINDOWS_1252,
    }
}
