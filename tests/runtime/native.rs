//! The native engine's batch form against its own answers for one frame at a time.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::flash::{Buffer, DenseSpec, FlashModel, ModelSpec, encode};
use runtime::kernels::Kernel;
use runtime::native::{Batch, Engine, scratch_len};
use runtime::{Assignment, Calibration, FrameError, FrameShape};

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
