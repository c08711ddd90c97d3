//! The names of the stages of training; messages, settings and files call them so.

use serde::{Deserialize, Serialize};

/// The stages of training, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum StageName {
    /// First stage: a VAE without clusters
    Pretrain,
    /// Second stage: EM on the first one's latents
    Mixture,
    /// Third stage: the cluster VAE
    Refine,
}

impl StageName {
    /// All stages, in their order.
    pub const ALL: [Self; 3] = [Self::Pretrain, Self::Mixture, Self::Refine];

    /// Name of the stage, which is also that of its table in the configuration.
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
