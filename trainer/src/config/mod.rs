//! Every hyperparameter with its default and its range, a file a group.
//!
//! A [`Config`] may hold anything; only [`Config::check`] makes the [`CheckedConfig`] that can be fitted.

mod count;
mod front_end;
mod networks;
mod presets;
mod ranges;
mod size;
mod stages;
mod text;
mod verdicts;
mod views;
mod widths;

pub use count::Count;
pub use front_end::FrontEndChoice;
pub use networks::{ClusterPosterior, DecoderConfig, EncoderConfig, EncoderKind, LikelihoodChoice};
pub use presets::Preset;
pub use size::StageSize;
pub use stages::{DecoderPasses, MixtureConfig, PretrainConfig, RefineConfig, Schedule, Weights};
pub use verdicts::{CollapseConfig, ConfidenceConfig, NoveltyConfig};
pub use views::{AugmentConfig, AugmentKind};
pub use widths::{Auto, Widths};

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::frame::{FrameKind, FrameShape};
use ranges::{at_least, at_most};

/// All settings of a run. `config.toml` in a run directory is this, every default written out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Seed of every random number of the run, below 2^63; default 0.
    pub seed: u64,
    /// What a frame is; default `auto`, by its shape.
    pub frames: FrameChoice,
    /// What becomes of a frame before the networks see it; default `auto`.
    pub frontend: FrontEndChoice,
    /// Clusters K, 2 to 64, or `"auto"` to find K, at most `mixture.most_clusters`; default 10.
    pub clusters: Count,
    /// Latent dimensions D, 1 to 1024; default 10.
    pub latent: usize,
    /// How q(c|x) is computed; default `gmm`.
    pub cluster_posterior: ClusterPosterior,
    /// q(z|x).
    pub encoder: EncoderConfig,
    /// p(x|z,c).
    pub decoder: DecoderConfig,
    /// Random views of a frame.
    pub augment: AugmentConfig,
    /// Stage 1: a VAE without clusters.
    pub pretrain: PretrainConfig,
    /// Stage 2: EM on the latent means.
    pub mixture: MixtureConfig,
    /// Stage 3: the cluster VAE.
    pub refine: RefineConfig,
    /// When a clustering counts as collapsed.
    pub collapse: CollapseConfig,
    /// How sure an answer is.
    pub confidence: ConfidenceConfig,
    /// Novelty threshold.
    pub novelty: NoveltyConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            frames: FrameChoice::Auto,
            frontend: FrontEndChoice::Auto,
            clusters: Count::Of(10),
            latent: 10,
            cluster_posterior: ClusterPosterior::Gmm,
            encoder: EncoderConfig::default(),
            decoder: DecoderConfig::default(),
            augment: AugmentConfig::default(),
            pretrain: PretrainConfig::default(),
            mixture: MixtureConfig::default(),
            refine: RefineConfig::default(),
            collapse: CollapseConfig::default(),
            confidence: ConfidenceConfig::default(),
            novelty: NoveltyConfig::default(),
        }
    }
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrameChoice {
    /// By its shape: see [`FrameShape::kind`].
    Auto,
    /// `[C,H,W]`.
    Image,
    /// `[C,1,W]` or `[1,C,W]`: C sensor channels.
    Window,
    /// Values without order.
    Features,
}

impl FrameChoice {
    /// The kind that the settings name; None if they leave it to the frames.
    pub fn said(self) -> Option<FrameKind> {
        match self {
            Self::Auto => None,
            Self::Image => Some(FrameKind::Image),
            Self::Window => Some(FrameKind::Window),
            Self::Features => Some(FrameKind::Features),
        }
    }

    /// The kind of frames of this shape.
    pub fn of(self, shape: FrameShape) -> FrameKind {
        self.said().unwrap_or_else(|| shape.kind())
    }
}

impl Config {
    /// K; the most that there may be as long as it is to be found.
    pub fn clusters(&self) -> usize {
        match self.clusters {
            Count::Of(k) => k,
            Count::Auto => self.mixture.most_clusters,
        }
    }

    /// K; the fewest that there may be as long as it is to be found.
    pub fn least_clusters(&self) -> usize {
        match self.clusters {
            Count::Of(k) => k,
            Count::Auto => 2,
        }
    }

    /// The settings for frames that were taken as `kind`, which they name where the shape would not give it.
    pub fn taken_as(mut self, kind: FrameKind, shape: FrameShape) -> Self {
        if self.frames.of(shape) != kind {
            self.frames = match kind {
                FrameKind::Image => FrameChoice::Image,
                FrameKind::Window => FrameChoice::Window,
                FrameKind::Features => FrameChoice::Features,
            };
        }
        self
    }

    /// Checks every range, for who wants to know before there are frames.
    ///
    /// # Errors
    /// [`crate::Error::Config`] with the key, its value and what is accepted.
    pub fn check_ranges(&self) -> Result<()> {
        if let Count::Of(k) = self.clusters {
            at_least("clusters", k, 2)?;
            at_most("clusters", k, runtime::MAX_CLUSTERS)?;
        }
        at_least("latent", self.latent, 1)?;
        at_most("latent", self.latent, 1024)?;
        at_most("seed", self.seed as usize, i64::MAX as usize)?;
        self.encoder.check()?;
        self.decoder.check()?;
        self.augment.check()?;
        self.pretrain.check()?;
        self.mixture.check(self.clusters())?;
        self.refine.check()?;
        self.augment.check_strength("pretrain", self.pretrain.strength)?;
        self.augment.check_strength("refine", self.refine.strength)?;
        self.collapse.check()?;
        self.novelty.check()
    }

    /// The settings for frames of a shape, every range checked, and the widths of layers that the shape tells.
    ///
    /// # Errors
    /// As for [`Config::check_ranges`]; also if such frames cannot have the front end that is asked for.
    pub fn check(mut self, shape: FrameShape) -> Result<CheckedConfig> {
        self.check_ranges()?;
        let kind = self.frames.of(shape);
        self.frontend.check(kind, shape)?;
        self.encoder.channels = self.encoder.channels.or_channels(kind, shape);
        self.decoder.hidden = self.decoder.hidden.or_decoder(shape);
        Ok(CheckedConfig { kind, config: self })
    }
}

/// A [`Config`] whose every value is in range, for frames of a known kind.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedConfig {
    config: Config,
    kind: FrameKind,
}

impl Deref for CheckedConfig {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
}

impl CheckedConfig {
    /// What a frame is: as the settings say, else by its shape.
    pub fn kind(&self) -> FrameKind {
        self.kind
    }

    /// The same settings for a start from other weights; attempt 0 is the run's own seed.
    pub fn attempt(&self, attempt: usize) -> Self {
        let mut config = self.clone();
        // Seeds of users are small numbers; this keeps attempts apart from them and from each other.
        config.config.seed ^= (attempt as u64) << 48;
        config
    }

    /// The same settings for one of several starts of stage 1; start 0 has the attempt's own seed.
    pub fn start(&self, start: usize) -> Self {
        let mut config = self.clone();
        config.config.seed ^= (start as u64) << 40;
        config
    }

    /// The same settings for a model of one half of the frames, of the first split 0 or 1: as many starts, one attempt.
    pub fn half(&self, half: usize, starts: usize) -> Self {
        let mut config = self.clone();
        config.config.seed ^= (half as u64 + 1) << 32;
        config.config.pretrain.starts = starts.into();
        config.config.collapse.restarts = 0;
        config
    }

    /// The same settings once the encoder is known to be a linear map of `values` values.
    pub fn with_identity(&self, values: usize) -> Self {
        let mut config = self.clone();
        config.config.latent = values;
        config.config.cluster_posterior = ClusterPosterior::Gmm;
        (config.config.encoder.kind, config.config.augment.kind) = (EncoderKind::Identity, AugmentKind::None);
        (config.config.encoder.channels, config.config.encoder.hidden) = (Vec::new().into(), Vec::new());
        // A value and its negative, since the decoder has a ReLU in between.
        config.config.decoder.hidden = vec![2 * values].into();
        config
    }

    /// The same settings once it is known whether the weights of the mixture are learned.
    pub fn with_weights(&self, weights: Weights) -> Self {
        let mut config = self.clone();
        config.config.mixture.weights = weights;
        config
    }

    /// The same settings for what a front end makes of frames, or for frames without one: of this kind, with none.
    pub fn of_kind(&self, kind: FrameKind) -> Self {
        Self { config: Config { frontend: FrontEndChoice::None, ..self.config.clone() }, kind }
    }

    /// The same settings for the pictures that the front end makes of sound: views are those of such pictures, unless others
    /// are asked for.
    pub fn of_sound(&self) -> Self {
        let mut of_pictures = self.of_kind(FrameKind::Image);
        let kind = &mut of_pictures.config.augment.kind;
        if matches!(kind, AugmentKind::Auto | AugmentKind::Window) {
            *kind = AugmentKind::Sound;
        }
        of_pictures
    }

    /// What became of such settings in training, as settings for the windows of `sound` again.
    pub fn of_windows(&self, sound: &Self) -> Self {
        let mut config = Config { frontend: sound.frontend, ..self.config.clone() };
        if config.augment.kind == AugmentKind::Sound {
            config.augment.kind = sound.augment.kind;
        }
        Self { config, kind: sound.kind }
    }

    /// The same settings once K is known.
    pub fn with_clusters(&self, k: usize) -> Self {
        let config = Config { clusters: Count::Of(k), ..self.config.clone() };
        Self { config, ..*self }
    }
}
