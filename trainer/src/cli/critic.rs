//! `trainer critic`.

use std::path::PathBuf;

use indicatif::ProgressBar;
use trainer::critic::{STEPS, agreement, exact, native, train};
use trainer::data::{Input, Role};
use trainer::export::encode_flash;
use trainer::{Result, run};

use super::on::On;

/// Train the amortised critic of a fitted model, and measure it
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer critic runs/mnist --data mnist/ && trainer export runs/mnist")]
pub struct Args {
    /// Run directory of a fit that has ended; gets critic.bpk and critic.json
    run: PathBuf,
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    on: On,
}

impl Args {
    /// Trains the critic, saves it, and prints how near it comes to the exact map.
    pub fn run(self) -> Result<()> {
        let device = self.on.device()?;
        let fitted = run::load(&self.run, &device)?;
        let frames = super::read(&self.input, Role::Fit, &fitted.expected())?.frames;
        let bar = ProgressBar::new(STEPS as u64);
        let critic = train(&fitted, &frames, &device, &mut |step| bar.set_position(step as u64))?;
        bar.finish_and_clear();
        run::save_critic(&self.run, &critic)?;
        let frames = super::read(&self.input, Role::Score, &fitted.expected())?.frames;
        let p = fitted.inner_shape().len();
        let exact = exact(&fitted, &frames, &device)?;
        let trained = agreement(&exact, &critic.maps(&fitted, &frames, &device)?, p);
        let parameters = critic.parameters();
        let on_device =
            agreement(&exact, &native(&encode_flash(&fitted.with_latent_novelty(), Some(&critic))?, &frames)?, p);
        super::print_line(format!(
            "critic of {parameters} parameters, against the exact H1 of {} frames\n\
             R² over all values   {:.4} (f32), {:.4} (native engine, f16)\n\
             mean R² of a frame   {:.4} (f32), {:.4} (native engine, f16)",
            frames.len(),
            trained.r_squared,
            on_device.r_squared,
            trained.mean_of_frames,
            on_device.mean_of_frames
        ))
    }
}
