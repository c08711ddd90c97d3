//! What a model says of recordings, window after window, as the device would decide it.

use firmware_sim::{Settings, Tracker};
use runtime::Assignment;

use crate::data::{Cut, Recordings, Source, frames_in};
use crate::error::{Error, Result};
use crate::fitted::Fitted;

/// Most recordings that a drawing shows.
pub const SHOWN: usize = 40;
/// Bytes of windows that are looked at together.
const CHUNK_BYTES: usize = 4 << 20;

/// A recording: its windows in the order of time.
#[derive(Clone, Debug, Default)]
pub struct Strip {
    /// Name of the recording.
    pub name: String,
    /// Its windows.
    pub windows: Vec<Moment>,
}

/// A window of a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// When it begins.
    pub begin: f64,
    /// When it ends.
    pub end: f64,
    /// Its most probable cluster.
    pub cluster: usize,
    /// The probability of that.
    pub confidence: f32,
    /// The cluster that has the votes then, if one has.
    pub decided: Option<usize>,
    /// Whether it is novel.
    pub is_novel: bool,
}

/// Recordings in the order of their windows.
#[derive(Clone, Debug, Default)]
pub struct Timelines {
    /// Those that are shown.
    pub strips: Vec<Strip>,
    /// Number of recordings that there are.
    pub of: usize,
    /// Unit of their times.
    pub unit: &'static str,
}

/// What a window has beside its assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The cluster that has the votes of the last windows, if one has.
    pub cluster: Option<usize>,
    /// Whether so many of the last windows were novel or outside that the alarm is on.
    pub alarmed: bool,
}

/// Decides as the device does, recording after recording.
pub struct Decisions {
    clusters: usize,
    tracker: Option<(u32, Tracker)>,
}

impl Decisions {
    /// Decisions of a model of so many clusters.
    pub fn new(clusters: usize) -> Self {
        Self { clusters, tracker: None }
    }

    /// Decides after a window, which comes after those before in time; every recording begins anew.
    ///
    /// # Errors
    /// [`Error::Config`] if there are more clusters than the device takes.
    pub fn after(&mut self, recordings: &Recordings, cut: Cut, assignment: &Assignment) -> Result<Decision> {
        let recording = recordings.recording(cut);
        let mut tracker = match self.tracker.take() {
            Some((of, tracker)) if of == recording => tracker,
            _ => Tracker::new(Settings::default(), 0, self.clusters).map_err(|e| Error::config("votes", e))?,
        };
        let now = (1000.0 * recordings.times(cut)[1]).max(0.0) as u64;
        let _ = tracker.observe(now, Ok(assignment));
        let decision = Decision { cluster: tracker.decision(), alarmed: tracker.alarmed() };
        self.tracker = Some((recording, tracker));
        Ok(decision)
    }
}

impl Timelines {
    /// An empty drawing of the recordings that frames are windows of; None where they are of none.
    pub fn of(frames: &dyn Source) -> Option<Self> {
        let recordings = frames.recordings()?;
        let unit = if recordings.windowing.rate.is_some() { "seconds" } else { "samples" };
        Some(Self { strips: Vec::new(), of: recordings.names.len(), unit })
    }

    /// Whether a recording is among those that are shown, which are spread over all.
    pub fn shows(&self, recording: u32) -> bool {
        let (at, of) = (recording as usize, self.of);
        of <= SHOWN || at * SHOWN / of != (at + 1) * SHOWN / of
    }

    /// Adds a window.
    pub fn push(&mut self, recordings: &Recordings, cut: Cut, assignment: &Assignment, decision: Decision) {
        if !self.shows(recordings.recording(cut)) {
            return;
        }
        let name = recordings.name(cut);
        if self.strips.last().is_none_or(|strip| strip.name != name) {
            self.strips.push(Strip { name: name.to_owned(), windows: Vec::new() });
        }
        let [begin, end] = recordings.times(cut);
        let Assignment { cluster, confidence, is_novel, .. } = *assignment;
        let moment = Moment { begin, end, cluster, confidence, decided: decision.cluster, is_novel };
        if let Some(strip) = self.strips.last_mut() {
            strip.windows.push(moment);
        }
    }
}

/// The timelines of recordings by a model as it was trained; None where frames are of none.
///
/// # Errors
/// [`Error::Data`] if the frames have another shape than the model takes.
pub fn timelines(fitted: &Fitted, frames: &dyn Source, device: &burn::tensor::Device) -> Result<Option<Timelines>> {
    let (Some(mut found), Some(recordings)) = (Timelines::of(frames), frames.recordings()) else { return Ok(None) };
    let mut decisions = Decisions::new(fitted.config.clusters());
    let shown: Vec<usize> = (0..frames.len())
        .filter(|n| frames.cut(*n).is_some_and(|cut| found.shows(recordings.recording(cut))))
        .collect();
    for part in shown.chunks(frames_in(CHUNK_BYTES, frames.shape())) {
        let assignments = crate::eval::assignments(fitted, &frames.gather(part)?, device)?;
        for (n, assignment) in part.iter().zip(&assignments) {
            let Some(cut) = frames.cut(*n) else { continue };
            let decision = decisions.after(recordings, cut, assignment)?;
            found.push(recordings, cut, assignment, decision);
        }
    }
    Ok(Some(found))
}
