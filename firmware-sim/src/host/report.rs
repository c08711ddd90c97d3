//! The table of a replay.

use std::fmt;

use serde::Serialize;

use super::faults::Happened;
use crate::Summary;

/// Starts of the device, by the model it found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Starts {
    /// Starts with the confirmed model.
    pub confirmed: u64,
    /// Starts with the model of the other slot, since the confirmed one was damaged and had to be
    /// sent again.
    pub other_slot: u64,
    /// Starts without a model, since both were damaged; one was then sent again.
    pub none: u64,
}

/// Result of a replay.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Frames that the sensor sent.
    pub sent: u64,
    /// Faults on the way of the frames.
    pub faults: Happened,
    /// Starts of the device.
    pub starts: Starts,
    /// Counts that the device kept.
    pub summary: Summary,
    /// Undamaged frames that are not novel: those whose cluster's class is their label, and all.
    pub frames_agree: [u64; 2],
    /// Decisions: those whose cluster's class is the label of the frame that decided, and all.
    pub decisions_agree: [u64; 2],
    /// The class of each cluster, one to one.
    pub classes: Vec<usize>,
    /// Steps of the loop a second, on this host.
    pub steps_per_second: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { faults, starts, summary, .. } = self;
        let mut row = |name: &str, value: &dyn fmt::Display| writeln!(f, "{name:<34}{value:>10}");
        row("frames sent", &self.sent)?;
        row("  lost on the way", &faults.dropped)?;
        row("  sent twice", &faults.duplicated)?;
        row("  noise", &faults.corrupt)?;
        row("  half white", &faults.saturated)?;
        row("  with a value that is no number", &faults.nan)?;
        row("jumps of the clock", &faults.clock_jumps)?;
        row("bits of flash turned over", &faults.bit_flips)?;
        row("starts with the confirmed model", &starts.confirmed)?;
        row("  with that of the other slot", &starts.other_slot)?;
        row("  with none, sent again", &starts.none)?;
        row("frames taken", &summary.frames)?;
        row("  dropped, the queue being full", &summary.dropped)?;
        row("  refused", &summary.refused)?;
        row("  novel", &summary.novel)?;
        row("  outside the range of training", &summary.outside)?;
        row("alarms", &summary.alarms)?;
        row("decisions", &summary.decided.iter().sum::<u64>())?;
        row("frames that agree with labels", &percent(self.frames_agree))?;
        row("decisions that agree with labels", &percent(self.decisions_agree))?;
        row("steps a second on this host", &format!("{:.0}", self.steps_per_second))?;
        writeln!(f)?;
        writeln!(f, "{:>7}{:>7}{:>10}{:>11}", "cluster", "digit", "frames", "decisions")?;
        for (cluster, class) in self.classes.iter().enumerate() {
            let count = |of: &[u64]| of.get(cluster).copied().unwrap_or_default();
            let [frames, decisions] = [count(&summary.assigned), count(&summary.decided)];
            writeln!(f, "{cluster:>7}{class:>7}{frames:>10}{decisions:>11}")?;
        }
        Ok(())
    }
}

fn percent([part, whole]: [u64; 2]) -> String {
    format!("{:.2} %", 100.0 * part as f64 / whole.max(1) as f64)
}
