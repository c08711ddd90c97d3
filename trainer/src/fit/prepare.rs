//! What is done to frames before the networks see them, found from the training frames and the settings.

use super::count::{Counting, Space, count_clusters};
use super::event::{Event, Observer, Pass, told};
use crate::config::{CheckedConfig, FrontEndChoice, LikelihoodChoice};
use crate::data::scaling::Scaling;
use crate::data::{
    Colours, Computed, FrontEnd, LogMel, Part, Preparation, Source, Spectral, Tone, Watched, chunks, placed,
};
use crate::error::{Error, Result};
use crate::frame::{FrameKind, FrameShape};
use crate::model::Likelihood;

/// Share of the samples' variance that their place in the window may explain where spectra say more than samples. Windows of
/// streams stay below 0.03, outlines of leaves and traces of events are at 0.1 to 0.2, and of those spectra say more, too;
/// words, outlines of arrow heads and days are at 0.5 to 0.9.
const MOST_PLACED: f64 = 1.0 / 3.0;
/// Least deviation of a feature of a spectrum, in its own units: deviations of the channel, or nats. Where windows were
/// normalised one by one, their log deviation differs by rounding, and any view would be worlds away from it.
const LEAST_DEVIATION: f32 = 0.1;
/// How often scaling looks at a frame: for the range, the mean and the deviation.
const LOOKS: usize = 3;
/// Channels of pictures in colour.
const COLOURED: usize = 3;
/// Share of the variance from which on mean colours are most of how pictures differ.
const COLOURS_ARE_MOST: f64 = 0.5;
/// Share of the variance within pictures that lies along the main colour of each, from which on they are of two colours;
/// noise is the rest.
const TWO_COLOURS: f64 = 0.9;
/// What is added to the variances of mean colours that are counted, as a share of theirs.
const COLOUR_GRAIN: f64 = 1e-3;

/// What is done to frames before the networks see them, and the distribution of what the decoder gives back.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What makes features of windows, if anything does.
    pub front_end: Option<FrontEnd>,
    /// Standardisation of the features, or of the frames themselves.
    pub scaling: Option<Scaling>,
    /// Distribution of a value that the networks take.
    pub likelihood: Likelihood,
}

impl Prepared {
    /// What is done to frames.
    pub fn preparation(&self) -> Preparation<'_> {
        Preparation::new(self.front_end.as_ref(), self.scaling.as_ref())
    }
}

/// Front end, scaling and likelihood for frames, as the settings say; None if the observer broke off.
///
/// # Errors
/// As those of [`scaling_and_likelihood`]; [`Error::Config`] if Bernoulli is asked for and there is a front end, or log-mel
/// is and frames are no windows of sound.
pub fn run(config: &CheckedConfig, frames: &dyn Source, observer: &mut Observer<'_>) -> Result<Option<Prepared>> {
    let choice = match config.frontend {
        FrontEndChoice::Auto => chosen(config, frames, observer)?,
        choice => Some(choice),
    };
    let Some(choice) = choice else { return Ok(None) };
    let mut tell = told(observer, Pass::Scaling, LOOKS * frames.len());
    let frames = &Watched::new(frames, &mut tell);
    let front_end = match choice {
        FrontEndChoice::Auto | FrontEndChoice::None => None,
        FrontEndChoice::Tone => Some(FrontEnd::Tone(Tone::fit(frames)?)),
        FrontEndChoice::Spectral | FrontEndChoice::LogMel
            if config.decoder.likelihood == LikelihoodChoice::Bernoulli =>
        {
            let problem = "bernoulli is for values in [0, 1], and a spectrum has others; use gaussian or auto, or frontend = none";
            return Err(Error::config("decoder.likelihood", problem));
        }
        FrontEndChoice::Spectral => Some(FrontEnd::Spectral(Spectral::fit(frames)?)),
        FrontEndChoice::LogMel => match LogMel::fit(frames, rate(frames).unwrap_or_default())? {
            Some(log_mel) => Some(FrontEnd::LogMel(log_mel)),
            None => {
                let problem = "log-mel needs windows of recordings, at least 70 ms of them, with a rate of 4 to 96 kHz, which \
                               WAV says and --rate; use spectral or auto";
                return Err(Error::config("frontend", problem));
            }
        },
    };
    let features: Part<'_, dyn Source + '_> = Part::all(frames, Preparation::new(front_end.as_ref(), None));
    let (scaling, likelihood) = match choice {
        FrontEndChoice::Spectral => {
            // A feature is a unit of its own, whatever its neighbours are.
            let mut scaling = Scaling::fit(&features, FrameKind::Features)?;
            scaling.factor.iter_mut().for_each(|factor| *factor = factor.min(1.0 / LEAST_DEVIATION));
            let weights = front_end.iter().filter_map(FrontEnd::spectral).flat_map(Spectral::weights);
            scaling.factor.iter_mut().zip(weights).for_each(|(factor, weight)| *factor *= weight);
            (Some(scaling), Likelihood::Gaussian)
        }
        // Of each band over all times, since quiet bands say as much as loud ones.
        FrontEndChoice::LogMel => {
            let mut scaling = Scaling::fit(&features, FrameKind::Window)?;
            scaling.factor.iter_mut().for_each(|factor| *factor = factor.min(1.0 / LEAST_DEVIATION));
            (Some(scaling), Likelihood::Gaussian)
        }
        _ => scaling_and_likelihood(config, &features)?,
    };
    Ok(Some(Prepared { front_end, scaling, likelihood }))
}

/// Samples a second of the recordings that frames are windows of.
fn rate(frames: &dyn Source) -> Option<f64> {
    frames.recordings()?.windowing.rate
}

/// The sizes of the front end of sound, if frames are windows of sound and the settings leave that open, or ask for it.
pub fn sound(config: &CheckedConfig, frames: &dyn Source) -> Option<LogMel> {
    let open = config.frontend == FrontEndChoice::Auto
        && config.decoder.likelihood != LikelihoodChoice::Bernoulli
        && frames.recordings().is_some_and(|recordings| recordings.wav);
    let asked = open || config.frontend == FrontEndChoice::LogMel;
    let sizes = |rate| LogMel::sizes(frames.shape(), rate).filter(|_| config.kind() == FrameKind::Window);
    rate(frames).filter(|_| asked).and_then(sizes)
}

/// What the networks are of, as far as it is known before training: of sound its pictures.
pub fn seen_as(config: &CheckedConfig, frames: &dyn Source) -> (CheckedConfig, FrameShape) {
    match sound(config, frames) {
        Some(sizes) => (config.of_sound(), sizes.shape()),
        None => (config.clone(), frames.shape()),
    }
}

/// The pictures of windows of sound, made once; None where there is another front end, or none.
///
/// # Errors
/// As for [`Source::read`].
pub fn pictures<'a>(front_end: Option<&'a FrontEnd>, frames: &'a (dyn Source + Sync)) -> Result<Option<Computed<'a>>> {
    let Some(front_end) = front_end.filter(|front_end| front_end.is_sound()) else { return Ok(None) };
    Computed::of(Part::all(frames, Preparation::new(Some(front_end), None))).map(Some)
}

/// The front end that the frames call for, where the settings leave it open; None if the observer broke off.
fn chosen(config: &CheckedConfig, frames: &dyn Source, observer: &mut Observer<'_>) -> Result<Option<FrontEndChoice>> {
    if let Some(sizes) = sound(config, frames) {
        let told = observer(Event::Sound { sizes: &sizes });
        return Ok(told.is_continue().then_some(FrontEndChoice::LogMel));
    }
    let bernoulli = config.decoder.likelihood == LikelihoodChoice::Bernoulli;
    if FrontEndChoice::has_spectrum(config.kind(), frames.shape()) && !bernoulli {
        let placed = {
            let mut tell = told(observer, Pass::Scaling, frames.len());
            placed(&Watched::new(frames, &mut tell))?
        };
        let spectral = placed <= MOST_PLACED;
        let choice = if spectral { FrontEndChoice::Spectral } else { FrontEndChoice::None };
        return Ok(observer(Event::FrontEnd { spectral, placed }).is_continue().then_some(choice));
    }
    let none = Ok(Some(FrontEndChoice::None));
    if frames.shape().channels != COLOURED || !FrontEndChoice::has_tone(config.kind(), frames.shape()) {
        return none;
    }
    let colours = {
        let mut tell = told(observer, Pass::Scaling, frames.len());
        Colours::of(&Watched::new(frames, &mut tell))?
    };
    let share = colours.share();
    if share < COLOURS_ARE_MOST {
        return none;
    }
    // Many pictures of a few colours are a stack of points, which is no cloud to be counted: a grain of a thousandth of how
    // they differ makes one of it.
    let counting = Counting {
        on: Space::Colours,
        reg_covar: COLOUR_GRAIN * colours.between / COLOURED as f64,
        pooling: config.mixture.pooling,
        most: config.mixture.most_clusters,
        seed: config.seed,
    };
    let on = counting.on;
    let goes_on = &mut |components| observer(Event::Counting { on, components });
    let clusters = match count_clusters(&colours.means, COLOURED, &counting, goes_on) {
        Ok(Some(counted)) => counted.clusters,
        Ok(None) => return Ok(None),
        // Too few pictures to say.
        Err(Error::Uncounted { .. }) => return none,
        Err(error) => return Err(error),
    };
    let tone = clusters == Some(1) && colours.along >= TWO_COLOURS;
    let choice = if tone { FrontEndChoice::Tone } else { FrontEndChoice::None };
    let along = colours.along;
    Ok(observer(Event::Tone { tone, share, along, clusters }).is_continue().then_some(choice))
}

/// How the values are scaled and what distribution the decoder gives them, as the settings say.
///
/// By default pictures whose values all lie in `[0, 1]` are Bernoulli means and stay as they are. All else is
/// standardised and Gaussian: rows and windows have units, and those must not decide. Bernoulli, where it is asked for,
/// takes any frames with values in `[0, 1]`.
///
/// # Errors
/// [`Error::Config`] if Bernoulli is asked for and a value lies outside of `[0, 1]`; as for [`Source::read`].
fn scaling_and_likelihood(config: &CheckedConfig, frames: &dyn Source) -> Result<(Option<Scaling>, Likelihood)> {
    let mut probabilities = true;
    for chunk in chunks(frames) {
        probabilities = chunk?.1.iter().all(|v| (0.0..=1.0).contains(v));
        if !probabilities {
            break;
        }
    }
    let grey_levels = probabilities && config.kind() == FrameKind::Image;
    match config.decoder.likelihood {
        LikelihoodChoice::Bernoulli if probabilities => Ok((None, Likelihood::Bernoulli)),
        LikelihoodChoice::Bernoulli => Err(Error::config(
            "decoder.likelihood",
            "bernoulli needs every value in [0, 1]; use gaussian or auto for these frames",
        )),
        LikelihoodChoice::Auto if grey_levels => Ok((None, Likelihood::Bernoulli)),
        LikelihoodChoice::Gaussian if grey_levels => Ok((None, Likelihood::Gaussian)),
        LikelihoodChoice::Auto | LikelihoodChoice::Gaussian => {
            Ok((Some(Scaling::fit(frames, config.kind())?), Likelihood::Gaussian))
        }
    }
}
