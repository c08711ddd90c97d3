//! `trainer gmm`: tables in f64, labels, weights, the number of components, saved mixtures.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

#[path = "../common/command.rs"]
#[expect(dead_code, reason = "what only models need")]
mod command;

use std::path::Path;

use command::{fails, stdout, trainer};
use npyz::WriterBuilder;
use serde_json::Value;
use tempfile::TempDir;

const FAITHFUL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/faithful.csv");

/// Three clusters of 40 rows, `unit` wide and eight units apart in both columns, from `offset` on.
fn rows(offset: f64, unit: f64) -> Vec<[f64; 2]> {
    let place = |i: usize, prime: usize| (i * 37 % prime) as f64 / prime as f64 + 8.0 * (i % 3) as f64;
    (0..120).map(|i| [offset + unit * place(i, 101), offset - unit * place(i, 103)]).collect()
}

/// The rows with their cluster as `kind`, and how often they count as `pieces`.
fn write_rows(path: &Path, rows: &[[f64; 2]], weight: impl Fn(usize) -> usize) {
    let mut text = String::from("x,kind,pieces,y\n");
    for (i, [x, y]) in rows.iter().enumerate() {
        text.push_str(&format!("{x:.9},{},{},{y:.9}\n", ["a", "b", "c"][i % 3], weight(i)));
    }
    std::fs::write(path, text).unwrap();
}

fn write_npy<T: npyz::AutoSerialize + Copy>(path: &Path, shape: &[u64], values: &[T]) {
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(shape).writer(&mut bytes).begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&stdout(&[&["gmm", "--json"], arguments].concat())).unwrap()
}

#[test]
fn a_table_keeps_every_digit_of_its_numbers() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let of = |data: &str| json(&["--data", data, "--components", "3", "--covariance", "diagonal"]);
    let get = |report: &Value, name: &str| report[name].as_f64().unwrap();
    let near = rows(0.0, 1.0);
    write_npy(Path::new(&at("near.npy")), &[120, 2], near.as_flattened());
    let expected = get(&of(&at("near.npy")), "log_likelihood");
    // Time stamps with differences of a millisecond, and an offset that f32 cannot tell from its neighbours.
    for (offset, unit) in [(1.7e9, 1e-3), (1e8, 1.0)] {
        let far = rows(offset, unit);
        write_npy(Path::new(&at("far.npy")), &[120, 2], far.as_flattened());
        write_rows(Path::new(&at("far.csv")), &far, |_| 1);
        let csv = ["--data", &at("far.csv"), "--components", "3", "--covariance", "diagonal", "--weight", "pieces"];
        let csv = json(&[&csv[..], &["--label", "kind"]].concat());
        for report in [of(&at("far.npy")), csv.clone()] {
            let found = get(&report, "log_likelihood") + 240.0 * unit.ln();
            assert!((found - expected).abs() < 1e-2, "{offset}: {found}, expected {expected}");
            assert!(
                report["weights"].as_array().unwrap().iter().all(|w| (w.as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9)
            );
        }
        assert_eq!((csv["scores"]["acc"].as_f64(), csv["scores"]["n"].as_f64()), (Some(1.0), Some(120.0)), "{csv}");
    }
    // Bytes and f32 are the numbers that they are.
    let bytes: Vec<u8> = near.as_flattened().iter().map(|v| (4.0 * v + 100.0) as u8).collect();
    write_npy(Path::new(&at("bytes.npy")), &[120, 2], &bytes);
    let floats: Vec<f32> = bytes.iter().map(|b| f32::from(*b)).collect();
    write_npy(Path::new(&at("floats.npy")), &[120, 2], &floats);
    let one = |name: &str| json(&["--data", &at(name), "--components", "1"]);
    let mean = bytes.iter().step_by(2).map(|b| f64::from(*b)).sum::<f64>() / 120.0;
    assert_eq!(one("bytes.npy"), one("floats.npy"));
    assert!((one("bytes.npy")["means"][0][0].as_f64().unwrap() - mean).abs() < 1e-9);
}

/// mclust's model EEE on Old Faithful: three components, log-likelihood -1126.326, 11 parameters, BIC 2314.316.
#[test]
fn the_number_of_components_is_that_of_the_least_bic() {
    let arguments = ["--data", FAITHFUL, "--covariance", "tied", "--tol", "1e-9", "--max-iter", "5000", "--components"];
    let report = json(&[&arguments[..], &["1..9"]].concat());
    assert_eq!((report["components"].as_u64(), report["parameters"].as_u64()), (Some(3), Some(11)), "{report}");
    assert!((report["log_likelihood"].as_f64().unwrap() + 1126.326).abs() < 0.03, "{report}");
    assert!((report["bic"].as_f64().unwrap() - 2314.316).abs() < 0.05, "{report}");
    let candidates = report["candidates"].as_array().unwrap();
    assert_eq!(candidates.len(), 9);
    let bic = |k: usize| candidates[k - 1]["bic"].as_f64().unwrap();
    assert!((1..=9).all(|k| candidates[k - 1]["components"] == k && bic(k) >= bic(3)));
    // Asked for alone, a number gets the same mixture.
    let alone = json(&[&arguments[..], &["3"]].concat());
    assert!(alone["means"] == report["means"] && alone.get("candidates").is_none());
    let text = stdout(&[&["gmm"], &arguments[..], &["1..9"]].concat());
    assert!(text.contains("least BIC: K = 3") && text.lines().count() > 10, "{text}");
}

#[test]
fn a_weight_is_as_many_rows_and_labels_only_score() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let rows = rows(5.0, 1.0);
    let weight = |i: usize| i % 4;
    write_rows(Path::new(&at("weighted.csv")), &rows, weight);
    let repeated: Vec<[f64; 2]> = rows.iter().enumerate().flat_map(|(i, row)| vec![*row; weight(i)]).collect();
    let mut text = String::from("x,y\n");
    repeated.iter().for_each(|[x, y]| text.push_str(&format!("{x:.9},{y:.9}\n")));
    std::fs::write(at("repeated.csv"), text).unwrap();
    let of = |more: &[&str]| json(&[&["--components", "3", "--tol", "1e-12", "--data"], more].concat());
    let (weighted, repeated) =
        (of(&[&at("weighted.csv"), "--weight", "pieces", "--label", "kind"]), of(&[&at("repeated.csv")]));
    let get = |report: &Value, name: &str| report[name].as_f64().unwrap();
    for name in ["log_likelihood", "bic", "aic"] {
        let (found, expected) = (get(&weighted, name), get(&repeated, name));
        assert!((found - expected).abs() < 1e-6 * expected.abs(), "{name}: {found}, expected {expected}");
    }
    assert_eq!(weighted["scores"]["acc"], 1.0);
    assert!(repeated.get("scores").is_none());

    let data = at("weighted.csv");
    fails(&["gmm", "--components", "2", "--data", &data], 3, "field 2: \"a\", expected a number");
    fails(
        &["gmm", "--components", "2", "--data", &data, "--label", "sort"],
        3,
        "no column \"sort\"; there are x, kind",
    );
    fails(&["gmm", "--components", "2", "--data", &data, "--weight", "y", "--label", "kind"], 3, "expected 0 or more");
    fails(&["gmm", "--components", "2", "--data", &data, "--weight", "kind", "--label", "kind"], 3, "cannot be both");
    std::fs::write(at("bare.csv"), "1,2\n3,4\n").unwrap();
    fails(&["gmm", "--components", "1", "--data", &at("bare.csv"), "--label", "a"], 3, "no header line");
    write_npy(Path::new(&at("bare.npy")), &[2, 1], &[1.0, 2.0]);
    fails(
        &["gmm", "--components", "1", "--data", &at("bare.npy"), "--weight", "a"],
        3,
        "only a table names its columns",
    );
}

#[test]
fn a_saved_mixture_assigns_other_rows() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, model, out) = (at("data.csv"), at("mixture.json"), at("clusters.csv"));
    write_rows(Path::new(&data), &rows(1.7e9, 1e-3), |_| 1);
    let columns = ["--data", &data, "--label", "kind", "--weight", "pieces"];
    let fitted = json(&[&columns[..], &["--components", "3", "--covariance", "tied", "--out", &model]].concat());
    let applied = json(&[&columns[..], &["--model", &model, "--assign", &out]].concat());
    for name in ["counts", "scores", "covariance"] {
        assert_eq!((name, &fitted[name]), (name, &applied[name]));
    }
    for pointer in ["/means/0/1", "/means/2/0", "/covariances/1/0/1", "/weights/2"] {
        let [a, b] = [&fitted, &applied].map(|report| report.pointer(pointer).unwrap().as_f64().unwrap());
        assert!((a - b).abs() <= 1e-12 * a.abs(), "{pointer}: {a} {b}");
    }
    let log_likelihood = |report: &Value| report["log_likelihood"].as_f64().unwrap();
    assert!((log_likelihood(&fitted) - log_likelihood(&applied)).abs() < 1e-6);
    assert!(applied.get("bic").is_none());

    let mut reader = csv::Reader::from_path(&out).unwrap();
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(header, ["index", "cluster", "log_density", "p_0", "p_1", "p_2"]);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let number = |row: &csv::StringRecord, i: usize| row[i].parse::<f64>().unwrap();
    assert_eq!(rows.len(), 120);
    let sum: f64 = rows.iter().map(|row| number(row, 2)).sum();
    assert!((sum - log_likelihood(&applied)).abs() < 1e-6);
    for row in &rows {
        let p = [3, 4, 5].map(|i| number(row, i));
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12 && p[number(row, 1) as usize] > 0.99, "{row:?}");
    }

    // Columns are matched by name, whatever their order; what the mixture does not know is left out, and told.
    std::fs::write(at("wide.csv"), "z,y,x\n1,2,3\n").unwrap();
    std::fs::write(at("narrow.csv"), "x,y\n3,2\n").unwrap();
    let [wide, narrow] =
        ["wide.csv", "narrow.csv"].map(|name| trainer(&["gmm", "--model", &model, "--data", &at(name)]));
    assert!(wide.status.success() && wide.stdout == narrow.stdout, "{wide:?} {narrow:?}");
    let told = String::from_utf8_lossy(&wide.stderr);
    assert!(told.contains("left out, not in the model: column \"z\""), "{told}");
    std::fs::write(at("other.csv"), "x,z\n1,2\n").unwrap();
    fails(&["gmm", "--model", &model, "--data", &at("other.csv")], 3, "not here: \"y\"; there are x, z");
    std::fs::write(at("bare.csv"), "7.5,2.5,3\n").unwrap();
    fails(&["gmm", "--model", &model, "--data", &at("bare.csv")], 3, "3 columns, the mixture was fitted to 2: x, y");
    fails(&["gmm", "--model", &data, "--data", &data, "--label", "kind", "--weight", "pieces"], 5, "no model of");
    fails(&["gmm", "--model", &at("none.json"), "--data", &at("other.csv")], 5, "none.json");
    fails(&["gmm", "--model", &model, "--data", &data, "--components", "3"], 2, "cannot be used with");
    fails(&["gmm", "--data", &data], 2, "--components");
}

#[test]
fn degenerate_tables_are_told_or_refused() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let data = at("data.csv");
    let gmm = |more: &[&str]| trainer(&[&["gmm", "--data", &data], more].concat());
    // Two different rows, many times.
    std::fs::write(&data, "1,2\n3,4\n".repeat(20)).unwrap();
    fails(&["gmm", "--data", &data, "--components", "3"], 2, "3 components for 2 different rows");
    fails(&["gmm", "--data", &data, "--components", "1..3"], 2, "3 components for 2 different rows");
    let told = gmm(&["--components", "2"]);
    let stderr = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success() && stderr.contains("component 1 has no extent in some direction"), "{stderr}");
    fails(&["gmm", "--data", &data, "--components", "2", "--reg-covar", "0"], 2, "singular");
    assert!(gmm(&["--components", "2", "--estimator", "map"]).status.success());
    // A constant column beside two clusters.
    let rows: String = (0..40).map(|i| format!("{},7\n", i % 10 + 100 * (i % 2))).collect();
    std::fs::write(&data, format!("x,z\n{rows}")).unwrap();
    for covariance in ["full", "tied", "diagonal", "isotropic"] {
        let told = gmm(&["--components", "2", "--covariance", covariance, "--json"]);
        let stderr = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success() && stderr.contains("column \"z\" is constant"), "{covariance}: {stderr}");
        let report: Value = serde_json::from_slice(&told.stdout).unwrap();
        assert!(report["weights"].as_array().unwrap().iter().all(|w| (w.as_f64().unwrap() - 0.5).abs() < 1e-6));
        assert!((report["means"][1][1].as_f64().unwrap() - 7.0).abs() < 1e-9);
    }
    for wrong in ["0", "0..3", "5..2", "x", "1..y"] {
        fails(&["gmm", "--data", &data, "--components", wrong], 2, "expected");
    }
}
