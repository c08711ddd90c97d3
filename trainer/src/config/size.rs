//! How long a stage trains and on how many frames a step, where the data are to tell it.

use super::count::Count;

/// Steps of a gradient stage, and frames a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageSize {
    /// Training steps.
    pub steps: usize,
    /// Frames a step.
    pub batch: usize,
}

/// Fewest and most steps that a stage gets by itself.
const STEPS: [usize; 2] = [300, 20_000];
/// Fewest and most frames a step, as far as there are as many.
const BATCH: [usize; 2] = [32, 256];
/// Frames a step for every cluster: information between clusters is estimated on a batch.
const BATCH_PER_CLUSTER: usize = 8;

impl StageSize {
    /// The size for `frames` training frames and K `clusters`, where the settings do not say.
    ///
    /// Steps grow with the root of the number of frames, `per_root` a root: twice the frames are each seen less often,
    /// so that a thousand are not learned by heart and a million end in an hour. Batches grow likewise, so that there
    /// are as many steps an epoch as frames a step, within what estimates of K clusters need.
    pub(super) fn of(steps: Count, batch: Count, per_root: f64, frames: usize, clusters: usize) -> Self {
        let root = (frames as f64).sqrt();
        let batch = match batch {
            Count::Of(batch) => batch,
            Count::Auto => {
                let least = (BATCH_PER_CLUSTER * clusters).next_power_of_two().clamp(BATCH[0], BATCH[1]);
                // The power of two at or below twice the root.
                let fitting = 1usize << ((2.0 * root) as usize).max(1).ilog2();
                fitting.clamp(least, BATCH[1]).min(frames).max(2)
            }
        };
        let steps = match steps {
            Count::Of(steps) => steps,
            Count::Auto => ((per_root * root).round() as usize).clamp(STEPS[0], STEPS[1]),
        };
        Self { steps, batch }
    }
}
