//! `trainer report`.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use trainer::Result;
use trainer::data::Input;
use trainer::files::write_atomically;
use trainer::fitted::Fitted;
use trainer::report::report;
use trainer::run::load;

use super::on::On;

/// Write a page about a run: one HTML file, without network and without script
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer report runs/mnist --data mnist/")]
pub struct Args {
    /// Run directory of a fit that has ended
    run: PathBuf,
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    on: On,
    /// File to write [default: report.html in the run directory]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Args {
    /// Writes the page, and prints where it is.
    pub fn run(self) -> Result<()> {
        let device = self.on.device()?;
        let fitted = load(&self.run, &device)?;
        let page = write(&fitted, &self.run, &self.input, self.out.as_deref(), &device)?;
        super::print_line(page.display())
    }
}

/// Writes the report of a run, and says where it is.
pub fn write(fitted: &Fitted, run: &Path, input: &Input, out: Option<&Path>, device: &Device) -> Result<PathBuf> {
    let page = out.map_or_else(|| run.join("report.html"), Path::to_owned);
    eprintln!("writing the report; k-means and mixtures beside the run take most of the time");
    write_atomically(&page, report(fitted, run, input, device, &mut |taken| eprintln!("{taken}"))?.as_bytes())?;
    Ok(page)
}
