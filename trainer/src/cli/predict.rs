//! `trainer predict`.

use std::io::Write;
use std::path::PathBuf;

use runtime::Assignment;
use trainer::data::{self, Role};
use trainer::eval::{Labelled, assign};
use trainer::files::write_atomically;
use trainer::{Error, Result};

use super::range;

/// Label frames with an exported model
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer predict models/digits.onnx --data frames.npy --out labels.csv")]
pub struct Args {
    /// ONNX file written by `trainer export`
    model: PathBuf,
    /// Frames to label [default: the embedded digits held out]
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// CSV file to write [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// End with exit code 3 if frames lie outside the range of values seen in training, or vary far less; the
    /// table is written all the same
    #[arg(long)]
    strict: bool,
}

impl Args {
    /// Labels the frames and writes the table.
    pub fn run(self) -> Result<()> {
        let frames = data::open(self.data.as_deref(), Role::Score)?;
        let Labelled { assignments, seen } = assign(&self.model, &frames)?;
        let as_in_training = range::tell(seen.as_ref(), &frames, self.data.as_deref());
        let table = table(&assignments).map_err(|e| Error::resource("table", e))?;
        match &self.out {
            Some(path) => write_atomically(path, &table)?,
            None => match std::io::stdout().write_all(&table) {
                Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => return Err(Error::resource("stdout", e)),
                _ => {}
            },
        }
        if self.strict && !as_in_training {
            return Err(Error::data("--data", "the values of the frames are not as in training, see above"));
        }
        Ok(())
    }
}

fn table(assignments: &[Assignment]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let clusters = assignments.first().map_or(0, |a| a.log_responsibilities.len());
    let fixed = ["index", "cluster", "confidence", "novelty", "is_novel", "is_outside", "runner_up"].map(str::to_owned);
    writer.write_record(fixed.into_iter().chain((0..clusters).map(|c| format!("p_{c}"))))?;
    for (index, a) in assignments.iter().enumerate() {
        let head = [
            index.to_string(),
            a.cluster.to_string(),
            a.confidence.to_string(),
            a.novelty.to_string(),
            a.is_novel.to_string(),
            a.is_outside.to_string(),
            a.runner_up.map(|c| c.to_string()).unwrap_or_default(),
        ];
        writer.write_record(head.into_iter().chain(a.responsibilities().map(number)))?;
    }
    writer.into_inner().map_err(|e| e.into_error().into())
}

/// Values below this are written with an exponent, not with dozens of zeros.
const SMALL: f32 = 1e-4;

/// A probability, in the fewest digits that give it back.
fn number(p: f32) -> String {
    if p > 0.0 && p < SMALL { format!("{p:e}") } else { p.to_string() }
}
