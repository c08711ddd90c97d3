//! Tables as people have them: delimiters, encodings, headers, gaps, and which column is what.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use trainer::data::{DataSet, Expected, Input, Missing, Role, Source};

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
        (&b"PAR1\x15\x04\x15"[..], "Parquet is not read"),
        (b"\x89HDF\r\n\x1a\n", "HDF5 is not read"),
        (b"a,b\n1,\x002\n", "zero bytes"),
        (b"a,b\n1,2,3\n4,5\n", "fields, expected"),
        (b"a,b\n1,1e400\n", "expected a finite number"),
    ] {
        let error = Table::new("t.csv", bytes).refused();
        assert!(error.contains(expected), "{error}");
    }
}
