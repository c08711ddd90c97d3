//! What training shows while it runs: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use trainer::fit::{Epoch, Event};
use trainer::run::Run;
use trainer::{Error, Result};

/// Time between two plain lines.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// Shows events, writes them to the run directory, and watches for Ctrl-C.
pub struct Progress<'a> {
    run: &'a Run,
    bar: ProgressBar,
    terminal: bool,
    stage: &'static str,
    steps: usize,
    started: Instant,
    last_line: Instant,
    last_epoch: String,
    stop: Arc<AtomicBool>,
    fault: Option<Error>,
}

impl<'a> Progress<'a> {
    /// Starts watching for Ctrl-C.
    pub fn new(run: &'a Run) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let handler = stop.clone();
        ctrlc::set_handler(move || handler.store(true, Ordering::SeqCst))
            .map_err(|e| Error::resource("Ctrl-C handler", e))?;
        let terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{prefix:>8} {wide_bar} {pos}/{len} {eta} left  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Ok(Self {
            run,
            bar,
            terminal,
            stage: "",
            steps: 0,
            started: Instant::now(),
            last_line: Instant::now(),
            last_epoch: String::new(),
            stop,
            fault: None,
        })
    }

    /// Takes an event; breaks off on Ctrl-C or if the run directory cannot be written.
    pub fn observe(&mut self, event: Event<'_>) -> ControlFlow<()> {
        let written = match event {
            Event::Stage { name, steps } => {
                self.begin(name, steps);
                Ok(())
            }
            Event::Step { done } => {
                self.step(done);
                Ok(())
            }
            Event::Epoch(epoch) => {
                self.last_epoch = summary(epoch);
                self.bar.set_message(self.last_epoch.clone());
                self.run.log(epoch)
            }
            Event::Mixture(report) => {
                self.line(&format!(
                    "mixture: log-likelihood {:.3} nats a frame, balance {:.3}",
                    report.log_likelihood, report.balance
                ));
                self.run.log(report)
            }
        };
        if let Err(fault) = written {
            self.fault = Some(fault);
            return ControlFlow::Break(());
        }
        if self.stop.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Why the observer broke off.
    pub fn into_fault(self) -> Error {
        self.bar.finish_and_clear();
        self.fault.unwrap_or_else(|| Error::Interrupted { run: self.run.folder().to_owned() })
    }

    /// Ends the display.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }

    fn begin(&mut self, name: &'static str, steps: usize) {
        self.stage = name;
        self.steps = steps;
        self.started = Instant::now();
        self.last_line = Instant::now();
        self.last_epoch.clear();
        self.bar.reset();
        self.bar.set_length(steps as u64);
        self.bar.set_prefix(name);
        self.bar.set_message("");
        if !self.terminal || steps == 0 {
            let hint = if steps == 0 { " (EM on the latents; a minute or more)" } else { "" };
            self.line(&format!("{name}: started{hint}"));
        }
    }

    fn step(&mut self, done: usize) {
        self.bar.set_position(done as u64);
        let due = self.last_line.elapsed() >= PLAIN_INTERVAL || done == self.steps;
        if !self.terminal && due {
            self.last_line = Instant::now();
            let left = self.started.elapsed().as_secs_f64() / done as f64 * (self.steps - done) as f64;
            eprintln!("{}: step {done}/{}, {left:.0} s left  {}", self.stage, self.steps, self.last_epoch);
        }
    }

    fn line(&self, text: &str) {
        if self.terminal {
            self.bar.println(text);
        } else {
            eprintln!("{text}");
        }
    }
}

fn summary(epoch: &Epoch) -> String {
    let value = |name: &str| epoch.values.get(name).copied().unwrap_or(f32::NAN);
    let head = format!("epoch {}/{}", epoch.epoch, epoch.epochs);
    if epoch.values.contains_key("elbo") {
        format!("{head}  ELBO {:.1}  I(x;c) {:.3}", value("elbo"), value("mutual_information"))
    } else {
        format!("{head}  reconstruction {:.1}  KL {:.2}", value("reconstruction"), value("latent_kl"))
    }
}
