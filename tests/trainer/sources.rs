//! Frames that stay in their files are those that are read into memory, bit for bit; and files that do not stay as they are.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/npy.rs"]
mod npy;

use std::fs::OpenOptions;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use common::{IMAGE, patterns, small};
use flate2::Compression;
use flate2::write::GzEncoder;
use half::f16;
use npy::npy;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use trainer::Error;
use trainer::data::{DataSet, Input, Missing, Role, Source};
use trainer::fit::{self, Event};

/// Values of a file that is large enough to stay one: of 1 MiB even in bytes.
const COUNT: usize = 1 << 20;

fn write(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The same bytes in a file that has to be unpacked, and so is read into memory.
fn zipped(path: &Path) -> PathBuf {
    let out = path.with_extension("gz");
    let mut encoder = GzEncoder::new(std::fs::File::create(&out).unwrap(), Compression::fast());
    encoder.write_all(&std::fs::read(path).unwrap()).unwrap();
    encoder.finish().unwrap();
    out
}

fn open(input: &Input) -> DataSet {
    input.open(Role::Fit).unwrap()
}

fn of(paths: &[&Path], layout: &str) -> Input {
    let data = paths.iter().map(|path| path.to_path_buf()).collect();
    Input { data, layout: Some(layout.parse().unwrap()), ..Input::default() }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// All frames, then some of them in an order of no kind, of both sources.
fn same(in_file: &DataSet, in_memory: &DataSet, what: &str) {
    let n = in_memory.frames.len();
    assert_eq!((in_file.frames.len(), in_file.frames.shape), (n, in_memory.frames.shape), "{what}");
    assert_eq!(bits(&in_file.frames.all().unwrap().values), bits(&in_memory.frames.all().unwrap().values), "{what}");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut some: Vec<usize> = (0..50).map(|_| rng.random_range(0..n)).collect();
    some.extend([n - 1, 0, 1, 2, 3, 3, 2]);
    let gathered = [in_file, in_memory].map(|set| bits(&set.frames.gather(&some).unwrap().values));
    assert_eq!(gathered[0], gathered[1], "{what}");
    assert_eq!(in_file.taken.range, in_memory.taken.range, "{what}");
    assert_eq!(in_file.taken.white, in_memory.taken.white, "{what}");
    let hashes = [in_file, in_memory].map(|set| fit::sha256_of(&set.frames).unwrap());
    assert_eq!(hashes[0], hashes[1], "{what}");
}

#[test]
fn every_type_in_both_byte_orders_is_read_in_place_as_in_memory() {
    let dir = TempDir::new().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    macro_rules! each {
        ($($type:ty, $descr:literal, $of:expr;)*) => {$({
            let values: Vec<$type> = (0..COUNT / size_of::<$type>()).map(|_| $of(&mut rng)).collect();
            for order in ['<', '>'] {
                let big = order == '>';
                let of = |v: &$type| if big { v.to_be_bytes() } else { v.to_le_bytes() };
                let bytes: Vec<u8> = values.iter().flat_map(of).collect();
                let descr = format!("{order}{}", $descr);
                let path = write(&dir, "a.npy", &npy(&descr, false, &[values.len() / 16, 16], &bytes));
                let (in_file, in_memory) = (open(&of_rows(&path)), open(&of_rows(&zipped(&path))));
                same(&in_file, &in_memory, &descr);
            }
        })*};
    }
    fn of_rows(path: &Path) -> Input {
        of(&[path], "nf")
    }
    each! {
        u8, "u1", |r: &mut ChaCha8Rng| r.random::<u8>();
        u16, "u2", |r: &mut ChaCha8Rng| r.random::<u16>();
        u32, "u4", |r: &mut ChaCha8Rng| r.random::<u32>();
        u64, "u8", |r: &mut ChaCha8Rng| r.random::<u64>();
        i8, "i1", |r: &mut ChaCha8Rng| r.random::<i8>();
        i16, "i2", |r: &mut ChaCha8Rng| r.random::<i16>();
        i32, "i4", |r: &mut ChaCha8Rng| r.random::<i32>();
        i64, "i8", |r: &mut ChaCha8Rng| r.random::<i64>();
        f16, "f2", |r: &mut ChaCha8Rng| f16::from_f32(r.random::<f32>() - 0.5);
        f32, "f4", |r: &mut ChaCha8Rng| r.random::<f32>() * 1e-30;
        f64, "f8", |r: &mut ChaCha8Rng| r.random::<f64>() - 0.5;
    }
}

#[test]
fn every_layout_and_several_files_are_read_in_place_as_in_memory() {
    let dir = TempDir::new().unwrap();
    let bytes: Vec<u8> = (0..COUNT as u32).map(|v| (v.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let n = COUNT / (16 * 8 * 4);
    let path = write(&dir, "a.npy", &npy("|u1", false, &[n, 16, 8, 4], &bytes));
    let other = write(&dir, "b.npy", &npy("|u1", false, &[n, 16, 8, 4], &bytes.iter().map(|b| !b).collect::<Vec<_>>()));
    for layout in ["nhwc", "nchw", "nwhc", "nwch", "hnwc", "nf"] {
        same(&open(&of(&[&path], layout)), &open(&of(&[&zipped(&path)], layout)), layout);
    }
    let in_files = open(&of(&[&path, &other, &path], "nhwc"));
    let in_memory = open(&of(&[&zipped(&path), &zipped(&other), &zipped(&path)], "nhwc"));
    assert_eq!(in_files.frames.len(), 3 * n);
    same(&in_files, &in_memory, "three files");
    // One that stays where it is and one that does not.
    same(&open(&of(&[&path, &zipped(&other), &path], "nhwc")), &in_memory, "files of two kinds");
    // A part of a part.
    let some: Vec<usize> = (0..n).map(|i| (i * 7) % n).collect();
    let [a, b] = [&in_files, &in_memory].map(|set| set.frames.select(&some).select(&[5, 0, 9]));
    assert_eq!(bits(&a.all().unwrap().values), bits(&b.all().unwrap().values));

    let header = |element: u8, sizes: [usize; 3]| {
        let sizes = sizes.into_iter().flat_map(|size| (size as u32).to_be_bytes());
        [0, 0, element, 3].into_iter().chain(sizes).collect::<Vec<u8>>()
    };
    for (element, width) in [(0x08, 1), (0x09, 1), (0x0b, 2), (0x0c, 4)] {
        let sizes = [COUNT / width / 256, 16, 16];
        let path = write(&dir, "a-idx3", &[header(element, sizes), bytes.clone()].concat());
        same(&open(&of(&[&path], "nhw")), &open(&of(&[&zipped(&path)], "nhw")), &format!("IDX {element:02x}"));
    }
}

#[test]
fn missing_values_are_found_and_filled_in_place_as_in_memory() {
    let dir = TempDir::new().unwrap();
    let rows = COUNT / 4 / 8;
    let value = |at: usize| if at % 9973 == 5 { f32::NAN } else { (at % 1013) as f32 };
    let bytes: Vec<u8> = (0..rows * 8).flat_map(|at| value(at).to_le_bytes()).collect();
    let path = write(&dir, "a.npy", &npy("<f4", false, &[rows, 8], &bytes));
    for missing in [Missing::Drop, Missing::Mean] {
        let sets = [&path, &zipped(&path)].map(|path| open(&Input { missing, ..of(&[path], "nf") }));
        same(&sets[0], &sets[1], &format!("{missing:?}"));
        assert_eq!(sets[0].taken.notes, sets[1].taken.notes);
        assert!(sets[0].frames.all().unwrap().values.iter().all(|v| v.is_finite()));
    }
    let refused = [&path, &zipped(&path)].map(|path| of(&[path], "nf").open(Role::Fit).unwrap_err().to_string());
    assert!(refused.iter().all(|text| text.contains("frame 0, value 5: missing (NaN)")), "{refused:?}");
}

#[test]
fn a_file_that_is_too_short_for_its_header_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = write(&dir, "a.npy", &npy("|u1", false, &[COUNT / 16 + 1, 16], &vec![0; COUNT]));
    let error = of(&[&path], "nf").open(Role::Fit).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    assert!(error.to_string().contains("a.npy: array: "), "{error}");
    // Sizes whose product is beyond any machine.
    let path = write(&dir, "a.npy", &npy("<f8", false, &[1 << 40, 1 << 40], &vec![0; COUNT]));
    assert_eq!(of(&[&path], "nf").open(Role::Fit).unwrap_err().exit_code(), 3);
}

/// Frames of three patterns in a file that stays one, and what a fit to them gives while `meanwhile` is done to the file
/// after its first step.
fn fit_while(meanwhile: &dyn Fn(&Path)) -> Result<Option<Vec<u8>>, Error> {
    let dir = TempDir::new().unwrap();
    let frames = patterns(COUNT / 64 / 4 + 1, IMAGE, 3);
    let bytes: Vec<u8> = frames.values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let path = write(&dir, "a.npy", &npy("<f4", false, &[frames.len(), 8, 8], &bytes));
    let set = open(&of(&[&path], "nhw"));
    let config = small().check(IMAGE).unwrap();
    let mut done = false;
    let fitted = fit::fit(&config, &set.frames, &Device::flex(), None, &mut |event| {
        if matches!(event, Event::Step { .. }) && !std::mem::replace(&mut done, true) {
            meanwhile(&path);
        }
        ControlFlow::Continue(())
    })?;
    assert!(done);
    Ok(fitted.map(|fitted| burn::module::Module::into_record(fitted.model).into_bytes().unwrap().to_vec()))
}

#[test]
fn a_file_that_is_cut_short_or_written_to_during_a_fit_ends_it_with_its_name() {
    let edit = |path: &Path| OpenOptions::new().write(true).open(path).unwrap();
    let cut = fit_while(&|path| edit(path).set_len(COUNT as u64 / 2).unwrap()).unwrap_err();
    let text = cut.to_string();
    assert!(text.contains("a.npy") && text.contains("bytes when it was opened and has 524288 now"), "{text}");
    assert_eq!(cut.exit_code(), 3);
    let written = fit_while(&|path| {
        // Some systems keep time in steps of seconds.
        edit(path).set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    });
    assert!(written.unwrap_err().to_string().contains("was written to while it was read"));
}

/// An open file is there as long as it is open.
#[cfg(unix)]
#[test]
fn a_file_that_is_removed_during_a_fit_is_read_to_the_end() {
    let stays = fit_while(&|_| {}).unwrap().unwrap();
    assert_eq!(fit_while(&|path| std::fs::remove_file(path).unwrap()).unwrap().unwrap(), stays);
}

#[test]
fn a_pass_over_the_frames_can_be_broken_off() {
    let frames = patterns(400, IMAGE, 3);
    let config = small().check(IMAGE).unwrap();
    let mut passes = 0;
    let fitted = fit::fit(&config, &frames, &Device::flex(), None, &mut |event| match event {
        Event::Pass { .. } => {
            passes += 1;
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    assert!(fitted.unwrap().is_none());
    assert_eq!(passes, 1);
}
