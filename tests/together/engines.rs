//! One suite for every engine: the Burn model, tract on f32 and on f16 weights, tract in whole-graph f16.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/mod.rs"]
mod common;

use std::ops::ControlFlow;

use burn::tensor::Device;
use common::{IMAGE, patterns, small};
use prost::Message;
use runtime::flash::{Buffer, DecoderModel, FlashError, FlashModel};
use runtime::kernels::Kernel;
use runtime::onnx::{checksum, names};
use runtime::{Engine, FrameError, LoadError, Precision, native};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use trainer::config::{ClusterPosterior, Config, EncoderKind, Weights};
use trainer::data::Frames;
use trainer::eval::{Predictions, predict, scores};
use trainer::export::{self, encode, encode_flash};
use trainer::fit;
use trainer::fitted::Fitted;
use trainer::frame::FrameShape;

/// Largest difference of a responsibility from the Burn model, by how weights and arithmetic are.
const F32: f32 = 1e-4;
const F16_WEIGHTS: f32 = 1e-2;
const F16_ARITHMETIC: f32 = 5e-2;

/// Fits on the CPU.
fn fitted(config: Config, frames: &Frames) -> Fitted {
    let config = config.check(frames.shape).unwrap();
    fit(&config, frames, &Device::flex(), None, &mut |_| ControlFlow::Continue(())).unwrap().unwrap()
}

fn assigned(engine: &mut Engine, frames: &Frames) -> Predictions {
    Predictions::from(&engine.assign_batch(&frames.values).unwrap()[..])
}

fn check_engines(model: &Fitted, frames: &Frames) {
    let burn = predict(model, frames, &Device::flex()).unwrap();
    for (weights, arithmetic, tolerance) in [
        (export::Precision::F32, Precision::F32, F32),
        (export::Precision::F16, Precision::F32, F16_WEIGHTS),
        (export::Precision::F16, Precision::F16, F16_ARITHMETIC),
        (export::Precision::F32, Precision::Fused, F16_WEIGHTS),
        (export::Precision::F16, Precision::Fused, F16_WEIGHTS),
    ] {
        let mut engine = Engine::from_bytes(&encode(model, weights).unwrap(), arithmetic).unwrap();
        let batch = assigned(&mut engine, frames);
        let (agreement, difference) = burn.agreement(&batch);
        assert!(agreement > 0.99, "{weights:?} {arithmetic:?}: {agreement}");
        assert!(difference < tolerance, "{weights:?} {arithmetic:?}: {difference}");
        let exact = (weights, arithmetic) == (export::Precision::F32, Precision::F32);
        let tolerance = if exact { 1e-4 } else { tolerance };
        close(&burn.novelty, &batch.novelty, tolerance, &format!("{weights:?} {arithmetic:?}"));
        // One frame at a time gives what the batch gives.
        for n in 0..5 {
            let one = engine.assign(frames.frame(n)).unwrap();
            assert_eq!(one.cluster, batch.clusters[n]);
            assert!((one.novelty - batch.novelty[n]).abs() < 0.05 * (1.0 + one.novelty.abs()));
        }
    }
    // A linear encoder leaves its decoder no error that would tell anything.
    assert_eq!(model.novelty.dispersion_weight > 0.0, model.config.encoder.kind != EncoderKind::Identity);
    if model.novelty.dispersion_weight > 0.0 {
        check_decoder(model, frames, &burn);
    }
    check_range(model, frames);
    let latent = model.with_latent_novelty();
    check_native(&latent, frames, &predict(&latent, frames, &Device::flex()).unwrap());
}

fn close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < tolerance * (1.0 + b.abs()), "{what}: {a} {b}");
    }
}

/// Frames as in training, in other units, and with one value far out: every engine calls the same ones outside.
fn check_range(model: &Fitted, frames: &Frames) {
    let mut values = frames.values[..frames.shape.len() * 20].to_vec();
    let wide: Vec<f32> = values.iter().map(|v| v * 255.0 + 300.0).collect();
    let p = frames.shape.len();
    values.extend(&wide);
    values[p + 1] = 1e6;
    let all = Frames { shape: frames.shape, values, labels: None };
    let range = model.seen.as_ref().unwrap().range(frames.shape).unwrap();
    let expected: Vec<bool> = (0..all.len()).map(|n| range.first_outside(all.frame(n)).is_some()).collect();
    assert!(!expected[0] && expected[1] && expected[20..].iter().all(|outside| *outside));
    let mut engine = Engine::from_bytes(&encode(model, export::Precision::F16).unwrap(), Precision::F32).unwrap();
    assert_eq!(engine.range(), Some(range));
    let by_tract: Vec<bool> = engine.assign_batch(&all.values).unwrap().iter().map(|a| a.is_outside).collect();
    assert_eq!(by_tract, expected);
    assert!(engine.assign(all.frame(1)).unwrap().is_outside);
    let bytes = Buffer::copy_of(&encode_flash(&model.with_latent_novelty(), None).unwrap());
    let image = FlashModel::new(&bytes).unwrap();
    assert_eq!(image.range(), Some(range));
    let by_native: Vec<bool> =
        native::Batch::new(image).assign(&all.values).unwrap().iter().map(|a| a.is_outside).collect();
    assert_eq!(by_native, expected);
    // A model that does not say what it saw, as those of before.
    let old = Fitted { seen: None, ..model.clone() };
    let mut engine = Engine::from_bytes(&encode(&old, export::Precision::F16).unwrap(), Precision::F32).unwrap();
    assert!(engine.range().is_none() && engine.deviation().is_none());
    assert!(engine.assign_batch(&all.values).unwrap().iter().all(|a| !a.is_outside));
}

/// The flash image of a model whose novelty counts the decoder, on every kernel of this machine, and through tract: both
/// call the same frames novel, but those at the threshold.
fn check_decoder(model: &Fitted, frames: &Frames, burn: &Predictions) {
    let bytes = Buffer::copy_of(&encode_flash(model, None).unwrap());
    assert!(matches!(FlashModel::new(&bytes), Err(FlashError::Inconsistent(_))));
    let mut tract = Engine::from_bytes(&encode(model, export::Precision::F16).unwrap(), Precision::F32).unwrap();
    let by_tract = tract.assign_batch(&frames.values).unwrap();
    assert_eq!(tract.novelty_threshold(), model.calibration.novelty_threshold);
    for kernel in Kernel::all() {
        let image = DecoderModel::new(&bytes).unwrap();
        assert_eq!(image.head().novelty_threshold(), model.calibration.novelty_threshold);
        let mut scratch = vec![f32::NAN; native::decoder_scratch_len(&image)];
        let mut engine = native::DecoderEngine::with_kernel(image.clone(), &mut scratch, kernel).unwrap();
        engine.self_test().unwrap();
        let all: Vec<_> = (0..frames.len()).map(|n| engine.assign(frames.frame(n)).unwrap()).collect();
        let found = Predictions::from(&all[..]);
        let (agreement, difference) = burn.agreement(&found);
        assert!(agreement > 0.99 && difference < F16_WEIGHTS, "{}: {agreement} {difference}", kernel.name());
        close(&found.novelty, &burn.novelty, 0.01, kernel.name());
        for (native, tract) in all.iter().zip(&by_tract) {
            let at_threshold = (tract.novelty / model.calibration.novelty_threshold - 1.0).abs() < 0.01;
            assert!(native.is_novel == tract.is_novel || at_threshold, "{native:?} {tract:?}");
        }
        let mut short = vec![0.0; native::decoder_scratch_len(&image) - 1];
        let refused = native::DecoderEngine::new(image, &mut short).err();
        assert!(kernel != Kernel::best() || matches!(refused, Some(native::EngineError::Scratch { .. })));
    }
    let plain = encode_flash(&model.with_latent_novelty(), None).unwrap();
    assert!(matches!(DecoderModel::new(&Buffer::copy_of(&plain)), Err(FlashError::Inconsistent(_))));
}

/// The flash image on every kernel of this machine.
fn check_native(model: &Fitted, frames: &Frames, burn: &Predictions) {
    let bytes = Buffer::copy_of(&encode_flash(model, None).unwrap());
    for kernel in Kernel::all() {
        let image = FlashModel::new(&bytes).unwrap();
        let mut scratch = vec![0.0; native::scratch_len(&image)];
        let mut engine = native::Engine::with_kernel(image, &mut scratch, kernel).unwrap();
        engine.self_test().unwrap();
        let all: Vec<_> = (0..frames.len()).map(|n| engine.assign(frames.frame(n)).unwrap()).collect();
        for (one, many) in all.iter().zip(native::Batch::from(&engine).assign(&frames.values).unwrap()) {
            assert_eq!(one.cluster, many.cluster);
            assert!((one.novelty - many.novelty).abs() < 1e-3 * (1.0 + one.novelty.abs()));
        }
        let (agreement, difference) = burn.agreement(&Predictions::from(&all[..]));
        assert!(agreement > 0.99, "{}: {agreement}", kernel.name());
        assert!(difference < F16_WEIGHTS, "{}: {difference}", kernel.name());
        for (a, b) in burn.novelty.iter().zip(&all) {
            assert!((a - b.novelty).abs() < 0.01 * (1.0 + a.abs()), "{}: {a} {}", kernel.name(), b.novelty);
        }
    }
}

#[test]
fn engines_agree_on_images() {
    let frames = patterns(300, IMAGE, 1);
    let model = fitted(small(), &frames);
    check_engines(&model, &frames);
    let clusters = predict(&model, &frames, &Device::flex()).unwrap().clusters;
    let scores = scores(&clusters, frames.labels.as_deref().unwrap());
    assert!(scores.acc > 0.95, "{scores:?}");
}

/// As pictures beyond 128x128 have it, whose layers go by their shape; the stack is the same on small ones.
#[test]
fn engines_agree_on_large_pictures() {
    let shape = FrameShape { channels: 3, height: 224, width: 224 };
    let auto = Config::default().check(shape).unwrap();
    assert_eq!(auto.encoder.channels.list(), [8, 16, 32]);
    let mut config = small();
    config.encoder.channels = auto.encoder.channels.clone();
    let frames = patterns(300, IMAGE, 5);
    check_engines(&fitted(config, &frames), &frames);
}

#[test]
fn engines_agree_on_features_that_need_scaling() {
    let mut frames = patterns(300, FrameShape { channels: 1, height: 1, width: 12 }, 2);
    frames.values.iter_mut().for_each(|v| *v = *v * 50.0 - 300.0);
    let model = fitted(small(), &frames);
    assert!(model.scaling.is_some());
    check_engines(&model, &frames);
}

#[test]
fn engines_agree_on_a_learned_cluster_head() {
    let frames = patterns(300, IMAGE, 3);
    let mut config = small();
    config.cluster_posterior = ClusterPosterior::Amortised;
    check_engines(&fitted(config, &frames), &frames);
}

/// p(c) is in every engine, and in the graph's own head.
#[test]
fn engines_agree_on_learned_weights() {
    let all = patterns(330, IMAGE, 8);
    // A third pattern that is a tenth of the frames.
    let which: Vec<usize> = (0..all.len()).filter(|n| n % 3 != 2 || n % 11 == 0).collect();
    let mut config = small();
    config.mixture.weights = Weights::Learned;
    let model = fitted(config, &all.select(&which));
    let log_weights = model.model.prior.log_weights().unwrap().into_data().try_to_vec::<f32>().unwrap();
    let weights: Vec<f32> = log_weights.iter().map(|log| log.exp() / 3.0).collect();
    assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-4, "{weights:?}");
    assert!(weights.iter().any(|w| *w < 0.2), "{weights:?}");
    check_engines(&model, &all);
    check_graph(&encode(&model, export::Precision::F16).unwrap(), &all);
}

#[test]
fn a_mean_field_model_is_exported_with_the_mixture_head() {
    let frames = patterns(300, FrameShape { channels: 2, height: 1, width: 9 }, 4);
    let mut config = small();
    config.cluster_posterior = ClusterPosterior::MeanField;
    check_engines(&fitted(config, &frames), &frames);
}

#[test]
fn the_same_seed_gives_the_same_file_and_another_seed_another() {
    let frames = patterns(200, IMAGE, 5);
    let mut config = small();
    config.pretrain.steps = 12.into();
    config.refine.steps = 12.into();
    let bytes = |seed: u64| {
        let mut config = config.clone();
        config.seed = seed;
        encode(&fitted(config, &frames), export::Precision::F32).unwrap()
    };
    let first = bytes(1);
    assert!(first == bytes(1));
    assert!(first != bytes(2));
}

/// The head inside the graph, for other runtimes, gives what `runtime::Head` gives.
#[test]
fn the_graphs_own_head_agrees_with_the_runtimes() {
    let frames = patterns(60, IMAGE, 6);
    check_graph(&encode(&fitted(small(), &frames), export::Precision::F16).unwrap(), &frames);
}

fn check_graph(bytes: &[u8], frames: &Frames) {
    let model = onnx().model_for_read(&mut &bytes[..]).unwrap();
    let outputs = model.outlet_fact_names();
    let model = model.with_input_fact(0, f32::fact([frames.len(), 1, 8, 8]).into()).unwrap();
    let plan = model.into_optimized().unwrap().into_runnable().unwrap();
    let input = Tensor::from_shape(&[frames.len(), 1, 8, 8], &frames.values).unwrap();
    let results = plan.run(tvec!(input.into())).unwrap();
    let values = |name: &str| {
        let at = outputs.iter().position(|o| o == name).unwrap();
        results[at].to_plain_array_view::<f32>().unwrap().iter().copied().collect::<Vec<_>>()
    };
    let head = assigned(&mut Engine::from_bytes(bytes, Precision::F32).unwrap(), frames);
    for (a, b) in values(names::LOG_RESPONSIBILITIES).iter().zip(&head.log_responsibilities) {
        assert!((a - b).abs() < 1e-3 * (1.0 + b.abs()), "{a} {b}");
    }
    for (a, b) in values(names::NOVELTY).iter().zip(&head.novelty) {
        assert!((a - b).abs() < 1e-3 * (1.0 + b.abs()), "{a} {b}");
    }
}

trait OutputNames {
    fn outlet_fact_names(&self) -> Vec<String>;
}

impl OutputNames for InferenceModel {
    fn outlet_fact_names(&self) -> Vec<String> {
        let outlets = self.output_outlets().unwrap();
        outlets.iter().map(|o| self.outlet_label(*o).unwrap_or_default().to_owned()).collect()
    }
}

fn small_model() -> Vec<u8> {
    let frames = patterns(100, IMAGE, 7);
    let mut config = small();
    config.pretrain.steps = 3.into();
    config.refine.steps = 3.into();
    encode(&fitted(config, &frames), export::Precision::F16).unwrap()
}

#[test]
fn frames_that_are_not_finite_or_of_another_size_are_refused() {
    let mut engine = Engine::from_bytes(&small_model(), Precision::F32).unwrap();
    let frame = [0.5f32; 64];
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut one = frame;
        one[17] = bad;
        assert_eq!(engine.assign(&one), Err(FrameError::NotFinite { index: 17 }));
        assert_eq!(engine.assign(&[bad; 64]), Err(FrameError::NotFinite { index: 0 }));
        let mut two = [frame, frame].concat();
        two[64 + 3] = bad;
        assert_eq!(engine.assign_batch(&two), Err(FrameError::NotFinite { index: 67 }));
    }
    assert_eq!(engine.assign(&frame[1..]), Err(FrameError::Length { expected: 64, found: 63 }));
    assert_eq!(engine.assign(&[]), Err(FrameError::Length { expected: 64, found: 0 }));
    assert_eq!(engine.assign_batch(&frame[1..]), Err(FrameError::Length { expected: 0, found: 63 }));
    assert_eq!(engine.assign_batch(&[]), Ok(vec![]));
    assert_eq!(engine.assign(&[f32::MAX; 64]), Err(FrameError::Overflow));
    assert_eq!(engine.assign_u8(&[128; 64]), engine.assign(&[128.0 / 255.0; 64]));
}

#[test]
fn every_truncation_and_every_changed_byte_is_refused() {
    let bytes = small_model();
    for length in 0..bytes.len() {
        assert!(!checksum::holds(&bytes[..length]), "{length}");
    }
    let mut rng_bit = 0;
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (rng_bit % 8);
        rng_bit += 3;
        assert!(!checksum::holds(&damaged), "byte {at}");
    }
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 4;
    assert!(matches!(Engine::from_bytes(&damaged, Precision::F32), Err(LoadError::Damaged)));
    assert!(matches!(Engine::from_bytes(b"", Precision::F32), Err(LoadError::Foreign)));
}

/// Whole files that make no sense: the checksum holds, the graph does not.
#[test]
fn hostile_graphs_are_refused_without_a_panic() {
    let bytes = small_model();
    type Change = Box<dyn Fn(&mut ModelProto)>;
    let node = |op: &'static str, change: fn(&mut tract_onnx::pb::NodeProto)| -> Change {
        Box::new(move |m| {
            let graph = m.graph.as_mut().unwrap();
            change(graph.node.iter_mut().find(|n| n.op_type == op).unwrap());
        })
    };
    let metadata = |key: &'static str, value: &'static str| -> Change {
        Box::new(move |m| m.metadata_props.iter_mut().find(|p| p.key == key).unwrap().value = value.into())
    };
    let changes: Vec<Change> = vec![
        Box::new(|m| m.graph = None),
        Box::new(|m| m.graph.as_mut().unwrap().node.clear()),
        Box::new(|m| m.graph.as_mut().unwrap().input.clear()),
        Box::new(|m| m.graph.as_mut().unwrap().output.clear()),
        Box::new(|m| m.graph.as_mut().unwrap().initializer.clear()),
        Box::new(|m| m.graph.as_mut().unwrap().initializer.truncate(3)),
        Box::new(|m| m.graph.as_mut().unwrap().initializer.iter_mut().for_each(|t| t.dims.reverse())),
        Box::new(|m| m.graph.as_mut().unwrap().initializer.iter_mut().for_each(|t| t.dims.push(7))),
        Box::new(|m| m.graph.as_mut().unwrap().initializer.iter_mut().for_each(|t| t.raw_data.truncate(5))),
        Box::new(|m| m.graph.as_mut().unwrap().initializer.iter_mut().for_each(|t| t.raw_data.fill(0xff))),
        Box::new(|m| m.graph.as_mut().unwrap().initializer.iter_mut().for_each(|t| t.dims.fill(i64::MAX))),
        node("Gemm", |n| n.op_type = "NoSuchOp".into()),
        node("Gemm", |n| n.input.clear()),
        node("Gemm", |n| n.output[0] = "elsewhere".into()),
        node("Flatten", |n| n.attribute[0].i = -9),
        node("Flatten", |n| n.attribute[0].i = 9),
        node("Conv", |n| n.attribute.iter_mut().for_each(|a| a.ints.fill(0))),
        node("Conv", |n| n.attribute.iter_mut().for_each(|a| a.ints.clear())),
        node("Cast", |n| n.attribute[0].i = 99),
        metadata(names::VERSION_KEY, "1"),
        metadata(names::TEMPERATURE_KEY, "0"),
        metadata(names::TEMPERATURE_KEY, "warm"),
        metadata(names::DECODER_THRESHOLD_KEY, "NaN"),
        metadata(names::DECODER_THRESHOLD_KEY, "high"),
        metadata(names::DISPERSION_KEY, "-1"),
        metadata(names::DISPERSION_KEY, "much"),
        metadata(names::NOISE_KEY, "0"),
        metadata(names::LIKELIHOOD_KEY, "poisson"),
        // As a reader sees it that knows no decoder: there is no threshold of the latent.
        Box::new(|m| m.metadata_props.retain(|p| p.key != names::DISPERSION_KEY)),
        Box::new(|m| {
            let graph = m.graph.as_mut().unwrap();
            graph.node.retain(|node| !node.name.starts_with(names::DECODER_NODES));
        }),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut model = ModelProto::decode(&bytes[..]).unwrap();
        change(&mut model);
        let mut changed = model.encode_to_vec();
        assert!(checksum::write(&mut changed));
        assert!(Engine::from_bytes(&changed, Precision::F32).is_err(), "change {index} was accepted");
    }
}
