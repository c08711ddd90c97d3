//! Sound and vibration: WAV, whose samples come with their rate.

use std::io::Cursor;

use hound::{SampleFormat, WavReader, WavSpec};

use super::super::ReadProblem;
use super::super::raw::Raw;
use super::super::stored::Stored;

/// True for the bytes of a WAV file.
pub fn is_wav(bytes: &[u8]) -> bool {
    bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WAVE")
}

/// The samples `[T,C]` of a WAV file, of integers as shares of full scale, and their rate.
///
/// # Errors
/// If it is damaged, ends early, or is compressed.
pub fn read(bytes: Vec<u8>) -> Result<Raw, ReadProblem> {
    let problem = |e: hound::Error| match e {
        hound::Error::IoError(e) => format!("WAV ends early or is damaged: {e}"),
        hound::Error::Unsupported => {
            "WAV of a kind that is not read; PCM of 8 to 32 bits and floats of 32 are".to_owned()
        }
        other => format!("WAV is damaged: {other}"),
    };
    let reader = WavReader::new(Cursor::new(bytes)).map_err(problem)?;
    let WavSpec { channels, sample_rate, bits_per_sample, sample_format } = reader.spec();
    // Of whatever depth, full scale is 1.
    let full = (f64::from(bits_per_sample) - 1.0).exp2() as f32;
    let values: Result<Vec<f32>, hound::Error> = match sample_format {
        SampleFormat::Float => reader.into_samples::<f32>().collect(),
        SampleFormat::Int => reader.into_samples::<i32>().map(|value| Ok(value? as f32 / full)).collect(),
    };
    let values = Stored::F32(values.map_err(problem)?);
    let channels = usize::from(channels);
    if sample_rate == 0 || channels == 0 || !values.len().is_multiple_of(channels) {
        let length = values.len();
        return Err(format!("WAV is damaged: {length} values of {channels} channels at {sample_rate} Hz").into());
    }
    let format = format!("WAV, {bits_per_sample} bits, {channels} channels");
    Ok(Raw {
        rate: Some(f64::from(sample_rate)),
        ..Raw::of(&format, vec![values.len() / channels, channels], values.into())
    })
}
