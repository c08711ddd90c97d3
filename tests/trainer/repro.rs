//! The smallest inputs that once failed, made here and given to the program as a new user would: each gets the right
//! answer. The page beside the tests says which row of them has its test elsewhere.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/answers.rs"]
mod answers;
#[path = "../common/command.rs"]
mod command;
#[path = "../common/npy.rs"]
mod npy;

use std::io::Write;
use std::path::Path;

use answers::columns;
use command::{SMALL, fails, stdout, trainer, write_csv};
use npy::npy;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use tempfile::TempDir;

const QUICK: [&str; 10] = [
    "--device",
    "cpu",
    "--set",
    "clusters=3",
    "--set",
    "pretrain.starts=1",
    "--set",
    "pretrain.steps=300",
    "--set",
    "refine.steps=300",
];

/// A folder of inputs and of what comes of them.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        self.at(name)
    }

    /// An array of f32 `[N,F]`.
    fn rows(&self, name: &str, rows: &[Vec<f64>]) -> String {
        let bytes: Vec<u8> = rows.iter().flatten().flat_map(|v| (*v as f32).to_le_bytes()).collect();
        self.write(name, npy("<f4", false, &[rows.len(), rows[0].len()], &bytes))
    }

    /// Fits a table in seconds; what is told.
    fn fit(&self, data: &str, run: &str, more: &[&str]) -> String {
        let output = trainer(&[&["fit", "--data", data, "--out", &self.at(run)][..], &QUICK, more].concat());
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{data}: {told}");
        told
    }

    /// The cluster and the word on novelty of every frame.
    fn answers(&self, run: &str, data: &str) -> Vec<Vec<String>> {
        columns(&stdout(&["predict", &self.at(run), "--data", data]), &["cluster", "is_novel"])
    }

    /// Share of frames that lie in the cluster of the most of their kind, where no two kinds share a cluster; else 0.
    fn accuracy(&self, run: &str, data: &str, kinds: &[usize]) -> f64 {
        let found: Vec<usize> = self.answers(run, data).iter().map(|row| row[0].parse().unwrap()).collect();
        assert_eq!(found.len(), kinds.len());
        let count = |kind, cluster| found.iter().zip(kinds).filter(|&(&c, &k)| (c, k) == (cluster, kind)).count();
        let best: Vec<usize> = (0..3).map(|kind| (0..3).max_by_key(|&c| count(kind, c)).unwrap()).collect();
        let distinct = best[0] != best[1] && best[1] != best[2] && best[0] != best[2];
        let right: usize = (0..3).map(|kind| count(kind, best[kind])).sum();
        if distinct { right as f64 / kinds.len() as f64 } else { 0.0 }
    }
}

/// Three clear kinds in so many columns, one after the other, and the kind of each row.
fn kinds(sizes: [usize; 3], columns: usize, seed: u64) -> (Vec<Vec<f64>>, Vec<usize>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let of: Vec<usize> = sizes.iter().enumerate().flat_map(|(kind, &size)| vec![kind; size]).collect();
    let mut value = |kind: usize| 3.0 * kind as f64 - 3.0 + 0.3 * rng.sample::<f64, _>(StandardNormal);
    (of.iter().map(|&kind| (0..columns).map(|_| value(kind)).collect()).collect(), of)
}

fn mapped(rows: &[Vec<f64>], of: impl Fn(f64) -> f64) -> Vec<Vec<f64>> {
    rows.iter().map(|row| row.iter().map(|&v| of(v)).collect()).collect()
}

/// F1, F2: units and offsets change no cluster, and a constant column that is a thousandth off is no other cluster.
#[test]
fn units_offsets_and_constants_change_no_cluster() {
    let folder = Folder::new();
    let (rows, of) = kinds([200; 3], 4, 0);
    for (name, scale, offset) in [("a", 0.005, 1.5), ("b", 0.005, 0.5), ("c", 1.0, 0.0), ("tiny", 1e-9, 0.0)] {
        let data = folder.rows(&format!("{name}.npy"), &mapped(&rows, |v| v * scale + offset));
        folder.fit(&data, name, &[]);
        assert_eq!(folder.accuracy(name, &data, &of), 1.0, "{name}");
    }
    let with = |constant: f64| -> Vec<Vec<f64>> { rows.iter().map(|row| [&row[..], &[constant]].concat()).collect() };
    let (then, later) = (folder.rows("then.npy", &with(5.0)), folder.rows("later.npy", &with(5.001)));
    folder.fit(&then, "k", &[]);
    stdout(&["export", &folder.at("k"), "--out", &folder.at("k/export")]);
    for model in ["k", "k/export/model.onnx"] {
        assert_eq!(folder.accuracy(model, &later, &of), 1.0, "{model}");
        let clusters =
            |data: &str| folder.answers(model, data).into_iter().map(|row| row[0].clone()).collect::<Vec<_>>();
        assert_eq!(clusters(&then), clusters(&later));
    }
}

/// F3: alarms from few held-out frames are told to be more than what was asked for, and are not more than told.
#[test]
fn a_threshold_from_few_frames_is_told_for_what_it_is() {
    let folder = Folder::new();
    let data = folder.rows("few.npy", &kinds([20; 3], 4, 1).0);
    let told = folder.fit(&data, "few", &[]);
    let health = told.lines().find(|line| line.contains("novelty threshold from")).unwrap();
    let percent = health.split(" % false alarms").next().unwrap().rsplit(' ').next().unwrap();
    let promised: f64 = percent.parse().unwrap();
    assert!(promised > 1.0, "{health}");
    stdout(&["export", &folder.at("few"), "--out", &folder.at("export")]);
    let card = std::fs::read_to_string(folder.at("export/MODEL_CARD.md")).unwrap();
    assert!(card.contains(percent), "{card}");
    let many = folder.rows("many.npy", &kinds([1000; 3], 4, 2).0);
    let novel = folder.answers("few", &many).iter().filter(|row| row[1] == "true").count();
    // The promise is a mean over draws of the held-out frames; one draw may be several times as much.
    assert!(novel as f64 / 30.0 < 4.0 * promised, "{novel} of 3000, promised {promised} %");
}

/// F4, F5, F7, F16: tables of `gmm`, whose log-likelihood is that of one Gaussian by hand.
#[test]
fn tables_are_what_they_look_like() {
    let folder = Folder::new();
    let gmm = |data: &str, more: &[&str]| -> serde_json::Value {
        serde_json::from_str(&stdout(&[&["gmm", "--data", data, "--json"][..], more].concat())).unwrap()
    };
    // Seconds since 1970 in f64: three components of a third each.
    let rows = kinds([200; 3], 4, 0).0;
    let bytes: Vec<u8> = rows.iter().flatten().flat_map(|v| (v * 1e-3 + 1.7e9).to_le_bytes()).collect();
    let data = folder.write("seconds.npy", npy("<f8", false, &[600, 4], &bytes));
    let found = gmm(&data, &["--components", "3", "--covariance", "diagonal"]);
    for weight in found["weights"].as_array().unwrap() {
        assert!((weight.as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-6, "{found}");
    }
    // The header that pandas writes, and its index.
    for (name, text) in
        [("header.csv", "0,1\n5.1,3.5\n4.9,3.0\n5.0,3.4\n"), ("index.csv", ",x,y\n0,5.1,3.5\n1,4.9,3.0\n2,5.0,3.4\n")]
    {
        let found = gmm(&folder.write(name, text), &["--components", "1", "--covariance", "diagonal"]);
        let means: Vec<f64> = found["means"][0].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        assert_eq!(means.len(), 2, "{name}: {found}");
        assert!((means[0] - 5.0).abs() < 1e-9 && (means[1] - 3.3).abs() < 1e-9, "{name}: {found}");
    }
    // Doubles keep what singles cannot hold.
    let big = folder.write("big.csv", "x\n1e39\n2\n");
    assert!(trainer(&["gmm", "--data", &big, "--components", "1"]).status.success());
    fails(&["inspect", &big], 3, "1e39");
    let floats: Vec<u8> = [&[0, 0, 0x0d, 3][..], &[2u32, 2, 2].map(u32::to_be_bytes).concat(), &[0; 32]].concat();
    let idx = folder.write("f-idx3", floats);
    assert!(stdout(&["inspect", &idx]).starts_with("2 frames of 1x2x2"));
}

/// F10, through the command line: shapes in the alpha alone, a cut JPEG, hidden files, half of them BMP.
#[test]
fn pictures_of_a_folder_are_whole_told_or_refused() {
    let folder = Folder::new();
    let shade = |x: u32, y: u32, k: u32| ((x + (y + k) % 16) * 8) as u8;
    let grey = |k: u32| image::GrayImage::from_fn(16, 16, |x, y| image::Luma([shade(x, y, k)]));
    for name in ["alpha", "cut", "hidden/0", "hidden/.ipynb_checkpoints", "mac", "half"] {
        std::fs::create_dir_all(folder.at(name)).unwrap();
    }
    for k in 0..6 {
        let clear = image::RgbaImage::from_fn(16, 16, |x, y| image::Rgba([0, 0, 0, shade(x, y, k)]));
        clear.save(folder.at(&format!("alpha/{k}.png"))).unwrap();
        let noise = image::GrayImage::from_fn(64, 64, |x, y| image::Luma([(x * 91 + y * y * 37 + x * y * k) as u8]));
        noise.save(folder.at(&format!("cut/{k}.jpg"))).unwrap();
        for place in ["hidden/0", "mac"] {
            grey(k).save(folder.at(&format!("{place}/{k}.png"))).unwrap();
        }
        grey(k).save(folder.at(&format!("half/{k}.{}", ["png", "bmp"][k as usize % 2]))).unwrap();
    }
    let cut = folder.at("cut/3.jpg");
    let bytes = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() * 2 / 3]).unwrap();
    grey(0).save(folder.at("hidden/.ipynb_checkpoints/0.png")).unwrap();
    folder.write("mac/._0.png", [&[0, 5, 22, 7][..], &[0; 160]].concat());
    let inspect = |name: &str| -> serde_json::Value {
        serde_json::from_str(&stdout(&["inspect", &folder.at(name), "--json"])).unwrap()
    };
    for name in ["alpha", "hidden", "mac", "half"] {
        let found = inspect(name);
        assert_eq!(found["frames"], 6, "{name}: {found}");
        assert!(found["taken"].as_str().unwrap().contains("x16x16 taken as images"), "{name}: {found}");
    }
    // What is clear shows the background, so that a shape that is in the alpha alone is seen.
    assert!(inspect("alpha")["spreads"][0]["deviation"].as_f64().unwrap() > 0.05);
    fails(&["inspect", &folder.at("cut")], 3, "3.jpg");
}

/// F11, F12: axes of other programs, and labels that a fit never uses.
#[test]
fn arrays_of_other_programs_are_read_or_asked_for() {
    let folder = Folder::new();
    let zeros = |sizes: &[usize]| -> Vec<u8> { (0..sizes.iter().product()).map(|n: usize| (n % 251) as u8).collect() };
    for (sizes, taken) in [
        (&[40, 28, 28, 1][..], "40 frames of 1x28x28 taken as images"),
        (&[40, 32, 32, 3], "40 frames of 3x32x32 taken as images"),
    ] {
        let data = folder.write("u8.npy", npy("|u1", false, sizes, &zeros(sizes)));
        let said = stdout(&["inspect", &data]);
        assert!(said.starts_with(taken), "{said}");
    }
    let sizes = [40, 1, 1, 50];
    let data = folder.write("asked.npy", npy("|u1", false, &sizes, &zeros(&sizes)));
    fails(&["inspect", &data], 3, "--layout");

    let (rows, of) = kinds([200; 3], 4, 0);
    let values: Vec<u8> = rows.iter().flatten().flat_map(|v| (*v as f32).to_le_bytes()).collect();
    let letters: Vec<u8> = of.iter().flat_map(|&kind| [b'a' + kind as u8, 0, 0, 0]).collect();
    let shorts: Vec<u8> = of.iter().flat_map(|&kind| (kind as u16).to_le_bytes()).collect();
    for (name, labels) in [("text", npy("<U1", false, &[600], &letters)), ("u16", npy("<u2", false, &[600], &shorts))] {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (member, bytes) in [("x.npy", npy("<f4", false, &[600, 4], &values)), ("y.npy", labels)] {
            archive.start_file(member, zip::write::FileOptions::default()).unwrap();
            archive.write_all(&bytes).unwrap();
        }
        let data = folder.write(&format!("{name}.npz"), archive.finish().unwrap().into_inner());
        assert!(folder.fit(&data, name, &[]).contains("3 classes, only score"));
        let scores: serde_json::Value =
            serde_json::from_str(&stdout(&["eval", &folder.at(name), "--data", &data, "--samples", "1", "--json"]))
                .unwrap();
        assert_eq!(scores["scores"]["acc"], 1.0, "{scores}");
    }
}

/// F13, F14: a fit that is refused leaves nothing that stands in the way of the next, and frames that are all the same are
/// no clusters.
#[test]
fn a_refused_fit_leaves_nothing() {
    let folder = Folder::new();
    let data = folder.at("few.csv");
    write_csv(Path::new(&data));
    let fit = |data: &str, batch: &str| {
        let batch = format!("pretrain.batch={batch}");
        let fit = ["fit", "--data", data, "--out", &folder.at("run")];
        trainer(&[&fit[..], &SMALL, &["--set", &batch]].concat())
    };
    let refused = fit(&data, "256");
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(matches!(refused.status.code(), Some(2 | 3)) && told.contains("pretrain.batch"), "{told}");
    assert!(!Path::new(&folder.at("run")).exists());
    let zeros = folder.rows("zeros.npy", &vec![vec![0.0; 4]; 600]);
    let refused = fit(&zeros, "64");
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("all 600 frames are the same"));
    assert!(!Path::new(&folder.at("run")).exists());
    let fitted = fit(&data, "32");
    assert!(fitted.status.success(), "{}", String::from_utf8_lossy(&fitted.stderr));
}

/// F15, F17: one column, and kinds that are rare.
#[test]
fn one_column_and_rare_kinds_are_found() {
    let folder = Folder::new();
    for (name, sizes, columns) in [("one", [200; 3], 1), ("tenths", [900, 90, 90], 4), ("fiftieths", [1500, 30, 30], 4)]
    {
        let (rows, of) = kinds(sizes, columns, 0);
        let data = folder.rows(&format!("{name}.npy"), &rows);
        folder.fit(&data, name, &[]);
        assert!(folder.accuracy(name, &data, &of) > 0.99, "{name}");
    }
}

/// F16: a flash image and a run label as the ONNX file does, and frames of another shape are named, not the model.
#[test]
fn every_form_of_a_model_is_taken_and_other_frames_are_named() {
    let folder = Folder::new();
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../models");
    let of = |name: &str| columns(&stdout(&["predict", &format!("{models}/{name}")]), &["cluster"]);
    let expected = of("digits.onnx");
    assert_eq!((of("digits.cvi"), of("digits")), (expected.clone(), expected));
    let data = folder.rows("c.npy", &kinds([2; 3], 4, 0).0);
    let told = trainer(&["predict", &format!("{models}/digits.onnx"), "--data", &data]);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("c.npy") && told.contains("1x1x4") && told.contains("1x28x28"), "{told}");
}

/// F9: what is no file is written through and stays what it was; a link is followed.
#[cfg(unix)]
#[test]
fn a_table_goes_through_pipes_and_links() {
    use std::os::unix::fs::FileTypeExt;
    let folder = Folder::new();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/digits.onnx");
    let (pipe, link, plain) = (folder.at("pipe"), folder.at("link.csv"), folder.at("plain.csv"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::os::unix::fs::symlink("plain.csv", &link).unwrap();
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read(pipe).unwrap()
    });
    stdout(&["predict", model, "--out", &pipe]);
    let through = reader.join().unwrap();
    assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo());
    stdout(&["predict", model, "--out", &link]);
    assert!(Path::new(&link).is_symlink());
    assert!(through == std::fs::read(&plain).unwrap() && through == stdout(&["predict", model]).into_bytes());
}

/// U14, U15: a model that another tool saved again, one of which nothing is known, and runs of other versions.
#[test]
fn files_of_other_tools_and_versions_are_named_for_what_they_are() {
    use prost::Message;
    use tract_onnx::pb::{ModelProto, StringStringEntryProto};
    let folder = Folder::new();
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../models");
    let bytes = std::fs::read(format!("{models}/digits.onnx")).unwrap();
    // As onnx.save writes it after a change: the metadata are there, in order, and one more.
    let mut model = ModelProto::decode(&bytes[..]).unwrap();
    model.metadata_props.push(StringStringEntryProto { key: "owner".into(), value: "someone".into() });
    let resaved = folder.write("resaved.onnx", model.encode_to_vec());
    fails(&["predict", &resaved], 5, "saved again by another program");
    // Its checksum is written anew on request, and it says what it did.
    let (shipped, stamped) = (format!("{models}/digits.onnx"), folder.at("stamped.onnx"));
    let told = stdout(&["stamp", &resaved, "--out", &stamped]);
    assert!(told.contains("written anew") && told.contains("1x28x28, 10 clusters"), "{told}");
    assert!(stdout(&["predict", &stamped]) == stdout(&["predict", &shipped]));
    fails(&["predict", &resaved], 5, "trainer stamp");
    assert!(stdout(&["stamp", &stamped]).contains("nothing is changed"));
    stdout(&["stamp", &resaved]);
    assert!(std::fs::read(&resaved).unwrap() == std::fs::read(&stamped).unwrap());
    // What does not run is not stamped: a graph without its first node.
    let mut broken = model.clone();
    broken.graph.as_mut().unwrap().node.remove(0);
    let broken = folder.write("broken.onnx", broken.encode_to_vec());
    let before = std::fs::read(&broken).unwrap();
    assert_eq!(trainer(&["stamp", &broken]).status.code(), Some(5));
    assert!(std::fs::read(&broken).unwrap() == before);
    // Other versions of the format are named with what to do.
    for (version, mend) in [("1", "export the model anew"), ("9", "update this one")] {
        let mut other = model.clone();
        let key = other.metadata_props.iter_mut().find(|entry| entry.key == "cluster_vae.version").unwrap();
        key.value = version.into();
        let mut bytes = other.encode_to_vec();
        assert!(runtime::onnx::checksum::write(&mut bytes));
        fails(&["predict", &folder.write("version.onnx", bytes)], 5, mend);
    }
    model.metadata_props.retain(|entry| !entry.key.starts_with("cluster_vae."));
    let foreign = folder.write("foreign.onnx", model.encode_to_vec());
    fails(&["predict", &foreign], 5, "no model written by `trainer export`");
    fails(&["stamp", &foreign], 5, "no model of `trainer export`");
    let mut turned = bytes.clone();
    turned[bytes.len() / 2] ^= 1;
    fails(&["predict", &folder.write("turned.onnx", turned)], 5, "is damaged");

    for name in ["config.toml", "weights.bpk", "model.json"] {
        folder.write(&format!("run/{name}"), std::fs::read(format!("{models}/digits/{name}")).unwrap());
    }
    let description = std::fs::read_to_string(folder.at("run/model.json")).unwrap();
    for (version, mend) in [("3", "an older trainer's: fit again"), ("5", "a newer trainer's: update this one")] {
        let other = description.replacen("\"version\": 4", &format!("\"version\": {version}"), 1);
        // Whatever else another version has, or has not.
        for other in [other.clone(), other.replacen("likelihood", "likeliness", 1)] {
            folder.write("run/model.json", other);
            let expected = format!("version {version}, expected 4: it is {mend}");
            fails(&["predict", &folder.at("run")], 5, &expected);
        }
    }
}
