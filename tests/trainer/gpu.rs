//! The GPU backend computes what the CPU does: the same loss and gradients, and the same metrics in training.
//!
//! Runs on any Vulkan driver, lavapipe (Debian's mesa-vulkan-drivers) included. Without one it is
//! skipped, unless REQUIRE_GPU is set, as the project's gate does.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is the test's own message")]

#[path = "../common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use burn::module::{ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use common::{IMAGE, patterns, small};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use trainer::config::AugmentConfig;
use trainer::data::batches::Store;
use trainer::data::batches::{Drawn, DrawnViews};
use trainer::data::views::Views;
use trainer::data::views::{Augmentation, ImageMap};
use trainer::data::{Frames, Part, Preparation};
use trainer::device::{Kind, choose, choose_many};
use trainer::elbo::Terms;
use trainer::fit::{Event, fit};
use trainer::frame::FrameKind;
use trainer::model::{ClusterVae, Init, Likelihood};

/// The GPU, or None where there is none and none is required.
fn gpu() -> Option<Device> {
    match choose(Kind::Gpu.into()) {
        Ok(gpu) => {
            eprintln!("comparing {} with the CPU", gpu.name);
            Some(gpu.device)
        }
        Err(error) if std::env::var_os("REQUIRE_GPU").is_none() => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn more_gpus_than_there_are_are_refused() {
    if gpu().is_none() {
        return;
    }
    let refused = |choice: &str, count| choose_many(choice.parse().unwrap(), count).unwrap_err();
    for error in [refused("gpu", 1000), refused("gpu:999", 1)] {
        assert_eq!(error.exit_code(), 7);
        assert!(error.to_string().contains("found"), "{error}");
    }
    assert!(choose_many("gpu:0".parse().unwrap(), 1).is_ok());
}

/// Minus the bound of a batch and its gradient by every parameter, in the order of the model.
fn loss_and_gradients(device: &Device) -> (f32, Vec<Vec<f32>>) {
    struct Collect<'a>(&'a GradientsParams, Vec<Vec<f32>>);
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1.push(gradient.try_into_vec_as::<f32>().unwrap());
            }
        }
    }
    let device = &device.clone().autodiff();
    // Two convolutions, as in the default: Burn has a kernel of its own for all but the first.
    let config = small().set(&["encoder.channels=[4,6]".to_owned()]).unwrap().check(IMAGE).unwrap();
    let mut init = Init { rng: ChaCha8Rng::seed_from_u64(7), device };
    let model = ClusterVae::new(&config, IMAGE, Likelihood::Bernoulli, &mut init);
    let frames = patterns(64, IMAGE, 3).values;
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let noise: Vec<f32> = (0..64 * config.latent).map(|_| rng.sample(StandardNormal)).collect();
    let tensor = |values: &[f32], columns| Tensor::<1>::from_floats(values, device).reshape([64, columns]);
    let frames: Tensor<2> = tensor(&frames, IMAGE.len());

    let posterior = model.encoder.forward(frames.clone());
    let z = posterior.sample(tensor(&noise, config.latent));
    let log_likelihood = model.decoder.log_likelihood_all(frames, z);
    let alignment = model.alignment(&posterior);
    let log_q = model.log_responsibilities(&posterior);
    let loss = -Terms::new(log_q, log_likelihood, alignment, posterior.log_var_z).total().mean();
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    let mut collect = Collect(&gradients, Vec::new());
    burn::module::Module::visit(&model, &mut collect);
    (loss.into_scalar(), collect.1)
}

fn norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt()
}

#[test]
fn loss_and_gradients_are_those_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let ((gpu_loss, gpu), (cpu_loss, cpu)) = (loss_and_gradients(&gpu), loss_and_gradients(&Device::flex()));
    assert!((gpu_loss - cpu_loss).abs() < 1e-3 * cpu_loss.abs(), "{gpu_loss}, CPU {cpu_loss}");
    assert_eq!(gpu.len(), cpu.len());
    assert!(gpu.len() > 15, "{} parameters have gradients", gpu.len());
    let whole = norm(cpu.iter().flatten().copied());
    for (i, (gpu, cpu)) in gpu.iter().zip(&cpu).enumerate() {
        let difference = norm(gpu.iter().zip(cpu).map(|(a, b)| a - b));
        let size = norm(cpu.iter().copied());
        // The gradient of a bias before BatchNorm is 0 but for rounding, which has no relative size of its own: of the
        // terms that are added, which are of the size of the other gradients, each sum keeps 2⁻²³.
        let nothing = 1e-6 * whole;
        let most = if size < nothing { nothing } else { 1e-3 * size.max(1e-4 * whole) };
        assert!(difference < most, "parameter {i}: differs by {difference}, norm {size}");
    }
}

fn store<'a>(frames: &'a Frames, device: &Device) -> Store<'a> {
    Store::new(Part::all(frames, Preparation::default()), device).unwrap()
}

#[test]
fn batches_made_on_the_gpu_are_those_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let frames = patterns(50, IMAGE, 1);
    let family = Augmentation::new(&AugmentConfig::default(), IMAGE, FrameKind::Image, 1.0);
    let maps = Views::Maps(family.clone());
    let (on_gpu, on_cpu) = (store(&frames, &gpu), store(&frames, &Device::flex()));
    assert!(on_gpu.makes(&maps) && !on_cpu.makes(&maps));
    let values = |store: &Store<'_>, views: DrawnViews| {
        let noise = TensorData::new(vec![0f32; 4], [4, 1]);
        let drawn = Drawn { frames: vec![7, 49, 0, 7], values: None, views, noise, gumbel: None, groups: None };
        let batch = store.batch(drawn).unwrap();
        [Some(batch.frames), batch.views].map(|rows| rows.map(|rows| rows.try_into_vec_as::<f32>().unwrap()))
    };
    let map = |seed| ImageMap::draw(&family, &mut ChaCha8Rng::seed_from_u64(seed));
    let drawn: [&dyn Fn() -> DrawnViews; 4] = [
        &|| DrawnViews::None,
        &|| DrawnViews::Frames(vec![3, 4, 5, 6]),
        &|| DrawnViews::Values(frames.values[..4 * IMAGE.len()].to_vec()),
        &|| DrawnViews::Maps((0..8).map(map).collect()),
    ];
    for (case, drawn) in drawn.iter().enumerate() {
        let (gpu, cpu) = (values(&on_gpu, drawn()), values(&on_cpu, drawn()));
        assert_eq!(gpu[1].is_some(), case > 0);
        assert_eq!(gpu[0], cpu[0]);
        for (a, b) in gpu[1].iter().flatten().zip(cpu[1].iter().flatten()) {
            assert!((a - b).abs() < 1e-4, "case {case}: {a}, CPU {b}");
        }
        assert_eq!(gpu[1].as_ref().map(Vec::len), cpu[1].as_ref().map(Vec::len));
    }
}

type Epochs = Vec<(trainer::stage::StageName, BTreeMap<&'static str, f32>)>;

fn epochs(device: &Device) -> Epochs {
    let mut config = small();
    (config.pretrain.steps, config.refine.steps) = (8.into(), 8.into());
    let config = config.check(IMAGE).unwrap();
    let mut epochs = Vec::new();
    let fitted = fit(&config, &patterns(130, IMAGE, 1), device, None, &mut |event| {
        if let Event::Epoch(epoch) = event {
            epochs.push((epoch.stage, epoch.values.clone()));
        }
        ControlFlow::Continue(())
    });
    assert!(fitted.unwrap().is_some());
    epochs
}

#[test]
fn the_gpu_trains_as_the_cpu_does() {
    let Some(gpu) = gpu() else { return };
    let (gpu, cpu) = (epochs(&gpu), epochs(&Device::flex()));
    assert_eq!(gpu.len(), cpu.len());
    for ((stage, gpu), (_, cpu)) in gpu.iter().zip(&cpu) {
        for (name, expected) in cpu {
            let found = gpu[name];
            assert!(
                (found - expected).abs() < 2e-3 * (1.0 + expected.abs()),
                "{stage} {name}: {found}, CPU {expected}"
            );
        }
    }
}
