//! `trainer export`.

use std::path::PathBuf;

use burn::tensor::Device;
use trainer::export::{Precision, export, figures};
use trainer::{Error, Result, run};

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
    /// What novelty counts in all files
    #[arg(long, value_enum, default_value_t)]
    novelty: NoveltyChoice,
}

/// What novelty counts in the exported files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum NoveltyChoice {
    /// The latent alone: the smallest files, and the fastest
    #[default]
    Latent,
    /// Latent and decoder, as reports and `trainer quality`: sees more, and takes the decoder to the device
    Decoder,
}

impl Args {
    /// Writes the files for the device, and prints where they are.
    pub fn run(self) -> Result<()> {
        let device = Device::flex();
        let fitted = match (run::load(&self.run, &device)?, self.novelty) {
            (fitted, NoveltyChoice::Latent) => fitted.with_latent_novelty(),
            (fitted, NoveltyChoice::Decoder) if fitted.novelty.dispersion_weight > 0.0 => fitted,
            (_, NoveltyChoice::Decoder) => {
                let problem =
                    "its novelty counts no decoder; `trainer calibrate` gives older runs one, but not a linear encoder";
                return Err(Error::model(&self.run, problem));
            }
        };
        let critic = run::load_critic(&self.run, &fitted, &device)?;
        let folder = self.out.unwrap_or_else(|| self.run.join("export"));
        let figures = run::metrics(&self.run)?.as_ref().and_then(figures);
        let exported = export(&fitted, critic.as_ref(), self.precision, &folder, figures.as_deref())?;
        eprintln!("{} bytes; card: {}", exported.onnx_bytes, exported.card.display());
        super::print_line(exported.onnx.display())
    }
}
