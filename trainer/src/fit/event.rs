//! What training reports while it runs, and who hears it.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::checkpoint::Checkpoint;
use super::count::{Counted, Space};
use super::kept::Kept;
use super::metrics::{Epoch, MixtureReport};
use super::rivals::Rivals;
use super::starts::Choice;
use super::witness::Halves;
use crate::data::views::Likeness;
use crate::data::{LogMel, Windowing};
use crate::error::{Error, Result};
use crate::stage::StageName;

/// A pass over the frames that is no training step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Their SHA-256, and whether there are enough that differ.
    Hash,
    /// The range, mean and deviation by which values are scaled.
    Scaling,
    /// The nearest frames of every frame.
    Neighbours,
    /// Their latents, for EM.
    Latents,
    /// EM itself, which does not tell how far it is.
    Mixture,
    /// The shares of the clusters.
    Shares,
    /// The novelty threshold and the temperature.
    Calibration,
    /// The range and the deviation of the values that training saw.
    Seen,
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hash => "hash",
            Self::Scaling => "scaling",
            Self::Neighbours => "neighbours",
            Self::Latents => "latents",
            Self::Mixture => "mixture",
            Self::Shares => "shares",
            Self::Calibration => "calibration",
            Self::Seen => "range",
        })
    }
}

/// What training reports while it runs.
pub enum Event<'a> {
    /// A pass over frames is under way; comes before every chunk of them.
    Pass {
        /// What the pass is for.
        pass: Pass,
        /// Number of frames that were looked at; a pass may look at each several times.
        done: usize,
        /// Number of looks at a frame in all, about; 0 where it is not known.
        of: usize,
    },
    /// Latents are those of some of the frames, drawn at random, since there are too many; comes before all stages.
    Sampled {
        /// Number of frames that are looked at.
        frames: usize,
        /// Number of frames that there are to train on.
        of: usize,
    },
    /// The nearest frames of every frame are looked for, which takes minutes where there are tens of thousands.
    Neighbours {
        /// Number of frames.
        frames: usize,
        /// Number of frames among which they are looked for, drawn at random if they are fewer.
        among: usize,
    },
    /// Whether windows have a spectrum for a front end, where the settings leave it open.
    FrontEnd {
        /// Whether they have.
        spectral: bool,
        /// Share of the samples' variance that their place in the window explains, see [`crate::data::placed`].
        placed: f64,
    },
    /// Windows are of sound, and pictures of bands over time are made of them, where the settings leave it open.
    Sound {
        /// The sizes of the pictures.
        sizes: &'a LogMel,
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
    /// Frames are windows of recordings, of which whole units only calibrate.
    HeldOut {
        /// Which and how many, in words.
        what: &'a str,
    },
    /// Frames are of groups, and clusters are asked to tell nothing about them.
    Groups {
        /// Number of groups that are trained on.
        count: usize,
        /// Whether batches have enough frames of each for that.
        fit: bool,
    },
    /// How long windows of a recording stay alike, so that one stands for another before it is mapped.
    Near {
        /// How long, and how alike.
        found: Likeness,
        /// How they are cut.
        windowing: &'a Windowing,
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
    /// What was fitted to halves of the frames, how alike its models put all, and which of it is the model.
    Rivals(&'a Rivals),
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
    /// A model of half of the frames is fitted: a stage of it begins, or a step of it is done.
    Half {
        /// Index of the half, of the first split 0 and 1.
        half: usize,
        /// Number of halves of all splits.
        halves: usize,
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

/// How often who watches is asked whether work without steps is to go on.
const ASKED: Duration = Duration::from_millis(100);

/// Receives [`Event`]s; answers whether to go on.
pub type Observer<'a> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'a;

/// Tells `observer` of a pass that looks at `of` frames, as [`Watched`](crate::data::Watched) wants it told.
pub fn told<'a, 'b>(
    observer: &'a mut Observer<'b>,
    pass: Pass,
    of: usize,
) -> impl FnMut(usize) -> ControlFlow<()> + use<'a, 'b> {
    move |done| observer(Event::Pass { pass, done: done.min(of), of })
}

/// Does work that has no steps on a thread of its own, while `observer` is asked now and then whether it is to go on; if
/// not, `work` finds its flag set.
///
/// # Errors
/// [`Error::Stopped`] if the observer broke off.
pub fn beside<T: Send>(
    observer: &mut Observer<'_>,
    pass: Pass,
    work: impl FnOnce(&AtomicBool) -> T + Send,
) -> Result<T> {
    let stop = AtomicBool::new(false);
    let found = std::thread::scope(|scope| {
        let (ended, end) = channel::<()>();
        let worker = scope.spawn(|| {
            let found = work(&stop);
            drop(ended);
            found
        });
        while end.recv_timeout(ASKED) == Err(RecvTimeoutError::Timeout) {
            if observer(Event::Pass { pass, done: 0, of: 0 }).is_break() {
                stop.store(true, Ordering::Relaxed);
            }
        }
        worker.join()
    });
    match found {
        Ok(_) if stop.into_inner() => Err(Error::Stopped),
        Ok(found) => Ok(found),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
