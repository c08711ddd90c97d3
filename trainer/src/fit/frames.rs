//! What is said of frames before anything is fitted to them.

use std::collections::HashSet;

use crate::config::CheckedConfig;
use crate::data::{Source, chunks, each_frame};
use crate::error::{Error, Result};
use crate::frame::FrameKind;

/// One in this many values of a column may be far from the rest.
const FAR_SHARE: usize = 100;
/// Share of its deviation below which the rest of a column counts as squashed.
const SQUASHED: f64 = 0.01;
/// Most columns that are told of.
const TOLD: usize = 3;
/// Bytes of the columns that are looked at together.
const COLUMNS_BYTES: usize = 1 << 28;

/// Whether the frames differ, and in as many ways as there are clusters.
///
/// # Errors
/// [`Error::Data`] if all are the same, [`Error::Config`] if there are fewer different ones than clusters.
pub fn check_distinct(config: &CheckedConfig, frames: &dyn Source) -> Result<()> {
    let (k, n) = (config.least_clusters(), frames.len());
    match distinct(frames, k)? {
        1 if n > 1 => {
            Err(Error::data("frames", format!("all {n} frames are the same, so there is nothing to cluster")))
        }
        found if found < k => {
            let mend = format!("ask for at most {found} (--set clusters={found}), or bring frames that differ");
            Err(Error::config(
                "clusters",
                format!("{k} clusters, but only {found} of {n} frames are different; {mend}"),
            ))
        }
        _ => Ok(()),
    }
}

/// Number of different frames, as far as `most`.
fn distinct(frames: &dyn Source, most: usize) -> Result<usize> {
    let mut seen = HashSet::new();
    for chunk in chunks(frames) {
        for frame in chunk?.1.chunks_exact(frames.shape().len()) {
            // Adding 0 makes 0 of -0, which is the same number of other bits.
            seen.insert(frame.iter().map(|v| (v + 0.0).to_bits()).collect::<Vec<_>>());
            if seen.len() >= most {
                return Ok(seen.len());
            }
        }
    }
    Ok(seen.len())
}

/// Columns of rows in which a few values, one in a hundred at most, squash all others: scaled by the deviation of the column,
/// what is left of the others is a hundredth of it. In words, a line a column; none for frames that are no rows.
///
/// # Errors
/// As for [`Source::read`].
pub fn squashed_columns(config: &CheckedConfig, frames: &dyn Source) -> Result<Vec<String>> {
    if config.kind() != FrameKind::Features {
        return Ok(Vec::new());
    }
    let columns = frames.shape().len();
    let mut told = Vec::new();
    // As many columns in a walk over the frames as memory is given for.
    let together = (COLUMNS_BYTES / (size_of::<f32>() * frames.len()).max(1)).clamp(1, columns);
    for first in (0..columns).step_by(together) {
        let mut values = vec![Vec::with_capacity(frames.len()); together.min(columns - first)];
        each_frame(frames, |frame| values.iter_mut().zip(&frame[first..]).for_each(|(of, v)| of.push(*v)))?;
        told.extend(values.iter().enumerate().filter_map(|(column, values)| squashed(values, first + column)));
    }
    let more = told.len().saturating_sub(TOLD);
    let mut told: Vec<String> = told.into_iter().take(TOLD).collect();
    if more > 0 {
        told.push(format!("{more} more columns like these"));
    }
    Ok(told)
}

/// What there is to say of a column with these values `[N]`.
fn squashed(values: &[f32], column: usize) -> Option<String> {
    let mut values: Vec<(usize, f64)> = values.iter().map(|v| f64::from(*v)).enumerate().collect();
    let n = values.len();
    let far = (n / FAR_SHARE).max(1);
    if n <= 2 * far {
        return None;
    }
    let all = deviation(&values);
    values.select_nth_unstable_by(n / 2, |a, b| a.1.total_cmp(&b.1));
    let median = values[n / 2].1;
    // The farthest come first; of equals the first frame.
    values.sort_by(|a, b| (b.1 - median).abs().total_cmp(&(a.1 - median).abs()).then(a.0.cmp(&b.0)));
    let (farthest, rest) = (values[0], &values[far..]);
    let left = deviation(rest);
    (left > 0.0 && left < SQUASHED * all).then(|| {
        let ends = rest.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], (_, v)| [a.min(*v), b.max(*v)]);
        format!(
            "frame {}, column {column}, counted from 0: {:?}, where all but {far} of {n} frames lie in {:?} to {:?}: \
             scaled by such values those are all alike; correct them or leave their frames out",
            farthest.0, farthest.1 as f32, ends[0] as f32, ends[1] as f32
        )
    })
}

/// Standard deviation of values that come with an index.
fn deviation(values: &[(usize, f64)]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().map(|(_, v)| v / n).sum::<f64>();
    (values.iter().map(|(_, v)| (v - mean).powi(2) / n).sum::<f64>()).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::data::Frames;
    use crate::frame::FrameShape;

    const SHAPE: FrameShape = FrameShape { channels: 1, height: 1, width: 2 };

    fn rows(values: Vec<f32>) -> (CheckedConfig, Frames) {
        let frames = crate::config::FrameChoice::Features;
        let config = Config { frames, clusters: 3.into(), ..Config::default() };
        (config.check(SHAPE).unwrap(), Frames { shape: SHAPE, values, labels: None })
    }

    #[test]
    fn frames_that_do_not_differ_are_refused() {
        let (config, same) = rows([[0.0, 1.0], [-0.0, 1.0]].concat());
        let error = check_distinct(&config, &same).unwrap_err();
        assert_eq!((error.exit_code(), error.to_string().contains("all 2 frames are the same")), (3, true));
        let (config, two) = rows([[0.0, 1.0], [0.0, 2.0], [0.0, 1.0]].concat());
        let error = check_distinct(&config, &two).unwrap_err();
        assert_eq!((error.exit_code(), error.to_string().contains("only 2 of 3 frames are different")), (2, true));
        let (config, three) = rows([[0.0, 1.0], [0.0, 2.0], [3.0, 1.0]].concat());
        check_distinct(&config, &three).unwrap();
    }

    #[test]
    fn a_value_that_squashes_all_others_is_told_and_heavy_tails_are_not() {
        let ordinary = |n: usize| (n * 37 % 101) as f32;
        let with = |odd: f32| {
            rows((0..600).flat_map(|n| [ordinary(n), if n == 17 { odd } else { 2.0 * ordinary(n) }]).collect())
        };
        let (config, frames) = with(1e30);
        let told = squashed_columns(&config, &frames).unwrap();
        assert_eq!(told.len(), 1);
        assert!(
            told[0].starts_with("frame 17, column 1, counted from 0: 1e30, where all but 6 of 600 frames"),
            "{told:?}"
        );
        let (config, frames) = with(5000.0);
        assert!(squashed_columns(&config, &frames).unwrap().is_empty());
        // A rare event, and a log-normal tail.
        let (config, frames) =
            rows((0..600).flat_map(|n| [f32::from(n == 5), ((n as f32 - 300.0) / 60.0).exp()]).collect());
        assert!(squashed_columns(&config, &frames).unwrap().is_empty());
    }
}
