//! What is done to frames before the networks see them: the front end, then the standardisation of what it gives.

use runtime::SpectralSpec;

use super::front_end::FrontEnd;
use super::scaling::Scaling;
use crate::error::{Error, Result};
use crate::frame::FrameShape;

/// What is done to frames before the networks see them; by default nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Preparation<'a> {
    front_end: Option<&'a FrontEnd>,
    scaling: Option<&'a Scaling>,
    /// Whether the channels of windows are standardised, and no more: what maps of windows are of.
    only_channels: bool,
}

impl<'a> Preparation<'a> {
    /// A front end that makes features of frames, if there is one, then the standardisation of those or of the frames.
    pub fn new(front_end: Option<&'a FrontEnd>, scaling: Option<&'a Scaling>) -> Self {
        Self { front_end, scaling, only_channels: false }
    }

    /// Windows with their channels standardised, of which features are made; None where there is no spectrum.
    pub fn windows(self) -> Option<Self> {
        self.front_end?.spectral()?;
        Some(Self { scaling: None, only_channels: true, ..self })
    }

    /// What is done to windows whose channels are standardised already; None where there is no spectrum.
    pub fn of_standardised(&self, shape: FrameShape) -> Option<Standardised> {
        let front_end = self.front_end?.spectral()?.of_standardised();
        Some(Standardised { spec: front_end.spec(shape), scaling: self.scaling.cloned() })
    }

    /// Shape of what frames of a shape become.
    pub fn shape(&self, shape: FrameShape) -> FrameShape {
        self.makes_features().map_or(shape, |front_end| front_end.shape(shape))
    }

    /// The front end, if frames go through it.
    fn makes_features(&self) -> Option<&'a FrontEnd> {
        self.front_end.filter(|_| !self.only_channels)
    }

    /// Writes what frames of a shape become to `values` `[n,P]`; `read` writes the frames themselves.
    ///
    /// # Errors
    /// What `read` says; [`Error::Data`] if the front end is of other frames.
    pub(super) fn read(
        &self,
        shape: FrameShape,
        values: &mut [f32],
        read: impl FnOnce(&mut [f32]) -> Result<()>,
    ) -> Result<()> {
        match self.makes_features() {
            None => read(values)?,
            Some(front_end) => {
                let mut frames = vec![0.0; values.len() / front_end.shape(shape).len().max(1) * shape.len()];
                read(&mut frames)?;
                let features = front_end.spec(shape).and_then(|spec| spec.features(&frames));
                let features = features.filter(|features| features.len() == values.len());
                let wrong = || Error::data("frames", format!("of shape {shape}, which the front end is not of"));
                values.copy_from_slice(&features.ok_or_else(wrong)?);
            }
        }
        if let Some(scaling) = self.scaling {
            scaling.apply(values);
        }
        if let Some(spectral) = self.front_end.filter(|_| self.only_channels).and_then(FrontEnd::spectral) {
            let spread = |of_channels: &[f32]| {
                of_channels.iter().flat_map(|value| std::iter::repeat_n(*value, shape.width)).collect()
            };
            Scaling { shift: spread(&spectral.centre), factor: spread(&spectral.factor) }.apply(values);
        }
        Ok(())
    }
}

/// What is done to windows whose channels are standardised already.
#[derive(Clone, Debug)]
pub struct Standardised {
    spec: SpectralSpec,
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
