//! Random changes of a frame that keep its meaning: training asks for the same cluster before and after.

mod augmentation;
mod image;
mod nearby;
mod neighbours;
mod on_device;
mod reach;

pub use augmentation::Augmentation;
pub use image::ImageMap;
pub use nearby::{Likeness, Nearby, likeness};
pub use neighbours::Neighbours;
pub use on_device::ImageMapper;
pub use reach::strength as strength_within_reach;

use rand::Rng;

use super::Source;
use crate::config::{AugmentConfig, AugmentKind};
use crate::error::Result;
use crate::frame::{FrameKind, FrameShape};

/// The source of the views of a frame.
#[derive(Clone, Debug)]
pub enum Views<'a> {
    /// A view is the frame itself.
    Frames,
    /// A view is the frame under a random map.
    Maps(Augmentation),
    /// A view is another frame, near the frame.
    Neighbours(&'a Neighbours),
}

impl<'a> Views<'a> {
    /// The source of views that the settings ask for: neighbours where they were looked for, else maps with ranges
    /// times `strength`.
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

    /// Writes a random view of `frame` `[P]` to `view` `[P]`; where views are neighbours, those of frame `n` of
    /// `training`.
    ///
    /// # Errors
    /// As for [`Source::read`].
    pub fn draw(
        &self,
        training: &dyn Source,
        frame: &[f32],
        n: usize,
        view: &mut [f32],
        rng: &mut impl Rng,
    ) -> Result<()> {
        match self {
            Self::Frames => view.copy_from_slice(frame),
            Self::Maps(maps) => maps.apply(frame, view, rng),
            Self::Neighbours(near) => training.read(&[near.draw(n, rng)], view)?,
        }
        Ok(())
    }

    /// True if a view is the frame itself.
    pub fn are_frames(&self) -> bool {
        matches!(self, Self::Frames)
    }
}
