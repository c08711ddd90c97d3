//! What training reports while it runs, and who hears it.

use std::ops::ControlFlow;

use super::checkpoint::Checkpoint;
use super::count::{Counted, Space};
use super::identity::Stability;
use super::kept::Kept;
use super::metrics::{Epoch, MixtureReport};
use super::starts::Choice;
use super::witness::Halves;
use crate::error::Result;
use crate::stage::StageName;

/// What training reports while it runs.
pub enum Event<'a> {
    /// The nearest frames of every frame are looked for, which takes minutes where there are tens of thousands.
    Neighbours {
        /// Number of frames.
        frames: usize,
    },
    /// Whether windows have a spectrum for a front end, where the settings leave it open.
    FrontEnd {
        /// Whether they have.
        spectral: bool,
        /// Share of the samples' variance that their place in the window explains, see [`crate::data::placed`].
        placed: f64,
    },
    /// Whether pictures whose colours are most of how they differ lose them, where the settings leave it open.
    Tone {
        /// Whether they do.
        tone: bool,
        /// Share of the variance that is of the mean colours, see [`crate::data::Colours::share`].
        share: f64,
        /// Share of the rest along the main colour of each picture, see [`crate::data::Colours::along`].
        along: f64,
        /// Number of clusters of the mean colours; None if there is no plateau.
        clusters: Option<usize>,
    },
    /// The maps that make views go further than `augment.reach` allows: their ranges are multiplied.
    Weaker {
        /// What they are multiplied by, 0 to 1.
        strength: f64,
    },
    /// Mixtures are fitted to halves of the frames, to see whether they agree.
    Halves {
        /// Number of frames that take part.
        frames: usize,
    },
    /// Whether the mixture on the values themselves is stable, and so the model.
    Values(&'a Stability),
    /// Clusters are counted, from this number of components on; comes before every split of the points.
    Counting {
        /// What is counted.
        on: Space,
        /// Number of components.
        components: usize,
    },
    /// The number of clusters, and how it was found.
    Counted(&'a Counted),
    /// A stage of this many steps begins.
    Stage {
        /// Name of the stage.
        name: StageName,
        /// Number of steps; the mixture counts as one.
        steps: usize,
    },
    /// A step is done.
    Step {
        /// Number of steps done within the stage.
        done: usize,
        /// Makes a checkpoint of this place, or says what is not finite.
        checkpoint: &'a mut dyn FnMut() -> Result<Checkpoint>,
    },
    /// An epoch is done.
    Epoch(&'a Epoch),
    /// A stage goes on with the weights of another epoch than its last.
    Kept(&'a Kept),
    /// EM is done.
    Mixture(&'a MixtureReport),
    /// One of several starts of stage 1 is chosen.
    Chosen(&'a Choice),
    /// The model is there, and one of half of the frames is fitted, to see how sure it may be: a stage of it begins, or a
    /// step of it is done.
    Half {
        /// Index of the half, 0 or 1.
        half: usize,
        /// Name of the stage.
        stage: StageName,
        /// Number of steps done within the stage.
        done: usize,
        /// Number of steps of the stage.
        steps: usize,
    },
    /// What models of halves of the frames say of the model.
    Witnessed(&'a Halves),
    /// The clusters collapsed; training starts again from other weights.
    Restart {
        /// Number of restarts so far, this one included.
        restarts: usize,
        /// The measure of the clusters that is below its bound, in words.
        why: &'a str,
    },
}

/// Receives [`Event`]s; answers whether to go on.
pub type Observer<'a> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'a;
