//! `trainer report`.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use trainer::Result;
use trainer::files::write_atomically;
use trainer::fitted::Fitted;
use trainer::report::report;
use trainer::run::load;

/// Write a page about a run: one HTML file, without network and without script
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer report runs/mnist --data mnist/")]
pub struct Args {
    /// Run directory of a fit that has ended
    run: PathBuf,
    /// Frames to show; a folder with train- and t10k- files shows both [default: the embedded
    /// digits]
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// File to write [default: report.html in the run directory]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Args {
    /// Writes the page, and prints where it is.
    pub fn run(self) -> Result<()> {
        let device = Device::flex();
        let fitted = load(&self.run, &device)?;
        let page = write(&fitted, &self.run, self.data.as_deref(), self.out.as_deref(), &device)?;
        super::print_line(page.display())
    }
}

/// Writes the report of a run, and says where it is.
pub fn write(fitted: &Fitted, run: &Path, data: Option<&Path>, out: Option<&Path>, device: &Device) -> Result<PathBuf> {
    let page = out.map_or_else(|| run.join("report.html"), Path::to_owned);
    eprintln!("writing the report; k-means and mixtures beside the run take most of the time");
    write_atomically(&page, report(fitted, run, data, device)?.as_bytes())?;
    Ok(page)
}
