//! Readers of data files: what they accept, and the error for every defect.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/npy.rs"]
mod npy;

use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use flate2::Compression;
use flate2::write::GzEncoder;
use npy::npy;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use trainer::Error;
use trainer::config::AugmentConfig;
use trainer::data::scaling::Scaling;
use trainer::data::views::{Augmentation, ImageMap, ImageMapper};
use trainer::data::{Frames, Role, digits, open};
use trainer::frame::{FrameKind, FrameShape};

fn write(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn idx(sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    sizes.iter().for_each(|s| bytes.extend(s.to_be_bytes()));
    bytes.extend(values);
    bytes
}

/// The message of a data error, which must name the file.
fn refused(path: &Path) -> String {
    let error = open(Some(path), Role::Fit).unwrap_err();
    assert!(matches!(error, Error::Data { .. }), "{error}");
    assert_eq!(error.exit_code(), 3);
    let text = error.to_string();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(text.contains(name), "{text}");
    text
}

#[test]
fn idx_files_plain_and_gzipped() {
    let dir = TempDir::new().unwrap();
    let bytes = idx(&[2, 2, 3], &[0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6]);
    for (name, bytes) in [("a", bytes.clone()), ("a.gz", gzip(&bytes))] {
        let frames = open(Some(&write(&dir, name, &bytes)), Role::Fit).unwrap();
        assert_eq!(frames.shape, FrameShape { channels: 1, height: 2, width: 3 });
        assert_eq!(frames.len(), 2);
        assert_eq!(frames.frame(0), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        assert!(frames.labels.is_none());
    }
}

#[test]
fn every_truncation_of_an_idx_file_is_refused() {
    let dir = TempDir::new().unwrap();
    let bytes = idx(&[2, 2, 2], &[9; 8]);
    for whole in [bytes.clone(), gzip(&bytes)] {
        for length in 0..whole.len() {
            refused(&write(&dir, "cut", &whole[..length]));
        }
    }
    assert!(refused(&write(&dir, "long", &idx(&[1, 2, 2], &[0; 5]))).contains("expected 4"));
    assert!(refused(&write(&dir, "magic", b"\x00\x00\x0d\x03zzzz")).contains("IDX"));
    assert!(refused(&write(&dir, "vast", &idx(&[u32::MAX; 4], &[]))).contains("expected"));
    assert!(refused(&write(&dir, "flat", &idx(&[4], &[0; 4]))).contains("[N,H,W]"));
    assert!(refused(&write(&dir, "empty", &idx(&[0, 2, 2], &[]))).contains("no frames"));
}

#[test]
fn an_mnist_folder_has_a_part_to_fit_and_a_part_to_score() {
    let dir = TempDir::new().unwrap();
    write(&dir, "train-images-idx3-ubyte", &idx(&[3, 1, 2], &[1; 6]));
    write(&dir, "train-labels-idx1-ubyte", &idx(&[3], &[5, 6, 7]));
    write(&dir, "t10k-images-idx3-ubyte.gz", &gzip(&idx(&[1, 1, 2], &[1; 2])));
    let fit = open(Some(dir.path()), Role::Fit).unwrap();
    assert_eq!((fit.len(), fit.labels), (3, Some(vec![5, 6, 7])));
    assert_eq!(open(Some(dir.path()), Role::Score).unwrap().len(), 1);
    write(&dir, "train-labels-idx1-ubyte", &idx(&[2], &[5, 6]));
    let error = open(Some(dir.path()), Role::Fit).unwrap_err().to_string();
    assert!(error.contains("2 labels for 3 frames"), "{error}");
}

#[test]
fn npy_and_npz() {
    let dir = TempDir::new().unwrap();
    let floats: Vec<u8> = [0.5f32, -2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let frames = open(Some(&write(&dir, "f.npy", &npy("<f4", false, &[2, 2], &floats))), Role::Fit).unwrap();
    assert_eq!((frames.shape.width, frames.values), (2, vec![0.5, -2.0, 3.0, 4.0]));
    let frames =
        open(Some(&write(&dir, "u.npy", &npy("|u1", false, &[1, 1, 2, 2], &[0, 255, 51, 0]))), Role::Fit).unwrap();
    assert_eq!(frames.shape, FrameShape { channels: 1, height: 2, width: 2 });
    assert_eq!(frames.values, [0.0, 1.0, 0.2, 0.0]);
    for length in (0..140).step_by(7) {
        let whole = npy("<f4", false, &[2, 2], &floats);
        refused(&write(&dir, "cut.npy", &whole[..length.min(whole.len() - 1)]));
    }
    assert!(
        refused(&write(&dir, "c.npy", &npy("<c8", false, &[1, 1], &[0; 8])))
            .contains("expected integers, floats or bool")
    );
    assert!(refused(&write(&dir, "r.npy", &npy("<f4", false, &[4], &floats))).contains("expected [N,F]"));
    let nan = f32::NAN.to_le_bytes();
    assert!(refused(&write(&dir, "nan.npy", &npy("<f4", false, &[1, 1], &nan))).contains("finite"));

    let path = dir.path().join("both.npz");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    use npyz::{WriteOptions, WriterBuilder};
    archive.start_file("x.npy", Default::default()).unwrap();
    let mut x = WriteOptions::new().default_dtype().shape(&[2, 2]).writer(&mut archive).begin_nd().unwrap();
    x.extend([1.0f32, 2.0, 3.0, 4.0]).unwrap();
    x.finish().unwrap();
    archive.start_file("y.npy", Default::default()).unwrap();
    let mut y = WriteOptions::new().default_dtype().shape(&[2]).writer(&mut archive).begin_nd().unwrap();
    y.extend([7i64, 8]).unwrap();
    y.finish().unwrap();
    archive.finish().unwrap();
    let frames = open(Some(&path), Role::Fit).unwrap();
    assert_eq!((frames.len(), frames.labels), (2, Some(vec![7, 8])));
    refused(&write(&dir, "bad.npz", b"PK\x03\x04 not really"));
}

#[test]
fn csv_rows_and_their_defects() {
    let dir = TempDir::new().unwrap();
    let frames = open(Some(&write(&dir, "a.csv", b"x,y,label\n1,2,cat\n3,4.5,ant\n-1e3,0,cat\n")), Role::Fit).unwrap();
    assert_eq!(frames.values, [1.0, 2.0, 3.0, 4.5, -1000.0, 0.0]);
    assert_eq!(frames.labels, Some(vec![1, 0, 1]));
    let frames = open(Some(&write(&dir, "b.csv", b"1, 2\n3, 4\n")), Role::Fit).unwrap();
    assert_eq!((frames.len(), frames.labels), (2, None));
    for (name, text, expected) in [
        ("ragged.csv", "1,2\n3,4,5\n", "line 2: 3 fields, expected 2"),
        ("word.csv", "1,2\n3,four\n", "line 2, field 2: \"four\""),
        ("nan.csv", "1,2\nNaN,4\n", "line 2, field 1"),
        ("inf.csv", "x,y\n1,inf\n", "line 2, field 2"),
        ("empty.csv", "", "no frames"),
        ("header.csv", "a,b\n", "no frames"),
    ] {
        let error = refused(&write(&dir, name, text.as_bytes()));
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_folder_of_images() {
    let dir = TempDir::new().unwrap();
    for (class, level) in [("dark", 0u8), ("light", 255)] {
        std::fs::create_dir(dir.path().join(class)).unwrap();
        for n in 0..2 {
            let image = image::GrayImage::from_pixel(3, 2, image::Luma([level]));
            image.save(dir.path().join(class).join(format!("{n}.png"))).unwrap();
        }
    }
    let frames = open(Some(dir.path()), Role::Fit).unwrap();
    assert_eq!(frames.shape, FrameShape { channels: 1, height: 2, width: 3 });
    assert_eq!(frames.labels, Some(vec![0, 0, 1, 1]));
    assert_eq!(frames.frame(3), [1.0; 6]);

    let image = image::GrayImage::from_pixel(4, 2, image::Luma([9]));
    image.save(dir.path().join("light").join("wide.png")).unwrap();
    let error = open(Some(dir.path()), Role::Fit).unwrap_err().to_string();
    assert!(error.contains("wide.png") && error.contains("expected 1x2x3"), "{error}");
    std::fs::write(dir.path().join("light").join("wide.png"), b"no image").unwrap();
    assert!(open(Some(dir.path()), Role::Fit).unwrap_err().to_string().contains("wide.png"));
    assert!(refused(TempDir::new().unwrap().path()).contains("neither"));
    assert!(refused(&dir.path().join("missing")).contains("missing"));
}

#[test]
fn embedded_digits_split_without_overlap() {
    let (fit, score) = (digits::embedded(Role::Fit).unwrap(), digits::embedded(Role::Score).unwrap());
    assert_eq!((fit.len(), score.len()), (8000, 2000));
    let total = |frames: &Frames| frames.values.iter().map(|&v| f64::from(v)).sum::<f64>();
    let all = digits::all().unwrap();
    assert!((total(&fit) + total(&score) - total(&all)).abs() < 1e-3);
    for digit in 0..10 {
        let count = |frames: &Frames| frames.labels.iter().flatten().filter(|&&l| l == digit).count();
        assert_eq!(count(&fit) + count(&score), count(&all));
    }
}

#[test]
fn scaling_gives_mean_zero_and_deviation_one() {
    let shape = FrameShape { channels: 1, height: 1, width: 2 };
    let mut frames = Frames { shape, values: vec![1.0, 100.0, 3.0, 100.0, 5.0, 100.0], labels: None };
    let scaling = Scaling::fit(&frames, shape.kind()).unwrap();
    scaling.apply(&mut frames.values);
    let expected = (1.5f32).sqrt();
    for (value, expected) in frames.values.iter().zip([-expected, 0.0, 0.0, 0.0, expected, 0.0]) {
        assert!((value - expected).abs() < 1e-5);
    }
}

#[test]
fn scaling_does_not_depend_on_units() {
    let shape = FrameShape { channels: 1, height: 1, width: 3 };
    // A feature that varies, one that is constant, one of which only the last bit varies.
    let rows: Vec<f32> =
        (0..40).flat_map(|n| [0.3 + (n % 7) as f32, 5.0, 1.0 + f32::EPSILON * (n % 2) as f32]).collect();
    let scaled = |unit: f32| {
        let mut frames = Frames { shape, values: rows.iter().map(|v| v * unit).collect(), labels: None };
        let scaling = Scaling::fit(&frames, shape.kind()).unwrap();
        assert_eq!(scaling.factor[1..], [1.0, 1.0], "unit {unit}");
        scaling.apply(&mut frames.values);
        frames.values
    };
    let expected = scaled(1.0);
    for unit in [1e-30, 1e-9, 0.1, 1e6, 1e30] {
        for (value, expected) in scaled(unit).iter().step_by(3).zip(expected.iter().step_by(3)) {
            assert!((value - expected).abs() < 1e-5, "unit {unit}: {value}, expected {expected}");
        }
    }
}

#[test]
fn the_kind_of_a_frame_goes_by_its_shape() {
    let kind = |channels, height, width| FrameShape { channels, height, width }.kind();
    assert_eq!(kind(1, 28, 28), FrameKind::Image);
    assert_eq!(kind(3, 32, 64), FrameKind::Image);
    assert_eq!(kind(6, 1, 128), FrameKind::Window);
    assert_eq!(kind(1, 6, 128), FrameKind::Window);
    assert_eq!(kind(1, 1, 128), FrameKind::Features);
    assert_eq!(kind(5, 1, 1), FrameKind::Features);
}

/// `[C,1,W]` and `[1,C,W]` are the same window: the same standardisation and the same views.
#[test]
fn a_window_is_the_same_in_either_shape() {
    let (long, flat) =
        (FrameShape { channels: 3, height: 1, width: 16 }, FrameShape { channels: 1, height: 3, width: 16 });
    let values: Vec<f32> = (0..96).map(|i| (i * i % 31) as f32 - 7.0 * (i / 16) as f32).collect();
    let of = |shape: FrameShape| {
        let mut frames = Frames { shape, values: values.clone(), labels: None };
        let scaling = Scaling::fit(&frames, shape.kind()).unwrap();
        scaling.apply(&mut frames.values);
        let mut view = vec![0.0; 48];
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        Augmentation::new(&AugmentConfig::default(), shape, shape.kind(), 1.0).apply(
            frames.frame(0),
            &mut view,
            &mut rng,
        );
        (scaling, view)
    };
    let (scaling, view) = of(long);
    assert_eq!((scaling.clone(), view), of(flat));
    // One shift and factor a channel.
    for channel in 0..3 {
        assert!(scaling.shift[channel * 16..][..16].iter().all(|s| *s == scaling.shift[channel * 16]));
    }
    assert!(scaling.shift[0] != scaling.shift[16]);
}

#[test]
fn time_warp_moves_samples_but_never_backwards() {
    let shape = FrameShape { channels: 2, height: 1, width: 32 };
    let ranges = AugmentConfig { shift: 0.0, scale: 0.0, noise: 0.0, warp: 0.3, ..AugmentConfig::default() };
    let frame: Vec<f32> = (0..64).map(|i| (i % 32) as f32).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut largest: f32 = 0.0;
    for _ in 0..200 {
        let mut view = vec![0.0; 64];
        Augmentation::new(&ranges, shape, shape.kind(), 5.0).apply(&frame, &mut view, &mut rng);
        assert!(view[..32].is_sorted(), "{view:?}");
        assert_eq!(view[..32], view[32..]);
        largest = view.iter().zip(&frame).fold(largest, |l, (a, b)| l.max((a - b).abs()));
    }
    assert!(largest > 3.0 && largest < 1.5 * 0.3 * 16.0, "{largest}");
}

/// In pixels, lengths and angles stay under a turn, and rows keep their distance under a shear.
#[test]
fn a_turn_is_a_turn_of_pixels_whatever_the_sides_of_the_image() {
    let still =
        AugmentConfig { rotation: 0.0, scale: 0.0, shear: 0.0, shift: 0.0, elastic: 0.0, ..AugmentConfig::default() };
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for (height, width) in [(16, 16), (8, 32), (30, 10)] {
        let shape = FrameShape { channels: 1, height, width };
        // Rows of the matrix from pixels to pixels.
        let mut in_pixels = |ranges: &AugmentConfig| {
            let [a, b, c, d] = ImageMap::draw(&Augmentation::new(ranges, shape, shape.kind(), 1.0), &mut rng).matrix;
            let aspect = width as f32 / height as f32;
            [a, b * aspect, c / aspect, d]
        };
        let (mut turned, mut sheared) = (0.0f32, 0.0f32);
        for _ in 0..50 {
            let [a, b, c, d] = in_pixels(&AugmentConfig { rotation: 90.0, ..still.clone() });
            let apart = [a * a + b * b - 1.0, c * c + d * d - 1.0, a * c + b * d, a * d - b * c - 1.0];
            assert!(apart.iter().all(|v| v.abs() < 1e-5), "{shape}: {apart:?}");
            turned = turned.max(b.abs());
            let [a, b, c, d] = in_pixels(&AugmentConfig { shear: 0.3, ..still.clone() });
            assert!([a, c, d] == [1.0, 0.0, 1.0] && b.abs() <= 0.3 + 1e-6, "{shape}: {b} columns a row");
            sheared = sheared.max(b.abs());
        }
        assert!(turned > 0.7 && sheared > 0.2, "{shape}: {turned} {sheared}");
    }

    // With such a matrix a bar along one diagonal lies along the other, pixel by pixel.
    let shape = FrameShape { channels: 1, height: 8, width: 16 };
    let on = |row: usize, column: usize| f32::from(column == row + 4);
    let bar: Vec<f32> = (0..128).map(|i| on(i / 16, i % 16)).collect();
    let right_angle = ImageMap { matrix: [0.0, -0.5, 2.0, 0.0], shift: [0.0; 2], elastic: None, thickness: 0.0 };
    let mut view = vec![0.0; 128];
    right_angle.apply(shape, &bar, &mut view);
    for (row, column) in (0..8).flat_map(|row| (4..12).map(move |column| (row, column))) {
        assert!((view[row * 16 + column] - on(7 - row, column)).abs() < 1e-4, "{row} {column}");
    }
}

#[test]
fn elastic_displacement_keeps_to_its_range_and_thickness_widens_or_thins_a_stroke() {
    let shape = FrameShape { channels: 1, height: 16, width: 16 };
    let none = AugmentConfig {
        rotation: 0.0,
        scale: 0.0,
        shear: 0.0,
        shift: 0.0,
        elastic: 0.0,
        thickness: 0.0,
        ..AugmentConfig::default()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut views = |ranges: &AugmentConfig, frame: &[f32]| -> Vec<Vec<f32>> {
        let maps = Augmentation::new(ranges, shape, shape.kind(), 1.0);
        let mut view = || {
            let mut view = vec![0.0; 256];
            maps.apply(frame, &mut view, &mut rng);
            view
        };
        (0..100).map(|_| view()).collect()
    };
    // The column of a pixel as its value: what comes from elsewhere tells from where.
    let columns: Vec<f32> = (0..256).map(|i| (i % 16) as f32).collect();
    let elastic = AugmentConfig { elastic: 0.1, ..none.clone() };
    let inner = |i: &usize| (2..14).contains(&(i % 16)) && (2..14).contains(&(i / 16));
    let moved = views(&elastic, &columns)
        .iter()
        .flat_map(|view| (0..256).filter(inner).map(|i| (view[i] - columns[i]).abs()).collect::<Vec<_>>())
        .fold(0.0, f32::max);
    assert!(moved > 0.4 && moved <= 0.8 + 1e-4, "{moved}");

    // A stroke three pixels wide.
    let stroke: Vec<f32> = (0..256).map(|i| if (6..9).contains(&(i % 16)) { 1.0 } else { 0.0 }).collect();
    let thick = AugmentConfig { thickness: 1.0, ..none };
    let mut widths: Vec<f32> = views(&thick, &stroke).iter().map(|view| view.iter().sum::<f32>() / 16.0).collect();
    widths.sort_by(f32::total_cmp);
    assert!(widths[0] >= 1.0 - 1e-4 && widths[0] < 1.3, "{widths:?}");
    assert!(widths[99] <= 5.0 + 1e-4 && widths[99] > 4.7, "{widths:?}");
}

#[test]
fn augmentation_without_range_changes_nothing_and_stays_finite_with_it() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let image = FrameShape { channels: 1, height: 5, width: 4 };
    let still = AugmentConfig {
        rotation: 0.0,
        scale: 0.0,
        shear: 0.0,
        shift: 0.0,
        elastic: 0.0,
        thickness: 0.0,
        warp: 0.0,
        noise: 0.0,
        dropout: 0.0,
        ..AugmentConfig::default()
    };
    for shape in
        [image, FrameShape { channels: 2, height: 1, width: 7 }, FrameShape { channels: 1, height: 1, width: 6 }]
    {
        let frame: Vec<f32> = (0..shape.len()).map(|v| v as f32 / 10.0).collect();
        let mut out = vec![f32::NAN; shape.len()];
        Augmentation::new(&still, shape, shape.kind(), 1.0).apply(&frame, &mut out, &mut rng);
        for (a, b) in frame.iter().zip(&out) {
            assert!((a - b).abs() < 1e-5, "{shape}: {a} {b}");
        }
        let ranges = AugmentConfig { elastic: 0.5, thickness: 1.0, ..AugmentConfig::default() };
        let wild = Augmentation::new(&ranges, shape, shape.kind(), 5.0);
        for _ in 0..50 {
            wild.apply(&frame, &mut out, &mut rng);
            assert!(out.iter().all(|v| v.is_finite()));
        }
    }
    // A shift by one column of an image moves it by one column, and background comes in.
    let shifted = AugmentConfig { shift: 0.5, ..still };
    let frame = [0.0, 1.0, 0.0, 0.0].repeat(5);
    let mut columns = [false; 4];
    for _ in 0..200 {
        let mut out = vec![0.0; 20];
        Augmentation::new(&shifted, image, image.kind(), 1.0).apply(&frame, &mut out, &mut rng);
        let brightest = (0..4).max_by(|&a, &b| out[8 + a].total_cmp(&out[8 + b])).unwrap();
        columns[brightest] = true;
    }
    assert_eq!(columns, [true, true, true, false]);
}

#[test]
fn a_device_maps_many_images_as_the_cpu_maps_one() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let device = Device::flex();
    let shapes = [FrameShape { channels: 1, height: 28, width: 28 }, FrameShape { channels: 3, height: 9, width: 14 }];
    for shape in shapes {
        // A Gaussian's frames may be negative; strength 2 brings in much from past the edge.
        let frames: Vec<f32> = (0..40 * shape.len()).map(|_| rng.random_range(-1.0..1.0)).collect();
        for (elastic, thickness) in [(0.0, 0.0), (0.1, 0.0), (0.0, 0.5), (0.1, 0.5)] {
            let ranges = AugmentConfig { elastic, thickness, ..AugmentConfig::default() };
            let family = Augmentation::new(&ranges, shape, shape.kind(), 2.0);
            let maps: Vec<ImageMap> = (0..40).map(|_| ImageMap::draw(&family, &mut rng)).collect();
            let mut expected = vec![f32::NAN; frames.len()];
            let rows = frames.chunks_exact(shape.len()).zip(expected.chunks_exact_mut(shape.len()));
            rows.zip(&maps).for_each(|((frame, out), map)| map.apply(shape, frame, out));
            let tensor = Tensor::<1>::from_floats(&frames[..], &device).reshape([40, shape.len()]);
            let found = ImageMapper::new(shape, &device).apply(tensor, &maps);
            let found = found.try_into_vec_as::<f32>().unwrap();
            let edges = |frame: &[f32], v: &f32| {
                (0..shape.width).any(|x| frame[x] == *v || frame[(shape.height - 1) * shape.width + x] == *v)
            };
            let rows = frames.chunks_exact(shape.len()).zip(expected.chunks_exact(shape.len()));
            let outside: usize = rows.map(|(frame, out)| out.iter().filter(|v| edges(frame, v)).count()).sum();
            assert!(elastic + thickness > 0.0 || outside > 40, "nothing past the edge came in");
            // A coordinate is off by its rounding, a few 1e-6 pixels.
            let off = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-4, "{shape}, elastic {elastic}, thickness {thickness}: {off}");
        }
    }
}
