//! Flash images: what is written is what is read, and no damage goes unnoticed.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/repair.rs"]
mod repair;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use repair::repair;
use runtime::flash::{
    Buffer, ConvSpec, CriticNetwork, CriticSpec, DenseSpec, FlashError, FlashModel, ModelSpec, encode,
};
use runtime::kernels::Kernel;
use runtime::native::{Batch, Critic, CriticError, Engine, EngineError, critic_scratch_len, scratch_len};
use runtime::{Calibration, FrameError, FrameShape, FrontEndSpec, SpectralSpec, Windowing};

fn floats(rng: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.random::<f32>() - 0.5).collect()
}

/// Two channels of 4x3, a convolution, two dense layers, K = 3, D = 2.
fn spec() -> ModelSpec {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    ModelSpec {
        shape: FrameShape { channels: 2, height: 4, width: 3 },
        front_end: None,
        scaling: Some([floats(&mut rng, 24), floats(&mut rng, 24)]),
        range: Some([vec![-0.5, -0.4], vec![0.5, 0.6]]),
        windowing: None,
        convs: vec![ConvSpec { shape: [5, 2, 3], stride: 2, weight: floats(&mut rng, 90), bias: floats(&mut rng, 5) }],
        dense: vec![
            DenseSpec { shape: [20, 70], weight: floats(&mut rng, 1400), bias: floats(&mut rng, 70) },
            DenseSpec { shape: [70, 4], weight: floats(&mut rng, 280), bias: floats(&mut rng, 4) },
        ],
        learned_head: false,
        log_var_range: [-8.0, 4.0],
        mu_c: floats(&mut rng, 6),
        log_var_c: floats(&mut rng, 3),
        log_weights: None,
        calibration: Calibration { novelty_threshold: 7.5, temperature: 1.25 },
        golden_frame: floats(&mut rng, 24),
        golden_log_responsibilities: vec![-1.0, -1.1, -1.2],
        golden_novelty: 2.5,
        critic: None,
        decoder: None,
    }
}

/// A critic for frames of 2x4x3 and D = 2, whose grid is `[2,2,2]`.
fn critic() -> CriticSpec {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut dense = |inputs, outputs| DenseSpec {
        shape: [inputs, outputs],
        weight: floats(&mut rng, inputs * outputs).iter().map(|w| 4.0 * w).collect(),
        bias: floats(&mut rng, outputs),
    };
    let dense = [dense(2, 5), dense(5, 65), dense(65, 8)];
    CriticSpec {
        dense,
        bias: floats(&mut rng, 24),
        local: floats(&mut rng, 18),
        side: 3,
        factor: 2,
        bernoulli: true,
        sharpness: 3.0,
    }
}

/// Small enough that every bit of it can be tried.
fn small() -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    encode(&ModelSpec {
        shape: FrameShape { channels: 1, height: 1, width: 3 },
        front_end: None,
        scaling: None,
        range: None,
        windowing: None,
        convs: vec![],
        dense: vec![DenseSpec { shape: [3, 2], weight: floats(&mut rng, 6), bias: floats(&mut rng, 2) }],
        mu_c: vec![0.0, 1.0],
        log_var_c: vec![0.0, 0.0],
        log_weights: None,
        golden_frame: vec![0.0; 3],
        golden_log_responsibilities: vec![-0.7, -0.7],
        ..spec()
    })
}

/// As [`small`], with a critic.
fn small_with_critic() -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut dense = |shape: [usize; 2]| DenseSpec {
        shape,
        weight: floats(&mut rng, shape[0] * shape[1]),
        bias: vec![0.5; shape[1]],
    };
    encode(&ModelSpec {
        shape: FrameShape { channels: 1, height: 1, width: 3 },
        front_end: None,
        scaling: None,
        range: None,
        windowing: None,
        convs: vec![],
        dense: vec![dense([3, 2])],
        mu_c: vec![0.0, 1.0],
        log_var_c: vec![0.0, 0.0],
        log_weights: None,
        golden_frame: vec![0.0; 3],
        golden_log_responsibilities: vec![-0.7, -0.7],
        critic: Some(CriticSpec {
            dense: [dense([1, 2]), dense([2, 2]), dense([2, 2])],
            bias: vec![0.1, 0.2, 0.3],
            local: vec![0.5],
            side: 1,
            factor: 2,
            bernoulli: false,
            sharpness: 1.0,
        }),
        ..spec()
    })
}

/// As [`small`], of windows of 16 samples and 4 features.
fn small_with_front_end() -> Vec<u8> {
    let shape = FrameShape { channels: 1, height: 1, width: 16 };
    let front_end = FrontEndSpec::Spectral(SpectralSpec {
        shape,
        length: 16,
        window: SpectralSpec::hann(16),
        constants: vec![0.5, 2.0, 0.01],
        edges: SpectralSpec::bands(16, 2),
    });
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    encode(&ModelSpec {
        shape,
        front_end: Some(front_end),
        scaling: None,
        range: None,
        windowing: None,
        convs: vec![],
        dense: vec![DenseSpec { shape: [4, 2], weight: floats(&mut rng, 8), bias: floats(&mut rng, 2) }],
        mu_c: vec![0.0, 1.0],
        log_var_c: vec![0.0, 0.0],
        log_weights: None,
        golden_frame: vec![0.0; 16],
        golden_log_responsibilities: vec![-0.7, -0.7],
        ..spec()
    })
}

/// As [`small`], of windows of 3 samples, a hop of 2 apart, 50 samples a second.
fn small_with_windowing() -> Vec<u8> {
    encode(&of_windows(Windowing::new(WINDOW, 2, Some(50.0))))
}

const WINDOW: FrameShape = FrameShape { channels: 1, height: 1, width: 3 };

fn of_windows(windowing: Option<Windowing>) -> ModelSpec {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    ModelSpec {
        shape: WINDOW,
        front_end: None,
        scaling: None,
        range: None,
        windowing,
        convs: vec![],
        dense: vec![DenseSpec { shape: [3, 2], weight: floats(&mut rng, 6), bias: floats(&mut rng, 2) }],
        mu_c: vec![0.0, 1.0],
        log_var_c: vec![0.0, 0.0],
        log_weights: None,
        golden_frame: vec![0.0; 3],
        golden_log_responsibilities: vec![-0.7, -0.7],
        ..spec()
    }
}

#[test]
fn an_image_says_what_was_written() {
    let spec = spec();
    let bytes = Buffer::copy_of(&encode(&spec));
    let model = FlashModel::new(&bytes).unwrap();
    assert_eq!(model.shape(), spec.shape);
    assert_eq!((model.head().clusters(), model.head().latent()), (3, 2));
    assert_eq!(model.log_var_range(), spec.log_var_range);
    assert_eq!(model.scaling().map(|s| s.map(<[f32]>::to_vec)), spec.scaling);
    assert_eq!(model.golden().frame, spec.golden_frame);
    assert_eq!(model.golden().log_responsibilities, spec.golden_log_responsibilities);
    assert_eq!(model.golden().novelty, spec.golden_novelty);
    assert_eq!(
        model.layers().iter().map(|l| (l.inputs(), l.outputs())).collect::<Vec<_>>(),
        [(24, 20), (20, 70), (70, 4)]
    );
}

/// The checksums are those of RFC 3720: "123456789" gives e3069283.
#[test]
fn repair_changes_nothing_that_holds_and_mends_the_rest() {
    let good = encode(&spec());
    let mut bytes = good.clone();
    repair(&mut bytes);
    assert!(bytes == good);
    let last = bytes.len() - 64;
    bytes[last] ^= 1;
    assert!(FlashModel::new(&Buffer::copy_of(&bytes)).is_err());
    repair(&mut bytes);
    assert!(FlashModel::new(&Buffer::copy_of(&bytes)).is_ok());
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
    assert_eq!(crc.checksum(b"123456789"), 0xe306_9283);
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let head = word(80) as usize..(word(80) + word(84)) as usize;
    assert_eq!(crc.checksum(&bytes[head]), word(88));
    // Too short to have sections.
    for length in 0..200 {
        repair(&mut bytes[..length]);
    }
}

/// The fuzzer starts from whole images; UPDATE=1 writes them.
#[test]
fn the_fuzz_corpus_has_whole_images() {
    let folder = std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let corpus = ["fuzz/corpus/flash", "../../runtime/fuzz/corpus/flash"].map(|path| folder.join(path));
    let corpus = corpus.iter().find(|path| path.exists()).unwrap();
    let with_critic = encode(&ModelSpec { critic: Some(critic()), ..spec() });
    let images = [
        ("small", small()),
        ("convolution", encode(&spec())),
        ("critic", with_critic),
        ("small_critic", small_with_critic()),
        ("small_front_end", small_with_front_end()),
        ("small_windowing", small_with_windowing()),
    ];
    for (name, image) in images {
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(corpus.join(name), &image).unwrap();
        }
        assert!(std::fs::read(corpus.join(name)).unwrap() == image, "{name} is out of date: UPDATE=1");
    }
}

/// The whole model by hand, in f64, from the specification and not from the image.
fn by_hand(spec: &ModelSpec, frame: &[f32]) -> Vec<f64> {
    let half = |w: &f32| f64::from(half::f16::from_f32(*w).to_f32());
    let [shift, factor] = spec.scaling.as_ref().unwrap();
    let x: Vec<f64> = frame
        .iter()
        .zip(shift)
        .zip(factor)
        .map(|((x, s), f)| (f64::from(*x) - f64::from(*s)) * f64::from(*f))
        .collect();
    let conv = &spec.convs[0];
    let mut maps = vec![0.0; 5 * 2 * 2];
    for o in 0..5 {
        for row in 0..2 {
            for column in 0..2 {
                let mut sum = f64::from(conv.bias[o]);
                for c in 0..2 {
                    for ky in 0..3 {
                        for kx in 0..3 {
                            let (y, x_) = (2 * row + ky, 2 * column + kx);
                            if (1..=4).contains(&y) && (1..=3).contains(&x_) {
                                sum +=
                                    x[c * 12 + (y - 1) * 3 + x_ - 1] * half(&conv.weight[o * 18 + c * 9 + ky * 3 + kx]);
                            }
                        }
                    }
                }
                maps[o * 4 + row * 2 + column] = sum.max(0.0);
            }
        }
    }
    for (index, dense) in spec.dense.iter().enumerate() {
        let outputs = dense.shape[1];
        maps = (0..outputs)
            .map(|o| {
                let products = maps.iter().enumerate().map(|(i, v)| v * half(&dense.weight[i * outputs + o]));
                let sum = f64::from(dense.bias[o]) + products.sum::<f64>();
                if index == 0 { sum.max(0.0) } else { sum }
            })
            .collect();
    }
    let exponents: Vec<f64> = (0..3)
        .map(|c| {
            let log_var = f64::from(spec.log_var_c[c]);
            let distance: f64 = (0..2).map(|d| (maps[d] - f64::from(spec.mu_c[c * 2 + d])).powi(2)).sum();
            let spread = distance + maps[2].clamp(-8.0, 4.0).exp() + maps[3].clamp(-8.0, 4.0).exp();
            let log_weight = spec.log_weights.as_ref().map_or(0.0, |log| f64::from(log[c]));
            log_weight - 0.5 * (spread * (-log_var).exp() + 2.0 * (log_var + (2.0 * std::f64::consts::PI).ln()))
        })
        .collect();
    let evidence = exponents.iter().map(|e| e.exp()).sum::<f64>().ln();
    let temperature = f64::from(spec.calibration.temperature);
    let normalizer = exponents.iter().map(|e| (e / temperature).exp()).sum::<f64>().ln();
    exponents.iter().map(|e| e / temperature - normalizer).chain([3f64.ln() - evidence]).collect()
}

#[test]
fn the_engine_gives_what_the_model_says() {
    gives_what_it_says(spec());
    // p(c) of 0.6, 0.3 and 0.1.
    let log_weights = [1.8f32, 0.9, 0.3].map(f32::ln).to_vec();
    gives_what_it_says(ModelSpec { log_weights: Some(log_weights), ..spec() });
}

fn gives_what_it_says(spec: ModelSpec) {
    let bytes = Buffer::copy_of(&encode(&spec));
    let model = FlashModel::new(&bytes).unwrap();
    let mut scratch = vec![f32::NAN; scratch_len(&model)];
    let needed = scratch.len();
    let short = Engine::new(model.clone(), &mut scratch[1..]).err();
    assert_eq!(short, Some(EngineError::Scratch { needed, found: needed - 1 }));
    let mut engine = Engine::new(model, &mut scratch).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for _ in 0..100 {
        let bytes: Vec<u8> = (0..24).map(|_| rng.random()).collect();
        let frame: Vec<f32> = bytes.iter().map(|b| f32::from(*b) / 255.0).collect();
        let found = engine.assign(&frame).unwrap();
        let expected = by_hand(&spec, &frame);
        for (a, b) in found.log_responsibilities.iter().chain([&found.novelty]).zip(&expected) {
            assert!((f64::from(*a) - b).abs() < 1e-4, "{found:?} {expected:?}");
        }
        assert_eq!(engine.assign_u8(&bytes).unwrap(), found);
    }
    // More frames than one block holds.
    let frames: Vec<f32> = (0..2500 * 24).map(|_| rng.random()).collect();
    let many = Batch::from(&engine).assign(&frames).unwrap();
    assert_eq!(many.len(), 2500);
    for (frame, found) in frames.chunks_exact(24).zip(&many) {
        let expected = engine.assign(frame).unwrap();
        for (a, b) in found.log_responsibilities.iter().zip(&expected.log_responsibilities) {
            assert!((a - b).abs() < 1e-4, "{found:?} {expected:?}");
        }
    }
    assert_eq!(Batch::from(&engine).assign(&[]).unwrap(), []);
    assert!(matches!(Batch::from(&engine).assign(&frames[..25]), Err(FrameError::Length { found: 25, .. })));
    // What the golden answer says is not what this model gives.
    assert_eq!(engine.self_test(), Err(EngineError::SelfTest));
    assert_eq!(engine.assign(&[0.0; 23]), Err(FrameError::Length { expected: 24, found: 23 }));
    assert_eq!(engine.assign_u8(&[0; 25]), Err(FrameError::Length { expected: 24, found: 25 }));
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut frame = [0.0; 24];
        frame[7] = bad;
        assert_eq!(engine.assign(&frame), Err(FrameError::NotFinite { index: 7 }));
    }
    assert_eq!(engine.assign(&[f32::MAX; 24]), Err(FrameError::Overflow));
}

/// H1 by hand, in f64, from the specification; m as the engine has it.
fn trust_by_hand(spec: &ModelSpec, frame: &[f32], mu: &[f32]) -> Vec<f64> {
    let critic = spec.critic.as_ref().unwrap();
    let half = |w: &f32| f64::from(half::f16::from_f32(*w).to_f32());
    let mut values: Vec<f64> = mu.iter().map(|m| f64::from(*m)).collect();
    for (index, dense) in critic.dense.iter().enumerate() {
        let outputs = dense.shape[1];
        values = (0..outputs)
            .map(|o| {
                let products = values.iter().enumerate().map(|(i, v)| v * half(&dense.weight[i * outputs + o]));
                let sum = f64::from(dense.bias[o]) + products.sum::<f64>();
                if index < 2 { sum.max(0.0) } else { sum }
            })
            .collect();
    }
    let [shift, factor] = spec.scaling.as_ref().unwrap();
    let x: Vec<f64> = (0..24).map(|at| (f64::from(frame[at]) - f64::from(shift[at])) * f64::from(factor[at])).collect();
    // Rows 0, 1, 2, 3 of a grid of two lie at -1/4, 1/4, 3/4, 5/4 of it: of the ends nothing lies outside.
    let shares = [0.0, 0.25, 0.75, 1.0];
    (0..24)
        .map(|at| {
            let (channel, row, column) = (at / 12, at % 12 / 3, at % 3);
            let place = |y: usize, x: usize| values[channel * 4 + y * 2 + x];
            let across = |y: usize| place(y, 0) * (1.0 - shares[column]) + place(y, 1) * shares[column];
            let logit = across(0) * (1.0 - shares[row]) + across(1) * shares[row] + f64::from(critic.bias[at]);
            let mut local = 0.0;
            for (tap, weight) in critic.local[channel * 9..channel * 9 + 9].iter().enumerate() {
                let (y, x_) = (row + tap / 3, column + tap % 3);
                if (1..=4).contains(&y) && (1..=3).contains(&x_) {
                    local += x[channel * 12 + (y - 1) * 3 + x_ - 1] * f64::from(*weight);
                }
            }
            let logit = logit + local;
            let mean = if critic.bernoulli { 1.0 / (1.0 + (-logit).exp()) } else { logit };
            (-f64::from(critic.sharpness) * (x[at] - mean).powi(2)).exp()
        })
        .collect()
}

#[test]
fn the_engine_explains_as_the_critic_says() {
    for bernoulli in [true, false] {
        let spec = ModelSpec { critic: Some(CriticSpec { bernoulli, ..critic() }), ..spec() };
        let bytes = Buffer::copy_of(&encode(&spec));
        let model = FlashModel::new(&bytes).unwrap();
        let network = CriticNetwork::new(&model).unwrap().unwrap();
        let needed = critic_scratch_len(&network);
        let mut short = vec![0.0; needed - 1];
        assert_eq!(Critic::new(&model, &mut short).err(), Some(CriticError::Scratch { needed, found: needed - 1 }));
        for kernel in Kernel::all() {
            let (mut memory, mut scratch) = (vec![f32::NAN; scratch_len(&model)], vec![f32::NAN; needed]);
            let mut critic = Critic::with_kernel(&model, &mut scratch, kernel).unwrap();
            let mut engine = Engine::with_kernel(model.clone(), &mut memory, kernel).unwrap();
            let mut rng = ChaCha8Rng::seed_from_u64(9);
            for _ in 0..50 {
                let frame: Vec<f32> = (0..24).map(|_| rng.random()).collect();
                let mut trust = [f32::NAN; 24];
                let found = engine.explain(&mut critic, &frame, &mut trust).unwrap();
                assert_eq!(found, engine.assign(&frame).unwrap());
                let mu = engine.encode(&frame).unwrap().mu.to_vec();
                for (found, expected) in trust.iter().zip(trust_by_hand(&spec, &frame, &mu)) {
                    assert!((f64::from(*found) - expected).abs() < 1e-5, "{} {found} {expected}", kernel.name());
                }
            }
            let mut trust = [0.0; 24];
            let mut bad = [0.5; 24];
            bad[3] = f32::NAN;
            let refused = engine.explain(&mut critic, &bad, &mut trust);
            assert_eq!(refused, Err(FrameError::NotFinite { index: 3 }));
            let refused = engine.explain(&mut critic, &[0.5; 24], &mut trust[1..]);
            assert_eq!(refused, Err(FrameError::Length { expected: 24, found: 23 }));
        }
    }
}

/// A critic goes with its model alone, and a model without one says so.
#[test]
fn a_critic_that_does_not_fit_is_refused() {
    let (plain, small) = (Buffer::copy_of(&encode(&spec())), Buffer::copy_of(&small_with_critic()));
    let (plain, small) = (FlashModel::new(&plain).unwrap(), FlashModel::new(&small).unwrap());
    assert!(CriticNetwork::new(&plain).unwrap().is_none());
    assert_eq!(Critic::new(&plain, &mut []).err(), Some(CriticError::Absent));
    let (mut memory, mut scratch) = (vec![0.0; scratch_len(&plain)], vec![0.0; 1000]);
    let mut other = Critic::new(&small, &mut scratch).unwrap();
    let mut engine = Engine::new(plain, &mut memory).unwrap();
    assert_eq!(engine.explain(&mut other, &[0.5; 24], &mut [0.0; 24]), Err(FrameError::Engine));
    // Nor has a model of the same shape the same latents.
    let shifted = ModelSpec { mu_c: vec![0.25; 6], critic: Some(critic()), ..spec() };
    let own = Buffer::copy_of(&encode(&ModelSpec { critic: Some(critic()), ..spec() }));
    let others = Buffer::copy_of(&encode(&shifted));
    let (own, others) = (FlashModel::new(&own).unwrap(), FlashModel::new(&others).unwrap());
    let (mut memory, mut scratches) = (vec![0.0; scratch_len(&own)], [vec![0.0; 1000], vec![0.0; 1000]]);
    let [first, second] = &mut scratches;
    let mut critics = [Critic::new(&own, first).unwrap(), Critic::new(&others, second).unwrap()];
    let mut engine = Engine::new(own, &mut memory).unwrap();
    let mut explains = |critic: usize| engine.explain(&mut critics[critic], &[0.5; 24], &mut [0.0; 24]);
    assert!(explains(0).is_ok());
    assert_eq!(explains(1), Err(FrameError::Engine));

    let refused = |critic: CriticSpec| {
        let bytes = Buffer::copy_of(&encode(&ModelSpec { critic: Some(critic), ..spec() }));
        CriticNetwork::new(&FlashModel::new(&bytes).unwrap()).unwrap_err()
    };
    assert!(matches!(refused(CriticSpec { factor: 1, ..critic() }), FlashError::Inconsistent(_)));
    assert!(matches!(refused(CriticSpec { factor: 0, ..critic() }), FlashError::Inconsistent(_)));
    assert!(matches!(refused(CriticSpec { bias: vec![0.0; 23], ..critic() }), FlashError::Inconsistent(_)));
    assert!(matches!(refused(CriticSpec { side: 2, ..critic() }), FlashError::Inconsistent(_)));
    assert!(matches!(refused(CriticSpec { sharpness: f32::NAN, ..critic() }), FlashError::NotFinite(_)));
    let mut bad = critic();
    bad.dense[1].weight[0] = 1e6;
    assert!(matches!(refused(bad), FlashError::NotFinite(_)));
    let mut bad = critic();
    bad.dense[0] = DenseSpec { shape: [3, 5], weight: vec![0.0; 15], bias: vec![0.0; 5] };
    bad.dense[2] = DenseSpec { shape: [65, 9], weight: vec![0.0; 585], bias: vec![0.0; 9] };
    assert!(matches!(refused(bad), FlashError::Inconsistent(_)));
}

/// Past the checksum: words of the critic's header are changed, and what still is a critic runs.
#[test]
fn no_bytes_make_the_critic_panic() {
    let good = encode(&ModelSpec { critic: Some(critic()), ..spec() });
    let entry = 64 + 16 * (4 + 3);
    let start = u32::from_le_bytes(good[entry..entry + 4].try_into().unwrap()) as usize;
    let values = [0, 1, 2, 3, 4, 15, 16, 17, 64, 0xffff, 0x10_0000, 0x10_0001, 0x7fff_ffff, 0x8000_0000, u32::MAX];
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    let mut whole = 0;
    for _ in 0..20_000 {
        let mut bytes = Buffer::copy_of(&good);
        for _ in 0..rng.random_range(1..4) {
            let words = if rng.random() { 16 } else { 200 };
            let at = start + 4 * rng.random_range(0..words);
            let value = if rng.random() { values[rng.random_range(0..values.len())] } else { rng.random() };
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        repair(&mut bytes);
        let model = FlashModel::new(&bytes).unwrap();
        if let Ok(network) = CriticNetwork::new(&model) {
            let (mut memory, mut scratch) =
                (vec![0.0; scratch_len(&model)], vec![0.0; critic_scratch_len(&network.unwrap())]);
            let mut critic = Critic::new(&model, &mut scratch).unwrap();
            let mut map = [0.0; 24];
            if Engine::new(model, &mut memory).unwrap().explain(&mut critic, &[0.5; 24], &mut map).is_ok() {
                assert!(map.iter().all(|v| (0.0..=1.0).contains(v)));
                whole += 1;
            }
        }
    }
    assert!(whole > 100, "{whole}");
}

/// Small files and such as fill huge pages, of lengths that fill neither words nor pages.
#[test]
fn files_of_any_length_are_read_whole() {
    const HUGE: usize = 2 << 20;
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut bytes: Vec<u8> = (0..2 * HUGE + 5).map(|_| rng.random()).collect();
    bytes[..4].copy_from_slice(b"CVIM");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for length in [0, 1, 3, 4, 4095, HUGE - 1, HUGE, HUGE + 1, 2 * HUGE, 2 * HUGE + 5] {
        bytes[8..12].copy_from_slice(&(length as u32).to_le_bytes());
        std::fs::write(&path, &bytes[..length]).unwrap();
        let buffer = Buffer::read(&path).unwrap();
        assert!(buffer[..] == bytes[..length], "{length}");
        assert!(buffer.clone()[..] == bytes[..length] && Buffer::copy_of(&bytes[..length])[..] == bytes[..length]);
        assert_eq!(buffer.as_ptr().align_offset(4), 0);
    }
    assert_eq!(Buffer::read(folder.path().join("none")).unwrap_err().kind(), std::io::ErrorKind::NotFound);

    let mut large = spec();
    large.dense[0] = DenseSpec { shape: [20, 60_000], weight: vec![0.25; 1_200_000], bias: vec![0.0; 60_000] };
    large.dense[1] = DenseSpec { shape: [60_000, 4], weight: vec![0.25; 240_000], bias: vec![0.0; 4] };
    std::fs::write(&path, encode(&large)).unwrap();
    let mut buffer = Buffer::read(&path).unwrap();
    assert!(buffer.len() > HUGE);
    assert_eq!(FlashModel::new(&buffer).unwrap().layers().len(), 3);
    let middle = buffer.len() / 2;
    buffer[middle] ^= 16;
    assert!(matches!(FlashModel::new(&buffer), Err(FlashError::Damaged(_))));
}

/// A sparse file of 7 TB that is no image, one that begins as one, a pipe, and a file whose length the system says is 0.
#[cfg(target_os = "linux")]
#[test]
fn a_file_is_read_for_what_it_holds_not_for_what_its_length_says() {
    let folder = tempfile::tempdir().unwrap();
    let sparse = folder.path().join("sparse");
    let image = small();
    let whole = Buffer::copy_of(&image);
    for begin in [&[][..], &image] {
        std::fs::write(&sparse, begin).unwrap();
        if std::fs::OpenOptions::new().write(true).open(&sparse).unwrap().set_len(7 << 40).is_err() {
            // This file system has no such files.
            continue;
        }
        let found = FlashModel::new(&Buffer::read(&sparse).unwrap()).unwrap_err();
        let expected = if begin.is_empty() {
            FlashError::Magic
        } else {
            FlashError::Length { stated: image.len(), found: image.len() + 1 }
        };
        assert_eq!(found, expected);
    }
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let written = std::thread::spawn({
        let (pipe, image) = (pipe.clone(), image.clone());
        move || std::fs::write(pipe, image).unwrap()
    });
    assert!(Buffer::read(&pipe).unwrap()[..] == whole[..]);
    written.join().unwrap();
    // Not an image, but not empty either.
    let of_the_system = Buffer::read("/proc/self/status").unwrap();
    assert_eq!(FlashModel::new(&of_the_system).unwrap_err(), FlashError::Magic);
}

/// Anything that a specification may say: an image that is read or refused, never a panic.
#[test]
fn a_specification_of_wrong_shapes_makes_an_image_that_is_refused() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let wrong = [0, 1, 2, 3, 5, 17, 20, 70, 1 << 20, 1 << 40, usize::MAX / 16, usize::MAX];
    let (mut read, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut spec = ModelSpec { critic: Some(critic()), ..spec() };
        for _ in 0..rng.random_range(1..3) {
            let value = wrong[rng.random_range(0..wrong.len())];
            let critic = spec.critic.as_mut().unwrap();
            match rng.random_range(0..12) {
                0 => spec.shape.channels = value,
                1 => spec.shape.width = value,
                2 => spec.convs[0].shape[rng.random_range(0..3)] = value,
                3 => spec.convs[0].stride = value,
                4 => spec.convs[0].weight.truncate(value),
                5 => spec.dense[rng.random_range(0..2)].shape[rng.random_range(0..2)] = value,
                6 => spec.dense[rng.random_range(0..2)].weight.truncate(value),
                7 => spec.dense[0].weight.extend(vec![0.5; value.min(100)]),
                8 => spec.dense[1].bias.truncate(value),
                9 => critic.dense[rng.random_range(0..3)].shape[rng.random_range(0..2)] = value,
                10 => critic.dense[rng.random_range(0..3)].weight.truncate(value),
                _ => spec.mu_c.truncate(value),
            }
        }
        let bytes = Buffer::copy_of(&encode(&spec));
        match FlashModel::new(&bytes).and_then(|model| CriticNetwork::new(&model).map(|_| ())) {
            Ok(()) => read += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(read > 100 && refused > 10_000, "{read} {refused}");
}

#[test]
fn an_engine_begins_in_place() {
    let bytes = Buffer::copy_of(&encode(&spec()));
    let mut damaged = bytes.clone();
    damaged[2000] ^= 1;
    let model = FlashModel::new(&bytes).unwrap();
    let frame = [0.5; 24];
    let (mut memory, mut scratch) = (vec![0.0; scratch_len(&model)], vec![0.0; scratch_len(&model)]);
    let (needed, found) = (memory.len(), memory.len() - 1);
    let expected = Engine::new(model, &mut memory).unwrap().assign(&frame).unwrap();
    let (mut short, mut other) = (vec![0.0; found], vec![0.0; needed]);
    let mut half = spec();
    half.dense.last_mut().unwrap().bias[0] = f32::NAN;
    let half = Buffer::copy_of(&encode(&half));

    let mut engine = Engine::empty();
    let refuses = |engine: &mut Engine<'_>| engine.assign(&frame).is_err() && engine.assign(&[]).is_err();
    assert!(refuses(&mut engine));
    assert_eq!(engine.init(&bytes, &mut short), Err(EngineError::Scratch { needed, found }));
    assert!(refuses(&mut engine));
    // Nor does a batch engine, or a self-test, take it for one.
    let none = |engine: &Engine<'_>| [&frame[..], &[]].map(|frames| Batch::from(engine).assign(frames));
    assert_eq!(none(&engine), [const { Err(FrameError::Engine) }; 2]);
    assert_eq!(none(&Engine::empty()), [const { Err(FrameError::Engine) }; 2]);
    assert_eq!((engine.model().layers().len(), engine.model().golden().frame.len()), (0, 0));
    assert_eq!(engine.self_test(), Err(EngineError::SelfTest));
    engine.init(&bytes, &mut scratch).unwrap();
    assert_eq!(engine.assign(&frame).unwrap(), expected);
    // A model that is refused leaves none behind.
    assert!(matches!(engine.init(&damaged, &mut memory), Err(EngineError::Flash(FlashError::Damaged(_)))));
    assert!(refuses(&mut engine));
    assert_eq!(none(&engine), [const { Err(FrameError::Engine) }; 2]);
    // Nor does one whose last layer makes no sense, when the rest has been read.
    assert!(matches!(engine.init(&half, &mut other), Err(EngineError::Flash(FlashError::NotFinite(_)))));
    assert_eq!((engine.model().layers().len(), engine.model().shape().len()), (0, 0));
    assert_eq!(none(&engine), [const { Err(FrameError::Engine) }; 2]);
}

#[test]
fn every_truncation_is_refused() {
    let bytes = Buffer::copy_of(&encode(&ModelSpec { critic: Some(critic()), ..spec() }));
    for length in 0..bytes.len() {
        let found = FlashModel::new(&bytes[..length]).unwrap_err();
        assert!(matches!(found, FlashError::Short { .. }), "{length}: {found}");
    }
    let longer = Buffer::copy_of(&[&bytes[..], &[0; 64]].concat());
    assert!(matches!(FlashModel::new(&longer), Err(FlashError::Length { .. })));
}

#[test]
fn every_flipped_bit_is_noticed() {
    for image in [small(), small_with_critic(), small_with_front_end(), small_with_windowing()] {
        let mut bytes = Buffer::copy_of(&image);
        assert!(FlashModel::new(&bytes).is_ok());
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(FlashModel::new(&bytes).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(FlashModel::new(&bytes).is_ok());
    }
}

#[test]
fn random_corruptions_are_noticed() {
    let good = encode(&spec());
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut bytes = Buffer::copy_of(&good);
    for _ in 0..100_000 {
        let places: Vec<usize> = (0..rng.random_range(2..40)).map(|_| rng.random_range(0..good.len())).collect();
        for &place in &places {
            bytes[place] = rng.random();
        }
        assert!(FlashModel::new(&bytes).is_err() || bytes[..] == good[..]);
        for &place in &places {
            bytes[place] = good[place];
        }
    }
}

/// Past the checksums: words of header and layer table are changed, and the checksums made to hold again.
#[test]
fn images_that_make_no_sense_are_refused_without_a_panic() {
    let good = encode(&spec());
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let sections: usize = 4 + 3;
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let values = [0, 1, 2, 3, 15, 16, 17, 255, 0xffff, 0x10_0000, 0x10_0001, 0x7fff_ffff, 0x8000_0000, u32::MAX];
    for round in 0..20_000 {
        let mut bytes = Buffer::copy_of(&good);
        for _ in 0..rng.random_range(1..4) {
            let table = word(&good, 64);
            let at = match round % 3 {
                0 => 4 * rng.random_range(2..15),
                1 => 64 + 4 * rng.random_range(0..sections * 4),
                _ => table + 4 * rng.random_range(0..24),
            };
            let value = if rng.random() { values[rng.random_range(0..values.len())] } else { rng.random_range(0..100) };
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        repair(&mut bytes);
        // Some changes (a threshold, a ReLU) make another whole model: that one must run.
        if let Ok(model) = FlashModel::new(&bytes) {
            let mut scratch = vec![0.0; scratch_len(&model)];
            let frame = vec![0.5; model.shape().len()];
            let _ = Engine::new(model, &mut scratch).unwrap().assign(&frame);
        }
    }
}

#[test]
fn what_is_not_finite_or_misaligned_or_of_another_kind_is_named() {
    let refused = |spec: &ModelSpec| FlashModel::new(&Buffer::copy_of(&encode(spec))).unwrap_err();
    let mut bad = spec();
    bad.dense[0].weight[3] = 1e6;
    assert!(matches!(refused(&bad), FlashError::NotFinite(_)));
    let mut bad = spec();
    bad.golden_novelty = f32::NAN;
    assert!(matches!(refused(&bad), FlashError::NotFinite(_)));
    let weighted = |log: Vec<f32>| refused(&ModelSpec { log_weights: Some(log), ..spec() });
    assert!(matches!(weighted(vec![0.0, f32::NAN, 0.0]), FlashError::NotFinite(_)));
    let wrong = FlashError::Inconsistent("a section has another length than its shape asks for");
    assert_eq!(weighted(vec![0.0; 2]), wrong);
    for temperature in [0.0, -1.0, f32::NAN] {
        let mut bad = spec();
        bad.calibration.temperature = temperature;
        assert_eq!(refused(&bad), FlashError::Inconsistent("the head does not fit its shape"));
    }
    let mut bad = spec();
    bad.dense[1].shape = [70, 5];
    bad.dense[1].weight = vec![0.0; 350];
    bad.dense[1].bias = vec![0.0; 5];
    assert_eq!(refused(&bad), FlashError::Inconsistent("the last layer does not give what the head takes"));
    let bytes = Buffer::copy_of(&[&[0][..], &encode(&spec())].concat());
    assert_eq!(FlashModel::new(&bytes[1..]).unwrap_err(), FlashError::Misaligned);
    let mut other = Buffer::copy_of(&encode(&spec()));
    other[4] = 1;
    assert_eq!(FlashModel::new(&other).unwrap_err(), FlashError::Version { found: 1 });
    other[0] = b'X';
    assert_eq!(FlashModel::new(&other).unwrap_err(), FlashError::Magic);
}

#[test]
fn an_image_says_how_windows_are_cut() {
    for (hop, rate) in [(1, None), (2, Some(50.0)), (12, Some(0.1)), (u32::MAX as usize, Some(1e6))] {
        let windowing = Windowing::new(WINDOW, hop, rate);
        assert_eq!(windowing.map(|windowing| (windowing.hop(), windowing.rate())), Some((hop, rate)));
        let bytes = Buffer::copy_of(&encode(&of_windows(windowing)));
        assert_eq!(FlashModel::new(&bytes).unwrap().windowing(), windowing);
    }
    // Images without are those that there were before.
    assert_eq!(encode(&of_windows(None)), small());
    assert_eq!(FlashModel::new(&Buffer::copy_of(&small())).unwrap().windowing(), None);
    let image = FrameShape { height: 2, ..WINDOW };
    for (shape, hop, rate) in
        [(WINDOW, 0, None), (WINDOW, 1 << 32, None), (image, 1, None), (WINDOW, 1, Some(0.0)), (WINDOW, 1, Some(-1.0))]
    {
        assert_eq!(Windowing::new(shape, hop, rate), None);
    }
    assert_eq!(Windowing::new(WINDOW, 1, Some(f32::NAN)).or(Windowing::new(WINDOW, 1, Some(f32::INFINITY))), None);
}

/// Past the checksum: hop and rate that are none, a section of another length, and a flag too many or too few.
#[test]
fn a_windowing_that_makes_no_sense_is_refused() {
    let good = small_with_windowing();
    let refused = |change: &dyn Fn(&mut [u8])| {
        let mut bytes = good.clone();
        change(&mut bytes);
        repair(&mut bytes);
        FlashModel::new(&Buffer::copy_of(&bytes)).err()
    };
    assert_eq!(refused(&|_| ()), None);
    // After layers, head, values, golden and one layer.
    let entry = 64 + 16 * 5;
    let section = u32::from_le_bytes(good[entry..entry + 4].try_into().unwrap()) as usize;
    let wrong = Some(FlashError::Inconsistent("hop and rate are none of windows of such frames"));
    let zero = Some(FlashError::Inconsistent("padding is not 0"));
    let put = |at: usize, value: u32| {
        refused(&move |bytes: &mut [u8]| bytes[at..at + 4].copy_from_slice(&value.to_le_bytes()))
    };
    assert_eq!(put(section, 0), wrong);
    for rate in [f32::NAN, f32::INFINITY, -50.0, -0.0] {
        assert_eq!(put(section + 4, rate.to_bits()), wrong, "{rate}");
    }
    assert_eq!(put(section + 4, 0), None);
    assert_eq!(put(section + 8, 1), zero);
    let length = Some(FlashError::Inconsistent("a section has another length than its shape asks for"));
    assert_eq!(put(entry + 4, 12), length);
    assert!(put(entry + 4, 0).is_some());
    // Frames of three rows are no windows.
    assert_eq!(refused(&|bytes| (bytes[16], bytes[20]) = (3, 1)), wrong);
    for flags in [0, 2, 6, 8, 12] {
        assert!(put(32, flags).is_some(), "{flags}");
    }
}

/// The page that people read first gives the sizes of the files beside it.
#[test]
fn the_readme_gives_the_sizes_of_the_shipped_model() {
    let folder = std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let root = ["..", "../..", "../trust"].map(|up| folder.join(up));
    let root = root.iter().find(|root| root.join("models/digits.cvi").exists()).unwrap();
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    for (file, words) in [("digits.onnx", "One ONNX file (KB KB"), ("digits.cvi", "(KB KB, its critic included)")] {
        let size = std::fs::metadata(root.join("models").join(file)).unwrap().len();
        let words = words.replacen("KB", &(size as f64 / 1000.0).round().to_string(), 1);
        assert!(readme.contains(&words), "{file} has {size} bytes: {words}");
    }
}
