//! The front end of pictures whose colours say nothing: shades along each picture's own main colour.
//!
//! A sign in any ink on any paper, or in any light, is the same sign. Where colours make most of how pictures differ, what is
//! learned of raw pictures is the colours. With d a pixel less the mean colour of its picture,
//!
//! ```text
//! A = (E d dᵀ)^64, its trace 1                  the direction of the main colour, as u uᵀ
//! w = A E[d (dᵀ A d)]                           along u towards the colours that are rarer: the skewness is positive
//! t = d · w/|w|                                 y = (t - min t)/(max t - min t + floor)
//! ```
//!
//! so that the ink is bright and the paper dark, from 0 to 1, whatever they were. `floor` is a small share of the contrast that
//! a picture has on average, so that the noise of an even picture is not blown up. A picture that is as much ink as paper has
//! no skewness: there `w` leans to the brighter.

use crate::FrameShape;

/// Most channels of a picture.
pub const MAX_COLOURS: usize = 4;
/// Times that the covariance is squared.
pub const SQUARINGS: usize = 6;
/// What is added to the skewness along every channel, as a share of the deviation's cube.
pub const LEAN: f32 = 1e-4;

/// A picture without its colours, `[C,H,W]` to `[1,H,W]`, values in `[0, 1)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tone {
    frame: FrameShape,
    floor: f32,
}

impl Tone {
    /// The front end of pictures of a shape; None unless they have a pixel and 1 to [`MAX_COLOURS`] channels, and the floor is
    /// a normal number above 0.
    pub fn new(frame: FrameShape, floor: f32) -> Option<Self> {
        let fits = (1..=MAX_COLOURS).contains(&frame.channels) && !frame.is_empty();
        (fits && floor.is_normal() && floor > 0.0).then_some(Self { frame, floor })
    }

    /// Shape of a picture.
    pub fn frame(&self) -> FrameShape {
        self.frame
    }

    /// Shape of what becomes of it.
    pub fn shape(&self) -> FrameShape {
        FrameShape { channels: 1, ..self.frame }
    }

    /// What is added to the contrast of a picture, in the units of its values.
    pub fn floor(&self) -> f32 {
        self.floor
    }

    /// As [`super::FrontEnd::apply`].
    pub fn apply(&self, frame: impl IntoIterator<Item = f32>, out: &mut [f32], work: &mut [f32]) -> bool {
        self.try_apply(frame.into_iter(), out, work).is_some()
    }

    fn try_apply(&self, mut frame: impl Iterator<Item = f32>, out: &mut [f32], work: &mut [f32]) -> Option<()> {
        let pixels = self.shape().len();
        let (out, work) = (out.get_mut(..pixels)?, work.get_mut(..self.frame.len())?);
        for channel in work.chunks_exact_mut(pixels) {
            for value in channel.iter_mut() {
                *value = frame.next()?;
            }
            let mean = channel.iter().sum::<f32>() / pixels as f32;
            channel.iter_mut().for_each(|value| *value -= mean);
        }
        let difference = |pixel: usize| -> Colour {
            core::array::from_fn(|c| work.get(c * pixels + pixel).copied().unwrap_or_default())
        };
        let mut axis = [[0.0; MAX_COLOURS]; MAX_COLOURS];
        for d in (0..pixels).map(difference) {
            axis.iter_mut().zip(d).for_each(|(row, a)| row.iter_mut().zip(d).for_each(|(sum, b)| *sum += a * b));
        }
        let variance = trace(&axis) / pixels as f32;
        axis = scaled(axis);
        for _ in 0..SQUARINGS {
            axis = scaled(axis.map(|row| times(&axis, &row)));
        }
        let mut skewness = [0.0; MAX_COLOURS];
        for d in (0..pixels).map(difference) {
            let squared = dot(&d, &times(&axis, &d));
            skewness.iter_mut().zip(d).for_each(|(sum, d)| *sum += d * squared);
        }
        let lean = LEAN * variance * libm::sqrtf(variance);
        let way = times(&axis, &skewness.map(|sum| sum / pixels as f32 + lean));
        let length = libm::sqrtf(dot(&way, &way)).max(f32::MIN_POSITIVE);
        let [mut least, mut most] = [f32::INFINITY, f32::NEG_INFINITY];
        for (pixel, tone) in out.iter_mut().enumerate() {
            *tone = dot(&difference(pixel), &way.map(|w| w / length));
            (least, most) = (least.min(*tone), most.max(*tone));
        }
        // A value that is not finite makes each of these so.
        let contrast = most - least + self.floor + 0.0 * variance;
        out.iter_mut().for_each(|tone| *tone = (*tone - least) / contrast);
        Some(())
    }
}

/// A value of every channel.
type Colour = [f32; MAX_COLOURS];

fn dot(a: &Colour, b: &Colour) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A symmetric matrix times a vector.
fn times(matrix: &[Colour; MAX_COLOURS], vector: &Colour) -> Colour {
    core::array::from_fn(|c| matrix.get(c).map_or(0.0, |row| dot(row, vector)))
}

fn trace(matrix: &[Colour; MAX_COLOURS]) -> f32 {
    matrix.iter().enumerate().filter_map(|(c, row)| row.get(c)).sum()
}

/// The matrix over its trace.
fn scaled(matrix: [Colour; MAX_COLOURS]) -> [Colour; MAX_COLOURS] {
    let trace = trace(&matrix).max(f32::MIN_POSITIVE);
    matrix.map(|row| row.map(|value| value / trace))
}
