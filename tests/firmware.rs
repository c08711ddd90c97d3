//! The device's loop: votes, alarms, counts.

use firmware_sim::{Event, SampleLoop};
use runtime::{Assignment, FrameError};

fn assignment(cluster: usize, is_novel: bool) -> Assignment {
    Assignment {
        cluster,
        confidence: 1.0,
        runner_up: None,
        novelty: 0.0,
        is_novel,
        log_responsibilities: Default::default(),
    }
}

#[test]
fn two_of_three_votes_decide_and_a_decision_is_told_once() {
    let mut device = SampleLoop::<3, 2>::default();
    let mut step = |now, cluster| device.step(now, Ok(&assignment(cluster, false)));
    assert_eq!(step(0, 4), Event::Nothing);
    assert_eq!(step(10, 4), Event::Decided { cluster: 4, at: 10 });
    assert_eq!(step(20, 4), Event::Nothing);
    assert_eq!(step(30, 1), Event::Nothing);
    assert_eq!(step(40, 4), Event::Nothing);
    assert_eq!(step(50, 1), Event::Decided { cluster: 1, at: 50 });
    assert_eq!(device.counters().decisions[..5], [0, 1, 0, 0, 1]);
}

#[test]
fn novel_and_refused_frames_do_not_vote() {
    let mut device = SampleLoop::<3, 2>::default();
    assert_eq!(device.step(0, Ok(&assignment(2, false))), Event::Nothing);
    assert_eq!(device.step(1, Ok(&assignment(2, true))), Event::Novel { at: 1 });
    let error = FrameError::NotFinite { index: 3 };
    assert_eq!(device.step(2, Err(error)), Event::Refused(error));
    assert_eq!(device.step(3, Ok(&assignment(2, false))), Event::Decided { cluster: 2, at: 3 });
    let counters = device.counters();
    assert_eq!((counters.frames, counters.novel, counters.refused), (4, 1, 1));
}
