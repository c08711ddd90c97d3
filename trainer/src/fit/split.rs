//! Which frames a model is trained on, and which only calibrate it.
//!
//! Frames that have nothing to do with each other are drawn one by one. Windows of a recording share samples with those
//! beside them, and people move alike from minute to minute: there whole groups are held out, or whole recordings, or, of
//! few recordings, blocks of windows; what overlaps with a block is left out of both parts.

use std::collections::{BTreeSet, HashMap};

use rand::seq::SliceRandom;

use crate::data::{Cut, Recordings, Source};
use crate::error::{Error, Result};
use crate::rng::{Purpose, stream};

/// One in this many frames is kept from training, to calibrate novelty.
const CALIBRATION_SHARE: usize = 20;
/// Number of frames that calibrate a false-alarm rate of a hundredth.
const ENOUGH: usize = 100;
/// One in this many of few frames is kept, as long as they are not enough.
const FEW_SHARE: usize = 8;
/// Largest number of frames that are kept from training.
pub const MAX_CALIBRATION: usize = 3000;
/// So many recordings are enough to hold some of them out whole.
const MANY_RECORDINGS: usize = 20;
/// What units are called that somebody named.
const GROUPS: &str = "groups";
/// Held-out units that are told by name.
const SHOWN: usize = 8;
/// Windows of a block, laid side by side.
const BLOCK: usize = 5;

/// Frames by what they are for, in random order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Those to train on.
    pub training: Vec<u32>,
    /// Those that only calibrate, at most [`MAX_CALIBRATION`].
    pub held_out: Vec<u32>,
    /// What was held out, in words; None where single frames were.
    pub told: Option<String>,
}

/// Frames of `count` that are kept from training: one in twenty, at most 3000; of few frames one in eight, up to the 100
/// that a false-alarm rate of a hundredth needs.
pub fn kept_from_training(count: usize) -> usize {
    (count / CALIBRATION_SHARE).max(ENOUGH.min(count / FEW_SHARE)).clamp(1, MAX_CALIBRATION)
}

/// Splits frames for the run of this seed.
///
/// # Errors
/// [`Error::Config`] if no group is left to train on.
pub fn split(frames: &dyn Source, seed: u64) -> Result<Split> {
    let mut order: Vec<u32> = (0..frames.len() as u32).collect();
    order.shuffle(&mut stream(seed, Purpose::Calibration, 0));
    let count = kept_from_training(frames.len());
    let Some((recordings, units)) = frames.recordings().zip(units(frames)) else {
        let training = order.split_off(count);
        return Ok(Split { training, held_out: order, told: None });
    };
    let Units { of_frames, what, are_groups } = units;
    let name = |cut: Cut| match what {
        GROUPS => recordings.groups[recordings.group(cut) as usize].as_str(),
        _ => recordings.name(cut),
    };
    let cut = |n: u32| frames.cut(n as usize);
    let mut sizes = HashMap::new();
    of_frames.iter().for_each(|unit| *sizes.entry(*unit).or_insert(0) += 1);
    let said = |n: u32| cut(n).is_some_and(|cut| recordings.held_out.contains(&recordings.group(cut)));
    let any_said = order.iter().any(|n| said(*n));
    // Units come in the order of their first frame, which is random.
    let (mut chosen, mut kept) = (HashMap::new(), 0);
    for &n in &order {
        let unit = of_frames[n as usize];
        let is_chosen = match any_said {
            // One is left to train on, however few there are.
            false => kept < count && kept + sizes[&unit] < frames.len(),
            true => said(n),
        };
        if let std::collections::hash_map::Entry::Vacant(new) = chosen.entry(unit) {
            new.insert(is_chosen);
            kept += if is_chosen { sizes[&unit] } else { 0 };
        }
    }
    let (mut held_out, mut training): (Vec<u32>, Vec<u32>) =
        order.into_iter().partition(|n| chosen.get(&of_frames[*n as usize]).is_some_and(|is| *is));
    if held_out.is_empty() || training.is_empty() {
        let all = format!("all {} windows are of one of the {what}; bring more of them", frames.len());
        return Err(Error::config("--group", all));
    }
    if !are_groups {
        leave_apart(&mut training, &held_out, recordings, &cut);
    }
    let (out, of) = (chosen.values().filter(|is| **is).count(), chosen.len());
    let told = format!("{out} of {of} {what}, {} windows", held_out.len());
    let names: BTreeSet<&str> = held_out.iter().filter_map(|n| cut(*n)).map(name).collect();
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    let told = Some(if are_groups { format!("{told}: {shown}{more}") } else { told });
    held_out.truncate(MAX_CALIBRATION);
    Ok(Split { training, held_out, told })
}

/// Frames at random in two halves, whole units in one of them.
pub fn halves(frames: &dyn Source, rng: &mut impl rand::Rng) -> [Vec<usize>; 2] {
    let mut order: Vec<usize> = (0..frames.len()).collect();
    order.shuffle(rng);
    if let Some(units) = units(frames) {
        let mut ranks = HashMap::new();
        order.iter().for_each(|&n| {
            let next = ranks.len();
            ranks.entry(units.of_frames[n]).or_insert(next);
        });
        order.sort_by_key(|&n| ranks[&units.of_frames[n]]);
    }
    let right = order.split_off(order.len() / 2);
    [order, right]
}

/// Number of frames that say something of their own: windows of a recording, or of a person, are alike.
pub fn independent(frames: &dyn Source) -> usize {
    units(frames).map_or(frames.len(), |units| distinct(&units.of_frames))
}

/// What is held out as a whole.
struct Units {
    /// Number of the unit of each frame `[N]`.
    of_frames: Vec<u64>,
    /// What they are, in words.
    what: &'static str,
    /// Whether windows of two of them never overlap.
    are_groups: bool,
}

/// The units of windows of recordings; None of other frames.
fn units(frames: &dyn Source) -> Option<Units> {
    let recordings = frames.recordings()?;
    let each = |of: &dyn Fn(Cut) -> u64| (0..frames.len()).map(|n| frames.cut(n).map(of)).collect::<Option<Vec<_>>>();
    let of_groups = each(&|cut| u64::from(recordings.group(cut)))?;
    // A part of the windows may have few of the groups and recordings that there are.
    if distinct(&of_groups) > 1 && (recordings.grouped || !recordings.held_out.is_empty()) {
        return Some(Units { of_frames: of_groups, what: GROUPS, are_groups: true });
    }
    let of_recordings = each(&|cut| u64::from(recordings.recording(cut)))?;
    if distinct(&of_recordings) >= MANY_RECORDINGS {
        return Some(Units { of_frames: of_recordings, what: "recordings", are_groups: true });
    }
    let block = (BLOCK * recordings.windowing.window.max(recordings.windowing.hop)) as u64;
    let of_block = |cut: Cut| {
        let first = u64::from(cut.first - recordings.stretches[cut.stretch as usize].first);
        u64::from(cut.stretch) << 32 | (first / block)
    };
    Some(Units { of_frames: each(&of_block)?, what: "blocks of windows", are_groups: false })
}

fn distinct(units: &[u64]) -> usize {
    units.iter().collect::<std::collections::HashSet<_>>().len()
}

/// Leaves out of `training` what shares samples with windows that are held out.
fn leave_apart(training: &mut Vec<u32>, held_out: &[u32], recordings: &Recordings, cut: &dyn Fn(u32) -> Option<Cut>) {
    let mut taken: Vec<Cut> = held_out.iter().filter_map(|n| cut(*n)).collect();
    taken.sort_unstable_by_key(|cut| (cut.stretch, cut.first));
    training.retain(|n| {
        let Some(own) = cut(*n) else { return true };
        let at = taken.partition_point(|other| (other.stretch, other.first) < (own.stretch, own.first));
        let beside = [at.checked_sub(1), Some(at)].into_iter().flatten().filter_map(|at| taken.get(at));
        !beside.into_iter().any(|other| recordings.overlap(own, *other))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Frames, Stretch, Windowing};
    use crate::frame::FrameShape;

    /// Windows of recordings, of which no sample is looked at.
    struct Cuts(Recordings);

    impl Source for Cuts {
        fn shape(&self) -> FrameShape {
            FrameShape { channels: 1, height: 1, width: self.0.windowing.window }
        }

        fn len(&self) -> usize {
            self.0.cuts.len()
        }

        fn recordings(&self) -> Option<&Recordings> {
            Some(&self.0)
        }

        fn cut(&self, n: usize) -> Option<Cut> {
            self.0.cuts.get(n).copied()
        }

        fn read(&self, _: &[usize], _: &mut [f32]) -> Result<()> {
            Ok(())
        }
    }

    /// `count` recordings of 400 samples, of three groups in turn if they are grouped.
    fn recordings(count: u32, grouped: bool) -> Cuts {
        let windowing = Windowing { window: 10, hop: 5, rate: None, time: None, recording: None, resampled: false };
        let group = |n: u32| if grouped { n % 3 } else { n };
        let stretch = |n: u32| Stretch { recording: n, group: group(n), first: 400 * n, begin: 0.0 };
        let cuts = |n: u32| (0..79).map(move |i| Cut { stretch: n, first: 400 * n + 5 * i });
        let groups = if grouped { 3 } else { count };
        Cuts(Recordings {
            windowing,
            wav: false,
            names: (0..count).map(|n| n.to_string()).collect(),
            stretches: (0..count).map(stretch).collect(),
            groups: (0..groups).map(|group| group.to_string()).collect(),
            grouped,
            held_out: Vec::new(),
            cuts: (0..count).flat_map(cuts).collect(),
        })
    }

    fn is_apart(cuts: &Cuts, split: &Split) -> bool {
        let of = |n: &u32| cuts.0.cuts[*n as usize];
        split.training.iter().all(|a| split.held_out.iter().all(|b| !cuts.0.overlap(of(a), of(b))))
    }

    #[test]
    fn no_held_out_window_overlaps_one_of_training_nor_is_of_its_group() {
        let groups_of = |cuts: &Cuts, part: &[u32]| {
            let mut groups: Vec<u32> = part.iter().map(|n| cuts.0.group(cuts.0.cuts[*n as usize])).collect();
            groups.sort_unstable();
            groups.dedup();
            groups
        };
        for (count, grouped, what) in [(6, true, "groups"), (30, false, "recordings"), (2, false, "blocks")] {
            let cuts = recordings(count, grouped);
            for seed in 0..5 {
                let found = split(&cuts, seed).unwrap();
                let least = kept_from_training(cuts.len());
                assert!(is_apart(&cuts, &found) && found.held_out.len() >= least, "{what} {seed}");
                assert!(found.told.as_ref().is_some_and(|told| told.contains(what)), "{:?}", found.told);
                if what == "blocks" {
                    // A gap of a window at the ends of a block is all that is lost.
                    assert!(found.training.len() + 2 * found.held_out.len() > cuts.len(), "{seed}");
                } else {
                    let (train, out) = (groups_of(&cuts, &found.training), groups_of(&cuts, &found.held_out));
                    assert!(train.iter().all(|group| !out.contains(group)));
                    assert_eq!(found.training.len() + found.held_out.len(), cuts.len());
                }
            }
            let [left, right] = halves(&cuts, &mut stream(1, Purpose::Calibration, 9));
            assert_eq!(left.len() + right.len(), cuts.len());
        }
        let mut said = recordings(6, true);
        said.0.held_out = vec![1];
        let found = split(&said, 0).unwrap();
        assert_eq!((groups_of(&said, &found.held_out), groups_of(&said, &found.training)), (vec![1], vec![0, 2]));
    }

    #[test]
    fn single_frames_are_split_one_by_one() {
        let shape = FrameShape { channels: 1, height: 1, width: 1 };
        let frames = Frames { shape, values: vec![0.0; 400], labels: None };
        let found = split(&frames, 3).unwrap();
        assert_eq!((found.training.len(), found.held_out.len(), found.told), (350, 50, None));
    }
}
