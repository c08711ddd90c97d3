//! `trainer calibrate`.

use std::path::PathBuf;

use trainer::data::{Input, Role};
use trainer::fit::recalibrate;
use trainer::{Result, run};

use super::on::On;

/// Calibrate novelty and confidence of a fitted model anew, from the frames that training kept aside
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer calibrate runs/mnist --data mnist/")]
pub struct Args {
    /// Run directory of a fit that has ended; its model.json is replaced, its weights are not
    run: PathBuf,
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    on: On,
}

impl Args {
    /// Calibrates the run, and prints what it is calibrated to.
    pub fn run(self) -> Result<()> {
        let device = self.on.device()?;
        let fitted = run::load(&self.run, &device)?;
        let frames = super::read(&self.input, Role::Fit, &fitted.expected())?.frames;
        let fitted = recalibrate(&fitted, &frames, &device)?;
        run::save_calibration(&self.run, &fitted)?;
        let (calibration, novelty) = (fitted.calibration, fitted.novelty);
        super::print_line(format!(
            "novelty threshold      {} nats, from {} held-out frames\n\
             weight of dispersion   {} nats\n\
             threshold, latent alone {} nats\n\
             temperature            {}",
            calibration.novelty_threshold,
            fitted.calibrated_on,
            novelty.dispersion_weight,
            novelty.latent_threshold,
            calibration.temperature
        ))
    }
}
