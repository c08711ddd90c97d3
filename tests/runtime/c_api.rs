//! The header is up to date, and a program in C says what the engine says.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use runtime::flash::{Buffer, FlashModel};
use runtime::native::{Engine, scratch_len};

/// `runtime/c`, asked for at run time: a build cache may have compiled this for another clone.
fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
}

#[test]
fn the_header_is_what_cbindgen_writes() {
    let path = folder().join("include/cluster_runtime.h");
    let mut written = Vec::new();
    cbindgen::generate(folder()).unwrap().write(&mut written);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let there = std::fs::read(&path).unwrap();
    assert!(there == written, "the header is out of date: run this test with UPDATE=1");
}

/// The static library as a user builds it. The tests' own build of it has tract in it, which others there ask for.
fn library() -> PathBuf {
    let release = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
    let target = release.join("c-api");
    let output = Command::new(std::env::var_os("CARGO").unwrap())
        .args(["build", "--release", "--locked", "--config", "profile.release.lto=true"])
        .args(["--config", "profile.release.panic='abort'", "--manifest-path"])
        .arg(folder().join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("release/libruntime_c.a")
}

/// Compiles a program, without debugging symbols and without what it does not call.
fn compiled(source: &Path, to: &Path) -> PathBuf {
    let program = to.join("program");
    let output = Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"])
        .arg(format!("-I{}", folder().join("include").display()))
        .arg(source)
        .arg(library())
        .args(["-s", "-Wl,--gc-sections", "-lpthread", "-ldl", "-lm", "-o"])
        .arg(&program)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

fn run(program: &Path, model: &Path, frame: &Path) -> Output {
    Command::new(program).arg(model).arg(frame).output().unwrap()
}

#[test]
fn whatever_a_program_in_c_does_wrong_has_a_status() {
    let to = tempfile::tempdir().unwrap();
    let program = compiled(&folder().join("../../tests/runtime/c_api.c"), to.path());
    let output = Command::new(program).arg(folder().join("../../models/digits.cvi")).output().unwrap();
    assert!(output.status.success(), "{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_program_in_c_says_what_the_engine_says() {
    let scratch_folder = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch_folder.path().join(name);
    let program = compiled(&folder().join("examples/label.c"), scratch_folder.path());
    let size = std::fs::metadata(&program).unwrap().len();
    assert!(size < 500_000, "{size} bytes");
    println!("the example in C, stripped: {size} bytes");
    let model = folder().join("../../models/digits.cvi");
    let bytes = Buffer::read(&model).unwrap();
    let image = FlashModel::new(&bytes).unwrap();
    let mut scratch = vec![0.0; scratch_len(&image)];
    let mut engine = Engine::new(image, &mut scratch).unwrap();
    for seed in 0..5u32 {
        // A bright bar at a place of its own.
        let frame: Vec<u8> =
            (0..784).map(|i| if (8 + seed..11 + seed).contains(&(i % 28)) { 250 } else { 0 }).collect();
        std::fs::write(at("frame"), &frame).unwrap();
        let output = run(&program, &model, &at("frame"));
        let found = engine.assign_u8(&frame).unwrap();
        let expected = format!(
            "cluster {} of 10, confidence {:.4}, runner-up {}, novelty {:.3}{}\n",
            found.cluster,
            found.confidence,
            found.runner_up.unwrap(),
            found.novelty,
            if found.is_novel { " (novel)" } else { "" }
        );
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
    // What is wrong is told, with the status as exit code.
    std::fs::write(at("short"), [0; 783]).unwrap();
    assert_eq!(run(&program, &model, &at("short")).status.code(), Some(5));
    let mut damaged = bytes.to_vec();
    damaged[1000] ^= 1;
    std::fs::write(at("damaged.cvi"), &damaged).unwrap();
    let output = run(&program, &at("damaged.cvi"), &at("frame"));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("damaged"));
}
