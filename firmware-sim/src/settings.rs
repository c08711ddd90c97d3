//! When a decision is made, kept and lost, and when an alarm is raised.

/// Most frames that a vote or an alarm looks back on.
pub const MAX_HISTORY: usize = 64;

/// Settings of how decisions and alarms are smoothed; [`Settings::check`] says whether they make
/// sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Ordinary frames (neither novel, nor outside, nor refused) that vote: the last so many, 1 to 64.
    pub votes: usize,
    /// Votes that make a cluster the decision: more than half of `votes`, so that one cluster at
    /// most has them.
    pub needed: usize,
    /// Votes that the decision must keep, at most `needed`; with fewer it lapses. 0: it lasts until
    /// another is made.
    pub keep: usize,
    /// Frames that do not vote, one after another, after which a decision says nothing any more: it
    /// lapses, and votes before them count no longer. 0: it stands however long nothing votes.
    pub stale: usize,
    /// Accepted frames (all but the refused) that an alarm looks back on, 1 to 64.
    pub alarm_frames: usize,
    /// Novel frames, or outside the range of training, among them that raise the alarm; at most `alarm_frames`.
    pub alarm_at: usize,
    /// The alarm ends when no more than so many are; below `alarm_at`.
    pub alarm_end: usize,
}

impl Settings {
    /// Two of three votes, a decision that lasts until another is made or 64 frames have not voted,
    /// an alarm at five novel frames of ten that ends at one.
    ///
    /// Where 1 % of ordinary frames pass the calibrated threshold, five of ten independent ones do
    /// so once in 4·10⁷ frames.
    pub const DEFAULT: Self =
        Self { votes: 3, needed: 2, keep: 0, stale: 64, alarm_frames: 10, alarm_at: 5, alarm_end: 1 };
}

impl Default for Settings {
    /// The settings of [`Settings::DEFAULT`].
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why settings make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A history is empty or too long.
    #[error("`votes` and `alarm_frames` must be 1 to {MAX_HISTORY}")]
    History,
    /// Two clusters could have the votes at once, or none ever.
    #[error("`needed` must be more than half of `votes`, and no more than `votes`")]
    Needed,
    /// A decision would lapse as soon as it is made.
    #[error("`keep` must be no more than `needed`")]
    Keep,
    /// There are no clusters, or more than a model may have.
    #[error("a model has 1 to {} clusters", runtime::MAX_CLUSTERS)]
    Clusters,
    /// The alarm could never be raised, or would end as soon as it is.
    #[error("`alarm_at` must be above `alarm_end` and no more than `alarm_frames`")]
    Alarm,
}

impl Settings {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// [`SettingsError`] says which does not.
    pub fn check(&self) -> Result<(), SettingsError> {
        let history = 1..=MAX_HISTORY;
        if !history.contains(&self.votes) || !history.contains(&self.alarm_frames) {
            return Err(SettingsError::History);
        }
        if self.needed <= self.votes / 2 || self.needed > self.votes {
            return Err(SettingsError::Needed);
        }
        if self.keep > self.needed {
            return Err(SettingsError::Keep);
        }
        if self.alarm_at <= self.alarm_end || self.alarm_at > self.alarm_frames {
            return Err(SettingsError::Alarm);
        }
        Ok(())
    }
}
