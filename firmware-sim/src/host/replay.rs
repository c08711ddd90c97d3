//! A device on the host: a sensor that shows digits at a set rate, its queue, its loop, its flash.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use embassy_futures::block_on;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use runtime::native::{Engine, scratch_len};

use super::digits::{Digits, PIXELS, digits_model};
use super::drift::Drift;
use super::faults::{Faults, Rates};
use super::flash::SimFlash;
use super::report::{Report, Starts};
use super::score::Counts;
use crate::queue::FrameConsumer;
use crate::slots::Stored;
use crate::{
    AdaptSettings, Adaptation, Boot, Event, FrameQueue, Layout, Reason, SampleLoop, Settings, Slots, Summary,
    TimedFrame,
};

/// Settings of a replay.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// Frames that the sensor sends.
    #[arg(long, value_name = "N", default_value_t = 40_000)]
    pub frames: usize,
    /// Frames that a digit stays in front of the sensor.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub hold: u32,
    /// Frames a second.
    #[arg(long, value_name = "HZ", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rate: u32,
    /// Milliseconds that a step takes on the device; where frames come faster, its queue overruns.
    #[arg(long, value_name = "MS", default_value_t = 8)]
    pub step_ms: u64,
    /// Frames between two starts of the device.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub restart_every: u32,
    /// Change in front of the sensor, from a tenth of the frames on, in full from six tenths on.
    #[arg(long, value_name = "KIND", default_value = "none")]
    pub drift: Drift,
    /// Let the mixture follow the frames.
    #[arg(long)]
    pub adapt: bool,
    /// Rates at which faults happen.
    #[command(flatten)]
    pub rates: Rates,
}

/// Words and pages of the simulated flash, those of an nRF52840.
type Flash = SimFlash<4, ERASE>;
/// Bytes of an erasable page of the simulated flash, as of an nRF52840.
const ERASE: usize = 4096;
/// Slots of the queue; it has room for one frame less.
const QUEUE: usize = 5;
/// Value of a white pixel in bytes; the sensor has 1 for it.
const WHITE: f32 = 255.0;

/// Replays digits to a device, and reports what came of it.
///
/// # Errors
/// [`ModelError`](super::digits::ModelError) if the bytes are no model for the digits.
pub fn replay(model: &[u8], args: &ReplayArgs, seed: u64) -> Result<Report> {
    let image = digits_model(model)?;
    let head = image.head();
    let mut store = Store::new(model, scratch_len(&image), seed)?;
    let mut world = World::new(args, head.clusters(), seed)?;
    let mut total = Summary::new(image.checksum(), head.clusters());
    let mut memory = vec![0.0; Adaptation::memory_len(head)];
    while world.shown < args.frames {
        let frames = (args.restart_every as usize).min(args.frames - world.shown);
        let stored = store.start()?;
        let summary = {
            let running = store.slots.image(&stored)?;
            let trained = running.head().clone();
            let mut device = SampleLoop::new(Engine::new(running, &mut store.scratch)?, Settings::default())?;
            if args.adapt {
                device = device.with_adaptation(Adaptation::new(trained, AdaptSettings::default(), &mut memory)?)?;
            }
            world.run(&mut device, frames);
            device.take_summary()
        };
        total.merge(&summary)?;
        let bits = world.faults.bit_flips(frames, store.bytes());
        store = store.aged(&bits)?;
    }
    Ok(world.report(total, store.starts))
}

/// The device's flash, and the model that a server sends again where it is damaged.
struct Store<'m> {
    model: &'m [u8],
    slots: Slots<Flash>,
    scratch: Vec<f32>,
    /// The version sent last.
    version: u32,
    starts: Starts,
}

impl<'m> Store<'m> {
    /// With the model as version 1 in the one slot, and confirmed as version 2 in the other.
    fn new(model: &'m [u8], scratch: usize, seed: u64) -> Result<Self> {
        let flash = Flash::new(Self::pages(model), seed);
        let slots = Slots::new(flash, Self::layout(model))?;
        let mut store = Self { model, slots, scratch: vec![0.0; scratch], version: 0, starts: Starts::default() };
        block_on(store.slots.boot(&mut store.scratch))?;
        store.install()?;
        store.install()?;
        Ok(store)
    }

    /// Pages of a slot: the model, and its label behind it.
    fn slot_pages(model: &[u8]) -> usize {
        (model.len() + 64).div_ceil(ERASE)
    }

    fn pages(model: &[u8]) -> usize {
        2 * Self::slot_pages(model) + 4
    }

    fn layout(model: &[u8]) -> Layout {
        let slot = Self::slot_pages(model);
        let at = |page: usize| (page * ERASE) as u32;
        Layout { slots: [0..at(slot), at(slot)..at(2 * slot)], record: at(2 * slot)..at(2 * slot + 4) }
    }

    fn bytes(&self) -> usize {
        Self::pages(self.model) * ERASE
    }

    fn install(&mut self) -> Result<Stored> {
        let Self { model, slots, scratch, version, .. } = self;
        *version += 1;
        block_on(async {
            let stored = slots.stage(*version, model, false, scratch).await?;
            slots.switch().await?;
            slots.boot(scratch).await?;
            slots.confirm().await?;
            Ok(stored)
        })
    }

    /// Boots; where a model was damaged, has it sent again.
    fn start(&mut self) -> Result<Stored> {
        let Boot { model, reason } = block_on(self.slots.boot(&mut self.scratch))?;
        match (model, reason) {
            (Some(stored), Reason::Confirmed) => {
                self.starts.confirmed += 1;
                Ok(stored)
            }
            (Some(_), _) => {
                self.starts.other_slot += 1;
                self.install()
            }
            (None, _) => {
                self.starts.none += 1;
                self.install()
            }
        }
    }

    /// The same flash at the next start, after so many bits have turned over.
    fn aged(self, bits: &[usize]) -> Result<Self> {
        let mut flash = self.slots.into_flash();
        bits.iter().for_each(|bit| flash.flip(*bit));
        Ok(Self { slots: Slots::new(flash, Self::layout(self.model))?, ..self })
    }
}

/// Truth about a frame in the queue, for scoring only.
struct Shown {
    label: usize,
    damaged: bool,
    /// True time at which the frame came, milliseconds.
    came: u64,
}

/// The world around the device: digits, sensor, faults, and the score of what it decides.
struct World<'w> {
    args: &'w ReplayArgs,
    digits: Digits,
    rng: ChaCha8Rng,
    faults: Faults<ChaCha8Rng>,
    /// Number of frames sent.
    shown: usize,
    /// Index of the digit in front of the sensor.
    digit: usize,
    /// Classes and clusters of undamaged frames that are neither novel nor outside.
    frames: Counts,
    /// Classes and clusters of decisions.
    decisions: Counts,
    steps: u64,
    host: Duration,
}

impl<'w> World<'w> {
    fn new(args: &'w ReplayArgs, clusters: usize, seed: u64) -> Result<Self> {
        let stream = |index| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(index);
            rng
        };
        Ok(Self {
            args,
            digits: Digits::embedded()?,
            rng: stream(0),
            faults: Faults::new(args.rates, stream(1)),
            shown: 0,
            digit: 0,
            frames: Counts::new(clusters),
            decisions: Counts::new(clusters),
            steps: 0,
            host: Duration::ZERO,
        })
    }

    /// Sends frames to a device, which takes one from its queue whenever it is done with the one
    /// before.
    fn run(&mut self, device: &mut SampleLoop<'_>, frames: usize) {
        let mut memory = vec![TimedFrame::filled(0.0); QUEUE - 1];
        let mut queue = FrameQueue::<f32, PIXELS, QUEUE>::new();
        let (mut producer, mut consumer) = queue.split(&mut memory);
        let mut waiting = VecDeque::new();
        let mut idle_at = 0;
        for _ in 0..frames {
            let time = self.shown as u64 * 1000 / u64::from(self.args.rate);
            while let Some(begin) = waiting.front().map(|next: &Shown| idle_at.max(next.came))
                && begin <= time
            {
                self.step(device, &mut consumer, &mut waiting);
                idle_at = begin + self.args.step_ms;
            }
            let (label, mut values) = self.sense();
            let (copies, damaged) = self.faults.frame(&mut values);
            let clock = self.faults.clock(time);
            for _ in 0..copies {
                if producer.push(clock, &values) {
                    waiting.push_back(Shown { label, damaged, came: time });
                }
            }
        }
        while self.step(device, &mut consumer, &mut waiting) {}
    }

    /// The next frame of the sensor, and what it shows.
    fn sense(&mut self) -> (usize, [f32; PIXELS]) {
        let amount = Drift::amount(self.shown, self.args.frames);
        if self.shown.is_multiple_of(self.args.hold as usize) {
            self.digit = self.args.drift.draw(&self.digits, amount, &mut self.rng);
        }
        self.shown += 1;
        let seen = self.args.drift.seen(self.digits.image(self.digit), amount);
        let mut values = [0.0; PIXELS];
        values.iter_mut().zip(seen).for_each(|(value, byte)| *value = f32::from(byte) / WHITE);
        (self.digits.label(self.digit), values)
    }

    /// One step of the device; false if its queue is empty.
    fn step(
        &mut self,
        device: &mut SampleLoop<'_>,
        queue: &mut FrameConsumer<'_, '_, f32, PIXELS>,
        waiting: &mut VecDeque<Shown>,
    ) -> bool {
        let started = Instant::now();
        let event = device.poll(queue);
        let (Some(event), Some(shown)) = (event, waiting.pop_front()) else { return false };
        self.host += started.elapsed();
        self.steps += 1;
        if let Some(assignment) = device.last().filter(|last| !last.is_novel && !last.is_outside && !shown.damaged) {
            self.frames.add(assignment.cluster, shown.label);
        }
        if let Event::Decided { cluster, .. } = event {
            self.decisions.add(cluster, shown.label);
        }
        true
    }

    fn report(self, summary: Summary, starts: Starts) -> Report {
        let classes = self.frames.classes();
        Report {
            sent: self.shown as u64,
            faults: self.faults.happened,
            starts,
            frames_agree: self.frames.agreement(&classes),
            decisions_agree: self.decisions.agreement(&classes),
            classes,
            summary,
            steps_per_second: self.steps as f64 / self.host.as_secs_f64(),
        }
    }
}
