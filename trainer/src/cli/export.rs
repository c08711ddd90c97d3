//! `trainer export`.

use std::path::PathBuf;

use burn::tensor::Device;
use trainer::export::{Precision, export, figures};
use trainer::{Result, run};

/// Write the files of a fitted model for the device
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer export runs/1 --out models/mine --precision f16")]
pub struct Args {
    /// Run directory of `trainer fit`
    run: PathBuf,
    /// Where to write model.onnx, model.cvi, decoder.onnx and MODEL_CARD.md [default: RUN/export]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How the weights of the ONNX files are stored; the flash image has f16
    #[arg(long, value_enum, default_value_t)]
    precision: Precision,
}

impl Args {
    /// Writes the files for the device, and prints where they are.
    pub fn run(self) -> Result<()> {
        let device = Device::flex();
        let fitted = run::load(&self.run, &device)?;
        let critic = run::load_critic(&self.run, &fitted, &device)?;
        let folder = self.out.unwrap_or_else(|| self.run.join("export"));
        let figures = run::metrics(&self.run)?.as_ref().and_then(figures);
        let exported = export(&fitted, critic.as_ref(), self.precision, &folder, figures.as_deref())?;
        eprintln!("{} bytes; card: {}", exported.onnx_bytes, exported.card.display());
        super::print_line(exported.onnx.display())
    }
}
