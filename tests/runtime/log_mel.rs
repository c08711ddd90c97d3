//! The front end of sound beside its definition, and in a flash image.

#[path = "../common/repair.rs"]
mod repair;

use std::f64::consts::{PI, TAU};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use repair::repair;
use runtime::flash::{Buffer, ConvSpec, CriticSpec, DenseSpec, FlashError, FlashModel, ModelSpec, encode};
use runtime::native::{Batch, Critic, Engine, critic_scratch_len, scratch_len};
use runtime::{Calibration, Feature, FrameShape, FrontEndSpec, LogMelSpec, Measure, SpectralSpec, Steps};

fn floats(rng: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.random::<f32>() - 0.5).collect()
}

/// A front end with constants that are not alike.
fn spec(shape: FrameShape, length: usize, steps: Steps, edges: &[u32]) -> LogMelSpec {
    let channels = shape.len() / shape.width;
    let constants = (0..channels).flat_map(|c| [0.1 - 0.2 * c as f32, 1.7 + 0.2 * c as f32, 0.001 * (1 + c) as f32]);
    let window = SpectralSpec::hann(length);
    LogMelSpec { shape, steps, window, constants: constants.collect(), edges: edges.to_vec() }
}

/// The picture by its definition, in f64.
fn by_definition(spec: &LogMelSpec, frame: &[f32]) -> Vec<f64> {
    let (n, Steps { hop, count, pooled, .. }) = (spec.window.len(), spec.steps);
    let hann: Vec<f64> = (0..n).map(|i| (PI * (i as f64 + 0.5) / n as f64).sin().powi(2)).collect();
    let squares: f64 = hann.iter().map(|h| h * h).sum();
    let mut picture = Vec::new();
    for (samples, constants) in frame.chunks_exact(spec.shape.width).zip(spec.constants.chunks_exact(3)) {
        let [centre, factor, floor] = [0, 1, 2].map(|i| f64::from(constants[i]));
        let power = |spectrum: usize, line: u32| {
            let sum = |part: fn(f64) -> f64| {
                let y = |i: usize| (f64::from(samples[spectrum * hop + i]) - centre) * factor;
                (0..n).map(|i| hann[i] * y(i) * part(TAU * f64::from(line) * i as f64 / n as f64)).sum::<f64>()
            };
            (sum(f64::cos).powi(2) + sum(f64::sin).powi(2)) / squares
        };
        for ends in spec.edges.windows(3).map(|ends| [0, 1, 2].map(|i| f64::from(ends[i]))) {
            let weight = |line: u32| {
                let line = f64::from(line);
                ((line - ends[0]) / (ends[1] - ends[0])).min((ends[2] - line) / (ends[2] - ends[1])).max(0.0)
            };
            let lines = 0..n as u32 / 2;
            let all: f64 = lines.clone().map(weight).sum();
            for step in 0..count {
                let spectra = step * pooled..(step + 1) * pooled;
                let of = |f: usize| {
                    let under = lines.clone().filter(|line| weight(*line) > 0.0);
                    under.map(|line| weight(line) * power(f, line)).sum::<f64>() / all
                };
                picture.push((spectra.map(of).sum::<f64>() / pooled as f64 + floor).ln());
            }
        }
    }
    picture
}

#[test]
fn pictures_are_as_they_are_defined() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let steps = |hop, count, pooled| Steps { hop, count, pooled, rate: 8000.0 };
    for (channels, height, width, length, steps, edges) in [
        (1, 1, 16, 16, steps(1, 1, 1), vec![0, 1, 8]),
        (1, 1, 600, 64, steps(20, 9, 3), vec![0, 1, 2, 5, 11, 32]),
        (2, 1, 1000, 128, steps(100, 4, 2), vec![3, 4, 9, 30, 64]),
        // Spectra that do not meet, and samples after the last.
        (1, 3, 700, 32, steps(75, 8, 1), vec![1, 5, 6, 16]),
        (1, 1, 4000, 2048, steps(163, 4, 3), vec![0, 200, 1024]),
    ] {
        let spec = spec(FrameShape { channels, height, width }, length, steps, &edges);
        let front_end = spec.front_end().unwrap();
        let rows = channels * height * (edges.len() - 2);
        assert_eq!(front_end.shape(), FrameShape { channels: 1, height: rows, width: steps.count });
        // Noise over a tone that leaks, loud and nearly silent.
        for scale in [1.0, 1e-2] {
            let tone = |n: usize| (0.37 * n as f32).sin() * 3.0 * scale;
            let frame: Vec<f32> =
                (0..spec.shape.len()).map(|n| tone(n) + scale * (rng.random::<f32>() - 0.3)).collect();
            let found = FrontEndSpec::LogMel(spec.clone()).features(&frame).unwrap();
            let expected = by_definition(&spec, &frame);
            assert_eq!(found.len(), expected.len());
            for (at, (a, b)) in found.iter().zip(expected).enumerate() {
                assert!((f64::from(*a) - b).abs() < 1e-4, "{width}, value {at}: {a} {b}");
            }
        }
    }
}

/// White noise has the same power in every band, whatever the length of spectra.
#[test]
fn noise_is_even() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let frame: Vec<f32> = (0..200_000).map(|_| (rng.random::<f32>() - 0.5) * 12f32.sqrt()).collect();
    for length in [64, 512] {
        let shape = FrameShape { channels: 1, height: 1, width: frame.len() };
        let steps = Steps { hop: 100, count: 1, pooled: 1900, rate: 16e3 };
        let mut spec = spec(shape, length, steps, &[0, 2, 5, 13, 32]);
        spec.constants = vec![0.0, 1.0, 1e-6];
        let found = FrontEndSpec::LogMel(spec).features(&frame).unwrap();
        assert!(found.iter().all(|log_power| log_power.abs() < 0.06), "{length}: {found:?}");
    }
}

#[test]
fn values_have_names() {
    let steps = Steps { hop: 80, count: 5, pooled: 2, rate: 8000.0 };
    let spec = spec(FrameShape { channels: 2, height: 1, width: 1000 }, 128, steps, &[0, 2, 4, 9, 64]);
    let front_end = spec.front_end().unwrap();
    assert_eq!(front_end.feature(0).unwrap().to_string(), "channel 1, 62 to 188 Hz, 0.00 to 0.03 s");
    let ends = |at: usize| match front_end.feature(at).unwrap().measure {
        Measure::Sound { from, to, begin, end } => [from, to, begin, end],
        other => panic!("{other:?}"),
    };
    // Of a band all steps, then the next band, which begins where the one below ends.
    assert_eq!(ends(4)[..2], ends(0)[..2]);
    assert!((ends(4)[2] - 0.08).abs() < 1e-6 && (ends(4)[3] - 0.106).abs() < 1e-6);
    assert_eq!(ends(5)[0], ends(0)[1]);
    assert!(matches!(front_end.feature(15), Some(Feature { channel: 1, .. })));
    assert_eq!(front_end.feature(30), None);
}

#[test]
fn numbers_that_fit_nothing_are_refused() {
    let steps = Steps { hop: 10, count: 4, pooled: 2, rate: 8000.0 };
    let good = spec(FrameShape { channels: 2, height: 1, width: 102 }, 32, steps, &[0, 2, 5, 16]);
    assert!(good.front_end().is_some());
    let changes: [fn(&mut LogMelSpec); 20] = [
        |s| s.shape.width = 101,
        |s| s.shape.width = 0,
        |s| s.shape.height = 2,
        |s| s.shape.channels = 3,
        |s| s.steps.hop = 0,
        |s| s.steps.hop = 11,
        |s| s.steps.hop = usize::MAX,
        |s| s.steps.count = 0,
        |s| s.steps.count = usize::MAX,
        |s| s.steps.pooled = 0,
        |s| s.steps.pooled = 3,
        |s| s.steps.rate = f32::NAN,
        |s| s.steps.rate = 0.0,
        |s| s.window.truncate(31),
        |s| s.window[3] = f32::NAN,
        |s| s.constants[2] = 0.0,
        |s| s.constants[5] = -1.0,
        |s| s.edges[1] = s.edges[2],
        |s| s.edges[3] = 17,
        |s| s.edges.truncate(2),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut spec = good.clone();
        change(&mut spec);
        assert!(spec.front_end().is_none(), "change {index}");
    }
    // Memory that is too short, and a frame that is.
    let front_end = good.front_end().unwrap();
    let (mut picture, mut work) = ([0.0; 16], [0.0; 64]);
    assert_eq!((front_end.shape().len(), front_end.work()), (16, 64));
    assert!(front_end.apply([0.5; 204], &mut picture, &mut work));
    assert!(!front_end.apply([0.5; 203], &mut picture, &mut work));
    assert!(!front_end.apply([0.5; 204], &mut picture[1..], &mut work));
    assert!(!front_end.apply([0.5; 204], &mut picture, &mut work[1..]));
    // No sample goes unnoticed, seen by a spectrum or not.
    let hops = Steps { hop: 40, count: 2, pooled: 1, rate: 8000.0 };
    let sparse = spec(FrameShape { channels: 1, height: 1, width: 90 }, 32, hops, &[0, 2, 16]);
    let front_end = sparse.front_end().unwrap();
    for at in [0, 35, 45, 80, 89] {
        let mut frame = [0.1; 90];
        assert!(front_end.apply(frame, &mut picture, &mut work) && picture[..2].iter().all(|v| v.is_finite()));
        for value in [f32::INFINITY, f32::NAN] {
            frame[at] = value;
            assert!(front_end.apply(frame, &mut picture, &mut work));
            assert!(picture[..2].iter().any(|v| !v.is_finite()), "{at}");
        }
    }
}

/// A stereo window of 400 samples, a picture of 8 rows and 6 steps, a convolution, two dense layers, K = 3, D = 2, a critic.
fn model() -> ModelSpec {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let shape = FrameShape { channels: 2, height: 1, width: 400 };
    let steps = Steps { hop: 30, count: 6, pooled: 2, rate: 8000.0 };
    let mut dense = |inputs, outputs| DenseSpec {
        shape: [inputs, outputs],
        weight: floats(&mut rng, inputs * outputs),
        bias: floats(&mut rng, outputs),
    };
    let critic = CriticSpec {
        dense: [dense(2, 3), dense(3, 4), dense(4, 12)],
        bias: vec![0.1; 48],
        local: floats(&mut ChaCha8Rng::seed_from_u64(6), 9),
        side: 3,
        factor: 2,
        bernoulli: false,
        sharpness: 0.5,
    };
    let layers = vec![dense(4 * 4 * 3, 10), dense(10, 4)];
    ModelSpec {
        shape,
        front_end: Some(FrontEndSpec::LogMel(spec(shape, 64, steps, &[0, 1, 4, 9, 20, 32]))),
        scaling: Some([vec![-2.0; 48], vec![0.5; 48]]),
        range: Some([vec![-9.0, -9.0], vec![9.0, 9.0]]),
        windowing: None,
        convs: vec![ConvSpec { shape: [4, 1, 3], stride: 2, weight: floats(&mut rng, 36), bias: floats(&mut rng, 4) }],
        dense: layers,
        learned_head: false,
        log_var_range: [-8.0, 4.0],
        mu_c: floats(&mut rng, 6),
        log_var_c: floats(&mut rng, 3),
        log_weights: None,
        calibration: Calibration { novelty_threshold: 7.5, temperature: 1.25 },
        golden_frame: floats(&mut rng, 800),
        golden_log_responsibilities: vec![-1.0, -1.1, -1.2],
        golden_novelty: 2.5,
        critic: Some(critic),
        decoder: None,
    }
}

/// The same model for who makes the pictures.
fn of_pictures(spec: &ModelSpec) -> ModelSpec {
    let shape = FrameShape { channels: 1, height: 8, width: 6 };
    ModelSpec { shape, front_end: None, range: None, golden_frame: vec![0.0; 48], ..spec.clone() }
}

#[test]
fn an_image_of_sound_is_one_of_its_pictures() {
    let (spec, inner) = (model(), of_pictures(&model()));
    let bytes = [&spec, &inner].map(|spec| Buffer::copy_of(&encode(spec)));
    let [image, inner] = bytes.each_ref().map(|bytes| FlashModel::new(bytes).unwrap());
    assert_eq!((image.shape(), image.input_shape()), (spec.shape, inner.shape()));
    let mut memory = [&image, &inner].map(|image| vec![f32::NAN; scratch_len(image)]);
    let networks = [&image, &inner].map(|image| runtime::flash::CriticNetwork::new(image).unwrap().unwrap());
    let mut critics = networks.map(|network| vec![f32::NAN; critic_scratch_len(&network)]);
    let ([a, b], [c, d]) = (&mut memory, &mut critics);
    let (mut critic, mut inner_critic) = (Critic::new(&image, c).unwrap(), Critic::new(&inner, d).unwrap());
    let (mut engine, mut by_pictures) = (Engine::new(image, a).unwrap(), Engine::new(inner, b).unwrap());
    let frames = floats(&mut ChaCha8Rng::seed_from_u64(9), 800 * 50);
    let pictures = spec.front_end.as_ref().unwrap().features(&frames).unwrap();
    let many = Batch::from(&engine).assign(&frames).unwrap();
    for (n, (frame, picture)) in frames.chunks_exact(800).zip(pictures.chunks_exact(48)).enumerate() {
        let found = engine.assign(frame).unwrap();
        assert_eq!(found, by_pictures.assign(picture).unwrap());
        assert_eq!(found.cluster, many[n].cluster);
        let mut trusts = [[0.0; 48]; 2];
        engine.explain(&mut critic, frame, &mut trusts[0]).unwrap();
        by_pictures.explain(&mut inner_critic, picture, &mut trusts[1]).unwrap();
        assert_eq!(trusts[0], trusts[1]);
    }
}

/// Sections that are whole and make no sense.
#[test]
fn a_section_that_does_not_fit_is_refused() {
    let good = encode(&model());
    // After layers, head, values, golden and three layers.
    let entry = 64 + 16 * 7;
    let word = |at: usize| u32::from_le_bytes(good[at..at + 4].try_into().unwrap());
    let section = word(entry) as usize;
    let header: Vec<u32> = (0..7).map(|at| word(section + 4 * at)).collect();
    assert_eq!(header, [3, 64, 4, 30, 6, 2, 8000f32.to_bits()]);
    let (constants, edges) = (section + 64 + 64 * 4, section + 64 + 64 * 4 + 6 * 4);
    let changes: [(usize, u32); 18] = [
        (section, 1),
        (section, 2),
        (section, 4),
        (section + 4, 32),
        (section + 4, u32::MAX),
        (section + 8, 3),
        (section + 8, u32::MAX),
        (section + 12, 0),
        (section + 12, 31),
        (section + 16, 7),
        (section + 16, u32::MAX),
        (section + 20, 0),
        (section + 20, u32::MAX),
        (section + 24, 0),
        (section + 28, 1),
        (constants, f32::NAN.to_bits()),
        (constants + 8, 0),
        (edges + 4, 0),
    ];
    for (at, value) in changes {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        assert!(matches!(FlashModel::new(&Buffer::copy_of(&bytes)), Err(FlashError::Damaged(_))));
        repair(&mut bytes);
        let refused = FlashModel::new(&Buffer::copy_of(&bytes)).err();
        assert!(
            matches!(refused, Some(FlashError::Inconsistent(_) | FlashError::NotFinite(_))),
            "{at} {value}: {refused:?}"
        );
    }
}
