//! The floors of the trainer: a module imports only from floors below its own, as `trainer/src/lib.rs` lists them.
#![expect(clippy::unwrap_used, reason = "a source that cannot be read is the test's own message")]

use std::path::{Path, PathBuf};

/// Modules by floor: blocks of `pub mod` lines in lib.rs, the ground first.
fn floors(lib: &str) -> Vec<Vec<String>> {
    let module = |line: &str| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned());
    let blocks = lib.split("\n\n").map(|block| block.lines().filter_map(module).collect());
    blocks.filter(|floor: &Vec<String>| !floor.is_empty()).collect()
}

/// Every `crate::name` outside of comments that leads from `module` to its own floor or above, but to itself.
fn arrows_up(floors: &[Vec<String>], module: &str, code: &str) -> Vec<String> {
    let floor = |name: &str| floors.iter().position(|floor| floor.iter().any(|m| m == name));
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let rests = code.flat_map(|line| line.split("crate::").skip(1));
    let names = rests.filter_map(|rest| rest.split([':', ';', '(', '<', ',']).next());
    let up = names.filter(|name| *name != module && floor(name).is_some() && floor(name) >= floor(module));
    up.map(|name| format!("{module} -> {name}")).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn no_module_imports_from_its_own_floor_or_above() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let floors = floors(&std::fs::read_to_string(source.join("lib.rs")).unwrap());
    assert_eq!(arrows_up(&floors, "data", "use crate::fit::Event;"), ["data -> fit"]);
    for module in floors.iter().flatten() {
        let (file, folder) = (source.join(format!("{module}.rs")), source.join(module));
        for path in if folder.is_dir() { sources(&folder) } else { vec![file] } {
            let up = arrows_up(&floors, module, &String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
            assert!(up.is_empty(), "{}: {up:?}", path.display());
        }
    }
}
