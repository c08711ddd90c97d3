//! Pictures without their colours, from training to the device: the trainer, the graph, tract and the native engine see the
//! same shades.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "only its settings are used")]
mod common;
#[path = "../common/graph.rs"]
mod graph;

use std::ops::ControlFlow;

use burn::tensor::Device;
use common::small;
use graph::{close, of_graph};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::flash::{Buffer, FlashModel};
use runtime::onnx::names;
use runtime::{Engine, Precision, native};
use trainer::config::{Config, FrontEndChoice};
use trainer::data::{Frames, Source};
use trainer::eval::{predict, scores};
use trainer::explain::explain;
use trainer::export::{self, encode, encode_decoder, encode_flash};
use trainer::fit::{self, Event};
use trainer::fitted::Fitted;
use trainer::frame::FrameShape;

const SHAPE: FrameShape = FrameShape { channels: 3, height: 12, width: 12 };

/// A bar, a block or a frame, in one colour on another: any two, or those of its class.
fn signs(n: usize, seed: u64, colours: Option<[[f32; 3]; 3]>) -> Frames {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for i in 0..n {
        let class = i % 3;
        labels.push(class as u32);
        let [x, y]: [i32; 2] = std::array::from_fn(|_| rng.random_range(-1..=1));
        let mut colour = || std::array::from_fn(|_| rng.random::<f32>());
        let (mut paper, mut pen): ([f32; 3], [f32; 3]) = (colour(), colour());
        while paper.iter().zip(&pen).all(|(a, b)| (a - b).abs() < 0.4) {
            (paper, pen) = (colour(), colour());
        }
        if let Some(colours) = colours {
            (paper, pen) = (colours[class], colours[class].map(|v| 1.0 - v));
        }
        for c in 0..3 {
            for (row, column) in (0..12).flat_map(|row| (0..12).map(move |column| (row - 6 + y, column - 6 + x))) {
                let inside = match class {
                    0 => row.abs() < 1 && column.abs() < 5,
                    1 => row.abs() < 3 && column.abs() < 2,
                    _ => row.abs().max(column.abs()) == 4,
                };
                values.push(if inside { pen[c] } else { paper[c] } + 0.02 * (rng.random::<f32>() - 0.5));
            }
        }
    }
    values.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
    Frames { shape: SHAPE, values, labels: Some(labels) }
}

fn config() -> Config {
    let mut config = small();
    (config.pretrain.steps, config.refine.steps) = (500.into(), 400.into());
    config
}

/// The model, and what was said of colours.
fn fitted(config: Config, frames: &Frames) -> (Fitted, Option<bool>) {
    let config = config.check(frames.shape).unwrap();
    let mut said = None;
    let model = fit::fit(&config, frames, &Device::flex(), None, &mut |event| {
        if let Event::Tone { tone, .. } = event {
            said = Some(tone);
        }
        ControlFlow::Continue(())
    });
    (model.unwrap().unwrap(), said)
}

#[test]
fn signs_in_any_colours_are_told_apart_by_every_engine() {
    let frames = signs(300, 1, None);
    let (model, said) = fitted(config(), &frames);
    assert_eq!((said, model.inner_shape()), (Some(true), FrameShape { channels: 1, ..SHAPE }));
    let expected = predict(&model, &frames, &Device::flex()).unwrap();
    let found = |clusters: &[usize]| scores(clusters, frames.labels.as_deref().unwrap()).acc;
    let with_colours = fitted(Config { frontend: FrontEndChoice::None, ..config() }, &frames).0;
    let with_colours = predict(&with_colours, &frames, &Device::flex()).unwrap();
    let (shades, colours) = (found(&expected.clusters), found(&with_colours.clusters));
    assert!(shades > 0.8 && colours < 0.6, "{shades} {colours}");
    let shades = model.prepare(&frames).unwrap().all().unwrap().values;
    for precision in [export::Precision::F32, export::Precision::F16] {
        let bytes = encode(&model, precision).unwrap();
        close(&of_graph(&bytes, &frames, names::FEATURES), &shades, 1e-4, "shades of the graph");
        let tolerance = if precision == export::Precision::F32 { 1e-3 } else { 0.02 };
        close(&of_graph(&bytes, &frames, names::NOVELTY), &expected.novelty, tolerance, "novelty of the graph");
        for arithmetic in [Precision::F32, Precision::F16, Precision::Fused] {
            let mut engine = Engine::from_bytes(&bytes, arithmetic).unwrap();
            assert_eq!((engine.shape().len(), engine.input_shape().len()), (432, 144));
            let all = engine.assign_batch(&frames.values).unwrap();
            let same = all.iter().zip(&expected.clusters).filter(|(a, c)| a.cluster == **c).count();
            assert!(same >= 299, "{precision:?} {arithmetic:?}: {same}");
        }
    }
    let card = export::card(&model, export::Precision::F16, None).unwrap();
    assert!(card.contains("[N,3,12,12] f32, pictures") && card.contains("own main colour"), "{card}");
    let bytes = Buffer::copy_of(&encode_flash(&model.with_latent_novelty(), None).unwrap());
    let image = FlashModel::new(&bytes).unwrap();
    let mut scratch = vec![f32::NAN; native::scratch_len(&image)];
    let mut engine = native::Engine::new(image, &mut scratch).unwrap();
    engine.self_test().unwrap();
    let same = (0..300).filter(|&n| engine.assign(frames.frame(n)).unwrap().cluster == expected.clusters[n]).count();
    assert!(same >= 299, "{same}");
    let decoder = encode_decoder(&model, export::Precision::F32).unwrap();
    let mut engine = Engine::from_bytes(&encode(&model, export::Precision::F32).unwrap(), Precision::F32).unwrap();
    engine.decoder_from_bytes(&decoder).unwrap();
    let some = frames.select(&[0, 1, 2]);
    for (n, expected) in explain(&model, &some, &Device::flex()).unwrap().iter().enumerate() {
        let found = engine.explain(some.frame(n)).unwrap();
        assert_eq!(found.contrast.len(), 144);
        close(&found.contrast, &expected.contrast, 2e-3, "contrast");
    }
}

/// Colours that are clusters stay, and so do those that are little of how pictures differ; no label is looked at.
#[test]
fn colours_that_say_something_stay() {
    let told = |frames: &Frames, choice: FrontEndChoice| {
        let mut config = config();
        config.frontend = choice;
        (config.pretrain.steps, config.refine.steps) = (3.into(), 3.into());
        let (model, said) = fitted(config, frames);
        (said, model.front_end.is_some())
    };
    let any = signs(300, 2, None);
    let own = signs(300, 3, Some([[0.9, 0.1, 0.1], [0.1, 0.8, 0.2], [0.2, 0.1, 0.7]]));
    let white = signs(300, 4, Some([[0.0; 3]; 3]));
    assert_eq!(told(&any, FrontEndChoice::Auto), (Some(true), true));
    assert_eq!(told(&own, FrontEndChoice::Auto), (Some(false), false));
    assert_eq!(told(&white, FrontEndChoice::Auto), (None, false));
    assert_eq!(told(&any, FrontEndChoice::None), (None, false));
    assert_eq!(told(&white, FrontEndChoice::Tone), (None, true));
    for (channels, height, width) in [(1, 1, 50), (5, 20, 20)] {
        let config = Config { frontend: FrontEndChoice::Tone, ..small() };
        assert!(config.check(FrameShape { channels, height, width }).is_err());
    }
}
