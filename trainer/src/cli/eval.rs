//! `trainer eval`.

use std::path::PathBuf;

use serde::Serialize;
use trainer::data::{Expected, Input, Role};
use trainer::eval::{Evaluation, Exported, Predictions, Scores, evaluate, scores};
use trainer::fitted::BoundReport;
use trainer::{Result, run};

use super::on::On;
use super::range;

/// Score a model: against labels, and by its bound
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  trainer eval runs/1 --data mnist/ --json\n  trainer eval models/digits.onnx --data mnist/"
)]
pub struct Args {
    /// Run directory, or ONNX file or flash image (which have no decoder, hence no bound)
    model: PathBuf,
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    on: On,
    /// Samples of z a frame for the bounds; the estimate of log p(x) is the better the more there
    /// are
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    samples: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Scored {
    n: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    scores: Option<Scores>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bound: Option<BoundReport>,
}

impl Args {
    /// Scores the model and prints how good it is.
    pub fn run(self) -> Result<()> {
        let read = |expected: &Expected| super::read(&self.input, Role::Score, expected);
        let (n, scores, bound) = if self.model.is_dir() {
            let device = self.on.device()?;
            let fitted = run::load(&self.model, &device)?;
            let set = read(&fitted.expected())?;
            range::tell(fitted.seen.as_ref(), &set)?;
            let frames = set.frames;
            super::tell_if_fitted(&fitted, &frames)?;
            eprintln!("evaluating the bounds of {} frames with {} samples each", frames.len(), self.samples);
            let Evaluation { scores, bound, .. } = evaluate(&fitted, &frames, self.samples as usize, &device)?;
            (frames.len(), scores, Some(bound))
        } else {
            self.on.check_engine(&self.model)?;
            let model = Exported::open(&self.model)?;
            let set = read(model.expected())?;
            range::tell(model.seen(), &set)?;
            let frames = set.frames;
            let predictions = Predictions::from(&model.assign(&frames, &*self.input.name())?[..]);
            (frames.len(), frames.labels.as_ref().map(|labels| scores(&predictions.clusters, labels)), None)
        };
        let scored = Scored { n, scores, bound };
        if self.json { super::print_json(&scored) } else { print(&scored) }
    }
}

fn print(scored: &Scored) -> Result<()> {
    super::print_line(format!("n    {}", scored.n))?;
    match &scored.scores {
        Some(s) => super::print_line(format!("ACC  {:.4}\nNMI  {:.4}\nARI  {:.4}", s.acc, s.nmi, s.ari))?,
        None => super::print_line("no labels, so no ACC, NMI, ARI")?,
    }
    match &scored.bound {
        Some(b) => super::print_line(format!("{}\n{}", terms(b), others(b))),
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

/// The other bounds of the paper, a line each.
fn others(b: &BoundReport) -> String {
    format!(
        "KL(mean q(c|x) || p(c)) {:>9.3}\n\
         bound (1.10), c summed  {:>9.3}\n\
         bound of section 2      {:>9.3}\n\
         Jensen gap, section 3   {:>9.3}\n\
         L - L', section 4       {:>9.3}\n\
         log p(x), {:>4} samples  {:>9.3}",
        b.imbalance, b.marginal_bound, b.nested_bound, b.jensen_gap, b.nested_gain, b.samples, b.importance_weighted
    )
}
