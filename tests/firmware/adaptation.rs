//! The mixture that follows the frames: against closed forms, and what it is worth on digits that drift.
#![expect(clippy::unwrap_used, reason = "a failure in a helper is the test's own message")]

use firmware_sim::adapt::AdaptError;
use firmware_sim::host::digits::Digits;
use firmware_sim::host::drift_trial::{TrialArgs, trials};
use firmware_sim::{AdaptSettings, Adaptation, SampleLoop, Settings};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::flash::{Aligned, FlashModel};
use runtime::native::{Engine, Latent, Scratch};
use runtime::{Calibration, Head, HeadError};

static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!("../../models/digits.cvi"));

const K: usize = 3;
const D: usize = 2;
const MEANS: [f32; K * D] = [0.0, 0.0, 3.0, 0.0, 0.0, 4.0];
const LOG_VARS: [f32; K] = [0.0, -0.5, 0.7];

fn head() -> Head<'static> {
    Head::new(&MEANS, &LOG_VARS, Calibration::threshold(20.0)).unwrap()
}

fn latent<'a>(mu: &'a [f32; D], log_var: &'a [f32; D]) -> Latent<'a> {
    Latent { mu, log_var, logits: None, is_outside: false }
}

/// Nothing is clipped or gated.
fn free() -> AdaptSettings {
    AdaptSettings { memory: 50.0, mean_prior: 5.0, weight_prior: 4.0, confidence: 0.0, step: 1e6, reach: 1e6 }
}

/// log p(c) + E_q log p(z|c) by E3, f64.
fn exponents(mu: &[f32], log_var: &[f32], means: &[f64], weights: &[f64]) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    let variance: f64 = log_var.iter().map(|v| f64::from(*v).exp()).sum();
    let exponent = |c: usize| {
        let var = f64::from(LOG_VARS[c]).exp();
        let distance: f64 = (0..D).map(|d| (f64::from(mu[d]) - means[c * D + d]).powi(2)).sum();
        let constant = -0.5 * D as f64 * (2.0 * std::f64::consts::PI * var).ln();
        (weights[c] / total).ln() + constant - 0.5 * (distance + variance) / var
    };
    (0..K).map(exponent).collect()
}

fn log_sum_exp(values: &[f64]) -> f64 {
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    max + values.iter().map(|v| (v - max).exp()).sum::<f64>().ln()
}

#[test]
fn equal_weights_and_the_same_means_are_the_same_head() {
    let (plain, again) = (head(), head().with_mixture(&MEANS, &[0.1; K]).unwrap());
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for _ in 0..1000 {
        let mu = [0; D].map(|_| rng.random_range(-5.0..5.0));
        let log_var = [0; D].map(|_| rng.random_range(-4.0..1.0));
        assert_eq!(plain.assign(&mu, &log_var, None), again.assign(&mu, &log_var, None));
    }
}

#[test]
fn a_head_with_weights_is_the_mixture_with_weights() {
    let weights = [0.7, 2.0, 0.05];
    let means = [0.5, -1.0, 2.0, 1.0, 0.0, 3.0];
    let weighted = head().with_mixture(&means, &weights).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..1000 {
        let mu = [0; D].map(|_| rng.random_range(-4.0f32..4.0));
        let log_var = [0; D].map(|_| rng.random_range(-4.0f32..1.0));
        let found = weighted.assign(&mu, &log_var, None).unwrap();
        let expected = exponents(&mu, &log_var, &means.map(f64::from), &weights.map(f64::from));
        let evidence = log_sum_exp(&expected);
        assert!((f64::from(found.novelty) + evidence).abs() < 1e-4);
        for (log_q, exponent) in found.log_responsibilities.iter().zip(&expected) {
            assert!((f64::from(*log_q) - (exponent - evidence)).abs() < 1e-4);
        }
        // The novelty is that of frames, whatever head gives q(c|x).
        let logits = [0.3, 0.1, -0.2];
        let learned = weighted.assign(&mu, &log_var, Some(&logits)).unwrap();
        assert_eq!((learned.novelty, learned.cluster), (found.novelty, 0));
    }
}

/// A head whose p(c) is learned: what it is then given is a factor of p(c), which stays a distribution.
#[test]
fn weights_are_factors_of_the_shares_that_a_head_has() {
    let shares = [1.8f32, 0.9, 0.3];
    let log_shares = shares.map(f32::ln);
    let learned = Head::weighted(&MEANS, &LOG_VARS, &log_shares, Calibration::threshold(20.0)).unwrap();
    assert!(learned.shares().zip(shares).all(|(found, share)| (found - share).abs() < 1e-5));
    assert!(head().shares().all(|share| share == 1.0));
    let factors = [2.0, 0.5, 4.0];
    let both: Vec<f64> = shares.iter().zip(factors).map(|(share, factor)| f64::from(share * factor)).collect();
    let found = learned.with_mixture(&MEANS, &factors).unwrap().assign(&[1.0, 2.0], &[-1.0, -2.0], None).unwrap();
    let expected = exponents(&[1.0, 2.0], &[-1.0, -2.0], &MEANS.map(f64::from), &both);
    assert!((f64::from(found.novelty) + log_sum_exp(&expected)).abs() < 1e-4);
}

/// Frames whose shares are those of training leave learned weights where they are.
#[test]
fn learned_shares_are_counted_once() {
    let shares = [2.85f32, 0.075, 0.075];
    let trained = Head::weighted(&MEANS, &LOG_VARS, &shares.map(f32::ln), Calibration::threshold(20.0)).unwrap();
    let mut memory = [0.0; 2 * K * (D + 1)];
    let mut adaptation = Adaptation::new(trained, AdaptSettings { memory: 1000.0, ..free() }, &mut memory).unwrap();
    for n in 0..10_000 {
        let c = if n % 20 == 0 { 1 + n / 20 % 2 } else { 0 };
        adaptation.assign(&latent(&[MEANS[c * D], MEANS[c * D + 1]], &[-5.0; D])).unwrap();
    }
    let found: Vec<f32> = adaptation.head().unwrap().shares().collect();
    assert!((found.iter().sum::<f32>() - K as f32).abs() < 1e-3, "{found:?}");
    // Clusters overlap, so one may take a part of another's frames; counted twice, the shares of the rare would be 0.002.
    assert!(found.iter().zip(shares).all(|(found, share)| (found / share - 1.0).abs() < 0.5), "{found:?}");
}

#[test]
fn parameters_that_are_no_mixture_are_refused() {
    let refused = |means: &[f32], weights: &[f32]| head().with_mixture(means, weights).unwrap_err();
    assert_eq!(refused(&MEANS[..4], &[1.0; K]), HeadError::Shape { means: 4, clusters: 3 });
    assert_eq!(refused(&MEANS, &[1.0; 2]), HeadError::Shape { means: 6, clusters: 2 });
    for weight in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert_eq!(refused(&MEANS, &[1.0, weight, 1.0]), HeadError::NotFinite);
    }
    assert_eq!(refused(&[f32::NAN; K * D], &[1.0; K]), HeadError::NotFinite);
}

/// m `[D]` and q(c|x) `[K]` of a frame.
type Taught = ([f32; D], Vec<f64>);

#[test]
fn a_step_is_the_map_step_of_section_5_2_2() {
    let settings = free();
    let mut memory = [0.0; 2 * K * (D + 1)];
    let mut adaptation = Adaptation::new(head(), settings, &mut memory).unwrap();
    let keep = 1.0 - 1.0 / f64::from(settings.memory);
    let (mut means, mut weights) = (MEANS.map(f64::from), [1.0; K]);
    let mut frames: Vec<Taught> = Vec::new();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for _ in 0..300 {
        let mu = [0; D].map(|_| rng.random_range(-2.0f32..5.0));
        let log_var = [-2.0, -3.0];
        let found = adaptation.assign(&latent(&mu, &log_var)).unwrap();
        let exponents = exponents(&mu, &log_var, &means, &weights);
        let evidence = log_sum_exp(&exponents);
        let r: Vec<f64> = exponents.iter().map(|e| (e - evidence).exp()).collect();
        for (log_q, r) in found.log_responsibilities.iter().zip(&r) {
            assert!((f64::from(log_q.exp()) - r).abs() < 2e-3, "{} {r}", log_q.exp());
        }
        // From all frames so far, weighted by their age: no running sums.
        frames.push((mu, r));
        for c in 0..K {
            let aged = |value: &dyn Fn(&Taught) -> f64| -> f64 {
                frames.iter().rev().enumerate().map(|(age, frame)| keep.powi(age as i32) * value(frame)).sum()
            };
            let count = aged(&|(_, r)| r[c]);
            weights[c] = f64::from(settings.weight_prior) + count;
            for d in 0..D {
                let kappa = f64::from(settings.mean_prior);
                let sum = aged(&|(mu, r)| r[c] * f64::from(mu[d]));
                means[c * D + d] = (kappa * f64::from(MEANS[c * D + d]) + sum) / (kappa + count);
            }
        }
    }
    let found = adaptation.head().unwrap();
    for (found, expected) in found.means().iter().zip(means) {
        assert!((f64::from(*found) - expected).abs() < 5e-3, "{found} {expected}");
    }
    assert!(adaptation.distance() > 0.1);
    adaptation.revert();
    assert_eq!((adaptation.head().unwrap().means(), adaptation.distance()), (&MEANS[..], 0.0));
}

#[test]
fn a_mean_moves_no_further_than_it_may() {
    let settings = AdaptSettings { step: 0.1, reach: 0.5, mean_prior: 0.01, ..free() };
    let mut memory = [0.0; 2 * K * (D + 1)];
    let mut adaptation = Adaptation::new(head(), settings, &mut memory).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut before = MEANS.to_vec();
    let mut farthest: f32 = 0.0;
    for _ in 0..2000 {
        let mu = [0; D].map(|_| rng.random_range(-6.0..6.0));
        let _ = adaptation.assign(&latent(&mu, &[-3.0; D]));
        let now = adaptation.head().unwrap().means().to_vec();
        for ((now, before), log_var) in now.chunks(D).zip(before.chunks(D)).zip(LOG_VARS) {
            let moved = (now[0] - before[0]).hypot(now[1] - before[1]);
            assert!(moved <= 0.1 * (0.5 * log_var).exp() * 1.001, "{moved}");
        }
        before = now;
        assert!(adaptation.distance() <= 0.5 * 1.001);
        farthest = farthest.max(adaptation.distance());
    }
    assert!(farthest > 0.49);
}

#[test]
fn novel_unsure_and_refused_frames_teach_nothing() {
    let unsure = AdaptSettings { confidence: 0.9, ..free() };
    let mut memory = [0.0; 2 * K * (D + 1)];
    let mut adaptation = Adaptation::new(head(), unsure, &mut memory).unwrap();
    let far = [1e3, -1e3];
    assert!(adaptation.assign(&latent(&far, &[0.0; D])).unwrap().is_novel);
    let between = adaptation.assign(&latent(&[1.6, 0.0], &[-5.0; D])).unwrap();
    assert!(between.confidence < 0.9 && !between.is_novel);
    for broken in [f32::NAN, f32::INFINITY, f32::MAX] {
        assert!(adaptation.assign(&latent(&[broken, 0.0], &[0.0; D])).is_err());
    }
    assert_eq!(adaptation.head().unwrap().means(), MEANS);
    assert_eq!(adaptation.distance(), 0.0);
    assert!(adaptation.assign(&latent(&[0.3, 0.1], &[-5.0; D])).unwrap().confidence > 0.9);
    assert!(adaptation.distance() > 0.0);
}

#[test]
fn without_frames_of_a_cluster_its_mean_goes_back() {
    let mut memory = [0.0; 2 * K * (D + 1)];
    let mut adaptation = Adaptation::new(head(), free(), &mut memory).unwrap();
    for _ in 0..200 {
        adaptation.assign(&latent(&[4.0, 0.5], &[-5.0; D])).unwrap();
    }
    let moved = adaptation.head().unwrap().means()[2];
    assert!(moved > 3.7, "{moved}");
    for _ in 0..400 {
        adaptation.assign(&latent(&[0.0, 4.0], &[-5.0; D])).unwrap();
    }
    let back = adaptation.head().unwrap().means()[2];
    assert!((back - 3.0).abs() < 0.02, "{back}");
}

#[test]
fn settings_out_of_range_and_too_little_memory_are_refused() {
    let good = free();
    let cases = [
        ("memory", AdaptSettings { memory: 0.5, ..good }),
        ("memory", AdaptSettings { memory: f32::INFINITY, ..good }),
        ("mean_prior", AdaptSettings { mean_prior: 0.0, ..good }),
        ("weight_prior", AdaptSettings { weight_prior: f32::NAN, ..good }),
        ("confidence", AdaptSettings { confidence: 1.5, ..good }),
        ("step", AdaptSettings { step: -1.0, ..good }),
        ("reach", AdaptSettings { reach: f32::NAN, ..good }),
    ];
    let needed = Adaptation::memory_len(&head());
    let mut memory = vec![0.0; needed];
    for (name, settings) in cases {
        let refused = Adaptation::new(head(), settings, &mut memory).unwrap_err();
        assert_eq!(refused, AdaptError::Setting(name));
    }
    let short = Adaptation::new(head(), good, &mut memory[1..]).unwrap_err();
    assert_eq!(short, AdaptError::Memory { needed, found: needed - 1 });
}

#[test]
fn the_loop_adapts_only_if_asked_to_and_reverts() {
    let image = FlashModel::new(&MODEL.0).unwrap();
    let trained = image.head().clone();
    let mut memory = vec![0.0; Adaptation::memory_len(&trained)];
    let mut other = vec![0.0; Adaptation::memory_len(&head())];
    let mut scratch = [(); 3].map(|()| Scratch::<9616>::new());
    let [first, second, third] = &mut scratch;
    let engine = |scratch| Engine::new(FlashModel::new(&MODEL.0).unwrap(), scratch).unwrap();
    let mut fixed = SampleLoop::new(engine(&mut first.0), Settings::default()).unwrap();
    let mut follows = SampleLoop::new(engine(&mut second.0), Settings::default())
        .unwrap()
        .with_adaptation(Adaptation::new(trained, AdaptSettings::default(), &mut memory).unwrap())
        .unwrap();
    // Nor does it follow another model's mixture.
    let refused = SampleLoop::new(engine(&mut third.0), Settings::default())
        .unwrap()
        .with_adaptation(Adaptation::new(head(), AdaptSettings::default(), &mut other).unwrap());
    assert_eq!(refused.err(), Some(AdaptError::OtherModel));
    let digits = Digits::embedded().unwrap();
    let mut differ = 0;
    for index in 0..500 {
        fixed.step(0, digits.image(index));
        follows.step(0, digits.image(index));
        differ += usize::from(fixed.last() != follows.last());
    }
    assert!(differ > 400, "{differ}");
    follows.adaptation_mut().unwrap().revert();
    fixed.step(0, digits.image(0));
    follows.step(0, digits.image(0));
    assert_eq!(fixed.last(), follows.last());
    assert!(fixed.adaptation().is_none());
}

#[test]
fn without_drift_it_costs_little_and_with_a_brighter_background_it_is_worth_much() {
    let table = trials(&MODEL.0, &TrialArgs { frames: 8000, streams: 1 }, 3).unwrap();
    let gain = |name: &str| {
        let trial = table.0.iter().find(|trial| trial.drift == name).unwrap();
        trial.adapted[0] - trial.trained[0]
    };
    assert!(gain("none") > -0.2, "{}", gain("none"));
    assert!(gain("background") > 3.0, "{}", gain("background"));
    let worst = ["contrast", "slant", "mix"].map(gain).into_iter().fold(0.0, f64::min);
    assert!(worst > -1.0, "{worst}");
}
