//! `trainer latents`.

use std::path::PathBuf;

use trainer::data::{Input, Role};
use trainer::eval::latents;
use trainer::files::write_atomically;
use trainer::run::{load, load_stage};
use trainer::stage::StageName;
use trainer::{Result, data::write_npy};

use super::on::On;

/// Write the latent means of frames, for a look or for other clustering programs
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer latents runs/mnist --data mnist/ --stage pretrain --out z.npy")]
pub struct Args {
    /// Run directory of a fit that has ended
    run: PathBuf,
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    on: On,
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
        let device = self.on.device()?;
        let fitted = match self.stage {
            Some(stage) => load_stage(&self.run, stage, &device)?,
            None => load(&self.run, &device)?,
        };
        let set = super::read(&self.input, self.part, &fitted.expected())?;
        super::range::tell(fitted.seen.as_ref(), &set)?;
        let frames = set.frames;
        let means = latents(&fitted, &frames, &device)?;
        write_atomically(&self.out, &write_npy(&means, fitted.config.latent)?)
    }
}
