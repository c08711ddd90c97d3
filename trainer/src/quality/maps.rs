//! Rows about the maps of [`crate::explain`].

use burn::tensor::Device;
use rand::seq::SliceRandom;

use super::completeness::ratios;
use super::statistics::spearman;
use super::{Bar, Planted, Row, Subject, as_exported, curves, occluder, order, sobel, stroke};
use crate::data::Frames;
use crate::error::Result;
use crate::eval::auroc;
use crate::explain::{Explanation, explain, explain_between, heatmap, indices};
use crate::fitted::{Fitted, to_host};
use crate::frame::FrameShape;
use crate::model::{ClusterVae, Init};
use crate::rng::{Purpose, stream};

/// Stream of [`Purpose::Quality`] that draws random weights; stream 0 draws the frames.
const WEIGHTS: u64 = 1;
/// First stream that orders equal scores, one a frame.
const TIES: u64 = 1 << 32;
/// First stream that plants strokes and occluders, one a frame and kind.
const PLANTS: u64 = 2 << 32;

/// The values `[P]` of one map of a frame.
type MapOf = fn(&Explanation) -> &[f32];

/// Every map, with the name that its rows give it.
const MAPS: [(&str, MapOf); 4] = [
    ("trust", |e| &e.trust),
    ("contrast", |e| &e.contrast),
    ("contrast to the counterpart", |e| &e.counterfactual),
    ("surprise", |e| &e.surprise),
];

/// Rows about the maps: completeness, precision, random weights, deletion and insertion, planted
/// strokes.
pub fn rows(subject: &Subject<'_>, progress: &mut dyn FnMut(&str)) -> Result<Vec<Row>> {
    let Subject { fitted, frames, device, .. } = subject;
    progress("the maps of the trained model");
    let maps = explain(fitted, frames, device)?;
    let pairs: Vec<[usize; 2]> = maps.iter().map(|e| [e.cluster, e.runner_up]).collect();
    progress("the maps of the model with f16 weights");
    let half = explain_between(&as_exported(fitted)?, frames, &pairs, device)?;

    let mut rows = completeness(subject, &maps, &half, &pairs)?;
    for (name, map) in MAPS {
        let correlations = correlations(map, &maps, &half);
        rows.push(Row::mean(format!("{name}: Spearman, f16 weights against f32"), Bar::AtLeast(0.99), &correlations));
    }
    progress("the maps of random weights");
    let random = explain_between(&randomised(fitted, device), frames, &pairs, device)?;
    for (name, map) in MAPS {
        let correlations: Vec<f64> = correlations(map, &maps, &random).into_iter().map(f64::abs).collect();
        rows.push(Row::mean(format!("{name}: absolute Spearman with random weights"), Bar::Below(0.2), &correlations));
    }
    progress("deletion and insertion");
    rows.extend(deletion_and_insertion(subject, &maps)?);
    progress("planted strokes and occluders");
    rows.extend(planted(subject)?);
    Ok(rows)
}

/// How far the contrast is from the log-ratio that it must add up to.
fn completeness(
    subject: &Subject<'_>,
    maps: &[Explanation],
    half: &[Explanation],
    pairs: &[[usize; 2]],
) -> Result<Vec<Row>> {
    let Subject { fitted, frames, device, .. } = subject;
    let exact = ratios(fitted, frames, pairs, device)?;
    let rounded = ratios(&as_exported(fitted)?, frames, pairs, device)?;
    let total = |e: &Explanation| e.contrast.iter().map(|v| f64::from(*v)).sum::<f64>();
    let worst = maps
        .iter()
        .zip(&exact)
        .map(|(e, ratio)| (total(e) + ratio.alignment - ratio.log_ratio).abs())
        .fold(0.0, f64::max);
    // Of f16 the whole sum is compared with the ratio of the f32 model.
    let relative: Vec<f64> = half
        .iter()
        .zip(&exact)
        .zip(&rounded)
        .map(|((e, exact), rounded)| ((total(e) + rounded.alignment - exact.log_ratio) / exact.log_ratio).abs())
        .collect();
    Ok(vec![
        Row::new("contrast: completeness, worst frame, nats", Bar::Below(1e-3), worst),
        Row::mean("contrast: completeness with f16 weights, relative", Bar::Below(0.01), &relative),
    ])
}

/// Spearman's correlation of each frame's maps.
fn correlations(map: MapOf, a: &[Explanation], b: &[Explanation]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| spearman(map(a), map(b))).collect()
}

/// A model of the same shape with the weights that training would begin with, under another seed.
fn randomised(fitted: &Fitted, device: &Device) -> Fitted {
    let mut init = Init { rng: stream(fitted.config.seed, Purpose::Quality, WEIGHTS), device };
    let model = ClusterVae::new(&fitted.config, fitted.shape, fitted.likelihood, &mut init);
    Fitted { model, ..fitted.clone() }
}

/// The contrast as a ranking, against other rankings.
///
/// At the same z the size of the evidence ranks, against the counterpart its signed value: each
/// does better than the other way on that map.
fn deletion_and_insertion(subject: &Subject<'_>, maps: &[Explanation]) -> Result<Vec<Row>> {
    let Subject { fitted, frames, device, .. } = subject;
    let baseline = baseline(fitted)?.repeat(frames.len());
    let clusters: Vec<usize> = maps.iter().map(|e| e.cluster).collect();
    let ties: Vec<Vec<usize>> = (0..frames.len()).map(|n| shuffled(fitted, n, frames.shape)).collect();
    let measured = |score: &Score<'_>| {
        let orders: Vec<Vec<usize>> = (0..frames.len()).map(|n| order(&score(n), &ties[n])).collect();
        curves(fitted, frames, &orders, &baseline, &clusters, device)
    };
    let error = |n: usize| frames.frame(n).iter().zip(&maps[n].reconstruction).map(|(x, r)| (x - r).abs()).collect();
    let others: [(&str, &Score<'_>); 4] = [
        ("random", &|n| vec![0.0; frames.frame(n).len()]),
        ("intensity", &|n| frames.frame(n).to_vec()),
        ("Sobel", &|n| sobel(frames.frame(n), frames.shape)),
        ("abs(x - x̂)", &error),
    ];
    let others = others.into_iter().map(|(name, score)| Ok((name, measured(score)?))).collect::<Result<Vec<_>>>()?;
    let ours: [(&str, &Score<'_>); 2] = [
        ("contrast", &|n| maps[n].contrast.iter().map(|v| v.abs()).collect()),
        ("contrast to the counterpart", &|n| maps[n].counterfactual.clone()),
    ];
    let mut rows = Vec::new();
    for (map, score) in ours {
        let ours = measured(score)?;
        for (name, other) in &others {
            let gain = |better: &[f64], worse: &[f64]| better.iter().zip(worse).map(|(b, w)| b - w).collect::<Vec<_>>();
            let deletion = gain(&other.deletion, &ours.deletion);
            let insertion = gain(&ours.insertion, &other.insertion);
            for (curve, gain) in [("deletion", deletion), ("insertion", insertion)] {
                rows.push(Row::mean(format!("{map}: {curve} area, gain over {name}"), Bar::IntervalAbove(0.0), &gain));
            }
        }
    }
    Ok(rows)
}

/// Scores of the values of frame `n`, from its index.
type Score<'a> = dyn Fn(usize) -> Vec<f32> + 'a;

/// A random order of the values of frame `n`.
fn shuffled(fitted: &Fitted, n: usize, shape: FrameShape) -> Vec<usize> {
    let mut order: Vec<usize> = (0..shape.len()).collect();
    order.shuffle(&mut stream(fitted.config.seed, Purpose::Quality, TIES + n as u64));
    order
}

/// Values that take the place of those taken away, `[P]`: their means over the K frames at the
/// centres μ_c of the clusters.
///
/// Such a value speaks for no cluster in particular. 0 would be no loss to a value of the
/// background, whatever it says of the cluster, and what a map compares with, such as the
/// runner-up, would favour that map.
fn baseline(fitted: &Fitted) -> Result<Vec<f32>> {
    let (decoder, prior) = (&fitted.model.decoder, &fitted.model.prior);
    let clusters = indices(0..prior.clusters(), &prior.mu_c.val().device());
    let mut mean = to_host(decoder.mean(decoder.forward_of(prior.mu_c.val(), clusters)).mean_dim(0))?;
    if let Some(scaling) = &fitted.scaling {
        scaling.undo(&mut mean);
    }
    Ok(mean)
}

/// How well surprise finds what was planted.
fn planted(subject: &Subject<'_>) -> Result<Vec<Row>> {
    type Plant = fn(&[f32], FrameShape, [f32; 2], &mut rand_chacha::ChaCha8Rng) -> Planted;
    let Subject { fitted, frames, device, .. } = subject;
    let range = heatmap::range(&frames.values);
    let plants: [(&str, Plant); 2] = [("a stroke", stroke), ("an occluder", occluder)];
    let mut rows = Vec::new();
    for (kind, (name, plant)) in plants.into_iter().enumerate() {
        let changed: Vec<Planted> = (0..frames.len())
            .map(|n| {
                let index = PLANTS + ((kind as u64) << 32) + n as u64;
                plant(frames.frame(n), frames.shape, range, &mut stream(fitted.config.seed, Purpose::Quality, index))
            })
            .collect();
        let values = changed.iter().flat_map(|p| p.values.iter().copied()).collect();
        let maps = explain(fitted, &Frames { shape: frames.shape, values, labels: None }, device)?;
        let areas: Vec<f64> = maps.iter().zip(&changed).filter_map(|(e, p)| auroc(&e.surprise, &p.truth)).collect();
        rows.push(Row::mean(format!("surprise: AUROC of {name}"), Bar::AtLeast(0.95), &areas));
    }
    Ok(rows)
}
