//! `trainer predict`.

use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use runtime::Assignment;
use trainer::data::{DataSet, Input, Role, SeenValues};
use trainer::eval::{Exported, assignments};
use trainer::files::write_atomically;
use trainer::{Error, Result, run};

use super::range;

/// Label frames with a model: an ONNX file, a flash image, or a run
///
/// Writes a row a frame: its number, the file it is from if each has its own, cluster, confidence, novelty in nats,
/// whether that is past the threshold, whether a value is outside the range of training, the second cluster, and the
/// probability of every cluster. The novelty of a run counts the decoder, as that of what is exported with
/// `--novelty decoder` does.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer predict models/digits.onnx --data frames.npy --out labels.csv")]
pub struct Args {
    /// ONNX file or flash image (.cvi) of `trainer export`, or a run directory
    model: PathBuf,
    #[command(flatten)]
    input: Input,
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
        let (set, seen, assignments) = self.assign()?;
        let as_in_training = range::tell(seen.as_ref(), &set);
        let table = table(&set, &assignments).map_err(|e| Error::resource("table", e))?;
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

    fn assign(&self) -> Result<(DataSet, Option<SeenValues>, Vec<Assignment>)> {
        let name = self.input.name();
        match in_folder(&self.model) {
            Some(run) => {
                let device = Device::flex();
                let fitted = run::load(&run, &device)?;
                let set = super::read(&self.input, Role::Score, &fitted.expected())?;
                if set.frames.shape != fitted.shape {
                    let (found, expected) = (set.frames.shape, fitted.shape);
                    let problem = format!("frames of shape {found}, the model takes {expected} ({})", run.display());
                    return Err(Error::data(&*name, problem));
                }
                let assignments = assignments(&fitted, &set.frames, &device)?;
                Ok((set, fitted.seen, assignments))
            }
            None => {
                let model = Exported::open(&exported(&self.model))?;
                let set = super::read(&self.input, Role::Score, model.expected())?;
                let assignments = model.assign(&set.frames, &*name)?;
                Ok((set, model.seen().cloned(), assignments))
            }
        }
    }
}

/// The run directory, if `model` is a folder that is not one of exported files.
fn in_folder(model: &Path) -> Option<PathBuf> {
    (model.is_dir() && (model.join("model.json").exists() || !exported(model).is_file())).then(|| model.to_owned())
}

/// The file of the model, in a folder of exported ones the ONNX file.
fn exported(model: &Path) -> PathBuf {
    if model.is_dir() { model.join("model.onnx") } else { model.to_owned() }
}

fn table(set: &DataSet, assignments: &[Assignment]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let clusters = assignments.first().map_or(0, |a| a.log_responsibilities.len());
    let file = set.files.as_ref().map(|_| "file");
    let fixed = ["cluster", "confidence", "novelty", "is_novel", "is_outside", "runner_up"];
    let head = ["index"].into_iter().chain(file).chain(fixed).map(str::to_owned);
    writer.write_record(head.chain((0..clusters).map(|c| format!("p_{c}"))))?;
    for (index, a) in assignments.iter().enumerate() {
        let file = set.files.as_ref().map(|files| files[index].clone());
        let answer = [
            a.cluster.to_string(),
            a.confidence.to_string(),
            a.novelty.to_string(),
            a.is_novel.to_string(),
            a.is_outside.to_string(),
            a.runner_up.map(|c| c.to_string()).unwrap_or_default(),
        ];
        let head = [index.to_string()].into_iter().chain(file).chain(answer);
        writer.write_record(head.chain(a.responsibilities().map(number)))?;
    }
    writer.into_inner().map_err(|e| e.into_error().into())
}

/// Values below this are written with an exponent, not with dozens of zeros.
const SMALL: f32 = 1e-4;

/// A probability, in the fewest digits that give it back.
fn number(p: f32) -> String {
    if p > 0.0 && p < SMALL { format!("{p:e}") } else { p.to_string() }
}
