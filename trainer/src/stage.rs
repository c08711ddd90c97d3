//! The names of the stages of training; messages, settings and files call them so.

use serde::{Deserialize, Serialize};

/// The stages of training, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum StageName {
    /// A VAE without clusters.
    Pretrain,
    /// EM on its latents.
    Mixture,
    /// The cluster VAE.
    Refine,
}

impl StageName {
    /// Every stage.
    pub const ALL: [Self; 3] = [Self::Pretrain, Self::Mixture, Self::Refine];

    /// Its name, which is also its table in the configuration.
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
