//! Windows near in time: another window of the same recording a moment away shows the same state, as a rule.
//!
//! How long a moment is, the recordings tell. Windows are the less alike the longer the time between them, until they are
//! no more alike than any two; a state lasts about as long as windows stay alike.

use rand::Rng;
use rand::RngExt;
use rand::seq::SliceRandom;

use crate::data::{Cut, Source};
use crate::error::Result;
use crate::rng::{Purpose, stream};

/// For every window those of its recording that are near in time, itself included.
#[derive(Clone, Debug)]
pub struct Nearby {
    /// All windows, in the order of time.
    in_time: Vec<u32>,
    /// Which of these are near each window `[N]`: the first, and the one after the last.
    near: Vec<[u32; 2]>,
}

impl Nearby {
    /// Windows that begin no more than `within` samples apart; None where frames are no windows of recordings.
    pub fn new(frames: &dyn Source, within: usize) -> Option<Self> {
        let cuts = cuts(frames)?;
        let key = |n: &u32| (cuts[*n as usize].stretch, cuts[*n as usize].first);
        let mut in_time: Vec<u32> = (0..cuts.len() as u32).collect();
        in_time.sort_unstable_by_key(key);
        let within = u32::try_from(within).unwrap_or(u32::MAX);
        let of = |cut: &Cut| {
            let (early, late) = (cut.first.saturating_sub(within), cut.first.saturating_add(within));
            let first = in_time.partition_point(|n| key(n) < (cut.stretch, early));
            [first as u32, in_time.partition_point(|n| key(n) <= (cut.stretch, late)) as u32]
        };
        let near = cuts.iter().map(of).collect();
        Some(Self { in_time, near })
    }

    /// One of the windows near window `n`, each with the same probability.
    ///
    /// # Panics
    /// If there is no window `n`.
    pub fn draw(&self, n: usize, rng: &mut impl Rng) -> usize {
        let [first, end] = self.near[n];
        self.in_time[rng.random_range(first..end) as usize] as usize
    }

    /// Mean number of windows near a window, itself included.
    pub fn mean(&self) -> f64 {
        let all: u64 = self.near.iter().map(|[first, end]| u64::from(end - first)).sum();
        all as f64 / self.near.len().max(1) as f64
    }
}

/// Where each frame lies in its recording `[N]`; None if one lies in none.
fn cuts(frames: &dyn Source) -> Option<Vec<Cut>> {
    frames.recordings()?;
    (0..frames.len()).map(|n| frames.cut(n)).collect()
}

/// Windows from which times are looked at.
const PROBES: usize = 1000;
/// Fewest pairs that tell how alike windows so far apart are.
const FEWEST: usize = 30;
/// From one time to the next that is looked at.
const STEP: f64 = 1.3;
/// Share of the likeness of windows side by side down to which windows count as near.
const STILL_ALIKE: f64 = 0.75;
/// Likeness of windows side by side below which none stands for another: most of how windows differ does not last, or most
/// windows show one state, of which two are alike wherever they lie.
const LEAST_ALIKE: f64 = 0.5;
/// Indices of the random stream that picks windows, and pairs of any two.
const PICKED: [u64; 2] = [1 << 32, (1 << 32) + 1];

/// How long windows stay alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likeness {
    /// Samples between the begins of windows up to which they are alike; 0 if those side by side are not.
    pub within: usize,
    /// How much more alike windows side by side are than any two: 1 less the ratio of their mean squared distances.
    pub beside: f64,
    /// The same at `within`.
    pub at: f64,
}

/// How long windows of a recording stay alike, by the squared distance of `frames`, which are prepared; None where they are
/// of no recordings.
///
/// # Errors
/// As for [`Source::read`].
pub fn likeness(frames: &dyn Source, seed: u64) -> Result<Option<Likeness>> {
    let (Some(cuts), Some(recordings)) = (cuts(frames), frames.recordings()) else { return Ok(None) };
    let n = cuts.len();
    let key = |n: &u32| (cuts[*n as usize].stretch, cuts[*n as usize].first);
    let mut in_time: Vec<u32> = (0..n as u32).collect();
    in_time.sort_unstable_by_key(key);
    let mut probes: Vec<usize> = (0..n).collect();
    probes.shuffle(&mut stream(seed, Purpose::Reach, PICKED[0]));
    probes.truncate(PROBES);
    let own = frames.gather(&probes)?.values;
    let p = frames.shape().len();
    let mean_of = |pairs: &[(usize, usize)]| -> Result<f64> {
        let others = frames.gather(&pairs.iter().map(|(_, other)| *other).collect::<Vec<_>>())?.values;
        let each = pairs.iter().zip(others.chunks_exact(p)).map(|((probe, _), other)| {
            let own = &own[probe * p..(probe + 1) * p];
            own.iter().zip(other).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
        });
        Ok(each.sum::<f64>() / pairs.len() as f64)
    };
    let mut rng = stream(seed, Purpose::Reach, PICKED[1]);
    let any: Vec<(usize, usize)> = (0..probes.len()).map(|probe| (probe, rng.random_range(0..n))).collect();
    let of_any = mean_of(&any)?;
    let (window, hop) = (recordings.windowing.window, recordings.windowing.hop);
    let (mut lag, mut found) = (window.max(hop) as f64, None);
    loop {
        let later = |probe: usize| {
            let cut = cuts[probes[probe]];
            let at = u32::try_from(lag as u64).ok().and_then(|lag| cut.first.checked_add(lag))?;
            let next = in_time.get(in_time.partition_point(|n| key(n) < (cut.stretch, at)))?;
            // Not much later, so that the time is the one that is looked at.
            let near = cuts[*next as usize];
            let fits =
                near.stretch == cut.stretch && f64::from(near.first - cut.first) < (lag + hop as f64) * STEP.sqrt();
            fits.then_some((probe, *next as usize))
        };
        let pairs: Vec<(usize, usize)> = (0..probes.len()).filter_map(later).collect();
        if pairs.len() < FEWEST || of_any <= 0.0 {
            break;
        }
        let alike = 1.0 - mean_of(&pairs)? / of_any;
        let Likeness { within, beside, at } = found.unwrap_or(Likeness { within: 0, beside: alike, at: alike });
        if beside < LEAST_ALIKE || alike < STILL_ALIKE * beside {
            found = Some(Likeness { within, beside, at });
            break;
        }
        found = Some(Likeness { within: lag as usize, beside, at: alike });
        lag *= STEP;
    }
    Ok(Some(found.unwrap_or(Likeness { within: 0, beside: 0.0, at: 0.0 })))
}
