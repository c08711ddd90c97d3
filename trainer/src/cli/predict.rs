//! `trainer predict`.

use std::io::ErrorKind::BrokenPipe;
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use indicatif::ProgressBar;
use runtime::Assignment;
use trainer::data::{DataSet, Expected, Frames, Input, Role, SeenValues, Source, chunks_of};
use trainer::eval::{Exported, assignments};
use trainer::files::Unfinished;
use trainer::fitted::{Fitted, encoded_at_once};
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
        let model = Model::open(&self.model)?;
        let set = super::read(&self.input, Role::Score, &model.expected())?;
        let as_in_training = range::tell(model.seen(), &set)?;
        match &self.out {
            Some(path) => {
                let mut file = Unfinished::create(path)?;
                self.write(&model, &set, &mut file, &path.display().to_string())?;
                file.finish()?;
            }
            None => match self.write(&model, &set, &mut std::io::stdout().lock(), "stdout") {
                // A reader that closed the pipe early.
                Err(Error::Stopped) => {}
                ended => ended?,
            },
        }
        if self.strict && !as_in_training {
            return Err(Error::data("--data", "the values of the frames are not as in training, see above"));
        }
        Ok(())
    }

    /// Writes the table to `to`, of this name, as the frames are labelled.
    fn write(&self, model: &Model, set: &DataSet, to: &mut dyn Write, name: &str) -> Result<()> {
        let fault = |e: csv::Error| match e.kind() {
            csv::ErrorKind::Io(e) if e.kind() == BrokenPipe && self.out.is_none() => Error::Stopped,
            _ => Error::resource(name, e),
        };
        let mut writer = csv::Writer::from_writer(to);
        let bar = ProgressBar::new(set.frames.len() as u64);
        let mut index = 0;
        model.each_part(&set.frames, &self.input.name(), &mut |part| {
            if index == 0 {
                head(&mut writer, set, &part).map_err(fault)?;
            }
            for assignment in &part {
                row(&mut writer, set, index, assignment).map_err(fault)?;
                index += 1;
            }
            bar.set_position(index as u64);
            Ok(())
        })?;
        bar.finish_and_clear();
        writer.flush().map_err(|e| fault(e.into()))
    }
}

/// A model that labels frames.
enum Model {
    /// A run, as it was trained.
    Run(PathBuf, Box<Fitted>, Device),
    /// An exported file.
    File(Exported),
}

impl Model {
    fn open(path: &Path) -> Result<Self> {
        let Some(folder) = in_folder(path) else { return Ok(Self::File(Exported::open(&exported(path))?)) };
        let device = Device::flex();
        let fitted = run::load(&folder, &device)?;
        Ok(Self::Run(folder, Box::new(fitted), device))
    }

    fn expected(&self) -> Expected {
        match self {
            Self::Run(_, fitted, _) => fitted.expected(),
            Self::File(model) => model.expected().clone(),
        }
    }

    fn seen(&self) -> Option<&SeenValues> {
        match self {
            Self::Run(_, fitted, _) => fitted.seen.as_ref(),
            Self::File(model) => model.seen(),
        }
    }

    /// Assignments of frames, which are called `name`, part by part in their order.
    fn each_part(
        &self,
        frames: &dyn Source,
        name: &str,
        visit: &mut dyn FnMut(Vec<Assignment>) -> Result<()>,
    ) -> Result<()> {
        let (folder, fitted, device) = match self {
            Self::File(model) => return model.each_part(frames, &name.into(), visit),
            Self::Run(folder, fitted, device) => (folder, fitted, device),
        };
        if frames.shape() != fitted.shape {
            let (found, expected) = (frames.shape(), fitted.shape);
            let problem = format!("frames of shape {found}, the model takes {expected} ({})", folder.display());
            return Err(Error::data(name, problem));
        }
        for part in chunks_of(frames, encoded_at_once(fitted.shape)) {
            let frames = Frames { shape: fitted.shape, values: part?.1, labels: None };
            visit(assignments(fitted, &frames, device)?)?;
        }
        Ok(())
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

/// Writes the names of the columns.
fn head<W: Write>(writer: &mut csv::Writer<W>, set: &DataSet, part: &[Assignment]) -> Result<(), csv::Error> {
    let clusters = part.first().map_or(0, |a| a.log_responsibilities.len());
    let file = set.files.as_ref().map(|_| "file");
    let fixed = ["cluster", "confidence", "novelty", "is_novel", "is_outside", "runner_up"];
    let head = ["index"].into_iter().chain(file).chain(fixed).map(str::to_owned);
    writer.write_record(head.chain((0..clusters).map(|c| format!("p_{c}"))))
}

/// Writes the row of a frame.
fn row<W: Write>(writer: &mut csv::Writer<W>, set: &DataSet, index: usize, a: &Assignment) -> Result<(), csv::Error> {
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
    writer.write_record(head.chain(a.responsibilities().map(number)))
}

/// Values below this are written with an exponent, not with dozens of zeros.
const SMALL: f32 = 1e-4;

/// A probability, in the fewest digits that give it back.
fn number(p: f32) -> String {
    if p > 0.0 && p < SMALL { format!("{p:e}") } else { p.to_string() }
}
