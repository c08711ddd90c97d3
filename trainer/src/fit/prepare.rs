//! What is done to frames before the networks see them, found from the training frames and the settings.

use super::event::{Event, Observer};
use crate::config::{CheckedConfig, FrontEndChoice, LikelihoodChoice};
use crate::data::scaling::Scaling;
use crate::data::{Frames, FrontEnd, Preparation, features, placed};
use crate::error::{Error, Result};
use crate::frame::FrameKind;
use crate::model::Likelihood;

/// Share of the samples' variance that their place in the window may explain in windows that were cut anywhere. Windows of
/// streams stay below 0.03; those that begin with an event, or at midnight, have 0.1 to 0.9, and their samples say more
/// than a spectrum.
const MOST_PLACED: f64 = 0.05;

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
        Preparation { front_end: self.front_end.as_ref(), scaling: self.scaling.as_ref() }
    }
}

/// Front end, scaling and likelihood for frames, as the settings say; None if the observer broke off.
///
/// # Errors
/// As those of [`scaling_and_likelihood`]; [`Error::Config`] if Bernoulli is asked for and there is a front end.
pub fn run(config: &CheckedConfig, frames: &Frames, observer: &mut Observer<'_>) -> Result<Option<Prepared>> {
    let possible = FrontEndChoice::has_spectrum(config.kind(), frames.shape);
    let spectral = match config.frontend {
        FrontEndChoice::None => false,
        FrontEndChoice::Spectral => true,
        FrontEndChoice::Auto if !possible || config.decoder.likelihood == LikelihoodChoice::Bernoulli => false,
        FrontEndChoice::Auto => {
            let placed = placed(frames);
            let spectral = placed <= MOST_PLACED;
            if observer(Event::FrontEnd { spectral, placed }).is_break() {
                return Ok(None);
            }
            spectral
        }
    };
    if !spectral {
        let (scaling, likelihood) = scaling_and_likelihood(config, frames)?;
        return Ok(Some(Prepared { front_end: None, scaling, likelihood }));
    }
    if config.decoder.likelihood == LikelihoodChoice::Bernoulli {
        let problem =
            "bernoulli is for values in [0, 1], and a spectrum has others; use gaussian or auto, or frontend = none";
        return Err(Error::config("decoder.likelihood", problem));
    }
    let front_end = FrontEnd::fit(frames);
    // A feature is a unit of its own, whatever its neighbours are.
    let mut scaling = Scaling::fit(&features(Some(&front_end), frames), FrameKind::Features);
    scaling.factor.iter_mut().zip(front_end.weights()).for_each(|(factor, weight)| *factor *= weight);
    Ok(Some(Prepared { front_end: Some(front_end), scaling: Some(scaling), likelihood: Likelihood::Gaussian }))
}

/// How the values are scaled and what distribution the decoder gives them, as the settings say.
///
/// By default pictures whose values all lie in `[0, 1]` are Bernoulli means and stay as they are. All else is
/// standardised and Gaussian: rows and windows have units, and those must not decide. Bernoulli, where it is asked for,
/// takes any frames with values in `[0, 1]`.
///
/// # Errors
/// [`Error::Config`] if Bernoulli is asked for and a value lies outside of `[0, 1]`.
fn scaling_and_likelihood(config: &CheckedConfig, frames: &Frames) -> Result<(Option<Scaling>, Likelihood)> {
    let probabilities = frames.values.iter().all(|v| (0.0..=1.0).contains(v));
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
            Ok((Some(Scaling::fit(frames, config.kind())), Likelihood::Gaussian))
        }
    }
}
