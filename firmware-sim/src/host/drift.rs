//! What changes in front of a sensor while the model stays.

use clap::ValueEnum;
use rand::{Rng, RngExt};

use super::digits::{CLASSES, Digits, PIXELS, SIDE};

/// A kind of drift; each is nothing at an amount of 0 and whole at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Drift {
    /// Nothing changes.
    None,
    /// Contrast fades to four tenths.
    Contrast,
    /// The background brightens to a tenth of full scale.
    Background,
    /// Digits lean over, by 0.9 of their height.
    Slant,
    /// The mix of classes changes: half of all frames come of one class, a quarter of the next,
    /// down to 1 in 1000.
    Mix,
}

/// Least contrast, at an amount of 1.
const LEAST_CONTRAST: f32 = 0.4;
/// Brightest background, of 255, at an amount of 1.
const BACKGROUND: f32 = 25.5;
/// Widest slant, pixels sideways for each pixel of height, at an amount of 1.
const SLANT: f32 = 0.9;
/// Ratio of the shares of one class and the next, at an amount of 1.
const RATIO: f32 = 2.0;

impl Drift {
    /// The amount at a frame of a stream: none in the first tenth, all from six tenths on.
    pub fn amount(frame: usize, of: usize) -> f32 {
        ((frame as f32 / of as f32 - 0.1) / 0.5).clamp(0.0, 1.0)
    }

    /// A digit as the sensor sees it.
    pub fn seen(self, image: &[u8], amount: f32) -> Vec<u8> {
        match self {
            Self::None | Self::Mix => image.to_vec(),
            Self::Contrast => map(image, |v| v * (1.0 - amount * (1.0 - LEAST_CONTRAST))),
            Self::Background => map(image, |v| v + amount * BACKGROUND * (1.0 - v / 255.0)),
            Self::Slant => slanted(image, amount * SLANT),
        }
    }

    /// The index of a digit to show, drawn as often as its class is due.
    pub fn draw(self, digits: &Digits, amount: f32, rng: &mut impl Rng) -> usize {
        loop {
            let index = rng.random_range(0..digits.len());
            let rank = (digits.label(index) * 7 % CLASSES) as f32;
            let share = if self == Self::Mix { RATIO.powf(-amount * rank) } else { 1.0 };
            if rng.random::<f32>() < share {
                return index;
            }
        }
    }
}

fn map(image: &[u8], value: impl Fn(f32) -> f32) -> Vec<u8> {
    image.iter().map(|v| value(f32::from(*v)).round() as u8).collect()
}

/// Moves every row sideways in proportion to its height over the middle, between pixels linearly.
fn slanted(image: &[u8], slope: f32) -> Vec<u8> {
    let mut seen = vec![0; PIXELS];
    let middle = (SIDE - 1) as f32 / 2.0;
    for (row, (from, to)) in image.chunks_exact(SIDE).zip(seen.chunks_exact_mut(SIDE)).enumerate() {
        let shift = slope * (row as f32 - middle);
        let pixel = |at: f32| if (0.0..SIDE as f32).contains(&at) { f32::from(from[at as usize]) } else { 0.0 };
        for (column, value) in to.iter_mut().enumerate() {
            let at = column as f32 - shift;
            let part = at - at.floor();
            *value = (pixel(at.floor()) * (1.0 - part) + pixel(at.floor() + 1.0) * part).round() as u8;
        }
    }
    seen
}
