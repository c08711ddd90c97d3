//! `trainer predict`.

use std::io::Write;
use std::path::PathBuf;

use runtime::Assignment;
use trainer::data::{Expected, Input, Role};
use trainer::eval::assign;
use trainer::files::write_atomically;
use trainer::{Error, Result};

/// Label frames with an exported model
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer predict models/digits.onnx --data frames.npy --out labels.csv")]
pub struct Args {
    /// ONNX file written by `trainer export`
    model: PathBuf,
    #[command(flatten)]
    input: Input,
    /// CSV file to write [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Args {
    /// Labels the frames and writes the table.
    pub fn run(self) -> Result<()> {
        let set = super::read(&self.input, Role::Score, &Expected::default())?;
        let frames = set.frames;
        let assignments = assign(&self.model, &frames)?;
        let table = table(&assignments).map_err(|e| Error::resource("table", e))?;
        match &self.out {
            Some(path) => write_atomically(path, &table),
            None => match std::io::stdout().write_all(&table) {
                Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::resource("stdout", e)),
                _ => Ok(()),
            },
        }
    }
}

fn table(assignments: &[Assignment]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let clusters = assignments.first().map_or(0, |a| a.log_responsibilities.len());
    let fixed = ["index", "cluster", "confidence", "novelty", "is_novel", "runner_up"].map(str::to_owned);
    writer.write_record(fixed.into_iter().chain((0..clusters).map(|c| format!("p_{c}"))))?;
    for (index, a) in assignments.iter().enumerate() {
        let head = [
            index.to_string(),
            a.cluster.to_string(),
            a.confidence.to_string(),
            a.novelty.to_string(),
            a.is_novel.to_string(),
            a.runner_up.map(|c| c.to_string()).unwrap_or_default(),
        ];
        writer.write_record(head.into_iter().chain(a.responsibilities().map(|p| p.to_string())))?;
    }
    writer.into_inner().map_err(|e| e.into_error().into())
}
