//! The nodes of a graph before the encoder: the front end as products with matrices, which every engine has, then the
//! standardisation.

use std::f64::consts::TAU;

use runtime::onnx::names;
use runtime::{LEAN, SQUARINGS};

use super::graph::{Dim, GraphBuilder, integer, integers};
use crate::data::{FrontEnd, Spectral, Tone};
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
    };
    let edges: Vec<String> = spectral.edges.iter().map(u32::to_string).collect();
    vec![
        (names::FRONT_END_KEY, names::SPECTRAL.to_owned()),
        (names::LENGTH_KEY, spectral.length.to_string()),
        (names::EDGES_KEY, edges.join(",")),
    ]
}

/// Adds the front end of [`runtime::Spectral`], from the frame to the features, in f32 whatever the weights are.
fn spectrum(g: &mut GraphBuilder, front_end: &Spectral, frame: FrameShape) {
    let (channels, width) = (front_end.centre.len(), frame.width);
    let inner = front_end.shape();
    for (name, values) in [
        (names::CENTRE, &front_end.centre),
        (names::CHANNEL_FACTOR, &front_end.factor),
        (names::FLOOR, &front_end.floor),
    ] {
        g.floats(name, &[channels, 1], values);
    }
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
            let weight = f64::from(*weight);
            let of_line = move |line: u32| {
                // Whole turns are left out, so that the angle is exact.
                let turn = (n * line as usize % front_end.length) as f64 / front_end.length as f64;
                (weight * function(TAU * turn)) as f32
            };
            lines.clone().map(of_line)
        };
        window.iter().enumerate().flat_map(row).collect::<Vec<f32>>()
    };
    (lines.len(), [entry(f64::cos), entry(f64::sin)])
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
