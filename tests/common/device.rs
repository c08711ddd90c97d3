//! A device with two slots for small models, in simulated flash.
#![expect(clippy::unwrap_used, reason = "a failure to build the fixture is the test's own message")]

use embassy_futures::block_on;
use firmware_sim::host::flash::{Cut, FlashError, SimFlash};
use firmware_sim::slots::Stored;
use firmware_sim::{Boot, Layout, MappedFlash, Reason, SlotError, Slots};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::flash::{Buffer, DenseSpec, FlashModel, ModelSpec, encode};
use runtime::native::Engine;
use runtime::{Calibration, FrameShape};

pub const SCRATCH: usize = 512;

/// A whole image of about 6 KB, `seed` telling one from another.
pub fn model(seed: u64) -> Vec<u8> {
    with_hidden(seed, 32)
}

/// An image whose engine needs more scratch memory than that of [`model`].
#[allow(dead_code, reason = "not every test that shares this file needs one")]
pub fn larger() -> Vec<u8> {
    with_hidden(3, 48)
}

fn with_hidden(seed: u64, hidden: usize) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut random = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-1.0..1.0)).collect() };
    let dense = |inputs, outputs, weight, bias| DenseSpec { shape: [inputs, outputs], weight, bias };
    let mut spec = ModelSpec {
        shape: FrameShape { channels: 1, height: 8, width: 8 },
        front_end: None,
        scaling: None,
        range: None,
        windowing: None,
        convs: Vec::new(),
        dense: vec![
            dense(64, hidden, random(64 * hidden), random(hidden)),
            dense(hidden, 4, random(hidden * 4), random(4)),
        ],
        learned_head: false,
        log_var_range: [-8.0, 8.0],
        mu_c: random(6),
        log_var_c: random(3),
        log_weights: None,
        calibration: Calibration::threshold(10.0),
        golden_frame: random(64),
        golden_log_responsibilities: vec![0.0; 3],
        golden_novelty: 0.0,
        critic: None,
        decoder: None,
    };
    let bytes = Buffer::copy_of(&encode(&spec));
    let mut scratch = [0.0; SCRATCH];
    let answer =
        Engine::new(FlashModel::new(&bytes).unwrap(), &mut scratch).unwrap().assign(&spec.golden_frame).unwrap();
    spec.golden_log_responsibilities = answer.log_responsibilities.to_vec();
    spec.golden_novelty = answer.novelty;
    encode(&spec)
}

/// Flash of which slots and record take as many pages as they need.
pub struct Device<const WRITE: usize, const ERASE: usize> {
    pub slots: Slots<SimFlash<WRITE, ERASE>>,
    pub scratch: [f32; SCRATCH],
}

pub type Failed = SlotError<FlashError>;

impl<const WRITE: usize, const ERASE: usize> Device<WRITE, ERASE> {
    pub fn layout() -> (Layout, usize) {
        let slot = 8192_usize.div_ceil(ERASE);
        let at = |page: usize| (page * ERASE) as u32;
        let layout = Layout { slots: [0..at(slot), at(slot)..at(2 * slot)], record: at(2 * slot)..at(2 * slot + 4) };
        (layout, 2 * slot + 4)
    }

    pub fn new(seed: u64) -> Self {
        let (layout, pages) = Self::layout();
        let mut device =
            Self { slots: Slots::new(SimFlash::new(pages, seed), layout).unwrap(), scratch: [0.0; SCRATCH] };
        assert_eq!(device.boot().unwrap(), Boot { model: None, reason: Reason::Empty });
        device
    }

    /// The same flash, power on again.
    pub fn restarted(self) -> Self {
        let mut flash = self.slots.into_flash();
        flash.power_on();
        Self { slots: Slots::new(flash, Self::layout().0).unwrap(), scratch: self.scratch }
    }

    /// A copy whose flash is cut as told.
    pub fn copy(&self, cut: Option<(u64, Cut)>) -> Self {
        let mut flash = self.slots.flash().clone();
        if let Some((after, kind)) = cut {
            flash.cut_after(after, kind);
        }
        Self { slots: Slots::new(flash, Self::layout().0).unwrap(), scratch: self.scratch }
    }

    pub fn boot(&mut self) -> Result<Boot, Failed> {
        block_on(self.slots.boot(&mut self.scratch))
    }

    pub fn stage(&mut self, version: u32, image: &[u8]) -> Result<Stored, Failed> {
        block_on(self.slots.stage(version, image, false, &mut self.scratch))
    }

    /// Boots, stages, switches, boots and confirms; what was done before power went.
    pub fn update(&mut self, version: u32, image: &[u8]) -> (Done, Result<(), Failed>) {
        let mut done = Done::Nothing;
        let mut all = || {
            self.boot()?;
            self.stage(version, image)?;
            done = Done::Staged;
            block_on(self.slots.switch())?;
            done = Done::Switched;
            let boot = self.boot()?;
            assert_eq!((boot.model.map(|m| m.version), boot.reason), (Some(version), Reason::Trial));
            done = Done::Booted;
            block_on(self.slots.confirm())?;
            done = Done::Confirmed;
            Ok(())
        };
        let result = all();
        (done, result)
    }

    /// The model that a boot gives, its bytes as they lie in flash.
    pub fn bytes(&self, model: &Stored) -> &[u8] {
        let range = self.slots.range(model).unwrap();
        self.slots.flash().mapped(range).unwrap()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Done {
    Nothing,
    Staged,
    Switched,
    Booted,
    Confirmed,
}
