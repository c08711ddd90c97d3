//! The report of a run: well-formed, whole in itself, and drawn by a browser.
//!
//! The browser's tests need Debian's `chromium`, or a Chromium or Chrome named in CHROMIUM; `.ci/run` installs it and
//! sets REQUIRE_BROWSER, without which they are skipped where there is none.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is the test's own message")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use html5gum::{Token, Tokenizer};
use tempfile::TempDir;
use trainer::compare::{Comparison, Row};

/// The most that a report may be.
const MOST_BYTES: usize = 5_000_000;
/// Elements that have no end tag.
const VOID: [&str; 3] = ["meta", "img", "br"];

fn trainer(arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_trainer")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Reports of the shipped model on the embedded digits, and of a small model of each other kind of frame.
struct Reports {
    dir: TempDir,
    digits: String,
    features: String,
    window: String,
    spectra: String,
}

static REPORTS: LazyLock<Reports> = LazyLock::new(|| {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let shipped = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../models/digits");
    trainer(&["report", &shipped.display().to_string(), "--out", &at("digits.html")]);
    // Labels in the one, none in the other; a folder's name that HTML has to escape.
    let run = at("features <b>&\"");
    write_features(&dir.path().join("features.csv"));
    fit(&at("features.csv"), &run, &[]);
    trainer(&["report", &run, "--data", &at("features.csv")]);
    write_windows(&dir.path().join("windows.npy"));
    for (run, front_end) in [("windows", "frontend=none"), ("spectra", "frontend=auto")] {
        fit(&at("windows.npy"), &at(run), &["--set", "frames=window", "--set", front_end]);
        trainer(&["report", &at(run), "--data", &at("windows.npy")]);
    }
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let (digits, window) = (read("digits.html"), read("windows/report.html"));
    let features = read("features <b>&\"/report.html");
    let spectra = read("spectra/report.html");
    Reports { digits, features, window, spectra, dir }
});

fn fit(data: &str, run: &str, more: &[&str]) {
    let settings = ["clusters=2", "latent=2", "pretrain.steps=60", "refine.steps=30", "pretrain.learning_rate=3e-3"];
    let batches = [
        "pretrain.batch=32",
        "refine.batch=32",
        "collapse.information=0",
        "mixture.restarts=2",
        "encoder.kind=network",
    ];
    let settings = settings.into_iter().chain(batches).flat_map(|s| ["--set", s]);
    let fit = ["fit", "--device", "cpu", "--data", data, "--out", run];
    trainer(&fit.into_iter().chain(settings).chain(more.iter().copied()).collect::<Vec<_>>());
}

/// Three features in two groups, with the group as label.
fn write_features(path: &Path) {
    let mut text = String::from("x,y,z,label\n");
    for i in 0..200 {
        let side = f64::from(i % 2) * 8.0;
        let (a, b) = (f64::from(i * 37 % 101) / 101.0, f64::from(i * 53 % 103) / 103.0);
        text.push_str(&format!("{},{},{},{}\n", side + a, b - side, a + b, i % 2));
    }
    std::fs::write(path, text).unwrap();
}

/// Slow and fast waves of 32 samples, without labels.
fn write_windows(path: &Path) {
    let wave = |i: usize, t: usize| ((t as f32 * if i.is_multiple_of(2) { 0.2 } else { 0.9 }) + i as f32 * 0.7).sin();
    let values: Vec<f32> = (0..200).flat_map(|i| (0..32).map(move |t| wave(i, t))).collect();
    std::fs::write(path, trainer::data::write_npy(&values, 32).unwrap()).unwrap();
}

/// A start tag.
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
}

/// Every element; panics where the text is no well-formed HTML, or an element is not closed where it should be.
fn elements(text: &str) -> Vec<Element> {
    let word = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut open: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for token in Tokenizer::new(text) {
        match token.unwrap() {
            Token::StartTag(tag) => {
                let name = word(&tag.name);
                let attributes = tag.attributes.iter().map(|(k, v)| (word(k), word(v))).collect();
                if !VOID.contains(&name.as_str()) && !tag.self_closing {
                    open.push(name.clone());
                }
                found.push(Element { name, attributes });
            }
            Token::EndTag(tag) => assert_eq!(open.pop(), Some(word(&tag.name))),
            Token::Error(error) => panic!("{}", error.value),
            _ => {}
        }
    }
    assert_eq!(open, Vec::<String>::new());
    found
}

#[test]
fn reports_are_well_formed_and_hold_all_they_show() {
    for (name, text) in [
        ("digits", &REPORTS.digits),
        ("features", &REPORTS.features),
        ("window", &REPORTS.window),
        ("spectra", &REPORTS.spectra),
    ] {
        assert!(text.len() < MOST_BYTES, "{name}: {} bytes", text.len());
        let elements = elements(text);
        for element in &elements {
            let get = |key: &str| element.attributes.get(key).map(String::as_str);
            assert!(
                !["script", "link", "iframe", "object"].contains(&element.name.as_str()),
                "{name}: {}",
                element.name
            );
            assert!(element.attributes.keys().all(|key| !key.starts_with("on")), "{name}: {:?}", element.attributes);
            for key in ["src", "href", "srcset", "xlink:href", "action"] {
                let local = get(key).is_none_or(|v| v.starts_with("data:image/png;base64,") || v.starts_with('#'));
                assert!(local, "{name}: {key}={:?}", get(key));
            }
            // A picture inside of a spoken one is silent.
            if element.name == "img" {
                assert!(get("alt").is_some_and(|alt| !alt.is_empty()) || get("class") == Some("cells"), "{name}");
            }
            if element.name == "svg" {
                assert!(
                    get("aria-label").is_some_and(|l| !l.is_empty()) || get("aria-hidden") == Some("true"),
                    "{name}"
                );
            }
        }
        assert!(!text.contains("url(") && !text.contains("@import"), "{name}");
        assert!(!text.contains("NaN") && !text.contains("inf\""), "{name}");
        let addresses: Vec<&str> = elements.iter().filter_map(|e| e.attributes.get("id")).map(String::as_str).collect();
        let links = elements.iter().filter_map(|e| e.attributes.get("href"));
        links.for_each(|link| assert!(addresses.contains(&&link[1..]), "{name}: {link}"));
        for id in [
            "explanations",
            "training",
            "clusters",
            "confusion",
            "comparison",
            "changes",
            "latent",
            "calibration",
            "about",
        ] {
            assert!(addresses.contains(&id), "{name}: {id}");
        }
    }
}

#[test]
fn a_report_of_images_shows_both_parts_every_cluster_and_the_labels() {
    let text = &REPORTS.digits;
    let elements = elements(text);
    let described = |start: &str| {
        let of = |key: &str| elements.iter().filter_map(|e| e.attributes.get(key)).cloned().collect::<Vec<_>>();
        [of("alt"), of("aria-label")].concat().iter().filter(|text| text.starts_with(start)).count()
    };
    // Twelve frames of either part, and of each of ten clusters: means, typical, doubtful, two walks.
    assert_eq!(described("Frame of cluster"), 24);
    assert_eq!(described("Cluster "), 50);
    assert_eq!(described("Frame, its reconstruction"), 6);
    for chart in ["Latent means", "Histogram", "Reliability", "Share of the frames"] {
        assert_eq!(described(chart), 1, "{chart}");
    }
    assert!(text.contains("figure 2 of the paper") && text.contains("figure 3 of the paper"));
    // The shipped model was fitted to other digits; what counts here is that labels and clusters are matched at all.
    assert!(text.contains("<table class=\"confusion\">") && text.contains("accuracy, one cluster to one class"));
    assert!(text.contains("no metrics.jsonl") && text.contains("seed = 0"));
}

#[test]
fn frames_that_are_no_images_are_drawn_and_what_is_missing_is_said() {
    let (features, window) = (&REPORTS.features, &REPORTS.window);
    assert!(features.contains("A bar a feature") && window.contains("A line a channel"));
    let spectra = &REPORTS.spectra;
    assert!(
        spectra.contains("A bar a feature of the window")
            && spectra.contains("most in the contrast: ")
            && spectra.contains(" cycles a sample ")
    );
    assert!(features.contains("class=\"confusion\"") && !window.contains("class=\"confusion\""));
    assert!(window.contains("carry no labels") && window.contains("a random view of a frame"));
    for curve in ["Term 1", "Term 2", "Term 3", "Term 4", "Information I(x;c)", "Balance"] {
        assert!(features.contains(curve) && window.contains(curve), "{curve}");
    }
    // A folder may be called anything.
    // The largest of 25 held-out frames is passed once in 26.
    assert!(features.contains("frames like those of training 3.8\u{202f}%"));
    assert!(features.contains("features &lt;b&gt;&amp;&quot;") && !features.contains("features <b>"));
}

/// Twelve kinds, one after the other, more rows than the map has dots.
#[test]
fn frames_sorted_by_class_are_all_in_the_map_each_cluster_in_a_colour_of_its_own() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (kinds, each) = (12, 350);
    let row = |n: usize| {
        let (kind, spread) = (n / each, |step: usize| (n * step % 101) as f64 / 101.0);
        format!("{},{}\n", 9.0 * (kind % 4) as f64 + spread(37), 9.0 * (kind / 4) as f64 + spread(53))
    };
    std::fs::write(at("sorted.csv"), format!("x,y\n{}", (0..kinds * each).map(row).collect::<String>())).unwrap();
    let fit = ["fit", "--device", "cpu", "--data", &at("sorted.csv"), "--out", &at("run"), "--set", "clusters=12"];
    trainer(&fit);
    trainer(&["report", &at("run"), "--data", &at("sorted.csv")]);
    let page = std::fs::read_to_string(at("run/report.html")).unwrap();
    let dots = |c: usize| -> usize {
        let path = page.split(&format!("class=\"dots c{c}\" d=\"")).nth(1).unwrap();
        path.split('"').next().unwrap().matches("h0").count()
    };
    let dots: Vec<usize> = (0..kinds).map(dots).collect();
    assert_eq!(dots.iter().sum::<usize>(), 3000);
    // 3000 of 4200 drawn without replacement: 250 of each kind, deviation 8.
    assert!(dots.iter().all(|count| count.abs_diff(250) < 50), "{dots:?}");
    let rules: Vec<&str> = (10..kinds).map(|c| page.split(&format!(".c{c} {{")).nth(1).unwrap()).collect();
    let colours: Vec<&str> = rules.iter().map(|rule| rule.split('}').next().unwrap()).collect();
    assert!(colours[0] != colours[1] && colours[0].contains("--cluster: light-dark(hsl("), "{colours:?}");
}

/// The text between tags, a cell or caption after another.
fn cells(text: &str) -> Vec<String> {
    let word = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let strings = Tokenizer::new(text).filter_map(|token| match token.unwrap() {
        Token::String(text) => Some(word(&text)),
        _ => None,
    });
    strings.collect()
}

#[test]
fn the_run_stands_beside_plain_methods_with_the_figures_of_compare() {
    let section = |text: &str| {
        let start = text.find("<section id=\"comparison\">").unwrap();
        text[start..start + text[start..].find("</section>").unwrap()].to_owned()
    };
    for (text, run, data, columns) in [
        (&REPORTS.features, "features <b>&\"", "features.csv", ["agreement", "stability", "ACC"].as_slice()),
        (&REPORTS.window, "windows", "windows.npy", &["agreement", "stability"]),
    ] {
        let at = |name: &str| REPORTS.dir.path().join(name).display().to_string();
        let compare = ["compare", &at(run), "--data", &at(data), "--json"];
        let output = Command::new(env!("CARGO_BIN_EXE_trainer")).args(compare).output().unwrap();
        let compared: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let section = section(text);
        let cells = cells(&section);
        let mut expected = ["method", "on"].map(str::to_owned).to_vec();
        expected.extend(columns.iter().map(|column| (*column).to_owned()));
        let rows = compared["rows"].as_array().unwrap();
        assert!(rows.len() > 3 && compared["frames"] == 200, "{compared}");
        for row in rows {
            let number = |name: &str| row[name].as_f64().map_or("\u{2013}".to_owned(), |value| format!("{value:.3}"));
            expected.extend([row["method"].as_str().unwrap().to_owned(), row["values"].as_str().unwrap().to_owned()]);
            expected.extend(["agreement", "stability", "acc"][..columns.len()].iter().map(|name| number(name)));
        }
        let first = cells.iter().position(|cell| cell == "method").unwrap();
        assert_eq!(cells[first..first + expected.len()], expected);
        // Best without labels, and the fair reading.
        assert!(section.contains("Without labels the best plain method is") && section.contains("may be chance"));
        assert_eq!(section.contains("Against the labels, which chose nothing"), columns.contains(&"ACC"), "{section}");
        assert_eq!(section.matches("scope=\"row\"").count(), rows.len());
        assert_eq!(section.matches("scope=\"col\"").count(), 2 + columns.len());
        assert!(section.contains("role=\"region\" aria-label=\"The run beside plain methods\""));
    }
}

#[test]
fn a_comparison_is_read_by_what_is_stable_and_what_agrees() {
    let row = |method, agreement, stability, acc| Row { method, values: "raw".to_owned(), agreement, stability, acc };
    let of = |figures: [(f64, f64); 2], acc: Option<[f64; 3]>| {
        let acc = |at: usize| acc.map(|acc| acc[at]);
        let [(a, b), (c, d)] = figures;
        let rows = vec![
            row("run", 1.0, None, acc(0)),
            row("k-means", a, Some(b), acc(1)),
            row("mixture, full", c, Some(d), acc(2)),
        ];
        Comparison { frames: 100, rows, left_out: Vec::new() }.reading()
    };
    let alike = of([(0.3, 0.5), (0.95, 0.4)], None);
    assert!(alike.contains("best plain method is k-means (raw), the most stable: 0.500"), "{alike}");
    assert!(alike.contains("as mixture, full (raw) does (agreement 0.950)"), "{alike}");
    let other = of([(0.3, 0.5), (0.2, 0.8)], None);
    assert!(
        other.contains("mixture, full (raw), the most stable: 0.800") && other.contains("both are there"),
        "{other}"
    );
    let worth = of([(0.3, 0.5), (0.2, 0.4)], Some([0.9, 0.4, 0.6]));
    assert!(worth.contains("not to be had without it") && !other.contains("labels, which"), "{worth}");
    assert!(worth.ends_with("the run has ACC 0.900, the best plain method 0.600."), "{worth}");
    let alone = Comparison { frames: 3, rows: vec![row("run", 1.0, None, None)], left_out: Vec::new() };
    assert!(alone.reading().starts_with("No plain method can be fitted"));
}

#[test]
fn a_run_that_is_none_and_frames_of_another_shape_are_refused() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let fails = |arguments: &[&str], code: i32, message: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_trainer")).args(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && told.contains(message), "{arguments:?}: {told}");
    };
    fails(&["report", &at("nowhere")], 5, "run of `trainer fit`");
    let windows = REPORTS.dir.path().join("windows");
    fails(&["report", &windows.display().to_string()], 3, "the model takes");
    fails(&["report", &windows.display().to_string(), "--data", &at("none.npy")], 3, "none.npy");
}

/// The browser, or None where it may be missing.
fn browser() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let names = ["chromium", "chromium-browser", "google-chrome"].map(PathBuf::from);
    let found = named.into_iter().chain(names).find(|name| Command::new(name).arg("--version").output().is_ok());
    let missing = "no Chromium: apt-get install chromium, or name one in CHROMIUM";
    assert!(found.is_some() || std::env::var_os("REQUIRE_BROWSER").is_none(), "{missing}");
    if found.is_none() {
        eprintln!("skipped: {missing}");
    }
    found
}

/// What the browser makes of a page in a window: its document after loading, and the addresses it asked the network for.
struct Visit {
    document: String,
    fetched: Vec<String>,
}

fn visit(browser: &Path, page: &Path, width: u32) -> Visit {
    let profile = TempDir::new().unwrap();
    let log = profile.path().join("net.json");
    let output = Command::new(browser)
        // No sandbox, since tests may run as root in a container; every name but this machine's is unknown.
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"])
        .args(["--disable-background-networking", "--disable-component-update", "--no-first-run"])
        .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost")
        .arg(format!("--window-size={width},900"))
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--log-net-log={}", log.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let document = String::from_utf8(output.stdout).unwrap();
    assert!(document.contains("</html>"), "{}", String::from_utf8_lossy(&output.stderr));
    Visit { document, fetched: fetched(&std::fs::read_to_string(&log).unwrap()) }
}

/// Addresses in a network log that the page, rather than the browser itself, asked for.
///
/// Chromium may be cut off before it ends the file, so that it is read a line, which is an event, at a time.
fn fetched(log: &str) -> Vec<String> {
    let events = log.lines().filter_map(|l| serde_json::from_str::<serde_json::Value>(l.trim_end_matches(',')).ok());
    let asked = events.filter_map(|event| {
        let url = event["params"]["url"].as_str()?.to_owned();
        // The page's own origin is opaque; the browser's requests say "not an origin".
        let own = event["params"]["initiator"].as_str().is_some_and(|by| by != "not an origin");
        (own && !url.starts_with("file:") && !url.starts_with("data:")).then_some(url)
    });
    asked.collect()
}

/// The page with a script that writes down what only a browser knows: sizes of pictures, width of the page.
fn measured(text: &str) -> String {
    let script = "<script>addEventListener('load', () => { \
         for (const i of document.images) i.dataset.natural = i.naturalWidth * i.naturalHeight; \
         const root = document.documentElement; \
         root.dataset.over = root.scrollWidth - root.clientWidth; root.dataset.inner = innerWidth; \
         for (const s of document.querySelectorAll('figure > svg')) { \
           const box = s.getBoundingClientRect(); \
           const cut = [...s.querySelectorAll('text')].filter(t => { const b = t.getBoundingClientRect(); \
             return b.left < box.left - 1 || b.right > box.right + 1 || b.top < box.top - 1 || b.bottom > box.bottom + 1; }); \
           s.dataset.drawn = Math.round(box.width * box.height); s.dataset.cut = cut.map(t => t.textContent).join('|'); } \
         });</script></body>";
    text.replace("</body>", script)
}

#[test]
fn a_browser_draws_every_figure_and_fetches_nothing() {
    let Some(browser) = browser() else { return };
    let dir = TempDir::new().unwrap();
    for (name, text) in [
        ("digits", &REPORTS.digits),
        ("features", &REPORTS.features),
        ("window", &REPORTS.window),
        ("spectra", &REPORTS.spectra),
    ] {
        let page = dir.path().join(format!("{name}.html"));
        // Without the policy that forbids it, so that a fetch would be seen.
        let text = &text.replace("Content-Security-Policy", "none");
        std::fs::write(&page, text).unwrap();
        let seen = visit(&browser, &page, 1600);
        assert_eq!(seen.fetched, Vec::<String>::new(), "{name}");
        let figures = |text: &str| text.matches("<figure>").count();
        assert!(figures(text) >= 6 && figures(&seen.document) == figures(text), "{name}");

        std::fs::write(&page, measured(text)).unwrap();
        for width in [500, 1600] {
            let document = visit(&browser, &page, width).document;
            let numbers = |key: &str| -> Vec<i64> {
                let start = format!("{key}=\"");
                let parts = document.split(&start).skip(1);
                parts.map(|rest| rest[..rest.find('"').unwrap()].parse().unwrap()).collect()
            };
            let pictures = numbers("data-natural");
            assert_eq!(pictures.len(), text.matches("<img ").count(), "{name}");
            assert!(pictures.iter().all(|area| *area > 0), "{name}: a picture is broken");
            let charts = numbers("data-drawn");
            assert!(!charts.is_empty() && charts.iter().all(|area| *area > 10_000), "{name}: {charts:?}");
            assert_eq!(document.matches("data-cut=\"\"").count(), charts.len(), "{name}: a label is cut at {width}");
            assert_eq!(numbers("data-over"), [0], "{name}: wider than a window of {:?}", numbers("data-inner"));
        }
    }
}

#[test]
fn a_page_that_does_fetch_is_found_out() {
    let Some(browser) = browser() else { return };
    let dir = TempDir::new().unwrap();
    let page = dir.path().join("fetches.html");
    std::fs::write(&page, "<!DOCTYPE html><html><body><img src=\"http://example.invalid/x.png\"></body></html>")
        .unwrap();
    let fetched = visit(&browser, &page, 800).fetched;
    assert!(fetched.iter().any(|url| url == "http://example.invalid/x.png"), "{fetched:?}");
}
