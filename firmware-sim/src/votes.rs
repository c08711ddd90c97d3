//! From assignments to events: votes with hysteresis, and the novelty alarm.

use heapless::Deque;
use runtime::{Assignment, FrameError, MAX_CLUSTERS};

use crate::settings::{MAX_HISTORY, Settings, SettingsError};
use crate::{Event, Summary};

/// Smooths assignments, whichever engine they come from, and counts.
#[derive(Clone, Debug)]
pub struct Tracker {
    settings: Settings,
    /// Clusters of the last ordinary frames.
    votes: Deque<u8, MAX_HISTORY>,
    /// Frames since the last one that voted.
    silent: usize,
    /// Whether the last accepted frames were novel or outside, the last one in bit 0.
    odd: u64,
    decision: Option<usize>,
    alarmed: bool,
    summary: Summary,
}

impl Tracker {
    /// A tracker that has decided nothing and counted nothing, without an alarm.
    ///
    /// `model` tells one model from another, see [`runtime::flash::FlashModel::checksum`].
    ///
    /// # Errors
    /// As [`Settings::check`], and [`SettingsError::Clusters`].
    pub fn new(settings: Settings, model: u32, clusters: usize) -> Result<Self, SettingsError> {
        if !(1..=MAX_CLUSTERS).contains(&clusters) {
            return Err(SettingsError::Clusters);
        }
        let mut tracker = Self::empty();
        tracker.init(settings, model, clusters)?;
        Ok(tracker)
    }

    /// A tracker of no clusters, for [`Tracker::init`].
    pub(crate) const fn empty() -> Self {
        Self {
            settings: Settings::DEFAULT,
            votes: Deque::new(),
            silent: 0,
            odd: 0,
            decision: None,
            alarmed: false,
            summary: Summary::empty(),
        }
    }

    /// Begins anew in place, as [`Tracker::new`] does.
    pub(crate) fn init(&mut self, settings: Settings, model: u32, clusters: usize) -> Result<(), SettingsError> {
        settings.check()?;
        self.settings = settings;
        self.votes.clear();
        (self.silent, self.odd, self.decision, self.alarmed) = (0, 0, None, false);
        self.summary.init(model, clusters);
        Ok(())
    }

    /// Takes the assignment of the frame of time `now`, milliseconds, or its refusal, from any
    /// engine.
    ///
    /// At most one event comes of a frame. The end of an alarm is none: [`Tracker::alarmed`] tells
    /// it. A decision that lapses since nothing has voted ([`Settings::stale`]) is told before a frame
    /// that is refused, novel or outside, and after an alarm. An assignment to a cluster that the model has not is another model's, and refused.
    pub fn observe(&mut self, now: u64, assignment: Result<&Assignment, FrameError>) -> Event {
        self.summary.frames += 1;
        let clusters = self.summary.assigned.len();
        let assignment = match assignment {
            Ok(assignment) if assignment.cluster < clusters => assignment,
            refused => {
                self.summary.refused += 1;
                return self.silent(now, Event::Refused(refused.err().unwrap_or(FrameError::Engine)));
            }
        };
        let Assignment { is_novel, is_outside, .. } = *assignment;
        let raised = self.alarm(is_novel || is_outside);
        self.summary.novel += u64::from(is_novel);
        self.summary.outside += u64::from(is_outside);
        match (is_novel, is_outside) {
            (false, false) => {}
            _ if raised => return self.silent(now, Event::Alarm { at: now }),
            (_, true) => return self.silent(now, Event::Outside { at: now }),
            (true, false) => return self.silent(now, Event::Novel { at: now }),
        }
        self.summary.assigned(assignment.cluster);
        self.vote(now, assignment.cluster)
    }

    /// Whether this frame raises the alarm.
    fn alarm(&mut self, is_odd: bool) -> bool {
        self.odd = self.odd << 1 | u64::from(is_odd);
        let looked_at = u64::MAX >> (MAX_HISTORY - self.settings.alarm_frames);
        let count = (self.odd & looked_at).count_ones() as usize;
        let was = self.alarmed;
        self.alarmed = if was { count > self.settings.alarm_end } else { count >= self.settings.alarm_at };
        let raised = self.alarmed && !was;
        self.summary.alarms += u64::from(raised);
        raised
    }

    /// Counts a frame that does not vote; so many of them end a decision, which is told in place of `event` unless that is
    /// an alarm.
    fn silent(&mut self, now: u64, event: Event) -> Event {
        self.silent = self.silent.saturating_add(1);
        if self.silent != self.settings.stale {
            return event;
        }
        self.votes.clear();
        match (self.decision.take(), event) {
            (None, event) | (_, event @ Event::Alarm { .. }) => event,
            (Some(cluster), _) => Event::Lapsed { cluster, at: now },
        }
    }

    /// Lets an ordinary frame vote for its cluster, and tells whether the decision changes.
    fn vote(&mut self, now: u64, cluster: usize) -> Event {
        self.silent = 0;
        while self.votes.len() >= self.settings.votes {
            self.votes.pop_front();
        }
        // K is at most 64, and there is room: both cannot fail.
        let _ = self.votes.push_back(cluster as u8);
        let count = |of: usize| self.votes.iter().filter(|&&vote| usize::from(vote) == of).count();
        let kept = self.decision.is_none_or(|decision| count(decision) >= self.settings.keep);
        if self.decision != Some(cluster) && count(cluster) >= self.settings.needed {
            self.decision = Some(cluster);
            self.summary.decided(cluster);
            return Event::Decided { cluster, at: now };
        }
        match self.decision {
            Some(cluster) if !kept => {
                self.decision = None;
                Event::Lapsed { cluster, at: now }
            }
            _ => Event::Nothing,
        }
    }

    /// The cluster that has the votes, if one has.
    pub fn decision(&self) -> Option<usize> {
        self.decision
    }

    /// Whether the alarm is on.
    pub fn alarmed(&self) -> bool {
        self.alarmed
    }

    /// Counts frames that a queue has dropped before the loop saw them.
    pub fn count_dropped(&mut self, frames: u32) {
        self.summary.dropped += u64::from(frames);
    }

    /// Counts since the start or the last [`Tracker::take_summary`].
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Gives the counts and begins again at 0, so that every frame is in one summary only.
    pub fn take_summary(&mut self) -> Summary {
        let empty = Summary::new(self.summary.model, self.summary.assigned.len());
        core::mem::replace(&mut self.summary, empty)
    }
}
