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
    /// A GPU through CUDA (feature `cuda`).
    Cuda,
    /// A GPU through Vulkan with SPIR-V shaders (feature `vulkan`).
    Vulkan,
    /// A GPU through wgpu, with WGSL shaders unless the feature `vulkan` is on.
    Wgpu,
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
            Self::Cuda => "cuda",
            Self::Vulkan => "vulkan",
            Self::Wgpu => "wgpu",
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
    Ok(choose_many(choice, 1)?.0)
}

/// Picks the first of several devices of one kind, and all of them.
///
/// # Errors
/// [`Error::Resource`] if there are fewer.
pub fn choose_many(choice: Choice, count: usize) -> Result<(Chosen, Vec<Device>)> {
    // The backends in the order of preference; the same GPU may be behind several of them.
    let backends = match choice {
        Choice::Cpu => Vec::new(),
        Choice::Auto | Choice::Gpu => vec![Choice::Cuda, Choice::Vulkan, Choice::Wgpu],
        one => vec![one],
    };
    let found: Vec<Gpu> = backends.into_iter().map(gpus).find(|gpus| !gpus.is_empty()).unwrap_or_default();
    let (on_cpu, real): (Vec<Gpu>, Vec<Gpu>) = found.into_iter().partition(|gpu| gpu.computes_on_cpu);
    let gpus = match choice {
        Choice::Auto => real,
        _ if real.is_empty() => on_cpu,
        _ => real,
    };
    if gpus.is_empty() && matches!(choice, Choice::Auto | Choice::Cpu) {
        return match count {
            1 => Ok((cpu(), vec![Device::flex()])),
            _ => {
                Err(Error::resource("--devices", "the CPU is one device, which uses all threads; leave --devices out"))
            }
        };
    }
    if gpus.len() < count.max(1) {
        return Err(Error::resource(
            choice,
            match gpus.len() {
                0 => "no such GPU found; install its driver, build with the feature for it (default: wgpu; cuda, \
                      vulkan), or use --device cpu"
                    .to_owned(),
                there => format!("{there} found, --devices asks for {count}"),
            },
        ));
    }
    let devices = gpus.iter().take(count).map(|gpu| gpu.chosen.device.clone()).collect();
    let mut first = gpus.into_iter().next().map_or_else(cpu, |gpu| gpu.chosen);
    if count > 1 {
        first.name = format!("{count} of {}", first.name);
    }
    Ok((first, devices))
}

fn cpu() -> Chosen {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Chosen { device: Device::flex(), name: format!("CPU ({threads} threads)") }
}

struct Gpu {
    chosen: Chosen,
    computes_on_cpu: bool,
}

/// What a backend finds; nothing if it is not built in.
fn gpus(backend: Choice) -> Vec<Gpu> {
    match backend {
        #[cfg(feature = "cuda")]
        Choice::Cuda => found(burn::tensor::DeviceType::Cuda, backend),
        #[cfg(feature = "vulkan")]
        Choice::Vulkan => found(burn::tensor::DeviceType::Vulkan, backend),
        #[cfg(feature = "wgpu")]
        Choice::Wgpu => found(burn::tensor::DeviceType::Wgpu, backend),
        _ => Vec::new(),
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn found(kind: burn::tensor::DeviceType, backend: Choice) -> Vec<Gpu> {
    Device::enumerate(kind)
        .into_vec()
        .into_iter()
        .map(|device| {
            // Adapters of type CPU are software renderers such as lavapipe.
            let computes_on_cpu = format!("{device:?}").contains("Cpu");
            let name = device.identity().map_or_else(|| format!("{device:?}"), |identity| identity.name);
            Gpu { chosen: Chosen { name: format!("{name} ({backend})"), device }, computes_on_cpu }
        })
        .collect()
}
