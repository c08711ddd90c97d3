//! What a report is made from: the parts of a data set, and what the model makes of them.

use std::path::Path;

use burn::tensor::Device;
use rand::seq::index;

use super::history::History;
use super::pictures::Look;
use crate::data::{Frames, Role};
use crate::error::Result;
use crate::eval::{Reliability, Scores, against_labels, against_views, matching, predict, scores};
use crate::explain::{Explanation, explain};
use crate::fitted::Fitted;
use crate::prototypes::{Change, Latents, Prototype, doubtful};
use crate::rng::{Purpose, stream};

/// Most frames of a part that the report looks at, drawn at random: more changes no figure that an eye can tell.
pub const MOST_FRAMES: usize = 10_000;
/// Frames of a part that are explained: one a cluster, as far as they go, then the most doubtful ones.
const EXPLAINED: usize = 12;
/// Of those, at least this many are doubtful.
const EXPLAINED_DOUBTFUL: usize = 2;
/// Doubtful frames that are moved to their runner-up.
pub const CHANGED: usize = 6;
/// The confidence below which a frame is doubtful.
pub const DOUBT: f64 = 0.9;

/// The stream of random numbers that draws the frames of a part.
fn frames_stream(role: Option<Role>) -> u64 {
    match role {
        None | Some(Role::Fit) => 0,
        Some(Role::Score) => 1,
    }
}

/// The stream that draws random views of frames.
const VIEWS_STREAM: u64 = 2;

/// A part of a data set, and what the model makes of it.
pub struct Part {
    /// Which part it is; None if the data set has but one, which may be what the model was fitted to.
    pub role: Option<Role>,
    /// Frames that the part has.
    pub total: usize,
    /// Those that are looked at.
    pub frames: Frames,
    pub latents: Latents,
    /// Which of them are explained, and how.
    pub explained: Vec<(usize, Explanation)>,
}

/// How well confidences agree with what comes true.
pub struct Confidence {
    pub reliability: Reliability,
    /// Whether labels, rather than random views, say what is right.
    pub against_labels: bool,
}

/// Scores against labels.
pub struct Labelled {
    pub scores: Scores,
    /// Every class, ascending.
    pub classes: Vec<u32>,
    /// Rank of the class matched to each cluster.
    pub matched: Vec<Option<usize>>,
}

/// All that a report shows.
pub struct Findings<'a> {
    pub fitted: &'a Fitted,
    pub run: &'a Path,
    /// Where the frames are from, in words.
    pub source: String,
    pub look: Look<'a>,
    pub history: Option<History>,
    pub metrics: Option<serde_json::Value>,
    /// Training frames first, if the data set has them; at least one part.
    pub parts: Vec<Part>,
    /// Of the first part.
    pub prototypes: Vec<Prototype>,
    /// Of the last part.
    pub changes: Vec<Change>,
    pub labelled: Option<Labelled>,
    pub confidence: Option<Confidence>,
}

impl Findings<'_> {
    /// The part that scores, calibration and novelty come from.
    pub fn last(&self) -> &Part {
        &self.parts[self.parts.len() - 1]
    }
}

impl Part {
    pub fn new(fitted: &Fitted, role: Option<Role>, frames: Frames, device: &Device) -> Result<Self> {
        let total = frames.len();
        let frames = if total > MOST_FRAMES {
            let mut rng = stream(fitted.config.seed, Purpose::Report, frames_stream(role));
            let mut chosen = index::sample(&mut rng, total, MOST_FRAMES).into_vec();
            chosen.sort_unstable();
            frames.select(&chosen)
        } else {
            frames
        };
        let latents = Latents::new(fitted, &frames, device)?;
        let mut which: Vec<usize> = (0..fitted.config.clusters())
            .filter_map(|c| latents.clusters.iter().position(|found| *found == c))
            .take(EXPLAINED - EXPLAINED_DOUBTFUL)
            .collect();
        for n in doubtful(&latents, EXPLAINED) {
            if which.len() < EXPLAINED && !which.contains(&n) {
                which.push(n);
            }
        }
        let explanations = explain(fitted, &frames.select(&which), device)?;
        let explained = which.into_iter().zip(explanations).collect();
        Ok(Self { role, total, frames, latents, explained })
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self.role {
            Some(Role::Fit) => "training frames",
            Some(Role::Score) => "test frames",
            None => "frames",
        }
    }

    /// Frames past the novelty threshold, a share.
    pub fn novel(&self, threshold: f32) -> f64 {
        let past = self.latents.novelty.iter().filter(|n| **n > threshold).count();
        past as f64 / self.latents.len().max(1) as f64
    }
}

impl Labelled {
    pub fn new(latents: &Latents, labels: &[u32]) -> Self {
        let mut classes = labels.to_vec();
        classes.sort_unstable();
        classes.dedup();
        Self { scores: scores(&latents.clusters, labels), matched: matching(&latents.clusters, labels), classes }
    }

    /// The class matched to a cluster.
    pub fn class(&self, cluster: usize) -> Option<u32> {
        self.matched.get(cluster).copied().flatten().map(|rank| self.classes[rank])
    }
}

impl Confidence {
    /// Against labels, or without them against random views of the frames. None if there are neither.
    pub fn new(fitted: &Fitted, part: &Part, device: &Device) -> Result<Option<Self>> {
        let predictions = predict(fitted, &part.frames, device)?;
        if let Some(labels) = &part.frames.labels {
            let reliability = against_labels(&predictions, labels);
            return Ok(Some(Self { reliability, against_labels: true }));
        }
        let mut views = stream(fitted.config.seed, Purpose::Report, VIEWS_STREAM);
        let found = against_views(fitted, &part.frames, &predictions, &mut views, device)?;
        Ok(found.map(|reliability| Self { reliability, against_labels: false }))
    }
}
