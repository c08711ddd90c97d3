//! Frames as a file stores them, in memory or in the file, widened only when they are asked for.

use std::sync::{Arc, OnceLock};

use super::Frames;
use super::readers::{Array, ReadError, Stored, Value, Values};
use super::source::Source;
use super::windowing::{Cut, Recordings};
use crate::error::Result;
use crate::frame::FrameShape;

/// N frames of one shape, kept in the type of their file, every value finite once it is read.
#[derive(Clone, Debug)]
pub struct StoredFrames {
    /// Shape of each frame.
    pub shape: FrameShape,
    /// Class of each frame, for scoring only.
    pub labels: Option<Vec<u32>>,
    /// The values, one frame after the other.
    values: Values,
    /// Place in a stored frame of each value `[P]`; None where they lie in their order.
    order: Option<Vec<u32>>,
    /// The stored value that becomes 1; None: values are as stored.
    white: Option<f64>,
    /// What stands for each value where it is missing `[P]`; None where none is.
    means: Option<Vec<f64>>,
    /// The recordings that the frames are windows of; their samples are the values then.
    recordings: Option<Arc<Recordings>>,
    /// The frames that count, of those stored; None for all.
    kept: Option<Vec<u32>>,
    sha256: OnceLock<String>,
}

impl StoredFrames {
    /// Frames of an array of these sizes, whose axes `order` brings into the order frames, channels, rows, columns.
    ///
    /// # Errors
    /// If a file cannot be read, which is tried only where frames do not lie one after the other.
    pub fn new(
        (sizes, values): (&[usize], Values),
        order: &[usize],
        shape: FrameShape,
        white: Option<f64>,
    ) -> Result<Self, ReadError> {
        let by_frame = order.first() == Some(&0);
        let (values, order) = match (by_frame, order.is_sorted()) {
            (_, true) => (values, None),
            (true, false) => (values, Some(within_frame(&sizes[1..], &order[1..]))),
            (false, false) => {
                let array = Array { sizes: sizes.to_vec(), values: values.into_memory()? };
                (array.transposed(order).values.into(), None)
            }
        };
        Ok(Self {
            shape,
            labels: None,
            values,
            order,
            white,
            means: None,
            recordings: None,
            kept: None,
            sha256: OnceLock::new(),
        })
    }

    /// The same values as samples of recordings, of which the frames are windows.
    pub(super) fn of_recordings(self, recordings: Option<Arc<Recordings>>) -> Self {
        Self { recordings, ..self }
    }

    /// Where among the values a frame begins.
    fn begin(&self, n: usize) -> usize {
        match &self.recordings {
            Some(recordings) => recordings.cuts[n].first as usize * self.shape.channels,
            None => n * self.shape.len(),
        }
    }

    /// Number of frames N.
    pub fn len(&self) -> usize {
        match (&self.kept, &self.recordings) {
            (Some(kept), _) => kept.len(),
            (None, Some(recordings)) => recordings.cuts.len(),
            (None, None) => self.values.len().checked_div(self.shape.len()).unwrap_or(0),
        }
    }

    /// True if there is no frame.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if a value may be missing or infinite: of integers none is.
    pub(super) fn may_lack(&self) -> bool {
        self.values.is_float()
    }

    /// The same frames with these in place of missing values, one a value of a frame.
    pub(super) fn with_means(self, means: Vec<f64>) -> Self {
        Self { means: Some(means), sha256: OnceLock::new(), ..self }
    }

    /// The frames at `indices`, in that order, with their labels; nothing is copied.
    ///
    /// # Panics
    /// If an index is not below [`StoredFrames::len`].
    pub fn select(&self, indices: &[usize]) -> Self {
        let of = |n: usize| self.kept.as_ref().map_or(n as u32, |kept| kept[n]);
        let labels = self.labels.as_ref().map(|labels| indices.iter().map(|&n| labels[n]).collect());
        let kept = indices.iter().map(|&n| of(n)).collect();
        Self { labels, kept: Some(kept), sha256: OnceLock::new(), ..self.clone() }
    }

    /// All frames, in memory, in this precision.
    pub(super) fn all_as<T: Value + Default>(&self) -> Result<Frames<T>> {
        let mut values = vec![T::default(); self.len() * self.shape.len()];
        self.read_as(&(0..self.len()).collect::<Vec<_>>(), &mut values)?;
        Ok(Frames { shape: self.shape, values, labels: self.labels.clone() })
    }

    /// Writes frames to `values` in this precision; see [`Source::read`].
    pub(super) fn read_as<T: Value>(&self, indices: &[usize], values: &mut [T]) -> Result<(), ReadError> {
        let p = self.shape.len();
        assert_eq!(values.len(), indices.len() * p, "room for every frame");
        let place = |n: usize| self.kept.as_ref().map_or(n, |kept| kept[n] as usize);
        let mut rest = &mut *values;
        // Frames that follow each other are read at once.
        for run in indices.chunk_by(|&a, &b| self.begin(place(a)) + p == self.begin(place(b))) {
            let (here, after) = rest.split_at_mut(run.len() * p);
            let first = self.begin(place(run[0]));
            self.values.widen(first..first + here.len(), self.white, here)?;
            rest = after;
        }
        if let Some(order) = &self.order {
            let mut stored = Vec::with_capacity(p);
            for frame in values.chunks_exact_mut(p) {
                stored.clear();
                stored.extend_from_slice(frame);
                frame.iter_mut().zip(order).for_each(|(value, &place)| *value = stored[place as usize]);
            }
        }
        if let Some(means) = &self.means {
            for frame in values.chunks_exact_mut(p) {
                for (value, &mean) in frame.iter_mut().zip(means) {
                    if Into::<f64>::into(*value).is_nan() {
                        *value = T::of(mean as f32, mean);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Place in a stored frame of each value of a frame whose axes are brought into another order.
fn within_frame(sizes: &[usize], order: &[usize]) -> Vec<u32> {
    let places = Stored::U32((0..sizes.iter().product::<usize>() as u32).collect());
    let order: Vec<usize> = order.iter().map(|axis| axis - 1).collect();
    match (Array { sizes: sizes.to_vec(), values: places }).transposed(&order).values {
        Stored::U32(places) => places,
        _ => unreachable!("an array keeps its type"),
    }
}

impl Source for StoredFrames {
    fn shape(&self) -> FrameShape {
        self.shape
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn labels(&self) -> Option<&[u32]> {
        self.labels.as_deref()
    }

    fn sha256(&self) -> Option<&OnceLock<String>> {
        Some(&self.sha256)
    }

    fn recordings(&self) -> Option<&Recordings> {
        self.recordings.as_deref()
    }

    fn cut(&self, n: usize) -> Option<Cut> {
        let place = self.kept.as_ref().map_or(n, |kept| kept[n] as usize);
        self.recordings.as_ref().map(|recordings| recordings.cuts[place])
    }

    fn read(&self, indices: &[usize], values: &mut [f32]) -> Result<()> {
        Ok(self.read_as(indices, values)?)
    }
}
