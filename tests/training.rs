//! Training as a whole: that it can be interrupted anywhere, and what keeps the clusters from collapsing.
#![expect(clippy::unwrap_used, reason = "a helper that fails is the test's own message")]

mod common;

use std::ops::ControlFlow;

use burn::tensor::Device;
use common::{IMAGE, patterns, small};
use trainer::Error;
use trainer::config::{CollapseConfig, Config};
use trainer::data::Frames;
use trainer::export::{Precision, encode};
use trainer::fit::{Balance, Checkpoint, Event, Fitted, Place, StageName, fit};

/// Few steps, in epochs of nine.
fn short() -> Config {
    let mut config = small();
    (config.pretrain.steps, config.refine.steps) = (20, 20);
    config
}

/// Runs to the end, or to the checkpoint after `until`, which then went through its bytes.
fn run(
    config: Config,
    frames: &Frames,
    resume: Option<Checkpoint>,
    until: Option<(StageName, usize)>,
) -> (Option<Fitted>, Option<Checkpoint>, Vec<String>) {
    let mut left = None;
    let mut epochs = Vec::new();
    let fitted = fit(&config.check().unwrap(), frames, &Device::flex(), resume, &mut |event| {
        match event {
            Event::Epoch(epoch) => epochs.push(serde_json::to_string(epoch).unwrap()),
            Event::Step { checkpoint, .. } if until.is_some() => {
                let checkpoint = checkpoint().unwrap();
                if Some((checkpoint.place.stage, checkpoint.place.step)) == until {
                    left = Some(Checkpoint::decode(&checkpoint.encode().unwrap()).unwrap());
                    return ControlFlow::Break(());
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    (fitted.unwrap(), left, epochs)
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one_byte_for_byte() {
    let frames = patterns(304, IMAGE, 1);
    let (whole, _, epochs) = run(short(), &frames, None, None);
    let expected = encode(&whole.unwrap(), Precision::F32).unwrap();
    use StageName::{Mixture, Pretrain, Refine};
    for until in [(Pretrain, 1), (Pretrain, 9), (Pretrain, 13), (Pretrain, 20), (Mixture, 1), (Refine, 7), (Refine, 20)]
    {
        let (none, checkpoint, mut told) = run(short(), &frames, None, Some(until));
        assert!(none.is_none());
        let (rest, _, more) = run(short(), &frames, checkpoint, None);
        told.extend(more);
        assert_eq!(told, epochs, "{until:?}");
        assert!(encode(&rest.unwrap(), Precision::F32).unwrap() == expected, "{until:?}");
    }
}

#[test]
fn a_checkpoint_that_is_damaged_or_of_other_frames_is_refused() {
    let frames = patterns(304, IMAGE, 1);
    let (_, checkpoint, _) = run(short(), &frames, None, Some((StageName::Pretrain, 5)));
    let checkpoint = checkpoint.unwrap();
    let expected = Place { attempt: 0, stage: StageName::Pretrain, step: 5 };
    assert_eq!(checkpoint.place, expected);
    let bytes = checkpoint.encode().unwrap();
    for length in (0..bytes.len()).step_by(97) {
        assert!(Checkpoint::decode(&bytes[..length]).is_err(), "{length}");
    }
    for at in (bytes.len() / 2..bytes.len()).step_by(1009) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 4;
        assert!(Checkpoint::decode(&bytes).is_err(), "{at}");
    }
    let other =
        fit(&short().check().unwrap(), &patterns(304, IMAGE, 2), &Device::flex(), Some(checkpoint), &mut |_| {
            ControlFlow::Continue(())
        });
    assert!(matches!(other, Err(Error::Data { .. })));
}

/// E12: the bound charges for I(x;c). From a start that favours no cluster, nothing pays that charge.
#[test]
fn without_the_information_terms_the_clusters_collapse_and_with_them_they_do_not() {
    let frames = patterns(400, IMAGE, 4);
    let balance = |config: Config| {
        let (fitted, _, _) = run(config, &frames, None, None);
        Balance::of_model(&fitted.unwrap().model, &frames).unwrap()
    };
    let mut guarded = small();
    guarded.refine.steps = 400;
    let mut bare = guarded.clone();
    // Eq. (6.1) as it stands.
    (bare.refine.charge, bare.refine.information, bare.refine.consistency) = (true, 0.0, 0.0);
    // Without EM every cluster starts as the same Gaussian.
    (bare.mixture.restarts, bare.collapse.balance) = (0, 0.0);
    let (clusters, bounds) = (guarded.clusters, CollapseConfig::default());
    let (guarded, bare) = (balance(guarded), balance(bare));
    assert!(guarded.mutual_information > 0.8 * (clusters as f64).ln(), "{guarded:?}");
    assert_eq!(guarded.fault(&bounds, clusters), None);
    // The watch, which was off here, calls this one collapsed.
    assert!(bare.fault(&bounds, clusters).is_some_and(|why| why.contains("collapse.information")), "{bare:?}");
}
