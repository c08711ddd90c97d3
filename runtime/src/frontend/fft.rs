//! Power of the lines of a real spectrum, in place, by the FFT of a length that is a power of two.

use microfft::Complex32;
use microfft::real::{rfft_16, rfft_32, rfft_64, rfft_128, rfft_256, rfft_512, rfft_1024, rfft_2048};

/// The lines 0 to N/2 - 1 of the spectrum of N values; the imaginary part of line 0 is line N/2. None for a length that
/// [`super::LENGTHS`] does not hold.
pub fn lines(values: &mut [f32]) -> Option<&[Complex32]> {
    Some(match values.len() {
        16 => rfft_16(values.try_into().ok()?),
        32 => rfft_32(values.try_into().ok()?),
        64 => rfft_64(values.try_into().ok()?),
        128 => rfft_128(values.try_into().ok()?),
        256 => rfft_256(values.try_into().ok()?),
        512 => rfft_512(values.try_into().ok()?),
        1024 => rfft_1024(values.try_into().ok()?),
        2048 => rfft_2048(values.try_into().ok()?),
        _ => return None,
    })
}
