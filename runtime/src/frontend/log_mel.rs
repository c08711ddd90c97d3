//! The front end of sound: a picture of mel bands over time in place of samples.

#[cfg(feature = "spectral")]
use super::fft;
use super::name::{Feature, Measure};
use super::spectral::{CONSTANTS, LENGTHS};
use crate::FrameShape;
use crate::layer::MAX_UNITS;

/// Where the spectra of a window begin, and which of them make a step of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steps {
    /// Samples from the begin of a spectrum to that of the next.
    pub hop: usize,
    /// Steps of time T.
    pub count: usize,
    /// Spectra M of a step, the mean of whose powers it has.
    pub pooled: usize,
    /// Samples a second, for people.
    pub rate: f32,
}

impl Steps {
    /// Samples that all spectra of length N take together; None if there are none, or too many to be counted.
    fn samples(self, length: usize) -> Option<usize> {
        let spectra = self.count.checked_mul(self.pooled)?;
        spectra.checked_sub(1)?.checked_mul(self.hop)?.checked_add(length)
    }
}

/// The picture `[1,C·B,T]` of a window of W samples of C channels: B bands a channel, the lowest first, over T steps of time.
///
/// ```text
/// y_n  = (x_n - centre) · factor                                  centre, factor: of the channel
/// X_fk = Σ_n h_n y_(f·hop+n) e^(-2πikn/N)                         h: Hann, Σ_n h_n² = 1; N a power of two
/// P_fb = Σ_k w_bk |X_fk|² / Σ_k w_bk                              w_b: a triangle over lines e_b to e_(b+2), 1 at e_(b+1)
/// out  = log(mean of P_fb, f = tM to tM + M - 1, + floor)         at (b, t)
/// ```
///
/// White noise has P = the variance of y on average, whatever N. `centre` and `factor` standardise a channel over the frames
/// of training, so that units do not matter; `floor` is a share of the power there. What bands are is for `e` to say: mel
/// scales lie evenly up to some hundred Hz, then by ratios.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "spectral"), expect(dead_code, reason = "there is no FFT to run them"))]
pub struct LogMel<'a> {
    channels: usize,
    width: usize,
    steps: Steps,
    /// The Hann window h `[N]`.
    window: &'a [f32],
    /// Centre, factor and floor of each channel `[C,3]`.
    constants: &'a [f32],
    /// The lines e at which triangles begin, peak and end `[B+2]`.
    edges: &'a [u32],
}

impl<'a> LogMel<'a> {
    /// The front end of windows `[C,1,W]` or `[1,C,W]`; None unless lengths are those of the shape, N is a power of two of
    /// [`crate::FRONT_END_LENGTHS`], the spectra lie within the window, all numbers are finite, floors and the rate above 0,
    /// and edges rise, up to N/2.
    ///
    /// # Shapes
    /// - `window`: `[N]`; `constants`: `[C,3]`, centre, factor and floor; `edges`: `[B+2]`
    pub fn new(
        shape: FrameShape,
        steps: Steps,
        window: &'a [f32],
        constants: &'a [f32],
        edges: &'a [u32],
    ) -> Option<Self> {
        let (width, channels) = (shape.width, shape.len().checked_div(shape.width)?);
        let flat = shape.channels == 1 || shape.height == 1;
        let length = window.len();
        let long = length.is_power_of_two()
            && (LENGTHS[0]..=LENGTHS[1]).contains(&length)
            && steps.hop >= 1
            && steps.samples(length)? <= width;
        let whole = constants.len() == channels.checked_mul(CONSTANTS)?;
        let finite = window.iter().chain(constants).all(|value| value.is_finite());
        let mut floors = constants.chunks_exact(CONSTANTS).filter_map(|of_channel| of_channel.last());
        let above = floors.all(|floor| *floor > 0.0) && steps.rate.is_normal() && steps.rate > 0.0;
        let rises = edges.len() > 2 && *edges.last()? as usize <= length / 2 && edges.is_sorted_by(|a, b| a < b);
        let units = channels.checked_mul(edges.len())?.checked_mul(steps.count)?;
        let front_end = Self { channels, width, steps, window, constants, edges };
        let fits = flat && long && whole && finite && above && rises && (1..=MAX_UNITS).contains(&units);
        fits.then_some(front_end)
    }

    /// Shape of a window, `[C,1,W]`.
    pub fn frame(&self) -> FrameShape {
        FrameShape { channels: self.channels, height: 1, width: self.width }
    }

    /// Shape of the picture of a window, `[1,C·B,T]`.
    pub fn shape(&self) -> FrameShape {
        FrameShape { channels: 1, height: self.channels * self.bands(), width: self.steps.count }
    }

    /// Values of the memory that [`LogMel::apply`] works in: the samples of a spectrum, and the spectrum.
    pub fn work(&self) -> usize {
        2 * self.window.len()
    }

    /// Bands B of a channel.
    fn bands(&self) -> usize {
        self.edges.len() - 2
    }

    /// Writes the picture `[C·B,T]` of a frame to `picture`, as [`crate::FrontEnd::apply`].
    #[cfg_attr(not(feature = "spectral"), expect(unused_variables, reason = "a front end is then refused before"))]
    pub fn apply(&self, frame: impl IntoIterator<Item = f32>, picture: &mut [f32], work: &mut [f32]) -> bool {
        #[cfg(feature = "spectral")]
        return self.try_apply(frame.into_iter(), picture, work).is_some();
        #[cfg(not(feature = "spectral"))]
        false
    }

    #[cfg(feature = "spectral")]
    fn try_apply(&self, mut frame: impl Iterator<Item = f32>, picture: &mut [f32], work: &mut [f32]) -> Option<()> {
        let Steps { hop, count, pooled, .. } = self.steps;
        let length = self.window.len();
        let picture = picture.get_mut(..self.shape().len())?;
        let (recent, spectrum) = work.get_mut(..self.work())?.split_at_mut_checked(length)?;
        let channels = picture.chunks_exact_mut(self.bands() * count).zip(self.constants.chunks_exact(CONSTANTS));
        for (rows, constants) in channels {
            let &[centre, factor, floor] = constants else { return None };
            // By halves, so that the difference of two large values stays finite.
            let mut sample = || Some((0.5 * frame.next()? - 0.5 * centre) * factor * 2.0);
            // What no spectrum looks at is not to go unnoticed if it is not finite.
            let mut unseen = 0.0;
            for slot in recent.iter_mut() {
                *slot = sample()?;
            }
            rows.fill(0.0);
            for index in 0..count * pooled {
                if index > 0 {
                    for _ in length..hop {
                        unseen += 0.0 * sample()?;
                    }
                    let kept = length.saturating_sub(hop);
                    recent.copy_within(length - kept.., 0);
                    for slot in recent.get_mut(kept..)? {
                        *slot = sample()?;
                    }
                }
                let weighted = recent.iter().zip(self.window).map(|(sample, weight)| sample * weight);
                spectrum.iter_mut().zip(weighted).for_each(|(slot, value)| *slot = value);
                let lines = fft::lines(spectrum)?;
                for (row, ends) in rows.chunks_exact_mut(count).zip(self.edges.windows(3)) {
                    *row.get_mut(index / pooled)? += triangle(lines, ends)?;
                }
            }
            for _ in self.steps.samples(length)?..self.width {
                unseen += 0.0 * sample()?;
            }
            rows.iter_mut().for_each(|power| *power = libm::logf(*power / pooled as f32 + floor) + unseen);
        }
        Some(())
    }

    /// What the value at `index` of the picture says; None past the last.
    pub fn feature(&self, index: usize) -> Option<Feature> {
        let Steps { hop, count, pooled, rate } = self.steps;
        let (row, step) = (index / count, index % count);
        let (channel, band) = (row / self.bands(), row % self.bands());
        let ends = self.edges.get(band..band + 3)?;
        // From the middle of one slope to that of the other, where the bands beside it take over.
        let hertz = |ends: &[u32]| ends.iter().sum::<u32>() as f32 / 2.0 * rate / self.window.len() as f32;
        let seconds = |spectra: usize| (spectra * hop) as f32 / rate;
        let begin = seconds(step * pooled);
        let end = seconds(step * pooled + pooled - 1) + self.window.len() as f32 / rate;
        let measure = Measure::Sound { from: hertz(ends.get(..2)?), to: hertz(ends.get(1..)?), begin, end };
        (channel < self.channels).then_some(Feature { channel, measure })
    }
}

/// Mean power of the lines under a triangle, by their weights, which sum to half of its width.
#[cfg(feature = "spectral")]
fn triangle(lines: &[microfft::Complex32], ends: &[u32]) -> Option<f32> {
    let &[first, peak, end] = ends else { return None };
    let [rise, fall] = [peak - first, end - peak].map(|width| 1.0 / width as f32);
    let under = lines.get(first as usize..end as usize)?.iter().zip(first..);
    let power = under.map(|(line, k)| {
        let weight = if k < peak { (k - first) as f32 * rise } else { (end - k) as f32 * fall };
        weight * (line.re * line.re + line.im * line.im)
    });
    Some(power.sum::<f32>() * 2.0 / (end - first) as f32)
}
