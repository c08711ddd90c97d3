//! What training shows while it runs: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use trainer::config::{EncoderKind, Weights};
use trainer::data::{Source, Watched};
use trainer::fit::{Checkpoint, Epoch, Event, Kept, Pass, Rival, Rivals, Space, percent};
use trainer::fitted::Fitted;
use trainer::run::Run;
use trainer::stage::StageName;
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
    /// When the stage's first step of this run was done, and which it was.
    first: Option<(Instant, usize)>,
    last_line: Instant,
    last_epoch: String,
    checkpoint_every: Duration,
    keep_stages: bool,
    last_checkpoint: Instant,
    kept: Option<PathBuf>,
    stop: Arc<AtomicBool>,
    fault: Option<Error>,
    /// What is being counted, and the components that were begun with.
    counting: Option<(Space, usize)>,
    /// The half of the frames that a model is being fitted to.
    half: Option<usize>,
    /// The pass over the frames that is under way, and when it began.
    pass: Option<(Pass, Instant)>,
}

impl<'a> Progress<'a> {
    /// Starts watching for Ctrl-C; a stage leaves a checkpoint at its end, and `checkpoint_every`
    /// so long; with `keep_stages` the run keeps what stage 2 left.
    ///
    /// A second Ctrl-C waits for nothing: files are renamed into place, so the last checkpoint is
    /// whole.
    pub fn new(run: &'a Run, checkpoint_every: Duration, keep_stages: bool) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let handler = stop.clone();
        let interrupted = Error::Interrupted { run: run.folder().to_owned() };
        ctrlc::set_handler(move || {
            if handler.swap(true, Ordering::SeqCst) {
                eprintln!("error: {interrupted}");
                std::process::exit(interrupted.exit_code().into());
            }
            eprintln!("stopping after this step; once more: at once, with the last checkpoint");
        })
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
            first: None,
            last_line: Instant::now(),
            last_epoch: String::new(),
            checkpoint_every,
            keep_stages,
            last_checkpoint: Instant::now(),
            kept: None,
            stop,
            fault: None,
            counting: None,
            half: None,
            pass: None,
        })
    }

    /// Takes an event; breaks off on Ctrl-C or if the run directory cannot be written.
    pub fn observe(&mut self, event: Event<'_>) -> ControlFlow<()> {
        let stop = self.stop.load(Ordering::SeqCst);
        let written = match event {
            Event::Pass { pass, done, of } => {
                self.pass(pass, done, of);
                Ok(())
            }
            Event::Sampled { frames, of } => {
                self.line(&format!("EM and the shares of clusters look at {frames} of {of} frames, drawn at random"));
                return ControlFlow::Continue(());
            }
            Event::Neighbours { frames, among } => {
                let where_ =
                    if among < frames { format!(", each among {among} drawn at random") } else { String::new() };
                self.line(&format!(
                    "looking for the nearest of {frames} frames{where_} (minutes for tens of thousands)"
                ));
                return ControlFlow::Continue(());
            }
            Event::Halves { frames } => {
                self.line(&format!("looking whether mixtures of two halves of {frames} frames agree"));
                return ControlFlow::Continue(());
            }
            Event::Rivals(rivals) => {
                self.rivals(rivals);
                return self.log(rivals);
            }
            Event::Counting { on, components } => {
                if self.counting != Some((on, components)) {
                    self.line(&format!("counting the clusters of the {on}, from {components} components on"));
                }
                self.counting = Some((on, components));
                Ok(())
            }
            Event::Counted(counted) => {
                self.counting = None;
                self.line(&counted.to_string());
                return self.log(counted);
            }
            Event::FrontEnd { spectral, placed } => {
                let place = format!("the place of a sample in its window explains {}", percent(placed.max(0.0)));
                self.line(&match spectral {
                    true => format!("windows: {place}, so they were cut anywhere: the networks see spectra"),
                    false => format!("windows: {place}, so that matters: the networks see samples"),
                });
                return self.log(
                    &serde_json::json!({ "frontend": if spectral { "spectral" } else { "none" }, "placed": placed }),
                );
            }
            Event::Sound { sizes } => {
                self.line(&format!(
                    "sound: WAV of {} samples a second: the networks see pictures of {} mel bands over {} steps of {:.0} ms \
                     (frontend = \"spectral\" or \"none\" decides otherwise)",
                    sizes.rate,
                    sizes.shape().height,
                    sizes.steps,
                    1e3 * sizes.step()
                ));
                return self
                    .log(&serde_json::json!({ "frontend": "log-mel", "bands": sizes.bands(), "steps": sizes.steps }));
            }
            Event::Tone { tone, share, along, clusters } => {
                let colours = format!("mean colours are {} of how they differ", percent(share));
                let clusters = clusters.map_or("no plateau".to_owned(), |k| k.to_string());
                self.line(&match tone {
                    true => format!(
                        "pictures: {colours} and no clusters: the networks see shades of each picture's own main colour \
                         (frontend = \"none\" keeps the colours)"
                    ),
                    false => format!(
                        "pictures: {colours}, clusters of those {clusters}, two colours a picture {}: colours are kept \
                         (frontend = \"tone\" takes them away)",
                        percent(along)
                    ),
                });
                let frontend = if tone { "tone" } else { "none" };
                return self.log(
                    &serde_json::json!({ "frontend": frontend, "mean_colours": share, "two_colours": along, "clusters": clusters }),
                );
            }
            Event::HeldOut { what } => {
                self.line(&format!("held out to calibrate: {what}"));
                return self.log(&serde_json::json!({ "held_out": what }));
            }
            Event::Groups { count, fit } => {
                self.line(&match fit {
                    true => format!(
                        "groups: clusters are asked to tell nothing about which of {count} a frame is of (where groups show \
                         states of their own: --set pretrain.groups=0 --set refine.groups=0)"
                    ),
                    false => format!("groups: {count} are too many for the batches, so clusters may tell who a frame is of"),
                });
                return self.log(&serde_json::json!({ "groups": count, "balanced": fit }));
            }
            Event::Near { found, windowing } => {
                let beside =
                    format!("windows side by side are {} more alike than any two", percent(found.beside.max(0.0)));
                self.line(&match found.within {
                    0 => format!("views: {beside}: only the window itself is mapped"),
                    within => format!(
                        "views: {beside}, and {} up to {} away: another window so near stands for a window",
                        percent(found.at),
                        windowing.told(within)
                    ),
                });
                return self.log(
                    &serde_json::json!({ "near": { "samples": found.within, "beside": found.beside, "at": found.at } }),
                );
            }
            Event::Weaker { strength } => {
                self.line(&format!(
                    "views: maps at {strength:.2} of their ranges, past which they leave augment.reach"
                ));
                return self.log(&serde_json::json!({ "map_strength": strength }));
            }
            Event::Stage { name, steps } => {
                self.begin(name, steps);
                return ControlFlow::Continue(());
            }
            Event::Step { done, checkpoint } => {
                self.step(done);
                let due = done == self.steps || self.last_checkpoint.elapsed() >= self.checkpoint_every;
                if due || stop { self.save(checkpoint) } else { Ok(()) }
            }
            Event::Epoch(epoch) => {
                self.last_epoch = summary(epoch);
                self.bar.set_message(self.last_epoch.clone());
                // The step that ends the epoch follows, and is where a stop leaves off.
                return self.log(epoch);
            }
            Event::Kept(kept) => {
                let Kept { stage, kept_epoch, epochs, gain, .. } = kept;
                self.line(&format!(
                    "{stage}: kept the weights of epoch {kept_epoch} of {epochs}, whose held-out objective was best, by \
                     {gain:.2} nats a frame"
                ));
                return self.log(kept);
            }
            Event::Mixture(report) => {
                self.line(&format!(
                    "mixture: {} components, log-likelihood {:.3} nats a frame, balance {:.3}",
                    report.components, report.log_likelihood, report.clusters.balance
                ));
                return self.log(report);
            }
            Event::Chosen(choice) => {
                let all: Vec<String> = choice.agreements.iter().map(|a| format!("{a:.3}")).collect();
                let (n, chosen) = (all.len(), choice.chosen + 1);
                self.line(&format!("start {chosen} of {n} agrees best with the others (NMI {})", all.join(", ")));
                return self.log(choice);
            }
            Event::Half { half, halves, stage, done, steps } => {
                self.half(half, halves, stage, done, steps);
                Ok(())
            }
            Event::Witnessed(halves) => {
                self.line(&format!(
                    "models of halves of the frames put {:.1} % of the others where the model does, temperature {:.2}",
                    100.0 * halves.agree,
                    halves.temperature
                ));
                return self.log(&serde_json::json!({ "halves": halves }));
            }
            Event::Restart { restarts, why } => {
                self.line(&format!("the clusters collapsed: {why}; starting again ({restarts})"));
                return self.log(&serde_json::json!({ "restarts": restarts, "why": why }));
            }
        };
        if let Err(fault) = written {
            self.fault = Some(fault);
            return ControlFlow::Break(());
        }
        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Ends the display; gives what training gave, or why it broke off.
    pub fn finish(self, fitted: Result<Option<Fitted>>) -> Result<Fitted> {
        self.bar.finish_and_clear();
        let fault = match fitted {
            Ok(Some(fitted)) => return Ok(fitted),
            Ok(None) => self.fault.unwrap_or_else(|| Error::Interrupted { run: self.run.folder().to_owned() }),
            Err(fault) => fault,
        };
        Err(match fault {
            Error::Diverged { what, stage, step, .. } => Error::Diverged { what, stage, step, kept: self.kept },
            other => other,
        })
    }

    /// Says which model it is to be, and beside what.
    fn rivals(&self, rivals: &Rivals) {
        let name = |rival: &Rival| match (rival.encoder, rival.weights) {
            (EncoderKind::Identity, Weights::Learned) => "mixture on the values, learned shares",
            (EncoderKind::Identity, _) => "mixture on the values, even shares",
            (_, Weights::Learned) => "network, learned shares",
            _ => "network, even shares",
        };
        let said = |rival: &Rival| match rival.alike {
            0.0 => format!("{} none, since its clusters collapsed", name(rival)),
            alike => format!("{} {:.1} %", name(rival), 100.0 * alike),
        };
        let all = rivals.rivals.iter().map(said).collect::<Vec<_>>().join("; ");
        let (halved, splits) = (rivals.halved, rivals.splits);
        let then = rivals.best().map_or("network", name);
        let of = if splits > 1 { format!(", mean of {splits} splits") } else { String::new() };
        self.line(&format!(
            "put alike by models of two halves of {halved} frames{of}: {all}; so the model is a {then}"
        ));
    }

    fn log(&mut self, line: &impl serde::Serialize) -> ControlFlow<()> {
        match self.run.log(line) {
            Ok(()) => ControlFlow::Continue(()),
            Err(fault) => {
                self.fault = Some(fault);
                ControlFlow::Break(())
            }
        }
    }

    fn save(&mut self, checkpoint: &mut dyn FnMut() -> Result<Checkpoint>) -> Result<()> {
        let checkpoint = checkpoint()?;
        if self.keep_stages && checkpoint.place.stage == StageName::Mixture {
            self.run.keep_mixture(&checkpoint)?;
        }
        self.kept = Some(self.run.checkpoint(&checkpoint)?);
        self.last_checkpoint = Instant::now();
        Ok(())
    }

    /// Shows how far a pass over the frames is; a short one leaves no line.
    fn pass(&mut self, pass: Pass, done: usize, of: usize) {
        let now = self.pass.filter(|(name, _)| done > 0 && *name == pass);
        let (_, since) = *self.pass.insert(now.unwrap_or((pass, Instant::now())));
        if done == 0 {
            self.bar.reset();
            self.bar.set_length(of as u64);
            self.bar.set_prefix(pass.to_string());
            self.bar.set_message("");
            self.last_line = since;
        }
        self.bar.set_position(done as u64);
        if !self.terminal && self.last_line.elapsed() >= PLAIN_INTERVAL {
            self.last_line = Instant::now();
            let left = since.elapsed().as_secs_f64() / done.max(1) as f64 * (of - done) as f64;
            eprintln!("{pass}: {:.0} %, {left:.0} s left", 100.0 * done as f64 / of.max(1) as f64);
        }
    }

    /// Shows how far models of halves are, of which there may be many: plain lines only as time goes by.
    fn half(&mut self, half: usize, halves: usize, stage: StageName, done: usize, steps: usize) {
        if done == 0 {
            if self.half.replace(half).is_none() {
                self.line(&format!(
                    "which model, and how sure it may be: fitting networks to {halves} halves of the frames"
                ));
                self.last_line = Instant::now();
            }
            self.reset(stage, steps);
            self.bar.set_message(format!("half {} of {halves}", half + 1));
        }
        self.bar.set_position(done as u64);
        if !self.terminal && self.last_line.elapsed() >= PLAIN_INTERVAL {
            self.last_line = Instant::now();
            eprintln!("half {} of {halves}, {stage}: step {done}/{steps}", half + 1);
        }
    }

    fn reset(&mut self, name: StageName, steps: usize) {
        self.stage = name.as_str();
        self.steps = steps;
        self.first = None;
        self.last_epoch.clear();
        self.bar.reset();
        self.bar.set_length(steps as u64);
        self.bar.set_prefix(self.stage);
        self.bar.set_message("");
    }

    fn begin(&mut self, name: StageName, steps: usize) {
        self.reset(name, steps);
        self.last_line = Instant::now();
        let mixture = name == StageName::Mixture;
        if !self.terminal || mixture {
            let hint = if mixture { " (EM on the latents; a minute or more)" } else { "" };
            self.line(&format!("{name}: started{hint}"));
        }
    }

    fn step(&mut self, done: usize) {
        self.bar.set_position(done as u64);
        let (since, first) = *self.first.get_or_insert((Instant::now(), done));
        let due = self.last_line.elapsed() >= PLAIN_INTERVAL || done == self.steps;
        if !self.terminal && due {
            self.last_line = Instant::now();
            let left = since.elapsed().as_secs_f64() / (done - first).max(1) as f64 * (self.steps - done) as f64;
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

/// Does what takes a pass over frames, outside of a fit, and shows how far it is; `looks` is how often it looks at each.
pub fn shown<T>(
    what: &'static str,
    frames: &dyn Source,
    looks: usize,
    pass: impl FnOnce(&dyn Source) -> Result<T>,
) -> Result<T> {
    let of = looks * frames.len();
    let bar = ProgressBar::new(of as u64).with_prefix(what);
    let terminal = std::io::stderr().is_terminal();
    let mut last_line = Instant::now();
    let mut tell = |done: usize| {
        bar.set_position(done as u64);
        if !terminal && last_line.elapsed() >= PLAIN_INTERVAL {
            last_line = Instant::now();
            eprintln!("{what}: {:.0} %", 100.0 * done as f64 / of.max(1) as f64);
        }
        ControlFlow::Continue(())
    };
    let done = pass(&Watched::new(frames, &mut tell));
    bar.finish_and_clear();
    done
}

fn summary(epoch: &Epoch) -> String {
    let value = |name: &str| epoch.values.get(name).copied().unwrap_or(f32::NAN);
    let head = format!("epoch {}/{}", epoch.epoch, epoch.epochs);
    if epoch.values.contains_key("elbo") {
        let information = epoch.clusters.map_or(f64::NAN, |clusters| clusters.mutual_information);
        format!("{head}  ELBO {:.1}  I(x;c) {information:.3}", value("elbo"))
    } else {
        format!("{head}  reconstruction {:.1}  KL {:.2}", value("reconstruction"), value("latent_kl"))
    }
}
