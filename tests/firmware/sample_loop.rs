//! The device's loop: queue, windows, votes, alarms, counts.
#![expect(clippy::unwrap_used, reason = "a failure in a helper is the test's own message")]

#[path = "../common/repair.rs"]
mod repair;

use firmware_sim::queue::FrameConsumer;
use firmware_sim::{
    AdaptSettings, Adaptation, Event, FrameQueue, OtherModel, SampleLoop, Settings, SettingsError, StartError, Summary,
    TimedFrame, Tracker, Window, WindowError,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use repair::repair;
use runtime::flash::{Aligned, Buffer, DenseSpec, FlashModel, ModelSpec, encode};
use runtime::native::{Engine, EngineError, Scratch, scratch_len};
use runtime::{Assignment, Calibration, FrameError, FrameShape, Windowing};
use vibration::{CHANNELS, HOP, Machine, RATE, Recording, SCALE, State, WINDOW};

static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!("../../models/digits.cvi"));
const PIXELS: usize = 784;

fn assignment(cluster: usize, is_novel: bool) -> Assignment {
    Assignment {
        cluster,
        confidence: 1.0,
        runner_up: None,
        novelty: 0.0,
        is_novel,
        is_outside: false,
        log_responsibilities: Default::default(),
    }
}

fn tracker(settings: Settings) -> Tracker {
    Tracker::new(settings, 7, 5).unwrap()
}

#[test]
fn two_of_three_votes_decide_and_a_decision_is_told_once() {
    let mut device = tracker(Settings::default());
    let mut step = |now, cluster| device.observe(now, Ok(&assignment(cluster, false)));
    assert_eq!(step(0, 4), Event::Nothing);
    assert_eq!(step(10, 4), Event::Decided { cluster: 4, at: 10 });
    assert_eq!(step(20, 4), Event::Nothing);
    assert_eq!(step(30, 1), Event::Nothing);
    assert_eq!(step(40, 4), Event::Nothing);
    assert_eq!(step(50, 1), Event::Decided { cluster: 1, at: 50 });
    assert_eq!(device.summary().decided[..5], [0, 1, 0, 0, 1]);
    assert_eq!(device.summary().assigned[..5], [0, 2, 0, 0, 4]);
}

#[test]
fn novel_and_refused_frames_do_not_vote() {
    let mut device = tracker(Settings::default());
    assert_eq!(device.observe(0, Ok(&assignment(2, false))), Event::Nothing);
    assert_eq!(device.observe(1, Ok(&assignment(2, true))), Event::Novel { at: 1 });
    let error = FrameError::NotFinite { index: 3 };
    assert_eq!(device.observe(2, Err(error)), Event::Refused(error));
    assert_eq!(device.observe(3, Ok(&assignment(2, false))), Event::Decided { cluster: 2, at: 3 });
    let counters = device.summary();
    assert_eq!((counters.frames, counters.novel, counters.refused), (4, 1, 1));
}

#[test]
fn a_frame_outside_the_range_of_training_does_not_vote_and_counts_for_the_alarm() {
    let mut device = tracker(Settings { alarm_frames: 4, alarm_at: 3, alarm_end: 0, ..Settings::default() });
    let outside = |is_novel| Assignment { is_outside: true, ..assignment(2, is_novel) };
    assert_eq!(device.observe(0, Ok(&assignment(2, false))), Event::Nothing);
    assert_eq!(device.observe(1, Ok(&outside(false))), Event::Outside { at: 1 });
    assert_eq!(device.observe(2, Ok(&outside(true))), Event::Outside { at: 2 });
    assert_eq!(device.observe(3, Ok(&assignment(2, true))), Event::Alarm { at: 3 });
    assert_eq!(device.observe(4, Ok(&assignment(2, false))), Event::Decided { cluster: 2, at: 4 });
    let counters = device.summary();
    assert_eq!((counters.frames, counters.novel, counters.outside, counters.alarms), (5, 2, 2, 1));
    let mut sum = counters.clone();
    sum.merge(counters).unwrap();
    assert_eq!(sum.outside, 4);
    let mut buffer = [0; Summary::MAX_BYTES];
    assert_eq!(Summary::decode(counters.encode(&mut buffer).unwrap()).unwrap(), *counters);
}

#[test]
fn a_decision_stays_until_it_has_fewer_votes_than_it_must_keep() {
    let mut device = tracker(Settings { votes: 5, needed: 4, keep: 2, ..Settings::default() });
    let mut step = |now, cluster| device.observe(now, Ok(&assignment(cluster, false)));
    for now in 0..3 {
        assert_eq!(step(now, 0), Event::Nothing);
    }
    assert_eq!(step(3, 0), Event::Decided { cluster: 0, at: 3 });
    // 0 has 4, 4, 3, 2 of the last 5 votes, fewer than it needed and as many as it must keep; then 1.
    for (now, cluster) in [(4, 1), (5, 2), (6, 3)] {
        assert_eq!(step(now, cluster), Event::Nothing);
    }
    assert_eq!(step(7, 1), Event::Lapsed { cluster: 0, at: 7 });
    assert_eq!(device.decision(), None);
}

#[test]
fn the_alarm_is_raised_once_and_ends_below() {
    let settings = Settings { alarm_frames: 4, alarm_at: 3, alarm_end: 1, ..Settings::default() };
    let mut device = tracker(settings);
    let seen: Vec<_> = [1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]
        .into_iter()
        .enumerate()
        .map(|(now, novel)| {
            let event = device.observe(now as u64, Ok(&assignment(0, novel == 1)));
            (matches!(event, Event::Alarm { .. }), device.alarmed())
        })
        .collect();
    let raised: Vec<_> = seen.iter().map(|(raised, _)| u8::from(*raised)).collect();
    let alarmed: Vec<_> = seen.iter().map(|(_, alarmed)| u8::from(*alarmed)).collect();
    // Novel among the last four: 1 2 2 3 3 3 3 2 1 1 2 3.
    assert_eq!(raised, [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(alarmed, [0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 1]);
    assert_eq!(device.summary().alarms, 2);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let good = Settings::default();
    assert_eq!(good.check(), Ok(()));
    let cases = [
        (Settings { votes: 0, needed: 0, ..good }, SettingsError::History),
        (Settings { votes: 65, needed: 40, ..good }, SettingsError::History),
        (Settings { alarm_frames: 65, ..good }, SettingsError::History),
        (Settings { votes: 4, needed: 2, ..good }, SettingsError::Needed),
        (Settings { votes: 3, needed: 4, ..good }, SettingsError::Needed),
        // Its double is more than a number holds.
        (Settings { votes: 64, needed: usize::MAX, ..good }, SettingsError::Needed),
        (Settings { votes: 64, needed: usize::MAX / 2 + 34, ..good }, SettingsError::Needed),
        (Settings { keep: 3, ..good }, SettingsError::Keep),
        (Settings { alarm_at: 11, ..good }, SettingsError::Alarm),
        (Settings { alarm_at: 1, alarm_end: 1, ..good }, SettingsError::Alarm),
    ];
    for (settings, error) in cases {
        assert_eq!(settings.check(), Err(error), "{settings:?}");
        assert_eq!(Tracker::new(settings, 0, 1).unwrap_err(), error);
    }
    for clusters in [0, 65, usize::MAX] {
        assert_eq!(Tracker::new(good, 0, clusters).unwrap_err(), SettingsError::Clusters);
    }
}

#[test]
fn a_decision_is_unknown_when_nothing_has_voted_for_long() {
    let error = FrameError::NotFinite { index: 0 };
    let settings = Settings { stale: 4, alarm_frames: 64, alarm_at: 64, ..Settings::default() };
    let silent: [fn() -> Result<Assignment, FrameError>; 3] = [
        || Err(FrameError::NotFinite { index: 0 }),
        || Ok(assignment(2, true)),
        || Ok(Assignment { is_outside: true, ..assignment(2, false) }),
    ];
    for kind in silent {
        let mut device = tracker(settings);
        for now in 0..2 {
            device.observe(now, Ok(&assignment(2, false)));
        }
        let mut step = |now, found: Result<Assignment, FrameError>| {
            let event = device.observe(now, found.as_ref().map_err(|error| *error));
            (event, device.decision())
        };
        // Three are not enough, and a vote begins the count anew.
        for now in 2..5 {
            assert_eq!(step(now, kind()).1, Some(2));
        }
        assert_eq!(step(5, Ok(assignment(2, false))), (Event::Nothing, Some(2)));
        for now in 6..9 {
            assert_eq!(step(now, kind()).1, Some(2));
        }
        assert_eq!(step(9, kind()), (Event::Lapsed { cluster: 2, at: 9 }, None));
        // It is told once, and the votes before it are forgotten.
        for now in 10..30 {
            assert!(!matches!(step(now, kind()).0, Event::Lapsed { .. }));
        }
        assert_eq!(step(30, Ok(assignment(2, false))), (Event::Nothing, None));
        assert_eq!(step(31, Ok(assignment(2, false))).0, Event::Decided { cluster: 2, at: 31 });
    }
    // An alarm is told first; asked to, a decision stands for ever.
    for (stale, decision) in [(3, None), (0, Some(2))] {
        let mut device = tracker(Settings { stale, alarm_frames: 3, alarm_at: 3, ..Settings::default() });
        let events: Vec<Event> = (0..5).map(|now| device.observe(now, Ok(&assignment(2, now > 1)))).collect();
        assert_eq!(events[4], Event::Alarm { at: 4 });
        assert_eq!(device.decision(), decision);
        for now in 5..1_000_000 {
            device.observe(now, Err(error));
        }
        assert_eq!(device.decision(), decision);
    }
}

/// 256 fits no vote, and voted as 0.
#[test]
fn a_cluster_that_the_model_has_not_does_not_vote() {
    let mut device = tracker(Settings::default());
    for (now, cluster) in [5, 64, 256, 257, usize::MAX].into_iter().enumerate() {
        for is_novel in [false, true] {
            let event = device.observe(now as u64, Ok(&assignment(cluster, is_novel)));
            assert_eq!(event, Event::Refused(FrameError::Engine));
        }
    }
    assert_eq!((device.decision(), device.summary().refused, device.summary().novel), (None, 10, 0));
    assert_eq!(device.observe(9, Ok(&assignment(4, false))), Event::Nothing);
}

fn with_loop(test: impl FnOnce(&mut SampleLoop<'_>, &[f32])) {
    let mut scratch = Scratch::<9616>::new();
    let image = FlashModel::new(&MODEL.0).unwrap();
    let golden = image.golden().frame;
    test(&mut SampleLoop::new(Engine::new(image, &mut scratch.0).unwrap(), Settings::default()).unwrap(), golden);
}

#[test]
fn a_step_is_the_engine_and_the_votes() {
    with_loop(|device, golden| {
        let mut scratch = Scratch::<9616>::new();
        let mut engine = Engine::new(FlashModel::new(&MODEL.0).unwrap(), &mut scratch.0).unwrap();
        let expected = engine.assign(golden).unwrap();
        assert_eq!(device.step(0, golden), Event::Nothing);
        assert_eq!(device.last(), Some(&expected));
        assert_eq!(device.step(1, &[0.0; 3]), Event::Refused(FrameError::Length { expected: PIXELS, found: 3 }));
        assert_eq!(device.last(), None);
        let mut broken = golden.to_vec();
        broken[100] = f32::NAN;
        assert_eq!(device.step(2, &broken[..]), Event::Refused(FrameError::NotFinite { index: 100 }));
        assert_eq!(device.step(3, golden), Event::Decided { cluster: expected.cluster, at: 3 });
        assert_eq!(device.decision(), Some(expected.cluster));
        let bytes: Vec<u8> = (0..PIXELS).map(|i| (i % 256) as u8).collect();
        device.step(u64::MAX, &bytes[..]);
        let floats: Vec<f32> = bytes.iter().map(|b| f32::from(*b) / 255.0).collect();
        let of_bytes = device.last().cloned();
        device.step(0, &floats[..]);
        assert_eq!(device.last().cloned(), of_bytes);
        let summary = device.take_summary();
        assert_eq!((summary.model, summary.frames, summary.refused), (engine.model().checksum(), 6, 2));
        assert_eq!(device.summary(), &Summary::new(summary.model, 10));
    });
}

#[test]
fn a_loop_begins_in_place() {
    with_loop(|device, golden| {
        let (mut scratch, mut unused) = (Scratch::<9616>::new(), Scratch::<9616>::new());
        let mut other = SampleLoop::empty();
        assert!(matches!(other.step(0, golden), Event::Refused(_)));
        let wrong = Settings { needed: 1, ..Settings::default() };
        assert_eq!(other.init(&MODEL.0, &mut unused.0, wrong), Err(SettingsError::Needed.into()));
        other.init(&MODEL.0, &mut scratch.0, Settings::default()).unwrap();
        for now in 0..3 {
            assert_eq!(other.step(now, golden), device.step(now, golden));
        }
        assert_eq!((other.last(), other.summary()), (device.last(), device.summary()));
    });
}

/// A model whose bytes are whole, and whose golden answer is another's.
#[test]
fn a_model_that_fails_its_self_test_decides_nothing() {
    let mut wrong = Buffer::copy_of(&MODEL.0);
    let golden = FlashModel::new(&MODEL.0).unwrap().golden();
    let novelty = golden.novelty.to_le_bytes();
    let at = wrong.windows(4).position(|word| word == novelty).unwrap();
    wrong[at..at + 4].copy_from_slice(&1e3f32.to_le_bytes());
    repair(&mut wrong);
    let mut scratches = [(); 3].map(|()| Scratch::<9616>::new());
    let [first, second, third] = &mut scratches;
    let mut device = SampleLoop::empty();
    device.init(&MODEL.0, &mut first.0, Settings::default()).unwrap();
    for now in 0..3 {
        device.step(now, golden.frame);
    }
    assert!(device.decision().is_some());
    let failed = StartError::Engine(EngineError::SelfTest);
    assert_eq!(device.init(&wrong, &mut second.0, Settings::default()), Err(failed));
    // Nothing of the model before stays, either.
    assert_eq!((device.decision(), device.last(), device.summary().model), (None, None, 0));
    for now in 0..3 {
        assert!(matches!(device.step(now, golden.frame), Event::Refused(_)));
        assert!(matches!(device.step(now, &[0.0; 0]), Event::Refused(_)));
    }
    assert_eq!(device.decision(), None);
    let engine = Engine::new(FlashModel::new(&wrong).unwrap(), &mut third.0).unwrap();
    assert_eq!(SampleLoop::new(engine, Settings::default()).err(), Some(failed));
    assert_eq!(SampleLoop::new(Engine::empty(), Settings::default()).err(), Some(failed));
}

#[test]
fn no_floats_make_it_panic() {
    with_loop(|device, golden| {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for now in 0..2000 {
            let mut frame = golden.to_vec();
            for _ in 0..rng.random_range(1..PIXELS) {
                let at = rng.random_range(0..PIXELS);
                frame[at] = f32::from_bits(rng.random());
            }
            device.step(now, &frame[..]);
        }
        assert_eq!(device.summary().frames, 2000);
    });
}

#[test]
fn a_full_queue_drops_the_frame_that_comes() {
    let mut memory = [TimedFrame::filled(0); 3];
    let mut queue = FrameQueue::<u8, 2, 4>::new();
    let (mut producer, mut consumer) = queue.split(&mut memory);
    let pushed: Vec<bool> = (0..5).map(|at| producer.push(at, &[at as u8; 2])).collect();
    assert_eq!(pushed, [true, true, true, false, false]);
    assert_eq!((consumer.len(), consumer.take_dropped(), consumer.take_dropped()), (3, 2, 0));
    assert_eq!(consumer.take(|frame| (frame.at, frame.values)), Some((0, [0, 0])));
    assert!(producer.push(5, &[5; 2]));
    consumer.skip_to_newest();
    assert_eq!(consumer.take_dropped(), 2);
    assert_eq!(consumer.take(|frame| frame.at), Some(5));
    assert!(consumer.take(|_| ()).is_none() && consumer.is_empty());
    consumer.skip_to_newest();
    assert_eq!(consumer.take_dropped(), 0);
}

/// Frames of 256 KiB, from and to a stack of half as much.
#[test]
fn frames_are_written_and_read_where_they_lie() {
    const LEN: usize = 1 << 16;
    let mut memory = vec![TimedFrame::filled(0.0f32); 2];
    let values: Box<[f32; LEN]> = vec![0.5; LEN].try_into().unwrap();
    let mut queue = FrameQueue::<f32, LEN, 4>::new();
    let (mut producer, mut consumer) = queue.split(&mut memory);
    let ends = move || {
        // Two frames lie in the memory, though the rings would hold three.
        let pushed = [0, 1, 2].map(|at| producer.push(at, &values));
        let written = consumer.take(|frame| (frame.at, frame.values[LEN - 1]));
        let again = producer.push_with(3, |slot| slot[0] = 2.0);
        let mut sums = Vec::new();
        while let Some(sum) = consumer.take(|frame| frame.values.iter().sum::<f32>()) {
            sums.push(sum);
        }
        (pushed, written, again, consumer.take_dropped(), sums)
    };
    let found = std::thread::scope(|scope| {
        let small = std::thread::Builder::new().stack_size(128 << 10);
        small.spawn_scoped(scope, ends).unwrap().join().unwrap()
    });
    let half = 0.5 * LEN as f32;
    assert_eq!(found, ([true, true, false], Some((0, 0.5)), true, 1, vec![half, half + 1.5]));
}

#[test]
fn every_frame_is_taken_or_counted_as_dropped() {
    const FRAMES: u64 = 100_000;
    let mut memory = [TimedFrame::filled(0); 3];
    let mut queue = FrameQueue::<u8, 16, 4>::new();
    let (mut producer, mut consumer) = queue.split(&mut memory);
    let take = |consumer: &mut FrameConsumer<'_, '_, u8, 16>, last: &mut Option<u64>| {
        let Some(frame) = consumer.take(|frame| *frame) else { return 0 };
        assert!(last.is_none_or(|last| last < frame.at));
        assert_eq!(frame.values, [frame.at as u8; 16]);
        *last = Some(frame.at);
        1
    };
    let mut last = None;
    let mut taken = 0;
    std::thread::scope(|scope| {
        let interrupt = scope.spawn(move || (0..FRAMES).filter(|at| producer.push(*at, &[*at as u8; 16])).count());
        while !interrupt.is_finished() || !consumer.is_empty() {
            taken += take(&mut consumer, &mut last);
        }
        assert_eq!(interrupt.join().unwrap() as u64, taken);
    });
    assert_eq!(taken + u64::from(consumer.take_dropped()), FRAMES);
}

#[test]
fn a_poll_takes_the_oldest_frame_and_counts_the_dropped() {
    with_loop(|device, golden| {
        let mut memory = [TimedFrame::filled(0.0); 2];
        let mut queue = FrameQueue::<f32, PIXELS, 3>::new();
        let (mut producer, mut consumer) = queue.split(&mut memory);
        let frame: [f32; PIXELS] = golden.try_into().unwrap();
        for at in 0..4 {
            producer.push(at, &frame);
        }
        assert_eq!(device.poll(&mut consumer), Some(Event::Nothing));
        assert!(matches!(device.poll(&mut consumer), Some(Event::Decided { at: 1, .. })));
        assert_eq!(device.poll(&mut consumer), None);
        assert_eq!((device.summary().frames, device.summary().dropped), (2, 2));
    });
}

/// Windows of a recording by their definition, channels first.
fn windows<T: Copy>(samples: &[Vec<T>], width: usize, hop: usize) -> Vec<Vec<T>> {
    let starts = (0..).map(|index| index * hop).take_while(|start| start + width <= samples.len());
    let window = |start: usize| {
        let channels = samples[0].len();
        (0..channels).flat_map(|c| samples[start..start + width].iter().map(move |sample| sample[c])).collect()
    };
    starts.map(window).collect()
}

fn windowing(channels: usize, width: usize, hop: usize, rate: Option<f32>) -> (FrameShape, Windowing) {
    let shape = FrameShape { channels, height: 1, width };
    (shape, Windowing::new(shape, hop, rate).unwrap())
}

/// Any samples that are no NaN, as f32 and as a sensor's counts with a scale a channel.
#[test]
fn windows_are_bit_for_bit_those_cut_from_the_recording() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for (channels, width) in [(1, 1), (1, 12), (2, 6), (3, 4), (6, 2), (12, 1), (3, 50), (1, 7)] {
        let counts: Vec<Vec<i16>> = (0..170).map(|_| (0..channels).map(|_| rng.random()).collect()).collect();
        let scale: Vec<f32> = (0..channels).map(|c| 0.3 / (1.0 + c as f32)).collect();
        let scaled =
            |sample: &Vec<i16>| -> Vec<f32> { sample.iter().zip(&scale).map(|(v, s)| s * f32::from(*v)).collect() };
        let values: Vec<Vec<f32>> = counts.iter().map(scaled).collect();
        for hop in (1..=2 * width).chain([60, 200]) {
            let (shape, windowing) = windowing(channels, width, hop, None);
            // A window needs no more memory than itself, and what lies there before is nobody's.
            let (mut integers, mut floats) = (vec![-1i16; channels * width], vec![f32::NAN; channels * width + 3]);
            let mut of_counts = Window::new(shape, windowing, &mut integers).unwrap().with_scale(&scale).unwrap();
            let mut of_values = Window::new(shape, windowing, &mut floats).unwrap();
            let mut found = [Vec::new(), Vec::new()];
            for (at, (count, value)) in counts.iter().zip(&values).enumerate() {
                found[0].extend(of_counts.push(at as u64, count).unwrap().map(Iterator::collect::<Vec<f32>>));
                found[1].extend(of_values.push(at as u64, value).unwrap().map(Iterator::collect::<Vec<f32>>));
            }
            let expected = windows(&values, width, hop);
            assert!(!expected.is_empty());
            assert_eq!(found, [expected.clone(), expected], "{channels} channels, {width} samples, hop {hop}");
            assert_eq!(of_counts.gaps(), 0);
        }
    }
}

/// However a gap is told, windows are those of the parts between gaps.
#[test]
fn no_window_lies_across_a_gap() {
    const RATE: f32 = 100.0;
    const PERIOD: u64 = 10_000;
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (width, hop) in [(4, 1), (4, 4), (5, 2), (3, 8), (1, 1)] {
        let parts: Vec<Vec<Vec<f32>>> =
            (0..40).map(|_| (0..rng.random_range(1..20)).map(|_| vec![rng.random(), rng.random()]).collect()).collect();
        let expected: Vec<Vec<f32>> = parts.iter().flat_map(|part| windows(part, width, hop)).collect();
        let (shape, windowing) = windowing(2, width, hop, Some(RATE));
        let mut memory = [[0.0; 10]; 2];
        let [a, b] = &mut memory;
        let mut told = Window::new(shape, windowing, a).unwrap();
        let mut stamped = Window::new(shape, windowing, b).unwrap().with_clock(1e6).unwrap();
        let mut found = [Vec::new(), Vec::new()];
        let mut at = 1 << 40;
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                told.restart();
                // One sample or more is missing, or the clock was set back.
                at = [at + PERIOD, at + 100 * PERIOD, at - 2 * PERIOD, at - 5 * PERIOD][rng.random_range(0..4)];
            }
            for sample in part {
                found[0].extend(told.push(0, sample).unwrap().map(Iterator::collect::<Vec<f32>>));
                // Jitter of less than half a period either way, between two samples, is no gap.
                let jitter = rng.random_range(0..PERIOD / 4);
                found[1].extend(stamped.push(at + jitter, sample).unwrap().map(Iterator::collect::<Vec<f32>>));
                at += PERIOD;
            }
        }
        assert_eq!(found, [expected.clone(), expected], "{width} samples, hop {hop}");
        assert_eq!((told.gaps(), stamped.gaps()), (39, 39));
        // A clock that stands still tells nothing of what came between.
        (0..2).for_each(|_| drop(stamped.push(at, &[0.0; 2]).unwrap()));
        assert_eq!(stamped.gaps(), 40);
    }
}

#[test]
fn a_window_that_cannot_be_is_refused() {
    let (shape, known) = windowing(2, 3, 1, Some(100.0));
    let (_, unknown) = windowing(2, 3, 1, None);
    let mut memory = [0u8; 6];
    assert_eq!(Window::new(shape, known, &mut memory[1..]).err(), Some(WindowError::Memory { needed: 6, found: 5 }));
    let scales = Window::new(shape, known, &mut memory).unwrap().with_scale(&[1.0; 3]).err();
    assert_eq!(scales, Some(WindowError::Scale { channels: 2, found: 3 }));
    for (windowing, ticks) in [(unknown, 1e6), (known, 199.0), (known, f32::NAN), (known, 0.0)] {
        let clock = Window::new(shape, windowing, &mut memory).unwrap().with_clock(ticks).err();
        assert_eq!(clock, Some(WindowError::Clock), "{ticks}");
    }
    let mut window = Window::new(shape, known, &mut memory).unwrap();
    assert_eq!(window.push(0, &[1]).err(), Some(FrameError::Length { expected: 2, found: 1 }));
    // It is as before.
    for sample in [[1, 2], [3, 4]] {
        assert!(window.push(0, &sample).unwrap().is_none());
        assert!(window.push(0, &[1, 2, 3]).is_err());
    }
    assert_eq!(
        window.push(0, &[5, 6]).unwrap().map(Iterator::collect::<Vec<f32>>),
        Some(vec![1.0, 3.0, 5.0, 2.0, 4.0, 6.0])
    );
}

/// A model of windows 3x256 with random weights, K = 4, D = 2.
fn of_streams() -> Buffer {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut random = |count: usize| -> Vec<f32> { (0..count).map(|_| rng.random_range(-1.0..1.0)).collect() };
    let (shape, windowing) = windowing(CHANNELS, WINDOW, HOP, Some(RATE as f32));
    let length = shape.len();
    let mut spec = ModelSpec {
        shape,
        front_end: None,
        // Gravity lies on the second axis.
        scaling: Some([[0.0, 1.0, 0.0].iter().flat_map(|g| [*g; WINDOW]).collect(), vec![8.0; length]]),
        range: Some([vec![-2.0; CHANNELS], vec![2.0; CHANNELS]]),
        windowing: Some(windowing),
        convs: Vec::new(),
        dense: vec![DenseSpec { shape: [length, 4], weight: random(4 * length), bias: random(4) }],
        learned_head: false,
        log_var_range: [-8.0, 4.0],
        mu_c: random(8).iter().map(|v| 8.0 * v).collect(),
        log_var_c: vec![2.0; 4],
        log_weights: None,
        calibration: Calibration::threshold(60.0),
        golden_frame: vec![0.0; length],
        golden_log_responsibilities: vec![0.0; 4],
        golden_novelty: 0.0,
        critic: None,
        decoder: None,
    };
    let bytes = Buffer::copy_of(&encode(&spec));
    let model = FlashModel::new(&bytes).unwrap();
    let mut scratch = vec![0.0; scratch_len(&model)];
    let answer = Engine::new(model, &mut scratch).unwrap().assign(&spec.golden_frame).unwrap();
    spec.golden_log_responsibilities = answer.log_responsibilities.to_vec();
    spec.golden_novelty = answer.novelty;
    Buffer::copy_of(&encode(&spec))
}

/// A stream through the loop is its windows through the engine and the votes, whatever the samples are stored as, and with
/// the mixture following too.
#[test]
fn a_loop_decides_on_a_stream_as_on_its_windows() {
    let bytes = of_streams();
    let model = FlashModel::new(&bytes).unwrap();
    let (shape, windowing) = (model.shape(), model.windowing().unwrap());
    let machine = Machine::of_fleet(0, 500);
    let counts: Vec<_> = State::ALL
        .into_iter()
        .flat_map(|state| Recording::new(&machine, state, None, 0).take(2000).collect::<Vec<_>>())
        .collect();
    let scale = [SCALE; CHANNELS];
    for adapts in [false, true] {
        let mut memories = [(); 3].map(|()| vec![0.0; Adaptation::memory_len(model.head())]);
        let mut scratches = [(); 3].map(|()| vec![0.0; scratch_len(&model)]);
        let mut devices: Vec<SampleLoop<'_>> = scratches
            .iter_mut()
            .zip(&mut memories)
            .map(|(scratch, memory)| {
                let device =
                    SampleLoop::new(Engine::new(model.clone(), scratch).unwrap(), Settings::default()).unwrap();
                let settings = AdaptSettings::default();
                let adaptation = adapts.then(|| Adaptation::new(model.head().clone(), settings, memory).unwrap());
                adaptation.into_iter().fold(device, |device, adaptation| device.with_adaptation(adaptation).unwrap())
            })
            .collect();
        let (mut integers, mut floats) = (vec![0i16; shape.len()], vec![0.0f32; shape.len()]);
        let mut of_counts = Window::new(shape, windowing, &mut integers).unwrap().with_scale(&scale).unwrap();
        let mut of_values = Window::new(shape, windowing, &mut floats).unwrap();
        let mut windows = vibration::cut(&counts);
        let [by_windows, by_counts, by_values] = &mut devices[..] else { panic!("three devices") };
        let mut whole = 0;
        for (at, count) in (0..).zip(&counts) {
            let events = [
                by_counts.sample(at, count, &mut of_counts),
                by_values.sample(at, &count.map(|v| SCALE * f32::from(v)), &mut of_values),
            ];
            if events == [None; 2] {
                continue;
            }
            let expected = by_windows.step(at, &windows.next().unwrap()[..]);
            assert_eq!(events, [Some(expected); 2]);
            assert_eq!([by_counts.last(), by_values.last()], [by_windows.last(); 2]);
            assert_eq!(by_counts.last().is_some(), !matches!(expected, Event::Refused(_)));
            whole += 1;
        }
        assert_eq!((windows.next(), whole), (None, (8000 - WINDOW) / HOP + 1));
        assert_eq!([by_counts.summary(), by_values.summary()], [by_windows.summary(); 2]);
        assert!(by_counts.summary().assigned.iter().filter(|count| **count > 0).count() > 1);
        let wrong = by_counts.sample(0, &[0i16; 2], &mut of_counts);
        assert!(matches!(wrong, Some(Event::Refused(FrameError::Length { expected: CHANNELS, found: 2 }))));
        // What is no number is refused once a window, and an integer is always one.
        let refused = (0..WINDOW as u64).filter_map(|at| by_values.sample(at, &[f32::NAN; CHANNELS], &mut of_values));
        assert!(refused.last().is_some_and(|event| matches!(event, Event::Refused(FrameError::NotFinite { .. }))));
        // Of another model's windows it says so.
        let (shape, windowing) = self::windowing(1, 2, 2, None);
        let mut memory = [0.0; 2];
        let mut other = Window::new(shape, windowing, &mut memory).unwrap();
        assert_eq!(by_values.sample(0, &[0.0], &mut other), None);
        let wrong = by_values.sample(1, &[0.0], &mut other);
        assert!(matches!(wrong, Some(Event::Refused(FrameError::Length { found: 2, .. }))));
    }
}

fn random_summary(rng: &mut ChaCha8Rng) -> Summary {
    let mut summary = Summary::new(7, 10);
    let mut any = || rng.random::<u64>() >> rng.random_range(0..64);
    let Summary { frames, dropped, refused, novel, outside, alarms, .. } = &mut summary;
    [frames, dropped, refused, novel, outside, alarms].into_iter().for_each(|count| *count = any());
    summary.assigned.iter_mut().chain(&mut summary.decided).for_each(|count| *count = any());
    summary
}

#[test]
fn summaries_add_up_in_any_order() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let sum = |parts: &[&Summary]| {
        let mut sum = Summary::new(7, 10);
        parts.iter().for_each(|part| sum.merge(part).unwrap());
        sum
    };
    for _ in 0..200 {
        let [a, b, c] = [(); 3].map(|()| random_summary(&mut rng));
        let abc = sum(&[&a, &b, &c]);
        assert_eq!(abc, sum(&[&c, &a, &b]));
        assert_eq!(abc, sum(&[&a, &sum(&[&b, &c])]));
        assert_eq!(abc.frames, a.frames.saturating_add(b.frames).saturating_add(c.frames));
        assert_eq!(abc.decided[3], a.decided[3].saturating_add(b.decided[3]).saturating_add(c.decided[3]));
    }
    let mut a = random_summary(&mut rng);
    let before = a.clone();
    assert_eq!(a.merge(&Summary::new(8, 10)), Err(OtherModel { this: 7, other: 8 }));
    assert_eq!(a, before);
}

#[test]
fn summaries_are_small_and_survive_their_encoding() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut buffer = [0; Summary::MAX_BYTES];
    for _ in 0..200 {
        let summary = random_summary(&mut rng);
        let bytes = summary.encode(&mut buffer).unwrap();
        assert_eq!(Summary::decode(bytes), Ok(summary));
    }
    let mut largest = Summary::new(u32::MAX, 64);
    let Summary { frames, dropped, refused, novel, outside, alarms, .. } = &mut largest;
    [frames, dropped, refused, novel, outside, alarms].into_iter().for_each(|count| *count = u64::MAX);
    largest.assigned.iter_mut().chain(&mut largest.decided).for_each(|count| *count = u64::MAX);
    assert_eq!(largest.encode(&mut buffer).unwrap().len(), Summary::MAX_BYTES);
    assert_eq!(Summary::new(7, 10).encode(&mut buffer).unwrap().len(), 1 + 6 + 2 + 20);
    assert!(largest.encode(&mut buffer[1..]).is_err());
}

#[test]
fn bytes_that_are_no_summary_are_refused() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut buffer = [0; Summary::MAX_BYTES];
    let length = random_summary(&mut rng).encode(&mut buffer).unwrap().len();
    for cut in 0..length {
        assert!(Summary::decode(&buffer[..cut]).is_err(), "cut at {cut}");
    }
    // Nor is one with something behind it.
    assert!(Summary::decode(&buffer[..length]).is_ok());
    for more in [1, 7, 100] {
        assert!(Summary::decode(&buffer[..length + more]).is_err(), "{more} more");
    }
    for _ in 0..10_000 {
        let bytes: Vec<u8> = (0..rng.random_range(0..80)).map(|_| rng.random()).collect();
        if let Ok(summary) = Summary::decode(&bytes) {
            assert_eq!(summary.assigned.len(), summary.decided.len());
        }
    }
}
