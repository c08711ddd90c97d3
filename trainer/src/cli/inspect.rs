//! `trainer inspect`.

use std::path::PathBuf;

use serde::Serialize;
use trainer::Result;
use trainer::data::{DataSet, Expected, Input, Role};
use trainer::files::write_atomically;
use trainer::report::{Spread, inspection, spreads};

/// Say what data are taken for, before anything is fitted
///
/// Prints the line that every verb says first, how values spread, and how many frames each class has.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer inspect frames.csv --ignore id --html frames.html")]
pub struct Args {
    /// Files, folders, patterns, or - for standard input, as for --data [default: the embedded digits]
    #[arg(value_name = "DATA")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    input: Input,
    /// Which part of a data set that has two
    #[arg(long, value_enum, default_value = "fit")]
    part: Role,
    /// HTML file to write: the same with pictures of frames
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is found, for programs.
#[derive(Serialize)]
struct Inspection {
    taken: String,
    frames: usize,
    shape: [usize; 3],
    kind: String,
    columns: Option<Vec<String>>,
    left_out: Vec<String>,
    classes: Vec<Class>,
    spreads: Vec<Spread>,
}

/// A class and how many frames have it.
#[derive(Serialize)]
struct Class {
    name: String,
    frames: usize,
}

impl Args {
    /// Reads the data and says what they are.
    pub fn run(self) -> Result<()> {
        let input = Input { data: [self.paths, self.input.data.clone()].concat(), ..self.input };
        let set = input.open_for(self.part, &Expected::default())?;
        let (spreads, classes) = (spreads(&set)?, classes(&set));
        if let Some(path) = &self.html {
            write_atomically(path, inspection(&input.name(), &set)?.as_bytes())?;
        }
        if self.json {
            let shape = set.frames.shape;
            return super::print_json(&Inspection {
                taken: set.taken.to_string(),
                frames: set.frames.len(),
                shape: [shape.channels, shape.height, shape.width],
                kind: set.taken.kind.to_string(),
                columns: set.columns,
                left_out: set.taken.notes,
                classes,
                spreads,
            });
        }
        super::print_line(&set.taken)?;
        let width = spreads.iter().map(|spread| spread.name.chars().count()).max().unwrap_or(0);
        super::print_line(format!(
            "\n{:<width$} {:>11} {:>11} {:>11} {:>11}",
            "", "least", "mean", "deviation", "most"
        ))?;
        for spread in &spreads {
            let numbers = [spread.least, spread.mean, spread.deviation, spread.most].map(|v| format!("{v:>11.5}"));
            super::print_line(format!("{:<width$} {}  {}", spread.name, numbers.join(" "), spread.bars()))?;
        }
        if let Some(path) = &self.html {
            super::print_line(path.display())?;
        }
        classes.iter().try_for_each(|class| super::print_line(format!("class {}: {}", class.name, class.frames)))
    }
}

/// The classes in order of their numbers.
fn classes(set: &DataSet) -> Vec<Class> {
    let mut counts = std::collections::BTreeMap::new();
    set.frames.labels.iter().flatten().for_each(|label| *counts.entry(*label).or_insert(0) += 1);
    counts.into_iter().map(|(label, frames)| Class { name: set.class(label), frames }).collect()
}
