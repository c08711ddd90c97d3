//! What training reports while it runs, and who hears it.

use std::ops::ControlFlow;

use super::checkpoint::Checkpoint;
use super::metrics::{Epoch, MixtureReport};
use crate::error::Result;
use crate::stage::StageName;

/// What training reports while it runs.
pub enum Event<'a> {
    /// The nearest frames of each are looked for, which takes minutes where there are tens of thousands.
    Neighbours {
        /// Frames.
        frames: usize,
    },
    /// A stage of this many steps begins.
    Stage {
        /// Which.
        name: StageName,
        /// Steps; the mixture counts as one.
        steps: usize,
    },
    /// A step is done.
    Step {
        /// Steps done within the stage.
        done: usize,
        /// Makes a checkpoint of this place, or says what is not finite.
        checkpoint: &'a mut dyn FnMut() -> Result<Checkpoint>,
    },
    /// An epoch is done.
    Epoch(&'a Epoch),
    /// EM is done.
    Mixture(&'a MixtureReport),
    /// The clusters collapsed; training starts again from other weights.
    Restart {
        /// Restarts so far, this one included.
        restarts: usize,
        /// What is below its bound.
        why: &'a str,
    },
}

/// Receives [`Event`]s; answers whether to go on.
pub type Observer<'a> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'a;
