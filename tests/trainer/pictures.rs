//! Pictures as people have them: depths, alpha, formats, turns, folders, and what is left out.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use tempfile::TempDir;
use trainer::data::{DataSet, Expected, Input, Role, Source};
use trainer::frame::{FrameKind, FrameShape};

/// Grey levels that differ in both directions, `width` x 2.
fn grey(width: u32) -> GrayImage {
    GrayImage::from_fn(width, 2, |x, y| Luma([(40 * x + 100 * y) as u8]))
}

fn save(image: impl Into<DynamicImage>, folder: &Path, name: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.into().save(path).unwrap();
}

fn bytes(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image.into().write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn input(folder: &Path) -> Input {
    Input::of(Some(folder))
}

fn open(folder: &Path) -> DataSet {
    input(folder).open(Role::Fit).unwrap()
}

fn refused(input: &Input) -> String {
    let error = input.open(Role::Fit).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    error.to_string()
}

fn values(image: &GrayImage) -> Vec<f32> {
    image.as_raw().iter().map(|v| f32::from(*v) / 255.0).collect()
}

#[test]
fn formats_without_loss_give_the_same_frame() {
    let dir = TempDir::new().unwrap();
    for name in ["a.png", "b.bmp", "c.tiff", "d.tif", "e.pgm", "f.PNG"] {
        save(grey(3), dir.path(), name);
    }
    // WebP has no grey.
    let webp = TempDir::new().unwrap();
    save(DynamicImage::from(grey(3)).to_rgb8(), webp.path(), "g.webp");
    let set = open(dir.path());
    assert_eq!((set.frames.len(), set.frames.shape.to_string().as_str()), (6, "1x2x3"));
    (0..6).for_each(|n| assert_eq!(set.frames.all().unwrap().frame(n), values(&grey(3))));
    assert!(set.taken.to_string().contains("1 BMP and 2 PNG and 1 PNM and 2 TIFF"), "{}", set.taken);
    let webp = open(webp.path());
    assert_eq!(webp.frames.shape.to_string(), "3x2x3");
    assert_eq!(webp.frames.all().unwrap().frame(0)[..6], values(&grey(3)));
    // What a file is shows in its bytes, whatever its name; one picture is a frame.
    let misnamed = dir.path().join("misnamed.jpg");
    std::fs::write(&misnamed, bytes(grey(3), ImageFormat::Png)).unwrap();
    let set = open(&misnamed);
    assert_eq!((set.frames.all().unwrap().values, set.taken.kind), (values(&grey(3)), FrameKind::Image));
}

#[test]
fn sixteen_bits_are_shares_of_their_own_white() {
    let dir = TempDir::new().unwrap();
    let deep = image::ImageBuffer::<Luma<u16>, _>::from_fn(2, 1, |x, _| Luma([if x == 0 { 65535 } else { 257 }]));
    save(deep, dir.path(), "0.png");
    assert_eq!(open(dir.path()).frames.all().unwrap().values, [1.0, 257.0 / 65535.0]);
    // Beside one of 8 bits, the same grey is the same value.
    save(GrayImage::from_pixel(2, 1, Luma([1])), dir.path(), "1.png");
    let both = open(dir.path()).frames.all().unwrap().values;
    assert_eq!(both[1], both[2]);
}

/// F10: shapes that are in the alpha alone, and alpha over colour.
#[test]
fn transparent_parts_show_the_background() {
    let dir = TempDir::new().unwrap();
    let shape = |black: bool| {
        RgbaImage::from_fn(2, 1, move |x, _| {
            let level = if black { 0 } else { 255 };
            Rgba([level, level, level, if x == 0 { 255 } else { 0 }])
        })
    };
    save(shape(true), dir.path(), "0.png");
    let set = open(dir.path());
    assert_eq!(set.frames.all().unwrap().values, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    assert!(set.taken.to_string().contains("1 transparent pictures laid on their --background"), "{}", set.taken);
    // White on white is nothing.
    save(shape(false), dir.path(), "1.png");
    let error = refused(&input(dir.path()));
    assert!(error.contains("1.png") && error.contains("--background black"), "{error}");
    // Full alpha changes nothing and is not told.
    let opaque = TempDir::new().unwrap();
    save(RgbaImage::from_fn(2, 1, |x, _| Rgba([51 * x as u8, 0, 255, 255])), opaque.path(), "0.png");
    let set = open(opaque.path());
    assert_eq!(set.frames.all().unwrap().values, [0.0, 0.2, 0.0, 0.0, 1.0, 1.0]);
    assert!(!set.taken.to_string().contains("transparent"));
}

/// F10: a cut JPEG is filled with grey by decoders.
#[test]
fn damaged_pictures_are_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let noise =
        RgbImage::from_fn(64, 64, |x, y| Rgb([(x * y * 37 % 256) as u8, (x * 91 % 256) as u8, (y * 53 % 256) as u8]));
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Tiff] {
        let whole = bytes(noise.clone(), format);
        let name = format!("a.{}", format.extensions_str()[0]);
        for share in [1, 2, 3] {
            std::fs::write(dir.path().join(&name), &whole[..whole.len() * share / 4]).unwrap();
            assert!(refused(&input(dir.path())).contains(&name), "{name}");
        }
        std::fs::write(dir.path().join(&name), &whole).unwrap();
        assert_eq!(open(dir.path()).frames.shape.to_string(), "3x64x64");
        std::fs::remove_file(dir.path().join(&name)).unwrap();
    }
    std::fs::write(dir.path().join("text.png"), "no picture").unwrap();
    assert!(refused(&input(dir.path())).contains("text.png"));
}

#[test]
fn pictures_are_turned_as_their_exif_data_say() {
    let dir = TempDir::new().unwrap();
    let half = RgbImage::from_fn(32, 16, |x, _| if x < 16 { Rgb([255, 255, 255]) } else { Rgb([0, 0, 0]) });
    let mut jpeg = bytes(half, ImageFormat::Jpeg);
    // Orientation 6: to be turned by 90 degrees clockwise, so that what was left is up.
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    let mut segment = vec![0xff, 0xe1];
    segment.extend((exif.len() as u16 + 2).to_be_bytes());
    segment.append(&mut exif);
    jpeg.splice(2..2, segment);
    std::fs::write(dir.path().join("turned.jpg"), jpeg).unwrap();
    let set = open(dir.path());
    assert_eq!(set.frames.shape.to_string(), "3x32x16");
    let row = |y: usize| set.frames.all().unwrap().values[y * 16..][..16].iter().sum::<f32>() / 16.0;
    assert!(row(4) > 0.95 && row(28) < 0.05, "{} {}", row(4), row(28));
    assert!(set.taken.to_string().contains("1 pictures turned"), "{}", set.taken);
}

/// F10: hidden and system files, files that are none, natural order, names.
#[test]
fn folders_are_read_in_the_order_that_people_count_in() {
    let dir = TempDir::new().unwrap();
    for name in ["100", "10", "1", "2", "0"] {
        let level = name.parse().unwrap();
        save(GrayImage::from_pixel(1, 1, Luma([level])), dir.path(), &format!("{name}.png"));
    }
    save(grey(9), dir.path(), ".hidden.png");
    save(grey(9), dir.path(), ".ipynb_checkpoints/0.png");
    save(grey(9), dir.path(), "__MACOSX/0.png");
    for name in ["._0.png", "Thumbs.db", ".DS_Store", "notes.txt", "labels.csv"] {
        std::fs::write(dir.path().join(name), b"\0\x05\x16\x07").unwrap();
    }
    let set = open(dir.path());
    let expected: Vec<f32> = [0u8, 1, 2, 10, 100].iter().map(|v| f32::from(*v) / 255.0).collect();
    assert_eq!(set.frames.all().unwrap().values, expected);
    assert_eq!(set.files.unwrap(), ["0.png", "1.png", "2.png", "10.png", "100.png"]);
    assert!(set.taken.to_string().contains("2 files left out, no pictures: labels.csv, notes.txt"), "{}", set.taken);
    assert_eq!(set.frames.labels, None);

    let classes = TempDir::new().unwrap();
    for (name, level) in [("dog/1.png", 1), ("cat/10.png", 10), ("cat/9.png", 9), ("cat/deep/8.png", 8)] {
        save(GrayImage::from_pixel(1, 1, Luma([level])), classes.path(), name);
    }
    let set = open(classes.path());
    assert_eq!(set.classes, Some(vec!["cat".into(), "dog".into()]));
    assert_eq!(set.frames.labels, Some(vec![0, 0, 0, 1]));
    // Two parts, each with its classes.
    let parts = TempDir::new().unwrap();
    for (name, level) in [("train/cat/0.png", 0), ("train/dog/1.png", 1), ("test/dog/2.png", 2)] {
        save(GrayImage::from_pixel(1, 1, Luma([level])), parts.path(), name);
    }
    assert_eq!(input(parts.path()).parts(), [Role::Fit, Role::Score]);
    assert_eq!((open(parts.path()).frames.labels), Some(vec![0, 1]));
    assert_eq!(input(parts.path()).open(Role::Score).unwrap().frames.all().unwrap().values, [2.0 / 255.0]);
    save(grey(1), classes.path(), "beside.png");
    assert!(refused(&input(classes.path())).contains("sub-folders (classes) and beside them"));
}

#[test]
fn colours_and_sizes_become_one() {
    let dir = TempDir::new().unwrap();
    save(grey(2), dir.path(), "0.png");
    let red = RgbImage::from_pixel(2, 2, Rgb([255, 0, 0]));
    save(red, dir.path(), "1.png");
    let set = open(dir.path());
    assert_eq!(set.frames.shape.to_string(), "3x2x2");
    assert_eq!(set.frames.all().unwrap().frame(1), [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert!(set.taken.to_string().contains("1 grey pictures taken as colour"), "{}", set.taken);
    let mut options = input(dir.path());
    options.pictures.gray = true;
    let set = options.open(Role::Fit).unwrap();
    assert_eq!((set.frames.shape.channels, set.frames.all().unwrap().frame(0)), (1, &values(&grey(2))[..]));
    // A model of colours takes grey ones as such.
    std::fs::remove_file(dir.path().join("1.png")).unwrap();
    let shape = FrameShape { channels: 3, height: 2, width: 2 };
    let known = Expected { kind: Some(FrameKind::Image), shape: Some(shape), columns: None, ..Expected::default() };
    assert_eq!(input(dir.path()).open_for(Role::Score, &known).unwrap().frames.shape, shape);

    save(GrayImage::from_fn(6, 4, |x, y| Luma([(10 * x + y) as u8])), dir.path(), "wide.png");
    let error = refused(&input(dir.path()));
    assert!(error.contains("wide.png") && error.contains("--resize 2x2"), "{error}");
    options.pictures.crop = Some("2x2".parse().unwrap());
    let set = options.open(Role::Fit).unwrap();
    assert_eq!(
        set.frames.all().unwrap().frame(1).iter().map(|v| (v * 255.0).round() as u8).collect::<Vec<_>>(),
        [21, 31, 22, 32]
    );
    options.pictures.crop = None;
    options.pictures.resize = Some("3x2".parse().unwrap());
    assert_eq!(options.open(Role::Fit).unwrap().frames.shape.to_string(), "1x2x3");
}

/// F22: a strip is a picture, as long as it may be.
#[test]
fn a_picture_is_never_a_window() {
    let dir = TempDir::new().unwrap();
    save(GrayImage::new(40, 4), dir.path(), "strip.png");
    assert_eq!(open(dir.path()).taken.kind, FrameKind::Image);
}

#[test]
fn classes_may_stand_in_a_table_beside() {
    let dir = TempDir::new().unwrap();
    for (n, name) in ["a/1.png", "a/2.png", "b/10.png"].iter().enumerate() {
        save(GrayImage::from_pixel(1, 1, Luma([n as u8])), dir.path(), name);
    }
    let table = dir.path().join("labels.csv");
    let labelled = |text: &str| {
        std::fs::write(&table, text).unwrap();
        let input = Input { label: Some(table.display().to_string()), ..input(dir.path()) };
        input.open(Role::Fit)
    };
    for text in [
        "file,label\na/1.png,cat\na/2.png,dog\nb/10.png,cat\n",
        "id;class;size\n10;cat;1\n2;dog;1\n1;cat;2\n3;dog;2\n",
        "./a/1.png,cat\n./b/10.png,cat\n./a/2.png,dog\n",
        "image,species\nb\\10.png,cat\na\\1.png,cat\na\\2.png,dog\n",
    ] {
        let set = labelled(text).unwrap();
        assert_eq!(
            (set.frames.labels, set.classes),
            (Some(vec![0, 1, 0]), Some(vec!["cat".into(), "dog".into()])),
            "{text}"
        );
        assert!(!set.taken.to_string().contains("left out"), "{}", set.taken);
    }
    for (text, problem) in [
        ("file,label\n1.png,cat\n2.png,dog\n", "no class for 1 of 3 pictures, as \"b/10.png\""),
        (
            "file,label\n1.png,cat\n2.png,dog\n10.png,cat\n1.png,dog\n",
            "line 5, field 2: a second class for \"a/1.png\"",
        ),
        ("file,label\nx.png,cat\ny.png,dog\n", "no column names the pictures, as \"a/1.png\""),
        ("file,a,b\n1,x,1\n2,y,2\n10,z,3\n", "which holds the classes?"),
    ] {
        let error = labelled(text).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
    let input = Input { label: Some("kind".into()), ..input(dir.path()) };
    assert!(refused(&input).contains("by their sub-folders, or by a table"));
}

/// Links that lead back, pipes, and films.
#[cfg(unix)]
#[test]
fn nothing_in_a_folder_is_read_twice_or_waited_for() {
    let dir = TempDir::new().unwrap();
    save(grey(3), dir.path(), "a/1.png");
    std::os::unix::fs::symlink("..", dir.path().join("a/back")).unwrap();
    std::os::unix::fs::symlink("a", dir.path().join("b")).unwrap();
    let pipe = dir.path().join("a/2.png");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let set = open(dir.path());
    assert_eq!(set.frames.len(), 1);
    assert!(set.taken.to_string().contains("1 files left out, no pictures: "), "{}", set.taken);
}

#[test]
fn the_first_picture_of_a_film_is_taken_and_told() {
    let dir = TempDir::new().unwrap();
    let mut film = bytes(grey(3), ImageFormat::Png);
    // After the header, as the chunk of a film with two pictures.
    let mut chunk = b"acTL\0\0\0\x02\0\0\0\0".to_vec();
    let mut crc = flate2::Crc::new();
    crc.update(&chunk);
    chunk.extend(crc.sum().to_be_bytes());
    film.splice(33..33, [&8u32.to_be_bytes()[..], &chunk].concat());
    std::fs::write(dir.path().join("film.png"), film).unwrap();
    let set = open(dir.path());
    assert_eq!(set.frames.all().unwrap().values, values(&grey(3)));
    assert!(
        set.taken.to_string().contains("1 files have several pictures, of which the first is taken"),
        "{}",
        set.taken
    );
}
