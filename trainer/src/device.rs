//! Where training runs.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::ValueEnum;

use crate::error::{Error, Result};

/// Kind of device to train on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
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

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}

/// Device that the user asked for: `cuda`, or `cuda:1` for the second of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Kind of the device.
    pub kind: Kind,
    /// Number of the device among those of its kind, from 0.
    pub first: usize,
}

impl From<Kind> for Choice {
    fn from(kind: Kind) -> Self {
        Self { kind, first: 0 }
    }
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.first {
            0 => self.kind.fmt(f),
            first => write!(f, "{}:{first}", self.kind),
        }
    }
}

impl std::str::FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (kind, first) = text.split_once(':').unwrap_or((text, "0"));
        let known = || Kind::value_variants().iter().map(Kind::to_string).collect::<Vec<_>>().join(", ");
        let kind = Kind::from_str(kind, false).map_err(|_| format!("expected one of {}, or cuda:1", known()))?;
        let first = first.parse().map_err(|_| format!("{first:?} is not a device's number, as in cuda:1"))?;
        Ok(Self { kind, first })
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

/// Picks the device that was asked for.
///
/// # Errors
/// [`Error::Resource`] if a GPU is asked for and there is none.
pub fn choose(choice: Choice) -> Result<Chosen> {
    Ok(choose_many(choice, 1)?.0)
}

/// Picks several devices of one kind, from the one that was asked for on: the first, and all of
/// them.
///
/// # Errors
/// [`Error::Resource`] if there are fewer, or more than one CPU is asked for.
pub fn choose_many(choice: Choice, count: usize) -> Result<(Chosen, Vec<Device>)> {
    let Choice { kind, first } = choice;
    // The backends in the order of preference; the same GPU may be behind several of them.
    let backends = match kind {
        Kind::Cpu => Vec::new(),
        Kind::Auto | Kind::Gpu => vec![Kind::Cuda, Kind::Vulkan, Kind::Wgpu],
        one => vec![one],
    };
    let found: Vec<Gpu> = backends.into_iter().map(gpus).find(|gpus| !gpus.is_empty()).unwrap_or_default();
    let (on_cpu, real): (Vec<Gpu>, Vec<Gpu>) = found.into_iter().partition(|gpu| gpu.computes_on_cpu);
    let gpus = match kind {
        Kind::Auto => real,
        _ if real.is_empty() => on_cpu,
        _ => real,
    };
    if gpus.is_empty() && matches!(kind, Kind::Auto | Kind::Cpu) {
        return match (first, count) {
            (0, 1) => Ok((cpu(), vec![Device::flex()])),
            _ => Err(Error::resource(
                "--device, --devices",
                "the CPU is one device, which uses all threads; leave the number out",
            )),
        };
    }
    if gpus.len() < first + count.max(1) {
        let problem = match (gpus.len(), first) {
            (0, _) if !built_in(kind) => {
                format!("this build has no such backend; {}, or use --device cpu", build_for(kind))
            }
            (0, _) => {
                "no such GPU found; install its driver (for cuda also the toolkit, or name its folder in CUDA_PATH), \
                       build with the feature for another backend (wgpu, cuda, vulkan), or use --device cpu"
                    .to_owned()
            }
            (there, 0) => format!("{there} found, {count} asked for"),
            (there, _) => format!("{there} found, {count} asked for from number {first} on, counted from 0"),
        };
        return Err(Error::resource(format!("--device {choice}"), problem));
    }
    let mut chosen = gpus.into_iter().skip(first).map(|gpu| gpu.chosen);
    let mut one = chosen.next().unwrap_or_else(cpu);
    let devices = std::iter::once(one.device.clone()).chain(chosen.map(|gpu| gpu.device)).take(count).collect();
    if count > 1 {
        one.name = format!("{count} of {}", one.name);
    }
    Ok((one, devices))
}

/// The CPU with all its threads.
fn cpu() -> Chosen {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Chosen { device: Device::flex(), name: format!("CPU ({threads} threads)") }
}

/// Whether the build has the backend, or any of them.
const fn built_in(kind: Kind) -> bool {
    match kind {
        Kind::Auto | Kind::Gpu => cfg!(any(feature = "wgpu", feature = "cuda")),
        Kind::Cuda => cfg!(feature = "cuda"),
        Kind::Vulkan => cfg!(feature = "vulkan"),
        Kind::Wgpu => cfg!(feature = "wgpu"),
        Kind::Cpu => true,
    }
}

fn build_for(kind: Kind) -> String {
    let feature = match kind {
        Kind::Cuda | Kind::Vulkan => kind,
        _ => Kind::Wgpu,
    };
    format!("`cargo run --release -p trainer --features {feature} -- ...` builds one that has it")
}

/// What to tell who left the choice to the program, on a machine with a GPU and in a build without a backend for one.
pub fn unused_gpu(choice: Choice) -> Option<String> {
    if choice.kind != Kind::Auto || built_in(choice.kind) {
        return None;
    }
    let gpu = shown(Path::new("/"))?;
    Some(format!("this build trains on the CPU; for the GPU ({gpu}): {}", build_for(choice.kind)))
}

/// Where the system shows a GPU, without a backend to ask.
fn shown(root: &Path) -> Option<String> {
    if cfg!(target_os = "macos") {
        return Some("Metal".to_owned());
    }
    // The driver of NVIDIA, of AMD for computing, of Windows below Linux; then what draws by itself.
    let mut places = ["dev/nvidia0", "dev/kfd", "dev/dxg", "Windows/System32/nvcuda.dll"].map(PathBuf::from).to_vec();
    places.extend((128..136).map(|node| Path::new("dev/dri").join(format!("renderD{node}"))));
    places
        .into_iter()
        .map(|place| root.join(place))
        .find(|place| place.exists())
        .map(|place| place.display().to_string())
}

/// A device that a backend has found, and whether it is a driver that computes on the CPU.
struct Gpu {
    chosen: Chosen,
    computes_on_cpu: bool,
}

/// GPUs that a backend finds; none if it is not built in.
fn gpus(backend: Kind) -> Vec<Gpu> {
    match backend {
        #[cfg(feature = "cuda")]
        Kind::Cuda if has_cuda_headers() => found(burn::tensor::DeviceType::Cuda, backend),
        #[cfg(feature = "vulkan")]
        Kind::Vulkan => found(burn::tensor::DeviceType::Vulkan, backend),
        #[cfg(feature = "wgpu")]
        Kind::Wgpu => found(burn::tensor::DeviceType::Wgpu, backend),
        _ => Vec::new(),
    }
}

/// Whether the headers are where Burn looks for them; it panics at the first kernel if they are
/// not.
#[cfg(feature = "cuda")]
fn has_cuda_headers() -> bool {
    let usual = || ["/usr/local/cuda", "/opt/cuda", "/usr"].map(Into::into).to_vec();
    let roots = std::env::var_os("CUDA_PATH").map_or_else(usual, |path| vec![PathBuf::from(path)]);
    roots.iter().any(|root| root.join("include/cuda_runtime.h").exists())
}

/// GPUs of a backend that is built in.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn found(kind: burn::tensor::DeviceType, backend: Kind) -> Vec<Gpu> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(target_os = "macos"))]
    fn a_gpu_is_seen_by_its_driver() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(shown(root.path()), None);
        for place in ["dev/dri/renderD129", "dev/nvidia0"] {
            let place = root.path().join(place);
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(&place, "").unwrap();
            assert_eq!(shown(root.path()), Some(place.display().to_string()));
        }
        assert_eq!(unused_gpu(Kind::Cpu.into()), None);
    }

    #[test]
    fn the_build_for_a_backend_is_named() {
        for (kind, feature) in [(Kind::Gpu, "wgpu"), (Kind::Cuda, "cuda"), (Kind::Vulkan, "vulkan")] {
            let error = choose(kind.into()).err().filter(|_| !built_in(kind));
            let wanted = format!("-p trainer --features {feature} -- ");
            assert!(error.is_none_or(|e| e.exit_code() == 7 && e.to_string().contains(&wanted)), "{kind}");
        }
    }
}
