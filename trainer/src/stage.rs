//! The names of the stages of training; messages, settings and files call them so.

use serde::{Deserialize, Serialize};

/// The stages of training, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum StageName {
    /// Stage 1: a VAE without clusters.
    Pretrain,
    /// Stage 2: EM on the latents of stage 1.
    Mixture,
    /// Stage 3: the cluster VAE.
    Refine,
}

impl StageName {
    /// Every stage, in the order of training.
    pub const ALL: [Self; 3] = [Self::Pretrain, Self::Mixture, Self::Refine];

    /// The name of the stage, which is also that of its table in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pretrain => "pretrain",
            Self::Mixture => "mixture",
            Self::Refine => "refine",
        }
    }
}

impl std::fmt::Display for StageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
