//! The program through its command line: verbs, files, exit codes.

#[path = "../common/command.rs"]
mod command;
#[path = "../common/npy.rs"]
mod npy;

use std::path::Path;
use std::process::Command;

use command::{SMALL, fails, stdout, trainer, write_csv};
use npy::npy;
use tempfile::TempDir;

#[test]
fn fit_export_eval_predict() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, run, onnx, table) = (at("data.csv"), at("run"), at("export/model.onnx"), at("labels.csv"));
    write_csv(Path::new(&data));

    let fit = ["fit", "--data", &data, "--out", &run, "--seed", "3"];
    assert_eq!(stdout(&[&fit[..], &SMALL].concat()).trim(), run);
    let config = std::fs::read_to_string(dir.path().join("run/config.toml")).unwrap();
    assert!(config.contains("seed = 3") && config.contains("clusters = 2") && config.contains("false_alarm_rate"));
    let metrics = std::fs::read_to_string(dir.path().join("run/metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = metrics.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let [.., halves] = &lines[..] else { panic!("{metrics}") };
    let last = lines.iter().rfind(|line| line["epoch"].is_u64()).unwrap();
    assert_eq!(last["stage"], "refine");
    assert_eq!(halves["halves"]["models"], 8);
    for term in ["reconstruction", "alignment", "cluster_kl", "latent_entropy", "elbo", "mutual_information"] {
        assert!(last[term].as_f64().unwrap().is_finite(), "{term}");
    }

    assert_eq!(stdout(&["export", &run, "--out", &at("export")]).trim(), onnx);
    let card = std::fs::read_to_string(dir.path().join("export/MODEL_CARD.md")).unwrap();
    assert!(card.contains("clusters K, latent D | 2, 2"));
    assert!(card.contains("## Limits") && card.contains("evidence lower bound, eq. (6.1), nats |"));

    let eval = |model: &str| -> serde_json::Value {
        serde_json::from_str(&stdout(&["eval", model, "--data", &data, "--json"])).unwrap()
    };
    let (trained, exported) = (eval(&run), eval(&onnx));
    assert_eq!(trained["scores"]["n"], 200);
    assert!(exported["scores"]["acc"].as_f64().unwrap() > 0.99, "{exported}");
    let bound = &trained["bound"];
    let term = |name: &str| bound[name].as_f64().unwrap();
    let sum = term("reconstruction") + term("alignment") - term("cluster_kl") + term("latent_entropy");
    assert!((term("elbo") - sum).abs() < 1e-3 * sum.abs().max(1.0));
    assert!(exported.get("bound").is_none());
    let sampled = ["eval", &run, "--data", &data, "--samples", "20", "--json"];
    let sampled: serde_json::Value = serde_json::from_str(&stdout(&sampled)).unwrap();
    let term = |name: &str| sampled["bound"][name].as_f64().unwrap();
    // Summing c out is the best q(c|x,z) there is, and more samples only tighten the bound.
    // Where z alone decides, both are the same number but for the rounding of f32.
    assert!(term("importance_weighted") >= term("marginal_bound"));
    assert!(term("marginal_bound") >= term("nested_bound") - 1e-5 && term("jensen_gap") >= -1e-5);

    stdout(&["predict", &onnx, "--data", &data, "--out", &table]);
    let mut reader = csv::Reader::from_path(&table).unwrap();
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let answers = ["cluster", "confidence", "novelty", "novelty_threshold", "is_novel", "is_outside", "runner_up"];
    assert_eq!(header, [&["index", "label"][..], &answers, &["p_0", "p_1"]].concat());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 200);
    for row in rows {
        assert!(row.iter().all(|field| field.len() < 20), "{row:?}");
        let p: Vec<f64> = [9, 10].map(|i| row[i].parse().unwrap()).to_vec();
        assert!((p[0] + p[1] - 1.0).abs() < 1e-5);
        let cluster: usize = row[2].parse().unwrap();
        assert!((row[3].parse::<f64>().unwrap() - p[cluster]).abs() < 1e-6 && p[cluster] >= p[1 - cluster]);
    }

    // Calibrated anew from the same frames a run is what it was; from others it is not.
    let described = || std::fs::read(dir.path().join("run/model.json")).unwrap();
    let fitted = described();
    assert!(stdout(&["calibrate", &run, "--data", &data]).contains("weight of dispersion"));
    assert!(described() == fitted);
    fails(&["calibrate", &run], 3, "not the frames");

    // Novelty that counts the decoder: another novelty, the same clusters, and the threshold of the run.
    let columns = |table: &str, column: usize| -> Vec<String> {
        csv::Reader::from_reader(table.as_bytes()).records().map(|row| row.unwrap()[column].to_owned()).collect()
    };
    stdout(&["export", &run, "--novelty", "decoder", "--out", &at("decoder")]);
    let predicted = |model: &str| stdout(&["predict", &at(model), "--data", &data]);
    let (latent, decoder) = (predicted("export/model.onnx"), predicted("decoder/model.onnx"));
    assert_eq!(columns(&latent, 2), columns(&decoder, 2));
    assert!(columns(&latent, 4).iter().zip(columns(&decoder, 4)).all(|(a, b)| {
        let [a, b] = [a, &b].map(|v| v.parse::<f64>().unwrap());
        b > a
    }));
    let saved: serde_json::Value = serde_json::from_slice(&fitted).unwrap();
    let threshold = saved["decoder_novelty"]["novelty_threshold"].to_string();
    let card = |folder: &str| std::fs::read_to_string(dir.path().join(folder).join("MODEL_CARD.md")).unwrap();
    assert!(card("decoder").contains(&format!("| novel if novelty > | {threshold}")) && card("decoder").contains("φ"));
    assert!(!card("export").contains("φ"));

    // Nothing is overwritten, and damage is told.
    let again = ["fit", "--data", &data, "--out", &run];
    fails(&[&again[..], &SMALL].concat(), 7, "holds a run already");
    let weights = dir.path().join("run/weights.bpk");
    let mut bytes = std::fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    fails(&["export", &run], 5, "damaged");
    std::fs::write(dir.path().join("export/model.onnx"), b"no model").unwrap();
    fails(&["predict", &onnx, "--data", &data], 5, "no model written by `trainer export`");
    fails(&["eval", &at("nowhere")], 5, "nowhere");
}

#[test]
fn the_same_seed_gives_the_same_files() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let data = at("data.csv");
    write_csv(Path::new(&data));
    let fit = |out: &str, seed: &str| {
        let run = at(out);
        stdout(&[&["fit", "--data", &data, "--out", &run, "--seed", seed][..], &SMALL].concat());
        ["metrics.json", "metrics.jsonl", "weights.bpk", "model.json"]
            .map(|name| std::fs::read(dir.path().join(out).join(name)).unwrap())
    };
    let first = fit("a", "3");
    assert!(first == fit("b", "3"));
    assert!(first[0] != fit("c", "4")[0]);
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_resume_ends_where_the_uninterrupted_run_does() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, whole, cut) = (at("data.csv"), at("whole"), at("cut"));
    write_csv(Path::new(&data));
    let fit = |out: &str| -> Vec<String> {
        let fit = ["fit", "--data", &data, "--out", out];
        [&fit[..], &SMALL, &["--set", "refine.steps=1500"]].concat().into_iter().map(str::to_owned).collect()
    };
    stdout(&fit(&whole).iter().map(String::as_str).collect::<Vec<_>>());
    let mut child = Command::new(env!("CARGO_BIN_EXE_trainer"))
        .args(fit(&cut))
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // Well inside the last stage.
    let log = dir.path().join("cut/metrics.jsonl");
    while std::fs::read_to_string(&log).map_or(0, |text| text.lines().count()) < 30 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    fails(&["export", &cut], 5, "model.json");
    fails(&["fit", "--resume", &cut, "--seed", "1"], 2, "--seed");
    stdout(&["fit", "--resume", &cut, "--data", &data, "--device", "cpu"]);
    for name in ["metrics.json", "metrics.jsonl", "weights.bpk"] {
        let read = |run: &str| std::fs::read(Path::new(run).join(name)).unwrap();
        assert!(read(&cut) == read(&whole), "{name}");
    }
    let onnx = |run: &str| std::fs::read(stdout(&["export", run]).trim()).unwrap();
    assert!(onnx(&cut) == onnx(&whole));
    fails(&["fit", "--resume", &cut, "--data", &data], 5, "has ended");
}

/// A run knows its frames; where they moved, `--data` says where they are, and other frames are refused.
#[cfg(unix)]
#[test]
fn a_run_is_resumed_from_the_frames_that_it_was_begun_with() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, whole, cut) = (at("data.csv"), at("whole"), at("cut"));
    write_csv(Path::new(&data));
    // By a relative path, which the run keeps as an absolute one.
    let fit = |out: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
        command.current_dir(dir.path()).args(["fit", "--data", "data.csv", "--out", out]);
        command.args(SMALL).args(["--set", "refine.steps=1500"]);
        command
    };
    assert!(fit("whole").output().unwrap().status.success());
    let mut child = fit("cut").stderr(std::process::Stdio::piped()).spawn().unwrap();
    while !Path::new(&cut).join("checkpoints/mixture.ckpt").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut told = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut told).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{told}");
    let hint = told.lines().find_map(|line| line.split_once("go on with: trainer ")).unwrap().1;
    assert_eq!(hint, "fit --resume cut");

    let moved = at("moved.csv");
    std::fs::rename(&data, &moved).unwrap();
    fails(&["fit", "--resume", &cut], 3, "data.csv: the run was fitted to frames from here, and there is nothing now");
    std::fs::write(&data, std::fs::read_to_string(&moved).unwrap().replacen("0,0,", "0,1,", 1)).unwrap();
    fails(&["fit", "--resume", &cut], 3, "no longer those that the interrupted run was fitted to");
    fails(&["fit", "--resume", &cut, "--data", &data], 3, "data.csv: not the frames that the interrupted run");
    std::fs::rename(&moved, &data).unwrap();
    // The hint as it stands, from where it was given.
    let resumed =
        Command::new(env!("CARGO_BIN_EXE_trainer")).current_dir(dir.path()).args(hint.split(' ')).output().unwrap();
    let told = String::from_utf8_lossy(&resumed.stderr);
    assert!(resumed.status.success() && told.contains(&format!("frames from {data}")), "{told}");
    for name in ["metrics.json", "metrics.jsonl", "weights.bpk", "data.json"] {
        let read = |run: &str| std::fs::read(Path::new(run).join(name)).unwrap();
        assert!(read(&cut) == read(&whole), "{name}");
    }
}

#[test]
fn frames_that_cannot_be_told_apart_are_refused_before_a_run_is_made() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, run) = (at("data.csv"), at("run"));
    let fit = |rows: String| {
        std::fs::write(&data, format!("x,y\n{rows}")).unwrap();
        trainer(&["fit", "--data", &data, "--out", &run, "--device", "cpu", "--set", "clusters=3"])
    };
    let told = |output: std::process::Output| (output.status.code(), String::from_utf8(output.stderr).unwrap());
    let (code, same) = told(fit("1.5,2\n".repeat(200)));
    assert!(code == Some(3) && same.contains("all 200 frames are the same"), "{same}");
    let (code, two) = told(fit("1.5,2\n1.5,3\n".repeat(100)));
    assert!(code == Some(2) && two.contains("3 clusters, but only 2 of 200 frames are different"), "{two}");
    assert!(!Path::new(&run).exists());

    let ordinary: String = (0..599).map(|i| format!("{},{}\n", 5 * (i % 3), i % 7)).collect();
    let (_, squashed) = told(fit(ordinary + "1,1e30\n"));
    assert!(squashed.contains("frame 599, column 1, counted from 0: 1e30"), "{squashed}");
}

#[test]
fn a_strength_does_not_take_a_range_past_its_end() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data.csv").display().to_string();
    write_csv(Path::new(&data));
    for (stage, key, value, strength) in
        [("pretrain", "scale", "0.4", "2.5"), ("refine", "scale", "0.9", "1.2"), ("pretrain", "dropout", "0.5", "2")]
    {
        let settings = [format!("augment.{key}={value}"), format!("{stage}.strength={strength}")];
        let fit = ["fit", "--data", &data, "--device", "cpu", "--set", &settings[0], "--set", &settings[1]];
        fails(&fit, 2, &format!("augment.{key}: {value} times {stage}.strength = {strength}"));
    }
}

#[test]
fn presets_are_written_out_in_the_run() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data.csv").display().to_string();
    write_csv(Path::new(&data));
    for (preset, expected) in
        [("no-augment", "kind = \"neighbours\""), ("vade", "charge = true"), ("default", "charge = false")]
    {
        let run = dir.path().join(preset).display().to_string();
        let fit = ["fit", "--preset", preset, "--data", &data, "--out", &run, "--set", "collapse.information=0"];
        stdout(&[&fit[..], &SMALL].concat());
        let config = std::fs::read_to_string(dir.path().join(preset).join("config.toml")).unwrap();
        assert!(config.contains(expected), "{config}");
    }
    fails(&["fit", "--preset", "magic"], 2, "magic");
}

#[test]
fn clusters_can_be_counted_and_latents_written() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, run) = (at("data.csv"), at("run"));
    write_csv(Path::new(&data));
    let auto = ["--set", "clusters=auto", "--set", "pretrain.steps=100"];
    let output = trainer(&[&["fit", "--data", &data, "--out", &run, "--keep-stages"], &SMALL[..], &auto[..]].concat());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && told.contains("stability") && told.contains("clusters of the latents: 2"),
        "{told}"
    );
    let counted = |run: &str| -> serde_json::Value {
        let lines = std::fs::read_to_string(dir.path().join(run).join("metrics.jsonl")).unwrap();
        let mut lines = lines.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
        lines.find(|l| l["counted_on"] == "latents").unwrap()
    };
    assert_eq!(counted("run")["clusters"], 2);
    assert_eq!(counted("run")["candidates"][0]["components"], 10);
    let page = at("report.html");
    stdout(&["report", &run, "--data", &data, "--out", &page]);
    assert!(std::fs::read_to_string(&page).unwrap().contains("How many clusters there are"));
    // The model that comes out knows how many there are.
    let report: serde_json::Value = serde_json::from_str(&stdout(&["eval", &run, "--data", &data, "--json"])).unwrap();
    assert!(report["bound"]["elbo"].is_f64());
    stdout(&["export", &run, "--out", &at("export")]);
    let labels = stdout(&["predict", &at("export/model.onnx"), "--data", &data]);
    assert!(labels.lines().next().unwrap().ends_with("p_1"));
    // One cluster is an answer, but no model; what was found is told all the same.
    let (one, single) = (at("one.csv"), at("single"));
    let text: String = (0..300u32).map(|i| format!("{},{}\n", i * 37 % 101, i * 53 % 103)).collect();
    std::fs::write(&one, text).unwrap();
    fails(
        &[&["fit", "--data", &one, "--out", &single], &SMALL[..], &auto[..]].concat(),
        8,
        "the latents form one cluster",
    );
    assert_eq!(counted("single")["clusters"], 1);
    // A mixture may have one component, so there it is no error.
    for (table, k) in [(&one, 1), (&data, 2)] {
        let text = stdout(&["gmm", "--data", table, "--components", "auto", "--json"]);
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&report["components"], &report["counted"]["clusters"]), (&k.into(), &k.into()));
    }
    let weighted = ["gmm", "--data", &data, "--components", "auto", "--weight", "x"];
    fails(&weighted, 2, "auto counts rows, not weights");

    for stage in ["pretrain", "refine"] {
        let out = at(&format!("{stage}.npy"));
        stdout(&["latents", &run, "--data", &data, "--stage", stage, "--out", &out]);
        let table =
            trainer::data::Input::of(Some(Path::new(&out))).open_table(None, &Default::default()).unwrap().frames;
        assert_eq!((table.len(), table.shape.width), (200, 2));
    }
    std::fs::remove_file(dir.path().join("run/mixture.ckpt")).unwrap();
    let latents = ["latents", &run, "--data", &data, "--out", &at("z.npy"), "--stage"];
    fails(&[&latents[..], &["mixture"]].concat(), 5, "fit with --keep-stages");
    stdout(&[&latents[..], &["refine"]].concat());
    fails(&["latents", &at("nowhere"), "--out", &at("z.npy")], 5, "run of `trainer fit`");
    fails(&["fit", "--set", "clusters=many"], 2, "expected a number or \"auto\"");
}

#[test]
fn frames_are_explained_in_pictures_and_numbers() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, run, out) = (at("data.csv"), at("run"), at("why"));
    write_csv(Path::new(&data));
    stdout(&[&["fit", "--data", &data, "--out", &run][..], &SMALL].concat());
    let explain = ["explain", &run, "--data", &data, "--out", &out, "--index"];
    let paths = stdout(&[&explain[..], &["7", "0"]].concat());
    let names = ["7.png", "7-contrast.png", "0.png", "0-contrast.png", "contrast.npy"];
    assert_eq!(paths.lines().collect::<Vec<_>>(), names.map(|name| at(&format!("why/{name}"))));
    // Frame, reconstruction and map in a row, each of two values side by side.
    let picture = image::open(at("why/7.png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (3 * 2 * 16 + 2 * 8, 16));

    stdout(&[&explain[..], &["7,0", "--map", "trust,surprise"]].concat());
    for map in ["trust", "surprise"] {
        let mut input = trainer::data::Input::of(Some(Path::new(&at(&format!("why/{map}.npy")))));
        input.layout = Some("nf".parse().unwrap());
        let table = trainer::data::Source::all(&input.open(trainer::data::Role::Score).unwrap().frames).unwrap();
        assert_eq!((table.len(), table.shape.width), (2, 2));
        assert_eq!(map == "trust", table.values.iter().all(|v| (0.0..=1.0).contains(v)), "{map}: {table:?}");
    }
    fails(&[&explain[..], &["200"]].concat(), 2, "200: the data hold the frames 0 to 199");
    fails(&[&explain[..], &["-1"]].concat(), 2, "-1");
    fails(&[&explain[..], &["0", "--map", "magic"]].concat(), 2, "magic");
    fails(&["explain", &run, "--data", &data, "--out", &out], 2, "--index");
    fails(&["explain", &run, "--index", "0", "--out", &out], 3, "the model takes 1x1x2");
    stdout(&["export", &run, "--out", &at("export")]);
    fails(&["explain", &at("export/model.onnx"), "--index", "0", "--out", &out], 5, "give the run directory");
    fails(&["explain", &at("nowhere"), "--index", "0", "--out", &out], 5, "run of `trainer fit`");
}

/// 200 rows in two clear groups: the mixture on the values is the model, and 25 frames are too few for one in a hundred.
#[test]
fn a_table_needs_no_network_and_its_health_is_told() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, run) = (at("data.csv"), at("run"));
    write_csv(Path::new(&data));
    let fit = ["fit", "--data", &data, "--out", &run, "--device", "cpu", "--set", "clusters=2", "--strict"];
    let output = trainer(&fit);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{told}");
    assert!(
        told.contains("halves of 175 frames agree") && told.contains("so the model is a mixture on the values"),
        "{told}"
    );
    assert!(told.contains("health: look at: novelty threshold from 25 held-out frames, 3.85 % false alarms"), "{told}");
    // The run is kept, and is a run as any other; but nothing is left for its decoder to tell.
    fails(&["export", &run, "--novelty", "decoder"], 5, "linear encoder");
    let text = std::fs::read_to_string(dir.path().join("run/metrics.json")).unwrap();
    let metrics: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(metrics["health"]["bad"].as_array().unwrap().len(), 1);
    let compared = stdout(&["compare", &run, "--data", &data, "--json"]);
    let compared: serde_json::Value = serde_json::from_str(&compared).unwrap();
    let rows = compared["rows"].as_array().unwrap();
    assert_eq!((rows.len() > 3, compared["left_out"].as_array().unwrap().len()), (true, 0), "{compared}");
    assert!(rows.iter().all(|row| row["acc"] == 1.0 && row["agreement"].as_f64().unwrap() > 0.99), "{compared}");
    stdout(&["export", &run, "--out", &at("export")]);
    let labels = stdout(&["predict", &at("export/model.onnx"), "--data", &data]);
    assert_eq!(labels.lines().count(), 201);
    stdout(&["report", &run, "--data", &data]);
    fails(&["latents", &run, "--data", &data, "--stage", "pretrain", "--out", &at("z.npy")], 5, "has no stages");
    fails(&["critic", &run, "--data", &data], 5, "gives every value back");
}

/// Rows of categories are all as novel as the threshold, or less, whatever an engine makes of the last bit.
#[test]
fn rows_that_are_alike_are_not_novel_by_rounding() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, run) = (at("data.csv"), at("run"));
    let row = |n: usize| ["1,0,0", "0,1,0", "0,0,1"][n % 3];
    let rows: Vec<&str> = ["a,b,c"].into_iter().chain((0..300).map(row)).collect();
    std::fs::write(&data, rows.join("\n") + "\n").unwrap();
    stdout(&["fit", "--data", &data, "--out", &run, "--device", "cpu", "--set", "clusters=3"]);
    for precision in ["f32", "f16"] {
        let (folder, onnx) = (at(precision), at(&format!("{precision}/model.onnx")));
        stdout(&["export", &run, "--out", &folder, "--precision", precision]);
        let labels = stdout(&["predict", &onnx, "--data", &data]);
        // Neither novel nor outside.
        assert_eq!(labels.matches(",false,false,").count(), 300, "{precision}: {labels}");
    }
}

/// Where shares are uneven p(c) is learned, and stays with the run and its files.
#[test]
fn uneven_clusters_keep_their_weights_in_every_file() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, run) = (at("data.csv"), at("run"));
    let rows: Vec<String> = (0..600)
        .map(|n| {
            let (far, jitter) = (f64::from(n % 20 == 0) * 9.0, f64::from(n * 7919 % 101) / 50.0);
            format!("{},{}\n", far + jitter, f64::from(n * 104_729 % 97) / 48.0 - far)
        })
        .collect();
    std::fs::write(&data, format!("a,b\n{}", rows.concat())).unwrap();
    stdout(&["fit", "--data", &data, "--out", &run, "--device", "cpu", "--set", "clusters=2"]);
    let saved = std::fs::read_to_string(dir.path().join("run/model.json")).unwrap();
    assert!(saved.contains("\"weighted\": true"), "{saved}");
    stdout(&["export", &run, "--out", &at("export"), "--precision", "f32"]);
    let card = std::fs::read_to_string(dir.path().join("export/MODEL_CARD.md")).unwrap();
    assert!(card.contains("no views to fit a temperature to"), "{card}");
    let shares = card.split_once("p(c) is learned: ").unwrap().1.split_once(" |").unwrap().0;
    let shares: Vec<f64> = shares.split(", ").map(|share| share.parse().unwrap()).collect();
    assert!((shares[0].min(shares[1]) - 0.05).abs() < 0.01 && (shares[0] + shares[1] - 1.0).abs() < 0.002, "{card}");
    let labels = stdout(&["predict", &at("export/model.onnx"), "--data", &data]);
    let mut reader = csv::Reader::from_reader(labels.as_bytes());
    let clusters: Vec<String> = reader.records().map(|row| row.unwrap()[1].to_owned()).collect();
    assert!(clusters.iter().enumerate().all(|(n, c)| (*c == clusters[0]) == (n % 20 == 0)));
}

#[test]
fn quality_is_measured_and_gated() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/digits");
    let arguments = ["quality", model, "--frames", "20"];
    let text = stdout(&[&arguments[..], &["--json"]].concat());
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let row = |name: &str| rows.iter().find(|row| row["name"].as_str().unwrap().starts_with(name)).unwrap();
    assert_eq!(row("contrast: completeness, worst frame")["met"], true);
    assert!(row("surprise: AUROC of a stroke")["measured"].as_f64().unwrap() > 0.8);
    let missed = rows.iter().filter(|row| row["met"] == false).count();
    // On so few frames the intervals are wide: some bars of the contrast, beside the two that are missed on many.
    assert!(missed <= 8, "{text}");
    let gated = trainer(&[&arguments[..], &["--gate"]].concat());
    assert_eq!(gated.status.code(), Some(if missed == 0 { 0 } else { 6 }));
    // The same frames, weights and strokes: the same table, with as many rows missed.
    let table = String::from_utf8(gated.stdout).unwrap();
    assert_eq!(table.matches("MISSED").count(), missed);
    assert_eq!(table.lines().count(), rows.len() + 2);
    fails(&["quality", model, "--frames", "1"], 2, "--frames");
    fails(&["quality", "nowhere"], 5, "nowhere");
}

#[test]
fn a_benchmark_reports_every_seed_and_does_nothing_twice() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, out) = (at("data.csv"), at("seeds"));
    write_csv(Path::new(&data));
    let benchmark = ["benchmark", "--data", &data, "--out", &out, "--seeds", "3", "--jobs", "2", "--json"];
    let arguments = [&benchmark[..], &SMALL].concat();
    let first: serde_json::Value = serde_json::from_str(&stdout(&arguments)).unwrap();
    let runs = first["runs"].as_object().unwrap();
    assert_eq!(runs.keys().collect::<Vec<_>>(), ["0", "1", "2"]);
    let accuracies: Vec<f64> = runs.values().map(|run| run["acc"].as_f64().unwrap()).collect();
    let get = |name: &str| first[name].as_f64().unwrap();
    assert!((get("mean") - accuracies.iter().sum::<f64>() / 3.0).abs() < 1e-12);
    assert_eq!(get("minimum"), accuracies.iter().copied().fold(1.0, f64::min));
    let table = std::fs::read_to_string(dir.path().join("seeds/table.md")).unwrap();
    assert!(table.contains("| 0, 1, 2 |") && table.contains(&format!("{:.4}", get("mean"))), "{table}");
    // A seed that was interrupted before its first checkpoint is done again; the others are kept.
    for lost in ["model.json", "score.json"] {
        std::fs::remove_file(dir.path().join("seeds/seed-1").join(lost)).unwrap();
    }
    let again: serde_json::Value = serde_json::from_str(&stdout(&arguments)).unwrap();
    assert_eq!(again["runs"]["0"], first["runs"]["0"]);
    assert_eq!(again["runs"]["1"]["acc"], first["runs"]["1"]["acc"]);
    fails(&[&arguments[..], &["--set", "refine.steps=31"]].concat(), 7, "other settings");
}

#[test]
fn clusters_below_the_bounds_are_refused_after_the_restarts() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, run) = (at("data.csv"), at("run"));
    write_csv(Path::new(&data));
    let fit = ["fit", "--data", &data, "--out", &run];
    // More clusters than there are: frames are not all decided.
    let bounds = [
        "--set",
        "clusters=5",
        "--set",
        "collapse.information=1",
        "--set",
        "collapse.active=0",
        "--set",
        "collapse.restarts=1",
    ];
    let arguments = [&fit[..], &SMALL, &bounds].concat();
    fails(&arguments, 4, "collapsed in 2 attempts: I(x;c) / H(q̄) is");
    let metrics = std::fs::read_to_string(dir.path().join("run/metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().filter(|line| line.contains("restarts")).count(), 1);
    fails(&["export", &run], 5, "model.json");
}

#[test]
fn a_training_that_diverges_says_where_and_keeps_the_last_good_state() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, run) = (at("data.csv"), at("run"));
    write_csv(Path::new(&data));
    let fit = ["fit", "--data", &data, "--out", &run];
    let wild = ["refine.learning_rate=1", "refine.steps=3000", "pretrain.kl_weight=0.1", "refine.information=0"];
    let wild = wild.map(|setting| ["--set", setting]).concat();
    let output = trainer(&[&fit[..], &SMALL, &wild].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("not finite at refine step"), "{stderr}");
    assert!(stderr.contains("mixture.ckpt") && dir.path().join("run/checkpoints/mixture.ckpt").exists(), "{stderr}");
}

#[test]
fn mistakes_are_named_with_their_exit_code() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    fails(&["fit", "--set", "refine.step=5"], 2, "refine.step: unknown key");
    fails(&["fit", "--set", "clusters=1"], 2, "clusters: 1, expected at least 2");
    fails(&["fit", "--set", "augment.shift=nan"], 2, "augment.shift");
    fails(&["fit", "--set", "clusters"], 2, "expected key=value");
    // What older settings weighed whole frames with.
    fails(&["fit", "--set", "refine.information=200"], 2, "for every value of a frame");
    fails(&["fit", "--set", "cluster_posterior=magic"], 2, "magic");
    fails(&["fit", "--device", "cpu", "--devices", "2"], 7, "the CPU is one device");
    fails(&["fit", "--device", "cpu:1"], 7, "the CPU is one device");
    fails(&["benchmark", "--device", "cpu", "--devices", "2", "--out", &at("seeds")], 7, "the CPU is one device");
    if cfg!(not(any(feature = "wgpu", feature = "cuda"))) {
        fails(&["fit", "--device", "gpu"], 7, "cargo run --release -p trainer --features wgpu -- ...");
    }
    fails(&["fit", "--device", "tpu"], 2, "expected one of auto, cpu, gpu, cuda, vulkan, wgpu, or cuda:1");
    fails(&["fit", "--device", "cuda:x"], 2, "\"x\" is not a device's number");
    fails(&["fit", "--no-such-option"], 2, "--no-such-option");
    let config = at("c.toml");
    std::fs::write(&config, "[refine]\nstepss = 3\n").unwrap();
    fails(&["fit", "--config", &config], 2, "stepss");
    fails(&["fit", "--config", &at("none.toml")], 2, "none.toml");
    fails(&["fit", "--data", &at("none.npy")], 3, "none.npy");
    let ragged = at("ragged.csv");
    std::fs::write(&ragged, "1,2\n3\n").unwrap();
    fails(&["fit", "--data", &ragged, "--out", &at("run")], 3, "line 2: 1 fields, expected 2");
    fails(&["gmm", "--data", &ragged, "--components", "2"], 3, "line 2");
    let few = at("few.csv");
    std::fs::write(&few, "1,2\n3,4\n").unwrap();
    fails(&["fit", "--data", &few, "--out", &at("run"), "--device", "cpu"], 2, "2 frames are too few");
    assert!(!Path::new(&at("run")).exists(), "a refused fit leaves no run in the way of the next");
    fails(&["gmm", "--data", &few, "--components", "5"], 2, "5 components for 2 points");
}

#[test]
fn gmm_prints_what_users_of_mixtures_expect() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data.csv");
    write_csv(&data);
    for estimator in ["mle", "map"] {
        for covariance in ["full", "diagonal", "isotropic"] {
            let arguments = ["gmm", "--data", data.to_str().unwrap(), "--components", "2", "--covariance", covariance];
            let text = stdout(&[&arguments[..], &["--estimator", estimator, "--json"]].concat());
            let report: serde_json::Value = serde_json::from_str(&text).unwrap();
            let get = |name: &str| report[name].as_f64().unwrap();
            let parameters = 2.0 * 2.0
                + 1.0
                + 2.0
                    * match covariance {
                        "full" => 3.0,
                        "diagonal" => 2.0,
                        _ => 1.0,
                    };
            assert!((get("bic") - (parameters * 200f64.ln() - 2.0 * get("log_likelihood"))).abs() < 1e-6);
            assert!((get("aic") - (2.0 * parameters - 2.0 * get("log_likelihood"))).abs() < 1e-6);
            assert_eq!(report["converged"], true);
            for weight in report["weights"].as_array().unwrap() {
                assert!((weight.as_f64().unwrap() - 0.5).abs() < 0.02);
            }
        }
    }
}

#[test]
fn every_verb_has_an_example() {
    for verb in [
        "fit",
        "calibrate",
        "export",
        "stamp",
        "eval",
        "explain",
        "quality",
        "report",
        "predict",
        "gmm",
        "demo",
        "benchmark",
        "throughput",
    ] {
        assert!(stdout(&[verb, "--help"]).contains("Example:\n  trainer "), "{verb}");
    }
    assert!(stdout(&["completions", "bash"]).contains("trainer"));
}

/// 200 pictures of 8x8 in grey levels of bytes: two kinds, a bright half left or right.
fn pictures() -> Vec<u8> {
    let level =
        |n: usize, at: usize| if (at % 8 < 4) == n.is_multiple_of(2) { 200 + (n * 7 + at * 13) % 56 } else { at % 3 };
    let frame = |n| (0..64).map(move |at| level(n, at) as u8);
    let mut values: Vec<u8> = (0..200).flat_map(frame).collect();
    (values[0], values[63]) = (255, 0);
    values
}

#[test]
fn frames_in_other_units_than_those_of_training_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let bytes = pictures();
    std::fs::write(at("bytes.npy"), npy("|u1", false, &[200, 8, 8], &bytes)).unwrap();
    for (name, scale, shift) in [("255", 1.0, 0.0), ("signed", 127.5, 1.0)] {
        let values: Vec<u8> = bytes.iter().flat_map(|v| (f32::from(*v) / scale - shift).to_le_bytes()).collect();
        std::fs::write(at(&format!("{name}.npy")), npy("<f4", false, &[200, 8, 8], &values)).unwrap();
    }
    let (outside, narrow) = ("200 of 200 frames lie outside the range of values", "times as much as in training");
    let cases = [
        ("bytes", [("bytes", None), ("255", Some(outside)), ("signed", Some(outside))]),
        ("255", [("bytes", Some(narrow)), ("255", None), ("signed", Some(narrow))]),
        ("signed", [("bytes", Some(narrow)), ("255", Some(outside)), ("signed", None)]),
    ];
    for (fitted, frames) in cases {
        let (run, data) = (at(&format!("run-{fitted}")), at(&format!("{fitted}.npy")));
        let fit = ["fit", "--data", &data, "--out", &run, "--set", "collapse.information=0"];
        stdout(&[&fit[..], &["--set", "confidence.halves=0"], &SMALL[..]].concat());
        let model = stdout(&["export", &run]).trim().to_owned();
        let card = std::fs::read_to_string(Path::new(&run).join("export/MODEL_CARD.md")).unwrap();
        assert!(card.contains("| range of values in training | "), "{card}");
        for (frames, told) in frames {
            let data = at(&format!("{frames}.npy"));
            let output = trainer(&["predict", &model, "--data", &data]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{said}");
            assert_eq!(told.is_some(), said.contains("range: "), "{fitted} {frames}: {said}");
            assert!(said.contains(told.unwrap_or_default()), "{fitted} {frames}: {said}");
            let rows = String::from_utf8(output.stdout).unwrap();
            let flags = rows.lines().skip(1).filter(|row| row.split(',').nth(6) == Some("true")).count();
            assert_eq!(flags, if told == Some(outside) { 200 } else { 0 });
            // The same of the run, and of the file when it is scored.
            for arguments in [["eval", &run], ["eval", &model]] {
                let output = trainer(&[&arguments[..], &["--data", &data, "--samples", "1"]].concat());
                let again = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(again.contains(told.unwrap_or_default()), "{arguments:?}: {again}");
                assert_eq!(told.is_some(), again.contains("range: "), "{arguments:?}: {again}");
            }
            let strict = ["predict", &model, "--data", &data, "--strict", "--out", &at("out.csv")];
            match told {
                Some(_) => fails(&strict, 3, "the values of the frames are not as in training"),
                None => drop(stdout(&strict)),
            }
            assert_eq!(std::fs::read_to_string(at("out.csv")).unwrap(), rows);
        }
    }
    // A run of before the range was kept says so, and calibrating it anew adds it.
    let (run, data) = (at("run-255"), at("255.npy"));
    let description = Path::new(&run).join("model.json");
    let whole = std::fs::read_to_string(&description).unwrap();
    let mut old: serde_json::Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(old["seen"]["most"][0], 255.0);
    let seen = old.as_object_mut().unwrap().remove("seen").unwrap();
    std::fs::write(&description, serde_json::to_string(&old).unwrap()).unwrap();
    let model = stdout(&["export", &run]).trim().to_owned();
    let output = trainer(&["predict", &model, "--data", &at("bytes.npy"), "--strict"]);
    assert!(output.status.success() && String::from_utf8_lossy(&output.stderr).contains("does not say which values"));
    stdout(&["calibrate", &run, "--data", &data]);
    let again: serde_json::Value = serde_json::from_slice(&std::fs::read(&description).unwrap()).unwrap();
    assert_eq!(again["seen"], seen);
    // One that fits no frame is refused.
    old["seen"] = serde_json::json!({"least": [0.0, 0.0, 0.0], "most": [1.0, 1.0, 1.0], "deviation": [1.0, 1.0, 1.0]});
    std::fs::write(&description, serde_json::to_string(&old).unwrap()).unwrap();
    fails(&["export", &run], 5, "its range of values does not fit its frames");
}

#[test]
fn a_column_outside_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    write_csv(Path::new(&at("data.csv")));
    stdout(&[&["fit", "--data", &at("data.csv"), "--out", &at("run")][..], &SMALL[..]].concat());
    let model = stdout(&["export", &at("run")]).trim().to_owned();
    std::fs::write(at("other.csv"), "x,y,label\n1,0.5,0\n2,-90,1\n3,70,1\n").unwrap();
    let output = trainer(&["predict", &model, "--data", &at("other.csv")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = "2 of 3 frames lie outside the range of values seen in training";
    assert!(said.contains(expected) && said.contains("frame 1, column 1, \"y\": -90, in training -8"), "{said}");
}
