//! Where every random number of a run comes from: one seed, split into independent streams.
//!
//! A stream is named by what it is for and by an index (a step, an epoch, a restart), so a run that
//! resumes at step n draws what the uninterrupted run would have drawn, with no state to save.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Purpose of a stream of random numbers, which keeps it apart from all others.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights of the model.
    Weights = 1,
    /// Order of the frames in an epoch of `pretrain`; index = epoch.
    PretrainOrder,
    /// Augmentation and latent noise of a step of `pretrain`; index = step.
    PretrainStep,
    /// Order of the frames in an epoch of `refine`; index = epoch.
    RefineOrder,
    /// Augmentation and latent noise of a step of `refine`; index = step.
    RefineStep,
    /// Starts of the Gaussian mixture; index = restart.
    Mixture,
    /// Choice of the training frames that calibrate the novelty threshold.
    Calibration,
    /// Latent samples in evaluation; index = batch.
    Evaluation,
    /// Halves and starts when the number of clusters is to be found.
    Count,
    /// Frames, weights and changes of frames that quality is measured with; index = what is drawn.
    Quality,
    /// Views of frames that a report compares.
    Report,
    /// The amortised critic; 0 draws its frames, 1 its weights, 2 and on the batch of a step.
    Critic,
    /// Frames, and their maps, by which it is found how far maps may go.
    Reach,
    /// Frames and starts of what a run is set beside.
    Compare,
    /// Views and latent samples of the held-out frames that a stage's epochs are judged by; index 0.
    Judge,
    /// Frames among which neighbours are looked for, where there are too many; index 0.
    Neighbours,
    /// Frames that are looked at in place of all, where there are too many; 0 draws those of training, 1 those that quality
    /// is measured on.
    Sample,
}

/// The stream of random numbers for `purpose` and `index` of a run with this seed.
///
/// One ChaCha8 generator a seed, with purpose and index as the number of its stream: streams do not
/// overlap, and none depends on how much another has given.
pub fn stream(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(((purpose as u64) << 48) | index);
    rng
}
