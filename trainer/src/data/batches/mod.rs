//! The batches of a training stage, drawn one ahead of the step that uses them.

mod store;

pub use store::{Store, to_tensor};

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use burn::tensor::Tensor;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::data::Frames;
use crate::data::views::{ImageMap, Views};
use crate::rng::{Purpose, stream};

/// How many batches may wait ahead of the step.
const AHEAD: usize = 2;

/// What is random in a training step; [`Store`] makes a [`Batch`] of it.
pub struct Drawn {
    /// Which frames, B.
    pub frames: Vec<usize>,
    /// V random views of each, view after view.
    pub views: DrawnViews,
    /// Standard normal noise for the latents `[rows,D]`.
    pub noise: Vec<f32>,
    /// Standard Gumbel noise for the choice of clusters `[B,K]`.
    pub gumbel: Vec<f32>,
}

/// V·B views.
pub enum DrawnViews {
    /// V = 0.
    None,
    /// Made already `[V·B,P]`.
    Values(Vec<f32>),
    /// They are frames: these.
    Frames(Vec<usize>),
    /// Maps of the frames.
    Maps(Vec<ImageMap>),
}

/// What one training step consumes, with gradient tracking.
pub struct Batch {
    /// The frames as they are `[B,P]`.
    pub frames: Tensor<2>,
    /// Random views of them, view after view `[V·B,P]`; None if V = 0.
    pub views: Option<Tensor<2>>,
    /// As in [`Drawn`].
    pub noise: Vec<f32>,
    /// As in [`Drawn`].
    pub gumbel: Vec<f32>,
}

/// The recipe for every batch of a stage; batch `step` depends on nothing but the recipe.
pub struct BatchPlan<'a> {
    /// Frames to draw from.
    pub frames: &'a Frames,
    /// What makes the views.
    pub views_from: Views<'a>,
    /// B, at most the number of frames.
    pub batch: usize,
    /// V, views a frame.
    pub views: usize,
    /// Whether views are only drawn here, and made on the device.
    pub views_on_device: bool,
    /// Rows of latent noise a frame.
    pub noise_rows: usize,
    /// D.
    pub latent: usize,
    /// K, or 0 if no cluster is drawn.
    pub clusters: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Streams for the order of an epoch and for the randomness of a step.
    pub purposes: (Purpose, Purpose),
}

impl BatchPlan<'_> {
    /// Steps in one pass over the frames; the last, partial batch of a pass is left out.
    pub fn steps_per_epoch(&self) -> usize {
        (self.frames.len() / self.batch).max(1)
    }

    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.frames.len()).collect();
        order.shuffle(&mut stream(self.seed, self.purposes.0, epoch as u64));
        order
    }

    fn draw(&self, step: usize, order: &[usize]) -> Drawn {
        let start = (step % self.steps_per_epoch()) * self.batch;
        let frames = order[start..start + self.batch].to_vec();
        let mut rng = stream(self.seed, self.purposes.1, step as u64);
        let views = self.draw_views(&frames, &mut rng);
        let noise = (0..self.noise_rows * self.batch * self.latent).map(|_| rng.sample(StandardNormal)).collect();
        // 1 - u lies in (0, 1]; the floor keeps the inner logarithm from 0.
        let uniform = (0..self.clusters * self.batch).map(|_| 1.0 - rng.random::<f32>());
        let gumbel = uniform.map(|u| -(-u.ln()).max(f32::MIN_POSITIVE).ln()).collect();
        Drawn { frames, views, noise, gumbel }
    }

    fn draw_views(&self, frames: &[usize], rng: &mut impl Rng) -> DrawnViews {
        let each = || (0..self.views).flat_map(|_| frames.iter().copied());
        match &self.views_from {
            _ if self.views == 0 => DrawnViews::None,
            Views::Frames => DrawnViews::Frames(each().collect()),
            Views::Neighbours(near) => DrawnViews::Frames(each().map(|n| near.draw(n, rng)).collect()),
            Views::Maps(maps) if self.views_on_device => {
                DrawnViews::Maps(each().map(|_| ImageMap::draw(maps, rng)).collect())
            }
            Views::Maps(maps) => {
                let p = self.frames.shape.len();
                let mut values = vec![0.0; self.views * frames.len() * p];
                for (view, n) in values.chunks_exact_mut(p).zip(each()) {
                    maps.apply(self.frames.frame(n), view, rng);
                }
                DrawnViews::Values(values)
            }
        }
    }

    /// Draws the batches of `steps` on a thread of `scope` and hands them over in order.
    ///
    /// Dropping the receiver ends the thread.
    pub fn spawn<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        steps: std::ops::Range<usize>,
    ) -> (Receiver<Drawn>, ScopedJoinHandle<'scope, ()>) {
        let (sender, receiver) = sync_channel(AHEAD);
        let worker = scope.spawn(move || {
            let mut epoch = usize::MAX;
            let mut order = Vec::new();
            for step in steps {
                if step / self.steps_per_epoch() != epoch {
                    epoch = step / self.steps_per_epoch();
                    order = self.order(epoch);
                }
                if sender.send(self.draw(step, &order)).is_err() {
                    return;
                }
            }
        });
        (receiver, worker)
    }
}
