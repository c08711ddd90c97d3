//! Training that is killed, stopped, or out of disk: the last checkpoint is whole, and the run goes on to the same bytes.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/command.rs"]
mod command;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use command::{SMALL, fails, stdout, trainer, write_csv};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use trainer::fit::{Checkpoint, Place};
use trainer::stage::StageName;

/// Longer than it takes to interrupt it.
const STEPS: [&str; 4] = ["--set", "pretrain.steps=60", "--set", "refine.steps=600"];

fn arguments<'a>(data: &'a str, out: &'a str) -> Vec<&'a str> {
    [&["fit", "--data", data, "--out", out][..], &SMALL, &STEPS].concat()
}

fn resume<'a>(data: &'a str, run: &'a str) -> Vec<&'a str> {
    vec!["fit", "--resume", run, "--data", data, "--device", "cpu"]
}

fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The last place that a checkpoint of the run stands for; every checkpoint there is must be whole. A run that is under
/// way removes older ones meanwhile.
fn last_place(run: &str) -> Option<Place> {
    let files = std::fs::read_dir(Path::new(run).join("checkpoints")).ok()?;
    let whole = files.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "ckpt"));
    let whole = whole.filter_map(|path| std::fs::read(path).ok());
    whole.map(|bytes| Checkpoint::decode(&bytes).unwrap().place).max()
}

/// The names of all files in a folder, in their order.
fn files_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn assert_same(a: &str, b: &str) {
    for name in ["metrics.json", "metrics.jsonl", "weights.bpk", "model.json"] {
        let read = |run: &str| std::fs::read(Path::new(run).join(name)).unwrap();
        assert!(read(a) == read(b), "{name}");
    }
    // No checkpoint, and nothing that was being written.
    let ended = ["config.toml", "data.json", "metrics.json", "metrics.jsonl", "model.json", "weights.bpk"];
    assert_eq!(files_in(Path::new(a)), ended);
}

/// Kills a run at random moments, every step of which writes a checkpoint, and each time goes on with it.
fn kill_and_go_on(kills: usize) {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, whole) = (at("data.csv"), at("whole"));
    write_csv(Path::new(&data));
    // Models of halves come before the first checkpoint, and what is killed there begins anew.
    let fresh = |run: &str| -> Vec<String> {
        let words = [&arguments(&data, run)[..], &["--set", "confidence.halves=0"]].concat();
        words.into_iter().map(str::to_owned).collect()
    };
    let words = fresh(&whole);
    stdout(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let always = ["--checkpoint-every", "0"];
    let (mut done, mut runs, mut most) = (0, 0, 0);
    while done < kills {
        let run = at(&format!("run-{runs}"));
        runs += 1;
        let mut reached = None;
        while done < kills {
            let begun = Path::new(&run).join("config.toml").exists();
            let words = fresh(&run);
            let fit = if begun { resume(&data, &run) } else { words.iter().map(String::as_str).collect() };
            let mut child = start(&[&fit[..], &always].concat());
            std::thread::sleep(Duration::from_millis(rng.random_range(5..400)));
            let ended = child.try_wait().unwrap();
            // `kill` of the standard library is SIGKILL.
            child.kill().unwrap();
            child.wait().unwrap();
            if let Some(status) = ended {
                assert!(status.success(), "{status}");
                break;
            }
            done += 1;
            if Path::new(&run).join("model.json").exists() {
                // It had just ended, with all that it leaves.
                break;
            }
            // Older checkpoints go; a kill between writing one and removing the last leaves two.
            let left = Path::new(&run).join("checkpoints");
            if left.exists() {
                let whole = files_in(&left).iter().filter(|name| name.ends_with(".ckpt")).count();
                assert!(whole <= 2, "{whole} checkpoints");
                most = most.max(whole);
            }
            let place = last_place(&run);
            assert!(place >= reached, "{place:?} after {reached:?}");
            reached = place;
        }
        if !Path::new(&run).join("model.json").exists() {
            stdout(&resume(&data, &run));
        }
        assert_same(&run, &whole);
    }
    assert!(most > 0, "no kill left a checkpoint");
    eprintln!("{done} kills in {runs} runs, each with a checkpoint that loads");
}

#[test]
fn a_kill_at_any_moment_leaves_a_checkpoint_that_goes_on() {
    kill_and_go_on(8);
}

#[test]
#[ignore = "takes minutes: cargo test --release -p trainer --test interruption -- --ignored --nocapture"]
fn two_hundred_kills_leave_a_checkpoint_that_goes_on() {
    kill_and_go_on(200);
}

/// A run that stopped with exit code 130 as soon as a checkpoint of `stage` was there.
fn interrupted(data: &str, run: &str, stage: StageName) {
    let mut child = start(&[&arguments(data, run)[..], &["--checkpoint-every", "0"]].concat());
    while last_place(run).is_none_or(|place| place.stage < stage) {
        assert_eq!(child.try_wait().unwrap(), None);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!Path::new(run).join("model.json").exists());
    // What went before is not needed any more.
    assert_eq!(files_in(&Path::new(run).join("checkpoints")), [format!("{}.ckpt", last_place(run).unwrap().stage)]);
}

#[test]
fn ctrl_c_in_any_stage_saves_and_exits_with_130() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, whole) = (at("data.csv"), at("whole"));
    write_csv(Path::new(&data));
    stdout(&arguments(&data, &whole));
    for stage in StageName::ALL {
        let run = at(stage.as_str());
        interrupted(&data, &run, stage);
        stdout(&resume(&data, &run));
        assert_same(&run, &whole);
    }
    // As a kill after the end may leave it: the checkpoints of a run that has ended go.
    let left = Path::new(&whole).join("checkpoints");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("refine.ckpt"), "left over").unwrap();
    fails(&resume(&data, &whole), 5, "this run has ended");
    assert_same(&whole, &at("refine"));
}

/// EM looks at no signal until it is done, but a second Ctrl-C ends it.
#[test]
fn a_second_ctrl_c_waits_for_nothing_and_leaves_the_last_checkpoint() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, run) = (at("data.csv"), at("run"));
    write_csv(Path::new(&data));
    let mut fit = Command::new(env!("CARGO_BIN_EXE_trainer"));
    fit.args(arguments(&data, &run))
        .args(["--set", "mixture.restarts=10000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // So many starts take one thread many seconds.
    let mut child = fit.env("RAYON_NUM_THREADS", "1").spawn().unwrap();
    while last_place(&run).is_none() {
        assert_eq!(child.try_wait().unwrap(), None);
        std::thread::sleep(Duration::from_millis(2));
    }
    for _ in 0..2 {
        assert_eq!(child.try_wait().unwrap(), None);
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(last_place(&run).unwrap().stage, StageName::Pretrain);
}

/// Runs a line of shell with the program as `$TRAINER`; its exit code and what it said.
fn shell(mut command: Command, script: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    command.args(["-c", script]).env("TRAINER", env!("CARGO_BIN_EXE_trainer")).envs(variables.iter().copied());
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Where no file may grow past 700 blocks, the log of epochs can still be written and a checkpoint cannot.
#[test]
fn a_checkpoint_that_cannot_be_written_ends_with_7_and_leaves_the_last_one() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, whole, run) = (at("data.csv"), at("whole"), at("run"));
    write_csv(Path::new(&data));
    stdout(&arguments(&data, &whole));
    interrupted(&data, &run, StageName::Refine);
    let kept = Path::new(&run).join("checkpoints/refine.ckpt");
    let before = std::fs::read(&kept).unwrap();
    let script = r#"trap "" XFSZ; ulimit -f 700; exec "$TRAINER" fit --resume "$RUN" --data "$DATA" --device cpu"#;
    let (code, told) = shell(Command::new("sh"), script, &[("RUN", &run), ("DATA", &data)]);
    assert_eq!(code, Some(7), "{told}");
    assert!(told.contains("refine.ckpt"), "{told}");
    assert!(std::fs::read(&kept).unwrap() == before);
    stdout(&resume(&data, &run));
    assert_same(&run, &whole);
}

/// The same on a file system that is full, mounted in a namespace of its own where the system allows that.
#[test]
fn a_full_disk_ends_with_7_and_leaves_the_last_checkpoint() {
    let private = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh"]);
        command
    };
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, whole, run, disk) = (at("data.csv"), at("whole"), at("run"), at("disk"));
    std::fs::create_dir(&disk).unwrap();
    let mounted = Command::new("unshare").arg("--version").output().is_ok()
        && shell(private(), r#"mount -t tmpfs tmpfs "$DISK""#, &[("DISK", &disk)]).0 == Some(0);
    if !mounted {
        eprintln!("skipped: this system lets no user mount a file system of their own");
        return;
    }
    write_csv(Path::new(&data));
    stdout(&arguments(&data, &whole));
    interrupted(&data, &run, StageName::Refine);
    let before = std::fs::read(Path::new(&run).join("checkpoints/refine.ckpt")).unwrap();
    // Room for the run and 300 KiB more: for the log, not for a second copy of a checkpoint.
    let script = r#"mount -t tmpfs -o size=$(($(du -sk "$RUN" | cut -f1) + 300))k tmpfs "$DISK" &&
        cp -r "$RUN" "$DISK/run" &&
        "$TRAINER" fit --resume "$DISK/run" --data "$DATA" --device cpu
        code=$?; rm -r "$RUN"; cp -r "$DISK/run" "$RUN"; exit $code"#;
    let (code, told) = shell(private(), script, &[("RUN", &run), ("DATA", &data), ("DISK", &disk)]);
    assert_eq!(code, Some(7), "{told}");
    assert!(told.contains("refine.ckpt") && told.contains("No space left"), "{told}");
    assert!(std::fs::read(Path::new(&run).join("checkpoints/refine.ckpt")).unwrap() == before);
    stdout(&resume(&data, &run));
    assert_same(&run, &whole);
}

/// R1: two fits that would write the same run; the second says who does, and what a killed one leaves holds no one up.
#[test]
fn a_run_is_written_by_one_program_at_a_time() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, run) = (at("data.csv"), at("run"));
    write_csv(Path::new(&data));
    let longer = ["--set", "refine.steps=1000000", "--set", "confidence.halves=0", "--checkpoint-every", "0"];
    let mut child = start(&[&arguments(&data, &run)[..], &longer].concat());
    while !Path::new(&run).join("checkpoints").exists() {
        std::thread::sleep(Duration::from_millis(5));
        assert!(child.try_wait().unwrap().is_none(), "it ended");
    }
    let holder = format!("process {} is writing to this run", child.id());
    fails(&resume(&data, &run), 7, &holder);
    fails(&arguments(&data, &run), 7, &holder);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(files_in(Path::new(&run)).contains(&"run.lock".to_owned()));
    let mut child = start(&resume(&data, &run));
    let holder = format!("process {}\n", child.id());
    while std::fs::read_to_string(Path::new(&run).join("run.lock")).unwrap_or_default() != holder {
        std::thread::sleep(Duration::from_millis(5));
        assert!(child.try_wait().unwrap().is_none(), "it ended");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_run_is_resumed_with_its_own_settings() {
    let output = trainer(&["fit", "--resume", "run", "--seed", "1"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("--seed"));
    fails(&["fit", "--resume", "nowhere"], 5, "run directory");
}
