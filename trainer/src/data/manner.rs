//! How frames were read that a model was fitted to, so that others of the kind are read so too, unasked.

use serde::{Deserialize, Serialize};

use super::input::{Input, word};
use super::layout::Layout;
use super::readers::{PictureOptions, Size, Values};
use super::windowing::Windowing;

/// What was said of the frames that a model was fitted to, as far as it holds for other files too.
///
/// How a file is written (delimiters, decimals, encodings) is said of every file anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Manner {
    /// The meaning of the axes of arrays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
    /// The type of stored values, and the one that counts as 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub white: Option<(String, String)>,
    /// Array or column that holds the frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array: Option<String>,
    /// Column or array of classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Columns that are the features, by number: names are the model's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Columns that are left out, by number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Size that is cut out of pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<String>,
    /// Size that pictures are brought to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<String>,
    /// Whether colours are taken as grey.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gray: bool,
    /// What lies behind transparent parts of pictures, if not what does by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// How recordings are cut into windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows: Option<Windowing>,
}

impl Manner {
    /// What `input` said of frames; `white` is the stored value that became 1, of this type, and `named` says whether their
    /// columns have names.
    pub(super) fn of(input: &Input, white: Option<(&str, f64)>, named: bool, windows: Option<&Windowing>) -> Self {
        let numbers = |names: &[String]| if named { Vec::new() } else { names.to_vec() };
        // A file of labels is of the frames in one file.
        let label = input.label.clone().filter(|name| !std::path::Path::new(name).is_file() && !name.contains("{}"));
        Self {
            layout: input.layout.as_ref().map(Layout::to_string),
            white: white.map(|(kind, white)| (kind.to_owned(), white.to_string())),
            array: input.array.clone(),
            label,
            columns: numbers(&input.table.columns),
            ignore: numbers(&input.table.ignore),
            crop: input.pictures.crop.map(|size| size.to_string()),
            resize: input.pictures.resize.map(|size| size.to_string()),
            gray: input.pictures.gray,
            background: Some(input.pictures.background).filter(|b| *b != Default::default()).and_then(|b| word(&b)),
            windows: windows.cloned(),
        }
    }

    /// The layout of arrays.
    pub(super) fn layout(&self) -> Option<Layout> {
        self.layout.as_ref()?.parse().ok()
    }

    /// The value that counts as 1 among values of the same type.
    pub(super) fn white(&self, values: &Values) -> Option<f64> {
        let (kind, white) = self.white.as_ref()?;
        white.parse().ok().filter(|_| kind == values.type_name())
    }

    /// What is done to pictures: what is said, and what else the model is used to, with the words of that.
    ///
    /// # Errors
    /// If something else is said than what the model is used to.
    pub(super) fn of_pictures(&self, said: &PictureOptions) -> Result<(PictureOptions, Vec<String>), String> {
        fn size(name: &str, said: Option<Size>, kept: Option<&String>) -> Result<Option<Size>, String> {
            let kept = kept.and_then(|text| text.parse().ok());
            match (said, kept) {
                (Some(said), Some(kept)) if said != kept => {
                    Err(format!("--{name} {said}: the model was fitted to frames of --{name} {kept}"))
                }
                _ => Ok(said.or(kept)),
            }
        }
        let kept = self.background.as_ref().and_then(|text| clap::ValueEnum::from_str(text, false).ok());
        let options = PictureOptions {
            crop: size("crop", said.crop, self.crop.as_ref())?,
            resize: size("resize", said.resize, self.resize.as_ref())?,
            gray: said.gray || self.gray,
            background: kept.unwrap_or(said.background),
        };
        let crop = options.crop.filter(|_| said.crop.is_none()).map(|size| format!("--crop {size}"));
        let resize = options.resize.filter(|_| said.resize.is_none()).map(|size| format!("--resize {size}"));
        let gray = (self.gray && !said.gray).then(|| "--gray".to_owned());
        let background = self.background.as_ref().filter(|_| options.background != said.background);
        let background = background.map(|name| format!("--background {name}"));
        Ok((options, [crop, resize, gray, background].into_iter().flatten().collect()))
    }
}
