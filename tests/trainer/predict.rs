//! Answers that are broken off: the same command goes on with those that are there, to the same bytes.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/command.rs"]
mod command;
#[path = "../common/npy.rs"]
mod npy;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use command::{SMALL, fails, stdout, trainer, write_csv};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

const FORMS: [&str; 4] = ["csv", "jsonl", "parquet", "arrow"];
const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/digits.cvi");

/// A folder with a run of two features, and a table of many rows for it with columns to carry through.
struct Fixture {
    dir: TempDir,
}

impl Fixture {
    fn new(rows: usize) -> Self {
        let fixture = Self { dir: TempDir::new().unwrap() };
        write_csv(Path::new(&fixture.at("data.csv")));
        stdout(&[&["fit", "--data", &fixture.at("data.csv"), "--out", &fixture.at("run")][..], &SMALL].concat());
        let row = |n: usize| format!("{n},{},{},note {}\n", n % 2 * 8 + n % 5, n % 7, n % 11);
        let rows: String = (0..rows).map(row).collect();
        std::fs::write(fixture.at("rows.csv"), format!("id,x,y,note\n{rows}")).unwrap();
        fixture
    }

    fn at(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn predict(&self, model: &str, data: &str, out: &str) -> Vec<String> {
        let words = ["predict", &self.at(model), "--data", &self.at(data), "--keep", "id,note", "--out", &self.at(out)];
        words.map(str::to_owned).to_vec()
    }

    /// What a command says that ends well.
    fn told(&self, words: &[String]) -> String {
        let output = trainer(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{told}");
        told
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.at(name)).unwrap()
    }

    /// Nothing but the table is left of writing it.
    fn assert_nothing_is_left(&self) {
        let names = std::fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with(".unfinished-")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Kills the command as soon as what it keeps has so many bytes; false if it ended before.
fn killed(words: &[String], journal: &str, bytes: u64) -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    let mut child = command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while std::fs::metadata(journal).map_or(0, |file| file.len()) < bytes {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return false;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    // `kill` of the standard library is SIGKILL.
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

#[test]
fn a_predict_that_is_killed_at_any_moment_goes_on_to_the_same_bytes() {
    let fixture = Fixture::new(60_000);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for form in FORMS {
        let (whole, cut) = (format!("whole.{form}"), format!("cut.{form}"));
        assert!(!fixture.told(&fixture.predict("run", "rows.csv", &whole)).contains("going on"));
        let words = fixture.predict("run", "rows.csv", &cut);
        let journal = fixture.at(&format!(".unfinished-{cut}.answers"));
        let (mut kills, mut bytes) = (0, 1);
        // At the first byte, then ever further on, in the middle of a record as well as between two.
        while killed(&words, &journal, bytes) {
            kills += 1;
            assert!(!Path::new(&fixture.at(&cut)).exists());
            bytes = std::fs::metadata(&journal).unwrap().len() + rng.random_range(1..400_000);
        }
        assert!(kills > 3, "{kills} kills of {form}");
        assert!(fixture.bytes(&cut) == fixture.bytes(&whole), "{form} after {kills} kills");
        fixture.assert_nothing_is_left();
    }
}

/// Frames of an array in its file, by the native engine.
#[test]
fn a_predict_of_a_flash_image_goes_on_too() {
    let fixture = Fixture { dir: TempDir::new().unwrap() };
    let frames = 40_000;
    let values: Vec<u8> = (0..frames * 784).map(|n: usize| (n * 7 + n / 784 * 13) as u8).collect();
    std::fs::write(fixture.at("frames.npy"), npy::npy("|u1", false, &[frames, 28, 28], &values)).unwrap();
    let words = |out: &str| {
        ["predict", DIGITS, "--data", &fixture.at("frames.npy"), "--out", &fixture.at(out)].map(str::to_owned).to_vec()
    };
    fixture.told(&words("whole.csv"));
    // The first answers are whole at 736,279 bytes, the next at twice as many.
    assert!(killed(&words("cut.csv"), &fixture.at(".unfinished-cut.csv.answers"), 740_000));
    let told = fixture.told(&words("cut.csv"));
    let goes_on = |answers: usize| told.contains(&format!("going on after frame {} of 40000", answers * 10_752));
    assert!((1..4).any(goes_on), "{told}");
    assert!(fixture.bytes("cut.csv") == fixture.bytes("whole.csv"));
    fixture.assert_nothing_is_left();
}

#[test]
fn answers_that_are_damaged_or_to_something_else_are_not_taken() {
    let fixture = Fixture::new(20_000);
    let journal = fixture.at(".unfinished-a.csv.answers");
    let words = fixture.predict("run", "rows.csv", "a.csv");
    fixture.told(&words);
    let whole = fixture.bytes("a.csv");
    // The table that is there stays until the new one is whole.
    assert!(killed(&words, &journal, 500_000));
    assert!(fixture.bytes("a.csv") == whole);
    let kept = std::fs::read(&journal).unwrap();
    let after = |bytes: &[u8], words: &[String]| -> usize {
        std::fs::write(&journal, bytes).unwrap();
        let told = fixture.told(words);
        fixture.assert_nothing_is_left();
        let frame = told.lines().find_map(|line| line.strip_prefix("going on after frame "));
        frame.map_or(0, |rest| rest.split_once(' ').unwrap().0.parse().unwrap())
    };
    let all = after(&kept, &words);
    assert!((2048..20_000).contains(&all), "{all}");
    // Cut anywhere, or a bit turned anywhere: what stands before is taken, and nothing else.
    for part in 1..20 {
        let place = kept.len() * part / 20;
        let mut turned = kept.clone();
        turned[place] ^= 4;
        for bytes in [&kept[..place], &turned] {
            let frame = after(bytes, &words);
            assert!(frame < all + usize::from(bytes.len() == kept.len()), "{frame} of {all}");
            assert!(frame.abs_diff(all * part / 20) <= 2048, "{frame} of {all} at {part}/20");
            assert!(fixture.bytes("a.csv") == whole);
        }
    }
    // Other frames or columns from the middle on, fewer columns, another model, nothing at all.
    let rows = std::fs::read_to_string(fixture.at("rows.csv")).unwrap();
    for (from, to, before) in [("\n1500,0,", "\n1500,0.5,", 1500), ("\n1500,", "\n1501,", 1500), ("\n3,", "\n-3,", 3)] {
        assert!(rows.contains(from), "{from}");
        std::fs::write(fixture.at("other.csv"), rows.replacen(from, to, 1)).unwrap();
        let words = fixture.predict("run", "other.csv", "a.csv");
        assert!(after(&kept, &words) <= before);
        let found = fixture.bytes("a.csv");
        fixture.told(&fixture.predict("run", "other.csv", "anew.csv"));
        assert!(found != whole && found == fixture.bytes("anew.csv"));
    }
    let mut fewer = words.clone();
    fewer.retain(|word| !["--keep", "id,note"].contains(&word.as_str()));
    assert_eq!(after(&kept, &fewer), 0);
    std::fs::write(fixture.at("run/model.json"), [&fixture.bytes("run/model.json")[..], b"\n"].concat()).unwrap();
    assert_eq!(after(&kept, &words), 0);
    assert_eq!(after(b"", &words), 0);
}

#[test]
fn a_table_is_written_by_one_program_and_a_fault_keeps_what_is_there() {
    let fixture = Fixture::new(20_000);
    let journal = fixture.at(".unfinished-a.csv.answers");
    let words = fixture.predict("run", "rows.csv", "a.csv");
    let strings: Vec<&str> = words.iter().map(String::as_str).collect();
    let other = std::fs::File::create(&journal).unwrap();
    other.lock().unwrap();
    fails(&strings, 7, "another predict is writing to the same --out");
    drop(other);
    // Where no file may grow past so many blocks, it ends and says what there is to do; then it goes on.
    let script = r#"trap "" XFSZ; ulimit -f 1000; exec "$@""#;
    let limited = Command::new("sh").args(["-c", script, "sh", env!("CARGO_BIN_EXE_trainer")]).args(&words).output();
    let limited = limited.unwrap();
    let told = String::from_utf8_lossy(&limited.stderr);
    assert_eq!(limited.status.code(), Some(7), "{told}");
    assert!(told.contains("the same command goes on from there"), "{told}");
    assert!(!Path::new(&fixture.at("a.csv")).exists() && Path::new(&journal).exists());
    assert!(fixture.told(&words).contains("going on after frame "));
    let cut = fixture.bytes("a.csv");
    fixture.told(&fixture.predict("run", "rows.csv", "b.csv"));
    assert!(cut == fixture.bytes("b.csv"));
    fixture.assert_nothing_is_left();
}
