//! What is fitted to held-out frames: the temperature of q(c|x), the weight of the dispersion.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/mod.rs"]
mod common;

use std::ops::ControlFlow;

use burn::tensor::Device;
use common::{IMAGE, patterns, small};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use trainer::config::Weights;
use trainer::data::Frames;
use trainer::fit::{Event, Halves, dispersion_weight, fit, temperature};
use trainer::fitted::Fitted;

const K: usize = 4;

/// Rows of log q, and clusters drawn from softmax(log q / truth).
fn drawn(truth: f64, frames: usize) -> (Vec<f32>, Vec<usize>) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let log_q: Vec<f32> = (0..frames * K).map(|_| -10.0 * rng.random::<f32>()).collect();
    let draw = |row: &[f32]| {
        let weights: Vec<f64> = row.iter().map(|v| (f64::from(*v) / truth).exp()).collect();
        let mut left = rng.random::<f64>() * weights.iter().sum::<f64>();
        let passed = |weight: &f64| {
            left -= weight;
            left < 0.0
        };
        weights.iter().position(passed).unwrap_or(K - 1)
    };
    let clusters = log_q.chunks_exact(K).map(draw).collect();
    (log_q, clusters)
}

#[test]
fn the_temperature_that_made_the_clusters_is_found() {
    for truth in [1.5, 3.0] {
        let (log_q, clusters) = drawn(truth, 40_000);
        let found = temperature(&log_q, &clusters);
        // Four standard errors of the estimate at 40,000 draws.
        assert!((found / truth - 1.0).abs() < 0.03, "{found} for {truth}");
        // A constant of a row is nothing.
        let shifted: Vec<f32> = log_q.iter().enumerate().map(|(at, v)| v + (at / K % 7) as f32).collect();
        assert!((temperature(&shifted, &clusters) / found - 1.0).abs() < 1e-4);
    }
}

/// Of a grid, none has a lower mean of -log q.
#[test]
fn the_temperature_minimises_the_negative_log_likelihood() {
    let (log_q, clusters) = drawn(2.0, 500);
    let loss = |t: f64| -> f64 {
        let of = |(row, &c): (&[f32], &usize)| {
            let sum: f64 = row.iter().map(|v| (f64::from(*v) / t).exp()).sum();
            sum.ln() - f64::from(row[c]) / t
        };
        log_q.chunks_exact(K).zip(&clusters).map(of).sum()
    };
    let least = loss(temperature(&log_q, &clusters));
    assert!((100..2000).all(|t| loss(f64::from(t) / 100.0) >= least - 1e-9));
}

#[test]
fn it_stays_in_its_range() {
    let sure = [0.0, -9.0, -9.0, 0.0];
    assert!((temperature(&sure, &[0, 1]) - 1.0).abs() < 1e-6);
    assert!((temperature(&sure, &[1, 0]) - 20.0).abs() < 1e-6);
}

/// A model of these frames, and what models of their halves say of it.
fn with_halves(frames: &Frames, clusters: usize, most: usize) -> (Fitted, Option<Halves>) {
    let mut config = small();
    config.clusters = clusters.into();
    config.confidence.halves = most;
    // Learned shares would leave the clusters empty that are one too many.
    config.mixture.weights = Weights::Uniform;
    let (mut said, mut steps) = (None, [0, 0]);
    let fitted = fit(&config.check(IMAGE).unwrap(), frames, &Device::flex(), None, &mut |event| {
        match event {
            Event::Half { half, done, .. } => steps[half % 2] += usize::from(done > 0),
            Event::Witnessed(halves) => said = Some(halves.clone()),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    // Each half of each of four splits has a training of its own: both stages and the mixture between them.
    let expected = if said.is_some() { [4 * 101, 4 * 101] } else { [0, 0] };
    assert_eq!(steps, expected);
    (fitted.unwrap().unwrap(), said)
}

/// With more clusters than there are patterns, which of these is cut in two is an accident of the frames, and only models
/// of other frames tell.
#[test]
fn no_answer_is_surer_than_models_of_other_frames_allow() {
    let frames = patterns(400, IMAGE, 1);
    let (fitted, said) = with_halves(&frames, 5, 400);
    let said = said.unwrap();
    assert!(said.models == 8 && said.temperature > 1.1 && said.agree < 0.95, "{said:?}");
    assert!(fitted.calibration.temperature >= said.temperature as f32, "{said:?}");
    // They say how sure it may be and change nothing else; where nobody asks, they are not made.
    let (alone, none) = with_halves(&frames, 5, 0);
    assert!(none.is_none() && alone.calibration.temperature < fitted.calibration.temperature);
    assert_eq!(alone.calibration.novelty_threshold, fitted.calibration.novelty_threshold);

    let (_, said) = with_halves(&frames, 3, 400);
    assert!(said.as_ref().is_some_and(|said| said.agree > 0.99 && said.temperature < 1.05), "{said:?}");
}

/// The ratio of interquartile ranges, which a frame in a hundred does not move, however odd; no weight without a range.
#[test]
fn the_dispersion_weighs_as_much_as_the_latent() {
    let latent: Vec<f32> = (0..400).map(|n| 3.0 * n as f32).collect();
    let dispersion: Vec<f32> = (0..400).rev().map(|n| 0.5 * n as f32).collect();
    assert_eq!(dispersion_weight(&latent, &dispersion), 6.0);
    let mut odd = dispersion.clone();
    odd[..4].fill(1e9);
    assert!((dispersion_weight(&latent, &odd) / 6.0 - 1.0).abs() < 0.02);
    assert_eq!(dispersion_weight(&latent, &[0.25; 400]), 0.0);
    assert_eq!((dispersion_weight(&[1.0], &[2.0]), dispersion_weight(&[], &[])), (0.0, 0.0));
}
