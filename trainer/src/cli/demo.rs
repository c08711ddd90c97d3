//! `trainer demo`: the whole way on the embedded digits.

use std::time::Instant;

use trainer::Result;
use trainer::config::Config;
use trainer::data::{Input, Role};
use trainer::eval::{Predictions, assign, bound, predict, scores};
use trainer::export::{Precision, export, figures};
use trainer::run::metrics;

use super::fit::Training;

/// Fit, export and label the embedded digits: everything at once
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer demo --seed 1")]
pub struct Args {
    #[command(flatten)]
    training: Training,
}

impl Args {
    /// Fits, exports and labels the embedded digits, and prints how it went.
    pub fn run(self) -> Result<()> {
        let started = Instant::now();
        let config = self.training.configure(Config::demo())?;
        let devices = self.training.devices()?;
        let device = &devices.0;
        let input = Input::default();
        let (set, config) = super::fit::frames_for(&input, config)?;
        let held_out = input.open(Role::Score)?.frames;
        let (fitted, run) = self.training.train(&config, &set, &input, &devices, "demo")?;
        let trained = started.elapsed();

        let figures = metrics(run.folder())?.as_ref().and_then(figures);
        let exported = export(
            &fitted.with_latent_novelty(),
            None,
            Precision::F16,
            &run.folder().join("export"),
            figures.as_deref(),
        )?;
        eprintln!("labelling {} held-out digits with {}", held_out.len(), exported.onnx.display());
        let assignments = assign(&exported.onnx, &held_out)?;
        let on_device = Predictions::from(&assignments[..]);
        let in_training = predict(&fitted, &held_out, &device.device)?;
        let (agreement, difference) = in_training.agreement(&on_device);
        let report = bound(&fitted, &held_out, 1, &device.device)?;
        let page = super::report::write(&fitted, run.folder(), &input, None, &device.device)?;
        let novel = assignments.iter().filter(|a| a.is_novel).count();

        let labels = held_out.labels.as_deref().unwrap_or_default();
        let s = scores(&on_device.clusters, labels);
        super::print_line(format!(
            "\nheld-out digits {}, labelled by the exported model in runtime (tract)\n\
             ACC {:.4}  NMI {:.4}  ARI {:.4}",
            s.n, s.acc, s.nmi, s.ari
        ))?;
        super::print_line(super::eval::terms(&report))?;
        super::print_line(format!(
            "same cluster as the trained model on {:.2} % of them, responsibilities within {difference:.1e}\n\
             called novel: {novel} of {} (calibrated for {:.1} % of ordinary frames)\n\
             time: training {:.0} s, all {:.0} s, on {}\n",
            100.0 * agreement,
            s.n,
            100.0 * config.novelty.false_alarm_rate,
            trained.as_secs_f64(),
            started.elapsed().as_secs_f64(),
            device.name
        ))?;
        for (what, path) in [
            ("report, open in a browser", page),
            ("model for the device", exported.onnx.clone()),
            ("flash image", exported.flash.clone()),
            ("its card", exported.card.clone()),
            ("decoder, for the curious", exported.decoder.clone()),
            ("weights", run.folder().join("weights.bpk")),
            ("metrics, a line an epoch", run.folder().join("metrics.jsonl")),
            ("configuration", run.folder().join("config.toml")),
        ] {
            let size = std::fs::metadata(&path).map_or(0, |m| m.len());
            super::print_line(format!("{what:<26} {:>9} bytes  {}", size, path.display()))?;
        }
        Ok(())
    }
}
