//! Settings with a name.

use super::{AugmentKind, Config, Schedule};

/// Settings with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// For tens of thousands of frames
    Default,
    /// Shorter stages with larger steps, for 8,000 digits
    Demo,
    /// No map of a frame: its nearest frames stand for views, so nothing is known of what a frame is
    NoAugment,
    /// A dense encoder 784-256-128 for a microcontroller with 1 MB of flash
    Small,
    /// The reference recipe: autoencoder, mixture, then eq. (6.1) as it stands; a baseline
    Vade,
}

impl Preset {
    /// The settings.
    pub fn config(self) -> Config {
        match self {
            Self::Default => Config::default(),
            Self::Demo => Config::demo(),
            Self::NoAugment => Config::no_augment(),
            Self::Small => Config::small(),
            Self::Vade => Config::vade(),
        }
    }
}

impl Config {
    fn no_augment() -> Self {
        let mut config = Self::default();
        config.augment.kind = AugmentKind::Neighbours;
        // A neighbour may belong elsewhere, so it is trusted less than a map; these are the values that were measured.
        (config.refine.information, config.refine.consistency) = (0.128, 0.128);
        // Neighbours are fixed, so views are exhausted sooner than random maps.
        (config.pretrain.steps, config.refine.steps) = (2500.into(), 1800.into());
        // Without maps one of the two starts that were looked at had no balanced partition.
        (config.mixture.balance, config.collapse.restarts) = (0.99, 5);
        config
    }

    fn small() -> Self {
        let mut config = Self::default();
        (config.encoder.channels, config.encoder.hidden) = (Vec::new().into(), vec![256, 128]);
        config
    }

    fn vade() -> Self {
        let mut config = Self::default();
        config.augment.kind = AugmentKind::None;
        (config.pretrain.pull, config.pretrain.kl_weight) = (0.0, 0.0);
        (config.pretrain.starts, config.confidence.halves) = (1.into(), 0);
        // The mixture as scikit-learn fits it, each component with a covariance of its own.
        config.mixture.pooling = 0.0;
        let refine = &mut config.refine;
        (refine.information, refine.consistency, refine.charge) = (0.0, 0.0, true);
        refine.steps = 2800.into();
        config
    }

    /// The settings of `demo` and of `fit` without `--data`: shorter stages with larger steps, for 8,000 digits, and none of
    /// what takes several models.
    pub fn demo() -> Self {
        let mut config = Self::default();
        let (pretrain, refine) = (&mut config.pretrain, &mut config.refine);
        (pretrain.steps, pretrain.batch, pretrain.learning_rate) = (2000.into(), 128.into(), 3e-3);
        (pretrain.schedule, pretrain.starts) = (Schedule::Cosine, 1.into());
        config.confidence.halves = 0;
        (refine.steps, refine.batch, refine.learning_rate) = (1000.into(), 128.into(), 2e-3);
        (refine.information, refine.consistency, refine.strength) = (0.128, 0.128, 1.0);
        // Elastic views were not measured on so few frames.
        (config.augment.elastic, config.augment.thickness) = (0.0, 0.0);
        config
    }
}
