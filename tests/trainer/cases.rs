//! Inputs that people reported to other programs, through the command line: what is told, and what comes out.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/answers.rs"]
mod answers;
#[path = "../common/command.rs"]
mod command;
#[path = "../common/npy.rs"]
mod npy;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use answers::columns;
use command::{SMALL, fails, stdout, trainer, write_csv};
use tempfile::TempDir;

fn stderr(arguments: &[&str]) -> String {
    let output = trainer(arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {text}");
    text
}

/// The rows of the table, in other orders of columns and lines of the same.
fn rewritten(path: &Path, delimiter: &str, order: [usize; 3], header: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        order.map(|place| fields[place]).join(delimiter)
    };
    text.lines().skip(1).map(row).fold(header.to_owned(), |all, row| format!("{all}\n{row}"))
}

/// F16, F7, U18: a run, its ONNX file, its flash image and its folder of exports say the same of a table, in whatever
/// form and order that comes.
#[test]
fn every_form_of_a_model_takes_the_columns_by_their_names() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, run, export) = (at("data.csv"), at("run"), at("export"));
    write_csv(Path::new(&data));
    let told = stderr(&[&["fit", "--data", &data, "--out", &run][..], &SMALL].concat());
    let first = told.lines().next().unwrap();
    assert!(
        first.starts_with("200 frames of 1x1x2 taken as rows of features (a table of commas, a header), columns x, y,")
            && first.ends_with("labels from \"label\", 2 classes, only score"),
        "{told}"
    );
    stdout(&["export", &run, "--out", &export]);
    // R3: what trained is no test.
    assert!(
        stderr(&["eval", &run, "--data", &data, "--samples", "1"]).contains("the frames that the model was fitted to")
    );
    let answer = ["cluster"];
    let expected = columns(&stdout(&["predict", &run, "--data", &data]), &answer);
    assert_eq!(expected.len(), 200);
    let novel = |model: &str| columns(&stdout(&["predict", &at(model), "--data", &data]), &["cluster", "is_novel"]);
    let exported = novel("export/model.onnx");
    assert_eq!(exported.iter().map(|row| &row[..1]).collect::<Vec<_>>(), expected);
    assert_eq!((novel("export/model.cvi"), novel("export")), (exported.clone(), exported));
    // A run counts the decoder in its novelty, and so does what is exported with it.
    stdout(&["export", &run, "--novelty", "decoder", "--out", &at("counting")]);
    assert_eq!((novel("counting/model.onnx"), novel("counting/model.cvi")), (novel("run"), novel("run")));
    // The report calls features by their names.
    stdout(&["report", &run, "--data", &data]);
    let page = std::fs::read_to_string(at("run/report.html")).unwrap();
    for words in ["From left to right: x, y.", "decoded mean: ", "most in the contrast: "] {
        assert!(page.contains(words), "{words}");
    }
    // Other orders, other columns, other ways to write it.
    std::fs::write(at("other.tsv"), rewritten(Path::new(&data), "\t", [2, 1, 0], "extra\ty\tx")).unwrap();
    for model in ["run", "export/model.onnx"] {
        let arguments = ["predict", &at(model), "--data", &at("other.tsv")];
        assert_eq!(columns(&stdout(&arguments), &answer), expected);
        let told = stderr(&arguments);
        assert!(told.contains("left out, not in the model: column \"extra\""), "{told}");
    }
    std::fs::write(at("lacking.csv"), "x,z\n1,2\n").unwrap();
    fails(
        &["predict", &run, "--data", &at("lacking.csv")],
        3,
        "takes columns that are not here: \"y\"; there are x, z",
    );
    // Standard input, gzipped.
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zipped.write_all(&std::fs::read(&data).unwrap()).unwrap();
    let zipped = zipped.finish().unwrap();
    let mut piped = Command::new(env!("CARGO_BIN_EXE_trainer"));
    let mut piped =
        piped.args(["predict", &run, "--data", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    piped.stdin.take().unwrap().write_all(&zipped).unwrap();
    let output = piped.wait_with_output().unwrap();
    assert_eq!(columns(&String::from_utf8(output.stdout).unwrap(), &answer), expected);
    // Words.
    let square = at("square.csv");
    std::fs::write(&square, "a,b,c\n1,2,3\n").unwrap();
    fails(
        &["eval", &at("export/model.cvi"), "--data", &square],
        3,
        "square.csv: frames of shape 1x1x3, the model takes 1x1x2",
    );
    fails(&["predict", &at("nowhere"), "--data", &data], 5, "nowhere");
}

/// F11: what a frame is stands in the settings of the run, where its shape would not say it.
#[test]
fn a_window_of_one_channel_stays_a_window() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let mut text = String::new();
    for n in 0..120 {
        let value = |t: i32| f64::from((t * (1 + n % 2) + n) % 8) / 8.0;
        text.push_str(&format!("{}\n", (0..16).map(|t| value(t).to_string()).collect::<Vec<_>>().join(" ")));
    }
    std::fs::write(at("windows.txt"), text).unwrap();
    let fit = ["fit", "--data", &at("windows.txt"), "--layout", "nt", "--out", &at("run")];
    let output = trainer(&[&fit[..], &SMALL, &["--set", "pretrain.steps=2", "--set", "refine.steps=2"]].concat());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("120 frames of 1x1x16 taken as windows (a table of spaces, no header, as nt)"), "{told}");
    let config = std::fs::read_to_string(dir.path().join("run/config.toml")).unwrap();
    assert!(config.contains("frames = \"window\""), "{config}");
}

#[test]
fn pictures_keep_their_names_in_the_answer() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    std::fs::create_dir(at("digits")).unwrap();
    let frames = trainer::data::digits::all().unwrap();
    for n in [0, 1, 2, 10] {
        let pixels = frames.frame(n).iter().map(|v| (v * 255.0).round() as u8).collect();
        image::GrayImage::from_raw(28, 28, pixels).unwrap().save(at(&format!("digits/{n}.png"))).unwrap();
    }
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/digits.onnx");
    let table = stdout(&["predict", model, "--data", &at("digits")]);
    let files: Vec<Vec<String>> = columns(&table, &["file"]);
    assert_eq!(files.concat(), ["0.png", "1.png", "2.png", "10.png"]);
    let flash = stdout(&["predict", &model.replace(".onnx", ".cvi"), "--data", &at("digits")]);
    let run = stdout(&["predict", &model.replace(".onnx", ""), "--data", &at("digits")]);
    let clusters = |table: &str| columns(table, &["cluster"]);
    assert_eq!((clusters(&table), clusters(&table)), (clusters(&flash), clusters(&run)));
    // One picture, from a pipe as from a file.
    let one = stdout(&["predict", model, "--data", &at("digits/2.png")]);
    assert_eq!(clusters(&one)[0], clusters(&table)[2]);
}

#[test]
fn inspection_says_what_is_taken_for_what() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(at("a.csv"), "id;grösse;species\n1;1,5;ant\n2;2,5;cat\n3;9,5;cat\n").unwrap();
    let text = stdout(&["inspect", &at("a.csv"), "--html", &at("a.html")]);
    let first = text.lines().next().unwrap();
    assert_eq!(
        first,
        "3 frames of 1x1x1 taken as rows of features (a table of semicolons, decimal commas, a header), columns grösse, \
         values 1.5 to 9.5, kept as they are (fit standardises them); labels from \"species\", 2 classes, only score; \
         column \"id\" left out, it counts or names the rows"
    );
    assert!(text.contains("class cat: 2") && text.contains("4.50000"), "{text}");
    let page = std::fs::read_to_string(at("a.html")).unwrap();
    assert!(page.contains("data:image/png;base64,") && page.contains("taken as rows of features"));
    let json: serde_json::Value = serde_json::from_str(&stdout(&["inspect", &at("a.csv"), "--json"])).unwrap();
    assert_eq!((json["frames"].as_u64(), json["classes"][1]["name"].as_str()), (Some(3), Some("cat")));
    // mean 4.5, deviation of 1.5, 2.5, 9.5 about it.
    let deviation = ((9.0f64 + 4.0 + 25.0) / 3.0).sqrt();
    assert!((json["spreads"][0]["deviation"].as_f64().unwrap() - deviation).abs() < 1e-6, "{json}");
    assert!(stdout(&["inspect"]).starts_with("8,000 frames of 1x28x28 taken as images (the digits in the program"));
    fails(&["inspect", &at("none.csv")], 3, "none.csv");
}

/// What was said of the frames at fit holds for later ones, in the run and in the ONNX file; what speaks against it is
/// refused.
#[test]
fn a_model_reads_later_frames_as_those_that_it_was_fitted_to() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    // Pictures of 10 bits in 16, the frames last, two kinds of 1x4x6.
    let (h, w, count) = (4, 6, 120);
    let value = |y: usize, x: usize, n: usize| {
        if (x < 3) == n.is_multiple_of(2) { 900 + (x * y + n) % 100 } else { (n * x + y) % 90 }
    };
    let of = |n: std::ops::Range<usize>| -> Vec<u8> {
        let places = (0..h).flat_map(|y| {
            (0..w).flat_map({
                let n = n.clone();
                move |x| n.clone().map(move |n| (y, x, n))
            })
        });
        places.flat_map(|(y, x, n)| (value(y, x, n) as u16).to_le_bytes()).collect()
    };
    std::fs::write(at("fit.npy"), npy::npy("<u2", false, &[h, w, count], &of(0..count))).unwrap();
    std::fs::write(at("new.npy"), npy::npy("<u2", false, &[h, w, 9], &of(0..9))).unwrap();
    let fit = ["fit", "--data", &at("fit.npy"), "--layout", "hwn", "--white", "1023", "--out", &at("run")];
    let more = ["--set", "encoder.channels=[]", "--set", "collapse.information=0"];
    let output = trainer(&[&fit[..], &SMALL, &more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    stdout(&["export", &at("run"), "--out", &at("export")]);
    for model in ["run", "export/model.onnx"] {
        let told = stderr(&["predict", &at(model), "--data", &at("new.npy"), "--out", &at("a.csv")]);
        assert!(
            told.contains("9 frames of 1x4x6") && told.contains("as hwn") && told.contains("divided by 1023"),
            "{told}"
        );
        assert!(!told.contains("range:"), "{told}");
        let predict = |more: [&'static str; 2]| {
            [&["predict", &at(model), "--data", &at("new.npy")][..], &more]
                .concat()
                .iter()
                .map(|w| (*w).to_owned())
                .collect::<Vec<_>>()
        };
        let refuses =
            |more, code, message| fails(&predict(more).iter().map(String::as_str).collect::<Vec<_>>(), code, message);
        refuses(["--white", "4095"], 3, "--white 4095: the model was fitted to frames whose white was 1023");
        refuses(["--layout", "ctn"], 3, "--layout ctn makes windows of the frames, the model takes images");
    }
    fails(
        &["predict", &at("export/model.onnx"), "--data", &at("new.npy"), "--device", "gpu"],
        2,
        "engines of files compute on the CPU",
    );
}
