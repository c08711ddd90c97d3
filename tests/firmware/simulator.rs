//! The simulator through its command line: seeded, and as its tables were.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/npy.rs"]
mod npy;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use npy::npy;
use vibration::{CHANNELS, Machine, RATE, Recording, SCALE, State};

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

/// Counts of two seconds of a machine that turns, as an .npy of i16 and as a table.
fn recordings(folder: &Path) -> [PathBuf; 2] {
    let machine = Machine::of_fleet(0, 800);
    let counts: Vec<[i16; CHANNELS]> = Recording::new(&machine, State::Fast, None, 0).take(3200).collect();
    let [array, table] = ["pump.npy", "pump.tsv"].map(|name| folder.join(name));
    let bytes: Vec<u8> = counts.iter().flatten().flat_map(|count| count.to_le_bytes()).collect();
    std::fs::write(&array, npy("<i2", false, &[counts.len(), CHANNELS], &bytes)).unwrap();
    let mut text = "t\tx\ty\tz\n".to_owned();
    for (at, count) in counts.iter().enumerate() {
        let [x, y, z] = count.map(|count| f32::from(count) * SCALE);
        text += &format!("{:.6}\t{x}\t{y}\t{z}\n", at as f64 / RATE);
    }
    std::fs::write(&table, text).unwrap();
    [array, table]
}

#[test]
fn a_recording_is_told_window_by_window() {
    let folder = tempfile::tempdir().unwrap();
    let [array, table] = recordings(folder.path()).map(|path| path.to_string_lossy().into_owned());
    let said = |arguments: &[&str]| {
        let output = simulator(&[&["stream", "--model", "models/vibration.cvi"], arguments].concat());
        let [text, told] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(output.status.success(), "{told}");
        (text, told)
    };
    let scale = SCALE.to_string();
    let (of_counts, told) = said(&[&array, "--scale", &scale]);
    let lines: Vec<Vec<&str>> = of_counts.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0], ["time", "cluster", "confidence", "novelty", "mark", "alarm", "state"]);
    // A window every 128 samples after the first 256, 1,600 a second; the state has the votes from the second on.
    assert_eq!((lines.len(), told.as_str()), (1 + (3200 - 256) / 128 + 1, ""));
    assert_eq!((lines[1][0], lines[2][0], lines[1][6]), ("0.159375", "0.239375", ""));
    assert!(
        lines[1..].iter().all(|line| line[1] == lines[1][1]) && lines[3..].iter().all(|line| line[6] == lines[1][1])
    );
    // Units give the same, quantised to counts or not, and with time stamps.
    for arguments in [&[table.as_str(), "--time", "t"][..], &[&table, "--time", "1", "--quantise", &scale]] {
        assert_eq!(said(arguments), (of_counts.clone(), String::new()), "{arguments:?}");
    }
    let json: serde_json::Value = serde_json::from_str(&said(&[&array, "--scale", &scale, "--json"]).0).unwrap();
    assert_eq!(json["windows"].as_array().unwrap().len(), lines.len() - 1);
    assert_eq!(json["windows"][3]["cluster"].to_string(), lines[4][1]);
    // A sensor of steps so fine that a g is past its range cuts off; a gap is told.
    let (_, told) = said(&[&table, "--time", "t", "--quantise", "0.00001"]);
    assert!(told.contains("past the 16 bits"), "{told}");
    let text = std::fs::read_to_string(&table).unwrap();
    let gone: String =
        text.lines().enumerate().filter(|(at, _)| *at != 1000).map(|(_, line)| format!("{line}\n")).collect();
    std::fs::write(&table, gone).unwrap();
    let (text, told) = said(&[&table, "--time", "t"]);
    assert!(told.contains("1 gaps") && text.lines().count() < lines.len(), "{told}");
}

#[test]
fn a_recording_that_does_not_fit_is_refused_and_told_why() {
    let folder = tempfile::tempdir().unwrap();
    let [array, table] = recordings(folder.path()).map(|path| path.to_string_lossy().into_owned());
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let fails = |model: &str, arguments: &[&str], code: i32, message: &str| {
        let output = simulator(&[&["stream", "--model", model], arguments].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(message), "{arguments:?}: {stderr}");
    };
    const MODEL: &str = "models/vibration.cvi";
    fails("models/digits.cvi", &[&array], 5, "does not say how windows are cut");
    fails(MODEL, &["nowhere.npy"], 1, "nowhere.npy");
    fails(MODEL, &[&table], 1, "--channels");
    fails(MODEL, &[&table, "--time", "when"], 1, "\"when\"");
    fails(MODEL, &[&table, "--time", "t", "--scale", "1"], 1, "--quantise");
    fails(MODEL, &[&array, "--scale", "0"], 1, "above 0");
    fails(MODEL, &[&array, "--scale", "1,2"], 1, "2 scales");
    fails(MODEL, &[&array, "--scale", "1", "--quantise", "1"], 2, "cannot be used with");
    fails(MODEL, &[&array, "--time", "t"], 1, "for tables");
    fails(MODEL, &[&path("a.csv", "1,2,3\n4,x,6\n")], 1, "row 2, column 2: \"x\"");
    fails(MODEL, &[&path("b.csv", "1,2,3\n4,5\n")], 1, "b.csv");
    fails(MODEL, &[&path("c.csv", "")], 1, "no sample");
    fails(MODEL, &[&path("d.csv", "1,2,inf\n")], 1, "sample 1");
    fails(MODEL, &[&path("e.csv", "t,x,y,z\n,1,2,3\n"), "--time", "t"], 1, "row 2 has no time");
    let shape = npy("<f4", false, &[2, 2], &[0; 16]);
    std::fs::write(folder.path().join("f.npy"), shape).unwrap();
    fails(MODEL, &[&folder.path().join("f.npy").to_string_lossy()], 1, "[T,3]");
}
