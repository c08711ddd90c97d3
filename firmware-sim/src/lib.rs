//! What the device does with a stream of assignments: smooths decisions, raises alarms, counts.
//!
//! Nothing here reads a clock or a file, allocates, or panics: time and assignments are passed in.
#![no_std]

use heapless::Deque;
use runtime::{Assignment, FrameError, MAX_CLUSTERS};

/// What a step of the loop decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// No cluster has the votes yet, or none that differs from the last decision.
    Nothing,
    /// This cluster now has the votes.
    Decided {
        /// The cluster.
        cluster: usize,
        /// Time of the frame that decided, milliseconds.
        at: u64,
    },
    /// The frame is novel; it does not vote.
    Novel {
        /// Time of the frame, milliseconds.
        at: u64,
    },
    /// The frame was refused; it does not vote.
    Refused(FrameError),
}

/// Sums that a fleet server can add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Frames seen.
    pub frames: u32,
    /// Frames refused.
    pub refused: u32,
    /// Novel frames.
    pub novel: u32,
    /// Decisions for each cluster.
    pub decisions: [u32; MAX_CLUSTERS],
}

/// Decides for a cluster once `NEEDED` of the last `VOTES` ordinary frames agree.
#[derive(Debug)]
pub struct SampleLoop<const VOTES: usize, const NEEDED: usize> {
    votes: Deque<usize, VOTES>,
    decided: Option<usize>,
    counters: Counters,
}

impl<const VOTES: usize, const NEEDED: usize> Default for SampleLoop<VOTES, NEEDED> {
    fn default() -> Self {
        let counters = Counters { frames: 0, refused: 0, novel: 0, decisions: [0; MAX_CLUSTERS] };
        Self { votes: Deque::new(), decided: None, counters }
    }
}

impl<const VOTES: usize, const NEEDED: usize> SampleLoop<VOTES, NEEDED> {
    /// Takes what the engine said of the frame of time `now`, milliseconds.
    pub fn step(&mut self, now: u64, assignment: Result<&Assignment, FrameError>) -> Event {
        self.counters.frames = self.counters.frames.saturating_add(1);
        let assignment = match assignment {
            Ok(assignment) => assignment,
            Err(error) => {
                self.counters.refused = self.counters.refused.saturating_add(1);
                return Event::Refused(error);
            }
        };
        if assignment.is_novel {
            self.counters.novel = self.counters.novel.saturating_add(1);
            return Event::Novel { at: now };
        }
        if self.votes.is_full() {
            self.votes.pop_front();
        }
        // Never full here, unless VOTES is 0, which never decides.
        let _ = self.votes.push_back(assignment.cluster);
        let agreeing = self.votes.iter().filter(|&&cluster| cluster == assignment.cluster).count();
        if agreeing < NEEDED || self.decided == Some(assignment.cluster) {
            return Event::Nothing;
        }
        self.decided = Some(assignment.cluster);
        if let Some(count) = self.counters.decisions.get_mut(assignment.cluster) {
            *count = count.saturating_add(1);
        }
        Event::Decided { cluster: assignment.cluster, at: now }
    }

    /// What has been counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
