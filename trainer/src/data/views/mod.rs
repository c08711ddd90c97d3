//! Random changes of a frame that keep its meaning: training asks for the same cluster before and after.

mod augmentation;
mod image;
mod neighbours;
mod on_device;

pub use augmentation::Augmentation;
pub use image::ImageMap;
pub use neighbours::Neighbours;
pub use on_device::ImageMapper;

use rand::Rng;

use super::Frames;
use crate::config::{AugmentConfig, AugmentKind};
use crate::frame::{FrameKind, FrameShape};

/// Where the views of a frame come from.
#[derive(Clone, Debug)]
pub enum Views<'a> {
    /// They are the frame itself.
    Frames,
    /// Random maps of it.
    Maps(Augmentation),
    /// Other frames near it.
    Neighbours(&'a Neighbours),
}

impl<'a> Views<'a> {
    /// Near frames where they were looked for, else the maps that the settings ask for, at the strength of a stage.
    pub fn new(
        config: &AugmentConfig,
        shape: FrameShape,
        kind: FrameKind,
        neighbours: Option<&'a Neighbours>,
        strength: f64,
    ) -> Self {
        match neighbours {
            Some(neighbours) => Self::Neighbours(neighbours),
            None if config.kind == AugmentKind::None => Self::Frames,
            None => Self::Maps(Augmentation::new(config, shape, kind, strength)),
        }
    }

    /// Draws a view of a frame, number `n` of `training` where views are neighbours.
    pub fn draw(&self, training: &Frames, frame: &[f32], n: usize, view: &mut [f32], rng: &mut impl Rng) {
        match self {
            Self::Frames => view.copy_from_slice(frame),
            Self::Maps(maps) => maps.apply(frame, view, rng),
            Self::Neighbours(near) => view.copy_from_slice(training.frame(near.draw(n, rng))),
        }
    }

    /// True if a view is the frame itself.
    pub fn are_frames(&self) -> bool {
        matches!(self, Self::Frames)
    }
}
