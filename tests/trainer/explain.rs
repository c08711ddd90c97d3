//! The maps against closed forms, and their pictures.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/tiny.rs"]
mod tiny;

use std::ops::ControlFlow;

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::{Engine, ExplainError, FrameError, LoadError};
use tiny::{SHAPE, close, frames, random, scaling, tensor};
use trainer::config::Config;
use trainer::data::{Frames, Source};
use trainer::elbo::optimum;
use trainer::explain::expectation::{Expectation, nodes};
use trainer::explain::{Map, explain, explain_between, heatmap, trust};
use trainer::export::{Precision, encode, encode_decoder};
use trainer::fit::fit;
use trainer::fitted::{Fitted, bound, to_host};
use trainer::frame::{FrameKind, FrameShape};
use trainer::model::{ClusterVae, Init, Likelihood, Posterior};
use trainer::{Error, eval};

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
    let scaled = model.prepare(data).unwrap().all().unwrap();
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

/// q(c|x) of mean field is the best one for its expectations over q(z|x). Taken from the samples that the bound is then
/// estimated from, it would be fitted to their chance, and the estimate above the bound: by 0.2 nats here, of one sample.
#[test]
fn few_samples_do_not_lift_the_mean_field_bound() {
    let mut fitted = random(Likelihood::Bernoulli, None);
    let config =
        Config::default().set(&["clusters=3".into(), "latent=4".into(), "cluster_posterior=mean-field".into()]);
    let config = config.unwrap().check(SHAPE).unwrap();
    // Wide posteriors, and a decoder that sees the cluster.
    fitted.model.encoder.log_var.bias = Some(Param::from_tensor(tensor(vec![1.0; 4], [4])));
    let one = frames(1);
    let frames = Frames { values: one.values.repeat(3000), ..one };
    let elbo = |samples: usize, count: usize| {
        let frames = frames.select(&(0..count).collect::<Vec<_>>());
        bound(&fitted.model, &config, &frames, samples, &Device::flex()).unwrap().elbo
    };
    let (best, few) = (elbo(1000, 10), elbo(1, 3000));
    assert!(few < best, "{few} of one sample, {best} of a thousand");
    assert!(elbo(4, 3000) > few, "more samples do not help");
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
            let x = tensor(model.prepare(&data.select(&[n])).unwrap().all().unwrap().values, [1, SHAPE.len()]);
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
        let x = model.prepare(&data).unwrap().all().unwrap().values;
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

/// The engine of the runtime, with the decoder's file, draws what `trainer explain` draws.
#[test]
fn the_runtime_explains_as_the_trainer_does() {
    for (likelihood, scaling) in [(Likelihood::Bernoulli, None), (Likelihood::Gaussian, Some(scaling()))] {
        let model = random(likelihood, scaling);
        let data = frames(6);
        let expected = explain(&model, &data, &Device::flex()).unwrap();
        let onnx = encode(&model, Precision::F32).unwrap();
        let decoder = encode_decoder(&model, Precision::F32).unwrap();
        let mut engine = Engine::from_bytes(&onnx, runtime::Precision::F32).unwrap();
        assert_eq!(engine.explain(data.frame(0)).err(), Some(ExplainError::NoDecoder));
        engine.decoder_from_bytes(&decoder).unwrap();
        for (n, expected) in expected.iter().enumerate() {
            let found = engine.explain(data.frame(n)).unwrap();
            assert_eq!(
                (found.assignment.cluster, found.assignment.runner_up),
                (expected.cluster, Some(expected.runner_up))
            );
            for (what, found, expected) in [
                ("trust", &found.trust, &expected.trust),
                ("contrast", &found.contrast, &expected.contrast),
                ("surprise", &found.surprise, &expected.surprise),
                ("reconstruction", &found.reconstruction, &expected.reconstruction),
            ] {
                assert_eq!(found.len(), expected.len());
                for (a, b) in found.iter().zip(expected) {
                    close((*a).into(), (*b).into(), 2e-4, what);
                }
            }
        }
        // What is no decoder of this model is refused, and so is a frame that `assign` refuses.
        assert!(matches!(engine.decoder_from_bytes(&onnx), Err(LoadError::Incompatible(_))));
        assert!(matches!(engine.decoder_from_bytes(&decoder[..decoder.len() - 1]), Err(LoadError::Damaged)));
        let other = Config::default().set(&["latent=3".to_owned()]).unwrap().check(SHAPE).unwrap();
        let mut init = Init { rng: ChaCha8Rng::seed_from_u64(1), device: &Device::flex() };
        let other = ClusterVae::new(&other, SHAPE, likelihood, &mut init);
        let other = encode_decoder(&Fitted { model: other, ..model.clone() }, Precision::F32).unwrap();
        assert!(engine.decoder_from_bytes(&other).is_err());
        let mut bad = data.frame(0).to_vec();
        bad[3] = f32::NAN;
        assert_eq!(engine.explain(&bad).err(), Some(ExplainError::Frame(FrameError::NotFinite { index: 3 })));
    }
}

/// Rows of two features in three sheared clusters, and the mixture on their values.
fn sheared() -> (Fitted, Frames) {
    let shape = FrameShape { channels: 1, height: 1, width: 2 };
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let row = |n: usize| {
        let [u, v]: [f32; 2] = std::array::from_fn(|_| rng.sample(rand_distr::StandardNormal));
        let [a, b] = [[0.0, 0.0], [6.0, -6.0], [9.0, 6.0]][n % 3];
        [a + u, 100.0 * (b + 0.9 * u + 0.3 * v)]
    };
    let values = (0..300).map(row).collect::<Vec<[f32; 2]>>().concat();
    let frames = Frames { shape, values, labels: None };
    let config = Config::default().set(&["clusters=3", "encoder.kind=identity"].map(str::to_owned)).unwrap();
    let fitted = fit(&config.check(shape).unwrap(), &frames, &Device::flex(), None, &mut |_| ControlFlow::Continue(()));
    (fitted.unwrap().unwrap(), frames)
}

/// Mean and covariance of a cluster in the units that the encoder takes, from the encoder and the prior alone.
fn gaussian(model: &ClusterVae, c: usize) -> ([f64; 2], [[f64; 2]; 2]) {
    let host = |values: Tensor<2>| to_host(values).unwrap().into_iter().map(f64::from).collect::<Vec<_>>();
    let w = host(model.encoder.mu.weight.val());
    let b = host(model.encoder.mu.bias.as_ref().unwrap().val().reshape([1, 2]));
    let z = host(model.prior.mu_c.val().narrow(0, c, 1));
    let s = host(model.prior.log_var_c.val().narrow(0, c, 1).reshape([1, 1]))[0].exp();
    let det = w[0] * w[3] - w[1] * w[2];
    let inverse = [[w[3] / det, -w[1] / det], [-w[2] / det, w[0] / det]];
    let mean = [0, 1].map(|p| (z[0] - b[0]) * inverse[0][p] + (z[1] - b[1]) * inverse[1][p]);
    // z = x W + b, so the covariance of x is s W⁻ᵀ W⁻¹.
    let covariance = [0, 1].map(|p| [0, 1].map(|q| s * (0..2).map(|d| inverse[d][p] * inverse[d][q]).sum::<f64>()));
    (mean, covariance)
}

/// Of the mixture on the values: evidence adds up to the log-ratio of the clusters, and a value is judged by what the
/// other foretells, both as the Gaussians of the clusters say.
#[test]
fn the_mixture_on_the_values_is_explained_by_its_gaussians() {
    let (fitted, frames) = sheared();
    let scaled = fitted.prepare(&frames).unwrap().all().unwrap();
    let explanations = explain(&fitted, &frames, &Device::flex()).unwrap();
    let mut unlike = 0.0f64;
    for (n, e) in explanations.iter().enumerate().step_by(7) {
        let x: [f64; 2] = std::array::from_fn(|p| f64::from(scaled.frame(n)[p]));
        let log_density = |c: usize| {
            let (m, s) = gaussian(&fitted.model, c);
            let (d, det) = ([x[0] - m[0], x[1] - m[1]], s[0][0] * s[1][1] - s[0][1] * s[1][0]);
            let squared = (s[1][1] * d[0] * d[0] - 2.0 * s[0][1] * d[0] * d[1] + s[0][0] * d[1] * d[1]) / det;
            let weight = fitted.model.prior.log_weights().map_or(0.0, |w| f64::from(to_host(w).unwrap()[c]));
            weight - 0.5 * (squared + det.ln())
        };
        let sum: f64 = e.contrast.iter().copied().map(f64::from).sum();
        close(sum, log_density(e.cluster) - log_density(e.runner_up), 2e-3, "sum of the contrast");
        let (m, s) = gaussian(&fitted.model, e.cluster);
        for (p, q) in [(0, 1), (1, 0)] {
            let foretold = m[p] + s[p][q] / s[q][q] * (x[q] - m[q]);
            let squared = (x[p] - foretold).powi(2) / (s[p][p] - s[p][q].powi(2) / s[q][q]);
            let scaling = fitted.scaling.as_ref().unwrap();
            let in_units = foretold / f64::from(scaling.factor[p]) + f64::from(scaling.shift[p]);
            close(e.reconstruction[p].into(), in_units, 2e-3, "reconstruction");
            close(e.trust[p].into(), (-0.5 * squared).exp(), 2e-3, "trust");
            close(e.surprise[p].into(), (0.5 * squared - 0.5) / 0.5f64.sqrt(), 5e-3, "surprise");
            unlike = unlike.max((x[p] - foretold).abs());
        }
    }
    assert!(unlike > 0.1, "frames differ from what is foretold");
}

/// The engine of the runtime explains the mixture on the values as the trainer does, in both precisions of the files.
#[test]
fn the_runtime_explains_the_mixture_on_the_values_as_the_trainer_does() {
    let (fitted, frames) = sheared();
    let expected = explain(&fitted, &frames, &Device::flex()).unwrap();
    for (precision, tolerance) in [(Precision::F32, 1e-3), (Precision::F16, 2e-2)] {
        let onnx = encode(&fitted, precision).unwrap();
        let mut engine = Engine::from_bytes(&onnx, runtime::Precision::F32).unwrap();
        engine.decoder_from_bytes(&encode_decoder(&fitted, precision).unwrap()).unwrap();
        for (n, expected) in expected.iter().enumerate().step_by(11) {
            let found = engine.explain(frames.frame(n)).unwrap();
            for (what, found, expected) in [
                ("trust", &found.trust, &expected.trust),
                ("contrast", &found.contrast, &expected.contrast),
                ("surprise", &found.surprise, &expected.surprise),
                ("reconstruction", &found.reconstruction, &expected.reconstruction),
            ] {
                assert_eq!(found.len(), 2);
                for (a, b) in found.iter().zip(expected) {
                    close((*a).into(), (*b).into(), tolerance, what);
                }
            }
        }
    }
}

/// A value that breaks how two features go together is unusual, though it is within the range of its own.
#[test]
fn a_broken_relation_is_unusual() {
    let (fitted, mut frames) = sheared();
    let usual = explain(&fitted, &frames, &Device::flex()).unwrap()[0].surprise.clone();
    // In the first cluster the second feature is 90 times the first.
    frames.values[..2].copy_from_slice(&[0.8, -60.0]);
    let odd = &explain(&fitted, &frames, &Device::flex()).unwrap()[0];
    assert_eq!(odd.cluster, explain(&fitted, &frames, &Device::flex()).unwrap()[3].cluster);
    assert!(odd.surprise.iter().all(|s| *s > 8.0) && usual.iter().all(|s| *s < 3.0), "{:?}, {usual:?}", odd.surprise);
    assert!(odd.trust.iter().all(|t| *t < 1e-3), "{:?}", odd.trust);
}
