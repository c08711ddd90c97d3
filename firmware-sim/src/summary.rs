//! Counters that a fleet server can add up.

use heapless::Vec;
use runtime::MAX_CLUSTERS;
use serde::{Deserialize, Serialize};

/// Counters of a device; sums of summaries are summaries.
///
/// Encoded by postcard, a number takes as many bytes as it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Checksum of the model: clusters of different models have nothing to do with each other.
    pub model: u32,
    /// Frames that the loop took, refused ones included.
    pub frames: u64,
    /// Frames that were lost before the loop took them, since its queue was full.
    pub dropped: u64,
    /// Frames of the wrong length, or with values that are no numbers or far out of range.
    pub refused: u64,
    /// Frames past the novelty threshold.
    pub novel: u64,
    /// Frames outside the range of values seen in training, which may be novel, too.
    pub outside: u64,
    /// Times that the alarm was raised.
    pub alarms: u64,
    /// Ordinary frames of each cluster `[K]`.
    pub assigned: Vec<u64, MAX_CLUSTERS>,
    /// Decisions for each cluster `[K]`.
    pub decided: Vec<u64, MAX_CLUSTERS>,
}

/// Refusal to add summaries of different models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the summaries are of the models {this:08x} and {other:08x}, whose clusters are not the same")]
pub struct OtherModel {
    /// Checksum of the model whose summary was to be added to.
    pub this: u32,
    /// Checksum of the model whose summary was to be added.
    pub other: u32,
}

impl Summary {
    /// Bytes that hold any encoded summary: 5 for the model, 10 for each other number, 1 for each
    /// length.
    pub const MAX_BYTES: usize = 5 + 10 * (6 + 2 * MAX_CLUSTERS) + 2;

    /// A summary of a model and its clusters in which nothing is counted yet.
    pub fn new(model: u32, clusters: usize) -> Self {
        let mut summary = Self::empty();
        summary.init(model, clusters);
        summary
    }

    /// A summary of no clusters, for [`Summary::init`].
    pub(crate) const fn empty() -> Self {
        Self {
            model: 0,
            frames: 0,
            dropped: 0,
            refused: 0,
            novel: 0,
            outside: 0,
            alarms: 0,
            assigned: Vec::new(),
            decided: Vec::new(),
        }
    }

    /// Begins at 0 in place, as [`Summary::new`] does.
    pub(crate) fn init(&mut self, model: u32, clusters: usize) {
        self.model = model;
        (self.frames, self.dropped, self.refused) = (0, 0, 0);
        (self.novel, self.outside, self.alarms) = (0, 0, 0);
        for counts in [&mut self.assigned, &mut self.decided] {
            counts.clear();
            // K is at most MAX_CLUSTERS for every model that can be loaded.
            let _ = counts.resize(clusters.min(MAX_CLUSTERS), 0);
        }
    }

    /// Counts an ordinary frame of a cluster.
    pub(crate) fn assigned(&mut self, cluster: usize) {
        self.assigned.get_mut(cluster).into_iter().for_each(|count| *count += 1);
    }

    /// Counts a decision for a cluster.
    pub(crate) fn decided(&mut self, cluster: usize) {
        self.decided.get_mut(cluster).into_iter().for_each(|count| *count += 1);
    }

    /// Adds the counts of another device, or of another time. The order of additions does not
    /// matter.
    ///
    /// # Errors
    /// [`OtherModel`] if the models differ; then nothing is added.
    pub fn merge(&mut self, other: &Self) -> Result<(), OtherModel> {
        if self.model != other.model || self.assigned.len() != other.assigned.len() {
            return Err(OtherModel { this: self.model, other: other.model });
        }
        self.frames = self.frames.saturating_add(other.frames);
        self.dropped = self.dropped.saturating_add(other.dropped);
        self.refused = self.refused.saturating_add(other.refused);
        self.novel = self.novel.saturating_add(other.novel);
        self.outside = self.outside.saturating_add(other.outside);
        self.alarms = self.alarms.saturating_add(other.alarms);
        let clusters = self.assigned.iter_mut().chain(&mut self.decided);
        for (count, added) in clusters.zip(other.assigned.iter().chain(&other.decided)) {
            *count = count.saturating_add(*added);
        }
        Ok(())
    }

    /// The bytes to send, at the start of `buffer`.
    ///
    /// # Errors
    /// If they do not fit; [`Summary::MAX_BYTES`] always do.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b mut [u8], postcard::Error> {
        postcard::to_slice(self, buffer)
    }

    /// A summary from its bytes.
    ///
    /// # Errors
    /// If the bytes are no summary, or more than one.
    pub fn decode(bytes: &[u8]) -> Result<Self, postcard::Error> {
        let summary: Self = whole(bytes)?;
        if summary.assigned.len() == summary.decided.len() { Ok(summary) } else { Err(postcard::Error::SerdeDeCustom) }
    }
}

/// A value from its bytes, which are its alone.
pub(crate) fn whole<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Result<T, postcard::Error> {
    let (value, rest) = postcard::take_from_bytes(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(postcard::Error::DeserializeBadEncoding) }
}
