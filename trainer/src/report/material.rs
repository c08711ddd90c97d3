//! What a report is made from: the parts of a data set, and what the model makes of them.

use std::path::Path;

use burn::tensor::Device;
use rand::seq::index;

use super::history::History;
use super::pictures::Look;
use crate::compare::Comparison;
use crate::data::{Frames, Role, Source, frames_in};
use crate::error::Result;
use crate::eval::{Reliability, Scores, against_labels, against_views, matching, predict, scores};
use crate::explain::{Explanation, explain};
use crate::fitted::Fitted;
use crate::prototypes::{Change, Latents, Prototype, doubtful};
use crate::rng::{Purpose, stream};
use crate::timelines::Timelines;

/// Most frames of a part that the report looks at, drawn at random: more changes no figure that an
/// eye can tell.
pub const MOST_FRAMES: usize = 10_000;
/// Bytes that they have at most: seconds of sound are longer than other frames.
const MOST_BYTES: usize = 1 << 29;
/// Frames of a part that are explained: one a cluster, as far as they go, then the most doubtful
/// ones.
const EXPLAINED: usize = 12;
/// Least number of doubtful ones among the frames that are explained.
const EXPLAINED_DOUBTFUL: usize = 2;
/// Number of doubtful frames that are moved to their runner-up.
pub const CHANGED: usize = 6;
/// Confidence below which a frame is doubtful.
pub const DOUBT: f64 = 0.9;

/// The stream of random numbers that draws the frames of a part.
fn frames_stream(role: Option<Role>) -> u64 {
    match role {
        None | Some(Role::Fit) => 0,
        Some(Role::Score) => 1,
    }
}

/// Stream of random numbers that draws random views of frames.
const VIEWS_STREAM: u64 = 2;

/// A part of a data set, and what the model makes of it.
pub struct Part {
    /// Role of the part; None if the data set has but one, which may be what the model was fitted
    /// to.
    pub role: Option<Role>,
    /// Number of frames that the part has.
    pub total: usize,
    /// Frames of the part that are looked at.
    pub frames: Frames,
    /// The same frames as they are drawn: their features, where the model has a front end.
    pub shown: Frames,
    /// Posteriors and novelty of the frames that are looked at.
    pub latents: Latents,
    /// Indices of the frames that are explained, with their explanations.
    pub explained: Vec<(usize, Explanation)>,
}

/// Agreement of confidences with what comes true.
pub struct Confidence {
    /// Reliability of the confidences.
    pub reliability: Reliability,
    /// Whether labels, rather than random views, say what is right.
    pub against_labels: bool,
}

/// Scores of clusters against labels.
pub struct Labelled {
    /// Agreement of clusters with classes.
    pub scores: Scores,
    /// All classes, ascending.
    pub classes: Vec<u32>,
    /// Name of each class by its number, where the data have names.
    pub names: Option<Vec<String>>,
    /// Rank of the class matched to each cluster.
    pub matched: Vec<Option<usize>>,
}

/// Everything that a report shows.
pub struct Findings<'a> {
    /// The model that the report is about.
    pub fitted: &'a Fitted,
    /// Run directory of the model.
    pub run: &'a Path,
    /// Origin of the frames, in words.
    pub source: String,
    /// How frames are drawn.
    pub look: Look<'a>,
    /// Curves of the training, if the run keeps them.
    pub history: Option<History>,
    /// Content of the `metrics.json` of the run, if there is one.
    pub metrics: Option<serde_json::Value>,
    /// Parts of the data set, training frames first if it has them; at least one part.
    pub parts: Vec<Part>,
    /// Recordings over time, if frames are windows of recordings.
    pub timelines: Option<Timelines>,
    /// Prototypes of the clusters among the frames of the first part.
    pub prototypes: Vec<Prototype>,
    /// Moves of doubtful frames of the last part to their runner-up.
    pub changes: Vec<Change>,
    /// Scores of the last part, if it has labels.
    pub labelled: Option<Labelled>,
    /// The run beside plain methods on the last part.
    pub comparison: Option<Comparison>,
    /// Reliability of the confidences of the last part, if something says what is right.
    pub confidence: Option<Confidence>,
}

impl Findings<'_> {
    /// The part that scores, calibration and novelty come from.
    pub fn last(&self) -> &Part {
        &self.parts[self.parts.len() - 1]
    }
}

impl Part {
    /// Draws frames of a part, encodes them, and explains some.
    pub fn new(fitted: &Fitted, role: Option<Role>, frames: &dyn Source, device: &Device) -> Result<Self> {
        let total = frames.len();
        let most = MOST_FRAMES.min(frames_in(MOST_BYTES, frames.shape()));
        let frames = if total > most {
            let mut rng = stream(fitted.config.seed, Purpose::Report, frames_stream(role));
            let mut chosen = index::sample(&mut rng, total, most).into_vec();
            chosen.sort_unstable();
            frames.gather(&chosen)?
        } else {
            frames.all()?
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
        let shown = fitted.features(&frames)?.all()?;
        Ok(Self { role, total, frames, shown, latents, explained })
    }

    /// Words for the part.
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
    /// Scores clusters against the labels of the same frames.
    pub fn new(latents: &Latents, labels: &[u32], names: Option<Vec<String>>) -> Self {
        let mut classes = labels.to_vec();
        classes.sort_unstable();
        classes.dedup();
        let (scores, matched) = (scores(&latents.clusters, labels), matching(&latents.clusters, labels));
        Self { scores, matched, classes, names }
    }

    /// Name of a class; its number where it has none.
    pub fn name(&self, class: u32) -> String {
        let name = self.names.as_ref().and_then(|names| names.get(class as usize));
        name.cloned().unwrap_or_else(|| class.to_string())
    }

    /// The class matched to a cluster, if one is.
    pub fn class(&self, cluster: usize) -> Option<u32> {
        self.matched.get(cluster).copied().flatten().map(|rank| self.classes[rank])
    }
}

impl Confidence {
    /// Measures the confidences of a part against labels, or without them against random views of
    /// the frames.
    ///
    /// None if there are neither.
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
