//! `trainer predict`.

use std::io::Write;
use std::path::{Path, PathBuf};

use runtime::Assignment;
use trainer::data::{DataSet, Input, Role, SeenValues};
use trainer::eval::{Exported, assignments};
use trainer::files::write_atomically;
use trainer::{Error, Result, run};

use super::answers::{Form, batch, written};
use super::on::On;
use super::range;

/// Label frames with a model: an ONNX file, a flash image, or a run
///
/// Writes a row a frame: its number, the file it is from if each has its own, the columns of --keep, its class if that
/// is known, cluster, confidence, novelty in nats, the threshold of that and whether it is past it, whether a value is outside the range
/// of training, the second cluster, and the probability of every cluster. The novelty of a run counts the decoder, as
/// that of what is exported with `--novelty decoder` does.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  trainer predict models/digits.onnx --data frames.npy --out labels.csv
  trainer predict runs/1 --data new.parquet --keep id,time --out labels.parquet")]
pub struct Args {
    /// ONNX file or flash image (.cvi) of `trainer export`, or a run directory
    model: PathBuf,
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    on: On,
    /// File to write: .csv, .tsv, .jsonl, .parquet or .arrow [default: CSV on stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Columns of the table that are carried through, by name or number from 1
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    keep: Vec<String>,
    /// End with exit code 3 if frames lie outside the range of values seen in training, or vary far less; the
    /// table is written all the same
    #[arg(long)]
    strict: bool,
}

impl Args {
    /// Labels the frames and writes the table.
    pub fn run(mut self) -> Result<()> {
        let form = self.out.as_deref().map_or(Ok(Form::Csv(b',')), Form::of)?;
        self.input.keep = std::mem::take(&mut self.keep);
        let Answered { set, seen, assignments, threshold } = self.assign()?;
        let as_in_training = range::tell(seen.as_ref(), &set);
        let table = written(form, &batch(&set, &assignments, threshold)?)?;
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

    fn assign(&self) -> Result<Answered> {
        let name = self.input.name();
        match in_folder(&self.model) {
            Some(run) => {
                let device = self.on.device()?;
                let fitted = run::load(&run, &device)?;
                let set = super::read(&self.input, Role::Score, &fitted.expected())?;
                if set.frames.shape != fitted.shape {
                    let (found, expected) = (set.frames.shape, fitted.shape);
                    let problem = format!("frames of shape {found}, the model takes {expected} ({})", run.display());
                    return Err(Error::data(&*name, problem));
                }
                let assignments = assignments(&fitted, &set.frames, &device)?;
                Ok(Answered { set, seen: fitted.seen, assignments, threshold: fitted.calibration.novelty_threshold })
            }
            None => {
                self.on.check_engine(&self.model)?;
                let model = Exported::open(&exported(&self.model))?;
                let set = super::read(&self.input, Role::Score, model.expected())?;
                let assignments = model.assign(&set.frames, &*name)?;
                Ok(Answered { set, seen: model.seen().cloned(), assignments, threshold: model.threshold() })
            }
        }
    }
}

/// Frames, and what a model says of them.
struct Answered {
    set: DataSet,
    /// The values that the model was fitted to; None if it does not say.
    seen: Option<SeenValues>,
    assignments: Vec<Assignment>,
    /// The threshold of the novelty.
    threshold: f32,
}

/// The run directory, if `model` is a folder that is not one of exported files.
fn in_folder(model: &Path) -> Option<PathBuf> {
    (model.is_dir() && (model.join("model.json").exists() || !exported(model).is_file())).then(|| model.to_owned())
}

/// The file of the model, in a folder of exported ones the ONNX file.
fn exported(model: &Path) -> PathBuf {
    if model.is_dir() { model.join("model.onnx") } else { model.to_owned() }
}
