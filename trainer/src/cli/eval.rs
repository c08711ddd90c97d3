//! `trainer eval`.

use std::path::PathBuf;

use burn::tensor::Device;
use serde::Serialize;
use trainer::data::{self, Role};
use trainer::eval::{BoundReport, Predictions, Scores, assign, bound, predict, scores};
use trainer::{Result, run};

/// Score a model: against labels, and by its bound
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  trainer eval runs/1 --data mnist/ --json\n  trainer eval models/digits.onnx --data mnist/"
)]
pub struct Args {
    /// Run directory, or ONNX file (which has no decoder, hence no bound)
    model: PathBuf,
    /// Frames to score on; a folder's t10k- files [default: the embedded digits held out]
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    n: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    scores: Option<Scores>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bound: Option<BoundReport>,
}

impl Args {
    /// Scores.
    pub fn run(self) -> Result<()> {
        let frames = data::open(self.data.as_deref(), Role::Score)?;
        let (predictions, bound) = if self.model.is_dir() {
            let device = Device::flex();
            let fitted = run::load(&self.model, &device)?;
            (predict(&fitted, &frames, &device)?, Some(bound(&fitted, &frames, &device)?))
        } else {
            (Predictions::from(&assign(&self.model, &frames)?[..]), None)
        };
        let scores = frames.labels.as_ref().map(|labels| scores(&predictions.clusters, labels));
        let report = Report { n: frames.len(), scores, bound };
        if self.json { super::print_json(&report) } else { print(&report) }
    }
}

fn print(report: &Report) -> Result<()> {
    super::print_line(format!("n    {}", report.n))?;
    match &report.scores {
        Some(s) => super::print_line(format!("ACC  {:.4}\nNMI  {:.4}\nARI  {:.4}", s.acc, s.nmi, s.ari))?,
        None => super::print_line("no labels, so no ACC, NMI, ARI")?,
    }
    match &report.bound {
        Some(b) => super::print_line(terms(b)),
        None => super::print_line("no decoder in an ONNX file, so no ELBO: give the run directory"),
    }
}

/// The bound and its terms, a line each.
pub fn terms(b: &BoundReport) -> String {
    format!(
        "ELBO (6.1)              {:>9.3} nats a frame\n\
         + reconstruction        {:>9.3}\n\
         + latent alignment      {:>9.3}\n\
         - KL(q(c|x) || p(c))    {:>9.3}\n\
         + latent entropy        {:>9.3}\n\
         I(x;c)                  {:>9.3}\n\
         H(mean q(c|x))          {:>9.3}",
        b.elbo, b.reconstruction, b.alignment, b.cluster_kl, b.latent_entropy, b.mutual_information, b.marginal_entropy
    )
}
