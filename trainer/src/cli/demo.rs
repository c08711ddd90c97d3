//! `trainer demo`: the whole way on data that the program brings along.

use std::path::Path;
use std::time::Instant;

use runtime::Assignment;
use trainer::config::Config;
use trainer::data::{Input, Manner, Role, write_npy};
use trainer::eval::{Predictions, assign, auroc, bound, predict, scores};
use trainer::export::{Exported, Precision, export, figures};
use trainer::files::write_atomically;
use trainer::fitted::Fitted;
use trainer::run::{Run, metrics};
use trainer::{Result, fleet};
use vibration::Fault;

use super::fit::Training;

/// Fit, export and label data that the program brings along: everything at once
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  trainer demo --seed 1\n  trainer demo --data vibration")]
pub struct Args {
    /// What to fit to
    #[arg(long, value_enum, default_value_t)]
    data: Data,
    #[command(flatten)]
    training: Training,
}

/// Data that the program brings along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Data {
    /// Embedded digits
    #[default]
    Digits,
    /// The accelerometers on a fleet of machines, made by equations: states to be found, and faults that are never shown
    Vibration,
}

/// Where the windows of the fleet are written, for all else that reads frames.
const WINDOWS: &str = "runs/vibration.npz";
/// Clusters that the states of the fleet ask for, which is all that is set.
const STATES: &str = "clusters=4";

impl Args {
    /// Fits, exports and labels, and prints how it went.
    pub fn run(self) -> Result<()> {
        let started = Instant::now();
        let (base, input) = match self.data {
            Data::Digits => (Config::demo(), Input::default()),
            Data::Vibration => (Config::default().set(&[STATES.to_owned()])?, windows()?),
        };
        let config = self.training.configure(base)?;
        let devices = self.training.devices()?;
        let device = &devices.0;
        let (set, config) = super::fit::frames_for(&input, config)?;
        let held_out = input.open(Role::Score)?.frames;
        let (fitted, run) = self.training.train(&config, &set, &input, &devices, "demo")?;
        let fitted = match self.data {
            Data::Digits => fitted,
            Data::Vibration => of_recordings(fitted, &run)?,
        };
        let trained = started.elapsed();

        let exported = match self.data {
            Data::Digits => exported(&fitted.with_latent_novelty(), &run)?,
            // A fault that the encoder takes for something ordinary shows where the decoder does not give it back.
            Data::Vibration => exported(&fitted, &run)?,
        };
        eprintln!("labelling {} held-out frames with {}", held_out.len(), exported.onnx.display());
        let assignments = assign(&exported.onnx, &held_out)?;
        let on_device = Predictions::from(&assignments[..]);
        let in_training = predict(&fitted, &held_out, &device.device)?;
        let (agreement, difference) = in_training.agreement(&on_device);
        let report = bound(&fitted, &held_out, 1, &device.device)?;
        let page = super::report::write(&fitted, run.folder(), &input, None, &device.device)?;
        let novel = assignments.iter().filter(|a| a.is_novel).count();

        let labels = held_out.labels.as_deref().unwrap_or_default();
        let s = scores(&on_device.clusters, labels);
        let what = match self.data {
            Data::Digits => "held-out digits",
            Data::Vibration => "windows of machines that were not fitted to:",
        };
        super::print_line(format!(
            "\n{what} {}, labelled by the exported model in runtime (tract)\n\
             ACC {:.4}  NMI {:.4}  ARI {:.4}",
            s.n, s.acc, s.nmi, s.ari
        ))?;
        super::print_line(super::eval::terms(&report))?;
        super::print_line(format!(
            "same cluster as the trained model on {:.2} % of them, responsibilities within {difference:.1e}\n\
             called novel: {novel} of {} (calibrated for {:.1} % of ordinary frames)",
            100.0 * agreement,
            s.n,
            100.0 * config.novelty.false_alarm_rate,
        ))?;
        if self.data == Data::Vibration {
            faults(&exported, &assignments)?;
        }
        super::print_line(format!(
            "time: training {:.0} s, all {:.0} s, on {}\n",
            trained.as_secs_f64(),
            started.elapsed().as_secs_f64(),
            device.name
        ))?;
        let recording = match self.data {
            Data::Digits => None,
            Data::Vibration => Some(("recording, for the device", recording(&run)?)),
        };
        for (what, path) in [
            ("report, open in a browser", page),
            ("model for the device", exported.onnx.clone()),
            ("flash image", exported.flash.clone()),
            ("its card", exported.card.clone()),
            ("decoder, for the curious", exported.decoder.clone()),
            ("weights", run.folder().join("weights.bpk")),
            ("metrics, a line an epoch", run.folder().join("metrics.jsonl")),
            ("configuration", run.folder().join("config.toml")),
        ]
        .into_iter()
        .chain(recording)
        {
            let size = std::fs::metadata(&path).map_or(0, |m| m.len());
            super::print_line(format!("{what:<26} {:>9} bytes  {}", size, path.display()))?;
        }
        Ok(())
    }
}

fn exported(fitted: &Fitted, run: &Run) -> Result<Exported> {
    let figures = metrics(run.folder())?.as_ref().and_then(figures);
    let folder = run.folder().join("export");
    export(fitted, None, Precision::F16, &folder, figures.as_deref())
}

/// Writes the windows of the fleet, and says how they are read.
fn windows() -> Result<Input> {
    let path = Path::new(WINDOWS);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| trainer::Error::resource(folder.display(), e))?;
    }
    write_atomically(path, &fleet::archive()?)?;
    eprintln!("the windows are in {}", path.display());
    Ok(Input { layout: "nct".parse().ok(), ..Input::of(Some(path)) })
}

/// The model, and the run with it, told how its windows were cut.
fn of_recordings(fitted: Fitted, run: &Run) -> Result<Fitted> {
    let manner = Manner { windows: Some(fleet::windowing()), ..fitted.manner.clone().unwrap_or_default() };
    let fitted = Fitted { manner: Some(manner), ..fitted };
    run.save(&fitted)?;
    Ok(fitted)
}

/// Prints how well faults are told from windows of sound machines by their novelty, neither of which was fitted to.
fn faults(exported: &Exported, sound: &[Assignment]) -> Result<()> {
    super::print_line("fault, never shown     AUROC of novelty   called novel   at 1 % of sound windows")?;
    let mut of_sound: Vec<f32> = sound.iter().map(|a| a.novelty).collect();
    of_sound.sort_by(f32::total_cmp);
    // Exceeded by a hundredth of them.
    let hundredth = of_sound.len().checked_sub(1 + of_sound.len() / 100).map_or(f32::NAN, |at| of_sound[at]);
    let told = |what: &str, found: &[Assignment]| {
        let all = || sound.iter().chain(found);
        let (novelty, faulty): (Vec<f32>, Vec<bool>) =
            all().enumerate().map(|(at, a)| (a.novelty, at >= sound.len())).unzip();
        let share = |is: &dyn Fn(&Assignment) -> bool| {
            100.0 * found.iter().filter(|a| is(a)).count() as f64 / found.len() as f64
        };
        let [novel, told] = [share(&|a| a.is_novel), share(&|a| a.novelty > hundredth)];
        let auroc = auroc(&novelty, &faulty).unwrap_or(f64::NAN);
        super::print_line(format!("{what:<22} {auroc:<18.4} {novel:<14.2} {told:.2} %"))
    };
    let mut any = Vec::new();
    for fault in Fault::ALL {
        let found = assign(&exported.onnx, &fleet::faulty(fault))?;
        told(&format!("{fault:?}"), &found)?;
        any.extend(found);
    }
    told("any of them", &any)
}

/// Writes a recording for `firmware-sim stream`, and says how.
fn recording(run: &Run) -> Result<std::path::PathBuf> {
    let path = run.folder().join("recording.npy");
    let samples: Vec<f32> =
        fleet::recording().iter().flatten().map(|count| f32::from(*count) * vibration::SCALE).collect();
    write_atomically(&path, &write_npy(&samples, vibration::CHANNELS)?)?;
    eprintln!(
        "next: firmware-sim stream {} --quantise {} --model {}",
        path.display(),
        vibration::SCALE,
        run.folder().join("export/model.cvi").display()
    );
    Ok(path)
}
