//! The front end from training to the device: the trainer, the graph, tract and the native engine see the same features.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "only its settings are used")]
mod common;
#[path = "../common/graph.rs"]
mod graph;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use burn::tensor::Device;
use common::small;
use graph::{close, of_graph};
use prost::Message;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::flash::{Buffer, FlashModel};
use runtime::onnx::{checksum, names};
use runtime::{Engine, Precision, native};
use tract_onnx::pb::ModelProto;
use trainer::config::{AugmentKind, Config, FrontEndChoice};
use trainer::critic;
use trainer::data::{Frames, Manner, Source as _, Windowing, placed};
use trainer::eval::{predict, scores};
use trainer::explain::explain;
use trainer::export::{self, encode, encode_critic, encode_decoder, encode_flash};
use trainer::fit::{self, Event};
use trainer::fitted::Fitted;
use trainer::frame::FrameShape;
use trainer::run::{self, Run, Source};

const SHAPE: FrameShape = FrameShape { channels: 3, height: 1, width: 50 };

/// Windows of three states, which differ by the frequency of a hum at any phase; the last channel is constant.
fn hums(n: usize, seed: u64) -> Frames {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for i in 0..n {
        let class = i % 3;
        labels.push(class as u32);
        let (phase, strength) = (rng.random::<f32>() * 6.3, 1.0 + 0.3 * rng.random::<f32>());
        let cycles = [0.05, 0.15, 0.35][class] + 0.01 * rng.random::<f32>();
        for channel in 0..2 {
            for t in 0..SHAPE.width {
                let hum = strength * (std::f32::consts::TAU * cycles * t as f32 + phase + channel as f32).sin();
                values.push(20.0 * channel as f32 + 4.0 * (hum + 0.2 * (rng.random::<f32>() - 0.5)));
            }
        }
        values.extend([7.0; SHAPE.width]);
    }
    Frames { shape: SHAPE, values, labels: Some(labels) }
}

fn config() -> Config {
    let mut config = small();
    (config.pretrain.steps, config.refine.steps) = (150.into(), 100.into());
    config
}

fn fitted(config: Config, frames: &Frames) -> Fitted {
    let config = config.check(frames.shape).unwrap();
    fit::fit(&config, frames, &Device::flex(), None, &mut |_| ControlFlow::Continue(())).unwrap().unwrap()
}

#[test]
fn every_engine_sees_the_same_features() {
    let frames = hums(240, 1);
    let model = fitted(config(), &frames);
    assert_eq!(model.inner_shape(), FrameShape { channels: 3, height: 1, width: 10 });
    let expected = predict(&model, &frames, &Device::flex()).unwrap();
    let found = scores(&expected.clusters, frames.labels.as_deref().unwrap());
    assert!(found.acc > 0.95, "{found:?}");
    let features = model.features(&frames).unwrap().all().unwrap().values;
    let prepared = model.prepare(&frames).unwrap().all().unwrap().values;
    for precision in [export::Precision::F32, export::Precision::F16] {
        let bytes = encode(&model, precision).unwrap();
        close(&of_graph(&bytes, &frames, names::FEATURES), &features, 1e-4, "features of the graph");
        close(&of_graph(&bytes, &frames, "scaled"), &prepared, 1e-4, "prepared by the graph");
        let tolerance = if precision == export::Precision::F32 { 1e-3 } else { 0.02 };
        close(&of_graph(&bytes, &frames, names::NOVELTY), &expected.novelty, tolerance, "novelty of the graph");
        for arithmetic in [Precision::F32, Precision::F16, Precision::Fused] {
            let mut engine = Engine::from_bytes(&bytes, arithmetic).unwrap();
            assert_eq!((engine.shape().len(), engine.input_shape().len()), (150, 30));
            let spec = model.front_end.as_ref().unwrap().spec(SHAPE).unwrap();
            assert_eq!(engine.front_end().unwrap().feature(12), spec.front_end().unwrap().feature(12));
            let all = engine.assign_batch(&frames.values).unwrap();
            for (n, a) in all.iter().enumerate() {
                assert_eq!(a.cluster, expected.clusters[n], "{precision:?} {arithmetic:?}, frame {n}");
            }
        }
    }
    let bytes = Buffer::copy_of(&encode_flash(&model.with_latent_novelty(), None).unwrap());
    let image = FlashModel::new(&bytes).unwrap();
    let mut by_image = vec![0.0; 30];
    let mut work = vec![0.0; image.front_end().unwrap().work()];
    assert!(image.front_end().unwrap().apply(frames.frame(7).iter().copied(), &mut by_image, &mut work));
    close(&by_image, &features[7 * 30..8 * 30], 1e-6, "features of the image");
    let mut scratch = vec![f32::NAN; native::scratch_len(&image)];
    let mut engine = native::Engine::new(image, &mut scratch).unwrap();
    engine.self_test().unwrap();
    for n in 0..frames.len() {
        assert_eq!(engine.assign(frames.frame(n)).unwrap().cluster, expected.clusters[n]);
    }
}

#[test]
fn units_change_nothing_and_a_constant_channel_says_nothing() {
    let frames = hums(240, 2);
    let features = |unit: f32| {
        let mut scaled = frames.clone();
        scaled.values.iter_mut().for_each(|v| *v *= unit);
        let model = fitted(config(), &scaled);
        let expected = predict(&model, &scaled, &Device::flex()).unwrap();
        (model.prepare(&scaled).unwrap().all().unwrap().values, expected.clusters)
    };
    let (plain, clusters) = features(1.0);
    assert!(plain.iter().all(|v| v.is_finite() && v.abs() < 20.0));
    for unit in [1e-9, 1e6] {
        let (found, same) = features(unit);
        close(&found, &plain, 1e-3, "features");
        // Clusters have no order: rounding may number them otherwise, but may not move a frame.
        let pairs: BTreeSet<(usize, usize)> = clusters.iter().copied().zip(same).collect();
        assert_eq!(pairs.len(), 3, "{unit}: {pairs:?}");
    }
}

/// People normalise windows one by one: level and spread are then the same in all but for rounding, and say nothing.
#[test]
fn windows_that_were_normalised_one_by_one_are_told_apart() {
    let mut frames = hums(240, 6);
    for window in frames.values.chunks_exact_mut(SHAPE.width) {
        let mean = window.iter().sum::<f32>() / SHAPE.width as f32;
        let deviation = (window.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / SHAPE.width as f32).sqrt();
        window.iter_mut().for_each(|v| *v = (*v - mean) / deviation.max(1e-6));
    }
    let model = fitted(config(), &frames);
    assert!(model.front_end.is_some());
    // The bands of a hum differ by nats; level and spread stay where they are.
    let prepared = model.prepare(&frames).unwrap().all().unwrap();
    let of_level = prepared.values.chunks_exact(10).flat_map(|features| &features[..2]);
    assert!(of_level.map(|v| v.abs()).fold(0.0, f32::max) < 0.1);
    let found = predict(&model, &frames, &Device::flex()).unwrap();
    let found = scores(&found.clusters, frames.labels.as_deref().unwrap());
    assert!(found.acc > 0.95, "{found:?}");
}

/// Whether the place of a sample in its window says something decides, and nothing else: no label is looked at.
#[test]
fn windows_that_begin_with_an_event_keep_their_samples() {
    let (streams, mut events) = (hums(240, 3), hums(240, 3));
    for window in events.values.chunks_exact_mut(SHAPE.width) {
        window.iter_mut().enumerate().for_each(|(t, v)| *v += 30.0 * (-(t as f32 - 15.0).powi(2) / 20.0).exp());
    }
    let of_place = |frames: &Frames| placed(frames).unwrap();
    assert!(of_place(&streams) < 0.02 && of_place(&events) > 0.2, "{} {}", of_place(&streams), of_place(&events));
    let told = |frames: &Frames, choice: FrontEndChoice| {
        let mut config = config();
        config.frontend = choice;
        (config.pretrain.steps, config.refine.steps) = (3.into(), 3.into());
        let config = config.check(frames.shape).unwrap();
        let mut said = None;
        let model = fit::fit(&config, frames, &Device::flex(), None, &mut |event| {
            if let Event::FrontEnd { spectral, .. } = event {
                said = Some(spectral);
            }
            ControlFlow::Continue(())
        });
        (said, model.unwrap().unwrap().front_end.is_some())
    };
    assert_eq!(told(&streams, FrontEndChoice::Auto), (Some(true), true));
    assert_eq!(told(&events, FrontEndChoice::Auto), (Some(false), false));
    assert_eq!(told(&streams, FrontEndChoice::None), (None, false));
    assert_eq!(told(&events, FrontEndChoice::Spectral), (None, true));
    // Rows and images have no spectrum, and neither has a window of a few samples.
    for (channels, height, width) in [(1, 1, 50), (1, 20, 20), (2, 1, 15), (2, 1, 4096)] {
        let config = Config { frontend: FrontEndChoice::Spectral, ..small() };
        assert!(config.check(FrameShape { channels, height, width }).is_err());
    }
}

/// Maps are of features, the same in trainer, ONNX and image; views of windows and of features both train.
#[test]
fn explanations_are_of_features() {
    let frames = hums(240, 4);
    let mut config = config();
    config.augment.kind = AugmentKind::Features;
    let model = fitted(config, &frames);
    let some = frames.select(&[0, 1, 2, 3, 4, 5]);
    let expected = explain(&model, &some, &Device::flex()).unwrap();
    let mut engine = Engine::from_bytes(&encode(&model, export::Precision::F32).unwrap(), Precision::F32).unwrap();
    engine.decoder_from_bytes(&encode_decoder(&model, export::Precision::F32).unwrap()).unwrap();
    for (n, expected) in expected.iter().enumerate() {
        let found = engine.explain(some.frame(n)).unwrap();
        assert_eq!(found.trust.len(), 30);
        close(&found.trust, &expected.trust, 1e-3, "trust");
        close(&found.contrast, &expected.contrast, 2e-3, "contrast");
        close(&found.reconstruction, &expected.reconstruction, 1e-3, "reconstruction");
    }
    let critic = critic::train(&model, &frames, &Device::flex(), &mut |_| ()).unwrap();
    let maps = critic.maps(&model, &some, &Device::flex()).unwrap();
    let image = encode_flash(&model.with_latent_novelty(), Some(&critic)).unwrap();
    close(&critic::native(&image, &some).unwrap(), &maps, 0.02, "trust of the image");
    assert!(!encode_critic(&model, &critic, export::Precision::F16).unwrap().is_empty());
}

#[test]
fn a_run_keeps_its_front_end() {
    let frames = hums(240, 5);
    let model = fitted(config(), &frames);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let source = Source { input: Vec::new(), sha256: fit::sha256_of(&frames).unwrap() };
    Run::create(&out, &model.config, &source).unwrap().save(&model).unwrap();
    let loaded = run::load(&out, &Device::flex()).unwrap();
    assert_eq!(loaded.front_end, model.front_end);
    let [a, b] = [&model, &loaded].map(|model| predict(model, &frames, &Device::flex()).unwrap().novelty);
    assert_eq!(a, b);
    let path = out.join("model.json");
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to) in [("\"length\": 64", "\"length\": 65"), ("\"length\": 64", "\"length\": 32")] {
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        assert!(run::load(&out, &Device::flex()).is_err());
    }
}

/// What a model was told of recordings is in its files, and what is no windowing of its frames is not written.
#[test]
fn files_say_how_windows_are_cut() {
    let frames = hums(240, 7);
    let mut config = config();
    (config.pretrain.steps, config.refine.steps) = (3.into(), 3.into());
    let plain = fitted(config, &frames);
    let cut = |window, hop, rate| {
        let (time, recording) = (None, None);
        let windows = Some(Windowing { window, hop, rate, time, recording, resampled: false });
        Fitted { manner: Some(Manner { windows, ..Manner::default() }), ..plain.clone() }
    };
    let found = |model: &Fitted| {
        let image = Buffer::copy_of(&encode_flash(&model.with_latent_novelty(), None).unwrap());
        let engine = Engine::from_bytes(&encode(model, export::Precision::F16).unwrap(), Precision::F32).unwrap();
        let found = FlashModel::new(&image).unwrap().windowing();
        assert_eq!(found, engine.windowing());
        found.map(|windowing| (windowing.hop(), windowing.rate()))
    };
    assert_eq!(found(&plain), None);
    assert_eq!(found(&cut(50, 25, None)), Some((25, None)));
    assert_eq!(found(&cut(50, 75, Some(12.5))), Some((75, Some(12.5))));
    for wrong in [cut(49, 25, None), cut(50, 0, None), cut(50, 25, Some(0.0)), cut(50, 25, Some(1e300))] {
        let refused = [encode(&wrong, export::Precision::F16), encode_flash(&wrong.with_latent_novelty(), None)];
        for error in refused.map(|refused| refused.unwrap_err().to_string()) {
            assert!(error.contains("windows"), "{error}");
        }
    }
    // A run keeps it.
    let (folder, model) = (tempfile::tempdir().unwrap(), cut(50, 25, Some(100.0)));
    let source = Source { input: Vec::new(), sha256: fit::sha256_of(&frames).unwrap() };
    Run::create(&folder.path().join("run"), &model.config, &source).unwrap().save(&model).unwrap();
    let loaded = run::load(&folder.path().join("run"), &Device::flex()).unwrap();
    assert_eq!(found(&loaded), Some((25, Some(100.0))));
    // Entries that make no sense are refused, whoever wrote them.
    let written = ModelProto::decode(&encode(&model, export::Precision::F16).unwrap()[..]).unwrap();
    let refused = |key: &str, value: Option<&str>| {
        let mut changed = written.clone();
        let at = changed.metadata_props.iter().position(|entry| entry.key == key).unwrap();
        match value {
            Some(value) => changed.metadata_props[at].value = value.into(),
            None => drop(changed.metadata_props.remove(at)),
        }
        let mut bytes = changed.encode_to_vec();
        assert!(checksum::write(&mut bytes));
        Engine::from_bytes(&bytes, Precision::F32).err().map(|error| error.to_string())
    };
    assert_eq!(refused(names::RATE_KEY, None), None);
    let wrong = [(names::HOP_KEY, Some("0")), (names::HOP_KEY, Some("x")), (names::HOP_KEY, None)];
    for (key, value) in wrong.into_iter().chain([(names::RATE_KEY, Some("-1")), (names::RATE_KEY, Some("NaN"))]) {
        assert!(refused(key, value).is_some_and(|error| error.contains("hop and rate")), "{key} {value:?}");
    }
}
