//! Data as people have them: every type and order of arrays, axes, keys, and what is told of them.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/npy.rs"]
mod npy;

use std::io::Write;
use std::path::{Path, PathBuf};

use half::f16;
use npy::npy;
use tempfile::TempDir;
use trainer::data::{DataSet, Expected, Input, Role, Source};
use trainer::frame::{FrameKind, FrameShape};

fn write(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn npz(dir: &TempDir, name: &str, arrays: &[(&str, Vec<u8>)]) -> PathBuf {
    let path = dir.path().join(name);
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (key, bytes) in arrays {
        archive.start_file(format!("{key}.npy"), zip::write::FileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
    path
}

fn open(path: &Path) -> DataSet {
    Input::of(Some(path)).open(Role::Fit).unwrap()
}

fn refused(input: &Input) -> String {
    let error = input.open(Role::Fit).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    error.to_string()
}

fn with_layout(path: &Path, layout: &str) -> Input {
    Input { layout: Some(layout.parse().unwrap()), ..Input::of(Some(path)) }
}

/// Zeros of bytes `[sizes]`, and the path of the file.
fn zeros(dir: &TempDir, descr: &str, width: usize, sizes: &[usize]) -> PathBuf {
    let bytes: Vec<u8> = vec![0; width * sizes.iter().product::<usize>()];
    write(dir, "zeros.npy", &npy(descr, false, sizes, &bytes))
}

/// F12: 1, 2, 3, 100 in every type and both byte orders; rows keep their values.
#[test]
fn arrays_of_every_type_and_byte_order_are_read() {
    let dir = TempDir::new().unwrap();
    let values = [1u8, 2, 3, 100];
    macro_rules! both_orders {
        ($($type:ty, $descr:literal;)*) => {$({
            let of = |v: u8| <$type>::try_from(v).unwrap();
            let little: Vec<u8> = values.iter().flat_map(|&v| of(v).to_le_bytes()).collect();
            let big: Vec<u8> = values.iter().flat_map(|&v| of(v).to_be_bytes()).collect();
            for (order, bytes) in [('<', little), ('>', big)] {
                let path = write(&dir, "a.npy", &npy(&format!("{order}{}", $descr), false, &[2, 2], &bytes));
                assert_eq!(open(&path).frames.all().unwrap().values, [1.0, 2.0, 3.0, 100.0], "{order}{}", $descr);
            }
        })*};
    }
    both_orders! {
        u16, "u2"; u32, "u4"; u64, "u8"; i16, "i2"; i32, "i4"; i64, "i8"; f32, "f4"; f64, "f8"; f16, "f2";
    }
    let bytes = |descr: &str, bytes: &[u8]| open(&write(&dir, "b.npy", &npy(descr, false, &[2, 2], bytes)));
    assert_eq!(bytes("|u1", &values).frames.all().unwrap().values, [1.0, 2.0, 3.0, 100.0]);
    assert_eq!(bytes("|i1", &[1, 255, 128, 127]).frames.all().unwrap().values, [1.0, -1.0, -128.0, 127.0]);
    let set = bytes("|b1", &[0, 1, 1, 0]);
    assert_eq!((set.frames.all().unwrap().values, set.taken.kind), (vec![0.0, 1.0, 1.0, 0.0], FrameKind::Features));
}

#[test]
fn fortran_order_is_read_as_it_is_meant() {
    let dir = TempDir::new().unwrap();
    // [[[0, 1, 2], [3, 4, 5]]] and one frame more, the first axis fastest.
    let index = |n: usize, h: usize, w: usize| (6 * n + 3 * h + w) as u8;
    let columns: Vec<u8> = (0..3).flat_map(|w| (0..2).flat_map(move |h| (0..2).map(move |n| index(n, h, w)))).collect();
    let set = open(&write(&dir, "f.npy", &npy("|u1", true, &[2, 2, 3], &columns)));
    let expected: Vec<f32> = (0..12u8).map(|v| f32::from(v) / 255.0).collect();
    assert_eq!((set.frames.shape.to_string().as_str(), set.frames.all().unwrap().values), ("1x2x3", expected));
}

#[test]
fn only_pictures_are_scaled_by_the_range_of_their_type() {
    let dir = TempDir::new().unwrap();
    let deep: Vec<u8> = [0u16, 1023, 512, 65535].iter().flat_map(|v| v.to_le_bytes()).collect();
    let picture = open(&write(&dir, "p.npy", &npy("<u2", false, &[1, 2, 2], &deep)));
    assert_eq!(
        (picture.frames.all().unwrap().values[1], picture.frames.all().unwrap().values[3]),
        (1023.0 / 65535.0, 1.0)
    );
    assert!(picture.taken.to_string().contains("divided by 65535"), "{}", picture.taken);
    let row = open(&write(&dir, "r.npy", &npy("<u2", false, &[1, 4], &deep)));
    assert_eq!(row.frames.all().unwrap().values, [0.0, 1023.0, 512.0, 65535.0]);
    // 10 bits in 16 are told, and what is white can be said.
    let path = write(&dir, "t.npy", &npy("<u2", false, &[1, 1, 2], &deep[..4]));
    let mut input = with_layout(&path, "nhw");
    let told = input.open(Role::Fit).unwrap().taken.to_string();
    assert!(told.contains("10 of 16 bits are used; if 1023 is white, say --white 1023"), "{told}");
    input.white = Some(1023.0);
    assert_eq!(input.open(Role::Fit).unwrap().frames.all().unwrap().values, [0.0, 1.0]);
    // Signed integers and floats have no white.
    let floats: Vec<u8> = [0f32, 16.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let floats = open(&write(&dir, "d.npy", &npy("<f4", false, &[1, 2, 2], &floats)));
    assert_eq!((floats.frames.all().unwrap().values[1], floats.taken.kind), (16.0, FrameKind::Image));
}

/// F11, F22.
#[test]
fn axes_are_taken_as_they_are_meant_or_asked_for() {
    let dir = TempDir::new().unwrap();
    for (descr, width, sizes, shape, kind) in [
        ("|u1", 1, &[9, 28, 28, 1][..], "1x28x28", FrameKind::Image),
        ("|u1", 1, &[9, 32, 32, 3], "3x32x32", FrameKind::Image),
        ("|u1", 1, &[9, 3, 32, 32], "3x32x32", FrameKind::Image),
        ("<i2", 2, &[9, 128, 9], "9x1x128", FrameKind::Window),
        ("<i2", 2, &[9, 9, 128], "9x1x128", FrameKind::Window),
        ("<i2", 2, &[9, 6], "1x1x6", FrameKind::Features),
    ] {
        // Values past 1, so that floats and integers alike are no shares of white.
        let mut bytes = vec![0; width * sizes.iter().product::<usize>()];
        bytes[0] = 7;
        let set = open(&write(&dir, "a.npy", &npy(descr, false, sizes, &bytes)));
        assert_eq!((set.frames.shape.to_string().as_str(), set.taken.kind), (shape, kind), "{sizes:?}");
        assert!(set.taken.to_string().contains(&format!("{sizes:?} as n")), "{}", set.taken);
    }
    for (sizes, offers) in [
        (&[9, 1, 1, 128][..], ["--layout nt", "--layout nf"]),
        (&[9, 128, 1], ["--layout nt", "--layout nf"]),
        (&[9, 28, 140], ["--layout nhw", "--layout nct"]),
        (&[9, 3, 32, 3], ["--layout nchw", "--layout nhwc"]),
    ] {
        let path = zeros(&dir, "|u1", 1, sizes);
        let error = refused(&Input::of(Some(&path)));
        assert!(offers.iter().all(|offer| error.contains(offer)), "{error}");
        // A model that knows its frames needs no word.
        let shape = FrameShape { channels: 1, height: 28, width: 140 };
        let known = Expected { shape: Some(shape), kind: Some(FrameKind::Image), columns: None, ..Expected::default() };
        let read = Input::of(Some(&path)).open_for(Role::Score, &known);
        assert_eq!(read.is_ok_and(|set| set.frames.shape == shape), sizes == [9, 28, 140]);
    }
    let strip = zeros(&dir, "|u1", 1, &[9, 28, 140]);
    assert_eq!(with_layout(&strip, "nhw").open(Role::Fit).unwrap().taken.kind, FrameKind::Image);
    assert_eq!(with_layout(&strip, "nct").open(Role::Fit).unwrap().frames.shape.to_string(), "28x1x140");
    let window = zeros(&dir, "|u1", 1, &[9, 1, 1, 128]);
    let window = with_layout(&window, "nt").open(Role::Fit).unwrap();
    assert_eq!((window.frames.shape.to_string().as_str(), window.taken.kind), ("1x1x128", FrameKind::Window));
}

#[test]
fn channels_last_are_moved_first() {
    let dir = TempDir::new().unwrap();
    let bytes: Vec<u8> = (0..2 * 8 * 8 * 3).map(|v| (v % 251) as u8).collect();
    let set = open(&write(&dir, "c.npy", &npy("|u1", false, &[2, 8, 8, 3], &bytes)));
    for (n, c, y, x) in [(0, 0, 0, 0), (0, 2, 7, 1), (1, 1, 3, 5), (1, 2, 7, 7)] {
        let stored = f32::from(bytes[((n * 8 + y) * 8 + x) * 3 + c]) / 255.0;
        assert_eq!(set.frames.gather(&[n]).unwrap().values[(c * 8 + y) * 8 + x], stored);
    }
}

/// F12.
#[test]
fn usual_names_are_found_in_an_archive_and_others_are_asked_for() {
    let dir = TempDir::new().unwrap();
    let x = |count: usize| npy("|u1", false, &[count, 2], &vec![7; 2 * count]);
    let y = npy("|u1", false, &[3], &[4, 5, 4]);
    for (frames, labels) in [
        ("x", "y"),
        ("X", "Y"),
        ("x_train", "y_train"),
        ("train_images", "train_labels"),
        ("images", "labels"),
        ("data", "target"),
        ("features", "species"),
        ("frames", "class"),
        ("arr_0", "arr_1"),
    ] {
        let set = open(&npz(&dir, "a.npz", &[(labels, y.clone()), (frames, x(3))]));
        assert_eq!((set.frames.len(), set.frames.labels), (3, Some(vec![4, 5, 4])), "{frames}");
        let told = set.taken.labels.unwrap();
        assert_eq!(told, (format!("\"{labels}\""), 2));
    }
    // Both parts of a data set in one file.
    let both = npz(&dir, "b.npz", &[("x_train", x(3)), ("y_train", y.clone()), ("x_test", x(2))]);
    let input = Input::of(Some(&both));
    assert_eq!(input.parts(), [Role::Fit, Role::Score]);
    let (fit, score) = (input.open(Role::Fit).unwrap().frames, input.open(Role::Score).unwrap().frames);
    assert_eq!((fit.len(), fit.labels.is_some(), score.len(), score.labels), (3, true, 2, None));

    let unclear = npz(&dir, "c.npz", &[("images", x(3)), ("features", x(2)), ("y", y.clone())]);
    let error = refused(&Input::of(Some(&unclear)));
    assert!(error.contains("\"images\"") && error.contains("--array NAME"), "{error}");
    let named = Input { array: Some("features".into()), label: Some("none".into()), ..Input::of(Some(&unclear)) };
    let set = named.open(Role::Fit).unwrap();
    assert_eq!((set.frames.len(), set.frames.labels), (2, None));
    assert!(set.taken.to_string().contains("arrays left out: \"images\", \"y\""), "{}", set.taken);
    let strange = npz(&dir, "d.npz", &[("spam", x(3)), ("eggs", y)]);
    assert!(refused(&Input::of(Some(&strange))).contains("say --array NAME"));
}

/// F12: labels of any type, and fit needs none.
#[test]
fn labels_of_any_type_are_classes_or_told_to_be_none() {
    let dir = TempDir::new().unwrap();
    let x = npy("|u1", false, &[3, 2], &[7; 6]);
    let with = |y: Vec<u8>| open(&npz(&dir, "l.npz", &[("x", x.clone()), ("y", y)]));
    let little = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let wide = |text: &str| text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<u8>>();
    let words = with(npy("<U3", false, &[3], &wide("catantcat")));
    assert_eq!(words.frames.labels, Some(vec![1, 0, 1]));
    assert_eq!(words.classes, Some(vec!["ant".into(), "cat".into()]));
    assert_eq!(with(npy("|S3", false, &[3], b"catantcat")).frames.labels, Some(vec![1, 0, 1]));
    assert_eq!(with(npy("<u2", false, &[3], &[7, 0, 8, 0, 7, 0])).frames.labels, Some(vec![7, 8, 7]));
    assert_eq!(with(npy("|b1", false, &[3], &[1, 0, 1])).frames.labels, Some(vec![1, 0, 1]));
    assert_eq!(with(npy("<f8", false, &[3, 1], &little(&[2.0, 0.0, 2.0]))).frames.labels, Some(vec![2, 0, 2]));
    let signed = with(npy("|i1", false, &[3], &[1, 255, 1]));
    assert_eq!((signed.frames.labels, signed.classes), (Some(vec![1, 0, 1]), Some(vec!["-1".into(), "1".into()])));
    let one_hot = with(npy("|u1", false, &[3, 2], &[0, 1, 1, 0, 0, 1]));
    assert_eq!(one_hot.frames.labels, Some(vec![1, 0, 1]));
    // A target of a regression is no class; nothing stops a fit.
    let real = with(npy("<f8", false, &[3], &little(&[0.5, 1.0, 2.0])));
    assert_eq!(real.frames.labels, None);
    assert!(real.taken.to_string().contains("no labels, since in \"y\" label 0 is 0.5"), "{}", real.taken);
    let pickled = with(npy("|O", false, &[3], b"pickle"));
    assert!(pickled.taken.to_string().contains("no labels, since y has element type"), "{}", pickled.taken);
}

#[test]
fn labels_may_lie_in_a_file_of_their_own() {
    let dir = TempDir::new().unwrap();
    let x = write(&dir, "x.npy", &npy("|u1", false, &[3, 2], &[7; 6]));
    let csv = write(&dir, "x.csv", b"a,b\n1.5,2\n2.5,3\n3.5,4\n");
    for (name, bytes) in [
        ("y.npy", npy("|u1", false, &[3], &[4, 5, 4])),
        ("y.txt", b"4\n5\n4\n".to_vec()),
        ("y.csv", b"label\n4\n5\n4\n".to_vec()),
        ("y-idx1", vec![0, 0, 8, 1, 0, 0, 0, 3, 4, 5, 4]),
    ] {
        let y = write(&dir, name, &bytes);
        for data in [&x, &csv] {
            let input = Input { label: Some(y.display().to_string()), ..Input::of(Some(data)) };
            assert_eq!(input.open(Role::Fit).unwrap().frames.labels, Some(vec![4, 5, 4]), "{name}");
        }
    }
    let short = write(&dir, "short.npy", &npy("|u1", false, &[2], &[4, 5]));
    let input = Input { label: Some(short.display().to_string()), ..Input::of(Some(&x)) };
    assert!(refused(&input).contains("2 labels for 3 frames"));
    let input = Input { label: Some("kind".into()), ..Input::of(Some(&x)) };
    assert!(refused(&input).contains("no column \"kind\""));
}

/// U18 and F16: IDX of every element type.
#[test]
fn idx_of_every_type_is_read() {
    let dir = TempDir::new().unwrap();
    let idx = |element: u8, data: &[u8]| {
        let mut bytes = vec![0, 0, element, 3];
        [1u32, 2, 2].iter().for_each(|size| bytes.extend(size.to_be_bytes()));
        bytes.extend(data);
        open(&write(&dir, "a-idx3", &bytes)).frames.all().unwrap().values
    };
    let big = |values: &[f32]| values.iter().flat_map(|v| v.to_be_bytes()).collect::<Vec<u8>>();
    assert_eq!(idx(0x08, &[0, 51, 255, 0]), [0.0, 0.2, 1.0, 0.0]);
    assert_eq!(idx(0x09, &[0, 255, 2, 3]), [0.0, -1.0, 2.0, 3.0]);
    assert_eq!(idx(0x0b, &[0, 1, 1, 0, 0xff, 0xff, 0, 0]), [1.0, 256.0, -1.0, 0.0]);
    assert_eq!(idx(0x0c, &[0, 0, 0, 9, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]), [9.0, 256.0, 0.0, 1.0]);
    assert_eq!(idx(0x0d, &big(&[0.5, -2.0, 3.0, 8.0])), [0.5, -2.0, 3.0, 8.0]);
    let wide: Vec<u8> = [0.5f64, -2.0, 3.0, 8.0].iter().flat_map(|v| v.to_be_bytes()).collect();
    assert_eq!(idx(0x0e, &wide), [0.5, -2.0, 3.0, 8.0]);
}

#[test]
fn what_is_missing_in_an_array_is_refused_dropped_or_filled() {
    let dir = TempDir::new().unwrap();
    let bytes: Vec<u8> = [1.0f32, 2.0, f32::NAN, 4.0, 5.0, 9.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let path = write(&dir, "m.npy", &npy("<f4", false, &[3, 2], &bytes));
    let input = |missing| Input { missing, ..Input::of(Some(&path)) };
    let error = refused(&input(trainer::data::Missing::Error));
    assert!(error.contains("frame 1, value 0") && error.contains("--missing drop"), "{error}");
    let dropped = input(trainer::data::Missing::Drop).open(Role::Fit).unwrap();
    assert_eq!(dropped.frames.all().unwrap().values, [1.0, 2.0, 5.0, 9.0]);
    assert!(dropped.taken.to_string().contains("1 frames left out"), "{}", dropped.taken);
    let filled = input(trainer::data::Missing::Mean).open(Role::Fit).unwrap();
    assert_eq!(filled.frames.all().unwrap().values, [1.0, 2.0, 3.0, 4.0, 5.0, 9.0]);
    // F16: 1e39 is a number, but none of single precision.
    let wide = write(&dir, "w.npy", &npy("<f8", false, &[1, 1], &1e39f64.to_le_bytes()));
    let error = refused(&Input::of(Some(&wide)));
    assert!(error.contains("1e39") && error.contains("single precision"), "{error}");
    assert_eq!(Input::of(Some(&wide)).open_table(None, &Expected::default()).unwrap().frames.values, [1e39]);
}

#[test]
fn several_files_and_patterns_are_read_in_natural_order() {
    let dir = TempDir::new().unwrap();
    for n in [10u8, 9, 1] {
        write(&dir, &format!("part-{n}.npy"), &npy("|u1", false, &[1, 2], &[n, n]));
    }
    let set = open(&dir.path().join("part-*.npy"));
    assert_eq!(set.frames.all().unwrap().values, [1.0, 1.0, 9.0, 9.0, 10.0, 10.0]);
    assert!(set.taken.to_string().contains("3 files, .npy"), "{}", set.taken);
    let turned = Input { layout: Some("fn".parse().unwrap()), ..Input::of(Some(&dir.path().join("part-*.npy"))) };
    assert!(refused(&turned).contains("several files of --layout fn"));
    write(&dir, "part-2.npy", &npy("|u1", false, &[1, 3], &[1, 2, 3]));
    assert!(refused(&Input::of(Some(&dir.path().join("part-*.npy")))).contains("part-2.npy"));
    assert!(refused(&Input::of(Some(&dir.path().join("nothing-*.npy")))).contains("no file"));
}

/// What was saved to one file twice would be half lost.
#[test]
fn a_second_array_in_a_file_is_not_passed_over() {
    let dir = TempDir::new().unwrap();
    let one = npy("|u1", false, &[2, 2], &[1, 2, 3, 4]);
    let path = write(&dir, "two.npy", &[one.clone(), one.clone()].concat());
    assert!(refused(&Input::of(Some(&path))).contains("more after its array"));
    // A header that is nested deeply would keep the parser busy for years.
    let mut nested = one.clone();
    nested[10..60].fill(b'{');
    assert!(refused(&Input::of(Some(&write(&dir, "nested.npy", &nested)))).contains("its header is no description"));
    // The digits of a header are believed only as far as there are bytes.
    let huge = npy("<f8", false, &[6_000_000_000, 5_000_000_000], &[0; 64]);
    assert!(refused(&Input::of(Some(&write(&dir, "huge.npy", &huge)))).contains("huge.npy"));
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_once() {
    let dir = TempDir::new().unwrap();
    let pipe = dir.path().join("pipe.csv");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, "a,b\n1,2\n3,4\n").unwrap()
    });
    assert_eq!(open(&pipe).frames.all().unwrap().values, [1.0, 2.0, 3.0, 4.0]);
    writer.join().unwrap();
}

/// The inputs of the fuzzer, those that once went wrong among them: frames, or a reason.
#[test]
fn the_fuzzers_inputs_are_read_or_refused() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut seen = 0;
    for (target, name, before) in [
        ("arrow", "x.arrow", &b"ARROW1\0\0"[..]),
        ("arrow", "x.arrows", &[0xff; 4]),
        ("idx", "x-idx3-ubyte", &[0, 0]),
        ("npy", "x.npy", b""),
        ("npz", "x.npz", b""),
        ("parquet", "x.parquet", b"PAR1"),
        ("picture", "x.png", b""),
        ("table", "x.csv", b""),
    ] {
        for entry in std::fs::read_dir(corpus.join(target)).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let set = Input::default().open_bytes(Path::new(name), [before, &bytes].concat());
            assert!(set.is_ok_and(|set| !set.frames.is_empty()) || target != "picture", "{target}");
            seen += 1;
        }
    }
    assert!(seen > 70, "{seen}");
}
