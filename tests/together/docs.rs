//! The pages of the repository: what they link to and name exists, and their commands have the verbs and flags they use.
#![expect(clippy::unwrap_used, reason = "a page that cannot be read is the test's own message")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::process::Command;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

const FOLDERS: [&str; 8] = [".", ".github", "benches", "firmware-sim", "models", "runtime", "tests", "trainer"];
const PACKAGES: [&str; 5] = ["trainer", "runtime", "runtime/c", "firmware-sim", "tests/cross"];
/// First words of code that are paths, but of a user's own files, or stand for any name.
const NOT_OURS: [&str; 3] = ["models/mine", "NAME", "VERB"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A page: where its links point, its headings as GitHub names them, its code by line of a shell or by span.
#[derive(Default)]
struct Page {
    links: Vec<String>,
    anchors: BTreeSet<String>,
    code: Vec<String>,
}

fn parse(text: &str) -> Page {
    let (mut page, mut heading, mut block) = (Page::default(), None, None);
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => page.links.push(dest_url.into()),
            Event::Html(html) | Event::InlineHtml(html) => {
                page.links.extend(html.split("src=\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.into())));
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => page.anchors.extend(heading.take().map(|text| slug(&text))),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(kind))) if &*kind == "sh" => block = Some(String::new()),
            Event::End(TagEnd::CodeBlock) => {
                let lines = block.take().unwrap_or_default().replace("\\\n", " ");
                page.code.extend(lines.lines().map(|line| line.split(" #").next().unwrap_or_default().to_owned()));
            }
            Event::Code(code) => {
                heading.iter_mut().for_each(|text| text.push_str(&code));
                page.code.push(code.into());
            }
            Event::Text(text) => {
                heading.iter_mut().chain(&mut block).for_each(|to| to.push_str(&text));
            }
            _ => {}
        }
    }
    page
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// What the pages may name.
struct Names {
    /// Tests of cargo's with their files.
    tests: BTreeMap<String, PathBuf>,
    packages: BTreeSet<String>,
    /// Flags by program and verb; None where the program does not know the verb.
    flags: BTreeMap<(String, String), Option<BTreeSet<String>>>,
}

impl Names {
    fn new() -> Self {
        let (mut tests, mut packages) = (BTreeMap::new(), BTreeSet::new());
        for package in PACKAGES {
            let manifest = read_to_string(root().join(package).join("Cargo.toml")).unwrap();
            let manifest: toml::Table = manifest.parse().unwrap();
            packages.insert(manifest["package"]["name"].as_str().unwrap().to_owned());
            let listed = manifest.get("test").and_then(toml::Value::as_array).into_iter().flatten();
            let word = |test: &toml::Value, key: &str| test[key].as_str().unwrap().to_owned();
            tests.extend(listed.map(|test| (word(test, "name"), root().join(package).join(word(test, "path")))));
        }
        Self { tests, packages, flags: BTreeMap::new() }
    }

    /// What is wrong with the arguments of a program, by its own help.
    fn arguments(&mut self, program: &str, arguments: &[&str]) -> Vec<String> {
        let verb = arguments.first().filter(|first| !first.starts_with('-')).copied().unwrap_or_default();
        let Some(known) =
            self.flags.entry((program.to_owned(), verb.to_owned())).or_insert_with(|| help(program, verb))
        else {
            return vec![format!("`{program}` has no verb `{verb}`")];
        };
        let flags = arguments.iter().filter(|word| word.starts_with("--") && word.len() > 2);
        let flags = flags.map(|word| word.split('=').next().unwrap_or_default());
        flags.filter(|flag| !known.contains(*flag)).map(|flag| format!("`{program} {verb}` has no `{flag}`")).collect()
    }

    /// A test's function that a page of the tests names and its file has not.
    fn function(&self, folder: &Path, code: &str) -> Option<String> {
        let (test, function) = code.split_once("::").filter(|_| folder == Path::new("tests"))?;
        let path = self.tests.get(test)?;
        let text = read_to_string(path).unwrap_or_default();
        (!text.contains(&format!("fn {function}()"))).then(|| format!("no function `{code}`"))
    }

    /// What is wrong with a line of a shell, or with code in a sentence.
    fn code(&mut self, line: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for command in line.split("&&") {
            let words = command.split_whitespace().skip_while(|word| word.contains('=') && !word.starts_with('-'));
            let words: Vec<&str> = words.take_while(|word| !word.contains("...")).collect();
            let Some(first) = words.first() else { continue };
            let after = |flag: &str| words.windows(2).filter(|pair| pair[0] == flag).map(|pair| pair[1]).collect();
            let (tests, packages): (Vec<&str>, Vec<&str>) = (after("--test"), after("-p"));
            faults.extend(tests.iter().filter(|n| !self.tests.contains_key(**n)).map(|n| format!("no test `{n}`")));
            faults
                .extend(packages.iter().filter(|n| !self.packages.contains(**n)).map(|n| format!("no package `{n}`")));
            let split = words.iter().position(|word| *word == "--").map_or(words.len(), |at| at + 1);
            match packages[..] {
                [program] if words.starts_with(&["cargo", "run"]) && !words.contains(&"--example") => {
                    faults.extend(self.arguments(program, &words[split..]));
                }
                _ if ["trainer", "firmware-sim"].contains(first) => faults.extend(self.arguments(first, &words[1..])),
                _ => {}
            }
        }
        faults
    }
}

/// The flags in the help of a verb; None if the program refuses it.
fn help(program: &str, verb: &str) -> Option<BTreeSet<String>> {
    // The other program lies beside this one where the whole workspace is built, as by tests/run.
    let path = Path::new(env!("CARGO_BIN_EXE_trainer")).with_file_name(program);
    assert!(path.exists(), "{} is not built: cargo build --release -p {program}", path.display());
    let output = Command::new(path).args((!verb.is_empty()).then_some(verb)).arg("--help").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    output.status.success().then(|| words.filter(|word| word.starts_with("--")).map(str::to_owned).collect())
}

/// Whether the first word of code is a path of this repository that does not exist: one whose first folder is there, from
/// the root, from the page's folder or from the sources beside it.
fn missing(folder: &Path, code: &str) -> bool {
    let path = code.split([' ', ':']).next().unwrap_or_default();
    if !path.contains('/') || path.contains(['*', '<', '{', '"', '(']) || NOT_OURS.iter().any(|n| path.contains(n)) {
        return false;
    }
    let bases = [root(), root().join(folder), root().join(folder).join("src"), root().join("trainer/src")];
    let first = path.split('/').next().unwrap_or_default();
    bases.iter().any(|base| !first.is_empty() && base.join(first).exists())
        && !bases.iter().any(|b| b.join(path).exists())
}

/// Everything that is wrong with a page in `folder`.
fn faults(folder: &Path, text: &str, names: &mut Names) -> Vec<String> {
    let page = parse(text);
    let mut faults = Vec::new();
    for link in page.links.iter().filter(|link| !link.contains("://")) {
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = root().join(folder).join(path);
        let there = if path.is_empty() { page.anchors.contains(anchor) } else { target.exists() };
        let linked = || parse(&read_to_string(&target).unwrap_or_default()).anchors;
        if !there || (!path.is_empty() && !anchor.is_empty() && !linked().contains(anchor)) {
            faults.push(format!("link to {link}"));
        }
    }
    for code in &page.code {
        faults.extend(names.code(code));
        faults.extend(names.function(folder, code));
        faults.extend(missing(folder, code).then(|| format!("path {code}")));
    }
    faults
}

#[test]
fn what_the_pages_name_exists() {
    let (mut names, mut found, mut pages) = (Names::new(), Vec::new(), 0);
    for folder in FOLDERS.iter().flat_map(|folder| [PathBuf::from(folder), Path::new(folder).join("docs")]) {
        let Ok(files) = root().join(&folder).read_dir() else { continue };
        for file in files.map(|file| file.unwrap().path()).filter(|file| file.extension().is_some_and(|e| e == "md")) {
            pages += 1;
            let name = folder.join(file.file_name().unwrap());
            let of_page = faults(&folder, &read_to_string(&file).unwrap(), &mut names);
            found.extend(of_page.into_iter().map(|fault| format!("{}: {fault}", name.display())));
        }
    }
    assert!(pages > 15, "only {pages} pages found");
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_front_door_is_short() {
    let lines = read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= 150, "{lines} lines");
}

#[test]
fn what_does_not_exist_is_found() {
    let text = "\
# A page\n\
[good](README.md#status) [here](#a-page) [gone](gone.md) [no heading](README.md#gone) [nor here](#gone)\n\
<img src=\"models/gone.png\">\n\
`trainer fit --set a=b` `trainer paint` `trainer fit --colour` `tests/run --test gone` `tests/run --test gmm`\n\
`cargo run --release -p trainer -- eval --gone=1` `cargo test -p gone` `trainer/src/gone.rs` `elbo/mod.rs`\n\
```sh\n\
A=1 trainer demo \\\n    --seed 1 --loud     # --quiet\n\
trainer fit --data x && trainer sell\n\
```\n";
    let expected = [
        "link to gone.md",
        "link to README.md#gone",
        "link to #gone",
        "link to models/gone.png",
        "`trainer` has no verb `paint`",
        "`trainer fit` has no `--colour`",
        "no test `gone`",
        "`trainer eval` has no `--gone`",
        "no package `gone`",
        "path trainer/src/gone.rs",
        "`trainer demo` has no `--loud`",
        "`trainer` has no verb `sell`",
    ];
    let sorted = |mut faults: Vec<String>| {
        faults.sort();
        faults
    };
    let mut names = Names::new();
    let found = faults(Path::new("."), text, &mut names);
    assert_eq!(sorted(found), sorted(expected.map(str::to_owned).into()));
    let text = "`docs::what_does_not_exist_is_found` `docs::gone` `elsewhere::gone`";
    assert_eq!(faults(Path::new("tests"), text, &mut names), ["no function `docs::gone`"]);
}
