//! What is done to frames before the networks see them: the front end, then the standardisation of what it gives.

use runtime::FrontEndSpec;

use super::Frames;
use super::front_end::FrontEnd;
use super::scaling::Scaling;
use crate::frame::FrameShape;

/// What is done to frames before the networks see them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Preparation<'a> {
    /// What makes features of windows, if anything does.
    pub front_end: Option<&'a FrontEnd>,
    /// Standardisation of the features, or of the frames themselves.
    pub scaling: Option<&'a Scaling>,
}

impl Preparation<'_> {
    /// Shape of what frames of a shape become.
    pub fn shape(&self, shape: FrameShape) -> FrameShape {
        self.front_end.map_or(shape, FrontEnd::shape)
    }

    /// The frames as the networks take them.
    pub fn apply(&self, frames: &Frames) -> Frames {
        let mut prepared = features(self.front_end, frames);
        if let Some(scaling) = self.scaling {
            scaling.apply(&mut prepared.values);
        }
        prepared
    }

    /// What is done to windows whose channels are standardised already; None where there is no front end.
    pub fn of_standardised(&self, shape: FrameShape) -> Option<Standardised> {
        let front_end = self.front_end?.of_standardised();
        Some(Standardised { spec: front_end.spec(shape), scaling: self.scaling.cloned() })
    }

    /// The windows with their channels standardised; None where there is no front end.
    pub fn standardised(&self, frames: &Frames) -> Option<Frames> {
        let front_end = self.front_end?;
        let width = frames.shape.width;
        let spread = |values: &[f32]| values.iter().flat_map(|value| std::iter::repeat_n(*value, width)).collect();
        let scaling = Scaling { shift: spread(&front_end.centre), factor: spread(&front_end.factor) };
        let mut windows = frames.clone();
        scaling.apply(&mut windows.values);
        Some(windows)
    }
}

/// What is done to windows whose channels are standardised already.
#[derive(Clone, Debug)]
pub struct Standardised {
    spec: FrontEndSpec,
    scaling: Option<Scaling>,
}

impl Standardised {
    /// Values of what a window becomes.
    pub fn values(&self) -> usize {
        self.spec.front_end().map_or(0, |front_end| front_end.shape().len())
    }

    /// Writes what a window `[P]` becomes to `out`, of [`Standardised::values`].
    pub fn apply(&self, window: &[f32], out: &mut [f32]) {
        let mut work = vec![0.0; self.spec.length];
        if let Some(front_end) = self.spec.front_end() {
            front_end.apply(window.iter().copied(), out, &mut work);
        }
        if let Some(scaling) = &self.scaling {
            scaling.apply(out);
        }
    }
}

/// The features of frames, or the frames themselves where nothing makes features of them.
pub fn features(front_end: Option<&FrontEnd>, frames: &Frames) -> Frames {
    let Some(front_end) = front_end else { return frames.clone() };
    // It fits, or the model would not have been fitted or loaded.
    let values = front_end.spec(frames.shape).features(&frames.values).unwrap_or_default();
    Frames { shape: front_end.shape(), values, labels: frames.labels.clone() }
}
