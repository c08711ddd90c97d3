//! The native engine's batch form against its own answers for one frame at a time.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::flash::{Buffer, DenseSpec, FlashModel, ModelSpec, encode};
use runtime::kernels::Kernel;
use runtime::native::{Batch, Engine, scratch_len};
use runtime::{Assignment, Calibration, FrameError, FrameShape, Head};

/// A model that gives its frame as m, log v and logits. Every sum has one summand, so the order of additions in the layer
/// changes no bit of what the head gets.
fn identity(rng: &mut ChaCha8Rng, [k, d]: [usize; 2], learned_head: bool) -> ModelSpec {
    let width = 2 * d + if learned_head { k } else { 0 };
    let weight = (0..width * width).map(|at| if at % (width + 1) == 0 { 1.0 } else { 0.0 }).collect();
    ModelSpec {
        critic: None,
        decoder: None,
        shape: FrameShape { channels: 1, height: 1, width },
        front_end: None,
        scaling: None,
        range: None,
        windowing: None,
        convs: vec![],
        dense: vec![DenseSpec { shape: [width, width], weight, bias: vec![0.0; width] }],
        learned_head,
        log_var_range: [-3.0, 2.0],
        // Whole numbers, so that some clusters are equally far.
        mu_c: (0..k * d).map(|_| rng.random_range(-2..3) as f32).collect(),
        log_var_c: (0..k).map(|_| rng.random_range(-1..2) as f32 * 0.5).collect(),
        log_weights: None,
        calibration: Calibration { novelty_threshold: 1.5 * d as f32, temperature: 1.5 },
        golden_frame: vec![0.0; width],
        golden_log_responsibilities: vec![0.0; k],
        golden_novelty: 0.0,
    }
}

/// Values of frames: whole numbers, fractions, and such as are far out.
fn values(rng: &mut ChaCha8Rng, count: usize, width: usize) -> Vec<f32> {
    let frame = |_| {
        let kind = rng.random_range(0..3);
        let value = |rng: &mut ChaCha8Rng| match kind {
            0 => rng.random_range(-3..4) as f32,
            1 => rng.random::<f32>() * 6.0 - 3.0,
            _ => (rng.random::<f32>() - 0.5) * 1e4,
        };
        (0..width).map(|_| value(rng)).collect::<Vec<_>>()
    };
    (0..count).flat_map(frame).collect()
}

fn one_by_one(model: &FlashModel<'_>, kernel: Kernel, frames: &[f32]) -> Vec<Result<Assignment, FrameError>> {
    let mut scratch = vec![f32::NAN; scratch_len(model)];
    let mut engine = Engine::with_kernel(model.clone(), &mut scratch, kernel).unwrap();
    frames.chunks_exact(model.shape().len()).map(|frame| engine.assign(frame)).collect()
}

#[test]
fn the_head_gives_a_batch_the_bits_that_it_gives_a_frame() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut ties, mut novel) = (0, 0);
    for k in [1, 2, 3, 10, 17, 64] {
        for d in [1, 2, 8, 10, 33] {
            for learned_head in [false, true] {
                let spec = identity(&mut rng, [k, d], learned_head);
                let width = spec.shape.width;
                let bytes = Buffer::copy_of(&encode(&spec));
                let model = FlashModel::new(&bytes).unwrap();
                let frames = values(&mut rng, 50, width);
                for kernel in Kernel::all() {
                    let one: Vec<_> =
                        one_by_one(&model, kernel, &frames).into_iter().collect::<Result<_, _>>().unwrap();
                    let mut batch = Batch::with_kernel(model.clone(), kernel);
                    // All that a block of vectors can leave over.
                    for count in 0..=50 {
                        let many = batch.assign(&frames[..count * width]).unwrap();
                        assert_eq!(many, one[..count], "{} K {k} D {d} {learned_head}", kernel.name());
                    }
                    let tied = |a: &&Assignment| {
                        a.runner_up.is_some_and(|c| a.log_responsibilities[c] == a.log_responsibilities[a.cluster])
                    };
                    ties += one.iter().filter(tied).count();
                    novel += one.iter().filter(|a| a.is_novel).count();
                }
            }
        }
    }
    assert!(ties > 100 && novel > 100, "{ties} {novel}: the frames do not try what they should");
}

/// Softmax in f64 of exponents that are whole numbers, which f32 holds: far out the normaliser alone would be rounded away.
#[test]
fn responsibilities_far_out_are_those_of_the_differences() {
    for far in [0.0f32, 1e3, 1e5, 3e6, 1.6e7] {
        let head = Head::new(&[0.0, 0.0], &[0.0, 0.0], Calibration::threshold(1.0)).unwrap();
        for logits in [[far, far - 1.0], [-far, 1.0 - far]] {
            let found: Vec<f32> = head.assign(&[0.0], &[0.0], Some(&logits)).unwrap().responsibilities().collect();
            let gap = f64::from(logits[0]) - f64::from(logits[1]);
            let expected = [1.0 / (1.0 + (-gap).exp()), 1.0 / (1.0 + gap.exp())];
            let near = found.iter().zip(expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6);
            assert!(near, "{logits:?}: {found:?}, expected {expected:?}");
        }
    }
}

/// Any numbers that an image may hold, and any finite frame: an answer whose responsibilities sum to 1, or none.
#[test]
fn responsibilities_sum_to_one_or_there_is_no_answer() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let wild = |rng: &mut ChaCha8Rng, most: i32| {
        let size = 10f32.powf(rng.random_range(-12.0..most as f32));
        if rng.random() { size } else { -size }
    };
    let (mut answers, mut refusals) = (0, 0);
    for case in 0..4000 {
        let (k, d) = ([1, 2, 3, 10, 64][case % 5], 1 + case % 3);
        let mut spec = identity(&mut rng, [k, d], case % 2 == 0);
        let most = [2, 12, 38][case % 3];
        spec.mu_c.iter_mut().for_each(|v| *v = wild(&mut rng, most));
        spec.log_var_c.iter_mut().for_each(|v| *v = wild(&mut rng, most).clamp(-1e3, 1e3));
        spec.log_var_range = [-90.0, 90.0];
        spec.calibration.temperature = wild(&mut rng, most.min(30)).abs();
        if rng.random() {
            spec.log_weights = Some((0..k).map(|_| wild(&mut rng, most)).collect());
        }
        let bytes = Buffer::copy_of(&encode(&spec));
        let model = FlashModel::new(&bytes).unwrap();
        let frames: Vec<f32> = (0..8 * spec.shape.width).map(|_| wild(&mut rng, most)).collect();
        let kernel = Kernel::best();
        for (frame, found) in frames.chunks(spec.shape.width).zip(one_by_one(&model, kernel, &frames)) {
            let many = Batch::with_kernel(model.clone(), kernel).assign(frame);
            assert_eq!(many.map(|mut all| all.remove(0)), found, "{frame:?}");
            match found {
                Ok(found) => {
                    let sum: f64 = found.responsibilities().map(f64::from).sum();
                    assert!((sum - 1.0).abs() < 1e-5, "case {case}: {sum} of {frame:?}");
                    answers += 1;
                }
                Err(error) => {
                    assert_eq!(error, FrameError::Overflow);
                    refusals += 1;
                }
            }
        }
    }
    assert!(answers > 10_000 && refusals > 1000, "{answers} {refusals}");
}

/// 64 inputs, a hidden unit that leaves f32 and whose weight is 0, and one that is what it should be.
#[test]
fn sums_that_leave_f32_are_refused_wherever_they_are_hidden() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut spec = identity(&mut rng, [2, 1], false);
    let hidden = [64.0, -64.0];
    for (relu_hides, clamp_hides) in [(true, false), (false, true), (true, true)] {
        for large in hidden {
            for outputs in [2, 80] {
                // The first unit overflows to ±∞ before ReLU; the second stays 1.
                let mut first = vec![0.0; 2 * outputs];
                first[..outputs].iter_mut().step_by(2).for_each(|w| *w = large * 1000.0);
                let mut bias = vec![0.0; outputs];
                bias[1] = 1.0;
                let mut second = vec![0.0; 2 * outputs];
                second[2] = 1.0;
                second[1] = if clamp_hides { -1000.0 } else { 0.0 };
                let first = DenseSpec { shape: [2, outputs], weight: first, bias };
                let second = DenseSpec { shape: [outputs, 2], weight: second, bias: vec![0.0; 2] };
                spec.dense = if relu_hides {
                    vec![first, second]
                } else {
                    vec![DenseSpec { shape: [2, 2], weight: vec![0.0, large * 1000.0, 0.0, 0.0], bias: vec![0.0; 2] }]
                };
                let bytes = Buffer::copy_of(&encode(&spec));
                let model = FlashModel::new(&bytes).unwrap();
                for kernel in Kernel::all() {
                    let what = format!("{} {large} {outputs} {relu_hides} {clamp_hides}", kernel.name());
                    let frames = [[3e38, 1.0], [1e3, 1.0]].concat();
                    let one = one_by_one(&model, kernel, &frames);
                    assert_eq!(one[0], Err(FrameError::Overflow), "{what}");
                    assert!(one[1].is_ok(), "{what}");
                    let mut batch = Batch::with_kernel(model.clone(), kernel);
                    assert_eq!(batch.assign(&frames), Err(FrameError::Overflow), "{what}");
                    assert_eq!(batch.assign(&frames[2..]).map(|mut all| all.remove(0)), one[1], "{what}");
                }
            }
        }
    }
}

/// Filtered sensors give values next to 0, over whose products many processors take a hundred times as long. A layer that
/// gives its inputs shows what they were taken for; small units are no reason, where the model standardises.
#[test]
fn values_next_to_0_are_taken_for_0() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for (factor, kept) in [(None, 1e-22), (Some(1.0f32), 1e-22), (Some(1e30), 1e-36)] {
        let mut spec = identity(&mut rng, [3, 1], false);
        spec.scaling = factor.map(|factor| [vec![0.0; 2], vec![factor; 2]]);
        let bytes = Buffer::copy_of(&encode(&spec));
        let model = FlashModel::new(&bytes).unwrap();
        for kernel in Kernel::all() {
            let mut scratch = vec![0.0; scratch_len(&model)];
            let mut engine = Engine::with_kernel(model.clone(), &mut scratch, kernel).unwrap();
            for size in [1e-45, 1e-40, 1e-38, 3e-38, 1e-36, 1e-34, 1e-30, 1e-25, 1e-22, 1e-10, 1.0] {
                for size in [size, -size] {
                    let mu = engine.encode(&[size, 0.0]).unwrap().mu[0];
                    let expected = if size.abs() < kept { 0.0 } else { size * factor.unwrap_or(1.0) };
                    let near = (mu - expected).abs() <= 1e-6 * expected.abs();
                    assert!(near, "{} {factor:?}: {size:e} gives {mu:e}", kernel.name());
                }
            }
        }
    }
}

/// A frame so far out that the density of all clusters but one is 0 in f32: one comes first, and the first of the rest.
#[test]
fn clusters_without_any_density_are_ranked_alike() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for wide in 0..3 {
        let mut spec = identity(&mut rng, [3, 2], false);
        spec.log_var_c = (0..3).map(|c| if c == wide { 0.0 } else { -1.0 }).collect();
        let bytes = Buffer::copy_of(&encode(&spec));
        let model = FlashModel::new(&bytes).unwrap();
        let frames = [1.8e19, 0.0, 0.0, 0.0].repeat(20);
        for kernel in Kernel::all() {
            let one: Vec<_> = one_by_one(&model, kernel, &frames).into_iter().collect::<Result<_, _>>().unwrap();
            let first_of_the_rest = usize::from(wide == 0);
            assert_eq!((one[0].cluster, one[0].runner_up), (wide, Some(first_of_the_rest)));
            assert_eq!(one[0].log_responsibilities[first_of_the_rest], f32::NEG_INFINITY);
            assert_eq!(Batch::with_kernel(model.clone(), kernel).assign(&frames).unwrap(), one);
        }
    }
}

#[test]
fn frames_that_have_no_answer_are_refused_in_a_batch_too() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for learned_head in [false, true] {
        let spec = identity(&mut rng, [10, 4], learned_head);
        let width = spec.shape.width;
        let bytes = Buffer::copy_of(&encode(&spec));
        let model = FlashModel::new(&bytes).unwrap();
        let good = values(&mut rng, 40, width);
        for kernel in Kernel::all() {
            let mut batch = Batch::with_kernel(model.clone(), kernel);
            assert_eq!(batch.assign(&[]), Ok(vec![]));
            let cut = &good[..3 * width - 1];
            assert_eq!(batch.assign(cut), Err(FrameError::Length { expected: 3 * width, found: 3 * width - 1 }));
            for at in [0, 5 * width + 1, 15 * width, 16 * width + 3, 39 * width] {
                let with = |value: f32| {
                    let mut frames = good.clone();
                    frames[at] = value;
                    frames
                };
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    assert_eq!(batch.assign(&with(bad)), Err(FrameError::NotFinite { index: at }));
                }
                // Its distance from every cluster is infinite.
                assert_eq!(batch.assign(&with(1e30)), Err(FrameError::Overflow), "{at}");
                assert_eq!(one_by_one(&model, kernel, &with(1e30))[at / width], Err(FrameError::Overflow));
            }
            // What failed leaves nothing behind.
            let one: Vec<_> = one_by_one(&model, kernel, &good).into_iter().collect::<Result<_, _>>().unwrap();
            assert_eq!(batch.assign(&good).unwrap(), one);
        }
    }
}

/// More frames than go through the layers together, or to one thread.
#[test]
fn many_frames_are_answered_in_their_order() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let spec = identity(&mut rng, [10, 8], false);
    let bytes = Buffer::copy_of(&encode(&spec));
    let model = FlashModel::new(&bytes).unwrap();
    let frames = values(&mut rng, 5000, 16);
    let one: Vec<_> = one_by_one(&model, Kernel::best(), &frames).into_iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(Batch::new(model).assign(&frames).unwrap(), one);
}
