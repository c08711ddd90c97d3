//! The values that training saw, and which frames are not like them, against closed forms.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use trainer::data::{Frames, SeenValues};
use trainer::frame::{FrameKind, FrameShape};

fn frames(shape: [usize; 3], values: Vec<f32>) -> Frames {
    let [channels, height, width] = shape;
    Frames { shape: FrameShape { channels, height, width }, values, labels: None }
}

/// `n` frames of values from `low` to `high`, drawn evenly.
fn even(n: usize, shape: [usize; 3], low: f32, high: f32, seed: u64) -> Frames {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    frames(shape, (0..n * shape.iter().product::<usize>()).map(|_| rng.random_range(low..=high)).collect())
}

#[test]
fn a_channel_or_a_column_has_its_own_range() {
    let values = vec![1.0, 5.0, -2.0, 7.0, 3.0, 1.0, 0.0, 7.0];
    let of = |shape, kind| SeenValues::of(&frames(shape, values.clone()), kind).unwrap();
    let pictures = of([2, 1, 2], FrameKind::Image);
    assert_eq!((pictures.least, pictures.most), (vec![1.0, -2.0], vec![5.0, 7.0]));
    // 1, 5, 3, 1: mean 2.5, squares 2.25, 6.25, 0.25, 2.25, mean 2.75.
    assert!((pictures.deviation[0] - 2.75f32.sqrt()).abs() < 1e-6);
    let rows = of([1, 1, 4], FrameKind::Features);
    assert_eq!((rows.least, rows.most), (vec![1.0, 1.0, -2.0, 7.0], vec![3.0, 5.0, 0.0, 7.0]));
    assert_eq!(rows.deviation, [1.0, 2.0, 1.0, 0.0]);
    // Windows have their sensors in rows, if they have one channel.
    let windows = of([1, 2, 2], FrameKind::Window);
    assert_eq!((windows.least, windows.most), (vec![1.0, -2.0], vec![5.0, 7.0]));
}

#[test]
fn narrow_is_half_the_variance_less_for_few_frames_and_never_a_few_values() {
    let seen = SeenValues::of(&even(400, [1, 4, 4], -1.0, 1.0, 1), FrameKind::Image).unwrap();
    let narrow = |n, half: f32| seen.compare(&even(n, [1, 4, 4], -half, half, 2)).unwrap().unwrap().narrow;
    // As in training, and somewhat less: a share of 0.64 of the variance.
    assert_eq!((narrow(400, 1.0), narrow(400, 0.8)), (None, None));
    // The change of units from -1..1 to 0..1 leaves a quarter, less than 1/2 · 100/150.
    let found = narrow(100, 0.5).unwrap();
    assert!((found - 0.5).abs() < 0.03, "{found}");
    // Of ten frames 1/2 · 10/60, a twelfth.
    assert!(narrow(10, 0.5).is_none() && narrow(10, 0.2).is_some());
    // 3 frames of 16 values are fewer than 50.
    assert!(narrow(3, 1e-3).is_none() && narrow(4, 1e-3).is_some());
    assert_eq!(seen.compare(&even(100, [1, 4, 4], -0.5, 0.5, 2)).unwrap().unwrap().outside, 0);
    // One column as wide as in training speaks for the units of all.
    let rows = SeenValues::of(&even(400, [1, 1, 2], -1.0, 1.0, 1), FrameKind::Features).unwrap();
    let mut mixed = even(400, [1, 1, 2], -0.01, 0.01, 3);
    assert!(rows.compare(&mixed).unwrap().unwrap().narrow.is_some());
    mixed.values.iter_mut().step_by(2).for_each(|value| *value *= 100.0);
    assert_eq!(rows.compare(&mixed).unwrap().unwrap().narrow, None);
}

#[test]
fn the_first_frame_outside_is_named_and_all_are_counted() {
    let seen = SeenValues::of(&even(100, [1, 1, 3], 0.0, 1.0, 1), FrameKind::Features).unwrap();
    let mut other = even(10, [1, 1, 3], 0.0, 1.0, 2);
    (other.values[3 * 4 + 2], other.values[3 * 7]) = (25.5, -3.0);
    let found = seen.compare(&other).unwrap().unwrap();
    assert_eq!((found.frames, found.outside), (10, 2));
    let (frame, outside) = found.first.unwrap();
    assert_eq!((frame, outside.index, outside.value, outside.most), (4, 2, 25.5, seen.most[2]));
    let names = ["a", "b", "mean radius"].map(str::to_owned);
    let line = found.lines(other.shape, Some(&names)).remove(0);
    assert!(line.contains("2 of 10 frames") && line.contains("frame 4, column 2, \"mean radius\": 25.5"), "{line}");
    assert_eq!(seen.compare(&even(10, [1, 1, 4], 0.0, 1.0, 2)).unwrap(), None);
}
