//! A setting that is the widths of layers or the word `auto`.

use serde::{Deserialize, Serialize};

use crate::frame::{FrameKind, FrameShape};

/// Channels of the convolutions of pictures of usual size.
const USUAL: [usize; 2] = [16, 32];
/// Channels of each convolution before those, of larger pictures: what the first give is most of what a step of training
/// keeps.
const THIN: usize = 8;
/// Most values that the convolutions of an encoder leave for its dense layers: those of 128x128.
const MOST_LEFT: usize = 32 * 32 * 32;
/// Units of the dense layers of a decoder.
const DECODER: [usize; 2] = [256, 256];
/// Most weights from the last hidden layer of a decoder to the values of a frame, as long as it has [`FEWEST`] units.
const MOST_WEIGHTS: usize = 1 << 24;
/// Fewest units of the last hidden layer of a decoder.
const FEWEST: usize = 16;

/// Widths of layers one after the other, or the word `auto` where the shape of the frames is to tell them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a list of widths or \"auto\"")]
pub enum Widths {
    /// The widths.
    Of(Vec<usize>),
    /// By the shape of the frames.
    Auto(Auto),
}

/// The word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auto {
    /// By the shape of the frames.
    Auto,
}

impl Widths {
    /// The word `auto`.
    pub const AUTO: Self = Self::Auto(Auto::Auto);

    /// The widths; none as long as the shape of the frames is to tell them.
    pub fn list(&self) -> &[usize] {
        match self {
            Self::Of(widths) => widths,
            Self::Auto(_) => &[],
        }
    }

    /// These widths, or those of the convolutions of frames of this shape, each of which halves height and width: of large
    /// images as many as leave few values for the dense layers; of windows none, nor of what is made of sound, which dense
    /// layers tell apart as well.
    pub(super) fn or_channels(self, kind: FrameKind, shape: FrameShape) -> Self {
        if self != Self::AUTO {
            return self;
        }
        if kind == FrameKind::Window {
            return Self::Of(Vec::new());
        }
        let (mut channels, last) = (USUAL.to_vec(), USUAL[USUAL.len() - 1]);
        let after =
            |layers: usize| (0..layers).fold([shape.height, shape.width], |size, _| size.map(|n| n.div_ceil(2)));
        while kind == FrameKind::Image && last * after(channels.len()).iter().product::<usize>() > MOST_LEFT {
            channels.insert(0, THIN);
        }
        Self::Of(channels)
    }

    /// These widths, or those of the dense layers of a decoder for this shape: the last is narrower, by powers of two, the
    /// more values a frame has.
    pub(super) fn or_decoder(self, shape: FrameShape) -> Self {
        if self != Self::AUTO {
            return self;
        }
        let [first, last] = DECODER;
        let fitting = (MOST_WEIGHTS / shape.len().max(1)).max(1);
        Self::Of(vec![first, (1 << fitting.ilog2()).clamp(FEWEST, last)])
    }
}

impl From<Vec<usize>> for Widths {
    fn from(widths: Vec<usize>) -> Self {
        Self::Of(widths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_usual_size_keep_their_layers_and_larger_ones_stay_within_bounds() {
        let of = |channels, height, width| {
            let shape = FrameShape { channels, height, width };
            let [convolutions, dense] =
                [Widths::AUTO.or_channels(FrameKind::Image, shape), Widths::AUTO.or_decoder(shape)];
            (convolutions.list().to_vec(), dense.list().to_vec())
        };
        for side in 1..=128 {
            let pixels = side * side;
            for channels in [1, 3, 4] {
                let (convolutions, dense) = of(channels, side, side);
                assert_eq!(convolutions, [16, 32], "{channels}x{side}x{side}");
                assert!(dense == [256, 256] || channels * pixels > 65_536, "{channels}x{side}x{side}: {dense:?}");
            }
        }
        assert_eq!(of(3, 128, 128).1, [256, 256]);
        assert_eq!(of(3, 224, 224), (vec![8, 16, 32], vec![256, 64]));
        assert_eq!(of(3, 1024, 1024), (vec![8, 8, 8, 16, 32], vec![256, 16]));
        let rows = FrameShape { channels: 1, height: 1, width: 20_000 };
        assert_eq!(Widths::AUTO.or_channels(FrameKind::Features, rows).list(), [16, 32]);
        for side in 129..300 {
            let (channels, dense) = of(3, side, side);
            let left = channels.iter().fold(side, |side, _| side.div_ceil(2));
            assert!(32 * left * left <= MOST_LEFT && 32 * (2 * left).pow(2) > MOST_LEFT, "{side}: {left}");
            assert!(dense[1] * 3 * side * side <= MOST_WEIGHTS, "{side}: {dense:?}");
        }
    }
}
