//! The GPU backend trains as the CPU does: the same metrics, step by step, within rounding.
//!
//! Runs on any Vulkan driver, lavapipe (Debian's mesa-vulkan-drivers) included. Without one it is
//! skipped, unless REQUIRE_GPU is set, as the project's gate does.

#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

mod common;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use burn::tensor::Device;
use common::{IMAGE, patterns, small};
use trainer::device::{Choice, choose};
use trainer::fit::{Event, fit};

type Epochs = Vec<(&'static str, BTreeMap<&'static str, f32>)>;

fn epochs(device: &Device) -> Epochs {
    let mut config = small();
    (config.pretrain.steps, config.refine.steps) = (8, 8);
    let config = config.check().unwrap();
    let mut epochs = Vec::new();
    let fitted = fit(&config, &patterns(130, IMAGE, 1), device, &mut |event| {
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
    let gpu = match choose(Choice::Gpu) {
        Ok(gpu) => gpu,
        Err(error) if std::env::var_os("REQUIRE_GPU").is_none() => {
            eprintln!("skipped: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    eprintln!("comparing {} with the CPU", gpu.name);
    let (gpu, cpu) = (epochs(&gpu.device), epochs(&Device::flex()));
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
