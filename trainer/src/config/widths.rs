//! A setting that is the widths of layers or the word `auto`.

use serde::{Deserialize, Serialize};

use crate::frame::{FrameKind, FrameShape};

/// Channels of the convolutions of pictures of usual size.
const USUAL: [usize; 2] = [16, 32];
/// Channels of the last convolutions of larger pictures, the last first; of those before it is the last of these, since
/// what they give is most of what a step of training keeps.
const LARGE: [usize; 4] = [32, 32, 16, 8];
/// Most values that the convolutions of an encoder leave for its dense layers: those of 64x64.
const MOST_LEFT: usize = 32 * 16 * 16;
/// Units of the dense layers of a decoder.
const DECODER: [usize; 2] = [256, 256];
/// Most weights from the last hidden layer of a decoder to the values of a frame, as long as it has [`FEWEST`] units.
const MOST_WEIGHTS: usize = 1 << 23;
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

    /// These widths, or those of the convolutions of frames of this shape: for images as many as leave few values for the
    /// dense layers, each of which halves height and width.
    pub(super) fn or_channels(self, kind: FrameKind, shape: FrameShape) -> Self {
        if self != Self::AUTO {
            return self;
        }
        let last = USUAL[USUAL.len() - 1];
        let (mut layers, [mut height, mut width]) = (0, [shape.height, shape.width]);
        let is_large = |left: usize| kind == FrameKind::Image && left > MOST_LEFT;
        while layers < USUAL.len() || is_large(last * height * width) {
            layers += 1;
            [height, width] = [height.div_ceil(2), width.div_ceil(2)];
        }
        if layers == USUAL.len() {
            return Self::Of(USUAL.to_vec());
        }
        Self::Of((0..layers).rev().map(|from_end| LARGE[from_end.min(LARGE.len() - 1)]).collect())
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
        for side in 1..=64 {
            for channels in [1, 3, 4] {
                assert_eq!(of(channels, side, side), (vec![16, 32], vec![256, 256]), "{channels}x{side}x{side}");
            }
        }
        assert_eq!(of(3, 96, 96), (vec![16, 32, 32], vec![256, 256]));
        assert_eq!(of(3, 224, 224), (vec![8, 16, 32, 32], vec![256, 32]));
        assert_eq!(of(3, 1024, 1024), (vec![8, 8, 8, 16, 32, 32], vec![256, 16]));
        let rows = FrameShape { channels: 1, height: 1, width: 20_000 };
        assert_eq!(Widths::AUTO.or_channels(FrameKind::Features, rows).list(), [16, 32]);
        for side in 65..300 {
            let (channels, dense) = of(3, side, side);
            let left = channels.iter().fold(side, |side, _| side.div_ceil(2));
            assert!(32 * left * left <= MOST_LEFT && 32 * (2 * left).pow(2) > MOST_LEFT, "{side}: {left}");
            assert!(dense[1] * 3 * side * side <= MOST_WEIGHTS, "{side}: {dense:?}");
        }
    }
}
