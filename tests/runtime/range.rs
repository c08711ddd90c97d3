//! The range of values seen in training: what lies outside of it, and that every engine says so.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::flash::{Buffer, DecoderModel, DecoderSpec, DenseSpec, FlashError, FlashModel, ModelSpec, encode};
use runtime::kernels::Kernel;
use runtime::native::{Batch, DecoderEngine, Engine, decoder_scratch_len, scratch_len};
use runtime::{Calibration, Dispersion, FrameShape, Outside, ValueRange};

/// Two channels of 2x3.
const SHAPE: FrameShape = FrameShape { channels: 2, height: 2, width: 3 };
const P: usize = 12;

fn spec(range: Option<[Vec<f32>; 2]>, decoder: bool) -> ModelSpec {
    let dense = |inputs, outputs| DenseSpec {
        shape: [inputs, outputs],
        weight: (0..inputs * outputs).map(|at| (at % 7) as f32 / 70.0).collect(),
        bias: vec![0.0; outputs],
    };
    let decoder = decoder.then(|| DecoderSpec {
        dense: vec![DenseSpec { bias: vec![0.0; 12], ..dense(2, 4) }, dense(4, P)],
        dispersion: Dispersion { bernoulli: false, noise: 1.0, weight: 0.5 },
    });
    ModelSpec {
        shape: SHAPE,
        front_end: None,
        scaling: Some([vec![0.5; P], vec![2.0; P]]),
        range,
        windowing: None,
        convs: vec![],
        dense: vec![dense(P, 4)],
        learned_head: false,
        log_var_range: [-8.0, 4.0],
        mu_c: vec![0.0, 0.0, 1.0, 1.0, -1.0, 2.0],
        log_var_c: vec![0.0; 3],
        log_weights: None,
        calibration: Calibration::threshold(7.0),
        golden_frame: vec![0.0; P],
        golden_log_responsibilities: vec![0.0; 3],
        golden_novelty: 0.0,
        critic: None,
        decoder,
    }
}

/// The first channel from 0 to 1, the second from -10 to 30.
fn seen() -> Option<[Vec<f32>; 2]> {
    Some([vec![0.0, -10.0], vec![1.0, 30.0]])
}

/// [`ValueRange`]'s definition, in f64 by hand.
fn lies_outside(value: f32, least: f32, most: f32) -> bool {
    let [value, least, most] = [value, least, most].map(f64::from);
    let width = (most - least).max(1e-6 * most.abs()).max(f64::from(f32::MIN_POSITIVE));
    !(value > least - width && value < most + width)
}

#[test]
fn outside_is_a_whole_width_past_an_end() {
    let range = ValueRange::new(&[0.0, -10.0], &[1.0, 30.0], P).unwrap();
    let frame = |at: usize, value: f32| {
        let mut frame = [0.5; P];
        frame[at] = value;
        frame
    };
    for (at, value, outside) in [
        (0, -0.99, false),
        (0, -1.0, true),
        (5, 1.99, false),
        (5, 2.0, true),
        (6, -49.0, false),
        (6, -51.0, true),
        (11, 69.0, false),
        (11, 71.0, true),
    ] {
        assert_eq!(range.holds(&frame(at, value)), !outside, "{at} {value}");
        let (least, most) = if at < 6 { (0.0, 1.0) } else { (-10.0, 30.0) };
        let expected = outside.then_some(Outside { index: at, value, least, most });
        assert_eq!(range.first_outside(&frame(at, value)), expected);
    }
    // A column that was constant: nothing else, but for rounding.
    let constant = ValueRange::new(&[0.0, 100.0, -0.1], &[0.0, 100.0, -0.1], 3).unwrap();
    assert!(constant.holds(&[0.0, 100.0, -0.1]) && constant.holds(&[-0.0, 100.000_01, -0.1]));
    assert!(!constant.holds(&[1e-6, 100.0, -0.1]) && !constant.holds(&[0.0, 100.1, -0.1]));
}

#[test]
fn a_range_that_fits_no_frame_is_none() {
    assert!(ValueRange::new(&[0.0; 2], &[1.0; 2], 12).is_some_and(|range| range.values_each() == 6));
    for (least, most, length) in [
        (vec![], vec![], 12),
        (vec![0.0; 5], vec![1.0; 5], 12),
        (vec![0.0; 2], vec![1.0], 12),
        (vec![0.0; 24], vec![1.0; 24], 12),
        (vec![0.0], vec![1.0], 0),
        (vec![2.0], vec![1.0], 12),
        (vec![f32::NAN], vec![1.0], 12),
        (vec![0.0], vec![f32::INFINITY], 12),
    ] {
        assert_eq!(ValueRange::new(&least, &most, length), None, "{least:?} {most:?} {length}");
    }
}

/// Any bits of an f32, half of them near the ends.
fn any(rng: &mut ChaCha8Rng, ends: [f32; 2]) -> f32 {
    match rng.random_range(0..4) {
        0 => f32::from_bits(rng.random()),
        1 => ends[rng.random_range(0..2)] * rng.random_range(-3.0..3.0),
        2 => [0.0, -0.0, f32::MAX, f32::MIN, f32::NAN, f32::INFINITY, 1e-45][rng.random_range(0..7)],
        _ => ends[0] + (ends[1] - ends[0]) * rng.random_range(-2.5..2.5),
    }
}

#[test]
fn no_value_panics_and_all_ways_to_ask_agree() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (mut held, mut not) = (0, 0);
    for round in 0..20_000 {
        let groups = [1, 2, 3, P][round % 4];
        let mut ends = || {
            let pair = [0; 2].map(|_| any(&mut rng, [-1.0, 3.0])).map(|v| if v.is_finite() { v } else { 0.0 });
            [pair[0].min(pair[1]), pair[0].max(pair[1])]
        };
        let ends: Vec<[f32; 2]> = (0..groups).map(|_| ends()).collect();
        let [least, most] = [0, 1].map(|end| ends.iter().map(|ends| ends[end]).collect::<Vec<f32>>());
        let range = ValueRange::new(&least, &most, P).unwrap();
        let of = |at: usize| ends[at / (P / groups)];
        let frame: Vec<f32> = (0..P).map(|at| any(&mut rng, of(at))).collect();
        let first = frame.iter().enumerate().position(|(at, value)| {
            // At the very limit f32 and f64 may differ.
            let [least, most] = of(at);
            lies_outside(*value, least, most)
        });
        let found = range.first_outside(&frame).map(|outside| outside.index);
        assert_eq!(found.is_none(), range.holds(&frame));
        let width = |at: usize| f64::from(of(at)[1]) - f64::from(of(at)[0]);
        let near = |at: usize| {
            let [least, most] = of(at).map(f64::from);
            let limit = [least - width(at), most + width(at)].map(|limit| (limit - f64::from(frame[at])).abs());
            limit[0].min(limit[1]) <= 1e-5 * (least.abs() + most.abs()) || !width(at).is_normal() || width(at) > 1e38
        };
        assert!(found == first || (0..P).any(near), "{frame:?} {ends:?}: {found:?} {first:?}");
        let bytes: Vec<u8> = (0..P).map(|_| rng.random()).collect();
        let values: Vec<f32> = bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect();
        assert_eq!(range.holds_bytes(&bytes), range.holds(&values));
        held += usize::from(range.holds_bytes(&bytes));
        not += usize::from(!range.holds_bytes(&bytes));
        // Of frames of another length it looks at what there is.
        range.holds(&frame[1..]);
        range.first_outside(&[&frame[..], &frame].concat());
        range.holds_bytes(&bytes[..5]);
    }
    assert!(held > 1000 && not > 1000, "{held} {not}");
}

#[test]
fn every_native_engine_says_which_frames_lie_outside() {
    let with = Buffer::copy_of(&encode(&spec(seen(), false)));
    let decoder = Buffer::copy_of(&encode(&spec(seen(), true)));
    let without = Buffer::copy_of(&encode(&spec(None, false)));
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let frames: Vec<f32> = (0..100 * P).map(|_| rng.random_range(-1.1..2.1)).collect();
    for kernel in Kernel::all() {
        let [model, old] = [&with, &without].map(|bytes| FlashModel::new(bytes).unwrap());
        assert_eq!(old.range(), None);
        let range = model.range().unwrap();
        assert_eq!((range.least(), range.most()), (&[0.0, -10.0][..], &[1.0, 30.0][..]));
        let mut memory = [vec![0.0; scratch_len(&model)], vec![0.0; scratch_len(&old)]];
        let [first, second] = &mut memory;
        let mut engine = Engine::with_kernel(model.clone(), first, kernel).unwrap();
        let mut blind = Engine::with_kernel(old, second, kernel).unwrap();
        let counting = DecoderModel::new(&decoder).unwrap();
        let mut scratch = vec![0.0; decoder_scratch_len(&counting)];
        let mut counting = DecoderEngine::with_kernel(counting, &mut scratch, kernel).unwrap();
        let all = Batch::with_kernel(model.clone(), kernel).assign(&frames).unwrap();
        let mut outside = 0;
        for (frame, of_batch) in frames.chunks_exact(P).zip(&all) {
            let expected = frame[..6].iter().any(|value| lies_outside(*value, 0.0, 1.0));
            let found = engine.assign(frame).unwrap();
            assert_eq!((found.is_outside, of_batch.is_outside), (expected, expected));
            assert_eq!(counting.assign(frame).unwrap().is_outside, expected);
            assert_eq!(engine.encode(frame).unwrap().is_outside, expected);
            // A model that does not say what it saw gives the same answer otherwise.
            let other = blind.assign(frame).unwrap();
            assert!(!other.is_outside);
            assert_eq!(runtime::Assignment { is_outside: expected, ..other }, found);
            outside += usize::from(expected);
        }
        assert!((20..80).contains(&outside), "{outside}");
        assert!(!engine.assign_u8(&[255; P]).unwrap().is_outside);
    }
}

#[test]
fn bytes_lie_outside_a_model_of_other_units() {
    for (ends, outside) in [([0.0, 255.0], false), ([-1.0, 1.0], false), ([100.0, 120.0], true), ([0.1, 0.3], true)] {
        let bytes = Buffer::copy_of(&encode(&spec(Some([vec![ends[0]; 2], vec![ends[1]; 2]]), false)));
        let model = FlashModel::new(&bytes).unwrap();
        let mut scratch = vec![0.0; scratch_len(&model)];
        let mut engine = Engine::new(model, &mut scratch).unwrap();
        assert_eq!(engine.assign_u8(&[255; P]).unwrap().is_outside, outside, "{ends:?}");
        assert_eq!(engine.assign(&[1.0; P]).unwrap().is_outside, outside, "{ends:?}");
    }
}

#[test]
fn an_image_costs_two_values_a_channel_and_a_range_that_does_not_fit_is_refused() {
    let pair = |least: &[f32], most: &[f32]| Some([least.to_vec(), most.to_vec()]);
    let refused = |range| FlashModel::new(&Buffer::copy_of(&encode(&spec(range, false)))).map(|_| ());
    assert_eq!(refused(None), Ok(()));
    assert_eq!(refused(seen()), Ok(()));
    assert_eq!(refused(pair(&[0.0; P], &[1.0; P])), Ok(()));
    let wrong = |range| matches!(refused(range), Err(FlashError::Inconsistent(_)));
    assert!(wrong(pair(&[0.0; 5], &[1.0; 5])));
    assert!(wrong(pair(&[0.0; 2 * P], &[1.0; 2 * P])));
    assert!(wrong(pair(&[0.0, 1.0], &[1.0])));
    assert!(wrong(pair(&[1.0], &[0.0])));
    assert!(matches!(refused(pair(&[f32::NAN], &[1.0])), Err(FlashError::NotFinite(_))));
    // Sections fill up to 64 bytes: here 96 of scaling, 16 of the range.
    let [with, without] = [seen(), None].map(|range| encode(&spec(range, false)).len());
    assert_eq!(with, without);
    let unscaled = |range| encode(&ModelSpec { scaling: None, ..spec(range, false) }).len();
    assert_eq!(unscaled(seen()), unscaled(None) + 64);
}
