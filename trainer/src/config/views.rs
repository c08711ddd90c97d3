//! Settings of the random views of a frame.

use serde::{Deserialize, Serialize};

use super::count::Count;
use super::ranges::{at_least, at_most, within};
use crate::error::{Error, Result};

/// Which family of random maps makes the views.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AugmentKind {
    /// By what a frame is.
    Auto,
    /// No change.
    None,
    /// Rotation, scale, shear, shift, elastic displacement, thickness of strokes.
    Image,
    /// Shift, gain, noise, time-warp; with a front end a stretched part, gain, then noise and dropout of its features.
    Window,
    /// Noise, dropout of features: those of rows, or of a front end.
    Features,
    /// Of pictures of bands over time, as a front end makes them of sound: shift, time-warp, shift across bands, gain, noise,
    /// dropout of whole bands and steps.
    Sound,
    /// No map: another frame near it stands for a view, which asks for no knowledge of what a frame is.
    Neighbours,
}

/// Half-widths of the uniform ranges that views are drawn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// Family of maps; default `auto`, by the kind of frame.
    pub kind: AugmentKind,
    /// Rotation of an image, degrees, 0 to 180; default 20.
    pub rotation: f64,
    /// Relative change of size of an image, or of the gain of a window, 0 to 0.9, also times the
    /// strength of a stage; default 0.15.
    pub scale: f64,
    /// Shear of an image, columns a row, 0 to 2; default 0.3.
    pub shear: f64,
    /// Shift of an image or a window, as a share of half the width (and height), 0 to 1; default 0.15.
    pub shift: f64,
    /// Elastic displacement of an image, as a share of half the width (and height), 0 to 0.5; default
    /// 0.07.
    pub elastic: f64,
    /// How far an image is blended with its dilation or its erosion over 3x3 pixels, 0 to 1, which is all
    /// the way; default 0.3.
    pub thickness: f64,
    /// Warp in time of a window, as a share of half the width, 0 to 0.3; default 0.1.
    pub warp: f64,
    /// How much of a window a view may leave out, as a share of its width, before the rest is stretched to it, with a front
    /// end, 0 to 0.75; default 0.4.
    pub stretch: f64,
    /// How far the axes of sensors are turned, around a line of any direction, in views of windows whose channels are three by
    /// three the axes of a sensor each, degrees, 0 to 180; default 0.
    pub turn: f64,
    /// Probability that an axis of those sensors is read with the other sign, 0 to 1; default 0.
    pub mirror: f64,
    /// Standard deviation of additive noise on windows and features, which are standardised, 0 to 10;
    /// default 0.1.
    pub noise: f64,
    /// Share of the features that are set to their mean, 0 to 0.99, also times the strength of a stage; default 0.1.
    pub dropout: f64,
    /// How many of the nearest frames may stand for a view, 1 to 1000; default 10.
    pub neighbours: usize,
    /// How many samples away another window of the same recording may begin that stands for a frame before it is mapped, for
    /// windows of recordings with a front end; default `auto`: as long as windows stay three quarters as alike as
    /// those side by side; 0: only the frame itself is mapped.
    pub near: Count,
    /// How far maps may move an image, as a squared distance, in those to its nearest neighbour (medians, among 2000
    /// images), 0.01 to 1e6; default 2.1. Where the ranges above go further, all of them shrink by one factor, which
    /// training tells.
    pub reach: f64,
}

/// Largest relative change of size or gain: at 1 a size can be 0.
const MOST_SCALE: f64 = 0.9;
/// Largest share of features that a view leaves out.
const MOST_DROPOUT: f64 = 0.99;

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            kind: AugmentKind::Auto,
            rotation: 20.0,
            scale: 0.15,
            shear: 0.3,
            shift: 0.15,
            elastic: 0.07,
            thickness: 0.3,
            warp: 0.1,
            stretch: 0.4,
            turn: 0.0,
            mirror: 0.0,
            noise: 0.1,
            dropout: 0.1,
            neighbours: 10,
            near: Count::Auto,
            reach: 2.1,
        }
    }
}

impl AugmentConfig {
    pub(super) fn check(&self) -> Result<()> {
        within("augment.rotation", self.rotation, 0.0, 180.0)?;
        within("augment.scale", self.scale, 0.0, MOST_SCALE)?;
        within("augment.shear", self.shear, 0.0, 2.0)?;
        within("augment.shift", self.shift, 0.0, 1.0)?;
        within("augment.elastic", self.elastic, 0.0, 0.5)?;
        within("augment.thickness", self.thickness, 0.0, 1.0)?;
        within("augment.warp", self.warp, 0.0, 0.3)?;
        within("augment.stretch", self.stretch, 0.0, 0.75)?;
        within("augment.turn", self.turn, 0.0, 180.0)?;
        within("augment.mirror", self.mirror, 0.0, 1.0)?;
        within("augment.noise", self.noise, 0.0, 10.0)?;
        within("augment.dropout", self.dropout, 0.0, MOST_DROPOUT)?;
        within("augment.reach", self.reach, 0.01, 1e6)?;
        at_least("augment.neighbours", self.neighbours, 1)?;
        at_most("augment.neighbours", self.neighbours, 1000)
    }

    /// Whether the ranges that have an end keep to it at the `strength` of a stage: an image shrunk by all of its size is
    /// none, nor is a row without its features a view.
    pub(super) fn check_strength(&self, stage: &str, strength: f64) -> Result<()> {
        for (key, value, most) in
            [("augment.scale", self.scale, MOST_SCALE), ("augment.dropout", self.dropout, MOST_DROPOUT)]
        {
            // What rounding adds to a product must not refuse the largest value.
            if value * strength > most + 1e-9 {
                let problem =
                    format!("{value} times {stage}.strength = {strength}, expected at most {most}; lower either");
                return Err(Error::config(key, problem));
            }
        }
        Ok(())
    }
}
