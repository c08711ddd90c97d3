//! `trainer quality`.

use std::path::PathBuf;

use trainer::data::{Frames, Input, Role};
use trainer::fitted::Fitted;
use trainer::quality::{MOST_FRAMES, Subject, gate, measure, table};
use trainer::{Result, run};

use super::on::On;

/// Measure what is claimed of a model and its maps, each claim with its bar
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer quality runs/mnist --data mnist/ --novel fashion-mnist/ --gate")]
pub struct Args {
    /// Run directory of a fit that has ended
    run: PathBuf,
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    on: On,
    /// Frames of another kind, which should be called novel; may be given more than once
    #[arg(long, value_name = "PATH")]
    novel: Vec<PathBuf>,
    /// How many frames are drawn for what takes long; novelty and confidence are measured on all
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(2..))]
    frames: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Exit with 6 if a bar is missed
    #[arg(long)]
    gate: bool,
}

impl Args {
    /// Measures the claims and prints them.
    pub fn run(self) -> Result<()> {
        let device = self.on.device()?;
        let fitted = run::load(&self.run, &device)?;
        let all = read(&fitted, &self.input)?;
        let critic = run::load_critic(&self.run, &fitted, &device)?;
        let frames = Subject::draw(&fitted, &all, usize::try_from(self.frames).unwrap_or(usize::MAX));
        let novel = self.novel.iter().map(|path| {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            let input = Input { data: vec![path.clone()], ..self.input.clone() };
            Ok((name, read(&fitted, &input)?))
        });
        let novel = novel.collect::<Result<Vec<_>>>()?;
        let subject = Subject {
            fitted: &fitted,
            critic: critic.as_ref(),
            frames: &frames,
            all: &all,
            novel: &novel,
            device: &device,
        };
        let rows = measure(&subject, &mut |what| eprintln!("measuring {what}"))?;
        if self.json {
            super::print_json(&rows)?;
        } else {
            super::print_line(table(&rows).trim_end())?;
        }
        if self.gate { gate(&rows) } else { Ok(()) }
    }
}

/// The frames of the data, of very many some.
fn read(fitted: &Fitted, input: &Input) -> Result<Frames> {
    let frames = super::read(input, Role::Score, &fitted.expected())?.frames;
    if frames.len() > MOST_FRAMES {
        eprintln!("measuring on {MOST_FRAMES} of {} frames, drawn at random", frames.len());
    }
    Subject::all_of(fitted, &frames)
}
