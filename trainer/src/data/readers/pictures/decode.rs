//! One picture, upright, without transparency, of the size asked for.

use std::io::Cursor;

use image::{DynamicImage, GenericImageView, ImageDecoder, ImageFormat, ImageReader, imageops::FilterType};

use super::super::ReadProblem;
use super::options::{Background, PictureOptions, Size};

/// The chunk that says that a picture is a film stands in so many bytes, before the pixels.
const FILM: usize = 4096;

/// A decoded picture, and its format.
pub struct Picture {
    /// The pixels, without alpha.
    pub pixels: DynamicImage,
    /// The format of the file.
    pub format: ImageFormat,
    /// True if it was transparent somewhere.
    pub transparent: bool,
    /// True if it was turned as its EXIF data say.
    pub turned: bool,
    /// True if the file has more pictures, of which this is the first.
    pub more: bool,
}

/// Decodes the bytes of a file.
pub fn decode(bytes: &[u8], options: &PictureOptions) -> Result<Picture, ReadProblem> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let format = reader.format().ok_or("no PNG, JPEG, BMP, TIFF, WebP or PNM, whatever its name says")?;
    if format == ImageFormat::Jpeg && !ends(bytes) {
        return Err("the JPEG is cut off: it has no end-of-image marker".into());
    }
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut pixels = DynamicImage::from_decoder(decoder)?;
    pixels.apply_orientation(orientation);
    if has_palette(bytes, format) {
        pixels = without_colour(pixels);
    }
    let turned = orientation != image::metadata::Orientation::NoTransforms;
    let (mut pixels, transparent) = opaque(pixels, options.background)?;
    if let Some(Size { width, height }) = options.crop {
        let (w, h) = pixels.dimensions();
        if width > w || height > h {
            return Err(format!("is {w}x{h}, less than --crop {width}x{height}").into());
        }
        pixels = pixels.crop_imm((w - width) / 2, (h - height) / 2, width, height);
    }
    if let Some(Size { width, height }) = options.resize {
        pixels = pixels.resize_exact(width, height, FilterType::Triangle);
    }
    Ok(Picture { pixels, format, transparent, turned, more: has_more(bytes, format) })
}

/// Whether a file has more than one picture: pages of a TIFF, or a film in PNG or WebP.
fn has_more(bytes: &[u8], format: ImageFormat) -> bool {
    let holds = |chunk: &[u8]| bytes.windows(chunk.len()).take(FILM).any(|window| window == chunk);
    match format {
        ImageFormat::Tiff => has_pages(bytes),
        ImageFormat::Png => holds(b"acTL"),
        ImageFormat::WebP => holds(b"ANIM"),
        _ => false,
    }
}

/// Whether a TIFF has a second directory, which is that of a second page.
fn has_pages(bytes: &[u8]) -> bool {
    let big = bytes.starts_with(b"MM");
    let number = |at: usize, width: usize| -> Option<usize> {
        let digits = bytes.get(at..at + width)?.iter().map(|byte| usize::from(*byte));
        let join = |number: usize, digit: usize| (number << 8) | digit;
        Some(if big { digits.fold(0, join) } else { digits.rev().fold(0, join) })
    };
    let next = number(4, 4).and_then(|first| number(first + 2 + 12 * number(first, 2)?, 4));
    next.is_some_and(|next| next != 0)
}

/// Whether colours come from a palette, in which grey levels look like any others: colour type 3 of PNG, 8 bits a pixel
/// or fewer of BMP.
fn has_palette(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        ImageFormat::Png => bytes.get(25) == Some(&3),
        ImageFormat::Bmp => bytes.get(28).is_some_and(|bits| *bits <= 8),
        _ => false,
    }
}

/// The picture as a grey one, if all of its colours are grey levels.
fn without_colour(pixels: DynamicImage) -> DynamicImage {
    let grey = pixels.to_rgba8().pixels().all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]);
    match (grey, pixels.color().has_alpha()) {
        (false, _) => pixels,
        (true, true) => pixels.into_luma_alpha8().into(),
        (true, false) => pixels.into_luma8().into(),
    }
}

/// Whether the pixel data of a JPEG have an end; decoders fill up what is cut off with grey.
fn ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    // Segments up to the first scan, so that the end of a thumbnail does not count.
    while let Some(&[0xff, marker]) = bytes.get(at..at + 2) {
        let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { return false };
        match marker {
            // A fill byte.
            0xff => at += 1,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
        if marker == 0xda {
            break;
        }
    }
    bytes.get(at..).is_some_and(|rest| rest.windows(2).any(|pair| pair == [0xff, 0xd9]))
}

/// The picture on its background, and whether any of that is seen.
fn opaque(pixels: DynamicImage, background: Background) -> Result<(DynamicImage, bool), ReadProblem> {
    if !pixels.color().has_alpha() {
        return Ok((pixels, false));
    }
    let deep = pixels.color().bytes_per_pixel() / pixels.color().channel_count() > 1;
    let grey = !pixels.color().has_color();
    let mut rgba = pixels.into_rgba32f();
    let alphas = || rgba.pixels().map(|pixel| pixel[3]);
    let transparent = alphas().any(|alpha| alpha < 1.0);
    let shaped = alphas().any(|alpha| alpha != rgba.get_pixel(0, 0)[3]);
    let behind = if background == Background::White { 1.0 } else { 0.0 };
    for pixel in rgba.pixels_mut() {
        let alpha = pixel[3];
        (0..3).for_each(|channel| pixel[channel] = pixel[channel] * alpha + behind * (1.0 - alpha));
        pixel[3] = 1.0;
    }
    let first = *rgba.get_pixel(0, 0);
    if shaped && rgba.pixels().all(|pixel| *pixel == first) {
        let name = if background == Background::White { ("white", "black") } else { ("black", "white") };
        return Err(format!("nothing is seen of it on {}: say --background {}", name.0, name.1).into());
    }
    let rgba = DynamicImage::ImageRgba32F(rgba);
    Ok((
        match (grey, deep) {
            (true, false) => rgba.into_luma8().into(),
            (true, true) => rgba.into_luma16().into(),
            (false, false) => rgba.into_rgb8().into(),
            (false, true) => rgba.into_rgb16().into(),
        },
        transparent,
    ))
}
