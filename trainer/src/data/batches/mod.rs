//! The batches of a training stage, drawn one ahead of the step that uses them.

mod store;

pub use store::{Store, to_tensor};

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use burn::tensor::{Tensor, TensorData};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::data::Frames;
use crate::data::views::{ImageMap, Views};
use crate::rng::{Purpose, stream};

/// How many batches may wait ahead of the step.
const AHEAD: usize = 2;

/// What is random in a training step, drawn on the host; [`Store`] makes a [`Batch`] of it.
pub struct Drawn {
    /// Indices of the B frames.
    pub frames: Vec<usize>,
    /// V random views of each frame, view after view.
    pub views: DrawnViews,
    /// Standard normal noise for the latents `[rows·B,D]`.
    pub noise: TensorData,
    /// Standard Gumbel noise for the choice of clusters `[B,K]`; None if no cluster is drawn.
    pub gumbel: Option<TensorData>,
}

/// The V·B views of a batch, as far as the host makes them.
pub enum DrawnViews {
    /// No views, V = 0.
    None,
    /// The values of the views, made already `[V·B,P]`.
    Values(Vec<f32>),
    /// Indices of the frames that are the views, V·B.
    Frames(Vec<usize>),
    /// The maps that make the views of the frames, V·B; the device applies them.
    Maps(Vec<ImageMap>),
}

/// What one training step consumes, on the device of the training and with gradient tracking.
pub struct Batch {
    /// The frames as they are `[B,P]`.
    pub frames: Tensor<2>,
    /// Random views of the frames, view after view `[V·B,P]`; None if V = 0.
    pub views: Option<Tensor<2>>,
    /// Standard normal noise for the latents `[rows·B,D]`.
    pub noise: Tensor<2>,
    /// Standard Gumbel noise for the choice of clusters `[B,K]`; None if no cluster is drawn.
    pub gumbel: Option<Tensor<2>>,
}

impl Batch {
    /// The same batch without gradient tracking.
    pub fn inner(self) -> Self {
        Self {
            frames: self.frames.inner(),
            views: self.views.map(Tensor::inner),
            noise: self.noise.inner(),
            gumbel: self.gumbel.map(Tensor::inner),
        }
    }
}

/// What tells the batches of one stage from those of another.
#[derive(Clone, Copy, Debug)]
pub struct StageBatch {
    /// Frames B in a batch, at most as many as there are.
    pub frames: usize,
    /// Views V of a frame.
    pub views: usize,
    /// Rows of latent noise a frame.
    pub noise_rows: usize,
    /// Clusters K to draw from; None if no cluster is drawn.
    pub clusters: Option<usize>,
    /// Streams of random numbers: for the order of an epoch, and for a step.
    pub purposes: (Purpose, Purpose),
}

/// The recipe for every batch of a stage; batch `step` depends on nothing but the recipe.
pub struct BatchPlan<'a> {
    /// Frames to draw from; windows, where views are features of mapped windows.
    pub frames: &'a Frames,
    /// What makes the views.
    pub views_from: Views<'a>,
    /// Whether views of maps are only drawn on the host, and made on the device.
    pub views_on_device: bool,
    /// What a batch of this stage holds.
    pub batch: StageBatch,
    /// Latent dimensions D.
    pub latent: usize,
    /// Seed of the run.
    pub seed: u64,
}

impl BatchPlan<'_> {
    /// Steps in one pass over the frames; the last, partial batch of a pass is left out.
    pub fn steps_per_epoch(&self) -> usize {
        (self.frames.len() / self.batch.frames).max(1)
    }

    /// The frames in the order of an epoch.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.frames.len()).collect();
        order.shuffle(&mut stream(self.seed, self.batch.purposes.0, epoch as u64));
        order
    }

    /// What step `step` draws, given the order of the epoch it lies in.
    fn draw(&self, step: usize, order: &[usize]) -> Drawn {
        let b = self.batch.frames;
        let start = (step % self.steps_per_epoch()) * b;
        let frames = order[start..start + b].to_vec();
        let mut rng = stream(self.seed, self.batch.purposes.1, step as u64);
        let views = self.draw_views(&frames, &mut rng);
        let rows = self.batch.noise_rows * b;
        let noise: Vec<f32> = (0..rows * self.latent).map(|_| rng.sample(StandardNormal)).collect();
        let gumbel = self.batch.clusters.map(|k| {
            // 1 - u lies in (0, 1]; the floor keeps the inner logarithm from 0.
            let uniform = (0..k * b).map(|_| 1.0 - rng.random::<f32>());
            let values: Vec<f32> = uniform.map(|u| -(-u.ln()).max(f32::MIN_POSITIVE).ln()).collect();
            TensorData::new(values, [b, k])
        });
        Drawn { frames, views, noise: TensorData::new(noise, [rows, self.latent]), gumbel }
    }

    /// What a batch of all frames, in their order, draws.
    pub fn draw_all(&self) -> Drawn {
        self.draw(0, &(0..self.frames.len()).collect::<Vec<_>>())
    }

    fn draw_views(&self, frames: &[usize], rng: &mut impl Rng) -> DrawnViews {
        let each = || (0..self.batch.views).flat_map(|_| frames.iter().copied());
        match &self.views_from {
            _ if self.batch.views == 0 => DrawnViews::None,
            Views::Frames => DrawnViews::Frames(each().collect()),
            Views::Neighbours(near) => DrawnViews::Frames(each().map(|n| near.draw(n, rng)).collect()),
            Views::Maps(maps) if self.views_on_device => {
                DrawnViews::Maps(each().map(|_| ImageMap::draw(maps, rng)).collect())
            }
            Views::Maps(maps) => {
                let p = maps.values();
                let mut values = vec![0.0; self.batch.views * frames.len() * p];
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
