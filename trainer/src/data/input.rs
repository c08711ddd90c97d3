//! The options by which data are read, the same for every verb.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, FromArgMatches};

use super::layout::Layout;
use super::manner::Manner;
use super::meaning::{Expected, Said};
use super::missing::Missing;
use super::readers::{self, PictureOptions, Raw, RecordingOptions, Role, TableOptions, Value};
use super::{DataSet, Frames, Source};
use crate::error::{Error, Result, Subject};

/// Where frames are read from, and what is said of them.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Input {
    /// Frames: files (IDX, .npy, .npz, tables, pictures), folders, patterns such as 'a/*.csv', or - for standard input
    /// [default: the embedded digits]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// Axes of an array: nf, nt, nct, ntc, nhw, nchw, nhwc, or their letters in another order; of frames that are rows of
    /// numbers with sizes, as nhw:28x28 [default: by the sizes]
    #[arg(long, value_name = "AXES", help_heading = READING)]
    pub layout: Option<Layout>,
    /// Array of an .npz that holds the frames [default: one with a usual name]
    #[arg(long, value_name = "NAME", help_heading = READING)]
    pub array: Option<String>,
    /// Column, array or file of classes, which only score; none for none [default: one with a usual name]
    #[arg(long, value_name = "NAME|INDEX|FILE", help_heading = READING, allow_hyphen_values = true)]
    pub label: Option<String>,
    /// Columns of a table that are carried through to the output of `predict`, by name or number from 1
    #[arg(skip)]
    pub keep: Vec<String>,
    /// What becomes of frames in which a value is missing
    #[arg(long, value_enum, default_value_t, help_heading = READING)]
    pub missing: Missing,
    /// Stored value of pictures that counts as 1 [default: 255 for u8, 65535 for u16]
    #[arg(long, value_name = "VALUE", help_heading = READING)]
    pub white: Option<f64>,
    /// How tables are written.
    #[command(flatten)]
    pub table: TableOptions,
    /// What is done to pictures.
    #[command(flatten)]
    pub pictures: PictureOptions,
    /// How recordings are cut.
    #[command(flatten)]
    pub recordings: RecordingOptions,
}

/// Heading of the options in the help of a verb.
pub(super) const READING: &str = "Reading data";

impl Input {
    /// The options of a path, everything else by default; without a path, the embedded digits.
    pub fn of(path: Option<&Path>) -> Self {
        Self { data: path.map(Path::to_owned).into_iter().collect(), ..Self::default() }
    }

    /// True if nothing is to be read, which stands for the digits in the program.
    pub fn is_embedded(&self) -> bool {
        self.data.is_empty()
    }

    /// The parts that the data have: two for the embedded digits, a folder of MNIST's files or with `train` and `test` in
    /// it, and an archive that names both; else one.
    pub fn parts(&self) -> Vec<Role> {
        readers::parts(self)
    }

    /// Reads a part of the data.
    ///
    /// # Errors
    /// [`crate::Error::Data`] with the file, the place and what was expected.
    pub fn open(&self, role: Role) -> Result<DataSet> {
        self.open_for(role, &Expected::default())
    }

    /// Reads a part of the data for a model or settings that know something of them.
    ///
    /// # Errors
    /// As for [`Input::open`].
    pub fn open_for(&self, role: Role, expected: &Expected) -> Result<DataSet> {
        if self.is_embedded() {
            let mut set = readers::digits::set(role)?;
            set.taken.kind = expected.kind.unwrap_or(set.taken.kind);
            return Ok(set);
        }
        self.read::<f32>(role, expected, None)
    }

    /// Reads a table in double precision, a row a frame; `weight` is the column of weights.
    ///
    /// # Errors
    /// As for [`Input::open`].
    pub fn open_table(&self, weight: Option<&str>, expected: &Expected) -> Result<DataSet<Frames<f64>>> {
        let rows = self.layout.is_none().then(|| "nf".parse().ok()).flatten();
        let input = Self { layout: rows.or(self.layout.clone()), ..self.clone() };
        let DataSet { frames, columns, classes, files, weights, kept, taken } =
            input.read::<f64>(Role::Score, expected, weight)?;
        Ok(DataSet { frames: frames.all_as()?, columns, classes, files, weights, kept, taken })
    }

    /// Takes the bytes of a file for what they are, by how they begin, and by the name of the file.
    ///
    /// # Errors
    /// As for [`Input::open`].
    pub fn open_bytes(&self, name: &Path, bytes: Vec<u8>) -> Result<DataSet> {
        let expected = Expected::default();
        self.set::<f32>(name.into(), readers::read_bytes(self, name, bytes, &expected)?, &expected)
    }

    fn read<T: Value + Default>(&self, role: Role, expected: &Expected, weight: Option<&str>) -> Result<DataSet> {
        let (subject, raw) = readers::read(self, role, expected, weight)?;
        self.set::<T>(subject, raw, expected)
    }

    fn set<T: Value + Default>(&self, subject: Subject, raw: Raw, expected: &Expected) -> Result<DataSet> {
        let said = Said { layout: self.layout.as_ref(), white: self.white, ..Said::default() };
        let set = DataSet::of::<T>(raw, said, self.missing, expected);
        Ok(set.map_err(|problem| readers::ReadError::new(subject, problem))?)
    }

    /// How these frames were read, for others that a model of them is used on.
    pub fn manner(&self, set: &DataSet) -> Manner {
        let windows = set.frames.recordings().map(|recordings| &recordings.windowing);
        Manner::of(self, set.taken.white.map(|white| (set.taken.stored, white)), set.columns.is_some(), windows)
    }

    /// True if frames come from standard input, which can be read once.
    pub fn is_standard(&self) -> bool {
        self.data.iter().any(|path| path.as_os_str() == "-")
    }

    /// The same with absolute paths.
    ///
    /// # Errors
    /// [`crate::Error::Resource`] if there is no working directory.
    pub fn absolute(&self) -> Result<Self> {
        let absolute = |path: &PathBuf| match path.as_os_str() == "-" {
            true => Ok(path.clone()),
            false => std::path::absolute(path).map_err(|e| Error::resource(path.display(), e)),
        };
        let data = self.data.iter().map(absolute).collect::<Result<_>>()?;
        // A file of labels is one only if it is there; else it is a name.
        let label = match &self.label {
            Some(name) if Path::new(name).is_file() => {
                Some(absolute(&PathBuf::from(name))?.to_string_lossy().into_owned())
            }
            label => label.clone(),
        };
        Ok(Self { data, label, ..self.clone() })
    }

    /// What [`Input::words`] gave.
    ///
    /// # Errors
    /// [`crate::Error::Data`] if they are none of these words.
    pub fn of_words(words: &[String]) -> Result<Self> {
        let command = Self::augment_args(clap::Command::new("data").no_binary_name(true));
        let read = || Self::from_arg_matches(&command.try_get_matches_from(words)?);
        read().map_err(|e: clap::Error| Error::data("data", e.kind()))
    }

    /// The words of a command line that say the same.
    pub fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        let mut say = |name: &str, value: Option<String>| {
            // In one word, since values may begin with a dash.
            words.extend(value.map(|value| format!("--{name}={value}").into()));
        };
        let joined = |names: &[String]| (!names.is_empty()).then(|| names.join(","));
        let (table, pictures, recordings) = (&self.table, &self.pictures, &self.recordings);
        say("layout", self.layout.as_ref().map(Layout::to_string));
        say("array", self.array.clone());
        say("label", self.label.clone());
        say("missing", word(&self.missing));
        say("white", self.white.map(|white| white.to_string()));
        say("delimiter", table.delimiter.map(|delimiter| delimiter.word()));
        say("decimal", table.decimal.as_ref().and_then(word));
        say("header", word(&table.header));
        say("skip", (table.skip > 0).then(|| table.skip.to_string()));
        say("encoding", table.encoding.clone());
        say("columns", joined(&table.columns));
        say("ignore", joined(&table.ignore));
        say("crop", pictures.crop.map(|size| size.to_string()));
        say("resize", pictures.resize.map(|size| size.to_string()));
        say("background", word(&pictures.background));
        say("window", recordings.window.map(|span| span.to_string()));
        say("hop", recordings.hop.map(|span| span.to_string()));
        say("rate", recordings.rate.map(|rate| rate.to_string()));
        say("time", recordings.time.clone());
        say("gap", recordings.gap.map(|span| span.to_string()));
        say("resample", recordings.resample.map(|rate| rate.to_string()));
        say("recording", recordings.recording.clone());
        say("group", recordings.group.clone());
        say("hold-out", joined(&recordings.hold_out));
        words.extend(pictures.gray.then(|| "--gray".into()));
        if !self.is_embedded() {
            words.push("--data".into());
            words.extend(self.data.iter().map(OsString::from));
        }
        words
    }

    /// What the data are called in an error about all of them.
    pub fn name(&self) -> String {
        match &self.data[..] {
            [] => "the digits embedded in the program".to_owned(),
            paths => paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "),
        }
    }
}

/// The word for a value of an option.
pub(super) fn word(value: &impl clap::ValueEnum) -> Option<String> {
    value.to_possible_value().map(|value| value.get_name().to_owned())
}

/// Reads a part of a data set into memory, everything as by default; without a path, the digits embedded in the program.
///
/// # Errors
/// As for [`Input::open`].
pub fn open(path: Option<&Path>, role: Role) -> Result<Frames> {
    Input::of(path).open(role)?.frames.all()
}
