//! What quality is measured with, against known values: statistics, curves, planted changes, the model as exported.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/tiny.rs"]
mod tiny;

use burn::tensor::Device;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use tiny::{SHAPE, close, frames, random, scaling, tensor};
use trainer::data::{Frames, Source};
use trainer::eval::auroc;
use trainer::explain::explain;
use trainer::fitted::{Fitted, to_host};
use trainer::frame::FrameShape;
use trainer::model::Likelihood;
use trainer::quality::statistics::{mean_interval, ranks, spearman};
use trainer::quality::{Bar, Row, as_exported, curves, gate, occluder, order, sobel, stroke, table};
use trainer::{Error, eval};

/// What `decoder.onnx` with f16 weights says of latents and clusters.
fn decoded_by_tract(model: &Fitted, z: &[f32], clusters: &[i64]) -> Vec<f32> {
    use tract_onnx::prelude::*;
    let bytes = trainer::export::encode_decoder(model, trainer::export::Precision::F16).unwrap();
    let n = clusters.len();
    let graph = onnx().model_for_read(&mut &bytes[..]).unwrap();
    let graph = graph.with_input_fact(0, f32::fact([n, z.len() / n]).into()).unwrap();
    let graph = graph.with_input_fact(1, i64::fact([n]).into()).unwrap();
    let plan = graph.into_optimized().unwrap().into_runnable().unwrap();
    let z = Tensor::from_shape(&[n, z.len() / n], z).unwrap();
    let clusters = Tensor::from_shape(&[n], clusters).unwrap();
    let outputs = plan.run(tvec!(z.into(), clusters.into())).unwrap();
    outputs[0].to_plain_array_view::<f32>().unwrap().iter().copied().collect()
}

#[test]
fn the_exported_weights_are_those_of_the_exported_files() {
    let data = frames(30);
    for (likelihood, scaling) in [(Likelihood::Bernoulli, None), (Likelihood::Gaussian, Some(scaling()))] {
        let mut model = random(likelihood, scaling);
        // Normalisation that is not the identity.
        for block in &mut model.model.encoder.convs {
            block.norm.gamma = block.norm.gamma.clone().map(|g| g * 1.7);
            block.norm.running_mean.update(tensor(vec![0.3; 4], [4]));
        }
        let rounded = as_exported(&model).unwrap();
        let predicted = eval::predict(&rounded, &data, &Device::flex()).unwrap();
        let bytes = trainer::export::encode(&model, trainer::export::Precision::F16).unwrap();
        let mut engine = runtime::Engine::from_bytes(&bytes, runtime::Precision::F32).unwrap();
        let assigned = eval::Predictions::from(&engine.assign_batch(&data.values).unwrap()[..]);
        let (_, difference) = predicted.agreement(&assigned);
        assert!(difference < 2e-6, "{likelihood:?}: {difference}");
        let unrounded = eval::predict(&model, &data, &Device::flex()).unwrap().agreement(&assigned).1;
        assert!(unrounded > 10.0 * difference, "rounding must show: {unrounded} {difference}");
        let prepared = rounded.prepare(&data).unwrap().all().unwrap();
        let at = rounded.model.encoder.forward(tensor(prepared.values, [30, SHAPE.len()]));
        let explained = explain(&rounded, &data, &Device::flex()).unwrap();
        let clusters: Vec<i64> = explained.iter().map(|e| e.cluster as i64).collect();
        let decoded = decoded_by_tract(&model, &to_host(at.mu_z).unwrap(), &clusters);
        for (a, b) in explained.iter().flat_map(|e| &e.reconstruction).zip(decoded) {
            close((*a).into(), b.into(), 2e-6, "reconstruction");
        }
    }
}

#[test]
fn statistics_have_their_known_values() {
    assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
    assert_eq!(spearman(&[1.0, 2.0, 3.0], &[10.0, 20.0, 90.0]), 1.0);
    assert_eq!(spearman(&[1.0, 2.0, 3.0], &[5.0, 4.0, -1.0]), -1.0);
    assert_eq!(spearman(&[1.0, 2.0], &[7.0, 7.0]), 0.0);
    // scipy.stats.spearmanr([1, 2, 2, 4, 5], [2, 1, 3, 3, 5])
    close(spearman(&[1.0, 2.0, 2.0, 4.0, 5.0], &[2.0, 1.0, 3.0, 3.0, 5.0]), 0.763_157_894_736_842, 1e-12, "spearman");
    assert_eq!(auroc(&[0.1, 0.9, 0.8, 0.2], &[false, true, true, false]), Some(1.0));
    assert_eq!(auroc(&[0.9, 0.1], &[false, true]), Some(0.0));
    // Of the four pairs two are won, one is tied, one is lost.
    assert_eq!(auroc(&[0.5, 0.8, 0.5, 0.2], &[true, false, false, true]), Some(0.125));
    assert_eq!(auroc(&[0.5, 0.8], &[true, true]), None);
    let (mean, [low, high]) = mean_interval(&[1.0, 2.0, 3.0, 4.0]);
    let half = 1.959_964 * (5.0f64 / 3.0 / 4.0).sqrt();
    close(mean, 2.5, 1e-12, "mean");
    close(low, 2.5 - half, 1e-12, "low");
    close(high, 2.5 + half, 1e-12, "high");
    assert_eq!(mean_interval(&[1.0]).1, [f64::NEG_INFINITY, f64::INFINITY]);
}

#[test]
fn the_interval_holds_the_mean_nineteen_times_in_twenty() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut draw = || (0..200).map(|_| rng.sample::<f64, _>(StandardNormal) + 3.0).collect::<Vec<f64>>();
    let held = (0..1000).filter(|_| {
        let (_, [low, high]) = mean_interval(&draw());
        low < 3.0 && 3.0 < high
    });
    let held = held.count();
    assert!((930..=970).contains(&held), "{held}");
}

#[test]
fn rows_say_what_is_met_and_what_is_missed() {
    let rows = [
        Row::new("a", Bar::Below(1.0), 0.5),
        Row::new("b", Bar::Below(1.0), 1.0),
        Row::new("c", Bar::AtLeast(1.0), 1.0),
        Row::new("d", Bar::AtLeast(1.0), f64::NAN),
        Row::mean("e", Bar::IntervalAbove(0.0), &[1.0, 1.1, 0.9]),
        Row::mean("f", Bar::IntervalAbove(0.0), &[-1.0, 1.1, 0.9]),
        Row::new("g", Bar::IntervalAbove(0.0), 5.0),
    ];
    assert_eq!(rows.each_ref().map(|row| row.met), [true, false, true, false, true, false, false]);
    let text = table(&rows);
    assert!(
        text.contains("| a | < 1 | 0.5000 |  | met |") && text.contains("| d | >= 1 | NaN |  | MISSED |"),
        "{text}"
    );
    match gate(&rows) {
        Err(error @ Error::Quality { .. }) => {
            assert_eq!(error.exit_code(), 6);
            assert_eq!(error.to_string(), "quality: 4 of 7 bars missed: b; d; f; g");
        }
        other => panic!("{other:?}"),
    }
    gate(&rows[..1]).unwrap();
}

#[test]
fn curves_begin_and_end_where_they_must() {
    let model = random(Likelihood::Bernoulli, None);
    let data = frames(10);
    let device = Device::flex();
    let clusters = eval::predict(&model, &data, &device).unwrap().clusters;
    let ties: Vec<usize> = (0..SHAPE.len()).rev().collect();
    let orders = vec![order(&vec![0.0; SHAPE.len()], &ties); 10];
    assert_eq!(orders[0], ties, "equal scores keep the order they are given");
    assert_eq!(order(&[0.0, 2.0, 1.0], &[0, 1, 2]), [1, 2, 0]);
    // Where the baseline is the frame itself, nothing changes: the area is q.
    let same = curves(&model, &data, &orders, &data.values, &clusters, &device).unwrap();
    let q = eval::predict(&model, &data, &device).unwrap().log_responsibilities;
    for n in 0..10 {
        let q = f64::from(q[n * 3 + clusters[n]]).exp();
        close(same.deletion[n], q, 1e-6, "deletion");
        close(same.insertion[n], q, 1e-6, "insertion");
    }
    // Taking away in one order is bringing the baseline in, in the same order.
    let baseline = vec![0.5; data.values.len()];
    let there = curves(&model, &data, &orders, &baseline, &clusters, &device).unwrap();
    let swapped = Frames { values: baseline, ..data.clone() };
    let back = curves(&model, &swapped, &orders, &data.values, &clusters, &device).unwrap();
    assert_eq!((there.deletion, there.insertion), (back.insertion, back.deletion));
}

#[test]
fn sobel_is_the_gradient() {
    let shape = FrameShape { channels: 1, height: 4, width: 5 };
    // A ramp of 3 a column: the operator weighs 8 times the slope; at the border half of it is seen.
    let ramp: Vec<f32> = (0..20).map(|i| (i % 5) as f32 * 3.0).collect();
    let found = sobel(&ramp, shape);
    assert_eq!(found[6..9], [24.0; 3]);
    assert_eq!(found[5], 12.0);
    let steps: Vec<f32> = (0..20).map(|i| (i / 5) as f32).collect();
    assert_eq!(sobel(&steps, shape)[5..10], [8.0; 5]);
}

#[test]
fn plants_change_what_they_say_they_change() {
    let shape = FrameShape { channels: 1, height: 28, width: 28 };
    let frame: Vec<f32> = (0..784).map(|i| if i % 28 < 8 { 1.0 } else { 0.0 }).collect();
    for seed in 0..50 {
        for plant in [stroke, occluder] {
            let done = plant(&frame, shape, [0.0, 1.0], &mut ChaCha8Rng::seed_from_u64(seed));
            for ((new, old), truth) in done.values.iter().zip(&frame).zip(&done.truth) {
                assert_eq!((new - old).abs() > 0.25, *truth);
            }
        }
        let line = stroke(&[0.0; 784], shape, [0.0, 1.0], &mut ChaCha8Rng::seed_from_u64(seed));
        let marked = line.truth.iter().filter(|t| **t).count();
        assert!((12..=60).contains(&marked), "{marked}");
        let square = occluder(&[0.0; 784], shape, [0.0, 1.0], &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(square.truth.iter().filter(|t| **t).count(), 49);
        assert_eq!(square.values.iter().filter(|v| **v == 0.5).count(), 49);
    }
    // A row of values gets a run of them.
    let row = FrameShape { channels: 1, height: 1, width: 64 };
    let run = stroke(&[0.0; 64], row, [-1.0, 1.0], &mut ChaCha8Rng::seed_from_u64(0));
    assert!(run.truth.iter().filter(|t| **t).count() >= 12);
}
