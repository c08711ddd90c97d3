//! The nearest frames of every frame: views for data of which no meaning-keeping map is known.
//!
//! The search is exact. 256 frames at a time, their distances to all N frames are one matrix product on the device,
//! ‖a - b‖² - ‖a‖² = ‖b‖² - 2 a·b, since ‖a‖² changes no order; the host then keeps the smallest of each row in a short
//! sorted list. Time grows with N² P, memory with 256 N and N P. Past [`MOST_AMONG`] frames, or so many that they do not
//! fit [`MOST_BYTES`], neighbours are looked for among some of them, drawn at random over all.

use burn::tensor::{Device, Tensor, TensorData};
use rand::seq::index;
use rand::{Rng, RngExt};
use rayon::prelude::*;

use crate::data::{Source, chunks_of, frames_in};
use crate::error::{Error, Result};
use crate::frame::FrameShape;
use crate::rng::{Purpose, stream};

/// Frames whose distances to all others are held at once.
const CHUNK: usize = 256;
/// Most frames among which neighbours are looked for.
pub const MOST_AMONG: usize = 100_000;
/// Most bytes of these frames in f32.
const MOST_BYTES: usize = 1 << 29;

/// For every frame the indices of the frames nearest to it, without itself.
#[derive(Clone, Debug)]
pub struct Neighbours {
    /// `[N,count]`, nearest first.
    indices: Vec<u32>,
    /// Neighbours of a frame.
    count: usize,
}

impl Neighbours {
    /// Number of frames among which each of `frames` frames of a shape has its neighbours.
    pub fn among(shape: FrameShape, frames: usize) -> usize {
        frames.min(MOST_AMONG).min(frames_in(MOST_BYTES, shape).max(CHUNK))
    }

    /// Values that the distances from some frames to `among` others take at once, and what is made on the way to them.
    pub fn distances(among: usize) -> usize {
        3 * CHUNK * among
    }

    /// Finds the `count` nearest frames of each frame by Euclidean distance, exactly; of equals the first. Of very many
    /// frames `seed` draws those among which they are looked for.
    ///
    /// # Errors
    /// [`Error::Config`] if there are not more than `count` frames; as for [`Source::read`].
    pub fn find(frames: &dyn Source, count: usize, seed: u64, device: &Device) -> Result<Self> {
        let (n, p) = (frames.len(), frames.shape().len());
        let among = Self::among(frames.shape(), n);
        if among <= count {
            let problem = format!("{count} neighbours of {among} frames, expected fewer neighbours than frames");
            return Err(Error::config("augment.neighbours", problem));
        }
        let mut others: Vec<usize> = (0..n).collect();
        if among < n {
            others = index::sample(&mut stream(seed, Purpose::Neighbours, 0), n, among).into_vec();
            others.sort_unstable();
        }
        let tensor = |values: &[f32]| -> Tensor<2> {
            Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / p, p]), device)
        };
        let all = tensor(&frames.gather(&others)?.values);
        let squares = all.clone().square().sum_dim(1).transpose();
        let all = all.transpose();
        let mut indices = Vec::with_capacity(n * count);
        for chunk in chunks_of(frames, CHUNK) {
            let (first, values) = chunk?;
            // ‖a - b‖² less ‖a‖², which is the same for every b.
            let distances = squares.clone() - tensor(&values).matmul(all.clone()) * 2.0;
            let distances =
                distances.try_into_vec_as::<f32>().map_err(|e| Error::resource("device", format!("{e:?}")))?;
            let nearest: Vec<Vec<u32>> = distances
                .par_chunks_exact(among)
                .enumerate()
                .map(|(row, distances)| smallest(distances, count, others.binary_search(&(first + row)).ok()))
                .collect();
            indices.extend(nearest.into_iter().flatten().map(|at| others[at as usize] as u32));
        }
        Ok(Self { indices, count })
    }

    /// The neighbours of frame `n`, nearest first.
    ///
    /// # Panics
    /// If there is no frame `n`.
    pub fn of(&self, n: usize) -> &[u32] {
        &self.indices[n * self.count..(n + 1) * self.count]
    }

    /// One of the neighbours of frame `n`, each with the same probability.
    ///
    /// # Panics
    /// If there is no frame `n`.
    pub fn draw(&self, n: usize, rng: &mut impl Rng) -> usize {
        self.of(n)[rng.random_range(0..self.count)] as usize
    }
}

/// Indices of the `count` smallest of `values`, index `own` left out if it is there, smallest first.
fn smallest(values: &[f32], count: usize, own: Option<usize>) -> Vec<u32> {
    let mut found: Vec<(f32, u32)> = Vec::with_capacity(count + 1);
    for (index, &value) in values.iter().enumerate() {
        let full = found.len() == count;
        if own == Some(index) || (full && value >= found[count - 1].0) {
            continue;
        }
        let place = found.partition_point(|(other, _)| *other <= value);
        found.insert(place, (value, index as u32));
        found.truncate(count);
    }
    found.into_iter().map(|(_, index)| index).collect()
}
