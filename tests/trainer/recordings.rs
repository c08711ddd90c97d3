//! Recordings through the command line and the reader: cut, parted at gaps, grouped, held out, decided over time.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/answers.rs"]
mod answers;
#[path = "../common/command.rs"]
mod command;
#[path = "../common/npy.rs"]
mod npy;

use std::f64::consts::PI;
use std::path::{Path, PathBuf};

use answers::columns;
use clap::Parser;
use command::{SMALL, fails, stdout, trainer, write_csv};
use tempfile::TempDir;
use trainer::data::{DataSet, Input, Role, Source};

/// The options of data as a command line gives them.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Line {
    #[command(flatten)]
    input: Input,
}

fn input(words: &[&str], data: &[&Path]) -> Input {
    let data: Vec<String> = data.iter().map(|path| path.display().to_string()).collect();
    let words = words.iter().copied().chain(["--data"]).chain(data.iter().map(String::as_str));
    Line::parse_from(words).input
}

fn read(words: &[&str], data: &[&Path]) -> Result<DataSet, String> {
    input(words, data).open(Role::Fit).map_err(|e| e.to_string())
}

/// Samples of two channels, the second an hum of `period` samples; the first counts.
fn samples(count: usize, period: f64) -> Vec<[f64; 2]> {
    (0..count).map(|n| [n as f64, (2.0 * PI * n as f64 / period).sin()]).collect()
}

fn write(path: &Path, header: &str, rows: impl Iterator<Item = String>) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let text = rows.fold(format!("{header}\n"), |text, row| text + &row + "\n");
    std::fs::write(path, text).unwrap();
    path.to_owned()
}

fn plain(path: &Path, samples: &[[f64; 2]]) -> PathBuf {
    write(path, "n,hum", samples.iter().map(|[a, b]| format!("{a},{b}")))
}

/// The first channel of each window, which counts the samples.
fn firsts(set: &DataSet) -> Vec<[f32; 2]> {
    let p = set.frames.shape.len();
    let all = set.frames.all().unwrap().values;
    all.chunks_exact(p).map(|window| [window[0], window[set.frames.shape.width - 1]]).collect()
}

#[test]
fn windows_are_cut_where_they_should_be_whatever_the_file() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    let table = plain(&at("a.csv"), &samples(25, 7.0));
    let set = read(&["--window", "10", "--hop", "5"], &[&table]).unwrap();
    assert_eq!(set.frames.shape.to_string(), "2x1x10");
    assert_eq!(firsts(&set), [[0.0, 9.0], [5.0, 14.0], [10.0, 19.0], [15.0, 24.0]]);
    assert_eq!(set.columns.as_deref(), Some(&["n".to_owned(), "hum".to_owned()][..]));
    let told = set.taken.to_string();
    assert!(told.starts_with("4 frames of 2x1x10 taken as windows (1 recording, a table of commas, a header; windows of 10 samples, one every 5 samples)"), "{told}");
    // The second channel follows the first, and a hop may be longer than a window.
    let all = set.frames.all().unwrap().values;
    assert!((all[10 + 3] - (2.0 * PI * 3.0 / 7.0).sin() as f32).abs() < 1e-6);
    assert_eq!(firsts(&read(&["--window", "10", "--hop", "12"], &[&table]).unwrap()), [[0.0, 9.0], [12.0, 21.0]]);
    // Half a window is the usual hop; times stand for samples where the rate is known.
    let half = firsts(&read(&["--window", "10"], &[&table]).unwrap());
    assert_eq!(firsts(&read(&["--window", "200ms", "--rate", "50"], &[&table]).unwrap()), half);

    let bytes: Vec<u8> = samples(25, 7.0).iter().flatten().flat_map(|v| (*v as f32).to_le_bytes()).collect();
    std::fs::write(at("a.npy"), npy::npy("<f4", false, &[25, 2], &bytes)).unwrap();
    let array = read(&["--window", "10"], &[&at("a.npy")]).unwrap();
    assert_eq!(
        array.frames.all().unwrap().values,
        read(&["--window", "10"], &[&table]).unwrap().frames.all().unwrap().values
    );
    // Several recordings of one length: no window crosses from one into the next.
    let bytes: Vec<u8> = (0..40).flat_map(|v| (v as i16).to_le_bytes()).collect();
    std::fs::write(at("several.npy"), npy::npy("<i2", false, &[2, 10, 2], &bytes)).unwrap();
    let several = read(&["--window", "6", "--hop", "3"], &[&at("several.npy")]).unwrap();
    assert_eq!(firsts(&several), [[0.0, 10.0], [6.0, 16.0], [20.0, 30.0], [26.0, 36.0]]);
    std::fs::write(at("wide.npy"), npy::npy("<i2", false, &[2, 20], &bytes)).unwrap();
    assert!(read(&["--window", "6"], &[&at("wide.npy")]).unwrap_err().contains("turn it round"));
    // A value that is not there is told by its window; all windows with it are left out if that is asked for.
    let holed = samples(25, 7.0).into_iter().map(|[n, hum]| format!("{n},{}", if n == 12.0 { f64::NAN } else { hum }));
    let holed = write(&at("holed.csv"), "n,hum", holed);
    assert!(read(&["--window", "10"], &[&holed]).unwrap_err().contains("--missing drop"));
    let kept = read(&["--window", "10", "--missing", "drop"], &[&holed]).unwrap();
    assert_eq!((firsts(&kept), kept.frames.cut(1).unwrap().first), (vec![[0.0, 9.0], [15.0, 24.0]], 15));
    let empty = write(&at("empty.csv"), "n,hum", (0..25).map(|n| format!("{n},NaN")));
    let found = read(&["--window", "10", "--missing", "mean", "--columns", "n,hum"], &[&empty]).unwrap_err();
    assert!(found.contains("missing in every frame"), "{found}");
    for (words, problem) in [
        (&["--window", "26"][..], "no stretch without a gap as long as a window of 26 samples"),
        (&["--window", "2s"], "--rate HZ"),
        (&["--hop", "5"], "--window SPAN"),
        (&["--window", "5", "--rate", "0"], "expected a number above 0"),
        (&["--window", "5", "--layout", "nf"], "say one of them"),
        (&["--window", "5", "--time", "t"], "no column \"t\""),
        (&["--window", "5", "--resample", "20"], "--time COLUMN, or --rate"),
    ] {
        let found = read(words, &[&table]).unwrap_err();
        assert!(found.contains(problem), "{words:?}: {found}");
    }
}

#[test]
fn no_window_crosses_a_gap_and_uneven_times_can_be_made_even() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    // 20 ms apart; 100 ms are lost after sample 11.
    let time = |n: usize| 20 * n + if n > 11 { 100 } else { 0 };
    let rows = || {
        samples(30, 9.0).into_iter().enumerate().map(|(n, [a, b])| format!("{},{a},{b}", 1_700_000_000_000 + time(n)))
    };
    let file = write(&at("gap.csv"), "stamp,n,hum", rows());
    let set = read(&["--window", "200ms", "--hop", "100ms", "--time", "stamp:ms"], &[&file]).unwrap();
    assert_eq!(firsts(&set), [[0.0, 9.0], [12.0, 21.0], [17.0, 26.0]]);
    let told = set.taken.to_string();
    assert!(
        told.contains("50 samples a second by their times") && told.contains("1 gap, which no window crosses"),
        "{told}"
    );
    let recordings = set.frames.recordings().unwrap();
    let times = recordings.times(set.frames.cut(1).unwrap());
    assert!((times[0] - 0.34).abs() < 1e-9 && (times[1] - 0.54).abs() < 1e-9, "{times:?}");
    let wrong = read(&["--window", "10", "--time", "stamp:ms", "--rate", "100"], &[&file]).unwrap_err();
    assert!(wrong.contains("there are 50 a second"), "{wrong}");
    // A lost sample is bridged where that is asked for, or where samples are brought to a rate.
    let lossy = (0..60).filter(|n| n % 20 != 7).map(|n| format!("{:.3},{n}", n as f64 / 50.0));
    let lossy = write(&at("lossy.csv"), "t,line", lossy);
    let parted = read(&["--window", "15", "--hop", "15", "--time", "t"], &[&lossy]).unwrap();
    assert_eq!(firsts(&parted), [[8.0, 22.0], [28.0, 42.0]]);
    for words in [["--gap", "50ms"], ["--resample", "50"]] {
        let words = [&["--window", "15", "--hop", "15", "--time", "t"][..], &words].concat();
        assert_eq!(firsts(&read(&words, &[&lossy]).unwrap())[0][0], 0.0);
        assert!(!read(&words, &[&lossy]).unwrap().taken.to_string().contains("gap"));
    }
    // Clocks that tell milliseconds are right on average: 30 a second are not 1000 / 33.
    let rows = (0..3000).map(|n| format!("{},{}", n * 100 / 3, (n as f64 / 5.0).sin()));
    let clock = write(&at("clock.csv"), "t,hum", rows);
    let told = read(&["--window", "1s", "--time", "t:ms"], &[&clock]).unwrap().taken.to_string();
    assert!(told.contains("windows of 30 samples (1 s)") && told.contains("30 samples a second"), "{told}");
    // Recordings of another rate are no windows of the same time.
    let slow = write(&at("slow.csv"), "t,hum", (0..300).map(|n| format!("{},{}", n * 100, (n as f64 / 5.0).sin())));
    let found = read(&["--window", "1s", "--time", "t:ms"], &[&clock, &slow]).unwrap_err();
    assert!(found.contains("10 samples a second in") && found.contains("--resample 30"), "{found}");
    let even = read(&["--window", "1s", "--time", "t:ms", "--resample", "10"], &[&clock, &slow]).unwrap();
    assert_eq!(even.frames.shape.width, 10);
    // Dates, and steps that differ.
    let uneven = |n: usize| 20 * n + [0, 6, 3, 7][n % 4];
    let dated = samples(40, 9.0).into_iter().enumerate().map(|(n, _)| {
        let ms = uneven(n);
        format!("2024-01-31T12:00:{:02}.{:03}Z,{}", ms / 1000, ms % 1000, 2.0 * ms as f64)
    });
    let file = write(&at("uneven.csv"), "when,line", dated);
    let told = read(&["--window", "10", "--time", "when"], &[&file]).unwrap().taken.to_string();
    assert!(told.contains("steps of time vary by") && told.contains("--resample"), "{told}");
    let even = read(&["--window", "10", "--hop", "10", "--time", "when", "--resample", "100"], &[&file]).unwrap();
    let values = even.frames.all().unwrap().values;
    // Twice the time in ms, every 10 ms.
    assert!(values.iter().enumerate().all(|(n, v)| (f64::from(*v) - 20.0 * n as f64).abs() < 1e-3), "{values:?}");
}

#[test]
fn columns_and_paths_say_which_recording_of_whom() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    // One table: two recordings of ann, one of bob, the class changes within the last.
    let row = |n: usize| {
        let (who, which) = [("ann", 1), ("ann", 2), ("bob", 3)][n / 20];
        let state = if n < 48 { "rest" } else { "run" };
        format!("{who},{which},{state},{n},{}", (n as f64 / 3.0).sin())
    };
    let table = write(&at("all.csv"), "who,which,state,n,hum", (0..60).map(row));
    let words = ["--window", "8", "--hop", "6", "--recording", "which", "--group", "who", "--label", "state"];
    let set = read(&words, &[&table]).unwrap();
    assert_eq!(
        firsts(&set).iter().map(|w| w[0]).collect::<Vec<_>>(),
        [0.0, 6.0, 12.0, 20.0, 26.0, 32.0, 40.0, 46.0, 52.0]
    );
    let recordings = set.frames.recordings().unwrap();
    assert_eq!(
        (recordings.groups.join(","), recordings.names.join(",").replace(&table.display().to_string(), "all")),
        ("ann,bob".into(), "all:1,all:2,all:3".into())
    );
    assert!(set.taken.to_string().contains("2 groups by their windows: ann (6), bob (3)"), "{}", set.taken);
    // Rows that are not together are no recordings.
    let mixed = write(&at("mixed.csv"), "which,hum", (0..60).map(|n| format!("{},{}", n % 2, (n as f64 / 3.0).sin())));
    let found = read(&["--window", "8", "--recording", "which"], &[&mixed]).unwrap_err();
    assert!(found.contains("changes 59 times between 2 recordings; sort the table by it"), "{found}");
    // Most of the samples say the class: 46 to 53 has six of the second.
    let named: Vec<String> = set.frames.labels.as_ref().unwrap().iter().map(|label| set.class(*label)).collect();
    assert_eq!(named[6..], ["rest", "run", "run"]);
    let unknown = read(&[&words[..], &["--hold-out", "eve"]].concat(), &[&table]).unwrap_err();
    assert!(unknown.contains("no such group; there are ann, bob"), "{unknown}");
    let scored = input(&[&words[..], &["--hold-out", "bob"]].concat(), &[&table]).open(Role::Score).unwrap();
    assert_eq!(firsts(&scored).len(), 3);

    // Folders.
    for (who, what) in [("p1", "walk-left"), ("p1", "stand-up-right"), ("p2", "walk-right")] {
        plain(&at(&format!("tree/{who}/{what}.csv")), &samples(12, 5.0));
    }
    std::fs::write(at("tree/readme.md"), "notes").unwrap();
    let set = read(&["--window", "6", "--group", "{}/*.csv", "--label", "{}-*.csv"], &[&at("tree")]).unwrap();
    let recordings = set.frames.recordings().unwrap();
    assert_eq!(recordings.groups.join(","), "p1,p2");
    assert_eq!(set.classes.as_ref().unwrap().join(","), "stand-up,walk");
    assert!(set.taken.to_string().contains("1 files left out, no recordings: readme.md"), "{}", set.taken);
    let wrong = read(&["--window", "6", "--group", "person-{}/*"], &[&at("tree")]).unwrap_err();
    assert!(wrong.contains("none of the pattern"), "{wrong}");
}

#[test]
fn sound_comes_with_its_rate() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("hum.wav");
    let spec =
        hound::WavSpec { channels: 2, sample_rate: 8000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(&file, spec).unwrap();
    (0..400i16).for_each(|n| [n, -n].iter().for_each(|v| writer.write_sample(*v).unwrap()));
    writer.finalize().unwrap();
    let set = read(&["--window", "10ms", "--hop", "20ms"], &[&file]).unwrap();
    assert_eq!(
        (set.frames.shape.to_string().as_str(), firsts(&set)),
        ("2x1x80", [[0.0, 79.0], [160.0, 239.0], [320.0, 399.0]].map(|w| w.map(|v| v / 32768.0)).to_vec())
    );
    assert!(set.taken.to_string().contains("8000 samples a second by the files"), "{}", set.taken);
    assert!(read(&[], &[&file]).unwrap_err().contains("say --window SPAN"));
    assert!(read(&["--window", "10ms", "--rate", "100"], &[&file]).unwrap_err().contains("there are 8000 a second"));
    let bytes = std::fs::read(&file).unwrap();
    for length in [4, 12, 20, 43, 300] {
        let cut = dir.path().join("cut.wav");
        std::fs::write(&cut, &bytes[..length]).unwrap();
        let found = read(&["--window", "80"], &[&cut]);
        assert!(found.is_err(), "{length}");
    }
}

/// Fits recordings of two hums, and uses the model on others.
#[test]
fn a_model_cuts_recordings_as_it_is_used_to_and_decides_as_the_device_does() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    let path = |name: &str| at(name).display().to_string();
    for (n, who) in ["a", "b", "c", "d"].iter().enumerate() {
        for (period, state) in [(4.0, "fast"), (13.0, "slow")] {
            let level = 1.0 + n as f64 / 10.0;
            let rows = (0..240).map(|t| format!("{}", level * (2.0 * PI * t as f64 / period + n as f64).sin()));
            write(&at(&format!("hums/{who}/{state}.csv")), "hum", rows);
        }
    }
    let run = path("run");
    let small: Vec<&str> = SMALL.to_vec();
    let said = ["--window", "32", "--hop", "16", "--rate", "16", "--group", "{}/*.csv", "--label", "{}.csv"];
    let hums = path("hums");
    let fit = [&["fit", "--data", &hums, "--out", &run, "--hold-out", "c,d"][..], &said, &small].concat();
    let output = trainer(&fit);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("held out to calibrate: 2 of 4 groups, 56 windows"), "{told}");
    let model: serde_json::Value = serde_json::from_slice(&std::fs::read(at("run/model.json")).unwrap()).unwrap();
    assert_eq!(model["manner"]["windows"], serde_json::json!({ "window": 32, "hop": 16, "rate": 16.0 }));
    assert_eq!(model["columns"], serde_json::json!(["hum"]));

    // Held-out groups alone are scored.
    let scored =
        stdout(&[&["eval", &run, "--samples", "1", "--data", &hums, "--hold-out", "c,d"][..], &said[6..]].concat());
    assert!(scored.starts_with("n    56"), "{scored}");
    // The model says how recordings are cut; the exported files say the same.
    stdout(&["export", &run, "--out", &path("export")]);
    let slow = path("hums/d/slow.csv");
    let asked = ["begin", "end", "cluster", "decision"];
    let answers = columns(&stdout(&["predict", &run, "--data", &slow, "--timeline", &path("t.svg")]), &asked);
    assert_eq!(answers.len(), 14);
    assert_eq!((&*answers[1][0], &*answers[1][1]), ("1", "3"));
    for file in ["export/model.onnx", "export/model.cvi"] {
        assert_eq!(columns(&stdout(&["predict", &path(file), "--data", &slow]), &asked), answers);
    }
    // Two of the last three ordinary windows decide: none can have decided after the first.
    assert_eq!(answers[0][3], "");
    let last = &answers[13];
    assert_eq!(last[2], last[3]);
    let svg = std::fs::read_to_string(at("t.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.matches("<rect").count() >= 14 && svg.contains("slow.csv"));
    stdout(&["report", &run, "--data", &hums]);
    assert!(std::fs::read_to_string(at("run/report.html")).unwrap().contains("id=\"recordings\""));
    fails(&["predict", &run, "--data", &slow, "--window", "16"], 3, "the model takes windows of 32 samples (2 s)");
    fails(&["predict", &run, "--data", &slow, "--rate", "50"], 3, "--resample 16");
    // Rows that are no samples of this model.
    write_csv(&at("rows.csv"));
    fails(&["predict", &run, "--data", &path("rows.csv")], 3, "the model takes columns that are not here: \"hum\"");
    // Windows cut already are frames, as they were.
    let bytes: Vec<u8> = (0..64).flat_map(|t| ((2.0 * PI * t as f64 / 4.0).sin() as f32).to_le_bytes()).collect();
    std::fs::write(at("cut.npy"), npy::npy("<f4", false, &[2, 1, 32], &bytes)).unwrap();
    assert_eq!(columns(&stdout(&["predict", &run, "--data", &path("cut.npy")]), &["cluster"]).len(), 2);
    fails(&["predict", &run, "--data", &path("cut.npy"), "--timeline", &path("u.svg")], 2, "no windows of recordings");
}
