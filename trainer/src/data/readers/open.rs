//! Opens a data set: finds the files, and picks the reader by what they begin with, then by their names.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use super::columnar::{self, Format};
use super::find::{expanded, labels_beside, left_out, mnist_file, nothing_in, part_folder};
use super::idx::{GZIP_MAGIC, looks_like_idx, unzipped};
use super::known::{INPUTS, extension, known_but_not_read};
use super::labels::RawLabels;
use super::pictures::{self, is_picture, is_pipe};
use super::raw::Raw;
use super::recordings;
use super::table::{self, TableRequest};
use super::values::Values;
use super::{ReadError, ReadProblem, idx, npy};
use crate::data::{Expected, Input};
use crate::error::Subject;

/// One of the two parts of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// The part models are fitted on (`train-*` in an MNIST folder).
    Fit,
    /// The part models are scored on (`t10k-*` in an MNIST folder).
    Score,
}

impl Role {
    /// How MNIST's files of this part begin.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Role::Fit => "train",
            Role::Score => "t10k",
        }
    }
}

/// The parts of the data: both of the embedded digits, a folder of MNIST's files or with `train` and `test` in it, or an
/// archive that has both, else the one that holds everything there is.
pub fn parts(input: &Input) -> Vec<Role> {
    let both = [Role::Fit, Role::Score];
    let path = match &input.data[..] {
        [] => return both.to_vec(),
        [path] => path,
        _ => return vec![Role::Score],
    };
    let mut found: Vec<Role> =
        both.into_iter().filter(|role| mnist_file(path, *role, "images-idx3-ubyte").is_some()).collect();
    if both.into_iter().all(|role| part_folder(path, role).is_some()) {
        found = both.to_vec();
    }
    if let (true, None, Ok(file)) = (extension(path) == "npz", &input.array, File::open(path)) {
        found = npy::parts(BufReader::new(file));
    }
    if found.is_empty() { vec![Role::Score] } else { found }
}

/// What a part of the data holds, and what the data are called.
pub fn read(input: &Input, role: Role, expected: &Expected, weight: Option<&str>) -> Result<(Subject, Raw), ReadError> {
    let request = Request { input, role, expected, weight };
    if recordings::are_recordings(input, expected).map_err(|problem| ReadError::new(&*input.name(), problem))?
        && let Some(found) = recordings::read(&request)?
    {
        return Ok(found);
    }
    let (mut raws, mut sources, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for path in expanded(&input.data)? {
        if path.is_dir() && mnist_file(&path, role, "images-idx3-ubyte").is_none() {
            let path = part_folder(&path, role).unwrap_or(path);
            let (pictures, left_out) = pictures::of_folder(&path)?;
            if pictures.is_empty() {
                return Err(ReadError::new(&path, nothing_in(role, &left_out)));
            }
            sources.extend(pictures);
            others.extend(left_out);
        } else if is_picture(&path) && path.exists() && !is_pipe(&path) {
            let name = path.display().to_string();
            sources.push(pictures::Source { path, name, class: None, bytes: None });
        } else {
            let file = if path.is_dir() { mnist_file(&path, role, "images-idx3-ubyte").unwrap_or(path) } else { path };
            match request.file(&file)? {
                Found::Raw(raw) => raws.push((file, *raw)),
                Found::Picture(source) => sources.push(source),
            }
        }
    }
    let subject = match &input.data[..] {
        [path] => Subject::from(path),
        _ => Subject::from(&*input.name()),
    };
    if !sources.is_empty() {
        if let Some((file, _)) = raws.first() {
            return Err(ReadError::new(file, "is no picture, as the others are"));
        }
        if let Some(name) = input.keep.iter().chain(&input.table.columns).chain(&input.table.ignore).next() {
            let problem =
                format!("no column \"{name}\": pictures have none; the names of their files are in the answers");
            return Err(ReadError::new(subject, problem));
        }
        let mut raw = request.decode(&sources)?;
        let beside = input.label.as_deref().map(Path::new).and_then(Path::file_name).map(|name| name.to_string_lossy());
        others.retain(|other| Some(&**other) != beside.as_deref());
        if !others.is_empty() {
            raw.notes.push(left_out(&others, "pictures"));
        }
        raw.labels = labels_of_pictures(input, &sources, raw.labels)?;
        return Ok((subject, raw));
    }
    let mut raws = raws.into_iter();
    let Some((_, mut all)) = raws.next() else { return Err(ReadError::new(subject, "no file")) };
    if let Some(rate) = all.rate {
        let problem =
            format!("a recording of {rate} samples a second: say --window SPAN, as --window 500ms, to cut it");
        return Err(ReadError::new(subject, problem));
    }
    if let Some((name, labels)) = request.labels_file(&all)? {
        all.labels = Some((name, labels));
    } else if !all.has_columns {
        request.check_names(&all).map_err(|problem| ReadError::new(subject.clone(), problem))?;
    }
    let more = raws.len();
    if let Some(layout) = input.layout.as_ref().filter(|layout| more > 0 && !layout.is_by_frame()) {
        return Err(ReadError::new(subject, format!("several files of --layout {layout}, expected n first")));
    }
    for (file, raw) in raws {
        all = all.followed_by(raw).map_err(|problem| ReadError::new(&file, problem))?;
    }
    if more > 0 {
        all.format = format!("{} files, {}", more + 1, all.format);
    }
    Ok((subject, all))
}

/// What the bytes of a file of this name hold.
pub fn read_bytes(input: &Input, name: &Path, bytes: Vec<u8>, expected: &Expected) -> Result<Raw, ReadError> {
    let request = Request { input, role: Role::Score, expected, weight: None };
    match request.bytes(name, bytes).map_err(|problem| ReadError::new(name, problem))? {
        Found::Raw(raw) => Ok(*raw),
        Found::Picture(source) => request.decode(&[source]),
    }
}

/// The classes of pictures: those of their sub-folders, unless `--label` names a table of others, or none.
fn labels_of_pictures(
    input: &Input,
    sources: &[pictures::Source],
    by_folder: Option<(String, RawLabels)>,
) -> Result<Option<(String, RawLabels)>, ReadError> {
    match input.label.as_deref() {
        None => Ok(by_folder),
        Some("none") => Ok(None),
        Some(file) => {
            let path = Path::new(file);
            let read = || pictures::labels(&std::fs::read(path)?, &input.table, sources);
            let labels = read().map_err(|problem| match problem {
                ReadProblem::Io(e) if e.kind() == std::io::ErrorKind::NotFound => ReadError::new(
                    path,
                    "no such file; pictures have classes by their sub-folders, or by a table of their names and classes",
                ),
                problem => ReadError::new(path, problem),
            })?;
            Ok(Some((file.to_owned(), labels)))
        }
    }
}

impl Request<'_> {
    /// The labels of a file of their own that `--label` names, if the data have no column or array of that name.
    fn labels_file(&self, raw: &Raw) -> Result<Option<(String, RawLabels)>, ReadError> {
        let Some(path) = self.input.label.as_deref().map(Path::new).filter(|path| path.is_file()) else {
            return Ok(None);
        };
        if raw.labels.is_some() {
            return Ok(None);
        }
        let read = || -> Result<RawLabels, ReadProblem> {
            let bytes = std::fs::read(path)?;
            let bytes = unzipped(&bytes)?;
            match () {
                () if is_npy(&bytes, path) => npy::read_labels(&bytes[..]),
                () if looks_like_idx(&bytes) => idx::labels(&bytes),
                () => table::read_labels(&bytes, &self.input.table),
            }
        };
        let labels = read().map_err(|problem| ReadError::new(path, problem))?;
        Ok(Some((path.display().to_string(), labels)))
    }

    /// Refuses options that name columns where there are none, so that none is passed over in silence.
    pub fn check_names(&self, raw: &Raw) -> Result<(), ReadProblem> {
        let table = &self.input.table;
        let label = self.input.label.as_deref().filter(|label| *label != "none" && raw.labels.is_none());
        let asked = [self.weight, label].into_iter().flatten();
        let named =
            table.columns.iter().chain(&table.ignore).chain(self.input.keep.iter().filter(|_| raw.kept.is_empty()));
        let column = asked.chain(named.map(String::as_str)).next();
        match column {
            Some(name) => {
                Err(format!("no column \"{name}\": only a table names its columns, and an .npz its arrays").into())
            }
            None => Ok(()),
        }
    }
}

/// What a file turned out to be.
pub enum Found {
    Raw(Box<Raw>),
    Picture(pictures::Source),
}

/// What is read, and for whom.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// What is said of the data.
    pub input: &'a Input,
    /// The part that is read.
    pub role: Role,
    /// What is known of the frames.
    pub expected: &'a Expected,
    /// Column of weights.
    pub weight: Option<&'a str>,
}

impl Request<'_> {
    /// What a file, or standard input for `-`, holds.
    pub fn file(&self, path: &Path) -> Result<Found, ReadError> {
        let fault = |problem| ReadError::new(path, problem);
        if path == Path::new("-") {
            let mut bytes = Vec::new();
            let stdin = |e| ReadError::new("standard input", e);
            std::io::stdin().read_to_end(&mut bytes).map_err(|e: std::io::Error| stdin(ReadProblem::from(e)))?;
            return self.bytes(path, bytes).map_err(stdin);
        }
        if is_pipe(path) {
            return self.bytes(path, std::fs::read(path).map_err(|e| fault(e.into()))?).map_err(fault);
        }
        let mut start = Vec::new();
        let mut file = File::open(path).map_err(|e| fault(e.into()))?;
        file.by_ref().take(16).read_to_end(&mut start).map_err(|e| fault(e.into()))?;
        let reopened = || File::open(path).map(BufReader::new).map_err(|e| fault(e.into()));
        if is_npy(&start, path) {
            let raw = match npy::in_place(path).map_err(fault)? {
                Some(raw) => raw,
                None => npy::read_npy(reopened()?).map_err(fault)?,
            };
            return Ok(Found::Raw(Box::new(raw)));
        }
        if is_npz(&start, path) {
            return Ok(Found::Raw(Box::new(npy::read_npz(reopened()?, self.role, &self.wanted()).map_err(fault)?)));
        }
        let in_place = if looks_like_idx(&start) { idx::in_place(path).map_err(fault)? } else { None };
        let found = match in_place {
            Some((sizes, values)) => Found::Raw(Box::new(of_idx(sizes, values).map_err(fault)?)),
            None => self.bytes(path, std::fs::read(path).map_err(|e| fault(e.into()))?).map_err(fault)?,
        };
        let Found::Raw(mut raw) = found else { return Ok(found) };
        if let Some(beside) = labels_beside(path).filter(|_| raw.format == IDX) {
            let labels = std::fs::read(&beside).map_err(ReadProblem::from).and_then(|bytes| idx::labels(&bytes));
            let labels = labels.map_err(|problem| ReadError::new(&beside, problem))?;
            let name = beside.file_name().unwrap_or_default().to_string_lossy().into_owned();
            raw.labels = Some((name, labels));
        }
        Ok(Found::Raw(raw))
    }

    fn wanted(&self) -> npy::Wanted<'_> {
        let manner = self.expected.manner.as_ref();
        npy::Wanted {
            frames: self.input.array.as_deref(),
            labels: self.input.label.as_deref(),
            usual_frames: manner.and_then(|manner| manner.array.as_deref()),
            usual_labels: manner.and_then(|manner| manner.label.as_deref()),
        }
    }

    /// What bytes hold, by how they begin; `path` says more where that leaves a choice.
    fn bytes(&self, path: &Path, bytes: Vec<u8>) -> Result<Found, ReadProblem> {
        let bytes = if bytes.starts_with(&GZIP_MAGIC) { unzipped(&bytes)?.into_owned() } else { bytes };
        if is_npy(&bytes, path) {
            return Ok(Found::Raw(Box::new(npy::read_npy(&bytes[..])?)));
        }
        if is_npz(&bytes, path) {
            return Ok(Found::Raw(Box::new(npy::read_npz(Cursor::new(bytes), self.role, &self.wanted())?)));
        }
        if looks_like_idx(&bytes) {
            let array = idx::parse(&bytes)?;
            return Ok(Found::Raw(Box::new(of_idx(array.sizes, array.values.into())?)));
        }
        if image::guess_format(&bytes).is_ok() {
            let name = path.display().to_string();
            return Ok(Found::Picture(pictures::Source {
                path: path.to_owned(),
                name,
                class: None,
                bytes: Some(bytes),
            }));
        }
        if let Some(format) = Format::of(&bytes) {
            let raw = columnar::read(format, bytes, &self.wanted(), self.table(), &|pictures| self.decode(pictures))?;
            return Ok(Found::Raw(Box::new(raw)));
        }
        if recordings::is_wav(&bytes) {
            return Ok(Found::Raw(Box::new(recordings::read_wav(bytes)?)));
        }
        if let Some(format) = known_but_not_read(&bytes) {
            return Err(format!("{format} is not read; inputs are {INPUTS}").into());
        }
        if bytes.starts_with(&[0, 0]) {
            return Err(format!(
                "byte 0: {:02x?}, no IDX file (magic 00 00 type dimensions); inputs are {INPUTS}",
                &bytes[..bytes.len().min(4)]
            )
            .into());
        }
        Ok(Found::Raw(Box::new(table::read(&bytes, self.table())?)))
    }

    /// The frames of pictures, as they are asked for or as the model is used to them.
    fn decode(&self, sources: &[pictures::Source]) -> Result<Raw, ReadError> {
        let colours = self.expected.shape.is_some_and(|shape| shape.channels == 3);
        let said = &self.input.pictures;
        let used = self.expected.manner.as_ref().map(|manner| manner.of_pictures(said)).transpose();
        let used = used.map_err(|problem| ReadError::new("pictures", problem))?;
        let (options, as_fitted) = used.unwrap_or_else(|| (said.clone(), Vec::new()));
        let mut raw = pictures::read(sources, &options, colours)?;
        if !as_fitted.is_empty() {
            raw.notes.push(format!("{}, as the model was fitted", as_fitted.join(" ")));
        }
        Ok(raw)
    }

    /// What is asked of the columns of a table.
    fn table(&self) -> TableRequest<'_> {
        TableRequest {
            options: &self.input.table,
            label: self.input.label.as_deref(),
            weight: self.weight,
            keep: &self.input.keep,
            expected: self.expected,
            missing: self.input.missing,
        }
    }
}

/// The name of the format IDX.
const IDX: &str = "IDX";

/// The frames of an IDX file, of bytes rather pictures than not.
fn of_idx(sizes: Vec<usize>, values: Values) -> Result<Raw, ReadProblem> {
    let letters = match sizes.len() {
        3 => Some("nhw"),
        4 => Some("nchw"),
        2 => None,
        _ => return Err(format!("sizes {sizes:?}, expected images [N,H,W] or [N,C,H,W], or rows [N,F]").into()),
    };
    let layout = letters.filter(|_| values.white().is_some()).and_then(|letters| letters.parse().ok());
    Ok(Raw { layout, pixels: true, ..Raw::of(IDX, sizes, values) })
}

/// By the first bytes; an empty or damaged file by its name.
fn is_npy(start: &[u8], path: &Path) -> bool {
    start.starts_with(b"\x93NUMPY") || extension(path) == "npy"
}

/// By the first bytes; an empty or damaged file by its name.
fn is_npz(start: &[u8], path: &Path) -> bool {
    start.starts_with(b"PK\x03\x04") || extension(path) == "npz"
}
