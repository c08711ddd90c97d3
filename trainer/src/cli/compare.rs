//! `trainer compare`.

use std::path::PathBuf;

use trainer::compare::{MOST_FRAMES, Row, compare};
use trainer::data::{Input, Role};
use trainer::{Result, run};

use super::on::On;

/// Set a run beside k-means and mixtures on the values themselves
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer compare runs/1 --data frames.npy")]
pub struct Args {
    /// Run directory
    run: PathBuf,
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    on: On,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Compares and prints a table.
    pub fn run(self) -> Result<()> {
        let device = self.on.device()?;
        let fitted = run::load(&self.run, &device)?;
        let frames = super::read(&self.input, Role::Score, &fitted.expected())?.frames;
        super::tell_if_fitted(&fitted, &frames)?;
        eprintln!("comparing on {} frames", frames.len().min(MOST_FRAMES));
        let comparison = compare(&fitted, &frames, &device)?;
        for reason in &comparison.left_out {
            eprintln!("left out: {reason}");
        }
        if self.json {
            return super::print_json(&comparison);
        }
        super::print_line(format!("{:<18} {:>9} {:>9} {:>6}  on", "method", "agreement", "stability", "ACC"))?;
        comparison.rows.iter().try_for_each(print)?;
        super::print_line(format!("\n{}", comparison.reading()))
    }
}

fn print(row: &Row) -> Result<()> {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    super::print_line(format!(
        "{:<18} {:>9.3} {:>9} {:>6}  {}",
        row.method,
        row.agreement,
        number(row.stability),
        number(row.acc),
        row.values
    ))
}
