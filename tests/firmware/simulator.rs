//! The simulator through its command line: seeded, and as its tables were.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use std::process::{Command, Output};

fn simulator(arguments: &[&str]) -> Output {
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    Command::new(env!("CARGO_BIN_EXE_firmware-sim")).args(arguments).current_dir(repository).output().unwrap()
}

/// What it printed, without the throughput of this machine.
fn table(arguments: &[&str]) -> String {
    let output = simulator(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| !line.contains("second")).map(|line| format!("{line}\n")).collect()
}

/// Compares a table with the file that holds what it was.
fn is_as_it_was(arguments: &[&str], file: &str) {
    let expected = std::fs::read_to_string(format!("{}/../tests/data/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let found = table(arguments);
    let command = format!("firmware-sim {} | grep -v second > tests/data/{file}", arguments.join(" "));
    assert_eq!(found, expected, "if this is meant to change: {command}");
}

const FAULTY: [&str; 22] = [
    "--frames",
    "6000",
    "--restart-every",
    "1000",
    "--drop",
    "0.01",
    "--duplicate",
    "0.01",
    "--corrupt",
    "0.02",
    "--nan",
    "0.01",
    "--saturate",
    "0.01",
    "--clock-jump",
    "0.01",
    "--bit-flip",
    "0.001",
    "--rate",
    "200",
    "--step-ms",
    "5",
];

#[test]
fn a_replay_with_faults_is_as_it_was() {
    is_as_it_was(&FAULTY, "replay.txt");
}

#[test]
fn a_replay_that_adapts_is_as_it_was() {
    is_as_it_was(&["--frames", "6000", "--hold", "1", "--drift", "background", "--adapt"], "replay-adapts.txt");
}

#[test]
fn the_table_of_drifts_is_as_it_was() {
    is_as_it_was(&["drift", "--frames", "4000", "--streams", "2"], "drift.txt");
}

#[test]
fn the_same_seed_gives_the_same_and_another_seed_another() {
    let with_seed = |seed: &str| table(&[&FAULTY[..], &["--seed", seed]].concat());
    assert_eq!(with_seed("5"), with_seed("5"));
    assert_ne!(with_seed("5"), with_seed("6"));
}

#[test]
fn without_faults_no_frame_is_lost_or_refused() {
    let rates = ["drop", "duplicate", "corrupt", "nan", "saturate", "clock-jump", "bit-flip"];
    let arguments: Vec<String> = rates.iter().map(|rate| format!("--{rate}=0")).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--frames=3000", "--json"]).collect();
    let output = simulator(&arguments);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let summary = &report["summary"];
    for (count, expected) in [("frames", 3000), ("dropped", 0), ("refused", 0), ("alarms", 0)] {
        assert_eq!(summary[count], expected, "{count}");
    }
    assert_eq!(report["starts"]["confirmed"], 1);
    let [agree, all] = [0, 1].map(|at| report["frames_agree"][at].as_f64().unwrap());
    assert!(agree / all > 0.97 && all > 2900.0, "{agree} of {all}");
}

#[test]
fn frames_that_come_faster_than_the_device_is_overrun_its_queue() {
    let output = simulator(&["--frames", "3000", "--rate", "1000", "--step-ms", "4", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let dropped = report["summary"]["dropped"].as_f64().unwrap();
    assert!((2100.0..2400.0).contains(&dropped), "{dropped}");
}

#[test]
fn what_cannot_be_run_is_told_with_its_exit_code() {
    let fails = |arguments: &[&str], code: i32, message: &str| {
        let output = simulator(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(message), "{arguments:?}: {stderr}");
    };
    fails(&["--model", "nowhere.cvi"], 5, "nowhere.cvi");
    fails(&["--model", "README.md"], 5, "does not begin with CVIM");
    fails(&["--drop", "1.5"], 2, "0 to 1");
    fails(&["--rate", "0"], 2, "1..=1000");
    fails(&["--drift", "rain"], 2, "background");
    fails(&["drift", "--streams", "0"], 2, "0 is not in 1..");
    let help = String::from_utf8(simulator(&["--help"]).stdout).unwrap();
    for word in ["--seed", "--rate", "--nan", "--adapt", "--drift", "--model", "Exit codes", "Examples"] {
        assert!(help.contains(word), "{word}");
    }
}
