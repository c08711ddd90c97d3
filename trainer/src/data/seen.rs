//! The values that a model was fitted to, and whether other frames are like them: a file in other units looks like any
//! other to a model.

use runtime::{Outside, ValueRange};
use serde::{Deserialize, Serialize};

use super::scaling::ROUNDING;
use super::{Source, each_frame};
use crate::error::Result;
use crate::frame::{FrameKind, FrameShape};

/// Fewest values of a channel, over all frames, whose spread is looked at.
const LEAST_VALUES: usize = 50;
/// Share of the variance in training that frames may fall to. The smallest change of units in use, values of 0 to 1 in
/// place of -1 to 1, leaves a quarter of the variance; this is halfway there, as a ratio.
const LEAST_VARIANCE: f64 = 0.5;
/// Number of frames of which the share counts half: the variance of few says little.
const FEW_FRAMES: f64 = 50.0;

/// The values that training saw, for every channel of pictures and of windows, and for every column of rows, before they
/// were scaled: G groups of values that lie side by side in a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeenValues {
    /// The least value `[G]`.
    pub least: Vec<f32>,
    /// The largest value `[G]`.
    pub most: Vec<f32>,
    /// The standard deviation `[G]`; 0 where it is rounding.
    pub deviation: Vec<f32>,
}

/// How frames compare with the values that training saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Number of frames N.
    pub frames: usize,
    /// Number of frames with a value that lies outside, as [`ValueRange`] counts it.
    pub outside: usize,
    /// The first such frame, and its first such value.
    pub first: Option<(usize, Outside)>,
    /// The largest ratio of a channel's standard deviation over all frames to that in training, if even that is small.
    pub narrow: Option<f64>,
}

impl SeenValues {
    /// The values of `frames`, which are of a kind.
    ///
    /// # Errors
    /// As for [`Source::read`].
    pub fn of(frames: &dyn Source, kind: FrameKind) -> Result<Self> {
        let each = kind.channel_len(frames.shape());
        let groups = frames.shape().len() / each;
        let (mut least, mut most) = (vec![f32::INFINITY; groups], vec![f32::NEG_INFINITY; groups]);
        let deviations = deviations(frames, each, |frame| {
            for ((channel, least), most) in frame.chunks_exact(each).zip(&mut least).zip(&mut most) {
                *least = channel.iter().copied().fold(*least, f32::min);
                *most = channel.iter().copied().fold(*most, f32::max);
            }
        })?;
        Ok(Self { least, most, deviation: deviations.into_iter().map(|deviation| deviation as f32).collect() })
    }

    /// The range for frames of a shape; None if it does not fit them.
    pub fn range(&self, shape: FrameShape) -> Option<ValueRange<'_>> {
        ValueRange::new(&self.least, &self.most, shape.len())
    }

    /// Compares frames with what training saw; None if they are of another shape.
    ///
    /// They are **narrow** if no channel that varied in training has more than ½ N / (N + 50) of its variance there, over
    /// N frames and at least 50 values: of one kind, or in other units, such as values of 0 to 1 for a model of 0 to 255.
    /// No single frame shows that, and no value lies outside then.
    ///
    /// # Errors
    /// As for [`Source::read`].
    pub fn compare(&self, frames: &dyn Source) -> Result<Option<Comparison>> {
        let Some(range) = self.range(frames.shape()) else { return Ok(None) };
        let each = range.values_each();
        let (mut index, mut outside, mut first) = (0, 0, None);
        let deviations = deviations(frames, each, |frame| {
            if !range.holds(frame) {
                outside += 1;
                first = first.or_else(|| Some((index, range.first_outside(frame)?)));
            }
            index += 1;
        })?;
        let n = frames.len() as f64;
        let ratios = deviations.into_iter().zip(&self.deviation).filter(|(_, seen)| **seen > 0.0);
        let ratio = ratios.map(|(found, seen)| found / f64::from(*seen)).reduce(f64::max);
        let bar = LEAST_VARIANCE * n / (n + FEW_FRAMES);
        let narrow = ratio.filter(|ratio| frames.len() * each >= LEAST_VALUES && ratio * ratio <= bar);
        Ok(Some(Comparison { frames: frames.len(), outside, first, narrow }))
    }
}

impl Comparison {
    /// What there is to say of the frames, a line each; nothing where they are as in training. `names` are those of the
    /// columns of rows, if they have any.
    pub fn lines(&self, shape: FrameShape, names: Option<&[String]>) -> Vec<String> {
        let mut lines = Vec::new();
        // Of recordings they are names of channels.
        let names = names.filter(|names| names.len() == shape.len());
        if let Some((frame, Outside { index, value, least, most })) = self.first {
            let place = match (shape.channels, shape.height, names.and_then(|names| names.get(index))) {
                (1, 1, Some(name)) => format!("column {index}, \"{name}\""),
                (1, 1, None) => format!("column {index}"),
                _ => format!("value {index}"),
            };
            lines.push(format!(
                "{} of {} frames lie outside the range of values seen in training, so the answers to them are not to be \
                 trusted; the first is frame {frame}, {place}: {value}, in training {least} to {most}",
                self.outside, self.frames
            ));
        }
        if let Some(ratio) = self.narrow {
            lines.push(format!(
                "the values vary {ratio:.2e} times as much as in training: are the frames in other units, or all of one \
                 kind?"
            ));
        }
        lines
    }
}

/// The standard deviation of each of the channels of `each` values, over all frames; 0 where it is rounding. `visit` sees
/// every frame on the way, once.
fn deviations(frames: &dyn Source, each: usize, mut visit: impl FnMut(&[f32])) -> Result<Vec<f64>> {
    let groups = frames.shape().len() / each;
    let count = (frames.len() * each) as f64;
    let mut mean = vec![0.0; groups];
    each_frame(frames, |frame| {
        visit(frame);
        for (channel, sum) in frame.chunks_exact(each).zip(&mut mean) {
            *sum += channel.iter().map(|v| f64::from(*v)).sum::<f64>();
        }
    })?;
    mean.iter_mut().for_each(|sum| *sum /= count);
    let mut variance = vec![0.0; groups];
    each_frame(frames, |frame| {
        for ((channel, sum), mean) in frame.chunks_exact(each).zip(&mut variance).zip(&mean) {
            *sum += channel.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>();
        }
    })?;
    variance.iter_mut().for_each(|sum| *sum /= count);
    let varies = |(variance, mean): (&f64, &f64)| {
        let deviation = variance.sqrt();
        if deviation > ROUNDING * mean.abs() { deviation } else { 0.0 }
    };
    Ok(variance.iter().zip(&mean).map(varies).collect())
}
