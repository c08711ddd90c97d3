//! Two slots for models in flash, and how one replaces the other.
//!
//! ```text
//! begin ─► write.. ─► finish (verify) ─► switch ─► restart: boot (trial) ─► confirm
//!                                                     └─ not confirmed ─► next boot: the old model
//! ```
//!
//! - The slot of the confirmed model is never written, so the old model stays whole until the new one is confirmed, and
//!   after that until the next update begins.
//! - A model is booted only if every checksum holds and the golden frame gives its golden answer. That is looked at when
//!   it is staged and at every boot.
//! - What is booted next stands in one record, of which the old one stays until the new one can be read, so that power
//!   may go at any operation.
//! - A model is looked at three times at most before its trial, so that a watchdog that ends every look ends the update, too.
//! - A trial is one boot. If power goes before [`Slots::confirm`], the next boot takes the old model.
//! - Behind the model, in the last 64 bytes of its slot, a label has its version: who finds it without a record knows how old
//!   it is.
//! - A version that is not above the confirmed one is refused, unless forced. Without being forced a device goes back
//!   only if its model is damaged, and says so ([`Reason::Damaged`]).
//!
//! Operations are those of `embedded-storage-async`; with a flash that blocks, a plain `block_on` drives them.

mod error;
mod label;
mod record;

use core::ops::Range;

use embedded_storage_async::nor_flash::NorFlash;
use runtime::flash::{ALIGNMENT, FlashModel};
use runtime::native::{Engine, EngineError};

pub use error::SlotError;
use record::Kept;
pub use record::{Beside, Record, Stored};

/// Flash that is also mapped into memory, as a microcontroller's is: models are read where they
/// lie.
///
/// Any byte must be readable at any time, also of a word or page that power was cut in: as whatever
/// it then is. **Flash with error correction, as that of STM32 G4, H7, L4, L5 and U5, is not such a
/// flash:** it answers the read of a torn word with an interrupt or a bus fault, of which nothing
/// here knows. Put the slots in external flash there.
pub trait MappedFlash: NorFlash {
    /// The bytes at an offset, as the last operation left them; None past the end.
    ///
    /// The memory must be aligned to 4 bytes at offset 0.
    fn mapped(&self, range: Range<u32>) -> Option<&[u8]>;
}

/// Places of slots and record, as offsets in flash: multiples of its erase size that do not
/// overlap.
///
/// The record takes four erasable pages, or a multiple of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Ranges of the two slots.
    pub slots: [Range<u32>; 2],
    /// Range of the record.
    pub record: Range<u32>,
}

/// Reason why a model was booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The model is the confirmed one.
    Confirmed,
    /// The model is new: [`Slots::confirm`] keeps it.
    Trial,
    /// The new model was booted before, and was not confirmed: this is the old one. Or it was never
    /// found whole, since the device started anew every time that it was looked at.
    NotConfirmed,
    /// The model that was to be booted needs more scratch memory than there is: this is the other
    /// one.
    TooLarge,
    /// The model that was to be booted is damaged, or the record is lost: this is the other one, or
    /// the one that was found, of two the one with the higher version.
    ///
    /// The version of a model found without a record is that of its label in the slot; where that is
    /// lost too, the highest that record and labels tell of, so that no older one follows unforced.
    Damaged,
    /// There is no model: no update has been confirmed yet.
    Empty,
}

/// Choice of [`Slots::boot`]: a model and the reason for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// The model to run; None if no slot holds a whole one, as before the first update.
    pub model: Option<Stored>,
    /// Reason why this model was chosen.
    pub reason: Reason,
}

/// What a look at a stored model finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The model that the record says, and it passes its self-test.
    Whole,
    /// Another model, or none.
    Damaged,
    /// Whole as far as one can tell without running it.
    TooLarge { needed: usize, found: usize },
}

/// A model on its way into a slot.
#[derive(Clone, Copy, Debug)]
struct Incoming {
    slot: u8,
    version: u32,
    length: u32,
    written: u32,
    verified: Option<Stored>,
}

/// The slots of a flash.
#[derive(Debug)]
pub struct Slots<F> {
    flash: F,
    layout: Layout,
    /// The record, once it has been read.
    kept: Option<Kept>,
    /// Whether [`Slots::boot`] has looked at the slots: until then a lost record may hide the only model.
    booted: bool,
    incoming: Option<Incoming>,
}

impl<F: MappedFlash> Slots<F> {
    /// The slots of `layout` in `flash`. Nothing is read yet.
    ///
    /// # Errors
    /// [`SlotError::Layout`] if the layout does not fit the flash.
    pub fn new(flash: F, layout: Layout) -> Result<Self, SlotError<F::Error>> {
        let [first, second] = &layout.slots;
        let erase = F::ERASE_SIZE as u32;
        let capacity = u32::try_from(flash.capacity()).unwrap_or(u32::MAX);
        let fits = |range: &Range<u32>| {
            range.start < range.end
                && range.end <= capacity
                && range.start.is_multiple_of(erase)
                && range.end.is_multiple_of(erase)
        };
        let apart = |a: &Range<u32>, b: &Range<u32>| a.end <= b.start || b.end <= a.start;
        let record = &layout.record;
        let good = [first, second, record].into_iter().all(fits)
            && apart(first, second)
            && apart(first, record)
            && apart(second, record)
            && (record.end - record.start).is_multiple_of(erase.saturating_mul(4))
            && ALIGNMENT.is_multiple_of(F::WRITE_SIZE)
            && F::ERASE_SIZE.is_multiple_of(ALIGNMENT);
        if good {
            Ok(Self { flash, layout, kept: None, booted: false, incoming: None })
        } else {
            Err(SlotError::Layout)
        }
    }

    /// Chooses the model to run, to be called once after every start; before it nothing is staged and nothing confirmed.
    ///
    /// `scratch` is the memory of an engine ([`runtime::native::scratch_len`]) that fits every
    /// model to come; it is free again afterwards.
    ///
    /// # Errors
    /// [`SlotError::Flash`], and [`EngineError::Scratch`] if that is why no model can be booted.
    /// Damage is none: it is left aside and told by [`Reason::Damaged`].
    pub async fn boot(&mut self, scratch: &mut [f32]) -> Result<Boot, SlotError<F::Error>> {
        (self.booted, self.incoming) = (false, None);
        let boot = self.choose(scratch).await?;
        self.booted = true;
        Ok(boot)
    }

    async fn choose(&mut self, scratch: &mut [f32]) -> Result<Boot, SlotError<F::Error>> {
        let mut record = match self.load().await? {
            Some(record) => record,
            None => return self.recover(None, scratch).await,
        };
        if !self.kept.is_some_and(|kept| kept.settled) {
            self.store(&record).await?;
        }
        let mut reason = Reason::Confirmed;
        match record.beside {
            Beside::Next(next) => match self.attempt(&mut record, next, 1, scratch).await? {
                Ok(boot) => return Ok(boot),
                Err(why) => reason = why,
            },
            Beside::Tried { model, attempts } if attempts < ATTEMPTS => {
                match self.attempt(&mut record, model, attempts.saturating_add(1), scratch).await? {
                    Ok(boot) => return Ok(boot),
                    Err(why) => reason = why,
                }
            }
            Beside::Tried { .. } | Beside::Trial(_) => reason = Reason::NotConfirmed,
            Beside::Nothing | Beside::Previous(_) => {}
        }
        match record.confirmed {
            Some(confirmed) if self.look_at(&confirmed, scratch) != State::Whole => {
                return self.recover(Some(record), scratch).await;
            }
            None if reason == Reason::Confirmed => reason = Reason::Empty,
            _ => {}
        }
        if matches!(record.beside, Beside::Next(_) | Beside::Tried { .. } | Beside::Trial(_)) {
            record.beside = Beside::Nothing;
            self.store(&record).await?;
        }
        Ok(Boot { model: record.confirmed, reason })
    }

    /// Looks at a model that is to be booted: its trial, or why it has none.
    ///
    /// What is looked at is written down first, so that a device that starts anew while it looks, as a watchdog makes it,
    /// does not do so for ever.
    async fn attempt(
        &mut self,
        record: &mut Record,
        model: Stored,
        attempts: u8,
        scratch: &mut [f32],
    ) -> Result<Result<Boot, Reason>, SlotError<F::Error>> {
        record.beside = Beside::Tried { model, attempts };
        self.store(record).await?;
        match self.look_at(&model, scratch) {
            State::Whole => {
                record.beside = Beside::Trial(model);
                self.store(record).await?;
                Ok(Ok(Boot { model: Some(model), reason: Reason::Trial }))
            }
            State::Damaged => Ok(Err(Reason::Damaged)),
            State::TooLarge { .. } => Ok(Err(Reason::TooLarge)),
        }
    }

    /// The record is lost, or the confirmed model is damaged: takes whatever whole model a slot
    /// holds.
    async fn recover(&mut self, record: Option<Record>, scratch: &mut [f32]) -> Result<Boot, SlotError<F::Error>> {
        let known = record.unwrap_or_default();
        let beside = match known.beside {
            Beside::Nothing => None,
            Beside::Previous(model) | Beside::Next(model) | Beside::Trial(model) | Beside::Tried { model, .. } => {
                Some(model)
            }
        };
        let labels = [0, 1].map(|slot| self.slot(slot).and_then(|range| label::read(&self.flash, range)));
        let recorded = [known.confirmed, beside];
        let told = recorded.iter().flatten().map(|model| model.version);
        let highest = told.chain(labels.iter().flatten().map(|label| label.version)).max().unwrap_or_default();
        let mut found = [(0, labels[0]), (1, labels[1])].map(|(slot, label)| {
            let found = self.look(slot)?;
            let same = |model: &&Stored| model.slot == slot && model.checksum == found.checksum;
            let recorded = recorded.iter().flatten().find(same).map(|model| model.version);
            let labelled = label.filter(|label| label.checksum == found.checksum).map(|label| label.version);
            Some(Stored { version: recorded.or(labelled).unwrap_or(highest), ..found })
        });
        let [first, second] = found.map(|model| model.map(|model| model.version));
        if second > first {
            found.reverse();
        }
        let mut too_large = None;
        for found in found.into_iter().flatten() {
            match self.look_at(&found, scratch) {
                State::Whole => {
                    self.store(&Record { confirmed: Some(found), beside: Beside::Nothing }).await?;
                    return Ok(Boot { model: Some(found), reason: Reason::Damaged });
                }
                State::TooLarge { needed, found } => too_large = Some(EngineError::Scratch { needed, found }),
                State::Damaged => {}
            }
        }
        match too_large {
            Some(error) => Err(error.into()),
            None => Ok(Boot { model: None, reason: if record.is_some() { Reason::Damaged } else { Reason::Empty } }),
        }
    }

    /// The model that a slot's first bytes announce, unchecked.
    fn look(&self, slot: u8) -> Option<Stored> {
        let range = self.slot(slot)?;
        let bytes = self.flash.mapped(range.clone())?;
        let length = FlashModel::stated_length(bytes)?;
        let checksum = FlashModel::new(bytes.get(..length)?).ok()?.checksum();
        Some(Stored { slot, version: 0, length: length as u32, checksum })
    }

    /// Whether a stored model is what the record says of it, and passes its self-test.
    fn look_at(&self, model: &Stored, scratch: &mut [f32]) -> State {
        match self.verify(model.slot, model.length, scratch) {
            Ok(checksum) if checksum == model.checksum => State::Whole,
            Err(SlotError::Engine(EngineError::Scratch { needed, found })) => State::TooLarge { needed, found },
            Ok(_) | Err(_) => State::Damaged,
        }
    }

    /// Checks every byte of a slot's model and its golden answer; gives its checksum.
    fn verify(&self, slot: u8, length: u32, scratch: &mut [f32]) -> Result<u32, SlotError<F::Error>> {
        let image = FlashModel::new(self.bytes(slot, length)?)?;
        let checksum = image.checksum();
        Engine::new(image, scratch)?.self_test()?;
        Ok(checksum)
    }

    /// Range of a slot; None if there is no such slot.
    fn slot(&self, slot: u8) -> Option<&Range<u32>> {
        self.layout.slots.get(usize::from(slot))
    }

    fn bytes(&self, slot: u8, length: u32) -> Result<&[u8], SlotError<F::Error>> {
        let range = self.slot(slot).filter(|range| length <= range.end - range.start);
        let range = range.map(|range| range.start..range.start + length);
        range.and_then(|range| self.flash.mapped(range)).ok_or(SlotError::Record)
    }

    /// A stored model, checked again.
    ///
    /// # Errors
    /// [`SlotError::Image`] if it is damaged.
    pub fn image(&self, model: &Stored) -> Result<FlashModel<'_>, SlotError<F::Error>> {
        Ok(FlashModel::new(self.bytes(model.slot, model.length)?)?)
    }

    /// Range of a stored model in flash, to read it there while the slots are used.
    pub fn range(&self, model: &Stored) -> Option<Range<u32>> {
        self.slot(model.slot).map(|range| range.start..range.start.saturating_add(model.length))
    }

    /// The record, empty if there is none.
    ///
    /// # Errors
    /// [`SlotError::Flash`], [`SlotError::Record`].
    pub async fn record(&mut self) -> Result<Record, SlotError<F::Error>> {
        Ok(self.load().await?.unwrap_or_default())
    }

    async fn load(&mut self) -> Result<Option<Record>, SlotError<F::Error>> {
        if self.kept.is_none() {
            self.kept = record::load(&mut self.flash, &self.layout.record).await?;
        }
        Ok(self.kept.map(|kept| kept.record))
    }

    async fn store(&mut self, record: &Record) -> Result<(), SlotError<F::Error>> {
        self.load().await?;
        // After a failure it is read again.
        let old = self.kept.take();
        self.kept = Some(record::store(&mut self.flash, &self.layout.record, old, *record).await?);
        Ok(())
    }

    /// Stages a whole image: [`Slots::begin`], [`Slots::write`], [`Slots::finish`].
    ///
    /// # Errors
    /// As [`Slots::begin`], [`Slots::write`] and [`Slots::finish`].
    pub async fn stage(
        &mut self,
        version: u32,
        image: &[u8],
        force: bool,
        scratch: &mut [f32],
    ) -> Result<Stored, SlotError<F::Error>> {
        let length = u32::try_from(image.len()).unwrap_or(u32::MAX);
        self.begin(version, length, force).await?;
        self.write(image).await?;
        self.finish(scratch)
    }

    /// Makes room for a model of `length` bytes in the slot that the confirmed one is not in.
    ///
    /// # Errors
    /// [`SlotError::Version`] unless `force`, [`SlotError::Length`], [`SlotError::Order`] before
    /// [`Slots::boot`] and during a trial.
    pub async fn begin(&mut self, version: u32, length: u32, force: bool) -> Result<(), SlotError<F::Error>> {
        self.incoming = None;
        if !self.booted {
            return Err(SlotError::Order(BOOT_FIRST));
        }
        let known = self.load().await?;
        let mut record = known.unwrap_or_default();
        if matches!(record.beside, Beside::Trial(_)) {
            return Err(SlotError::Order("the model on trial is in that slot: confirm it or roll it back first"));
        }
        if let Some(Stored { version: confirmed, .. }) = record.confirmed
            && version <= confirmed
            && !force
        {
            return Err(SlotError::Version { confirmed, found: version });
        }
        let slot = record.confirmed.map_or(0, |confirmed| 1 - confirmed.slot.min(1));
        let range = self.slot(slot).cloned().ok_or(SlotError::Layout)?;
        let size = (range.end - range.start).saturating_sub(label::BYTES as u32);
        if length > size || !(length as usize).is_multiple_of(ALIGNMENT) || length == 0 {
            return Err(SlotError::Length { expected: size, found: length });
        }
        // Before the first byte goes: the record must not promise what is no longer there. And
        // there must be one, or the model would count as found if power went before the switch.
        if record.beside != Beside::Nothing || known.is_none() {
            record.beside = Beside::Nothing;
            self.store(&record).await?;
        }
        let erase = F::ERASE_SIZE as u32;
        // The last page first: the label is there, which must not name what is written now.
        let pages = (range.start..range.start + length).step_by(F::ERASE_SIZE);
        for page in core::iter::once(range.end - erase).chain(pages.filter(|page| *page != range.end - erase)) {
            self.flash.erase(page, page + erase).await.map_err(SlotError::Flash)?;
        }
        self.incoming = Some(Incoming { slot, version, length, written: 0, verified: None });
        Ok(())
    }

    /// Appends bytes of the model, as they arrive: a multiple of 64.
    ///
    /// # Errors
    /// [`SlotError::Part`], [`SlotError::Length`] past the announced length, [`SlotError::Order`]
    /// before [`Slots::begin`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), SlotError<F::Error>> {
        let incoming = self.incoming.ok_or(SlotError::Order("begin comes before write"))?;
        if !bytes.len().is_multiple_of(ALIGNMENT) {
            return Err(SlotError::Part);
        }
        let found = u32::try_from(bytes.len()).unwrap_or(u32::MAX).saturating_add(incoming.written);
        if found > incoming.length {
            return Err(SlotError::Length { expected: incoming.length, found });
        }
        let start = self.slot(incoming.slot).ok_or(SlotError::Layout)?.start;
        let mut at = start + incoming.written;
        // Within a page at a time, as drivers of external flash ask for.
        for part in bytes.chunks(PROGRAM) {
            self.flash.write(at, part).await.map_err(SlotError::Flash)?;
            at += part.len() as u32;
        }
        self.incoming = Some(Incoming { written: found, verified: None, ..incoming });
        Ok(())
    }

    /// Checks the model that was written: every checksum, and the golden frame.
    ///
    /// # Errors
    /// [`SlotError::Length`] if bytes are missing, [`SlotError::Image`], [`SlotError::Engine`].
    pub fn finish(&mut self, scratch: &mut [f32]) -> Result<Stored, SlotError<F::Error>> {
        let incoming = self.incoming.ok_or(SlotError::Order("begin and write come before finish"))?;
        let Incoming { slot, version, length, written, .. } = incoming;
        if written != length {
            return Err(SlotError::Length { expected: length, found: written });
        }
        let stored = Stored { slot, version, length, checksum: self.verify(slot, length, scratch)? };
        self.incoming = Some(Incoming { verified: Some(stored), ..incoming });
        Ok(stored)
    }

    /// Makes the next boot try the model that [`Slots::finish`] has verified.
    ///
    /// # Errors
    /// [`SlotError::Order`] if no model has been verified.
    pub async fn switch(&mut self) -> Result<(), SlotError<F::Error>> {
        let verified = self.incoming.and_then(|incoming| incoming.verified);
        let stored = verified.ok_or(SlotError::Order("finish comes before switch"))?;
        let record = self.record().await?;
        let range = self.slot(stored.slot).cloned().ok_or(SlotError::Layout)?;
        let label = label::Label { version: stored.version, checksum: stored.checksum };
        label::write(&mut self.flash, &range, label).await?;
        self.store(&Record { beside: Beside::Next(stored), ..record }).await?;
        self.incoming = None;
        Ok(())
    }

    /// Keeps the model on trial. The one before stays in its slot until the next update begins.
    ///
    /// # Errors
    /// [`SlotError::Order`] if no model is on trial, or before [`Slots::boot`]: a model that was on trial when power went
    /// is over.
    pub async fn confirm(&mut self) -> Result<(), SlotError<F::Error>> {
        if !self.booted {
            return Err(SlotError::Order(BOOT_FIRST));
        }
        let Record { confirmed, beside } = self.record().await?;
        let Beside::Trial(trial) = beside else { return Err(SlotError::Order("no model is on trial")) };
        let beside = confirmed.map_or(Beside::Nothing, Beside::Previous);
        self.store(&Record { confirmed: Some(trial), beside }).await
    }

    /// Gives up the model that is on trial or to be booted next; the next boot takes the confirmed
    /// one.
    ///
    /// # Errors
    /// [`SlotError::Flash`], [`SlotError::Record`].
    pub async fn roll_back(&mut self) -> Result<(), SlotError<F::Error>> {
        self.incoming = None;
        let record = self.record().await?;
        match record.beside {
            Beside::Trial(_) | Beside::Next(_) | Beside::Tried { .. } => {
                self.store(&Record { beside: Beside::Nothing, ..record }).await
            }
            Beside::Nothing | Beside::Previous(_) => Ok(()),
        }
    }

    /// The flash that the slots are in.
    pub fn flash(&self) -> &F {
        &self.flash
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }
}

const BOOT_FIRST: &str = "boot comes first";
/// Times that a model is looked at before its trial, where the device starts anew meanwhile.
const ATTEMPTS: u8 = 3;
/// Bytes that are written at once.
const PROGRAM: usize = 256;
