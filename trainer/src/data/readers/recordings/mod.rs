//! Recordings: a file each or several in a table, their rows samples and their columns channels, cut into windows.
//!
//! Samples stay one after the other as they are stored; a window is where it begins. So windows that overlap cost nothing,
//! and what is in files stays there.

mod cut;
mod groups;
mod options;
mod pattern;
mod rates;
mod recorded;
mod resample;
mod times;
mod wav;

pub use options::RecordingOptions;
pub use wav::{is_wav, read as read_wav};

use std::path::{Path, PathBuf};

use self::cut::Cutting;
use self::pattern::Pattern;
use self::recorded::{Recorded, recorded};
use super::find::expanded;
use super::open::{Found, Request};
use super::pictures::list;
use super::raw::Raw;
use super::{ReadError, ReadProblem, Role};
use crate::data::windowing::Windowing;
use crate::data::{Expected, Input};
use crate::error::Subject;
use crate::frame::FrameShape;

/// Whether the data are recordings to be cut: because somebody says so, or because the model is used to them.
///
/// # Errors
/// If something is said of recordings where there are none.
pub fn are_recordings(input: &Input, expected: &Expected) -> Result<bool, ReadProblem> {
    let said = &input.recordings;
    let used = usual(expected).is_some() && input.layout.is_none();
    match said.said().filter(|_| said.window.is_none() && !used) {
        Some(option) => Err(format!("{option} is for recordings that are cut: say --window SPAN too").into()),
        None if input.layout.is_some() && said.window.is_some() => {
            Err("--layout is for frames, and --window for recordings [T,C] that are cut into frames; say one of them"
                .into())
        }
        None => Ok(said.window.is_some() || used),
    }
}

/// How the model cuts recordings.
fn usual(expected: &Expected) -> Option<&Windowing> {
    expected.manner.as_ref()?.windows.as_ref()
}

/// Reads recordings and cuts them into windows; None if these are frames already, which a model of windows takes too.
pub fn read(request: &Request<'_>) -> Result<Option<(Subject, Raw)>, ReadError> {
    let input = request.input;
    let subject = match &input.data[..] {
        [path] => Subject::from(path),
        _ => Subject::from(&*input.name()),
    };
    let of_all = |problem: ReadProblem| ReadError::new(subject.clone(), problem);
    let said = &input.recordings;
    let pattern = |text: &Option<String>| match text {
        Some(text) => Pattern::of(text).map_err(|problem| of_all(problem.into())),
        None => Ok(None),
    };
    let (group, class) = (pattern(&said.group)?, pattern(&input.label)?);
    let columns = Columns::of(input, request.expected, group.is_some(), class.is_some());
    let plain = Request { input: &columns.input, ..*request };
    if input.label.as_deref().map(Path::new).is_some_and(Path::is_file) {
        let problem =
            "--label: a file of labels is for frames; of recordings name a column, or a pattern of paths with {}";
        return Err(of_all(problem.into()));
    }
    let (files, left_out) = files(&input.data, request.role)?;
    let mut all: Vec<Recorded> = Vec::new();
    let mut whole: Option<Raw> = None;
    for (path, name) in &files {
        let fault = |problem: ReadProblem| ReadError::new(path, problem);
        let raw = match plain.file(path).map_err(|e| lacking(e, &columns, said))? {
            Found::Raw(raw) => *raw,
            Found::Picture(_) => return Err(fault("is a picture, expected a recording: rows of samples".into())),
        };
        // Windows that were cut already, as the model takes them.
        let is_cut = |shape: FrameShape| {
            let axes: Vec<usize> = raw.sizes[1..].iter().copied().filter(|size| *size != 1).collect();
            let own: Vec<usize> = [shape.channels, shape.width].into_iter().filter(|size| *size != 1).collect();
            axes == own || axes.iter().rev().eq(&own)
        };
        if raw.sizes.len() > 2 && said.window.is_none() && request.expected.shape.is_none_or(is_cut) {
            return Ok(None);
        }
        if !raw.has_columns {
            plain.check_names(&raw).map_err(fault)?;
        }
        let (raw, mut of_file) = recorded(raw, name, &columns).map_err(fault)?;
        for recording in &mut of_file {
            let find = |pattern: &Option<Pattern>| {
                let whole = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                pattern.as_ref().map(|pattern| pattern.find(&whole)).transpose()
            };
            recording.group = find(&group).map_err(|e| fault(e.into()))?.or(recording.group.take());
            recording.class = find(&class).map_err(|e| fault(e.into()))?;
        }
        let before = whole.as_ref().map_or(0, |raw| raw.sizes[0]);
        of_file
            .iter_mut()
            .for_each(|recording| recording.rows = recording.rows.start + before..recording.rows.end + before);
        all.extend(of_file);
        whole = Some(match whole {
            None => raw,
            Some(before) => before.followed_by(raw).map_err(fault)?,
        });
    }
    let Some(mut whole) = whole else { return Err(of_all("no recording".into())) };
    if !left_out.is_empty() {
        whole.notes.push(super::find::left_out(&left_out, "recordings"));
    }
    if usual(request.expected).is_some() && request.expected.columns.is_none() && whole.columns.is_some() {
        whole.notes.push("channels are taken as they come, since the model does not keep their names".to_owned());
    }
    let cutting = Cutting { said, usual: usual(request.expected), columns: &columns, role: request.role };
    Ok(Some((subject.clone(), cutting.cut(whole, all, files.len()).map_err(of_all)?)))
}

/// The error with a word on how to go without a column of times that the model's recordings had.
fn lacking(error: ReadError, columns: &Columns, said: &RecordingOptions) -> ReadError {
    let told = error.problem.to_string();
    match &columns.time {
        Some((name, _)) if said.time.is_none() && told.starts_with(&format!("no column \"{name}\"")) => {
            let problem =
                format!("{told}; the model was fitted to recordings with these times: --time none goes without");
            ReadError::new(error.subject, problem)
        }
        _ => error,
    }
}

/// Files of recordings with their names, and what was left out.
type Files = (Vec<(PathBuf, String)>, Vec<String>);

/// The files of recordings with their names, those of folders by what is in them, and what was left out there.
fn files(paths: &[PathBuf], role: Role) -> Result<Files, ReadError> {
    const EXTENSIONS: [&str; 14] =
        ["wav", "wave", "csv", "tsv", "tab", "dat", "gz", "npy", "npz", "parquet", "pq", "arrow", "feather", "ipc"];
    let (mut files, mut others) = (Vec::new(), Vec::new());
    // Of several folders each may have a file of the same name.
    let several = paths.len() > 1;
    for path in expanded(paths)? {
        if !path.is_dir() {
            let name = path.display().to_string();
            files.push((path, name));
            continue;
        }
        let path = super::find::part_folder(&path, role).unwrap_or(path);
        let is_recording = |file: &Path| {
            let extension = super::known::extension(file);
            EXTENSIONS.contains(&&*extension)
        };
        let listing = list(&path, &is_recording)?;
        let name = |file: &Path| {
            let inside = file.strip_prefix(&path).ok().filter(|_| !several);
            inside.unwrap_or(file).display().to_string()
        };
        if listing.found.is_empty() {
            let problem = format!("no recording in this folder; recordings are files of {}", EXTENSIONS.join(", "));
            return Err(ReadError::new(&path, problem));
        }
        others.extend(listing.others.iter().map(|file| name(file)));
        let named = listing.found.iter().map(|file| (file.clone(), name(file)));
        files.extend(named);
    }
    Ok((files, others))
}

/// The columns that say something of samples, and are no channels.
pub struct Columns {
    /// What is asked of the other columns of a file.
    input: Input,
    /// Name and unit in seconds of the times.
    time: Option<(String, f64)>,
    /// Name of the column of recordings.
    recording: Option<String>,
    /// Name of the column of groups.
    group: Option<String>,
}

impl Columns {
    fn of(input: &Input, expected: &Expected, group_in_path: bool, class_in_path: bool) -> Self {
        let (said, usual) = (&input.recordings, usual(expected));
        let asked = |said: &Option<String>, usual: Option<&String>| {
            said.clone().or(usual.cloned()).filter(|name| !name.eq_ignore_ascii_case("none"))
        };
        let time = asked(&said.time, usual.and_then(|usual| usual.time.as_ref()));
        let time = time.map(|text| {
            let (name, unit) = times::asked(&text);
            (name.to_owned(), unit)
        });
        let recording = asked(&said.recording, usual.and_then(|usual| usual.recording.as_ref()));
        let group = said.group.clone().filter(|_| !group_in_path);
        let mut input = input.clone();
        let names = [time.as_ref().map(|(name, _)| name), recording.as_ref(), group.as_ref()];
        for name in names.into_iter().flatten() {
            input.keep.push(name.clone());
            input.table.ignore.push(name.clone());
        }
        if class_in_path {
            input.label = Some("none".to_owned());
        }
        Self { input, time, recording, group }
    }

    /// How many columns are carried for the cutting alone, after those that the user keeps.
    fn carried(&self) -> usize {
        [self.time.is_some(), self.recording.is_some(), self.group.is_some()].into_iter().filter(|is| *is).count()
    }
}
