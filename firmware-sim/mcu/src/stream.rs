//! A machine's accelerometer: the model, samples, and what the host said of the windows that they make.

use runtime::flash::Aligned;

use crate::Expected;

include!(concat!(env!("OUT_DIR"), "/stream.rs"));

/// The flash image.
pub static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/vibration.cvi")));

/// The samples, 16 bits an axis.
static SAMPLES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stream.bin"));

/// The samples in counts of the sensor, [`SCALE`] each.
pub fn samples() -> impl Iterator<Item = [i16; CHANNELS]> {
    SAMPLES.as_chunks::<2>().0.as_chunks::<CHANNELS>().0.iter().map(|sample| sample.map(i16::from_le_bytes))
}
