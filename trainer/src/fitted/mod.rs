//! A trained model, and what can be asked of it: latents, responsibilities, novelty, bounds.

mod bound;
mod encode;
mod novelty;
mod shape_error;

pub use bound::{BoundReport, bound};
pub use encode::{encode, encoded_at_once, latents, to_host};
pub use novelty::{LEAST_VARIANCE, NoveltyScore, dispersion, latent_novelty, novelty};
pub use shape_error::ShapeError;

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use runtime::Calibration;

use crate::config::CheckedConfig;
use crate::data::scaling::Scaling;
use crate::data::{Expected, FrontEnd, Manner, Part, Preparation, SeenValues, Source};
use crate::frame::{FrameKind, FrameShape};
use crate::model::{ClusterVae, Likelihood, Posterior};

/// A trained model with all that inference and export need.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The settings of the training.
    pub config: CheckedConfig,
    /// Weights, without gradient tracking.
    pub model: ClusterVae,
    /// Shape of a frame.
    pub shape: FrameShape,
    /// What makes features of windows before all else, if anything does.
    pub front_end: Option<FrontEnd>,
    /// Standardisation of the features, or of the input, if any.
    pub scaling: Option<Scaling>,
    /// The values that it was fitted to; None of a run of before 2026-11-27, which did not keep them.
    pub seen: Option<SeenValues>,
    /// Distribution of a value.
    pub likelihood: Likelihood,
    /// Novelty threshold and temperature.
    pub calibration: Calibration,
    /// What the novelty is that the threshold is of.
    pub novelty: NoveltyScore,
    /// Number of frames that the novelty threshold is from, none of which trained.
    pub calibrated_on: usize,
    /// SHA-256 of the values that the model was fitted to.
    pub data_sha256: String,
    /// Names of the features `[F]` in the order of the model, if the data had any.
    pub columns: Option<Vec<String>>,
    /// How the frames were read, for others that the model is used on; None where that is not known.
    pub manner: Option<Manner>,
}

impl Fitted {
    /// What is to be known of other frames before they are read.
    pub fn expected(&self) -> Expected {
        Expected {
            kind: Some(self.config.kind()),
            shape: Some(self.shape),
            columns: self.columns.clone(),
            manner: self.manner.clone(),
        }
    }

    /// log q(c|x) as the device gives it: the model's own, at the calibrated temperature.
    ///
    /// # Shapes
    /// - `posterior`: of B frames
    /// - output: `[B,K]`, each row sums to 1 in probability
    pub fn log_responsibilities(&self, posterior: &Posterior) -> Tensor<2> {
        log_softmax(self.model.log_responsibilities(posterior) / f64::from(self.calibration.temperature), 1)
    }

    /// Novelty as the threshold is of.
    ///
    /// # Shapes
    /// - `x`: `[B,P]`, scaled; `posterior`: of the same frames
    /// - output: `[B]`, nats
    pub fn novelty(&self, x: Tensor<2>, posterior: &Posterior) -> Tensor<1> {
        novelty(&self.model, x, posterior, self.novelty.dispersion_weight)
    }

    /// The same model with the novelty of the latent alone, which needs no decoder, and its threshold.
    pub fn with_latent_novelty(&self) -> Self {
        let mut out = self.clone();
        out.novelty.dispersion_weight = 0.0;
        out.calibration.novelty_threshold = self.novelty.latent_threshold;
        out
    }

    /// What is done to frames before the networks see them.
    pub fn preparation(&self) -> Preparation<'_> {
        Preparation::new(self.front_end.as_ref(), self.scaling.as_ref())
    }

    /// Shape of what the networks take and give back, and of every map: of the features where there is a front end, else of
    /// a frame.
    pub fn inner_shape(&self) -> FrameShape {
        self.preparation().shape(self.shape)
    }

    /// The settings as the networks were made by them: of sound those for its pictures.
    pub fn inner_config(&self) -> CheckedConfig {
        let sound = self.front_end.as_ref().is_some_and(FrontEnd::is_sound);
        if sound { self.config.of_sound() } else { self.config.clone() }
    }

    /// What the values are that the networks take: features without order of a spectrum, pictures of sound, else as frames are.
    pub fn inner_kind(&self) -> FrameKind {
        let spectral = self.front_end.as_ref().is_some_and(|front_end| front_end.spectral().is_some());
        if spectral { FrameKind::Features } else { self.inner_config().kind() }
    }

    /// The frames in the units of what the networks give back: features where there is a front end, else the frames.
    ///
    /// # Errors
    /// [`ShapeError`] if the frames have another shape than the model takes.
    pub fn features<'a>(&'a self, frames: &'a dyn Source) -> Result<Part<'a, dyn Source + 'a>, ShapeError> {
        self.check_shape(frames)?;
        Ok(Part::all(frames, Preparation::new(self.front_end.as_ref(), None)))
    }

    /// The frames as the networks take them, as they are read: features where there is a front end, standardised where the
    /// model standardises.
    ///
    /// # Errors
    /// [`ShapeError`] if the frames have another shape than the model takes.
    pub fn prepare<'a>(&'a self, frames: &'a dyn Source) -> Result<Part<'a, dyn Source + 'a>, ShapeError> {
        self.check_shape(frames)?;
        Ok(Part::all(frames, self.preparation()))
    }

    /// The same model for frames that are features already.
    pub fn of_features(&self) -> Self {
        let config = self.inner_config().of_kind(self.inner_kind());
        Self { config, shape: self.inner_shape(), front_end: None, seen: None, columns: None, ..self.clone() }
    }

    fn check_shape(&self, frames: &dyn Source) -> Result<(), ShapeError> {
        if frames.shape() != self.shape {
            return Err(ShapeError { found: frames.shape(), expected: self.shape });
        }
        Ok(())
    }
}
