//! Frames and maps over frames as small pictures: images as PNG, windows as lines, features as
//! bars.

use std::fmt::Write;
use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ImageFormat, Rgba, RgbaImage};
use maud::{Markup, html};

use runtime::{FrontEndSpec, SpectralSpec};

use crate::data::scaling::Scaling;
use crate::data::{FrontEnd, Spectral};
use crate::error::{Error, Result};
use crate::explain::{Map, heatmap};
use crate::fitted::Fitted;
use crate::frame::{FrameKind, FrameShape};

/// Transparent pixels between two pictures of a strip, a share of a picture's width.
const GAP: f64 = 0.08;
/// Width and height of a line drawing, in the units of its viewBox.
const DRAWING: [f64; 2] = [100.0, 64.0];

/// Most points of a line: more are not to be told apart.
const MOST_POINTS: usize = 256;
/// A window's width over this is about the power of a tone's line over that of silence, where silence is 0.3 % of the usual power.
const FLOOR_OF_TONE: f32 = 0.009;

/// A picture of a strip.
#[derive(Clone, Copy, Debug)]
pub enum Tile<'a> {
    /// A frame `[P]` in the units of the data.
    Frame(&'a [f32]),
    /// A map over a frame `[P]`, and what its colours span.
    Map(Map, &'a [f32], [f32; 2]),
    /// The window behind a spectrum's features, in the units of the data.
    Window(&'a [f32]),
    /// The whole spectrum of such a window.
    Spectrum(&'a [f32]),
}

/// How the frames of a model are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    shape: FrameShape,
    kind: FrameKind,
    scaling: Option<&'a Scaling>,
    /// What makes of frames what is drawn, if anything does.
    front_end: Option<&'a FrontEnd>,
    /// Shape of a frame before that.
    frame: FrameShape,
    /// Values that black and white, or the lower and upper edge, stand for.
    range: [f32; 2],
}

impl<'a> Look<'a> {
    /// The look of the frames of a model: standardised ones span three standard deviations on
    /// either side, others 0 to 1.
    pub fn new(fitted: &'a Fitted) -> Self {
        Self {
            shape: fitted.inner_shape(),
            kind: fitted.inner_kind(),
            scaling: fitted.scaling.as_ref(),
            front_end: fitted.front_end.as_ref(),
            frame: fitted.shape,
            range: if fitted.scaling.is_some() { [-3.0, 3.0] } else { [0.0, 1.0] },
        }
    }

    /// Words for what the pictures show, for a legend.
    pub fn legend(&self) -> &'static str {
        match (self.kind, self.scaling.is_some()) {
            _ if matches!(self.front_end, Some(FrontEnd::Tone(_))) => {
                "Shades of a picture along its own main colour, as the networks see it: what is rare in it is bright."
            }
            _ if self.is_sound() => {
                "Sound over time, from low bands at the bottom to high ones: black is three standard deviations of a band below \
                 its mean over the data, white three above."
            }
            _ if self.front_end.is_some() => {
                "A bar a feature of the window, within three standard deviations of the mean of the data, which is the line in \
                 the middle: of each channel the mean, the log deviation, then the shares of the bands of its spectrum, from \
                 slow to fast."
            }
            (FrameKind::Image, false) => "Black is 0, white is 1.",
            (FrameKind::Image, true) => {
                "Black is three standard deviations below the mean of the data, white three above."
            }
            (FrameKind::Window, true) => {
                "A line a channel, over time, within three standard deviations of the mean of the data."
            }
            (FrameKind::Window, false) => "A line a channel, over time, from 0 to 1.",
            (FrameKind::Features, true) => {
                "A bar a feature, within three standard deviations of the mean of the data, which is the line in the middle."
            }
            (FrameKind::Features, false) => "A bar a feature, from 0 to 1.",
        }
    }

    /// What makes features of windows, which are then drawn beside them, and their spectra.
    pub fn spectral(&self) -> Option<&'a Spectral> {
        self.front_end?.spectral()
    }

    /// Pictures side by side, as wide as `columns` of them.
    ///
    /// `spoken` is what a reader who does not see them is told.
    ///
    /// # Errors
    /// [`Error::Resource`] if a picture is too large for PNG.
    pub fn strip(&self, tiles: &[Tile<'_>], columns: usize, spoken: &str) -> Result<Markup> {
        let gaps = |n: usize| n.saturating_sub(1) as f64 * GAP;
        let width = (tiles.len() as f64 + gaps(tiles.len())) / (columns as f64 + gaps(columns)) * 100.0;
        let style = format!("width:{width:.2}%");
        if self.kind == FrameKind::Image {
            let source = self.sprite(tiles)?;
            return Ok(html! { img class="strip" style=(style) src=(source) alt=(spoken); });
        }
        let gap = GAP / (tiles.len() as f64 + gaps(tiles.len())) * 100.0;
        let drawings: Vec<Markup> = tiles.iter().map(|tile| self.drawing(tile)).collect::<Result<_>>()?;
        Ok(html! {
            div class="strip drawings" style=(format!("{style};gap:{gap:.2}%")) role="img" aria-label=(spoken) {
                @for drawing in drawings { (drawing) }
            }
        })
    }

    /// Whether frames are pictures of sound.
    fn is_sound(&self) -> bool {
        self.front_end.is_some_and(FrontEnd::is_sound)
    }

    /// All tiles in one PNG, as a data URL.
    fn sprite(&self, tiles: &[Tile<'_>]) -> Result<String> {
        let (w, h) = (self.shape.width as u32, self.rows() as u32);
        let gap = ((f64::from(w) * GAP).round() as u32).max(1);
        let count = tiles.len() as u32;
        let mut sprite = RgbaImage::new((count * (w + gap)).saturating_sub(gap), h);
        for (i, tile) in (0..).zip(tiles) {
            for (at, [r, g, b]) in (0..).zip(self.colours(tile)) {
                // Of sound the lowest band comes first, and is drawn last.
                let row = if self.is_sound() { h - 1 - at / w } else { at / w };
                sprite.put_pixel(i * (w + gap) + at % w, row, Rgba([r, g, b, 255]));
            }
        }
        png(&sprite)
    }

    /// Rows of an image as drawn: the channels of what is no colour image lie under each other.
    fn rows(&self) -> usize {
        if self.is_colour() { self.shape.height } else { self.shape.channels * self.shape.height }
    }

    /// Whether the frames are colour images.
    fn is_colour(&self) -> bool {
        self.kind == FrameKind::Image && self.shape.channels == 3
    }

    /// One colour for each pixel of a tile, row-major.
    fn colours(&self, tile: &Tile<'_>) -> Vec<[u8; 3]> {
        match *tile {
            Tile::Frame(values) => {
                let levels: Vec<u8> = self.shares(values).map(|s| (s * 255.0).round() as u8).collect();
                let area = self.shape.height * self.shape.width;
                if self.is_colour() {
                    (0..area).map(|at| std::array::from_fn(|c| levels[c * area + at])).collect()
                } else {
                    levels.into_iter().map(|l| [l; 3]).collect()
                }
            }
            // Drawn as lines.
            Tile::Window(_) | Tile::Spectrum(_) => Vec::new(),
            Tile::Map(map, values, span) => heatmap::joined(map, values, self.shape, self.kind)
                .into_iter()
                .map(|v| heatmap::colour(map, v, span))
                .collect(),
        }
    }

    /// Place of each value in the range, 0 to 1.
    fn shares(&self, values: &[f32]) -> impl Iterator<Item = f32> {
        let mut values = values.to_vec();
        if let Some(scaling) = self.scaling {
            scaling.apply(&mut values);
        }
        let [low, high] = self.range;
        values.into_iter().map(move |v| ((v - low) / (high - low)).clamp(0.0, 1.0))
    }

    /// A window or a row of features: frames as lines or bars, maps as coloured cells.
    fn drawing(&self, tile: &Tile<'_>) -> Result<Markup> {
        let [width, height] = DRAWING;
        let view = format!("0 0 {width} {height}");
        let values = match tile {
            Tile::Frame(values) => values,
            Tile::Window(window) => return Ok(self.window(window)),
            Tile::Spectrum(window) => return Ok(self.spectrum(window)),
            Tile::Map(..) => return self.cells(tile),
        };
        let shares: Vec<f32> = self.shares(values).collect();
        if self.kind == FrameKind::Window {
            return Ok(lines(&shares, self.shape.width));
        }
        let y = |share: f32| height - 2.0 - f64::from(share) * (height - 4.0);
        let zero = y(if self.scaling.is_some() { 0.5 } else { 0.0 });
        let bars = shares.iter().enumerate().fold(String::new(), |mut text, (i, s)| {
            // Writing to a String does not fail.
            let _ = write!(text, "M{:.1} {zero:.1}V{:.1}", place(i, shares.len()), y(*s));
            text
        });
        Ok(html! {
            svg class="frame" viewBox=(view) aria-hidden="true" {
                path class="bars" stroke-width=(format!("{:.1}", (0.7 * width / shares.len() as f64).min(12.0))) d=(bars) {}
                line class="base" x1="0" x2=(width) y1=(format!("{zero:.1}")) y2=(format!("{zero:.1}")) {}
            }
        })
    }

    /// A map as coloured cells, a row a channel.
    fn cells(&self, tile: &Tile<'_>) -> Result<Markup> {
        let (w, h) = (self.shape.width as u32, (self.shape.channels * self.shape.height) as u32);
        let colours = self.colours(tile);
        let cells = RgbaImage::from_fn(w, h, |x, y| {
            let [r, g, b] = colours[(y * w + x) as usize];
            Rgba([r, g, b, 255])
        });
        Ok(html! { img class="cells" src=(png(&cells)?) alt=""; })
    }

    /// The samples of a window, each channel within three standard deviations.
    fn window(&self, window: &[f32]) -> Markup {
        let (Some(spectral), width) = (self.spectral(), self.frame.width) else { return html! {} };
        let step = width.div_ceil(MOST_POINTS);
        let channels = window.chunks_exact(width).zip(spectral.centre.iter().zip(&spectral.factor));
        let shares = channels.flat_map(|(samples, (centre, factor))| {
            samples.iter().step_by(step).map(move |v| (0.5 + (v - centre) * factor / 6.0).clamp(0.0, 1.0))
        });
        lines(&shares.collect::<Vec<_>>(), width.div_ceil(step))
    }

    /// The spectrum of a window, each channel from silence to what a single tone of usual power has.
    fn spectrum(&self, window: &[f32]) -> Markup {
        let Some(spectral) = self.spectral() else { return html! {} };
        let after = (spectral.length / 2) as u32;
        let step = after.div_ceil(MOST_POINTS as u32);
        let edges = (1..after).step_by(step as usize).chain([after]).collect();
        let spec = FrontEndSpec::Spectral(SpectralSpec { edges, ..spectral.spec(self.frame) });
        let Some(features) = spec.features(window) else { return html! {} };
        let top = (self.frame.width as f32 / FLOOR_OF_TONE).ln();
        let channels = features.chunks_exact(features.len() / spectral.floor.len()).zip(&spectral.floor);
        let (mut shares, mut points) = (Vec::new(), 1);
        for (features, floor) in channels {
            let [log_deviation, bands] = [&features[1..2], &features[2..]];
            // Of a share of the power, the power.
            let of_band = |share: &f32| ((share + 2.0 * log_deviation[0] - floor.ln()) / top).clamp(0.0, 1.0);
            shares.extend(bands.iter().map(of_band));
            points = bands.len();
        }
        lines(&shares, points)
    }
}

/// A line for each `points` of values from 0 to 1, the next channel in the next colour.
fn lines(shares: &[f32], points: usize) -> Markup {
    let [width, height] = DRAWING;
    let y = |share: f32| height - 2.0 - f64::from(share) * (height - 4.0);
    html! {
        svg class="frame" viewBox=(format!("0 0 {width} {height}")) aria-hidden="true" {
            @for (c, channel) in shares.chunks_exact(points).enumerate() {
                @let points = channel.iter().enumerate().fold(String::new(), |mut text, (i, s)| {
                    // Writing to a String does not fail.
                    let _ = write!(text, "{:.1},{:.1} ", place(i, channel.len()), y(*s));
                    text
                });
                polyline class={ "line " (super::chart::colour(c)) } points=(points.trim_end()) {}
            }
        }
    }
}

/// Where the value at `i` of `n` is drawn, from left to right.
fn place(i: usize, n: usize) -> f64 {
    DRAWING[0] * (i as f64 + 0.5) / n as f64
}

/// Values that the ends of a map's colours stand for over several frames.
///
/// The widest value counts but for the outermost half percent, which would leave the rest pale.
pub fn span<'a>(map: Map, maps: impl Iterator<Item = &'a [f32]>) -> [f32; 2] {
    let mut values: Vec<f32> = maps.flatten().copied().collect();
    values.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    values.truncate((values.len() * 995).div_ceil(1000));
    heatmap::span(map, &values)
}

/// A bar of all colours of a map, as a data URL.
pub fn scale(map: Map) -> Result<String> {
    let span = if map == Map::Contrast { [-1.0, 1.0] } else { [0.0, 1.0] };
    png(&RgbaImage::from_fn(64, 1, |x, _| {
        let [r, g, b] = heatmap::colour(map, span[0] + (span[1] - span[0]) * x as f32 / 63.0, span);
        Rgba([r, g, b, 255])
    }))
}

/// A picture as a data URL of a PNG.
fn png(picture: &RgbaImage) -> Result<String> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).map_err(|e| Error::resource("picture of the report", e))?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(bytes.into_inner())))
}
