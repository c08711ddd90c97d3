//! `trainer predict`.

use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use indicatif::ProgressBar;
use runtime::Assignment;
use trainer::data::{DataSet, Expected, Frames, Input, Role, SeenValues, Source, chunks_of};
use trainer::eval::{Exported, assignments};
use trainer::files::{Unfinished, beside, replaced, sha256, write_atomically};
use trainer::fitted::{Fitted, encoded_at_once};
use trainer::report::timeline_file;
use trainer::timelines::{Decisions, Timelines};
use trainer::{Error, Result, run};

use super::answers::{Form, Table, batch, given};
use super::journal::{Asked, Hashed, Journal};
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
    /// SVG file to draw recordings into, each over its time in the colours of its clusters
    #[arg(long, value_name = "FILE")]
    timeline: Option<PathBuf>,
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
        let model = Model::open(&self.model, self.on)?;
        let set = super::read(&self.input, Role::Score, &model.expected())?;
        let as_in_training = range::tell(model.seen(), &set)?;
        if self.timeline.is_some() && set.frames.recordings().is_none() {
            return Err(Error::config("--timeline", "the frames are no windows of recordings; cut some with --window"));
        }
        match self.out.as_deref().map(|path| replaced(path).map(|target| (path, target))).transpose()? {
            // What the device decides after a window hangs on those before: recordings are labelled in one go.
            Some((path, Some(target))) if set.frames.recordings().is_none() => {
                self.write_file(&model, &set, form, path, &beside(&target, ".answers"))?;
            }
            Some((path, _)) => {
                let mut file = Unfinished::create(path)?;
                let name = path.display().to_string();
                self.write(&model, &set, form, (&mut file, &name), None).map_err(|e| unread(e, &name))?;
                file.finish()?;
            }
            None => match self.write(&model, &set, form, (&mut std::io::stdout(), "stdout"), None) {
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

    /// Writes the table to a file, which is there once it is whole; until then the answers are kept in a journal, from which
    /// the same command goes on.
    fn write_file(&self, model: &Model, set: &DataSet, form: Form, path: &Path, journal: &Path) -> Result<()> {
        let (frames, shape) = (set.frames.len(), set.frames.shape);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let columns = given(set, 0, 0).into_iter().map(|(name, _)| name).collect();
        let asked = Asked { version, model: model.sha256()?, on: self.on.to_string(), frames, shape, columns };
        let mut journal = Journal::open(journal, &asked)?;
        let mut file = Unfinished::create_alone(path)?;
        let name = path.display().to_string();
        let written = self.write(model, set, form, (&mut file, &name), Some(&mut journal));
        if let Err(e) = written.map_err(|e| unread(e, &name)).and_then(|()| file.finish()) {
            if journal.holds_answers() {
                eprintln!("the answers so far are kept beside {name}; the same command goes on from there");
            }
            return Err(e);
        }
        journal.finish();
        Ok(())
    }

    /// Writes the table to `to`, of this name, as the frames are labelled, but for answers that are in the journal.
    fn write(
        &self,
        model: &Model,
        set: &DataSet,
        form: Form,
        (to, name): (&mut (dyn Write + Send), &str),
        mut journal: Option<&mut Journal>,
    ) -> Result<()> {
        let mut table = Table::new(form, to, name);
        let total = set.frames.len();
        let bar = ProgressBar::new(total as u64);
        let (mut done, mut drawn) = (0, Timelines::of(&set.frames));
        let mut decisions: Option<Decisions> = None;
        if let Some(journal) = &mut journal {
            let read = Hashed::new(&set.frames, 0);
            journal.read(|hash, answers| {
                let count = answers.num_rows();
                if !(1..=total - done).contains(&count) {
                    return Ok(false);
                }
                read.gather(&(done..done + count).collect::<Vec<_>>())?;
                let given = given(set, done, count);
                if read.take() != hash || !given.iter().zip(answers.columns()).all(|((_, now), then)| now == then) {
                    return Ok(false);
                }
                table.write(answers)?;
                done += count;
                bar.set_position(done as u64);
                Ok(true)
            })?;
            if done > 0 {
                eprintln!("going on after frame {done} of {total}, with the answers that are kept beside {name}");
            }
        }
        let rest = Hashed::new(&set.frames, done);
        let frames: &dyn Source = if journal.is_some() { &rest } else { &set.frames };
        model.each_part(frames, &self.input.name(), &mut |part| {
            let mut decided = Vec::new();
            if let (Some(recordings), Some(drawn)) = (set.frames.recordings(), &mut drawn) {
                for (n, assignment) in (done..).zip(&part) {
                    let Some(cut) = set.frames.cut(n) else { continue };
                    let clusters = assignment.log_responsibilities.len();
                    let decisions = decisions.get_or_insert_with(|| Decisions::new(clusters));
                    let decision = decisions.after(recordings, cut, assignment)?;
                    drawn.push(recordings, cut, assignment, decision);
                    decided.push(decision);
                }
            }
            let answers = batch(set, done, &part, &decided, model.threshold())?;
            table.write(&answers)?;
            done += part.len();
            // What is whole at once is in no need of a journal.
            if let Some(journal) = journal.as_mut().filter(|_| done < total) {
                journal.write(rest.take(), &answers)?;
            }
            bar.set_position(done as u64);
            Ok(())
        })?;
        bar.finish_and_clear();
        table.finish()?;
        match (&self.timeline, drawn) {
            (Some(path), Some(drawn)) => write_atomically(path, timeline_file(&drawn.strips, drawn.unit).as_bytes()),
            _ => Ok(()),
        }
    }
}

/// What went wrong, a reader of `name` that went away among it.
fn unread(error: Error, name: &str) -> Error {
    match error {
        Error::Stopped => Error::resource(name, "nobody reads it any more"),
        other => other,
    }
}

/// A model that labels frames.
enum Model {
    /// A run, as it was trained.
    Run(PathBuf, Box<Fitted>, Device),
    /// An exported file.
    File(Box<Exported>),
}

impl Model {
    fn open(path: &Path, on: On) -> Result<Self> {
        let Some(folder) = in_folder(path) else {
            on.check_engine(path)?;
            return Ok(Self::File(Box::new(Exported::open(&exported(path))?)));
        };
        let device = on.device()?;
        let fitted = run::load(&folder, &device)?;
        Ok(Self::Run(folder, Box::new(fitted), device))
    }

    /// SHA-256 of what says everything of the model.
    fn sha256(&self) -> Result<String> {
        match self {
            Self::Run(folder, ..) => {
                let path = folder.join("model.json");
                Ok(sha256(&std::fs::read(&path).map_err(|e| Error::model(&path, e))?))
            }
            Self::File(model) => Ok(model.sha256()),
        }
    }

    /// The threshold of the novelty, nats.
    fn threshold(&self) -> f32 {
        match self {
            Self::Run(_, fitted, _) => fitted.calibration.novelty_threshold,
            Self::File(model) => model.threshold(),
        }
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
