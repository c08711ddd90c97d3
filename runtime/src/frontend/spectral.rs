//! The front end of windows: level, spread and spectrum of each channel in place of samples.
//!
//! A window cut from a stream begins anywhere, so that a movement or a hum of one kind comes at every phase, and a network
//! on samples has to learn them all. The spectrum has no phase.

#[cfg(feature = "spectral")]
use super::fft;
use super::name::{Feature, Measure};
use crate::FrameShape;
use crate::layer::MAX_UNITS;

/// The least and the largest length N of a spectrum, powers of two.
pub const LENGTHS: [usize; 2] = [16, 2048];
/// Features of a channel that are no bands: mean and log deviation.
const LEVELS: usize = 2;
/// Constants of a channel: what is subtracted from a sample, what the difference is multiplied by, the floor of a power.
pub(crate) const CONSTANTS: usize = 3;

/// The features of a window of W samples of C channels, F = 2 + B a channel.
///
/// ```text
/// y_n = (x_n - centre) · factor                                    centre, factor: of the channel
/// m   = Σ_n y_n / W                                                feature 0, mean
/// v   = Σ_n (y_n - m)² / W       ½ log(v + floor)                  feature 1, log deviation
/// X_k = Σ_n h_n (y_n - m) e^(-2πikn/N)                             h: Hann, Σ_n h_n² = 1; N ≥ W a power of two
/// p_b = mean of |X_k|², k of band b      log(p_b + floor) - log(v + floor)    feature 2 + b, share of the band
/// ```
///
/// White noise has p_b = v on average, whatever W and N, so the share of a band is 0 where its power is even with the others'
/// and where the channel lies still. `centre` and `factor` standardise a channel over the frames of training, so that units
/// do not matter; `floor` is a share of what v is there on average.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "spectral"), expect(dead_code, reason = "there is no FFT to run them"))]
pub struct Spectral<'a> {
    channels: usize,
    width: usize,
    length: usize,
    /// The Hann window h `[W]`.
    window: &'a [f32],
    /// Centre, factor and floor of each channel `[C,3]`.
    constants: &'a [f32],
    /// The first line of each band, and the line after the last `[B+1]`.
    edges: &'a [u32],
}

impl<'a> Spectral<'a> {
    /// The front end of windows `[C,1,W]` or `[1,C,W]`; None unless lengths are those of the shape, N is a power of two of
    /// [`LENGTHS`] and at least W, all numbers are finite, floors above 0, and the bands hold a line each, of 1 to N/2 - 1.
    ///
    /// # Shapes
    /// - `window`: `[W]`; `constants`: `[C,3]`, centre, factor and floor; `edges`: `[B+1]`, the first line of each band and
    ///   the line after the last
    pub fn new(
        shape: FrameShape,
        length: usize,
        window: &'a [f32],
        constants: &'a [f32],
        edges: &'a [u32],
    ) -> Option<Self> {
        let (width, channels) = (shape.width, shape.len().checked_div(shape.width)?);
        let flat = shape.channels == 1 || shape.height == 1;
        let long =
            length.is_power_of_two() && (LENGTHS[0]..=LENGTHS[1]).contains(&length) && (1..=length).contains(&width);
        let whole = window.len() == width && constants.len() == channels.checked_mul(CONSTANTS)?;
        let finite = window.iter().chain(constants).all(|value| value.is_finite());
        let floors =
            constants.chunks_exact(CONSTANTS).all(|of_channel| of_channel.last().is_some_and(|floor| *floor > 0.0));
        let (first, last) = (*edges.first()? as usize, *edges.last()? as usize);
        let bands = edges.len() > 1 && first >= 1 && last <= length / 2 && edges.is_sorted_by(|a, b| a < b);
        let front_end = Self { channels, width, length, window, constants, edges };
        let fits =
            flat && long && whole && finite && floors && bands && (1..=MAX_UNITS).contains(&front_end.shape().len());
        fits.then_some(front_end)
    }

    /// Shape of a window, `[C,1,W]`.
    pub fn frame(&self) -> FrameShape {
        FrameShape { channels: self.channels, height: 1, width: self.width }
    }

    /// Shape of the features of a frame, `[C,1,F]`.
    pub fn shape(&self) -> FrameShape {
        FrameShape { channels: self.channels, height: 1, width: self.features() }
    }

    /// The length N of the spectrum, and of the memory that [`Spectral::apply`] works in.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Features F of a channel.
    fn features(&self) -> usize {
        LEVELS + self.edges.len() - 1
    }

    /// Writes the features `[C,F]` of a frame to `features`, working in `work` `[N]`; false, with anything written, if one of
    /// the three is too short, or this crate is built without its feature `spectral`. A value that is not finite, or too
    /// large to be squared, gives features that are not finite.
    #[cfg_attr(not(feature = "spectral"), expect(unused_variables, reason = "a front end is then refused before"))]
    pub fn apply(&self, frame: impl IntoIterator<Item = f32>, features: &mut [f32], work: &mut [f32]) -> bool {
        #[cfg(feature = "spectral")]
        return self.try_apply(frame.into_iter(), features, work).is_some();
        #[cfg(not(feature = "spectral"))]
        false
    }

    #[cfg(feature = "spectral")]
    fn try_apply(&self, mut frame: impl Iterator<Item = f32>, features: &mut [f32], work: &mut [f32]) -> Option<()> {
        let (features, work) = (features.get_mut(..self.shape().len())?, work.get_mut(..self.length)?);
        let channels = features.chunks_exact_mut(self.features()).zip(self.constants.chunks_exact(CONSTANTS));
        for (features, constants) in channels {
            let &[centre, factor, floor] = constants else { return None };
            let (samples, padding) = work.split_at_mut_checked(self.width)?;
            for sample in samples.iter_mut() {
                // By halves, so that the difference of two large values stays finite.
                *sample = (0.5 * frame.next()? - 0.5 * centre) * factor * 2.0;
            }
            let mean = samples.iter().sum::<f32>() / self.width as f32;
            let mut variance = 0.0;
            for (sample, weight) in samples.iter_mut().zip(self.window) {
                let difference = *sample - mean;
                variance += difference * difference;
                *sample = difference * weight;
            }
            padding.fill(0.0);
            let log_power = libm::logf(variance / self.width as f32 + floor);
            let (levels, shares) = features.split_at_mut_checked(LEVELS)?;
            levels.copy_from_slice(&[mean, 0.5 * log_power]);
            let lines = fft::lines(work)?;
            for (share, ends) in shares.iter_mut().zip(self.edges.windows(2)) {
                let &[first, after] = ends else { return None };
                let band = lines.get(first as usize..after as usize)?;
                let power = band.iter().map(|line| line.re * line.re + line.im * line.im).sum::<f32>();
                *share = libm::logf(power / band.len() as f32 + floor) - log_power;
            }
        }
        Some(())
    }

    /// What the feature at `index` of the frame's features says; None past the last.
    pub fn feature(&self, index: usize) -> Option<Feature> {
        let (channel, at) = (index / self.features(), index % self.features());
        let line = |at: usize| self.edges.get(at).map(|line| (*line as f32 - 0.5) / self.length as f32);
        let measure = match at {
            0 => Measure::Mean,
            1 => Measure::LogDeviation,
            _ => Measure::Band { from: line(at - LEVELS)?, to: line(at - LEVELS + 1)? },
        };
        (channel < self.channels).then_some(Feature { channel, measure })
    }
}
