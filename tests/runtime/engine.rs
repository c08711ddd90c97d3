//! The runtime on its own: the head against closed forms, and the shipped model.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use std::path::PathBuf;

use runtime::image::{Buffer, Image};
use runtime::{Calibration, Engine, FrameError, Head, HeadError, MAX_CLUSTERS, Precision, check_frame, native};

/// Two clusters in two dimensions, by hand.
#[test]
fn head_gives_responsibilities_and_novelty_of_the_mixture() {
    let (mu_c, log_var_c) = ([0.0, 0.0, 3.0, -1.0], [0.0, 0.5]);
    let head = Head::new(&mu_c, &log_var_c, Calibration::threshold(5.0)).unwrap();
    assert_eq!((head.clusters(), head.latent()), (2, 2));
    let (mu_z, log_var_z) = ([1.0f32, 0.5], [-1.0f32, -2.0]);
    let found = head.assign(&mu_z, &log_var_z, None).unwrap();

    let v: f64 = log_var_z.iter().map(|&l| f64::from(l).exp()).sum();
    let exponent = |distance: f64, log_var: f64| {
        -(2.0 * std::f64::consts::PI).ln() - log_var - (distance + v) / (2.0 * log_var.exp())
    };
    let e = [exponent(1.25, 0.0), exponent(4.0 + 2.25, 0.5)];
    let evidence = (e[0].exp() + e[1].exp()).ln();
    assert_eq!((found.cluster, found.runner_up), (0, Some(1)));
    for (c, log_q) in found.log_responsibilities.iter().enumerate() {
        assert!((f64::from(*log_q) - (e[c] - evidence)).abs() < 1e-5);
    }
    assert!((f64::from(found.novelty) - (2f64.ln() - evidence)).abs() < 1e-5);
    assert!((f64::from(found.confidence) - (e[0] - evidence).exp()).abs() < 1e-6);
    assert!(!found.is_novel);
    let far = head.assign(&[40.0, 40.0], &log_var_z, None).unwrap();
    assert!(far.is_novel && far.novelty > found.novelty);
    let sum: f32 = far.responsibilities().sum();
    assert!((sum - 1.0).abs() < 1e-5);
}

#[test]
fn a_learned_head_replaces_the_responsibilities_but_not_the_novelty() {
    let head = Head::new(&[0.0, 1.0, 2.0], &[0.0; 3], Calibration::threshold(1.0)).unwrap();
    let mixture = head.assign(&[0.1], &[0.0], None).unwrap();
    let learned = head.assign(&[0.1], &[0.0], Some(&[1.0, 3.0, 2.0])).unwrap();
    assert_eq!((learned.cluster, learned.runner_up), (1, Some(2)));
    assert_eq!(learned.novelty, mixture.novelty);
    assert!((learned.confidence - 0.665_241).abs() < 1e-5);
    assert_eq!(head.assign(&[0.1], &[0.0], Some(&[1.0])), Err(FrameError::Length { expected: 3, found: 1 }));
}

/// q(c|x) ∝ exp(e_c / T): the odds of two clusters go to the power 1/T, whoever gave them; novelty knows no T.
#[test]
fn a_temperature_makes_the_head_less_sure_and_nothing_else() {
    let (mu_c, log_var_c, logits) = ([0.0, 1.0, 2.0], [0.0, 0.3, -0.2], [1.0, 3.0, 2.0]);
    let head = |temperature| Head::new(&mu_c, &log_var_c, Calibration { novelty_threshold: 1.0, temperature }).unwrap();
    for logits in [None, Some(&logits[..])] {
        let (plain, warm) =
            (head(1.0).assign(&[0.4], &[-1.0], logits).unwrap(), head(2.5).assign(&[0.4], &[-1.0], logits).unwrap());
        let odds = |log_q: &[f32], c: usize| log_q[c] - log_q[0];
        for c in 1..3 {
            let expected = odds(&plain.log_responsibilities, c) / 2.5;
            assert!((odds(&warm.log_responsibilities, c) - expected).abs() < 1e-5);
        }
        assert!((warm.responsibilities().sum::<f32>() - 1.0).abs() < 1e-5);
        assert_eq!((warm.cluster, warm.runner_up, warm.novelty), (plain.cluster, plain.runner_up, plain.novelty));
        assert!(warm.confidence < plain.confidence);
    }
    for temperature in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-39] {
        let calibration = Calibration { novelty_threshold: 1.0, temperature };
        assert_eq!(Head::new(&mu_c, &log_var_c, calibration).err(), Some(HeadError::NotFinite));
    }
}

#[test]
fn ties_and_a_single_cluster() {
    let tie = Head::new(&[1.0, 1.0, 1.0], &[0.0; 3], Calibration::threshold(1.0))
        .unwrap()
        .assign(&[0.0], &[0.0], None)
        .unwrap();
    assert_eq!((tie.cluster, tie.runner_up), (0, Some(1)));
    let one = Head::new(&[1.0], &[0.0], Calibration::threshold(1.0)).unwrap().assign(&[0.0], &[0.0], None).unwrap();
    assert_eq!((one.cluster, one.runner_up, one.confidence), (0, None, 1.0));
}

#[test]
fn a_head_refuses_what_makes_no_mixture() {
    assert!(matches!(Head::new(&[], &[], Calibration::threshold(0.0)), Err(HeadError::Shape { .. })));
    assert!(matches!(
        Head::new(&[1.0, 2.0, 3.0], &[0.0, 0.0], Calibration::threshold(0.0)),
        Err(HeadError::Shape { .. })
    ));
    assert!(Head::new(&[0.0; MAX_CLUSTERS], &[0.0; MAX_CLUSTERS], Calibration::threshold(0.0)).is_ok());
    let many = [0.0; MAX_CLUSTERS + 1];
    assert!(matches!(Head::new(&many, &many, Calibration::threshold(0.0)), Err(HeadError::Shape { .. })));
    assert_eq!(Head::new(&[f32::NAN], &[0.0], Calibration::threshold(0.0)).err(), Some(HeadError::NotFinite));
    assert_eq!(Head::new(&[0.0], &[f32::INFINITY], Calibration::threshold(0.0)).err(), Some(HeadError::NotFinite));
    assert_eq!(Head::new(&[0.0], &[0.0], Calibration::threshold(f32::NAN)).err(), Some(HeadError::NotFinite));
}

/// Any floats at all give an assignment or an error; neither a panic nor NaN inside an assignment.
#[test]
fn no_floats_make_the_head_panic() {
    let values = [
        0.0,
        -0.0,
        1.0,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        88.7,
        -104.0,
    ];
    let head = Head::new(&[0.0, 1e30, -1.0, 2.0], &[80.0, -80.0], Calibration::threshold(1.0)).unwrap();
    for a in values {
        for b in values {
            for v in values {
                for logits in [None, Some([a, v])] {
                    if let Ok(found) = head.assign(&[a, b], &[v, a], logits.as_ref().map(|l| &l[..])) {
                        assert!(found.novelty.is_finite() && !found.confidence.is_nan());
                        assert!(found.log_responsibilities.iter().all(|v| !v.is_nan()));
                    }
                }
            }
        }
    }
}

#[test]
fn frames_are_checked() {
    assert_eq!(check_frame(&[0.0; 3], 3), Ok(()));
    assert_eq!(check_frame(&[0.0; 2], 3), Err(FrameError::Length { expected: 3, found: 2 }));
    assert_eq!(check_frame(&[0.0, 1.0, f32::NAN], 3), Err(FrameError::NotFinite { index: 2 }));
}

/// A file of models/. Asked for at run time: a test program that a build cache kept knows the folder of another clone.
fn shipped(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../models").join(name)
}

#[test]
fn the_shipped_model_labels_the_shipped_digit() {
    let model = shipped("digits.onnx");
    let image = image::open(shipped("digit.png")).unwrap().to_luma8();
    let mut engine = Engine::load(&model).unwrap();
    let shape = engine.shape();
    assert_eq!((shape.channels, shape.height, shape.width, engine.clusters()), (1, 28, 28, 10));
    let digit = engine.assign_u8(image.as_raw()).unwrap();
    assert!(digit.confidence > 0.9 && !digit.is_novel, "{digit:?}");
    // A checkerboard is no digit.
    let board: Vec<u8> = (0..784).map(|i| if (i / 28 + i % 28) % 2 == 0 { 255 } else { 0 }).collect();
    assert!(engine.assign_u8(&board).unwrap().is_novel);
    // Neither is noise; a multiplicative generator is random enough.
    let mut state = 1u32;
    for _ in 0..20 {
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(784)
        .collect();
        assert!(engine.assign_u8(&noise).unwrap().is_novel);
    }
    for precision in [Precision::F16, Precision::Fused] {
        let mut other = Engine::load_with(&model, precision).unwrap();
        assert_eq!(other.assign_u8(image.as_raw()).unwrap().cluster, digit.cluster);
    }
    // The flash image is the same model.
    let bytes = Buffer::read(shipped("digits.cvi")).unwrap();
    let image_of_model = Image::new(&bytes).unwrap();
    // As the README declares it.
    let mut scratch = native::Scratch::<8037>::new();
    assert_eq!(native::scratch_len(&image_of_model), 8037);
    let mut small = native::Engine::new(image_of_model, &mut scratch.0).unwrap();
    small.self_test().unwrap();
    let found = small.assign_u8(image.as_raw()).unwrap();
    assert_eq!(found.cluster, digit.cluster);
    assert!((found.confidence - digit.confidence).abs() < 2e-3 && (found.novelty - digit.novelty).abs() < 0.1);
    // It must fit beside a program in 1 MB of flash.
    assert!(std::fs::metadata(&model).unwrap().len() < 700_000);
}

/// Otherwise `fused` would be tract's own arithmetic under another name.
#[test]
fn the_fused_engine_runs_all_layers_of_the_shipped_model_on_the_kernels() {
    let engine = Engine::load_with(shipped("digits.onnx"), Precision::Fused).unwrap();
    assert_eq!(engine.operators().filter(|name| name == "FusedLayer").count(), 5);
    assert!(!engine.operators().any(|name| ["EinSum", "Conv", "OptMatMul"].contains(&name.as_str())));
}
