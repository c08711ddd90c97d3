//! The amortised critic: near the exact map on frames it never saw, and the same in every engine.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/mod.rs"]
mod common;

use std::io::Cursor;
use std::ops::ControlFlow;

use burn::tensor::Device;
use common::{IMAGE, patterns, small};
use runtime::flash::{Buffer, CriticNetwork, FlashModel};
use runtime::onnx::checksum;
use tract_onnx::prelude::*;
use trainer::critic::{Critic, MAX_PARAMETERS, agreement, exact, factor, native, train};
use trainer::data::Frames;
use trainer::eval::latents;
use trainer::export::{Precision, encode_critic, encode_flash};
use trainer::fit;
use trainer::fitted::Fitted;
use trainer::frame::{FrameKind, FrameShape};

/// What the shipped critic has to reach on digits.
const R_SQUARED: f64 = 0.9;
/// Largest difference of a map's value from Burn's, by how the weights are.
const F32: f32 = 1e-4;
const F16_WEIGHTS: f32 = 2e-2;

/// A fitted model with its critic.
fn model(frames: &Frames) -> (Fitted, Critic) {
    let device = Device::flex();
    let config = small().check(frames.shape).unwrap();
    let fitted = fit(&config, frames, &device, None, &mut |_| ControlFlow::Continue(())).unwrap().unwrap();
    let critic = train(&fitted, frames, &device, &mut |_| ()).unwrap();
    (fitted, critic)
}

/// What tract makes of `critic.onnx`.
fn by_tract(fitted: &Fitted, critic: &Critic, frames: &Frames, precision: Precision) -> Vec<f32> {
    let bytes = encode_critic(fitted, critic, precision).unwrap();
    assert!(checksum::holds(&bytes));
    let (n, shape) = (frames.len(), frames.shape);
    let mu = latents(fitted, frames, &Device::flex()).unwrap();
    let dims = [n, shape.channels, shape.height, shape.width];
    let mut plan = onnx().model_for_read(&mut Cursor::new(bytes)).unwrap();
    plan.set_input_fact(0, f32::fact(dims).into()).unwrap();
    plan.set_input_fact(1, f32::fact([n, mu.len() / n]).into()).unwrap();
    let plan = plan.into_optimized().unwrap().into_runnable().unwrap();
    let x = Tensor::from_shape(&dims, &frames.values).unwrap();
    let mu = Tensor::from_shape(&[n, mu.len() / n], &mu).unwrap();
    let outputs = plan.run(tvec!(x.into(), mu.into())).unwrap();
    outputs[0].try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().to_vec()
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn check(training: &Frames, held_out: &Frames) {
    let (fitted, critic) = model(training);
    let device = Device::flex();
    assert!(critic.parameters() <= MAX_PARAMETERS, "{}", critic.parameters());
    let exact = exact(&fitted, held_out, &device).unwrap();
    let burn = critic.maps(&fitted, held_out, &device).unwrap();
    let found = agreement(&exact, &burn, held_out.shape.len());
    assert!(found.r_squared > R_SQUARED, "{found:?}");
    // It must know a frame from another: shuffled maps agree far less.
    let mut shifted = burn.clone();
    shifted.rotate_left(held_out.shape.len());
    assert!(agreement(&exact, &shifted, held_out.shape.len()).r_squared < 0.5);

    assert!(difference(&burn, &by_tract(&fitted, &critic, held_out, Precision::F32)) < F32);
    assert!(difference(&burn, &by_tract(&fitted, &critic, held_out, Precision::F16)) < F16_WEIGHTS);
    let image = encode_flash(&fitted.with_latent_novelty(), Some(&critic)).unwrap();
    assert!(difference(&burn, &native(&image, held_out).unwrap()) < F16_WEIGHTS);
    // Without it the image is the one it was.
    let plain = encode_flash(&fitted.with_latent_novelty(), None).unwrap();
    let (bytes, plain) = (Buffer::copy_of(&image), Buffer::copy_of(&plain));
    let (with, without) = (FlashModel::new(&bytes).unwrap(), FlashModel::new(&plain).unwrap());
    assert_eq!(with.layers().len(), without.layers().len());
    assert!(CriticNetwork::new(&with).unwrap().is_some() && CriticNetwork::new(&without).unwrap().is_none());
    assert!(native(&plain, held_out).is_err());
}

#[test]
fn images_of_probabilities() {
    check(&patterns(600, IMAGE, 1), &patterns(90, IMAGE, 2));
}

/// Three sensors, standardised, and a Gaussian decoder.
#[test]
fn windows_of_three_channels() {
    let shape = FrameShape { channels: 3, height: 1, width: 31 };
    let scaled = |seed, n| {
        let mut frames = patterns(n, shape, seed);
        frames.values.iter_mut().for_each(|v| *v = 20.0 * *v - 3.0);
        frames
    };
    check(&scaled(1, 600), &scaled(2, 90));
}

#[test]
fn r_squared_is_what_its_name_says() {
    let exact = [0.0, 1.0, 0.0, 1.0, 0.5, 0.5];
    assert_eq!(agreement(&exact, &exact, 2).r_squared, 1.0);
    // The second pair misses by 1/2 each: 0.5 of 1.0 in all, of its own 0.5 as well; the third varies not at all.
    let found = agreement(&exact, &[0.0, 1.0, 0.5, 0.5, 0.5, 0.5], 2);
    assert!((found.r_squared - 0.5).abs() < 1e-9 && (found.mean_of_frames - 0.5).abs() < 1e-9, "{found:?}");
}

#[test]
fn a_critic_that_would_be_too_large_is_refused() {
    let shape = |height, width| FrameShape { channels: 1, height, width };
    assert_eq!(factor(shape(28, 28), FrameKind::Image, 10).unwrap(), 2);
    assert_eq!(factor(shape(1, 128), FrameKind::Features, 10).unwrap(), 1);
    assert_eq!(factor(shape(1, 512), FrameKind::Window, 10).unwrap(), 3);
    let refused = factor(shape(1, 512), FrameKind::Features, 10).unwrap_err().to_string();
    assert!(refused.contains("20000"), "{refused}");
    assert!(factor(shape(256, 256), FrameKind::Image, 10).is_err());
}
