//! The nodes of a graph before the encoder: the front end as products with matrices, which every engine has, then the
//! standardisation.

use std::f64::consts::TAU;

use runtime::onnx::names;
use runtime::{LEAN, SQUARINGS};

use super::graph::{Dim, GraphBuilder, integer, integers};
use crate::data::{FrontEnd, LogMel, Spectral, Tone};
use crate::fitted::Fitted;
use crate::frame::FrameShape;

/// Declares the frame as input, and adds what is done to it before a network; gives the name of what the network takes.
pub fn prepared(g: &mut GraphBuilder, fitted: &Fitted) -> &'static str {
    let frame = fitted.shape;
    let [c, h, w] = [frame.channels, frame.height, frame.width].map(Dim::Fixed);
    g.input(names::INPUT, &[Dim::Batch, c, h, w]);
    let mut last = names::INPUT;
    if let Some(front_end) = &fitted.front_end {
        match front_end {
            FrontEnd::Spectral(spectral) => spectrum(g, spectral, frame),
            FrontEnd::Tone(tone) => shades(g, tone, frame),
            FrontEnd::LogMel(log_mel) => sound(g, log_mel, frame),
        }
        last = names::FEATURES;
    }
    if let Some(scaling) = &fitted.scaling {
        let inner = fitted.inner_shape();
        let dims = [inner.channels, inner.height, inner.width];
        g.floats(names::SHIFT, &dims, &scaling.shift);
        g.floats(names::FACTOR, &dims, &scaling.factor);
        g.node("Sub", "scaling/shift", &[last, names::SHIFT], "shifted", vec![]);
        g.node("Mul", "scaling/factor", &["shifted", names::FACTOR], "scaled", vec![]);
        last = "scaled";
    }
    last
}

/// Entries of the metadata that say what the front end is.
pub fn metadata(front_end: &FrontEnd) -> Vec<(&'static str, String)> {
    let spectral = match front_end {
        FrontEnd::Spectral(spectral) => spectral,
        FrontEnd::Tone(_) => return vec![(names::FRONT_END_KEY, names::TONE.to_owned())],
        FrontEnd::LogMel(log_mel) => {
            let LogMel { length, hop, steps, pooled, rate, edges, .. } = log_mel;
            return vec![
                (names::FRONT_END_KEY, names::LOG_MEL.to_owned()),
                (names::LENGTH_KEY, length.to_string()),
                (names::EDGES_KEY, joined(edges)),
                (names::STEPS_KEY, joined(&[*hop as u32, *steps as u32, *pooled as u32])),
                (names::FRONT_END_RATE_KEY, rate.to_string()),
            ];
        }
    };
    vec![
        (names::FRONT_END_KEY, names::SPECTRAL.to_owned()),
        (names::LENGTH_KEY, spectral.length.to_string()),
        (names::EDGES_KEY, joined(&spectral.edges)),
    ]
}

/// Numbers between commas.
fn joined(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// Adds the front end of [`runtime::Spectral`], from the frame to the features, in f32 whatever the weights are.
fn spectrum(g: &mut GraphBuilder, front_end: &Spectral, frame: FrameShape) {
    let (channels, width) = (front_end.centre.len(), frame.width);
    let inner = front_end.shape();
    constants(g, [&front_end.centre, &front_end.factor, &front_end.floor]);
    let (lines, [cosine, sine]) = matrices(front_end, frame);
    let bands = front_end.edges.len() - 1;
    g.floats("frontend.cosine", &[width, lines], &cosine);
    g.floats("frontend.sine", &[width, lines], &sine);
    g.floats("frontend.bands", &[lines, bands], &means(front_end));
    g.floats("frontend.half", &[], &[0.5]);
    // 0 keeps the number of frames.
    g.integers("frontend.windows.shape", &[0, channels as i64, width as i64]);
    g.integers("frontend.features.shape", &[0, inner.channels as i64, inner.height as i64, inner.width as i64]);
    let mean = || vec![integers("axes", &[2]), integer("keepdims", 1)];
    let mut node = |op: &str, inputs: &[&str], output: &str, attributes| {
        let name = output.trim_start_matches(names::FRONT_END_INITIALIZERS);
        g.node(op, &format!("{}{name}", names::FRONT_END_NODES), inputs, output, attributes);
    };
    node("Reshape", &[names::INPUT, "frontend.windows.shape"], "frontend.windows", vec![]);
    node("Sub", &["frontend.windows", names::CENTRE], "frontend.centred", vec![]);
    node("Mul", &["frontend.centred", names::CHANNEL_FACTOR], "frontend.samples", vec![]);
    node("ReduceMean", &["frontend.samples"], "frontend.mean", mean());
    node("Sub", &["frontend.samples", "frontend.mean"], "frontend.difference", vec![]);
    node("Mul", &["frontend.difference", "frontend.difference"], "frontend.square", vec![]);
    node("ReduceMean", &["frontend.square"], "frontend.variance", mean());
    node("Add", &["frontend.variance", names::FLOOR], "frontend.variance.floored", vec![]);
    node("Log", &["frontend.variance.floored"], "frontend.log_variance", vec![]);
    node("Mul", &["frontend.log_variance", "frontend.half"], "frontend.log_deviation", vec![]);
    node("MatMul", &["frontend.difference", "frontend.cosine"], "frontend.real", vec![]);
    node("MatMul", &["frontend.difference", "frontend.sine"], "frontend.imaginary", vec![]);
    node("Mul", &["frontend.real", "frontend.real"], "frontend.real.square", vec![]);
    node("Mul", &["frontend.imaginary", "frontend.imaginary"], "frontend.imaginary.square", vec![]);
    node("Add", &["frontend.real.square", "frontend.imaginary.square"], "frontend.lines", vec![]);
    node("MatMul", &["frontend.lines", "frontend.bands"], "frontend.power", vec![]);
    node("Add", &["frontend.power", names::FLOOR], "frontend.power.floored", vec![]);
    node("Log", &["frontend.power.floored"], "frontend.log_power", vec![]);
    node("Sub", &["frontend.log_power", "frontend.log_variance"], "frontend.shares", vec![]);
    let parts = ["frontend.mean", "frontend.log_deviation", "frontend.shares"];
    node("Concat", &parts, "frontend.joined", vec![integer("axis", 2)]);
    node("Reshape", &["frontend.joined", "frontend.features.shape"], names::FEATURES, vec![]);
}

/// How many lines the bands hold, and the matrices `[W, lines]` of their cosines and sines, times the Hann window.
fn matrices(front_end: &Spectral, frame: FrameShape) -> (usize, [Vec<f32>; 2]) {
    let window = front_end.spec(frame).window;
    let lines = front_end.edges[0]..front_end.edges[front_end.edges.len() - 1];
    let entry = |function: fn(f64) -> f64| {
        let row = |(n, weight): (usize, &f32)| {
            let (length, weight) = (front_end.length, *weight);
            let of_line = move |line: u32| wave(function, n, line, length, weight);
            lines.clone().map(of_line)
        };
        window.iter().enumerate().flat_map(row).collect::<Vec<f32>>()
    };
    (lines.len(), [entry(f64::cos), entry(f64::sin)])
}

/// Sample `n` of the cosine or sine of a line of a spectrum, times its weight.
fn wave(function: fn(f64) -> f64, n: usize, line: u32, length: usize, weight: f32) -> f32 {
    // Whole turns are left out, so that the angle is exact.
    let turn = (n * line as usize % length) as f64 / length as f64;
    (f64::from(weight) * function(TAU * turn)) as f32
}

/// Adds the initializers of centre, factor and floor of every channel.
fn constants(g: &mut GraphBuilder, of_channels: [&[f32]; 3]) {
    for (name, values) in [names::CENTRE, names::CHANNEL_FACTOR, names::FLOOR].into_iter().zip(of_channels) {
        g.floats(name, &[values.len(), 1], values);
    }
}

/// Adds the front end of [`runtime::LogMel`], from the frame to its picture, in f32 whatever the weights are: all spectra are
/// one convolution with the cosines and sines of the lines.
fn sound(g: &mut GraphBuilder, front_end: &LogMel, frame: FrameShape) {
    let (channels, width, length) = (front_end.centre.len(), frame.width, front_end.length);
    let LogMel { hop, steps, pooled, .. } = *front_end;
    let (bands, lines) = (front_end.bands(), 1..(length / 2) as u32);
    constants(g, [&front_end.centre, &front_end.factor, &front_end.floor]);
    let window = front_end.spec(frame).window;
    let waves = |function: fn(f64) -> f64| {
        let of_line = |line| window.iter().enumerate().map(move |(n, weight)| wave(function, n, line, length, *weight));
        lines.clone().flat_map(of_line).collect::<Vec<f32>>()
    };
    let triangle = |line: u32, ends: &[u32]| {
        let height = 2.0 / f64::from(ends[2] - ends[0]);
        let [rise, fall] = [(ends[0], ends[1]), (ends[1], ends[2])].map(|(from, to)| f64::from(to - from));
        let from_ends = (f64::from(line) - f64::from(ends[0])) / rise;
        let to_ends = (f64::from(ends[2]) - f64::from(line)) / fall;
        (height * from_ends.min(to_ends).max(0.0)) as f32
    };
    // The same for cosines and sines.
    let weights: Vec<f32> = front_end
        .edges
        .windows(3)
        .flat_map(|ends| lines.clone().chain(lines.clone()).map(|line| triangle(line, ends)))
        .collect();
    let waves = [waves(f64::cos), waves(f64::sin)].concat();
    g.floats("frontend.waves", &[2 * lines.len(), 1, length], &waves);
    g.floats("frontend.bands", &[bands, 2 * lines.len()], &weights);
    let spectra = steps * pooled;
    let size = |sizes: &[usize]| sizes.iter().map(|size| *size as i64).collect::<Vec<_>>();
    // 0 keeps the number of frames.
    g.integers("frontend.windows.shape", &size(&[0, channels, width]));
    // -1 is what is left: each channel of each frame is a signal of its own.
    g.integers("frontend.signals.shape", &[-1, 1, width as i64]);
    g.integers("frontend.steps.shape", &[-1, channels as i64, bands as i64, steps as i64, pooled as i64]);
    g.integers("frontend.rows.shape", &[0, channels as i64, (bands * steps) as i64]);
    g.integers("frontend.features.shape", &[0, 1, (channels * bands) as i64, steps as i64]);
    for (name, value) in [("from", 0), ("to", ((spectra - 1) * hop + length) as i64), ("axis", 2)] {
        g.integers(&format!("frontend.seen.{name}"), &[value]);
    }
    let mut node = |op: &str, inputs: &[&str], output: &str, attributes| {
        let name = output.trim_start_matches(names::FRONT_END_INITIALIZERS);
        g.node(op, &format!("{}{name}", names::FRONT_END_NODES), inputs, output, attributes);
    };
    node("Reshape", &[names::INPUT, "frontend.windows.shape"], "frontend.windows", vec![]);
    node("Sub", &["frontend.windows", names::CENTRE], "frontend.centred", vec![]);
    node("Mul", &["frontend.centred", names::CHANNEL_FACTOR], "frontend.samples", vec![]);
    node("Reshape", &["frontend.samples", "frontend.signals.shape"], "frontend.signals", vec![]);
    // Without what no whole spectrum looks at.
    let seen = ["frontend.signals", "frontend.seen.from", "frontend.seen.to", "frontend.seen.axis"];
    node("Slice", &seen, "frontend.seen", vec![]);
    let convolution = vec![integers("kernel_shape", &size(&[length])), integers("strides", &size(&[hop]))];
    node("Conv", &["frontend.seen", "frontend.waves"], "frontend.lines", convolution);
    node("Mul", &["frontend.lines", "frontend.lines"], "frontend.squares", vec![]);
    node("MatMul", &["frontend.bands", "frontend.squares"], "frontend.powers", vec![]);
    node("Reshape", &["frontend.powers", "frontend.steps.shape"], "frontend.spectra", vec![]);
    let mean = vec![integers("axes", &[4]), integer("keepdims", 0)];
    node("ReduceMean", &["frontend.spectra"], "frontend.power", mean);
    node("Reshape", &["frontend.power", "frontend.rows.shape"], "frontend.rows", vec![]);
    node("Add", &["frontend.rows", names::FLOOR], "frontend.power.floored", vec![]);
    node("Log", &["frontend.power.floored"], "frontend.log_power", vec![]);
    node("Reshape", &["frontend.log_power", "frontend.features.shape"], names::FEATURES, vec![]);
}

/// The matrix `[lines, B]` that takes the mean of the lines of each band.
fn means(front_end: &Spectral) -> Vec<f32> {
    let bands: Vec<[u32; 2]> = front_end.edges.windows(2).map(|ends| [ends[0], ends[1]]).collect();
    let lines = front_end.edges[0]..front_end.edges[bands.len()];
    let share = |line: u32, [first, after]: [u32; 2]| {
        if (first..after).contains(&line) { 1.0 / (after - first) as f32 } else { 0.0 }
    };
    lines.flat_map(|line| bands.iter().map(move |ends| share(line, *ends)).collect::<Vec<_>>()).collect()
}

/// Adds the front end of [`runtime::Tone`], from the frame to its shades, in f32 whatever the weights are.
fn shades(g: &mut GraphBuilder, tone: &Tone, frame: FrameShape) {
    let (channels, pixels) = (frame.channels, frame.height * frame.width);
    let identity: Vec<f32> =
        (0..channels * channels).map(|i| f32::from(u8::from(i / channels == i % channels))).collect();
    g.floats(names::FLOOR, &[], &[tone.floor]);
    g.floats("frontend.identity", &[channels, channels], &identity);
    g.floats("frontend.pixels", &[], &[pixels as f32]);
    g.floats("frontend.least", &[], &[f32::MIN_POSITIVE]);
    g.floats("frontend.lean", &[], &[LEAN]);
    // 0 keeps the number of frames.
    g.integers("frontend.pixels.shape", &[0, channels as i64, pixels as i64]);
    g.integers("frontend.shades.shape", &[0, 1, frame.height as i64, frame.width as i64]);
    g.integers("frontend.matrix", &[1, 2]);
    g.integers("frontend.channels", &[1]);
    let mut node = |op: &str, inputs: &[&str], output: &str, attributes| {
        let name = output.trim_start_matches(names::FRONT_END_INITIALIZERS);
        g.node(op, &format!("{}{name}", names::FRONT_END_NODES), inputs, output, attributes);
    };
    let over = |axis: i64| vec![integers("axes", &[axis]), integer("keepdims", 1)];
    let keep = || vec![integer("keepdims", 1)];
    node("Reshape", &[names::INPUT, "frontend.pixels.shape"], "frontend.colours", vec![]);
    node("ReduceMean", &["frontend.colours"], "frontend.mean", over(2));
    node("Sub", &["frontend.colours", "frontend.mean"], "frontend.difference", vec![]);
    node("Transpose", &["frontend.difference"], "frontend.turned", vec![integers("perm", &[0, 2, 1])]);
    node("MatMul", &["frontend.difference", "frontend.turned"], "frontend.axis0.unscaled", vec![]);
    for i in 0..=SQUARINGS {
        let axis = format!("frontend.axis{i}");
        let named = |what: &str| format!("{axis}.{what}");
        let [unscaled, diagonal, trace, divisor] = ["unscaled", "diagonal", "trace", "divisor"].map(named);
        node("Mul", &[&unscaled, "frontend.identity"], &diagonal, vec![]);
        node("ReduceSum", &[&diagonal, "frontend.matrix"], &trace, keep());
        node("Max", &[&trace, "frontend.least"], &divisor, vec![]);
        node("Div", &[&unscaled, &divisor], &axis, vec![]);
        if i < SQUARINGS {
            node("MatMul", &[&axis, &axis], &format!("frontend.axis{}.unscaled", i + 1), vec![]);
        }
    }
    let axis = format!("frontend.axis{SQUARINGS}");
    node("MatMul", &[&axis, "frontend.difference"], "frontend.along", vec![]);
    node("Mul", &["frontend.along", "frontend.difference"], "frontend.squares", vec![]);
    node("ReduceSum", &["frontend.squares", "frontend.channels"], "frontend.squared", keep());
    node("Mul", &["frontend.difference", "frontend.squared"], "frontend.cubes", vec![]);
    node("ReduceMean", &["frontend.cubes"], "frontend.skewness", over(2));
    node("Div", &["frontend.axis0.trace", "frontend.pixels"], "frontend.variance", vec![]);
    node("Sqrt", &["frontend.variance"], "frontend.deviation", vec![]);
    node("Mul", &["frontend.variance", "frontend.deviation"], "frontend.cube", vec![]);
    node("Mul", &["frontend.cube", "frontend.lean"], "frontend.leaning", vec![]);
    node("Add", &["frontend.skewness", "frontend.leaning"], "frontend.wanted", vec![]);
    node("MatMul", &[&axis, "frontend.wanted"], "frontend.way", vec![]);
    node("Mul", &["frontend.way", "frontend.way"], "frontend.way.squares", vec![]);
    node("ReduceSum", &["frontend.way.squares", "frontend.channels"], "frontend.way.squared", keep());
    node("Sqrt", &["frontend.way.squared"], "frontend.way.length", vec![]);
    node("Max", &["frontend.way.length", "frontend.least"], "frontend.way.divisor", vec![]);
    node("Div", &["frontend.way", "frontend.way.divisor"], "frontend.direction", vec![]);
    node("Mul", &["frontend.difference", "frontend.direction"], "frontend.products", vec![]);
    node("ReduceSum", &["frontend.products", "frontend.channels"], "frontend.tones", keep());
    node("ReduceMin", &["frontend.tones"], "frontend.darkest", over(2));
    node("ReduceMax", &["frontend.tones"], "frontend.brightest", over(2));
    node("Sub", &["frontend.brightest", "frontend.darkest"], "frontend.span", vec![]);
    node("Add", &["frontend.span", names::FLOOR], "frontend.contrast", vec![]);
    node("Sub", &["frontend.tones", "frontend.darkest"], "frontend.raised", vec![]);
    node("Div", &["frontend.raised", "frontend.contrast"], "frontend.shades", vec![]);
    node("Reshape", &["frontend.shades", "frontend.shades.shape"], names::FEATURES, vec![]);
}
