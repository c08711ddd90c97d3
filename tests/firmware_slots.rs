//! Updates of the model in flash: power is cut at every operation, and the device still boots a whole model.

use embassy_futures::block_on;
use firmware_sim::host::flash::{Cut, FlashError, SimFlash};
use firmware_sim::slots::Stored;
use firmware_sim::{Boot, Layout, Reason, SlotError, Slots};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use runtime::FrameShape;
use runtime::image::{Buffer, DenseSpec, Image, ImageSpec, encode};
use runtime::native::Engine;

const SCRATCH: usize = 512;

/// A whole image of about 6 KB, `seed` telling one from another.
fn model(seed: u64) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut random = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-1.0..1.0)).collect() };
    let dense = |inputs, outputs, weight, bias| DenseSpec { shape: [inputs, outputs], weight, bias };
    let mut spec = ImageSpec {
        shape: FrameShape { channels: 1, height: 8, width: 8 },
        scaling: None,
        convs: Vec::new(),
        dense: vec![dense(64, 32, random(64 * 32), random(32)), dense(32, 4, random(32 * 4), random(4))],
        learned_head: false,
        log_var_range: [-8.0, 8.0],
        mu_c: random(6),
        log_var_c: random(3),
        novelty_threshold: 10.0,
        golden_frame: random(64),
        golden_log_responsibilities: vec![0.0; 3],
        golden_novelty: 0.0,
    };
    let bytes = Buffer::copy_of(&encode(&spec));
    let mut scratch = [0.0; SCRATCH];
    let answer = Engine::new(Image::new(&bytes).unwrap(), &mut scratch).unwrap().assign(&spec.golden_frame).unwrap();
    spec.golden_log_responsibilities = answer.log_responsibilities.to_vec();
    spec.golden_novelty = answer.novelty;
    encode(&spec)
}

/// Flash of which slots and record take as many pages as they need.
struct Device<const WRITE: usize, const ERASE: usize> {
    slots: Slots<SimFlash<WRITE, ERASE>>,
    scratch: [f32; SCRATCH],
}

type Failed = SlotError<FlashError>;

impl<const WRITE: usize, const ERASE: usize> Device<WRITE, ERASE> {
    fn layout() -> (Layout, usize) {
        let slot = 8192_usize.div_ceil(ERASE);
        let at = |page: usize| (page * ERASE) as u32;
        let layout = Layout { slots: [0..at(slot), at(slot)..at(2 * slot)], record: at(2 * slot)..at(2 * slot + 2) };
        (layout, 2 * slot + 2)
    }

    fn new(seed: u64) -> Self {
        let (layout, pages) = Self::layout();
        Self { slots: Slots::new(SimFlash::new(pages, seed), layout).unwrap(), scratch: [0.0; SCRATCH] }
    }

    /// The same flash, power on again.
    fn restarted(self) -> Self {
        let mut flash = self.slots.into_flash();
        flash.power_on();
        Self { slots: Slots::new(flash, Self::layout().0).unwrap(), scratch: self.scratch }
    }

    /// A copy whose flash is cut as told.
    fn copy(&self, cut: Option<(u64, Cut)>) -> Self {
        let mut flash = self.slots.flash().clone();
        if let Some((after, kind)) = cut {
            flash.cut_after(after, kind);
        }
        Self { slots: Slots::new(flash, Self::layout().0).unwrap(), scratch: self.scratch }
    }

    fn boot(&mut self) -> Result<Boot, Failed> {
        block_on(self.slots.boot(&mut self.scratch))
    }

    fn stage(&mut self, version: u32, image: &[u8]) -> Result<Stored, Failed> {
        block_on(self.slots.stage(version, image, false, &mut self.scratch))
    }

    /// Stages, switches, boots and confirms; what was done before power went.
    fn update(&mut self, version: u32, image: &[u8]) -> (Done, Result<(), Failed>) {
        let mut done = Done::Nothing;
        let mut all = || {
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
    fn bytes(&self, model: &Stored) -> &[u8] {
        let range = self.slots.range(model).unwrap();
        firmware_sim::MappedFlash::mapped(self.slots.flash(), range).unwrap()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Done {
    Nothing,
    Staged,
    Switched,
    Booted,
    Confirmed,
}

/// Cuts power at every operation of so many updates, one after the other, so that the pages of the record are filled,
/// closed and erased in turn.
fn every_operation<const WRITE: usize, const ERASE: usize>(updates: u32) {
    let models = [model(1), model(2)];
    let mut device = Device::<WRITE, ERASE>::new(7);
    assert_eq!(device.boot().unwrap(), Boot { model: None, reason: Reason::Empty });
    device.update(1, &models[1]).1.unwrap();
    let mut cuts = 0;
    for version in 2..2 + updates {
        let [old, new] = [&models[(version as usize + 1) % 2], &models[version as usize % 2]];
        let before = device.slots.flash().operations();
        let mut whole = device.copy(None);
        whole.update(version, new).1.unwrap();
        let operations = whole.slots.flash().operations() - before;
        for after in 0..operations {
            for kind in [Cut::Clean, Cut::Torn] {
                let mut cut = device.copy(Some((after, kind)));
                let (done, result) = cut.update(version, new);
                assert_eq!(result, Err(SlotError::Flash(FlashError::Power)), "cut {after}");
                boots_a_whole_model(cut.restarted(), (version, old, new), done, (after, kind));
                cuts += 1;
            }
        }
        device = whole.restarted();
        assert_eq!(device.boot().unwrap().reason, Reason::Confirmed);
    }
    let record = Device::<WRITE, ERASE>::layout().0.record;
    let wear = &device.slots.flash().wear()[record.start as usize / ERASE..];
    assert!(wear.iter().all(|erased| *erased > 0), "the record has not been round: {wear:?}");
    println!("{WRITE} {ERASE}: {cuts} cuts in {updates} updates, pages erased {:?}", device.slots.flash().wear());
}

/// The device boots the old or the new model, as far as it had come; then the update can be made again.
fn boots_a_whole_model<const WRITE: usize, const ERASE: usize>(
    mut device: Device<WRITE, ERASE>,
    (version, old, new): (u32, &[u8], &[u8]),
    done: Done,
    cut: (u64, Cut),
) {
    let context = format!("version {version}, {cut:?}, done {done:?}");
    let boot = device.boot().unwrap_or_else(|e| panic!("{context}: {e:?}"));
    let booted = boot.model.unwrap_or_else(|| panic!("{context}: no model, {boot:?}"));
    let is_new = booted.version == version;
    assert_eq!(device.bytes(&booted), if is_new { new } else { old }, "{context}");
    assert_eq!(booted.version, if is_new { version } else { version - 1 }, "{context}");
    match done {
        // Power went before or in the switch, in the boot, in the confirmation.
        Done::Nothing => assert!(!is_new && boot.reason == Reason::Confirmed, "{context}: {boot:?}"),
        Done::Staged => assert_eq!(boot.reason, if is_new { Reason::Trial } else { Reason::Confirmed }, "{context}"),
        Done::Switched => {
            assert_eq!(boot.reason, if is_new { Reason::Trial } else { Reason::NotConfirmed }, "{context}")
        }
        Done::Booted | Done::Confirmed => {
            assert_eq!(boot.reason, if is_new { Reason::Confirmed } else { Reason::NotConfirmed }, "{context}")
        }
    }
    if boot.reason == Reason::Trial {
        block_on(device.slots.confirm()).unwrap();
    } else if !is_new {
        device.update(version, new).1.unwrap_or_else(|e| panic!("{context}: again: {e:?}"));
    }
    let boot = device.restarted().boot().unwrap();
    assert_eq!((boot.model.map(|m| m.version), boot.reason), (Some(version), Reason::Confirmed), "{context}");
}

#[test]
fn power_may_go_at_every_operation_words_of_4_pages_of_4096() {
    every_operation::<4, 4096>(90);
}

#[test]
fn power_may_go_at_every_operation_words_of_8_pages_of_2048() {
    every_operation::<8, 2048>(40);
}

#[test]
fn power_may_go_at_every_operation_bytes_pages_of_4096() {
    every_operation::<1, 4096>(100);
}

/// Two cuts in a row, the second one anywhere in the boot after the first and in the update that is made again.
fn double_cuts<const WRITE: usize, const ERASE: usize>(count: u32, seed: u64) {
    let models = [model(1), model(2)];
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut device = Device::<WRITE, ERASE>::new(seed);
    device.update(1, &models[1]).1.unwrap();
    let mut version = 1;
    for index in 0..count {
        // On with the series now and then, so that the record is cut in every state.
        if index % 500 == 0 {
            version += 1;
            device.update(version, &models[version as usize % 2]).1.unwrap();
        }
        let next = version + 1;
        let new = &models[next as usize % 2];
        let mut cut = device.copy(None);
        for _ in 0..2 {
            let kind = if rng.random() { Cut::Clean } else { Cut::Torn };
            cut = cut.restarted().copy(Some((rng.random_range(0..60), kind)));
            // Without power nothing more happens; the next round restarts.
            if let Ok(boot) = cut.boot() {
                assert!(boot.model.is_some(), "{index}");
                match boot.reason {
                    Reason::Trial => drop(block_on(cut.slots.confirm())),
                    _ if boot.model.map(|m| m.version) == Some(next) => {}
                    _ => drop(cut.update(next, new)),
                }
            }
        }
        let mut cut = cut.restarted();
        let boot = cut.boot().unwrap_or_else(|e| panic!("{index}: {e:?}"));
        let booted = boot.model.unwrap_or_else(|| panic!("{index}: no model, {boot:?}"));
        assert!(booted.version == version || booted.version == next, "{index}: {boot:?}");
        assert_eq!(cut.bytes(&booted), &models[booted.version as usize % 2][..], "{index}");
        assert_ne!(boot.reason, Reason::Damaged, "{index}");
    }
}

#[test]
fn a_hundred_thousand_double_cuts() {
    double_cuts::<4, 4096>(34_000, 1);
    double_cuts::<8, 2048>(33_000, 2);
    double_cuts::<1, 4096>(33_000, 3);
}
