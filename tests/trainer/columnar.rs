//! Parquet and Arrow IPC: a feature a column, or frames as lists; and answers in the same formats.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/answers.rs"]
mod answers;
#[path = "../common/command.rs"]
#[expect(dead_code, reason = "what tables of text need")]
mod command;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use answers::columns;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type, Int64Type, UInt8Type, UInt32Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, DictionaryArray, FixedSizeListArray, Float32Array, Float64Array,
    Int64Array, LargeListArray, ListArray, RecordBatch, StringArray, StructArray, TimestampMillisecondArray,
    UInt8Array, UInt16Array,
};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use command::{SMALL, fails, stdout, trainer};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;
use trainer::data::{DataSet, Expected, Input, Missing, Role, Source};
use trainer::frame::{FrameKind, FrameShape};

/// The three formats by the extension of their files.
const FORMATS: [&str; 3] = ["parquet", "arrow", "arrows"];

fn write(folder: &Path, name: &str, batch: &RecordBatch) -> PathBuf {
    let path = folder.join(name);
    let file = std::fs::File::create(&path).unwrap();
    let schema = batch.schema();
    match path.extension().unwrap().to_str().unwrap() {
        "parquet" => {
            // Row groups of four, so that there are several.
            let properties = WriterProperties::builder()
                .set_max_row_group_row_count(Some(4))
                .set_compression(Compression::ZSTD(ZstdLevel::default()))
                .build();
            let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).unwrap();
            writer.write(batch).unwrap();
            writer.close().unwrap();
        }
        "arrow" => {
            let mut writer = FileWriter::try_new(file, &schema).unwrap();
            let half = batch.num_rows() / 2;
            writer.write(&batch.slice(0, half)).unwrap();
            writer.write(&batch.slice(half, batch.num_rows() - half)).unwrap();
            writer.finish().unwrap();
        }
        _ => {
            let mut writer = arrow_ipc::writer::StreamWriter::try_new(file, &schema).unwrap();
            writer.write(batch).unwrap();
            writer.finish().unwrap();
        }
    }
    path
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, values)| (name, values, true))).unwrap()
}

fn open(path: &Path) -> DataSet {
    Input::of(Some(path)).open(Role::Fit).unwrap()
}

fn refused(input: &Input) -> String {
    let error = input.open(Role::Fit).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    error.to_string()
}

fn names(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

fn reals(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn words(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// What a table of text would be, typed.
fn table() -> RecordBatch {
    let point = StructArray::from(vec![(Arc::new(Field::new("x", DataType::Float64, true)), reals(&[1.0; 5]))]);
    let kinds: DictionaryArray<Int32Type> = ["ant", "cat", "ant", "cat", "cat"].into_iter().collect();
    batch(vec![
        ("id", Arc::new(Int64Array::from(vec![17, 19, 23, 29, 31]))),
        ("when", Arc::new(TimestampMillisecondArray::from_iter_values(0..5).with_timezone("Europe/Berlin"))),
        ("a", Arc::new(Float32Array::from(vec![1.5, -3.25, 0.0, 4.0, 5.0]))),
        ("place", Arc::new(point)),
        ("b", Arc::new(Int64Array::from(vec![2, 1000, 3, 4, 5]))),
        ("on", Arc::new(BooleanArray::from(vec![true, false, true, true, false]))),
        ("species", Arc::new(kinds)),
    ])
}

#[test]
fn a_column_is_a_feature_as_in_a_table_of_text() {
    let dir = TempDir::new().unwrap();
    for format in FORMATS {
        let path = write(dir.path(), &format!("t.{format}"), &table());
        let set = open(&path);
        let expected = [1.5, 2.0, 1.0, -3.25, 1000.0, 0.0, 0.0, 3.0, 1.0, 4.0, 4.0, 1.0, 5.0, 5.0, 0.0];
        assert_eq!(
            (set.frames.all().unwrap().values.as_slice(), set.columns),
            (&expected[..], names(&["a", "b", "on"])),
            "{format}"
        );
        assert_eq!(set.frames.labels, Some(vec![0, 1, 0, 1, 1]));
        assert_eq!((set.taken.kind, set.classes), (FrameKind::Features, names(&["ant", "cat"])));
        let told = set.taken.to_string();
        for note in [
            "\"id\" left out, it counts or names the rows",
            "\"when\" left out, times",
            "\"place\" left out, it holds structures",
        ] {
            assert!(told.contains(note), "{told}");
        }
        let mut input = Input::of(Some(&path));
        input.table.columns = vec!["b".into(), "a".into()];
        assert_eq!(input.open(Role::Fit).unwrap().frames.all().unwrap().values[..2], [2.0, 1.5]);
        let model = Expected { columns: names(&["on", "a"]), ..Expected::default() };
        assert_eq!(
            Input::of(Some(&path)).open_for(Role::Score, &model).unwrap().frames.all().unwrap().values[..2],
            [1.0, 1.5]
        );
        input.table.columns = vec!["place".into()];
        assert!(refused(&input).contains("row 1, column \"place\": structures"), "{}", refused(&input));
    }
    // Words are asked for, and words of numbers are these.
    let text = batch(vec![("a", words(&["1.5", "-3.25"])), ("colour", words(&["red", "blue"]))]);
    let path = write(dir.path(), "words.parquet", &text);
    let error = refused(&Input::of(Some(&path)));
    assert!(error.contains("row 1, column \"colour\": \"red\"") && error.contains("--label colour"), "{error}");
    let mut input = Input::of(Some(&path));
    input.table.ignore = vec!["colour".into()];
    assert_eq!(input.open(Role::Fit).unwrap().frames.all().unwrap().values, [1.5, -3.25]);
}

#[test]
fn nulls_are_missing_values() {
    let dir = TempDir::new().unwrap();
    let gaps: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(5)]));
    let path = write(dir.path(), "t.parquet", &batch(vec![("a", gaps), ("b", reals(&[2.0, 4.0, f64::NAN]))]));
    let mut input = Input::of(Some(&path));
    let error = refused(&input);
    assert!(error.contains("row 2, column \"a\"") && error.contains("--missing drop"), "{error}");
    input.missing = Missing::Drop;
    assert_eq!(input.open(Role::Fit).unwrap().frames.all().unwrap().values, [1.0, 2.0]);
    input.missing = Missing::Mean;
    assert_eq!(input.open(Role::Fit).unwrap().frames.all().unwrap().values, [1.0, 2.0, 3.0, 4.0, 5.0, 3.0]);
}

fn fixed(values: ArrayRef, size: i32) -> FixedSizeListArray {
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    FixedSizeListArray::try_new(field, size, values, None).unwrap()
}

fn bytes(values: &[u8]) -> ArrayRef {
    Arc::new(UInt8Array::from(values.to_vec()))
}

/// Two pictures of 1x2x3 in every way to nest lists, and as rows.
#[test]
fn lists_of_one_length_are_frames() {
    let dir = TempDir::new().unwrap();
    let pixels: Vec<u8> = (0..12).map(|v| v * 20).collect();
    let shares: Vec<f32> = pixels.iter().map(|v| f32::from(*v) / 255.0).collect();
    let rows = fixed(bytes(&pixels), 3);
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<UInt8Type, _, _>(
        pixels.chunks(6).map(|c| Some(c.iter().map(|v| Some(*v)))),
    ));
    let deep: ArrayRef = Arc::new(fixed(Arc::new(rows), 2));
    let y: ArrayRef = Arc::new(Int64Array::from(vec![7, 3]));
    for format in FORMATS {
        let path =
            write(dir.path(), &format!("l.{format}"), &batch(vec![("image", deep.clone()), ("label", y.clone())]));
        let set = open(&path);
        assert_eq!((set.frames.shape.to_string().as_str(), set.taken.kind), ("1x2x3", FrameKind::Image), "{format}");
        assert_eq!((set.frames.all().unwrap().values, set.frames.labels), (shares.clone(), Some(vec![7, 3])));
        assert!(set.taken.to_string().contains("u8 [2, 2, 3] as nhw"), "{}", set.taken);
        let path =
            write(dir.path(), &format!("flat.{format}"), &batch(vec![("image", lists.clone()), ("id", y.clone())]));
        let set = open(&path);
        assert_eq!((set.taken.kind, set.frames.all().unwrap().values[1]), (FrameKind::Features, 20.0));
        assert!(set.taken.to_string().contains("columns left out, beside the frames: \"id\""), "{}", set.taken);
        let input = Input { layout: Some("nhw:2x3".parse().unwrap()), ..Input::of(Some(&path)) };
        assert_eq!(input.open(Role::Fit).unwrap().frames.all().unwrap().values, shares);
    }
    // Unequal, null, and several.
    let ragged =
        LargeListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), Some(2)]), Some(vec![Some(3)])]);
    let path = write(dir.path(), "ragged.parquet", &batch(vec![("x", Arc::new(ragged))]));
    assert!(refused(&Input::of(Some(&path))).contains("row 2: a list of 1, expected 2 as in the first row"));
    let gaps = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![Some(3), Some(4)]),
    ]);
    let path = write(dir.path(), "gaps.arrow", &batch(vec![("x", Arc::new(gaps))]));
    let mut input = Input::of(Some(&path));
    assert!(refused(&input).contains("row 2: null, expected a list"));
    input.missing = Missing::Drop;
    assert_eq!(input.open(Role::Fit).unwrap().frames.all().unwrap().values, [3.0, 4.0]);
    let path = write(dir.path(), "two.arrow", &batch(vec![("left", lists.clone()), ("right", lists.clone())]));
    assert!(refused(&Input::of(Some(&path))).contains("\"left\", \"right\" hold lists: say --array NAME"));
    let input = Input { array: Some("right".into()), ..Input::of(Some(&path)) };
    assert_eq!(input.open(Role::Fit).unwrap().frames.len(), 2);
}

#[test]
fn tensors_have_the_shape_that_their_file_says() {
    let dir = TempDir::new().unwrap();
    let values: Vec<u8> = (0..24).collect();
    let list = fixed(bytes(&values), 12);
    let tensor = |metadata: &str| {
        let name = "ARROW:extension:name".to_owned();
        let metadata = [
            (name, "arrow.fixed_shape_tensor".to_owned()),
            ("ARROW:extension:metadata".to_owned(), metadata.to_owned()),
        ];
        let field = Field::new("picture", list.data_type().clone(), false).with_metadata(HashMap::from(metadata));
        RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(list.clone())]).unwrap()
    };
    for format in FORMATS {
        let path = write(dir.path(), &format!("t.{format}"), &tensor(r#"{"shape":[2,2,3],"dim_names":["H","W","C"]}"#));
        let set = open(&path);
        assert_eq!(set.frames.shape.to_string(), "3x2x2", "{format}");
        // Channel 1 of the first frame, and red of its last pixel.
        assert_eq!(
            [set.frames.all().unwrap().frame(0)[4], set.frames.all().unwrap().frame(0)[3]],
            [1.0 / 255.0, 9.0 / 255.0]
        );
    }
    // As stored 3x4, as meant 4x3.
    let path = write(dir.path(), "turned.arrow", &tensor(r#"{"shape":[3,4],"permutation":[1,0]}"#));
    let set = open(&path);
    assert_eq!((set.frames.shape.to_string().as_str(), set.frames.all().unwrap().frame(0)[1]), ("1x4x3", 4.0 / 255.0));
    for wrong in [r#"{"shape":[5,5]}"#, r#"{"shape":[3,4],"permutation":[0,0]}"#, "{}", ""] {
        let path = write(dir.path(), "wrong.arrow", &tensor(wrong));
        assert!(refused(&Input::of(Some(&path))).contains("shape"), "{wrong}");
    }
}

#[test]
fn damaged_files_are_refused() {
    let dir = TempDir::new().unwrap();
    for format in FORMATS {
        let path = write(dir.path(), &format!("t.{format}"), &table());
        let whole = std::fs::read(&path).unwrap();
        for length in (8..whole.len() - 8).step_by(whole.len() / 23) {
            std::fs::write(&path, &whole[..length]).unwrap();
            let error = refused(&Input::of(Some(&path)));
            assert!(error.contains(&format!("t.{format}")), "{error}");
        }
    }
    let none = batch(vec![("a", reals(&[]))]);
    assert!(refused(&Input::of(Some(&write(dir.path(), "none.parquet", &none)))).contains("no rows"));
}

/// A length of 2 TB anywhere in a file is no reason to ask for the memory.
#[test]
fn what_a_file_claims_is_not_believed() {
    let dir = TempDir::new().unwrap();
    let (mut unbelieved, mut unpacked) = (0, 0);
    let path = dir.path().join("packed.arrow");
    let mut packed = Vec::new();
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD)).unwrap();
    let long = batch(vec![("a", reals(&[1.5; 4000])), ("b", reals(&[-2.0; 4000]))]);
    let mut writer = FileWriter::try_new_with_options(&mut packed, &long.schema(), options).unwrap();
    writer.write(&long).unwrap();
    writer.finish().unwrap();
    std::fs::write(&path, packed).unwrap();
    assert_eq!(Input::of(Some(&path)).open(Role::Fit).unwrap().frames.len(), 4000);
    let plain = FORMATS.map(|format| write(dir.path(), &format!("t.{format}"), &table()));
    for path in plain.iter().chain([&path]) {
        let whole = std::fs::read(path).unwrap();
        for at in (0..whole.len() - 8).step_by(4) {
            let mut damaged = whole.clone();
            damaged[at..at + 8].copy_from_slice(&(1u64 << 41).to_le_bytes());
            std::fs::write(path, damaged).unwrap();
            if let Err(error) = Input::of(Some(path)).open(Role::Fit) {
                let error = error.to_string();
                unpacked += usize::from(error.contains("unpack to"));
                unbelieved +=
                    usize::from(error.contains("more than there is") || error.contains("longer than the rest"));
            }
        }
    }
    assert!(unbelieved > 2 && unpacked > 1, "{unbelieved} {unpacked}");
}

/// U17: columns carried through, and answers in every form, the same in all.
#[test]
fn answers_come_in_every_form_with_the_columns_that_are_kept() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let count = 120i64;
    let side = |n: i64| (n % 2) as f64 * 8.0;
    let data = batch(vec![
        ("id", Arc::new(Int64Array::from_iter_values((0..count).map(|n| 900 + n)))),
        ("time", Arc::new(TimestampMillisecondArray::from_iter_values((0..count).map(|n| n * 1000)))),
        ("x", Arc::new(Float64Array::from_iter_values((0..count).map(|n| side(n) + (n * 37 % 101) as f64 / 101.0)))),
        ("y", Arc::new(Float64Array::from_iter_values((0..count).map(|n| (n * 53 % 103) as f64 / 103.0 - side(n))))),
        ("note", Arc::new(StringArray::from_iter_values((0..count).map(|n| format!("r \"{n}\", ü"))))),
    ]);
    let path = write(dir.path(), "d.parquet", &data).display().to_string();
    let fit = ["fit", "--data", &path, "--columns", "x,y", "--out", &at("run")];
    let output = trainer(&[&fit[..], &SMALL].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer = |out: &str| {
        let out = at(out);
        stdout(&["predict", &at("run"), "--data", &path, "--keep", "id,time,note", "--out", &out]);
        std::fs::read(out).unwrap()
    };
    let csv = String::from_utf8(answer("a.csv")).unwrap();
    let rows = columns(&csv, &["id", "time", "note", "cluster", "novelty", "novelty_threshold", "is_novel"]);
    assert_eq!(rows.len(), count as usize);
    assert_eq!(rows[3][..3], ["903", "1970-01-01T00:00:03", "r \"3\", ü"]);
    let number = |text: &str| text.parse::<f32>().unwrap();
    assert!(rows.iter().all(|row| (number(&row[4]) > number(&row[5])).to_string() == row[6]));
    let lines = String::from_utf8(answer("a.jsonl")).unwrap();
    let typed = |name: &str| -> RecordBatch {
        let bytes = answer(name);
        if name.ends_with(".arrow") {
            let mut reader = arrow_ipc::reader::FileReader::try_new(std::io::Cursor::new(bytes), None).unwrap();
            return reader.next().unwrap().unwrap();
        }
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap().build().unwrap();
        reader.next().unwrap().unwrap()
    };
    for batch in [typed("a.parquet"), typed("a.arrow")] {
        let column = |name: &str| batch.column_by_name(name).unwrap().clone();
        assert_eq!(column("time").data_type(), data.column(1).data_type());
        assert!(column("id").as_primitive::<Int64Type>() == data.column(0).as_primitive::<Int64Type>());
        for (n, (row, line)) in rows.iter().zip(lines.lines()).enumerate() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let cluster = column("cluster").as_primitive::<UInt32Type>().value(n);
            let novelty = column("novelty").as_primitive::<Float32Type>().value(n);
            assert_eq!((cluster.to_string(), novelty), (row[3].clone(), number(&row[4])));
            assert_eq!(line["cluster"].as_u64(), Some(u64::from(cluster)));
            assert_eq!(line["novelty"].as_f64().map(|v| v as f32), Some(novelty));
            assert_eq!((line["note"].as_str(), line["is_novel"].to_string()), (Some(&*row[2]), row[6].clone()));
        }
    }
    let predict = |more: &[&str]| {
        [&["predict", &at("run"), "--data", &path][..], more]
            .concat()
            .iter()
            .map(|w| (*w).to_owned())
            .collect::<Vec<_>>()
    };
    let fails = |more: &[&str], code, message| {
        fails(&predict(more).iter().map(String::as_str).collect::<Vec<_>>(), code, message)
    };
    fails(&["--out", "a.xlsx"], 2, ".xlsx is not written; .csv, .tsv, .jsonl, .parquet and .arrow are");
    fails(&["--keep", "nothing"], 3, "no column \"nothing\"; there are id, time, x, y, note");
}

/// A model of frames from Parquet takes the same frames from .npy, and the other way around.
#[test]
fn a_model_knows_its_frames_in_another_format() {
    let dir = TempDir::new().unwrap();
    let deep: Vec<u16> = (0..24).collect();
    let column: ArrayRef = Arc::new(fixed(Arc::new(UInt16Array::from(deep)), 12));
    let path = write(dir.path(), "d.parquet", &batch(vec![("signal", column)]));
    let shape = FrameShape { channels: 3, height: 1, width: 4 };
    let known = Expected { shape: Some(shape), kind: Some(FrameKind::Window), ..Expected::default() };
    let set = Input::of(Some(&path)).open_for(Role::Score, &known).unwrap();
    assert_eq!((set.frames.shape, set.frames.all().unwrap().values[11]), (shape, 11.0));
}

/// Pictures as files in a column, as data sets are passed around with them.
#[test]
fn pictures_may_lie_in_a_column() {
    let dir = TempDir::new().unwrap();
    let file = |level: u8| {
        let mut out = std::io::Cursor::new(Vec::new());
        let picture = image::GrayImage::from_fn(3, 2, |x, _| image::Luma([level + x as u8]));
        picture.write_to(&mut out, image::ImageFormat::Png).unwrap();
        out.into_inner()
    };
    let files: ArrayRef = Arc::new(BinaryArray::from_iter_values([file(10), file(20)]));
    let inside = StructArray::from(vec![(Arc::new(Field::new("bytes", DataType::Binary, true)), files.clone())]);
    let y: ArrayRef = Arc::new(Int64Array::from(vec![7, 3]));
    for column in [files, Arc::new(inside)] {
        let path = write(dir.path(), "p.parquet", &batch(vec![("image", column), ("label", y.clone())]));
        let set = open(&path);
        assert_eq!((set.frames.shape.to_string().as_str(), set.taken.kind), ("1x2x3", FrameKind::Image));
        assert_eq!((set.frames.all().unwrap().frame(1)[2], set.frames.labels), (22.0 / 255.0, Some(vec![7, 3])));
    }
    let broken: ArrayRef = Arc::new(BinaryArray::from_iter_values([file(10), file(20)[..30].to_vec()]));
    let path = write(dir.path(), "b.arrow", &batch(vec![("image", broken)]));
    assert!(refused(&Input::of(Some(&path))).contains("row 2, column \"image\""));
}
