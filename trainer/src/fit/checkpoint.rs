//! The state of a training between two steps: all that the rest of it depends on.
//!
//! Random numbers need no place here, since every step draws from a stream of its own. The bytes are a line of
//! JSON (what, and how long each part is), then the parts: weights, Adam's moments, sums of the epoch so far, four of what
//! is known of earlier epochs (the held-out objective of each frame, its mean after each epoch, and of the best epoch that of
//! each frame and the weights), two for each start of stage 1 that came to an end before, and what models of halves of the
//! frames said. Within a stage that is four
//! times the weights, at its end three: which epoch goes on is decided before.

use std::io::Write;
use std::sync::Arc;

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use serde::{Deserialize, Serialize};

use super::kept::{Best, Watch};
use super::metrics::Totals;
use super::mixture::Started;
use crate::error::{Error, Result};
use crate::files::{Hash, sha256};
use crate::model::ClusterVae;
use crate::stage::StageName;

/// 5: what models of halves of the frames said is kept.
const VERSION: u32 = 5;

/// A place in a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Number of restarts before.
    pub attempt: usize,
    /// Number of starts of stage 1 before, in this attempt; all of them once one is chosen.
    pub start: usize,
    /// Stage that was under way.
    pub stage: StageName,
    /// Number of steps of the stage that are done; 1 for a mixture that is fitted.
    pub step: usize,
}

/// A training at a [`Place`].
#[derive(Clone)]
pub struct Checkpoint {
    /// The place in the training at which it was made.
    pub place: Place,
    /// SHA-256 of the values that the model is fitted to.
    pub data_sha256: String,
    /// Number of clusters K of the model.
    pub clusters: usize,
    /// All weights, Burn's own format.
    weights: Vec<u8>,
    /// Adam's moments, Burn's own format; empty after the mixture.
    optimizer: Vec<u8>,
    /// Sums over the steps of the epoch so far.
    pub(super) totals: Totals,
    /// What is known of the epochs of the stage before.
    pub(super) watch: Watch,
    /// The starts of stage 1 that came to an end before, as long as none is chosen.
    pub(super) starts: Vec<Start>,
    /// What models of halves of the frames said before, JSON; empty if nothing was asked of them.
    pub(super) found: Arc<Vec<u8>>,
}

/// A start of stage 1 that came to an end, and what EM made of it.
#[derive(Clone)]
pub struct Start {
    /// All weights, Burn's own format; shared, since every checkpoint has them until a start is chosen.
    weights: Arc<Vec<u8>>,
    /// Cluster of every training frame, below K.
    pub clusters: Vec<u8>,
    /// What is kept in the header.
    pub told: Told,
}

/// What is told of a start beside its weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// Number of clusters K of the model.
    pub count: usize,
    /// Why training should begin again from other weights, if it should.
    pub fault: Option<String>,
}

impl Start {
    /// The start that ended so.
    pub fn new(ended: &Started) -> Result<Self> {
        let Started { model, clusters, fault } = ended;
        let told = Told { count: model.prior.clusters(), fault: fault.clone() };
        Ok(Self { weights: Arc::new(weights_of(model)?), clusters: clusters.clone(), told })
    }

    /// The model, its weights read into `empty`, a model of the same form.
    pub fn model(&self, empty: ClusterVae) -> Result<ClusterVae> {
        read_weights(&self.weights, empty.keep_clusters(self.told.count))
    }
}

/// All weights in Burn's own format. `valid` brings the running statistics of the normalisation up to date, which the
/// record alone does not.
pub(super) fn weights_of(model: &ClusterVae) -> Result<Vec<u8>> {
    let bytes = model.valid().into_record().into_bytes();
    Ok(bytes.map_err(|e| Error::resource("checkpoint", e))?.to_vec())
}

/// `empty` with the weights that [`weights_of`] gave.
pub(super) fn read_weights(weights: &[u8], empty: ClusterVae) -> Result<ClusterVae> {
    ModuleRecord::from_bytes(Bytes::from_bytes_vec(weights.to_vec()))
        .and_then(|record| empty.try_load_record(record))
        .map_err(|e| Error::model("checkpoint", e))
}

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    place: Place,
    data_sha256: String,
    clusters: usize,
    steps: usize,
    lengths: Vec<usize>,
    /// Of each start that came to an end.
    starts: Vec<Told>,
    /// Number of the best epoch of the stage so far.
    best: Option<usize>,
    sha256: String,
}

/// Numbers as bytes, little-endian.
fn to_bytes(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// The numbers in bytes that [`to_bytes`] gave.
fn from_bytes(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect()
}

impl Checkpoint {
    /// The state after the steps of `place`.
    pub(super) fn new(
        place: Place,
        data_sha256: &str,
        model: &ClusterVae,
        optimizer: Option<&ModuleOptimizer>,
        totals: Totals,
    ) -> Result<Self> {
        let weights = weights_of(model)?;
        let optimizer = match optimizer {
            Some(optimizer) => optimizer.into_bytes().map_err(|e| Error::resource("checkpoint", e))?.to_vec(),
            None => Vec::new(),
        };
        let (clusters, data_sha256) = (model.prior.clusters(), data_sha256.to_owned());
        let (watch, starts, found) = (Watch::default(), Vec::new(), Arc::default());
        Ok(Self { place, data_sha256, clusters, weights, optimizer, totals, watch, starts, found })
    }

    /// The same with what models of halves of the frames said before.
    pub(super) fn with_found(mut self, found: Arc<Vec<u8>>) -> Self {
        self.found = found;
        self
    }

    /// The model that was saved, its weights read into `empty`, a model of the same form.
    pub(crate) fn model(&self, empty: ClusterVae) -> Result<ClusterVae> {
        read_weights(&self.weights, empty)
    }

    /// The optimiser that was saved, its moments read into `empty`; `empty` itself after the mixture.
    pub(super) fn optimizer(&self, empty: ModuleOptimizer) -> Result<ModuleOptimizer> {
        if self.optimizer.is_empty() {
            return Ok(empty);
        }
        let bytes = Bytes::from_bytes_vec(self.optimizer.clone());
        empty.from_bytes(bytes).map_err(|e| Error::model("checkpoint", e))
    }

    /// The checkpoint as the bytes of a file.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.write(&mut bytes).map_err(|e| Error::resource("checkpoint", e))?;
        Ok(bytes)
    }

    /// Writes the bytes of [`Checkpoint::encode`], part by part: together they are several times the weights.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write(&self, to: &mut dyn Write) -> std::io::Result<()> {
        let Watch { smoothed, means, best } = &self.watch;
        let of_best = best.as_ref().map_or(&[][..], |best| &best.smoothed);
        let [sums, smoothed, means, of_best] = [&self.totals.sums, smoothed, means, of_best].map(to_bytes);
        let best_weights = best.as_ref().map_or(&[][..], |best| &best.weights[..]);
        let mut parts = vec![&self.weights[..], &self.optimizer, &sums, &smoothed, &means, &of_best, best_weights];
        parts.extend(self.starts.iter().flat_map(|start| [&start.weights[..], &start.clusters]));
        parts.push(&self.found);
        let mut hash = Hash::default();
        parts.iter().for_each(|part| hash.update(part));
        let header = Header {
            version: VERSION,
            place: self.place,
            data_sha256: self.data_sha256.clone(),
            clusters: self.clusters,
            steps: self.totals.steps,
            lengths: parts.iter().map(|part| part.len()).collect(),
            starts: self.starts.iter().map(|start| start.told.clone()).collect(),
            best: best.as_ref().map(|best| best.epoch),
            sha256: hash.finish(),
        };
        let mut head = serde_json::to_vec(&header)?;
        head.push(b'\n');
        let mut all = [&head[..]].into_iter().chain(parts);
        all.try_for_each(|part| to.write_all(part))
    }

    /// The checkpoint in the bytes of a file.
    ///
    /// # Errors
    /// What is wrong with the bytes, in words.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let end = bytes.iter().position(|b| *b == b'\n').ok_or("it has no header line")?;
        let header: Header = serde_json::from_slice(&bytes[..end]).map_err(|e| format!("its header: {e}"))?;
        if header.version != VERSION {
            let mend = "go on with the program that began it, or begin a new run";
            return Err(format!("version {}, expected {VERSION}: {mend}", header.version));
        }
        let body = &bytes[end + 1..];
        let expected = header.lengths.iter().try_fold(0usize, |sum, length| sum.checked_add(*length));
        let damaged = || "damaged: its content is not what its header says".to_owned();
        if expected != Some(body.len()) || sha256(body) != header.sha256 {
            return Err(damaged());
        }
        let mut rest = body;
        let mut parts = header.lengths.iter().map(|&length| {
            let (part, after) = rest.split_at(length);
            rest = after;
            part
        });
        let mut next = || parts.next().ok_or_else(damaged);
        let (weights, optimizer, sums) = (next()?, next()?, next()?);
        let (smoothed, means) = (from_bytes(next()?), from_bytes(next()?));
        let (of_best, best_weights) = (from_bytes(next()?), next()?.to_vec());
        let best = header.best.map(|epoch| Best { epoch, smoothed: of_best, weights: Arc::new(best_weights) });
        if best.as_ref().is_some_and(|best| best.epoch == 0 || best.epoch > means.len()) {
            return Err(damaged());
        }
        let of_start = |told: &Told| {
            Ok(Start { weights: Arc::new(next()?.to_vec()), clusters: next()?.to_vec(), told: told.clone() })
        };
        let starts = header.starts.iter().map(of_start).collect::<Result<_, String>>()?;
        let found = Arc::new(next()?.to_vec());
        Ok(Self {
            place: header.place,
            data_sha256: header.data_sha256,
            clusters: header.clusters,
            weights: weights.to_vec(),
            optimizer: optimizer.to_vec(),
            totals: Totals { sums: from_bytes(sums), steps: header.steps },
            watch: Watch { smoothed, means, best },
            starts,
            found,
        })
    }
}
