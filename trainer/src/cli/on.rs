//! Where a verb computes that trains nothing.

use std::path::Path;

use burn::tensor::Device;
use trainer::device::{self, Choice, Kind};
use trainer::{Error, Result};

/// The device that a verb computes on.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct On {
    /// Where to compute: cpu, auto, gpu, cuda, vulkan or wgpu; cuda:1 is the second GPU
    #[arg(long, value_name = "KIND[:N]", default_value_t = Kind::Cpu.into())]
    device: Choice,
}

impl std::fmt::Display for On {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.device.fmt(f)
    }
}

impl On {
    /// The device; told where it is not the CPU.
    ///
    /// # Errors
    /// [`Error::Resource`] if there is no such device.
    pub fn device(self) -> Result<Device> {
        let chosen = device::choose(self.device)?;
        if self.device.kind != Kind::Cpu {
            eprintln!("computing on {}", chosen.name);
        }
        Ok(chosen.device)
    }

    /// Refuses a GPU for a model in a file, whose engines compute on the CPU.
    ///
    /// # Errors
    /// [`Error::Config`] if one was asked for.
    pub fn check_engine(self, model: &Path) -> Result<()> {
        if matches!(self.device, Choice { kind: Kind::Cpu | Kind::Auto, first: 0 }) {
            return Ok(());
        }
        let problem = format!("{}: engines of files compute on the CPU; give the run directory", model.display());
        Err(Error::config("--device", problem))
    }
}
