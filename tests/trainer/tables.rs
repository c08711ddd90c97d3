//! Tables as people have them: delimiters, encodings, headers, gaps, and which column is what.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use trainer::data::{DataSet, Expected, Input, Manner, Missing, Role, Source};
use trainer::frame::{FrameKind, FrameShape};

/// A table in a file, to be read by options.
struct Table {
    _dir: TempDir,
    input: Input,
}

impl Table {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Self { input: Input::of(Some(&path)), _dir: dir }
    }

    fn open(&self) -> DataSet {
        self.input.open(Role::Fit).unwrap()
    }

    fn refused(&self) -> String {
        let error = self.input.open(Role::Fit).unwrap_err();
        assert_eq!(error.exit_code(), 3, "{error}");
        error.to_string()
    }

    fn label(mut self, name: &str) -> Self {
        self.input.label = Some(name.into());
        self
    }

    fn header(mut self, word: &str) -> Self {
        self.input.table.header = clap::ValueEnum::from_str(word, false).unwrap();
        self
    }

    fn columns(mut self, names: &[&str]) -> Self {
        self.input.table.columns = names.iter().map(|n| (*n).to_owned()).collect();
        self
    }

    fn ignore(mut self, names: &[&str]) -> Self {
        self.input.table.ignore = names.iter().map(|n| (*n).to_owned()).collect();
        self
    }
}

fn csv(text: &str) -> Table {
    Table::new("t.csv", text.as_bytes())
}

fn names(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

const ROWS: [f32; 4] = [1.5, 2.0, -3.25, 1000.0];

/// U1, U18: the same two rows, however they are written.
#[test]
fn delimiters_decimals_and_encodings_are_found() {
    let utf16 = |text: &str, big: bool| -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let gzip = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let plain = "größe,b\n1.5,2\n-3.25,1e3\n";
    let latin: Vec<u8> = plain.chars().map(|c| u32::from(c) as u8).collect();
    for (name, bytes) in [
        ("a.csv", plain.as_bytes().to_vec()),
        ("semicolons.csv", "größe;b\n1.5;2\n-3.25;1e3\n".into()),
        ("decimal commas.csv", "größe;b\n1,5;2\n-3,25;1.000,0\n".into()),
        ("quoted decimal commas.csv", "größe,b\n\"1,5\",\"2\"\n\"-3,25\",\"1000,0\"\n".into()),
        ("tabs.tsv", "größe\tb\n1.5\t2\n-3.25\t1e3\n".into()),
        ("tabs and decimal commas.txt", "größe\tb\n1,5\t2\n-3,25\t1000\n".into()),
        ("bars.txt", "größe|b\n1.5|2\n-3.25|1e3\n".into()),
        ("spaces.txt", "   größe      b\n   1.5     2\n -3.25   1e3\n".into()),
        ("spaces and decimal commas.dat", "größe b\n1,5 2\n-3,25 1000\n".into()),
        ("quotes.csv", "\"größe\",\"b\"\r\n\"1.5\",\"2\"\r\n\"-3.25\",\"1e3\"\r\n".into()),
        ("old lines.csv", "größe,b\r1.5,2\r-3.25,1e3\r".into()),
        ("trailing.csv", "größe,b,\n1.5,2,\n-3.25,1e3,\n".into()),
        ("trailing in rows.csv", "größe,b\n1.5,2,\n-3.25,1e3,\n".into()),
        ("comments.csv", "# from a logger\ngröße,b\n\n1.5,2\n# here is a gap\n-3.25,1e3\n".into()),
        ("header in a comment.csv", "# größe b\n1.5 2\n-3.25 1e3\n".into()),
        ("stated.csv", "sep=;\ngröße;b\n1.5;2\n-3.25;1e3\n".into()),
        ("mark.csv", [b"\xef\xbb\xbf", plain.as_bytes()].concat()),
        ("latin.csv", latin),
        ("utf16 with mark.csv", [b"\xff\xfe".to_vec(), utf16(plain, false)].concat()),
        ("utf16 big.csv", [b"\xfe\xff".to_vec(), utf16(plain, true)].concat()),
        ("utf16 without mark.csv", utf16(plain, false)),
        ("zipped.csv.gz", gzip(plain)),
        ("no name of a table", plain.as_bytes().to_vec()),
    ] {
        let set = Table::new(name, &bytes).open();
        assert_eq!(set.frames.all().unwrap().values, ROWS, "{name}: {}", set.taken);
        assert_eq!(set.columns, names(&["größe", "b"]), "{name}: {}", set.taken);
    }
    let told = Table::new("d.csv", b"a;b\n1,5;2\n").open().taken.to_string();
    assert!(told.contains("a table of semicolons, decimal commas, a header"), "{told}");
    // What may be thousands is asked for.
    assert!(csv("a;b\n1,500;2\n2,250;3\n").refused().contains("--decimal comma or --decimal point"));
    assert!(csv("a;b\n1,5;2\n2.5;3\n").refused().contains("--decimal"));
}

/// F5.
#[test]
fn a_header_of_numbers_is_seen_or_asked_for() {
    let header = csv("0,1\n5.1,3.5\n4.9,3.0\n5.0,3.4\n").open();
    assert_eq!((header.frames.len(), header.columns), (3, names(&["0", "1"])));
    let index = csv(",0,1\n0,5.1,3.5\n1,4.9,3.0\n").open();
    assert_eq!((index.frames.all().unwrap().values, index.columns), (vec![5.1, 3.5, 4.9, 3.0], names(&["0", "1"])));
    let pixels = csv("label,0,1,2\n5,0,12,7\n6,9,1,0\n").open();
    assert_eq!((pixels.frames.shape.width, pixels.frames.labels), (3, Some(vec![5, 6])));
    let long = csv("0,1,2,3,4,5\n9,8,7,3,2,1\n1,1,0,4,4,4\n").open();
    assert_eq!(long.frames.len(), 2);
    let years = csv("2019,2020,2021\n1.5,2.5,0.25\n0.5,1.5,3.75\n").open();
    assert_eq!(years.frames.len(), 2);
    // Rows.
    assert_eq!(csv("1,2\n3,4\n").open().frames.len(), 2);
    assert_eq!(csv("5.1,3.5\n4.9,3.0\n").open().frames.len(), 2);
    // Neither can be told.
    let unclear = "0,1\n1,0\n0,0\n";
    assert!(csv(unclear).refused().contains("--header yes or --header no"));
    assert_eq!(csv(unclear).header("no").open().frames.len(), 3);
    assert_eq!(csv(unclear).header("yes").open().frames.len(), 2);
}

/// F7.
#[test]
fn columns_that_count_or_date_the_rows_are_left_out_and_told() {
    let set = csv(",x,y\n0,5.1,3.5\n1,4.9,3.0\n2,5.0,3.4\n").open();
    assert_eq!((set.frames.shape.width, set.columns.as_deref()), (2, names(&["x", "y"]).as_deref()));
    assert!(set.taken.to_string().contains("column \"\" left out, it counts or names the rows"), "{}", set.taken);
    let set = csv("Id,a,b\n17,1.5,2\n19,-3.25,1e3\n").open();
    assert_eq!((set.frames.all().unwrap().values.as_slice(), set.frames.labels), (&ROWS[..], None));
    let set = csv("when,a,b\n2024-01-01 12:00,1.5,2\n2024-01-01 12:01,-3.25,1e3\n").open();
    assert_eq!(set.frames.all().unwrap().values, ROWS);
    assert!(set.taken.to_string().contains("column \"when\" left out, times"), "{}", set.taken);
    let set = csv("timestamp,a,b\n1700000000,1.5,2\n1700000060,-3.25,1e3\n").open();
    assert_eq!(set.frames.all().unwrap().values, ROWS);
    // The rows of R: a name too few.
    assert_eq!(csv("a b\nr1 1.5 2\nr2 -3.25 1e3\n").open().frames.all().unwrap().values, ROWS);
    let counted: String = (0..12).map(|n| format!("{n},{}.5\n", (n * 7) % 5)).collect();
    assert!(csv(&counted).refused().contains("--ignore 1"));
    assert_eq!(csv(&counted).ignore(&["1"]).open().frames.shape.width, 1);
    assert_eq!(csv(&counted).columns(&["1", "2"]).open().frames.shape.width, 2);
}

/// F7.
#[test]
fn classes_are_known_by_their_names_or_asked_for() {
    for name in ["label", "labels", "class", "target", "Species", "y", "CLASS"] {
        let set = csv(&format!("a,b,{name}\n1.5,2,cat\n-3.25,1e3,ant\n")).open();
        assert_eq!(
            (set.frames.all().unwrap().values.as_slice(), set.frames.labels),
            (&ROWS[..], Some(vec![1, 0])),
            "{name}"
        );
        assert_eq!(set.classes, names(&["ant", "cat"]));
        assert_eq!(set.taken.labels, Some((format!("\"{name}\""), 2)));
        let first = csv(&format!("{name},a,b\n3,1.5,2\n4,-3.25,1e3\n")).open();
        assert_eq!(
            (first.frames.all().unwrap().values.as_slice(), first.frames.labels),
            (&ROWS[..], Some(vec![3, 4])),
            "{name}"
        );
    }
    // Both: one scores, the other is no feature.
    let both = csv("a,label,b,class\n1.5,0,2,cat\n-3.25,1,1e3,ant\n").open();
    assert_eq!((both.frames.all().unwrap().values.as_slice(), both.frames.labels), (&ROWS[..], Some(vec![0, 1])));
    assert!(both.taken.to_string().contains("column \"class\" left out, classes too"), "{}", both.taken);
    // Beside x it is a coordinate, and with fractions no class.
    assert_eq!(csv("x,y\n1.5,2\n-3.25,1e3\n").open().frames.all().unwrap().values, ROWS);
    assert_eq!(csv("a,y\n1.5,2.5\n-3.25,1e3\n").open().frames.shape.width, 2);
    let real = csv("a,target\n1.5,2.5\n-3.25,1e3\n").refused();
    assert!(real.contains("--label none") && real.contains("--ignore target"), "{real}");
    // Asked for by name or place.
    let text = "5.1,3.5,Iris-setosa\n6.3,3.3,Iris-virginica\n";
    let error = csv(text).refused();
    assert!(error.contains("line 1, field 3: \"Iris-setosa\"") && error.contains("--label 3"), "{error}");
    for place in ["3", "-1"] {
        assert_eq!(csv(text).label(place).open().frames.labels, Some(vec![0, 1]));
    }
    assert_eq!(csv("a,kind,b\n1.5,0,2\n-3.25,1,1e3\n").label("kind").open().frames.all().unwrap().values, ROWS);
    assert_eq!(csv("a,label\n1.5,2\n-3.25,1e3\n").label("none").open().frames.all().unwrap().values, ROWS);
    assert!(csv("a,b\n1,2\n").label("sort").refused().contains("no column \"sort\"; there are a, b"));
}

/// U3.
#[test]
fn gaps_are_refused_by_place_dropped_or_filled() {
    for gap in ["", "NA", "NaN", "null", "?", "n/a"] {
        let mut table = csv(&format!("a,b,label\n1,2,0\n{gap},4,1\n5,9,0\n"));
        let error = table.refused();
        assert!(error.contains("line 3, field 1") && error.contains("--missing drop"), "{error}");
        table.input.missing = Missing::Drop;
        let dropped = table.open();
        assert_eq!(
            (dropped.frames.all().unwrap().values, dropped.frames.labels),
            (vec![1.0, 2.0, 5.0, 9.0], Some(vec![0, 0]))
        );
        table.input.missing = Missing::Mean;
        let filled = table.open();
        assert_eq!(filled.frames.all().unwrap().values, [1.0, 2.0, 3.0, 4.0, 5.0, 9.0]);
        assert!(filled.taken.to_string().contains("1 missing values replaced"), "{}", filled.taken);
    }
    // A column of nothing is none, and a missing class keeps nobody from a fit.
    let empty = csv("a,note,b\n1.5,,2\n-3.25,,1e3\n").open();
    assert_eq!(empty.frames.all().unwrap().values, ROWS);
    assert!(empty.taken.to_string().contains("column \"note\" left out, empty"), "{}", empty.taken);
    let unlabelled = csv("a,b,label\n1.5,2,x\n-3.25,1e3,\n").open();
    assert_eq!((unlabelled.frames.all().unwrap().values.as_slice(), unlabelled.frames.labels), (&ROWS[..], None));
    assert!(unlabelled.taken.to_string().contains("label 1 is missing"), "{}", unlabelled.taken);
}

#[test]
fn features_are_chosen_and_come_in_the_order_of_the_model() {
    let text = "b,extra,a\n2,7,1.5\n1e3,8,-3.25\n";
    assert_eq!(csv(text).columns(&["a", "b"]).open().frames.all().unwrap().values, ROWS);
    assert_eq!(csv(text).columns(&["3", "1"]).open().frames.all().unwrap().values, ROWS);
    assert_eq!(csv(text).ignore(&["extra"]).open().frames.all().unwrap().values, [2.0, 1.5, 1000.0, -3.25]);
    let model = |model: &[&str]| Expected { columns: names(model), ..Expected::default() };
    let table = csv(text);
    let set = table.input.open_for(Role::Score, &model(&["a", "b"])).unwrap();
    assert_eq!(set.frames.all().unwrap().values, ROWS);
    assert!(set.taken.to_string().contains("left out, not in the model: column \"extra\""), "{}", set.taken);
    let error = table.input.open_for(Role::Score, &model(&["a", "c", "d"])).unwrap_err().to_string();
    assert!(error.contains("not here: \"c\", \"d\"; there are b, extra, a"), "{error}");
    // A model may take a column that has the name of classes.
    let table = csv("label,a\n2,1.5\n1e3,-3.25\n");
    assert_eq!(table.input.open_for(Role::Score, &model(&["a", "label"])).unwrap().frames.all().unwrap().values, ROWS);
    let bare = csv("1.5,2\n-3.25,1e3\n");
    let set = bare.input.open_for(Role::Score, &model(&["a", "b"])).unwrap();
    assert_eq!(set.frames.all().unwrap().values, ROWS);
    assert!(set.taken.to_string().contains("in the model's order"), "{}", set.taken);
}

/// U2 and others: what is no table is named for what it is.
#[test]
fn what_is_no_table_is_refused_by_its_name() {
    for (bytes, expected) in [
        (&b"PAR1\x15\x04\x15"[..], "t.csv: "),
        (b"\x89HDF\r\n\x1a\n", "HDF5 (in Python:"),
        (b"a,b\n1,\x002\n", "zero bytes"),
        (b"a,b\n1,2,3\n4,5\n", "fields, expected"),
        (b"a,b\n1,1e400\n", "expected a finite number"),
    ] {
        let error = Table::new("t.csv", bytes).refused();
        assert!(error.contains(expected), "{error}");
    }
}

/// Classes in a table that names nothing: taken where they can be nothing else, asked for where they may be a feature.
#[test]
fn classes_without_a_name_are_told_or_asked_for() {
    fn row(n: usize) -> String {
        format!("{}.5,{}.25", (n * 7) % 5, (n * 3) % 4)
    }
    let with = |class: &dyn Fn(usize) -> String| -> String { (0..40).map(class).collect() };
    let last = csv(&with(&|n| format!("{},{}\n", row(n), n % 3)));
    let set = last.open();
    assert_eq!((set.frames.shape.width, set.frames.labels.unwrap()[..4].to_vec()), (2, vec![0, 1, 2, 0]));
    let told = set.taken.to_string();
    assert!(told.contains("labels from column 3, 3 classes") && told.contains("--label none takes column 3"), "{told}");
    assert_eq!(last.label("none").open().frames.shape.width, 3);
    let first = csv(&with(&|n| format!("{},{}\n", 1 + n % 3, row(n)))).open();
    assert_eq!((first.frames.shape.width, first.frames.labels.unwrap()[..3].to_vec()), (2, vec![1, 2, 3]));
    // Beside other whole numbers it may be a feature; a model says whether it is.
    let beside = with(&|n| format!("{},{},{}\n", row(n), 500 + 13 * n, n % 3));
    let error = csv(&beside).refused();
    assert!(error.contains("column 4 alone holds a few whole numbers, 0 to 2: say --label 4"), "{error}");
    let model = |width| Expected { shape: Some(FrameShape { channels: 1, height: 1, width }), ..Expected::default() };
    for (width, labelled) in [(3, true), (4, false)] {
        let set = csv(&beside).input.open_for(Role::Score, &model(width));
        assert_eq!(set.unwrap().frames.labels.is_some(), labelled);
    }
    // Numbers that several columns count, gaps in the count, fractions, few rows: no classes.
    for class in [
        |n: usize| format!("{},{},{}\n", n % 2, row(n), n % 3),
        |n: usize| format!("{},{}\n", row(n), 3 * (n % 3)),
        |n: usize| format!("{},{}.5\n", row(n), n % 3),
        |n: usize| format!("{},{}\n", row(n), n % 20),
    ] {
        assert_eq!(csv(&with(&class)).open().frames.labels, None);
    }
}

/// Pixels of digits, as they come with a header, without one, and with classes.
#[test]
fn rows_of_pixels_are_pictures() {
    let pixel = |n: usize, p: usize| (n * 31 + p * 7) % 256;
    let row = |n: usize, count: usize| (0..count).map(|p| pixel(n, p).to_string()).collect::<Vec<_>>().join(",");
    let header = |name: &dyn Fn(usize) -> String, count| (0..count).map(name).collect::<Vec<_>>().join(",");
    let kaggle = |count| {
        let rows: String = (0..60).map(|n| format!("{},{}\n", n % 10, row(n, count))).collect();
        format!("label,{}\n{rows}", header(&|p| format!("pixel{p}"), count))
    };
    let bare: String = (0..60).map(|n| format!("{},{}\n", n % 10, row(n, 784))).collect();
    let crossed = format!("{}\n{}\n", header(&|p| format!("{}x{}", p / 28 + 1, p % 28 + 1), 784), row(0, 784));
    for (text, labelled, side) in [
        (kaggle(784), true, 28),
        (kaggle(64), true, 8),
        (bare.clone(), true, 28),
        (crossed, false, 28),
        (format!("{}\n", row(3, 784)), false, 28),
    ] {
        let set = csv(&text).open();
        assert_eq!(
            (set.frames.shape, set.taken.kind),
            (FrameShape { channels: 1, height: side, width: side }, FrameKind::Image)
        );
        assert_eq!((set.frames.labels.is_some(), set.columns), (labelled, None));
        let told = set.taken.to_string();
        assert!(told.contains(&format!("as nhw:{side}x{side}")) && told.contains("divided by 255"), "{told}");
    }
    let set = csv(&bare).open();
    assert_eq!(set.frames.all().unwrap().frame(2)[1], pixel(2, 1) as f32 / 255.0);
    // Said otherwise, and what is no byte, or no square.
    let with_layout = |text: &str, layout: &str| {
        let mut table = csv(text);
        table.input.layout = Some(layout.parse().unwrap());
        table.open()
    };
    let rows = with_layout(&kaggle(784), "nf");
    assert_eq!((rows.taken.kind, rows.frames.all().unwrap().frame(2)[1]), (FrameKind::Features, pixel(2, 1) as f32));
    assert_eq!(with_layout(&kaggle(72), "nhwc:4x6x3").frames.shape, FrameShape { channels: 3, height: 4, width: 6 });
    assert_eq!(csv(&kaggle(72)).open().taken.kind, FrameKind::Features);
    let beyond = bare.replacen(",255,", ",256,", 1);
    assert_eq!(csv(&beyond).label("1").open().taken.kind, FrameKind::Features);
    // A model of pictures gets pictures, but one that is used to values as they are.
    let shape = FrameShape { channels: 1, height: 28, width: 28 };
    let known = |manner| Expected { kind: Some(FrameKind::Image), shape: Some(shape), manner, ..Expected::default() };
    let value =
        |known: &Expected| csv(&bare).input.open_for(Role::Score, known).unwrap().frames.all().unwrap().frame(2)[1];
    assert_eq!(value(&known(None)), pixel(2, 1) as f32 / 255.0);
    assert_eq!(value(&known(Some(Manner::default()))), pixel(2, 1) as f32);
}

/// What looked like one thing to the reader, and is another.
#[test]
fn tables_of_other_programs_are_read_or_their_cause_is_named() {
    let dir = |text: &str| csv(text).open();
    // Thousands by commas, where a point stands beside them, or they are said to be.
    assert_eq!(
        dir("a,b\n\"1,234.5\",2\n\"-45,678.25\",3\n").frames.all().unwrap().values,
        [1234.5, 2.0, -45_678.25, 3.0]
    );
    let mut thousands = csv("a;b\n1,500;2\n2,250;3\n");
    assert!(thousands.refused().contains("--decimal comma or --decimal point"));
    for (word, values) in [("point", [1500.0, 2.0, 2250.0, 3.0]), ("comma", [1.5, 2.0, 2.25, 3.0])] {
        thousands.input.table.decimal = Some(clap::ValueEnum::from_str(word, false).unwrap());
        assert_eq!(thousands.open().frames.all().unwrap().values, values);
    }
    // A name with a line end in it is told in one line.
    let set = dir("a,\"b\nof two lines\"\n1.5,2\n-3.25,1e3\n");
    assert_eq!(
        (set.frames.all().unwrap().values.as_slice(), set.columns.clone()),
        (&ROWS[..], names(&["a", "b of two lines"]))
    );
    assert_eq!(set.taken.to_string().lines().count(), 1);
    assert!(!csv("note,a\n\"x\ny\",1\nz,2\n").refused().contains('\n'));
    // Comments of other programs are no names of columns.
    for mark in ["% ", "; ", "// ", "! "] {
        let error = csv(&format!("{mark}comment\n1,2\n3,4\n")).refused();
        assert!(error.contains("1 as in the header; --skip N"), "{error}");
    }
    let zones = dir("at,a,b\n2024-01-01 12:00:00 UTC,1.5,2\n2024-01-01 12:01:00 UTC,-3.25,1e3\n");
    assert_eq!(zones.frames.all().unwrap().values, ROWS);
    for (bytes, name) in [
        (&b"BZh91AY&SY"[..], "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "Git LFS"),
        (b"@RELATION x\n@DATA\n1\n", "ARFF"),
    ] {
        let error = Table::new("t.csv", bytes).refused();
        assert!(error.contains(name), "{error}");
    }
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(
        Table::new("t.csv.gz", &gzip(&gzip(b"a,b\n1.5,2\n-3.25,1e3\n"))).open().frames.all().unwrap().values,
        ROWS
    );
}
