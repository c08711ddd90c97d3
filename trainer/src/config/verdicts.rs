//! Settings of what is judged after training: a collapsed clustering, a novel frame, how sure an answer is.

use serde::{Deserialize, Serialize};

use super::ranges::{at_most, within};
use crate::error::Result;

/// Bounds under which training starts again from other weights, and at last gives up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollapseConfig {
    /// Least I(x;c) / H(q̄), 0 to 1: how much of what the clusters could tell of a frame they do tell; default 0.1.
    pub information: f64,
    /// Least share of the clusters that are active, 0 to 1; default 0.5. Two are asked for at least. A rare cluster is
    /// active too, from a fiftieth of an even share of the frames on.
    pub active: f64,
    /// How often training may start again, at most 100; default 2.
    pub restarts: usize,
}

impl Default for CollapseConfig {
    fn default() -> Self {
        Self { information: 0.1, active: 0.5, restarts: 2 }
    }
}

impl CollapseConfig {
    pub(super) fn check(&self) -> Result<()> {
        within("collapse.information", self.information, 0.0, 1.0)?;
        within("collapse.active", self.active, 0.0, 1.0)?;
        at_most("collapse.restarts", self.restarts, 100)
    }
}

/// How it is found out how sure q(c|x) may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConfidenceConfig {
    /// Most training frames that are halved, models of every kind that is open fitted to both halves, to see which kind of
    /// model they agree on, and, where all frames take part, how far the clusters are an accident of the frames; 0 for
    /// never; default 10,000. That takes from two thirds of the time again to twice as long for few frames, and a tenth for
    /// 60,000.
    pub halves: usize,
}

impl Default for ConfidenceConfig {
    fn default() -> Self {
        Self { halves: 10_000 }
    }
}

/// The threshold past which a frame is called novel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoveltyConfig {
    /// Share of ordinary frames that may be called novel, 1e-4 to 0.5; default 0.01.
    pub false_alarm_rate: f64,
}

impl Default for NoveltyConfig {
    fn default() -> Self {
        Self { false_alarm_rate: 0.01 }
    }
}

impl NoveltyConfig {
    pub(super) fn check(&self) -> Result<()> {
        within("novelty.false_alarm_rate", self.false_alarm_rate, 1e-4, 0.5)
    }
}
