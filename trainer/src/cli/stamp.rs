//! `trainer stamp`.

use std::path::PathBuf;

use runtime::onnx::checksum;
use runtime::{Engine, Precision};
use trainer::files::{sha256, write_atomically};
use trainer::{Error, Result};

/// Write the checksum of a model anew that another program changed and saved, once it runs
///
/// The checksum tells damage from intent no more after that: stamp only what you know. What was taken is printed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer stamp models/mine/model.onnx")]
pub struct Args {
    /// ONNX file of `trainer export`, with the metadata that it was exported with
    model: PathBuf,
    /// Where the stamped file goes [default: to the place of MODEL]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Args {
    /// Checks the model, writes it with its checksum, and prints what it is.
    pub fn run(self) -> Result<()> {
        let fault = |e: &dyn std::fmt::Display| Error::model(&self.model, e);
        let before = std::fs::read(&self.model).map_err(|e| fault(&e))?;
        let mut bytes = before.clone();
        if !checksum::write(&mut bytes) {
            return Err(fault(&"it has no checksum to write anew: no model of `trainer export`"));
        }
        // The whole graph, its head and a trial run, as whoever is to use it would take it.
        let engine = Engine::from_bytes(&bytes, Precision::F32).map_err(|e| fault(&e))?;
        let held = before == bytes;
        let out = self.out.as_ref().unwrap_or(&self.model);
        if !held || self.out.is_some() {
            write_atomically(out, &bytes)?;
        }
        super::print_line(format!(
            "{}\nframes     {}x{}x{}, {} clusters, novel past {} nats\ngraph      {} operators\n\
             sha256     {}, before {}",
            if held { "the checksum held; nothing is changed" } else { "the checksum is written anew" },
            engine.shape().channels,
            engine.shape().height,
            engine.shape().width,
            engine.clusters(),
            engine.novelty_threshold(),
            engine.operators().count(),
            sha256(&bytes),
            sha256(&before),
        ))
    }
}
