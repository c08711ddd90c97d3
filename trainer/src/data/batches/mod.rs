//! The batches of a training stage, drawn one ahead of the step that uses them.

mod store;

pub use store::{Store, to_tensor};

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use burn::tensor::{Tensor, TensorData};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use rayon::prelude::*;

use crate::data::views::{ImageMap, Nearby, Views};
use crate::data::{Source, frames_in};
use crate::error::Result;
use crate::frame::FrameShape;
use crate::rng::{Purpose, stream};

/// How many batches may wait ahead of the step, if they are not large.
const AHEAD: usize = 2;
/// Bytes of frames and views that are drawn at once, unless one batch has more.
const DRAWN_BYTES: usize = 64 << 20;

/// What is random in a training step, drawn on the host; [`Store`] makes a [`Batch`] of it.
pub struct Drawn {
    /// Indices of the B frames.
    pub frames: Vec<usize>,
    /// Values of the frames `[B,P]`; None where the device has them.
    pub values: Option<Vec<f32>>,
    /// V random views of each frame, view after view.
    pub views: DrawnViews,
    /// Standard normal noise for the latents `[rows·B,D]`.
    pub noise: TensorData,
    /// Standard Gumbel noise for the choice of clusters `[B,K]`; None if no cluster is drawn.
    pub gumbel: Option<TensorData>,
    /// 1 where a frame is of a group `[B,G]`; None where there are no groups.
    pub groups: Option<TensorData>,
}

/// The V·B views of a batch, as far as the host makes them.
pub enum DrawnViews {
    /// No views, V = 0.
    None,
    /// The values of the views, made already `[V·B,P]`.
    Values(Vec<f32>),
    /// Indices of the frames that are the views, V·B; the device has them.
    Frames(Vec<usize>),
    /// The maps that make the views of the frames, V·B; the device applies them.
    Maps(Vec<ImageMap>),
}

/// Of which group each frame is that is trained on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    of_frames: Vec<u32>,
    count: usize,
}

/// Frames of a batch that a group has on average, or more: of fewer a mean says nothing.
const ENOUGH_OF_GROUP: usize = 8;

impl Groups {
    /// The groups of windows of recordings; None where nobody said of whom a recording is, or all are of one.
    pub fn of(frames: &dyn Source) -> Option<Self> {
        let recordings = frames.recordings().filter(|recordings| recordings.grouped)?;
        let (mut numbers, mut of_frames) = (BTreeMap::new(), Vec::with_capacity(frames.len()));
        for n in 0..frames.len() {
            let group = recordings.group(frames.cut(n)?);
            let next = numbers.len() as u32;
            of_frames.push(*numbers.entry(group).or_insert(next));
        }
        (numbers.len() > 1).then_some(Self { of_frames, count: numbers.len() })
    }

    /// Number of groups.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether batches of so many frames have enough of each group.
    pub fn fit(&self, batch: usize) -> bool {
        batch >= ENOUGH_OF_GROUP * self.count
    }

    /// 1 where a frame is of a group `[B,G]`; None if there are too many groups for these frames.
    fn of_batch(&self, frames: &[usize]) -> Option<TensorData> {
        if !self.fit(frames.len()) {
            return None;
        }
        let mut values = vec![0.0f32; frames.len() * self.count];
        values.chunks_exact_mut(self.count).zip(frames).for_each(|(row, &n)| row[self.of_frames[n] as usize] = 1.0);
        Some(TensorData::new(values, [frames.len(), self.count]))
    }
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
    /// 1 where a frame is of a group `[B,G]`; None where there are no groups.
    pub groups: Option<Tensor<2>>,
}

impl Batch {
    /// The same batch without gradient tracking.
    pub fn inner(self) -> Self {
        Self {
            frames: self.frames.inner(),
            views: self.views.map(Tensor::inner),
            noise: self.noise.inner(),
            gumbel: self.gumbel.map(Tensor::inner),
            groups: self.groups.map(Tensor::inner),
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
    /// Frames to draw from.
    pub frames: &'a (dyn Source + Sync),
    /// The windows behind them, where views are features of mapped windows.
    pub windows: Option<&'a (dyn Source + Sync)>,
    /// Of which group each frame is, if clusters are to be the same for all groups.
    pub groups: Option<&'a Groups>,
    /// Windows of the same recording near in time, one of which is mapped in place of the frame, if there are recordings.
    pub nearby: Option<&'a Nearby>,
    /// Whether the device has the frames, so that only their indices are drawn.
    pub on_device: bool,
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

/// How many batches of so many rows, frames and views, may wait ahead of the step, beside the one that is drawn.
pub fn ahead(shape: FrameShape, rows: usize) -> usize {
    (frames_in(DRAWN_BYTES, shape) / rows).min(AHEAD)
}

impl BatchPlan<'_> {
    /// Steps in one pass over the frames; the last, partial batch of a pass is left out.
    pub fn steps_per_epoch(&self) -> usize {
        (self.frames.len() / self.batch.frames).max(1)
    }

    /// The frames in the order of an epoch.
    fn order(&self, epoch: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.frames.len() as u32).collect();
        order.shuffle(&mut stream(self.seed, self.batch.purposes.0, epoch as u64));
        order
    }

    /// What step `step` draws, given the order of the epoch it lies in.
    fn draw(&self, step: usize, order: &[u32]) -> Result<Drawn> {
        let b = self.batch.frames;
        let start = (step % self.steps_per_epoch()) * b;
        let frames: Vec<usize> = order[start..start + b].iter().map(|&n| n as usize).collect();
        let values = if self.on_device { None } else { Some(self.frames.gather(&frames)?.values) };
        let mut rng = stream(self.seed, self.batch.purposes.1, step as u64);
        let views = self.draw_views(&frames, values.as_deref(), &mut rng)?;
        let rows = self.batch.noise_rows * b;
        let noise: Vec<f32> = (0..rows * self.latent).map(|_| rng.sample(StandardNormal)).collect();
        let gumbel = self.batch.clusters.map(|k| {
            // 1 - u lies in (0, 1]; the floor keeps the inner logarithm from 0.
            let uniform = (0..k * b).map(|_| 1.0 - rng.random::<f32>());
            let values: Vec<f32> = uniform.map(|u| -(-u.ln()).max(f32::MIN_POSITIVE).ln()).collect();
            TensorData::new(values, [b, k])
        });
        let groups = self.groups.and_then(|groups| groups.of_batch(&frames));
        Ok(Drawn { frames, values, views, noise: TensorData::new(noise, [rows, self.latent]), gumbel, groups })
    }

    /// What a batch of all frames, in their order, draws.
    ///
    /// # Errors
    /// As for [`Source::read`].
    pub fn draw_all(&self) -> Result<Drawn> {
        self.draw(0, &(0..self.frames.len() as u32).collect::<Vec<_>>())
    }

    /// The views of `frames`, whose values are given unless the device has them.
    fn draw_views(&self, frames: &[usize], values: Option<&[f32]>, rng: &mut impl Rng) -> Result<DrawnViews> {
        let each = || (0..self.batch.views).flat_map(|_| frames.iter().copied());
        Ok(match &self.views_from {
            _ if self.batch.views == 0 => DrawnViews::None,
            Views::Frames => self.chosen(each().collect())?,
            Views::Neighbours(near) => self.chosen(each().map(|n| near.draw(n, rng)).collect())?,
            Views::Maps(maps) if self.views_on_device => {
                DrawnViews::Maps(each().map(|_| ImageMap::draw(maps, rng)).collect())
            }
            Views::Maps(maps) => {
                let read;
                let sources = match (self.nearby, self.windows, values) {
                    (None, None, Some(values)) => values,
                    (None, windows, _) => {
                        read = windows.unwrap_or(self.frames).gather(frames)?.values;
                        &read
                    }
                    (Some(nearby), windows, _) => {
                        let drawn: Vec<usize> = each().map(|n| nearby.draw(n, rng)).collect();
                        read = windows.unwrap_or(self.frames).gather(&drawn)?.values;
                        &read
                    }
                };
                let rows = if self.nearby.is_some() { self.batch.views * frames.len() } else { frames.len() };
                let (p, of_source) = (maps.values(), sources.len() / rows);
                let mut views = vec![0.0; self.batch.views * frames.len() * p];
                // Without recordings every view is of the frames themselves.
                let each = sources.chunks_exact(of_source).cycle();
                views.chunks_exact_mut(p).zip(each).for_each(|(view, frame)| maps.apply(frame, view, rng));
                DrawnViews::Values(views)
            }
        })
    }

    /// Views that are frames.
    fn chosen(&self, indices: Vec<usize>) -> Result<DrawnViews> {
        Ok(match self.on_device {
            true => DrawnViews::Frames(indices),
            false => DrawnViews::Values(self.frames.gather(&indices)?.values),
        })
    }

    /// Frames and views of a batch.
    fn rows(&self) -> usize {
        self.batch.frames * (1 + self.batch.views)
    }

    /// Number of steps whose batches are drawn at once: one a thread, but not more than memory should hold beside those
    /// that wait.
    fn at_once(&self) -> usize {
        (frames_in(DRAWN_BYTES, self.frames.shape()) / self.rows()).clamp(1, rayon::current_num_threads())
    }

    /// Draws the batches of `steps` on a thread of `scope` and hands them over in order, several steps at once on all
    /// cores. A step draws from a stream of its own, so their number changes no bit.
    ///
    /// Dropping the receiver ends the thread, and so does a batch that cannot be read.
    pub fn spawn<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        steps: std::ops::Range<usize>,
    ) -> (Receiver<Result<Drawn>>, ScopedJoinHandle<'scope, ()>) {
        let (sender, receiver) = sync_channel(ahead(self.frames.shape(), self.rows()));
        let worker = scope.spawn(move || {
            let (per_epoch, mut step) = (self.steps_per_epoch(), steps.start);
            let mut order = (usize::MAX, Vec::new());
            while step < steps.end {
                let epoch = step / per_epoch;
                if order.0 != epoch {
                    order = (epoch, self.order(epoch));
                }
                let end = steps.end.min((epoch + 1) * per_epoch).min(step + self.at_once());
                let drawn: Vec<_> = (step..end).into_par_iter().map(|step| self.draw(step, &order.1)).collect();
                for drawn in drawn {
                    let is_last = drawn.is_err();
                    if sender.send(drawn).is_err() || is_last {
                        return;
                    }
                }
                step = end;
            }
        });
        (receiver, worker)
    }
}
