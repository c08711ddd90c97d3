//! Settings of the three stages of training.

use serde::{Deserialize, Serialize};

use super::count::Count;
use super::ranges::{at_least, at_most, per_value, within};
use super::size::StageSize;
use crate::error::Result;

/// Stage 1: a VAE that reconstructs the untouched frame from a view of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PretrainConfig {
    /// Training steps; default `"auto"`, 16 times the root of the number of training frames, 300 to 20,000.
    pub steps: Count,
    /// Frames a step, at least 2; default `"auto"`, 32 to 256 by the number of training frames and of clusters.
    pub batch: Count,
    /// Starts from different weights, 1 to 100, of which the one goes on whose clusters agree best with those of the
    /// others; default `"auto"`, 5 for up to 10,000 training frames, 3 for more.
    pub starts: Count,
    /// Adam's learning rate at the start, 1e-8 to 1; default 1e-3.
    pub learning_rate: f64,
    /// What becomes of the learning rate over the stage; default constant.
    ///
    /// A constant rate keeps the latents of complete MNIST coarse. A rate that falls to 0 makes them fine enough to
    /// tell two ways of writing a digit apart, and EM then finds those: ACC of seed 1 is 0.986 at a constant 1e-3, and
    /// was 0.974 at 3e-3 falling to 0.
    pub schedule: Schedule,
    /// Weight of KL(q(z|x) ‖ N(0, I)) for every value of a frame, 0 to 0.1; default 0.00064, 0.5 for 784 values.
    ///
    /// The likelihood is a sum over the values of a frame. What stands beside it is weighted by their number, so that
    /// the balance, and with it the clusters, are the same for the same picture in fewer or more pixels.
    pub kl_weight: f64,
    /// Weight of the squared distance between the means of two views of a frame, for every value of the frame, 0 to 1;
    /// default 0.0064, 5 for 784 values.
    pub pull: f64,
    /// Weight of the variance of latent means between groups of recordings, for every value of the frame, 0 to 10; default
    /// 0.1. Only where `--group` says of whom a recording is, and each group has eight frames in a batch.
    pub groups: f64,
    /// What the ranges of the views are multiplied by, 0 to 5; default 1.
    pub strength: f64,
    /// Whether elastic displacement and thickness take part; default false. They do in stage 3; in stage 1 they would
    /// make the latents forget what tells some digits apart.
    pub deform: bool,
}

impl Default for PretrainConfig {
    fn default() -> Self {
        Self {
            steps: Count::Auto,
            batch: Count::Auto,
            starts: Count::Auto,
            learning_rate: 1e-3,
            schedule: Schedule::Constant,
            kl_weight: 6.4e-4,
            pull: 6.4e-3,
            groups: 0.1,
            strength: 1.0,
            deform: false,
        }
    }
}

impl PretrainConfig {
    pub(super) fn check(&self) -> Result<()> {
        stage("pretrain", self.batch, self.learning_rate, self.strength)?;
        if let Count::Of(starts) = self.starts {
            at_least("pretrain.starts", starts, 1)?;
            at_most("pretrain.starts", starts, 100)?;
        }
        per_value("pretrain.kl_weight", self.kl_weight, 0.1)?;
        per_value("pretrain.pull", self.pull, 1.0)?;
        per_value("pretrain.groups", self.groups, 10.0)
    }

    /// Steps and batch for so many training frames and clusters.
    pub fn size(&self, frames: usize, clusters: usize) -> StageSize {
        StageSize::of(self.steps, self.batch, 16.0, frames, clusters)
    }

    /// Number of starts for so many training frames.
    pub fn starts(&self, frames: usize) -> usize {
        match self.starts {
            Count::Of(starts) => starts,
            Count::Auto if frames <= 10_000 => 5,
            Count::Auto => 3,
        }
    }
}

/// How the learning rate changes over a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It stays as it is.
    Constant,
    /// It falls to 0 along a cosine.
    Cosine,
}

impl Schedule {
    /// The learning rate of `step`, counted from 0, of `steps`.
    pub fn at(self, start: f64, step: usize, steps: usize) -> f64 {
        match self {
            Self::Constant => start,
            Self::Cosine => start * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos()),
        }
    }
}

/// Stage 2: a Gaussian mixture fitted to the latent means by EM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MixtureConfig {
    /// Starts of EM, at most 10,000, of which the highest likelihood is kept; default 12. 0 leaves EM out: every
    /// cluster starts as the same Gaussian, which shows what EM is for.
    pub restarts: usize,
    /// Most iterations of a start, at least 1; default 100.
    pub max_iter: usize,
    /// Gain in mean log-likelihood under which EM has converged, nats, 0 to 1000; default 1e-4.
    pub tol: f64,
    /// What is added to the diagonal of the covariances, 0 to 1000; default 1e-3.
    pub reg_covar: f64,
    /// Share of the pooled covariance in that of every component, 0 to 1; default 0.3. Without it a component that has grown wide gathers
    /// what is rare in the others, such as crossed sevens, and stage 3 keeps them there.
    pub pooling: f64,
    /// Rounds of split-and-merge moves tried on the best start; default 10.
    pub moves: usize,
    /// Least H(q̄) / log K of EM's clusters, 0 to 1; default 0. Below it stage 1 begins again from other weights, as long as
    /// `collapse.restarts` allows; the last attempt goes on whatever its balance. For data whose classes are about as
    /// frequent, where a partition that puts two classes into one cluster shows in its balance.
    pub balance: f64,
    /// What EM takes for the shares of the clusters, and stage 3 for the marginal that information is measured against;
    /// default `auto`.
    pub weights: Weights,
    /// Most frames that EM looks at, at least K; default 20,000.
    pub max_frames: usize,
    /// Most clusters that `clusters = "auto"` may find, 2 to 64; default 64. Where there are more, the fit ends and says so.
    pub most_clusters: usize,
}

impl Default for MixtureConfig {
    fn default() -> Self {
        Self {
            restarts: 12,
            max_iter: 100,
            tol: 1e-4,
            reg_covar: 1e-3,
            pooling: 0.3,
            moves: 10,
            balance: 0.0,
            weights: Weights::Auto,
            max_frames: 20_000,
            most_clusters: runtime::MAX_CLUSTERS,
        }
    }
}

impl MixtureConfig {
    /// `clusters`: K, or the most that there may be.
    pub(super) fn check(&self, clusters: usize) -> Result<()> {
        at_least("mixture.most_clusters", self.most_clusters, 2)?;
        at_most("mixture.most_clusters", self.most_clusters, runtime::MAX_CLUSTERS)?;
        at_most("mixture.restarts", self.restarts, 10_000)?;
        at_least("mixture.max_iter", self.max_iter, 1)?;
        at_least("mixture.max_frames", self.max_frames, clusters)?;
        within("mixture.tol", self.tol, 0.0, 1e3)?;
        within("mixture.balance", self.balance, 0.0, 1.0)?;
        within("mixture.reg_covar", self.reg_covar, 0.0, 1e3)?;
        within("mixture.pooling", self.pooling, 0.0, 1.0)
    }
}

/// Shares of the clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weights {
    /// Those of the two with which models of halves of the frames put more of them alike.
    Auto,
    /// 1/K each, as p(c) of the paper.
    Uniform,
    /// Those that EM finds.
    Learned,
}

/// Stage 3: the bound of eq. (6.1), with its charge on information given back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RefineConfig {
    /// Training steps; default `"auto"`, 18 times the root of the number of training frames, 300 to 20,000.
    pub steps: Count,
    /// Frames a step, at least 2; default `"auto"`, 32 to 256 by the number of training frames and of clusters.
    pub batch: Count,
    /// Adam's learning rate at the start, 1e-8 to 1, from where it falls to 0 along a cosine; default 1e-3.
    pub learning_rate: f64,
    /// Whether the bound charges for I(x;c), as eq. (6.1) does as it stands; default false.
    pub charge: bool,
    /// Weight λ of the mutual information between the clusters of a frame and of its view, for every value of the frame,
    /// 0 to 10; default 0.25, 196 for 784 values.
    pub information: f64,
    /// Weight κ of the divergence between q(c|x) of a frame and of its view, for every value of the frame, 0 to 10;
    /// default 0.38, 298 for 784 values.
    pub consistency: f64,
    /// Weight of the mutual information between the cluster of a frame and its group, which is taken from that between
    /// views, for every value of the frame, 0 to 10; default 0.25 as `information`. Where `pretrain.groups` counts.
    pub groups: f64,
    /// What the ranges of the views are multiplied by, 0 to 5; default 0.75.
    pub strength: f64,
    /// How the expectation over c of the reconstruction is computed; default `sampled`.
    pub decoder_passes: DecoderPasses,
}

/// How Σ_c q(c|x) log p(x|z,c) is computed in training; evaluation always takes the exact sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecoderPasses {
    /// K passes of the decoder. `mean-field` always does this.
    Exact,
    /// Two passes, without bias: the most probable cluster, and one of the rest drawn at random.
    Sampled,
}

impl Default for RefineConfig {
    fn default() -> Self {
        Self {
            steps: Count::Auto,
            batch: Count::Auto,
            learning_rate: 1e-3,
            charge: false,
            information: 0.25,
            consistency: 0.38,
            groups: 0.25,
            strength: 0.75,
            decoder_passes: DecoderPasses::Sampled,
        }
    }
}

impl RefineConfig {
    pub(super) fn check(&self) -> Result<()> {
        stage("refine", self.batch, self.learning_rate, self.strength)?;
        per_value("refine.information", self.information, 10.0)?;
        per_value("refine.consistency", self.consistency, 10.0)?;
        per_value("refine.groups", self.groups, 10.0)
    }

    /// Steps and batch for so many training frames and clusters.
    pub fn size(&self, frames: usize, clusters: usize) -> StageSize {
        StageSize::of(self.steps, self.batch, 18.0, frames, clusters)
    }
}

fn stage(name: &str, batch: Count, learning_rate: f64, strength: f64) -> Result<()> {
    if let Count::Of(batch) = batch {
        at_least(&format!("{name}.batch"), batch, 2)?;
    }
    within(&format!("{name}.learning_rate"), learning_rate, 1e-8, 1.0)?;
    within(&format!("{name}.strength"), strength, 0.0, 5.0)
}
