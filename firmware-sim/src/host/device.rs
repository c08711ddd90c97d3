//! The loop of a device on a model of streams, whether its novelty counts the decoder or not.

use anyhow::{Context, Result};
use runtime::flash::{DecoderModel, FlashError, FlashModel};
use runtime::native::{DecoderEngine, Engine, decoder_scratch_len, scratch_len};
use runtime::{Assignment, FrameShape, Windowing};

use crate::{Event, SampleLoop, Settings, Tracker, Window};

/// A model that says how windows are cut.
pub struct StreamModel<'a> {
    kind: Kind<'a>,
    /// Shape of a window.
    pub shape: FrameShape,
    /// How windows are cut.
    pub windowing: Windowing,
}

enum Kind<'a> {
    /// Novelty is that of the latent.
    Latent(Box<FlashModel<'a>>),
    /// Novelty counts the decoder.
    Decoder(Box<DecoderModel<'a>>),
}

impl<'a> StreamModel<'a> {
    /// The model of a flash image.
    ///
    /// # Errors
    /// If it is none, or does not say how windows are cut.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let kind = match (FlashModel::new(bytes), DecoderModel::new(bytes)) {
            (Ok(model), _) => Kind::Latent(Box::new(model)),
            (_, Ok(model)) => Kind::Decoder(Box::new(model)),
            (_, Err(error @ (FlashError::Damaged(_) | FlashError::NotFinite(_)))) | (Err(error), _) => {
                return Err(error.into());
            }
        };
        let (shape, windowing) = match &kind {
            Kind::Latent(model) => (model.shape(), model.windowing()),
            Kind::Decoder(model) => (model.shape(), model.windowing()),
        };
        let problem = "it does not say how windows are cut: export a model that was fitted to recordings";
        Ok(Self { kind, shape, windowing: windowing.context(problem)? })
    }

    /// Scratch memory for a device.
    pub(super) fn scratch(&self) -> Vec<f32> {
        vec![
            0.0;
            match &self.kind {
                Kind::Latent(model) => scratch_len(model),
                Kind::Decoder(model) => decoder_scratch_len(model),
            }
        ]
    }

    /// A device that has seen nothing.
    pub(super) fn device(&self, scratch: &'a mut [f32]) -> Result<Device<'a>> {
        Ok(match &self.kind {
            Kind::Latent(model) => {
                Device::Latent(SampleLoop::new(Engine::new(FlashModel::clone(model), scratch)?, Settings::default())?)
            }
            Kind::Decoder(model) => {
                let tracker = Tracker::new(Settings::default(), model.checksum(), model.head().clusters())?;
                let mut engine = DecoderEngine::new(DecoderModel::clone(model), scratch)?;
                engine.self_test()?;
                Device::Decoder(engine, tracker, None)
            }
        })
    }
}

/// The loop of a device on either kind of model.
pub(super) enum Device<'a> {
    Latent(SampleLoop<'a>),
    Decoder(DecoderEngine<'a>, Tracker, Option<Assignment>),
}

impl Device<'_> {
    /// Takes a sample; the event and the assignment of the window that it makes whole.
    pub fn sample<T: Copy + Into<f32>>(
        &mut self,
        at: u64,
        sample: &[T],
        window: &mut Window<'_, T>,
    ) -> Option<(Event, Option<&Assignment>)> {
        match self {
            Self::Latent(device) => device.sample(at, sample, window).map(|event| (event, device.last())),
            Self::Decoder(engine, tracker, last) => {
                let found = window.push(at, sample).transpose()?.and_then(|frame| engine.assign_values(frame));
                let event = tracker.observe(at, found.as_ref().map_err(|error| *error));
                *last = found.ok();
                Some((event, last.as_ref()))
            }
        }
    }

    /// Whether the alarm is on.
    pub fn alarmed(&self) -> bool {
        match self {
            Self::Latent(device) => device.alarmed(),
            Self::Decoder(_, tracker, _) => tracker.alarmed(),
        }
    }

    /// The cluster that has the votes.
    pub fn decision(&self) -> Option<usize> {
        match self {
            Self::Latent(device) => device.decision(),
            Self::Decoder(_, tracker, _) => tracker.decision(),
        }
    }
}
