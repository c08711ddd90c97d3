//! What may be said of pictures on the command line.

use std::str::FromStr;

use super::super::super::input::READING;

/// What is done to pictures before they become frames: cut, then resized.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct PictureOptions {
    /// Cut the middle of this size out of every picture
    #[arg(long, value_name = "WxH", help_heading = READING)]
    pub crop: Option<Size>,
    /// Resize every picture to this size
    #[arg(long, value_name = "WxH", help_heading = READING)]
    pub resize: Option<Size>,
    /// Take colour pictures as grey ones
    #[arg(long, help_heading = READING)]
    pub gray: bool,
    /// What lies behind the transparent parts of pictures
    #[arg(long, value_enum, default_value_t, help_heading = READING)]
    pub background: Background,
}

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns W.
    pub width: u32,
    /// Rows H.
    pub height: u32,
}

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let size = |text: &str| text.parse().ok().filter(|size| (1..=65536).contains(size));
        let (width, height) = text.split_once(['x', 'X']).unwrap_or((text, text));
        match (size(width), size(height)) {
            (Some(width), Some(height)) => Ok(Self { width, height }),
            _ => Err("expected width and height in pixels, as 28x28"),
        }
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// What lies behind transparent parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Background {
    /// White, as on a page.
    #[default]
    White,
    /// Black.
    Black,
}
