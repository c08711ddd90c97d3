//! The maps against closed forms, and the statistics of their quality against known values.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use runtime::Calibration;
use trainer::config::Config;
use trainer::critic::expectation::{Expectation, nodes};
use trainer::critic::{Map, explain, explain_between, heatmap, trust};
use trainer::data::scaling::Scaling;
use trainer::data::{FrameKind, FrameShape, Frames};
use trainer::elbo::optimum;
use trainer::eval::auroc;
use trainer::fit::{Fitted, to_host};
use trainer::model::{ClusterVae, Init, Likelihood, Posterior};
use trainer::quality::statistics::{mean_interval, ranks, spearman};
use trainer::quality::{Bar, Row, as_exported, curves, gate, occluder, order, sobel, stroke, table};
use trainer::{Error, eval};

const SHAPE: FrameShape = FrameShape { channels: 1, height: 6, width: 5 };

fn tensor<const R: usize>(values: Vec<f32>, shape: [usize; R]) -> Tensor<R> {
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// A model with random weights, its decoder's enlarged so that clusters differ.
fn random(likelihood: Likelihood, scaling: Option<Scaling>) -> Fitted {
    let device = Device::flex();
    let settings = ["clusters=3", "latent=4", "encoder.channels=[4]", "encoder.hidden=[16]", "decoder.hidden=[16]"];
    let config = Config::default().set(&settings.map(str::to_owned)).unwrap().check().unwrap();
    let mut init = Init { rng: ChaCha8Rng::seed_from_u64(5), device: &device };
    let mut model = ClusterVae::new(&config, SHAPE, likelihood, &mut init);
    model.decoder.output.weight = model.decoder.output.weight.map(|w| w * 6.0);
    model.decoder.log_noise = Param::from_tensor(tensor(vec![-1.3], [1]));
    model.prior.log_var_c = Param::from_tensor(tensor(vec![0.3, -0.4, 0.1], [3]));
    let calibration = Calibration::threshold(0.0);
    Fitted { config, model, shape: SHAPE, scaling, likelihood, calibration, data_sha256: String::new(), critic: None }
}

fn scaling() -> Scaling {
    let p = SHAPE.len();
    Scaling { shift: (0..p).map(|i| i as f32 * 0.1).collect(), factor: vec![2.0; p] }
}

fn frames(n: usize) -> Frames {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let values = (0..n * SHAPE.len()).map(|_| rng.random::<f32>()).collect();
    Frames { shape: SHAPE, values, labels: None }
}

fn close(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found - expected).abs() <= tolerance * (1.0 + expected.abs()), "{what}: {found}, expected {expected}");
}

fn posterior(mu_z: Vec<f32>, log_var_z: Vec<f32>, d: usize) -> Posterior {
    let b = mu_z.len() / d;
    let mu_z = tensor(mu_z, [b, d]);
    Posterior { features: mu_z.clone(), mu_z, log_var_z: tensor(log_var_z, [b, d]) }
}

/// The cubature gives the first two moments of q(z|x) exactly, and the third.
#[test]
fn nodes_have_the_moments_of_the_posterior() {
    let (mean, log_var) = ([0.7f32, -1.2, 0.1], [0.4f32, -2.0, 1.1]);
    let points: Vec<Vec<f32>> =
        nodes(&posterior(mean.to_vec(), log_var.to_vec(), 3)).map(|z| to_host(z).unwrap()).collect();
    assert_eq!(points.len(), 6);
    let expect = |f: &dyn Fn(&[f32]) -> f64| points.iter().map(|z| f(z)).sum::<f64>() / points.len() as f64;
    for i in 0..3 {
        let (m, v) = (f64::from(mean[i]), f64::from(log_var[i]).exp());
        close(expect(&|z| z[i].into()), m, 1e-6, "mean");
        close(expect(&|z| f64::from(z[i]).powi(3)), m.powi(3) + 3.0 * m * v, 1e-5, "third moment");
        for j in 0..3 {
            let covariance = expect(&|z| (f64::from(z[i]) - m) * (f64::from(z[j]) - f64::from(mean[j])));
            close(covariance, if i == j { v } else { 0.0 }, 1e-5, "covariance");
        }
    }
}

/// log q of the mean-field optimum from likelihoods of whole frames, which no map has seen.
fn mean_field(model: &Fitted, data: &Frames) -> (Vec<f32>, Vec<f32>) {
    let scaled = model.scale(data).unwrap();
    let x = tensor(scaled.values, [data.len(), SHAPE.len()]);
    let at = model.model.encoder.forward(x.clone());
    let alignment = model.model.alignment(&at);
    let points: Vec<Tensor<2>> = nodes(&at).collect();
    let count = points.len() as f64;
    let likelihood = points
        .into_iter()
        .map(|z| model.model.decoder.log_likelihood_all(x.clone(), z))
        .reduce(|sum, likelihood| sum + likelihood)
        .unwrap();
    let log_q = optimum::log_responsibilities(likelihood / count + alignment.clone());
    (to_host(log_q).unwrap(), to_host(alignment).unwrap())
}

#[test]
fn contrast_adds_up_to_the_log_ratio_of_the_mean_field_posterior() {
    let data = frames(7);
    for (likelihood, scaling) in [(Likelihood::Bernoulli, None), (Likelihood::Gaussian, Some(scaling()))] {
        let model = random(likelihood, scaling);
        let (log_q, alignment) = mean_field(&model, &data);
        let mut largest = 0.0f64;
        let given = [[0, 1], [1, 0], [2, 0], [0, 2], [1, 2], [2, 1], [0, 1]];
        let chosen = explain(&model, &data, &Device::flex()).unwrap();
        let between = explain_between(&model, &data, &given, &Device::flex()).unwrap();
        for (n, e) in chosen.iter().enumerate().chain(between.iter().enumerate()) {
            let of = |values: &[f32]| f64::from(values[n * 3 + e.cluster]) - f64::from(values[n * 3 + e.runner_up]);
            let sum: f64 = e.contrast.iter().map(|v| f64::from(*v)).sum();
            assert!((sum + of(&alignment) - of(&log_q)).abs() < 1e-3, "{sum} {} {}", of(&alignment), of(&log_q));
            largest = largest.max(sum.abs());
        }
        assert!(largest > 0.5, "{likelihood:?}: clusters that do not differ show nothing: {largest}");
        assert!(between.iter().zip(&given).all(|(e, pair)| [e.cluster, e.runner_up] == *pair));
    }
}

/// Against the counterpart the same holds, of the optimum for q(z|x,c₂) moved by μ_c₂ - μ_c₁.
#[test]
fn the_counterfactual_adds_up_to_the_log_ratio_of_the_moved_posterior() {
    let data = frames(6);
    let d = 4;
    for (likelihood, scaling) in [(Likelihood::Bernoulli, None), (Likelihood::Gaussian, Some(scaling()))] {
        let model = random(likelihood, scaling);
        let [mu_c, log_var_c] = [to_host(model.model.prior.mu_c.val()), to_host(model.model.prior.log_var_c.val())];
        let (mu_c, log_var_c) = (mu_c.unwrap(), log_var_c.unwrap());
        for (n, e) in explain(&model, &data, &Device::flex()).unwrap().iter().enumerate() {
            let x = tensor(model.scale(&data.select(&[n])).unwrap().values, [1, SHAPE.len()]);
            let at = model.model.encoder.forward(x.clone());
            let (m, log_v) = (to_host(at.mu_z.clone()).unwrap(), to_host(at.log_var_z.clone()).unwrap());
            let alignment = |c: usize| -> f64 {
                let distance: f64 = (0..d).map(|i| f64::from(m[i] - mu_c[e.cluster * d + i]).powi(2)).sum();
                let spread: f64 = log_v.iter().map(|v| f64::from(*v).exp()).sum();
                let log_var = f64::from(log_var_c[c]);
                -0.5 * (d as f64 * (log_var + (2.0 * std::f64::consts::PI).ln()) + (distance + spread) / log_var.exp())
            };
            // E log p(x|z,c) + E log p(z|c) with z moved to c.
            let exponent = |c: usize| -> f64 {
                let shift: Vec<f32> = (0..d).map(|i| mu_c[c * d + i] - mu_c[e.cluster * d + i]).collect();
                let likelihoods = nodes(&at).map(|z| {
                    let moved = z + tensor(shift.clone(), [1, d]);
                    f64::from(to_host(model.model.decoder.log_likelihood_all(x.clone(), moved)).unwrap()[c])
                });
                likelihoods.sum::<f64>() / (2 * d) as f64 + alignment(c)
            };
            let sum: f64 = e.counterfactual.iter().map(|v| f64::from(*v)).sum();
            let left = sum + alignment(e.cluster) - alignment(e.runner_up);
            let ratio = exponent(e.cluster) - exponent(e.runner_up);
            assert!((left - ratio).abs() < 1e-3, "{left} {ratio}");
            assert!(e.counterfactual != e.contrast);
        }
    }
}

#[test]
fn clusters_are_the_two_best_as_the_device_ranks_them() {
    let (model, data) = (random(Likelihood::Bernoulli, None), frames(20));
    let predicted = eval::predict(&model, &data, &Device::flex()).unwrap();
    for (n, e) in explain(&model, &data, &Device::flex()).unwrap().iter().enumerate() {
        assert_eq!((e.cluster, &e.log_q[..]), (predicted.clusters[n], &predicted.log_responsibilities[n * 3..][..3]));
        let third = 3 - e.cluster - e.runner_up;
        assert!(e.log_q[e.cluster] >= e.log_q[e.runner_up] && e.log_q[e.runner_up] >= e.log_q[third]);
        assert!(e.cluster != e.runner_up);
    }
}

/// Every value of every map again, in f64, from what the decoder gives at each point of z.
#[test]
fn maps_are_their_closed_forms() {
    let data = frames(4);
    for (likelihood, scaling) in [(Likelihood::Bernoulli, None), (Likelihood::Gaussian, Some(scaling()))] {
        let model = random(likelihood, scaling.clone());
        let x = model.scale(&data).unwrap().values;
        let p = SHAPE.len();
        let at = model.model.encoder.forward(tensor(x.clone(), [4, p]));
        let decoded = |z: Tensor<2>| to_host(model.model.decoder.forward_all(z)).unwrap();
        let outputs: Vec<Vec<f32>> = nodes(&at).map(decoded).collect();
        let centre = decoded(at.mu_z.clone());
        let variance = f64::from(-1.3f32).exp();
        let mean = |out: f64| if likelihood == Likelihood::Bernoulli { 1.0 / (1.0 + (-out).exp()) } else { out };
        let log_density = |x: f64, out: f64| match likelihood {
            Likelihood::Bernoulli => x * mean(out).ln() + (1.0 - x) * (1.0 - mean(out)).ln(),
            Likelihood::Gaussian => {
                -0.5 * (2.0 * std::f64::consts::PI * variance).ln() - (x - out).powi(2) / (2.0 * variance)
            }
        };
        let noise = match likelihood {
            Likelihood::Gaussian => variance,
            Likelihood::Bernoulli => {
                let centres = decoded(model.model.prior.mu_c.val());
                // The frame of cluster c at μ_c is the c-th of the c-th row.
                let of = |c: usize| centres[(c * 3 + c) * p..][..p].iter().map(|v| mean(f64::from(*v)));
                (0..3).flat_map(of).map(|m| m * (1.0 - m)).sum::<f64>() / (3 * p) as f64
            }
        };
        close(trust::noise(&model.model).unwrap().into(), noise, 1e-5, "noise");
        for (n, e) in explain(&model, &data, &Device::flex()).unwrap().iter().enumerate() {
            let mut predictives = Vec::new();
            for i in 0..p {
                let value = f64::from(x[n * p + i]);
                let out = |point: &[f32], c: usize| f64::from(point[(n * 3 + c) * p + i]);
                let expect = |c: usize, f: &dyn Fn(f64) -> f64| {
                    outputs.iter().map(|point| f(out(point, c))).sum::<f64>() / outputs.len() as f64
                };
                let error = expect(e.cluster, &|o| (value - mean(o)).powi(2));
                close(e.trust[i].into(), (-0.5 * error / noise).exp(), 2e-5, "trust");
                let [first, second] = [e.cluster, e.runner_up].map(|c| expect(c, &|o| log_density(value, o)));
                close(e.contrast[i].into(), first - second, 2e-5, "contrast");
                let z = outputs.iter().map(|point| out(point, e.cluster)).collect();
                predictives.push(Predictive::new(likelihood, value, variance, z));
                let expected = mean(out(&centre, e.cluster));
                let unit =
                    scaling.as_ref().map_or(expected, |s| expected / f64::from(s.factor[i]) + f64::from(s.shift[i]));
                close(e.reconstruction[i].into(), unit, 1e-5, "reconstruction");
            }
            let moment = |k: usize| predictives.iter().map(|v| v.moments[k]).sum::<f64>() / p as f64;
            let (centre, deviation) = (moment(0), (moment(1) - moment(0).powi(2)).sqrt());
            for (found, predictive) in e.surprise.iter().zip(&predictives) {
                close((*found).into(), (predictive.seen - centre) / deviation, 1e-4, "surprise");
            }
        }
    }
}

/// Surprise of a value, and its first two moments under the predictive: by summing over both values of a Bernoulli
/// variable, by quadrature over a Gaussian one.
struct Predictive {
    seen: f64,
    moments: [f64; 2],
}

impl Predictive {
    fn new(likelihood: Likelihood, x: f64, noise: f64, outputs: Vec<f64>) -> Self {
        let expect = |f: &dyn Fn(f64) -> f64| outputs.iter().map(|o| f(*o)).sum::<f64>() / outputs.len() as f64;
        match likelihood {
            Likelihood::Bernoulli => {
                let mean = expect(&|o| 1.0 / (1.0 + (-o).exp())).clamp(1.0 / 255.0, 1.0 - 1.0 / 255.0);
                let cost = |x: f64| -x * mean.ln() - (1.0 - x) * (1.0 - mean).ln();
                let moments = [1, 2].map(|k| mean * cost(1.0).powi(k) + (1.0 - mean) * cost(0.0).powi(k));
                Self { seen: cost(x), moments }
            }
            Likelihood::Gaussian => {
                let mean = expect(&|o| o);
                let variance = noise + expect(&|o| (o - mean).powi(2));
                let density = |u: f64| (-0.5 * u * u).exp() / (2.0 * std::f64::consts::PI).sqrt();
                let cost = |u: f64| 0.5 * (u * u + (2.0 * std::f64::consts::PI * variance).ln());
                let grid = (-4000..=4000).map(|i| f64::from(i) * 0.0025);
                let moments = [1, 2].map(|k| grid.clone().map(|u| density(u) * cost(u).powi(k) * 0.0025).sum());
                Self { seen: cost((x - mean) / variance.sqrt()), moments }
            }
        }
    }
}

/// A decoder of one pixel with weights set by hand, at a posterior that is certain.
#[test]
fn an_expectation_of_a_certain_posterior_is_the_decoder_at_its_mean() {
    let model = random(Likelihood::Bernoulli, None).model;
    let x = tensor(vec![0.25; SHAPE.len()], [1, SHAPE.len()]);
    let certain = posterior(vec![0.2, -0.1, 0.4, 0.0], vec![-60.0; 4], 4);
    let cluster = Tensor::from_data(TensorData::new(vec![1i64], [1]), &Device::flex());
    let e = Expectation::new(&model.decoder, x, nodes(&certain), cluster);
    let logits = to_host(model.decoder.forward_all(certain.mu_z)).unwrap();
    for (i, mean) in to_host(e.mean).unwrap().into_iter().enumerate() {
        let expected = 1.0 / (1.0 + (-f64::from(logits[SHAPE.len() + i])).exp());
        close(mean.into(), expected, 1e-6, "mean");
    }
}

#[test]
fn frames_out_of_reach_are_refused() {
    let model = random(Likelihood::Gaussian, Some(scaling()));
    let mut far = frames(3);
    far.values[SHAPE.len() + 2] = 3e38;
    match explain(&model, &far, &Device::flex()) {
        Err(Error::Data { problem, .. }) => assert!(problem.contains("frame 1"), "{problem}"),
        other => panic!("{other:?}"),
    }
    let other = Frames { shape: FrameShape { channels: 1, height: 5, width: 6 }, ..frames(1) };
    assert!(matches!(explain(&model, &other, &Device::flex()), Err(Error::Data { .. })));
}

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
        let at = rounded.model.encoder.forward(tensor(rounded.scale(&data).unwrap().values, [30, SHAPE.len()]));
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

#[test]
fn colours_tell_sign_and_size() {
    let middle = heatmap::colour(Map::Contrast, 0.0, [-2.0, 2.0]);
    assert_eq!(middle, [247; 3]);
    let (against, favour) =
        (heatmap::colour(Map::Contrast, -2.0, [-2.0, 2.0]), heatmap::colour(Map::Contrast, 9.0, [-2.0, 2.0]));
    assert!(against[2] > against[0] && favour[0] > favour[2]);
    let level = |v: f32| heatmap::colour(Map::Trust, v, [0.0, 1.0]).iter().map(|c| u32::from(*c)).sum::<u32>();
    assert!((0..10).all(|i| level(i as f32 / 10.0) < level((i + 1) as f32 / 10.0)));
    assert_eq!(heatmap::span(Map::Contrast, &[-3.0, 1.0]), [-3.0, 3.0]);
    assert_eq!(heatmap::span(Map::Surprise, &[-3.0, 1.0]), [0.0, 1.0]);
    // Nothing divides by zero where every value is the same.
    for map in Map::ALL {
        let span = heatmap::span(map, &[0.0; 4]);
        assert!(span[0] < span[1]);
        heatmap::colour(map, 0.0, span);
    }
}

#[test]
fn pictures_have_the_shape_of_the_frame() {
    let image = FrameShape { channels: 3, height: 2, width: 2 };
    // A red, a green, a blue and a white pixel.
    let values = [1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0];
    let picture = heatmap::frame(&values, image, FrameKind::Image, [0.0, 1.0]);
    assert_eq!(picture.dimensions(), (32, 32));
    let corners = [(0, 0), (31, 0), (0, 31), (31, 31)].map(|(x, y)| picture.get_pixel(x, y).0);
    assert_eq!(corners, [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]);
    // Contrast of the channels adds up; the others are averaged.
    assert_eq!(heatmap::joined(Map::Contrast, &values, image, FrameKind::Image), [1.0, 1.0, 1.0, 3.0]);
    assert_eq!(heatmap::joined(Map::Trust, &values, image, FrameKind::Image)[3], 1.0);
    // Three sensors of 100 samples: three rows, high enough to see.
    let window = FrameShape { channels: 3, height: 1, width: 100 };
    let picture = heatmap::map(Map::Surprise, &[1.0; 300], window, FrameKind::Window, [0.0, 1.0]);
    assert_eq!(picture.dimensions(), (200, 48));
    let both = heatmap::beside(&[picture.clone(), picture]);
    assert_eq!(both.dimensions(), (408, 48));
    assert_eq!(both.get_pixel(203, 10).0, [255; 3]);
    let decoded = image::load_from_memory(&heatmap::png(&both).unwrap()).unwrap();
    assert_eq!(decoded.to_rgb8(), both);
}
