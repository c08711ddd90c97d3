//! The report of a run: one HTML file that needs no network and no script.
//!
//! `Material` gathers what is shown, `page` and `sections` put it into words, `chart` and `pictures` draw it.
//! Everything that goes into the page passes through maud, which escapes it.

mod chart;
mod history;
mod page;
mod pictures;
mod projection;
mod sections;

use std::path::Path;

use burn::tensor::Device;
use rand::seq::index;

use crate::critic::{Explanation, explain};
use crate::data::{self, Frames, Role};
use crate::error::Result;
use crate::eval::{Reliability, Scores, against_labels, against_views, matching, predict, scores};
use crate::fit::Fitted;
use crate::prototypes::{Change, Latents, Prototype, changes, doubtful, nearly_sure, prototypes};
use crate::rng::{Purpose, stream};
use history::History;
use pictures::Look;

/// Most frames of a part that the report looks at, drawn at random: more changes no figure that an eye can tell.
const MOST_FRAMES: usize = 10_000;
/// Frames of a part that are explained: one a cluster, as far as they go, then the most doubtful ones.
const EXPLAINED: usize = 12;
/// Of those, at least this many are doubtful.
const EXPLAINED_DOUBTFUL: usize = 2;
/// Doubtful frames that are moved to their runner-up.
const CHANGED: usize = 6;
/// The confidence below which a frame is doubtful.
const DOUBT: f64 = 0.9;

/// A part of a data set, and what the model makes of it.
struct Part {
    /// Which part it is; None if the data set has but one, which may be what the model was fitted to.
    role: Option<Role>,
    /// Frames that the part has.
    total: usize,
    /// Those that are looked at.
    frames: Frames,
    latents: Latents,
    /// Which of them are explained, and how.
    explained: Vec<(usize, Explanation)>,
}

/// How well confidences agree with what comes true.
struct Confidence {
    reliability: Reliability,
    /// Whether labels, rather than random views, say what is right.
    against_labels: bool,
}

/// Scores against labels.
struct Labelled {
    scores: Scores,
    /// Every class, ascending.
    classes: Vec<u32>,
    /// Rank of the class matched to each cluster.
    matched: Vec<Option<usize>>,
}

/// All that a report shows.
struct Material<'a> {
    fitted: &'a Fitted,
    run: &'a Path,
    /// Where the frames are from, in words.
    source: String,
    look: Look<'a>,
    history: Option<History>,
    metrics: Option<serde_json::Value>,
    /// Training frames first, if the data set has them; at least one part.
    parts: Vec<Part>,
    /// Of the first part.
    prototypes: Vec<Prototype>,
    /// Of the last part.
    changes: Vec<Change>,
    labelled: Option<Labelled>,
    confidence: Option<Confidence>,
}

/// The report of a fitted model as the text of an HTML file.
///
/// `run` is its run directory, `data` the frames it is shown on (None: the embedded digits). Of a data set with two
/// parts, prototypes come from the part that models are fitted on, scores, calibration and novelty from the other.
///
/// # Errors
/// [`crate::Error::Data`] if the frames cannot be read or have another shape than the model takes,
/// [`crate::Error::Model`] if a file of the run is damaged.
pub fn report(fitted: &Fitted, run: &Path, data: Option<&Path>, device: &Device) -> Result<String> {
    let roles = data::parts(data);
    let alone = roles.len() == 1;
    let parts: Vec<Part> = roles
        .into_iter()
        .map(|role| Part::new(fitted, (!alone).then_some(role), data::open(data, role)?, device))
        .collect::<Result<_>>()?;
    let (first, last) = (&parts[0], &parts[parts.len() - 1]);
    let labelled = last.frames.labels.as_deref().map(|labels| Labelled::new(&last.latents, labels));
    let material = Material {
        fitted,
        run,
        source: data.map_or_else(|| "the digits embedded in the program".to_owned(), |d| d.display().to_string()),
        look: Look::new(fitted),
        history: History::read(run)?,
        metrics: crate::run::metrics(run)?,
        prototypes: prototypes(fitted, &first.frames, &first.latents, device)?,
        changes: changes(fitted, &last.latents, &nearly_sure(&last.latents, DOUBT, CHANGED), device)?,
        confidence: Confidence::new(fitted, last, device)?,
        labelled,
        parts,
    };
    page::page(&material)
}

impl Material<'_> {
    /// The part that scores, calibration and novelty come from.
    fn last(&self) -> &Part {
        &self.parts[self.parts.len() - 1]
    }
}

impl Part {
    fn new(fitted: &Fitted, role: Option<Role>, frames: Frames, device: &Device) -> Result<Self> {
        let total = frames.len();
        let frames = if total > MOST_FRAMES {
            let mut rng = stream(fitted.config.seed, Purpose::Report, role.map_or(0, |role| role as u64));
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
    fn name(&self) -> &'static str {
        match self.role {
            Some(Role::Fit) => "training frames",
            Some(Role::Score) => "test frames",
            None => "frames",
        }
    }

    /// Frames past the novelty threshold, a share.
    fn novel(&self, threshold: f32) -> f64 {
        let past = self.latents.novelty.iter().filter(|n| **n > threshold).count();
        past as f64 / self.latents.len().max(1) as f64
    }
}

impl Labelled {
    fn new(latents: &Latents, labels: &[u32]) -> Self {
        let mut classes = labels.to_vec();
        classes.sort_unstable();
        classes.dedup();
        Self { scores: scores(&latents.clusters, labels), matched: matching(&latents.clusters, labels), classes }
    }

    /// The class matched to a cluster.
    fn class(&self, cluster: usize) -> Option<u32> {
        self.matched.get(cluster).copied().flatten().map(|rank| self.classes[rank])
    }
}

impl Confidence {
    /// Against labels, or without them against random views of the frames. None if there are neither.
    fn new(fitted: &Fitted, part: &Part, device: &Device) -> Result<Option<Self>> {
        let predictions = predict(fitted, &part.frames, device)?;
        if let Some(labels) = &part.frames.labels {
            let reliability = against_labels(&predictions, labels);
            return Ok(Some(Self { reliability, against_labels: true }));
        }
        // Role takes the first two streams.
        let mut views = stream(fitted.config.seed, Purpose::Report, 2);
        let found = against_views(fitted, &part.frames, &predictions, &mut views, device)?;
        Ok(found.map(|reliability| Self { reliability, against_labels: false }))
    }
}
