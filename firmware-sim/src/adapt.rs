//! A mixture that follows the frames.
//!
//! The encoder stays. Means μ_c and weights p(c) take a step of EM by MAP (§5.2.2 of the paper)
//! with every frame: the trained mixture is the prior, and frames are forgotten exponentially, so
//! that without frames of a cluster its mean goes back to where training left it:
//!
//! ```text
//! N_c ← λ N_c + r_c      s_c ← λ s_c + r_c m      λ = 1 - 1 / memory
//! μ_c = (κ₀ m₀_c + s_c) / (κ₀ + N_c)              p(c) = (α K π_c + N_c) / Σ_j (α K π_j + N_j)
//! ```
//!
//! with m of q(z|x), r_c = q(c|x) under the present mixture, m₀ the trained mean, π the trained p(c), κ₀
//! [`AdaptSettings::mean_prior`] and α [`AdaptSettings::weight_prior`]. Novel and unsure frames
//! teach nothing. A mean moves no further in a frame than [`AdaptSettings::step`] and never further
//! from its anchor than [`AdaptSettings::reach`], both in units of σ_c.
//!
//! N_c and s_c are all that is kept of the frames, so memory is 2 K (D + 1) values whatever their
//! number, and a step costs some K·D multiply-adds.

use runtime::native::Latent;
use runtime::{Assignment, FrameError, Head, HeadError};

/// Settings of how fast and how far a mixture follows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptSettings {
    /// Frames that are remembered, 1 / (1 - λ); at least 1.
    pub memory: f32,
    /// Frames of a cluster that the trained mean counts for, κ₀; above 0.
    pub mean_prior: f32,
    /// Frames that the trained weight of a cluster of share 1/K counts for, α; above 0. Infinite: the weights
    /// stay.
    pub weight_prior: f32,
    /// A frame whose best cluster has less than this teaches nothing; 0 to 1.
    pub confidence: f32,
    /// Most that a mean moves with a frame, in σ_c; at least 0.
    pub step: f32,
    /// Most that a mean is away from its trained place, in σ_c; at least 0.
    pub reach: f32,
}

impl Default for AdaptSettings {
    /// A thousand frames, priors of 20 and 50 frames a cluster, 2.5 σ_c of reach.
    ///
    /// Of what was tried on digits these follow a brighter background the most without a loss of
    /// 0.2 points under any other drift, or under none. A longer reach follows the background
    /// further, and lets clusters of slanted digits run into each other.
    fn default() -> Self {
        Self { memory: 1000.0, mean_prior: 20.0, weight_prior: 50.0, confidence: 0.5, step: 0.05, reach: 2.5 }
    }
}

/// Why a mixture cannot be adapted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdaptError {
    /// A setting is NaN or out of its range.
    #[error("the setting `{0}` is out of its range")]
    Setting(&'static str),
    /// The memory is too small.
    #[error("{found} values of memory, this mixture needs {needed}")]
    Memory {
        /// Values of memory that [`Adaptation::memory_len`] asks for.
        needed: usize,
        /// Values of memory that were given.
        found: usize,
    },
    /// The mixture that it began at is not that of the loop's model.
    #[error("the mixture is that of another model")]
    OtherModel,
}

impl AdaptSettings {
    /// Whether every setting is in its range.
    ///
    /// # Errors
    /// [`AdaptError::Setting`] with the name of the first that is not.
    pub fn check(&self) -> Result<(), AdaptError> {
        let in_range = [
            ("memory", self.memory >= 1.0 && self.memory.is_finite()),
            ("mean_prior", self.mean_prior > 0.0 && self.mean_prior.is_finite()),
            ("weight_prior", self.weight_prior > 0.0),
            ("confidence", (0.0..=1.0).contains(&self.confidence)),
            ("step", self.step >= 0.0 && self.step.is_finite()),
            ("reach", self.reach >= 0.0 && self.reach.is_finite()),
        ];
        in_range.iter().try_for_each(|(name, ok)| if *ok { Ok(()) } else { Err(AdaptError::Setting(name)) })
    }
}

/// A mixture that starts as the trained one and follows the frames.
#[derive(Debug)]
pub struct Adaptation<'a> {
    settings: AdaptSettings,
    trained: Head<'a>,
    /// Remembered frames N_c of each cluster `[K]`.
    counts: &'a mut [f32],
    /// Weights of the clusters, in proportion to p(c) / π_c `[K]`.
    weights: &'a mut [f32],
    /// Remembered sums s_c of the latent means `[K,D]`.
    sums: &'a mut [f32],
    /// Present means μ_c of the clusters `[K,D]`.
    means: &'a mut [f32],
}

impl<'a> Adaptation<'a> {
    /// Values of memory for the mixture of `head`: 2 K (D + 1).
    pub fn memory_len(head: &Head<'_>) -> usize {
        2 * head.clusters() * (head.latent() + 1)
    }

    /// Begins at the mixture of `head`.
    ///
    /// # Errors
    /// If a setting is out of range, or `memory` shorter than [`Adaptation::memory_len`].
    pub fn new(head: Head<'a>, settings: AdaptSettings, memory: &'a mut [f32]) -> Result<Self, AdaptError> {
        settings.check()?;
        let (needed, found) = (Self::memory_len(&head), memory.len());
        let short = AdaptError::Memory { needed, found };
        let (k, means) = (head.clusters(), head.means().len());
        let (counts, rest) = memory.split_at_mut_checked(k).ok_or(short)?;
        let (weights, rest) = rest.split_at_mut_checked(k).ok_or(short)?;
        let (sums, rest) = rest.split_at_mut_checked(means).ok_or(short)?;
        let (means, _) = rest.split_at_mut_checked(means).ok_or(short)?;
        let mut adaptation = Self { settings, trained: head, counts, weights, sums, means };
        adaptation.revert();
        Ok(adaptation)
    }

    /// Whether it began at the mixture of `head`.
    pub(crate) fn is_of(&self, head: &Head<'_>) -> bool {
        self.trained.means() == head.means() && self.trained.precisions().eq(head.precisions())
    }

    /// Goes back to the trained mixture and forgets all frames.
    pub fn revert(&mut self) {
        self.counts.fill(0.0);
        self.weights.fill(1.0);
        self.sums.fill(0.0);
        self.means.copy_from_slice(self.trained.means());
    }

    /// The head with the present mixture in place of the trained one.
    ///
    /// # Errors
    /// None that could occur: weights are above 0 and means finite.
    pub fn head(&self) -> Result<Head<'_>, HeadError> {
        self.trained.with_mixture(self.means, self.weights)
    }

    /// How far the means are from their trained places, the farthest one in σ_c.
    pub fn distance(&self) -> f32 {
        let d = self.trained.latent();
        let pairs = self.means.chunks_exact(d).zip(self.trained.means().chunks_exact(d));
        let squares = pairs.zip(self.trained.precisions()).map(|((mean, from), precision)| {
            mean.iter().zip(from).map(|(a, b)| (a - b) * (a - b)).sum::<f32>() * precision
        });
        libm::sqrtf(squares.fold(0.0, f32::max))
    }

    /// Assigns a frame by the present mixture, then takes a step with it.
    ///
    /// # Errors
    /// As [`Head::assign`]; a frame that is refused teaches nothing.
    // Apart, so that its mixture takes room on the stack only where there is one.
    #[inline(never)]
    pub fn assign(&mut self, latent: &Latent<'_>) -> Result<Assignment, FrameError> {
        let head = self.head().map_err(|_| FrameError::Engine)?;
        // A learned head would hide what the mixture says of the frame; r_c is the mixture's.
        let by_mixture = head.assign(latent.mu, latent.log_var, None)?;
        let mut assignment = if latent.logits.is_some() { latent.assign(&head)? } else { by_mixture.clone() };
        assignment.is_outside = latent.is_outside;
        let ordinary = !by_mixture.is_novel && !latent.is_outside;
        if ordinary && by_mixture.confidence >= self.settings.confidence {
            self.learn(latent.mu, &by_mixture);
        }
        Ok(assignment)
    }

    /// A step of EM by MAP with the latent mean m `[D]` and q(c|x) of one frame.
    fn learn(&mut self, mu: &[f32], assignment: &Assignment) {
        let AdaptSettings { memory, mean_prior, weight_prior, step, reach, .. } = self.settings;
        let keep = 1.0 - 1.0 / memory;
        let d = self.trained.latent();
        let clusters = self.counts.iter_mut().zip(self.weights.iter_mut()).zip(assignment.responsibilities());
        let places = self.sums.chunks_exact_mut(d).zip(self.means.chunks_exact_mut(d));
        let places = places.zip(self.trained.means().chunks_exact(d)).zip(self.trained.precisions());
        let places = places.zip(self.trained.shares());
        for (((count, weight), r), ((((sums, mean), trained), precision), share)) in clusters.zip(places) {
            *count = keep * *count + r;
            *weight = if weight_prior.is_finite() { weight_prior + *count / share } else { 1.0 };
            sums.iter_mut().zip(mu).for_each(|(sum, m)| *sum = keep * *sum + r * m);
            let sigma = 1.0 / libm::sqrtf(precision);
            let total = mean_prior + *count;
            let target = |at: usize| (mean_prior * at_or_0(trained, at) + at_or_0(sums, at)) / total;
            towards(mean, target, step * sigma);
            limit(mean, trained, reach * sigma);
        }
    }
}

/// The value at a place, 0 past the end.
fn at_or_0(values: &[f32], at: usize) -> f32 {
    values.get(at).copied().unwrap_or_default()
}

/// Moves a mean to a target, by `most` at most.
fn towards(mean: &mut [f32], target: impl Fn(usize) -> f32, most: f32) {
    let square: f32 = mean.iter().enumerate().map(|(at, v)| (target(at) - v) * (target(at) - v)).sum();
    let share = share(square, most);
    for (at, value) in mean.iter_mut().enumerate() {
        *value += share * (target(at) - *value);
    }
}

/// Brings a mean back to within `most` of its anchor.
fn limit(mean: &mut [f32], anchor: &[f32], most: f32) {
    let square: f32 = mean.iter().zip(anchor).map(|(v, a)| (v - a) * (v - a)).sum();
    let share = share(square, most);
    if share < 1.0 {
        mean.iter_mut().zip(anchor).for_each(|(value, a)| *value = a + share * (*value - a));
    }
}

/// The part of a way of the squared length `square` that is no longer than `most`.
fn share(square: f32, most: f32) -> f32 {
    if square > most * most { most / libm::sqrtf(square) } else { 1.0 }
}
