//! The trainer as a command, and a small fit with it.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use std::path::Path;
use std::process::{Command, Output};

pub fn trainer(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trainer")).args(arguments).output().unwrap()
}

/// Runs it, and gives back what it printed.
pub fn stdout(arguments: &[&str]) -> String {
    let output = trainer(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub fn fails(arguments: &[&str], code: i32, message: &str) {
    let output = trainer(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(stderr.contains(message), "{arguments:?}: {stderr}");
}

/// Two features, two clusters, labelled.
pub fn write_csv(path: &Path) {
    let mut text = String::from("x,y,label\n");
    for i in 0..200 {
        let side = f64::from(i % 2) * 8.0;
        let (a, b) = (f64::from(i * 37 % 101) / 101.0, f64::from(i * 53 % 103) / 103.0);
        text.push_str(&format!("{},{},{}\n", side + a, b - side, i % 2));
    }
    std::fs::write(path, text).unwrap();
}

/// A model that is fitted in a second.
pub const SMALL: [&str; 20] = [
    "--device",
    "cpu",
    "--set",
    "clusters=2",
    "--set",
    "encoder.kind=network",
    "--set",
    "latent=2",
    "--set",
    "pretrain.starts=1",
    "--set",
    "pretrain.steps=60",
    "--set",
    "refine.steps=30",
    "--set",
    "pretrain.learning_rate=3e-3",
    "--set",
    "pretrain.batch=32",
    "--set",
    "refine.batch=32",
];
