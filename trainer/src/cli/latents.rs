//! `trainer latents`.

use std::path::PathBuf;

use burn::tensor::Device;
use trainer::data::{self, Role};
use trainer::eval::latents;
use trainer::files::write_atomically;
use trainer::run::{load, load_stage};
use trainer::stage::StageName;
use trainer::{Result, data::write_npy};

/// Write the latent means of frames, for a look or for other clustering programs
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer latents runs/mnist --data mnist/ --stage pretrain --out z.npy")]
pub struct Args {
    /// Run directory of a fit that has ended
    run: PathBuf,
    /// Frames [default: the embedded digits]
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Which part of a data set that has two
    #[arg(long, value_enum, default_value = "score")]
    part: Role,
    /// The encoder as it was after this stage [default: the fitted model]
    #[arg(long, value_enum)]
    stage: Option<StageName>,
    /// NumPy file to write, f32 [N,D]
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Args {
    /// Encodes the frames and writes their means.
    pub fn run(self) -> Result<()> {
        let frames = data::open(self.data.as_deref(), self.part)?;
        let device = Device::flex();
        let fitted = match self.stage {
            Some(stage) => load_stage(&self.run, stage, &device)?,
            None => load(&self.run, &device)?,
        };
        super::range::tell(fitted.seen.as_ref(), &frames, self.data.as_deref());
        let means = latents(&fitted, &frames, &device)?;
        write_atomically(&self.out, &write_npy(&means, fitted.config.latent)?)
    }
}
