//! Where training runs.

use burn::tensor::Device;

use crate::error::{Error, Result};

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// A GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU; also a Vulkan driver that computes on the CPU, if there is nothing else.
    Gpu,
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
        })
    }
}

/// A device and what to call it.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The device, without gradient tracking.
    pub device: Device,
    /// Name for people.
    pub name: String,
}

/// Picks the device.
///
/// # Errors
/// [`Error::Resource`] if a GPU is asked for and there is none.
pub fn choose(choice: Choice) -> Result<Chosen> {
    match choice {
        Choice::Cpu => Ok(cpu()),
        Choice::Auto => Ok(gpus().into_iter().find(|gpu| !gpu.computes_on_cpu).map_or_else(cpu, |gpu| gpu.chosen)),
        Choice::Gpu => {
            let mut gpus = gpus();
            gpus.sort_by_key(|gpu| gpu.computes_on_cpu);
            gpus.into_iter().next().map(|gpu| gpu.chosen).ok_or_else(|| {
                Error::resource(
                    "GPU",
                    "none found; install its Vulkan driver, build with the default features, or use --device cpu",
                )
            })
        }
    }
}

fn cpu() -> Chosen {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Chosen { device: Device::flex(), name: format!("CPU ({threads} threads)") }
}

struct Gpu {
    chosen: Chosen,
    computes_on_cpu: bool,
}

#[cfg(feature = "wgpu")]
fn gpus() -> Vec<Gpu> {
    Device::enumerate(burn::tensor::DeviceType::Wgpu)
        .into_vec()
        .into_iter()
        .map(|device| {
            // Adapters of type CPU are software renderers such as lavapipe.
            let computes_on_cpu = format!("{device:?}").contains("Cpu");
            let name = device.identity().map_or_else(|| format!("{device:?}"), |identity| identity.name);
            Gpu { chosen: Chosen { name: format!("{name} (wgpu)"), device }, computes_on_cpu }
        })
        .collect()
}

#[cfg(not(feature = "wgpu"))]
fn gpus() -> Vec<Gpu> {
    Vec::new()
}
