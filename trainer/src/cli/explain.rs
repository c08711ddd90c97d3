//! `trainer explain`.

use std::path::{Path, PathBuf};

use image::{RgbImage, imageops};
use trainer::data::{Frames, FrontEnd, Input, Role, Source, write_npy_frames};
use trainer::explain::{Explanation, Map, explain, heatmap, names};
use trainer::files::write_atomically;
use trainer::frame::{FrameKind, FrameShape};
use trainer::run::load;
use trainer::{Error, Result};

use super::on::On;

/// Most features that a line names.
const FEATURES_TOLD: usize = 3;
/// Surprise from which on a feature is called unusual, standard deviations of the cost -log p: 2.8 of the value itself.
const UNUSUAL: f32 = 5.0;

/// Show why frames went to their clusters, as pictures and numbers
///
/// Of rows it names the features that say most. Writes for each frame `I.png` (frame, reconstruction and maps side by side) and `I-MAP.png`, and
/// for each map `MAP.npy`, f32 [N,C,H,W] in the order of the indices.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  trainer explain runs/mnist --data mnist/ --index 0 7 --map contrast,surprise --out why/"
)]
pub struct Args {
    /// Run directory of a fit that has ended
    model: PathBuf,
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    on: On,
    /// Which part of a data set that has two
    #[arg(long, value_enum, default_value = "score")]
    part: Role,
    /// Which frames, counted from 0
    #[arg(long, value_name = "I", required = true, num_args = 1.., value_delimiter = ',')]
    index: Vec<usize>,
    /// Which maps
    #[arg(long, value_enum, value_name = "MAP", num_args = 1.., value_delimiter = ',', default_value = "contrast")]
    map: Vec<Map>,
    /// Folder to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Args {
    /// Explains frames, writes the pictures, and prints the decisions.
    pub fn run(self) -> Result<()> {
        if self.model.is_file() {
            return Err(Error::model(
                &self.model,
                "a file has no decoder, which the maps need: give the run directory",
            ));
        }
        let device = self.on.device()?;
        let fitted = load(&self.model, &device)?;
        let set = super::read(&self.input, self.part, &fitted.expected())?;
        let all = &set.frames;
        if let Some(index) = self.index.iter().find(|index| **index >= all.len()) {
            return Err(Error::config("--index", format!("{index}: the data hold the frames 0 to {}", all.len() - 1)));
        }
        super::range::tell(fitted.seen.as_ref(), &set)?;
        let frames = all.gather(&self.index)?;
        let explanations = explain(&fitted, &frames, &device)?;
        std::fs::create_dir_all(&self.out).map_err(|e| Error::resource(self.out.display(), e))?;
        // Maps are of features, where there is a front end.
        let frames = fitted.features(&frames)?.all()?;
        let sound = fitted.front_end.as_ref().is_some_and(FrontEnd::is_sound);
        let view = View { shape: frames.shape, kind: fitted.inner_kind(), maps: &self.map, sound };
        for (n, (index, explanation)) in self.index.iter().zip(&explanations).enumerate() {
            eprintln!("frame {index}: {}", summary(explanation));
            if view.kind == FrameKind::Features || sound {
                let names = names(&fitted);
                let names = names.unwrap_or_else(|| (0..frames.shape.len()).map(|p| format!("feature {p}")).collect());
                features(frames.frame(n), explanation, &names).iter().for_each(|line| eprintln!("  {line}"));
            }
            self.pictures(*index, &view.pictures(frames.frame(n), explanation))?;
        }
        self.arrays(&frames, &explanations)
    }

    /// Writes the pictures of one frame: all of them side by side, and each map alone.
    fn pictures(&self, index: usize, pictures: &[RgbImage]) -> Result<()> {
        write(&self.out.join(format!("{index}.png")), &heatmap::png(&heatmap::beside(pictures))?)?;
        for (map, picture) in self.map.iter().zip(&pictures[pictures.len() - self.map.len()..]) {
            write(&self.out.join(format!("{index}-{map}.png")), &heatmap::png(picture)?)?;
        }
        Ok(())
    }

    fn arrays(&self, frames: &Frames, explanations: &[Explanation]) -> Result<()> {
        for map in &self.map {
            let values: Vec<f32> = explanations.iter().flat_map(|e| e.map(*map)).copied().collect();
            write(&self.out.join(format!("{map}.npy")), &write_npy_frames(&values, frames.shape)?)?;
        }
        Ok(())
    }
}

/// How the frames of a data set are drawn.
struct View<'a> {
    shape: FrameShape,
    kind: FrameKind,
    maps: &'a [Map],
    /// Whether frames are pictures of sound, whose lowest band comes first and is drawn last.
    sound: bool,
}

impl View<'_> {
    /// The frame, its reconstruction in the same greys, and the maps.
    fn pictures(&self, frame: &[f32], explanation: &Explanation) -> Vec<RgbImage> {
        let greys = heatmap::range(frame);
        let mut pictures: Vec<RgbImage> = [frame, &explanation.reconstruction]
            .map(|values| heatmap::frame(values, self.shape, self.kind, greys))
            .into();
        for map in self.maps {
            let values = explanation.map(*map);
            let span = heatmap::span(*map, &heatmap::joined(*map, values, self.shape, self.kind));
            pictures.push(heatmap::map(*map, values, self.shape, self.kind, span));
        }
        match self.sound {
            true => pictures.iter().map(imageops::flip_vertical).collect(),
            false => pictures,
        }
    }
}

/// The decision in words.
fn summary(e: &Explanation) -> String {
    let q = |c: usize| e.log_q[c].exp();
    let [same, moved] = [&e.contrast, &e.counterfactual].map(|map| map.iter().sum::<f32>());
    // The mixture on the values has no other.
    let counterpart = match e.contrast == e.counterfactual {
        true => String::new(),
        false => format!(" at the same z, by {moved:.1} against its counterpart in the second"),
    };
    format!(
        "cluster {} (q = {:.4}), then {} (q = {:.4}); its values speak for the first by {same:.1} nats{counterpart}",
        e.cluster,
        q(e.cluster),
        e.runner_up,
        q(e.runner_up)
    )
}

/// The features that say most, in words: for the cluster, against it, and unusual in it.
fn features(frame: &[f32], e: &Explanation, names: &[String]) -> Vec<String> {
    let line = |what: &str, map: &[f32], sign: f32, unit: &str| {
        let mut order: Vec<usize> = (0..map.len()).filter(|&p| map[p] * sign > 0.0).collect();
        order.sort_by(|&a, &b| (map[b] * sign).total_cmp(&(map[a] * sign)).then(a.cmp(&b)));
        let told = order.iter().take(FEATURES_TOLD);
        let told: Vec<String> = told.map(|&p| format!("{} = {} ({:+.1} {unit})", names[p], frame[p], map[p])).collect();
        (!told.is_empty()).then(|| format!("{what}: {}", told.join("; ")))
    };
    let (first, second) = (e.cluster, e.runner_up);
    let unusual: Vec<f32> = e.surprise.iter().map(|s| if *s > UNUSUAL { *s } else { 0.0 }).collect();
    [
        line(&format!("for {first} and against {second}"), &e.contrast, 1.0, "nats"),
        line(&format!("for {second} and against {first}"), &e.contrast, -1.0, "nats"),
        line(&format!("unusual in {first}"), &unusual, 1.0, "deviations"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Writes a file and prints its path.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically(path, bytes)?;
    super::print_line(path.display())
}
