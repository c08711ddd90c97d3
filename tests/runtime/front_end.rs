//! The front end beside a spectrum by its definition, and in a flash image.

#[path = "../common/repair.rs"]
mod repair;

use std::f64::consts::TAU;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use repair::repair;
use runtime::flash::{Buffer, CriticNetwork, CriticSpec, DecoderModel, DecoderSpec, DenseSpec, FlashError, FlashModel};
use runtime::flash::{ModelSpec, encode};
use runtime::native::{Batch, Critic, DecoderEngine, Engine, critic_scratch_len, decoder_scratch_len, scratch_len};
use runtime::{
    Calibration, Dispersion, Feature, FrameError, FrameShape, FrontEndSpec, Measure, Spectral, SpectralSpec, Windowing,
};

fn floats(rng: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.random::<f32>() - 0.5).collect()
}

/// A front end with constants that are not alike.
fn spec(shape: FrameShape, bands: usize) -> SpectralSpec {
    let channels = shape.len() / shape.width;
    let length = shape.width.next_power_of_two().max(16);
    let constants = (0..channels).flat_map(|c| [0.5 - c as f32, 0.7 + 0.2 * c as f32, 0.003 * (1 + c) as f32]);
    SpectralSpec {
        shape,
        length,
        window: SpectralSpec::hann(shape.width),
        constants: constants.collect(),
        edges: SpectralSpec::bands(length, bands),
    }
}

/// The features by their definition, in f64.
fn by_definition(spec: &SpectralSpec, frame: &[f32]) -> Vec<f64> {
    let width = spec.shape.width;
    let mut features = Vec::new();
    for (samples, constants) in frame.chunks_exact(width).zip(spec.constants.chunks_exact(3)) {
        let [centre, factor, floor] = [0, 1, 2].map(|i| f64::from(constants[i]));
        let y: Vec<f64> = samples.iter().map(|x| (f64::from(*x) - centre) * factor).collect();
        let mean = y.iter().sum::<f64>() / width as f64;
        let variance = y.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / width as f64;
        let hann = |n: usize| (std::f64::consts::PI * (n as f64 + 0.5) / width as f64).sin().powi(2);
        let squares: f64 = (0..width).map(|n| hann(n).powi(2)).sum();
        let power = |line: u32| {
            let sum = |part: fn(f64) -> f64| {
                let angle = |n: usize| TAU * f64::from(line) * n as f64 / spec.length as f64;
                y.iter().enumerate().map(|(n, y)| (y - mean) * hann(n) * part(angle(n))).sum::<f64>()
            };
            (sum(f64::cos).powi(2) + sum(f64::sin).powi(2)) / squares
        };
        features.extend([mean, 0.5 * (variance + floor).ln()]);
        for ends in spec.edges.windows(2) {
            let band = (ends[0]..ends[1]).map(power).sum::<f64>() / f64::from(ends[1] - ends[0]);
            features.push((band + floor).ln() - (variance + floor).ln());
        }
    }
    features
}

#[test]
fn features_are_as_they_are_defined() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (channels, height, width, bands) in
        [(1, 1, 16, 7), (2, 1, 17, 3), (1, 3, 100, 8), (6, 1, 100, 8), (1, 1, 128, 63), (1, 1, 700, 5), (1, 1, 2048, 9)]
    {
        let spec = spec(FrameShape { channels, height, width }, bands);
        let front_end = spec.front_end().unwrap();
        assert_eq!(front_end.shape().len(), channels * height * (2 + bands));
        // Noise, a tone that leaks, and silence but for a little noise.
        for scale in [1.0, 1e-3] {
            let tone = |n: usize| (0.37 * n as f32).sin() * 3.0 * scale;
            let frame: Vec<f32> =
                (0..spec.shape.len()).map(|n| tone(n) + scale * (rng.random::<f32>() - 0.3)).collect();
            let found = FrontEndSpec::Spectral(spec.clone()).features(&frame).unwrap();
            for (at, (a, b)) in found.iter().zip(by_definition(&spec, &frame)).enumerate() {
                assert!((f64::from(*a) - b).abs() < 1e-4, "{width}, feature {at}: {a} {b}");
            }
        }
        // A constant window lies still: no spread, and even shares.
        let still = FrontEndSpec::Spectral(spec.clone()).features(&vec![0.25; spec.shape.len()]).unwrap();
        for (features, constants) in still.chunks_exact(2 + bands).zip(spec.constants.chunks_exact(3)) {
            assert!((features[1] - 0.5 * constants[2].ln()).abs() < 1e-4, "{features:?}");
            assert!(features[2..].iter().all(|share| share.abs() < 1e-4), "{features:?}");
        }
    }
}

#[test]
fn bands_hold_every_line_once_and_no_band_is_empty() {
    for length in [16, 32, 128, 2048] {
        for count in 1..20 {
            let edges = SpectralSpec::bands(length, count);
            assert_eq!((edges[0], edges[edges.len() - 1]), (1, length as u32 / 2));
            assert_eq!(edges.len() - 1, count.min(length / 2 - 1));
            assert!(edges.is_sorted_by(|a, b| a < b), "{edges:?}");
        }
    }
}

#[test]
fn features_have_names() {
    let spec = spec(FrameShape { channels: 2, height: 1, width: 100 }, 8);
    let front_end = spec.front_end().unwrap();
    let names: Vec<String> = (0..4).map(|at| front_end.feature(at).unwrap().to_string()).collect();
    assert_eq!(names[..2], ["channel 1, mean", "channel 1, log deviation"]);
    assert_eq!(names[2], "channel 1, 0.004 to 0.012 cycles a sample");
    assert_eq!(front_end.feature(10), Some(Feature { channel: 1, measure: Measure::Mean }));
    // Nothing lies between two bands, and nothing of the spectrum past the last but half a line.
    for at in 2..9 {
        let ends = |at| match front_end.feature(at).unwrap().measure {
            Measure::Band { from, to } => [from, to],
            other => panic!("{other:?}"),
        };
        assert_eq!(ends(at)[1], ends(at + 1)[0]);
        assert!(ends(9)[1] <= 0.5);
    }
    assert_eq!(front_end.feature(20), None);
}

#[test]
fn numbers_that_make_no_front_end_are_refused() {
    let good = spec(FrameShape { channels: 2, height: 1, width: 20 }, 4);
    assert!(good.front_end().is_some());
    type Change = fn(&mut SpectralSpec);
    let changes: [Change; 17] = [
        |s| s.length = 16,
        |s| s.length = 33,
        |s| s.length = 4096,
        |s| s.length = 0,
        |s| s.shape.height = 2,
        |s| s.shape.width = 19,
        |s| s.shape.width = 0,
        |s| s.shape.channels = 3,
        |s| s.window[3] = f32::NAN,
        |s| s.constants[0] = f32::INFINITY,
        |s| s.constants[2] = 0.0,
        |s| s.constants[5] = -1.0,
        |s| s.edges[0] = 0,
        |s| s.edges[1] = s.edges[2],
        |s| s.edges[4] = 17,
        |s| s.edges.truncate(1),
        |s| s.edges.clear(),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut spec = good.clone();
        change(&mut spec);
        assert!(spec.front_end().is_none(), "change {index}");
    }
    // Memory that is too short, and a frame that is.
    let front_end: Spectral<'_> = good.front_end().unwrap();
    let (mut features, mut work) = ([0.0; 12], [0.0; 32]);
    assert!(front_end.apply([0.5; 40], &mut features, &mut work));
    assert!(!front_end.apply([0.5; 39], &mut features, &mut work));
    assert!(!front_end.apply([0.5; 40], &mut features[1..], &mut work));
    assert!(!front_end.apply([0.5; 40], &mut features, &mut work[1..]));
    for value in [f32::MAX, f32::MIN, f32::INFINITY, f32::NAN] {
        assert!(front_end.apply([value; 40], &mut features, &mut work));
    }
}

/// Two channels of 20 samples, 12 features, two dense layers, K = 3, D = 2, a critic and, if asked for, a decoder.
fn model(decoder: bool) -> ModelSpec {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let shape = FrameShape { channels: 2, height: 1, width: 20 };
    let mut dense = |inputs, outputs| DenseSpec {
        shape: [inputs, outputs],
        weight: floats(&mut rng, inputs * outputs),
        bias: floats(&mut rng, outputs),
    };
    let critic = CriticSpec {
        dense: [dense(2, 3), dense(3, 4), dense(4, 12)],
        bias: vec![0.1; 12],
        local: vec![0.5, 0.6],
        side: 1,
        factor: 1,
        bernoulli: false,
        sharpness: 0.5,
    };
    let layers = vec![dense(12, 70), dense(70, 4)];
    let mut backwards = vec![dense(2, 5), dense(5, 12)];
    backwards[0].bias = vec![0.1; 15];
    let dispersion = Dispersion { bernoulli: false, noise: 0.4, weight: 0.3 };
    ModelSpec {
        shape,
        front_end: Some(FrontEndSpec::Spectral(spec(shape, 4))),
        scaling: Some([floats(&mut rng, 12), vec![1.5; 12]]),
        range: Some([vec![-5.0, -5.0], vec![5.0, 6.0]]),
        windowing: None,
        convs: vec![],
        dense: layers,
        learned_head: false,
        log_var_range: [-8.0, 4.0],
        mu_c: floats(&mut rng, 6),
        log_var_c: floats(&mut rng, 3),
        log_weights: None,
        calibration: Calibration { novelty_threshold: 7.5, temperature: 1.25 },
        golden_frame: floats(&mut rng, 40),
        golden_log_responsibilities: vec![-1.0, -1.1, -1.2],
        golden_novelty: 2.5,
        critic: Some(critic),
        decoder: decoder.then_some(DecoderSpec { dense: backwards, dispersion }),
    }
}

/// The same model for who makes the features.
fn of_features(spec: &ModelSpec) -> ModelSpec {
    let golden_frame = vec![0.0; 12];
    let shape = FrameShape { channels: 2, height: 1, width: 6 };
    ModelSpec { shape, front_end: None, range: None, golden_frame, ..spec.clone() }
}

/// With a front end an engine says of a window what one without says of its features.
#[test]
fn an_image_with_a_front_end_is_one_of_features() {
    let (spec, inner) = (model(false), of_features(&model(false)));
    let bytes = [&spec, &inner].map(|spec| Buffer::copy_of(&encode(spec)));
    let [image, inner] = bytes.each_ref().map(|bytes| FlashModel::new(bytes).unwrap());
    assert_eq!((image.shape(), image.input_shape()), (spec.shape, inner.shape()));
    let mut memory = [&image, &inner].map(|image| vec![f32::NAN; scratch_len(image)]);
    let networks = [&image, &inner].map(|image| CriticNetwork::new(image).unwrap().unwrap());
    let mut critics = networks.map(|network| vec![f32::NAN; critic_scratch_len(&network)]);
    let ([a, b], [c, d]) = (&mut memory, &mut critics);
    let (mut critic, mut inner_critic) = (Critic::new(&image, c).unwrap(), Critic::new(&inner, d).unwrap());
    let (mut engine, mut by_features) = (Engine::new(image, a).unwrap(), Engine::new(inner, b).unwrap());
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let frames: Vec<f32> = (0..40 * 200).map(|_| 8.0 * (rng.random::<f32>() - 0.5)).collect();
    let features = spec.front_end.as_ref().unwrap().features(&frames).unwrap();
    let many = Batch::from(&engine).assign(&frames).unwrap();
    for (n, (frame, features)) in frames.chunks_exact(40).zip(features.chunks_exact(12)).enumerate() {
        let found = engine.assign(frame).unwrap();
        assert_eq!(found, by_features.assign(features).unwrap());
        assert_eq!(found.cluster, many[n].cluster);
        assert!((found.novelty - many[n].novelty).abs() < 1e-4 * (1.0 + found.novelty.abs()));
        let mut trusts = [[0.0; 12]; 2];
        engine.explain(&mut critic, frame, &mut trusts[0]).unwrap();
        by_features.explain(&mut inner_critic, features, &mut trusts[1]).unwrap();
        assert_eq!(trusts[0], trusts[1]);
        assert!(trusts[0].iter().all(|trust| (0.0..=1.0).contains(trust)));
    }
    let bytes: [u8; 40] = core::array::from_fn(|n| (n * 37 % 256) as u8);
    assert_eq!(engine.assign_u8(&bytes), engine.assign(&bytes.map(|byte| f32::from(byte) / 255.0)));
    // The range is that of samples.
    assert!(!engine.assign(&frames[..40]).unwrap().is_outside);
    assert!(engine.assign(&[1e5; 40]).unwrap().is_outside);
    assert!(matches!(engine.assign(&[f32::MAX, f32::MIN].repeat(20)), Err(FrameError::Overflow)));
    let wrong = engine.explain(&mut critic, &frames[..40], &mut [0.0; 40]);
    assert_eq!(wrong, Err(FrameError::Length { expected: 12, found: 40 }));
}

#[test]
fn novelty_with_a_decoder_counts_features() {
    let (spec, inner) = (model(true), of_features(&model(true)));
    let bytes = [&spec, &inner].map(|spec| Buffer::copy_of(&encode(spec)));
    let [image, inner] = bytes.each_ref().map(|bytes| DecoderModel::new(bytes).unwrap());
    assert_eq!(image.input_shape(), inner.shape());
    let mut memory = [&image, &inner].map(|image| vec![f32::NAN; decoder_scratch_len(image)]);
    let [a, b] = &mut memory;
    let (mut engine, mut by_features) = (DecoderEngine::new(image, a).unwrap(), DecoderEngine::new(inner, b).unwrap());
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    let frames: Vec<f32> = (0..40 * 50).map(|_| 8.0 * (rng.random::<f32>() - 0.5)).collect();
    let features = spec.front_end.as_ref().unwrap().features(&frames).unwrap();
    for (frame, features) in frames.chunks_exact(40).zip(features.chunks_exact(12)) {
        let (found, expected) = (engine.assign(frame).unwrap(), by_features.assign(features).unwrap());
        assert_eq!(found.log_responsibilities, expected.log_responsibilities);
        assert!(
            (found.novelty - expected.novelty).abs() < 1e-4 * (1.0 + expected.novelty.abs()),
            "{found:?} {expected:?}"
        );
    }
}

/// How windows are cut stands between the front end and what is optional after it, and changes no answer.
#[test]
fn how_windows_are_cut_changes_no_answer() {
    let windowing = Windowing::new(model(false).shape, 5, None);
    let specs = [model(false), ModelSpec { windowing, ..model(false) }];
    let bytes = specs.map(|spec| Buffer::copy_of(&encode(&spec)));
    let frame: Vec<f32> = (0..40).map(|n| (n as f32 * 0.4).sin()).collect();
    let [before, after] = bytes.each_ref().map(|bytes| {
        let image = FlashModel::new(bytes).unwrap();
        let found = image.windowing();
        let network = CriticNetwork::new(&image).unwrap().unwrap();
        let (mut memory, mut of_critic) = (vec![0.0; scratch_len(&image)], vec![0.0; critic_scratch_len(&network)]);
        let (mut critic, mut trust) = (Critic::new(&image, &mut of_critic).unwrap(), [0.0; 12]);
        let mut engine = Engine::new(image, &mut memory).unwrap();
        engine.explain(&mut critic, &frame, &mut trust).unwrap();
        (found, engine.assign(&frame).unwrap(), trust)
    });
    assert_eq!((before.0, after.0), (None, windowing));
    assert_eq!((before.1, before.2), (after.1, after.2));
    let specs = [model(true), ModelSpec { windowing, ..model(true) }];
    let bytes = specs.map(|spec| Buffer::copy_of(&encode(&spec)));
    let [before, after] = bytes.each_ref().map(|bytes| {
        let image = DecoderModel::new(bytes).unwrap();
        assert!(image.critic().unwrap().is_some());
        let (found, mut memory) = (image.windowing(), vec![0.0; decoder_scratch_len(&image)]);
        (found, DecoderEngine::new(image, &mut memory).unwrap().assign(&frame).unwrap())
    });
    assert_eq!((before.0, after.0), (None, windowing));
    assert_eq!(before.1, after.1);
}

/// Sections that are whole and make no sense.
#[test]
fn a_front_end_that_does_not_fit_is_refused() {
    let good = encode(&model(false));
    // After layers, head, values, golden and two layers.
    let entry = 64 + 16 * 6;
    let word = |at: usize| u32::from_le_bytes(good[at..at + 4].try_into().unwrap()) as usize;
    let section = word(entry);
    assert_eq!(good[section..section + 12], [1, 0, 0, 0, 32, 0, 0, 0, 4, 0, 0, 0]);
    let (constants, edges) = (section + 64 + 20 * 4, section + 64 + 20 * 4 + 6 * 4);
    let changes: [(usize, u32); 11] = [
        (section, 0),
        (section, 2),
        (section + 4, 16),
        (section + 4, 48),
        (section + 4, u32::MAX),
        (section + 8, 3),
        (section + 8, u32::MAX),
        (section + 12, 1),
        (constants, f32::NAN.to_bits()),
        (constants + 8, 0),
        (edges + 4, 1),
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
    // Without its flag the section is one too many, and with it there must be one.
    for (spec, flag) in [(model(false), 1), (of_features(&model(false)), 3)] {
        let mut bytes = encode(&spec);
        bytes[32] = flag;
        repair(&mut bytes);
        assert!(FlashModel::new(&Buffer::copy_of(&bytes)).is_err());
    }
}
