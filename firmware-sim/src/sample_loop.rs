//! The loop of a device: a frame in, an assignment by the engine, votes, an event out.

use runtime::native::{Engine, EngineError};
use runtime::{Assignment, FrameError};

use crate::adapt::AdaptError;
use crate::queue::FrameConsumer;
use crate::{Adaptation, Settings, SettingsError, Summary, Tracker, Window};

/// Outcome of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing new: no cluster has the votes yet, or the decision stands.
    Nothing,
    /// This cluster now has the votes.
    Decided {
        /// Number of the cluster that has the votes.
        cluster: usize,
        /// Time of the frame that decided, milliseconds.
        at: u64,
    },
    /// The decision has lost its votes, and no other cluster has them, or so many frames have not
    /// voted that it says nothing any more.
    Lapsed {
        /// The cluster that was the decision.
        cluster: usize,
        /// Time of the frame, milliseconds.
        at: u64,
    },
    /// The frame is novel; it does not vote.
    Novel {
        /// Time of the frame, milliseconds.
        at: u64,
    },
    /// Values of the frame lie outside the range seen in training, as of a sensor in other units; it does not vote.
    ///
    /// [`runtime::ValueRange::first_outside`] says which: `engine().model().range()`.
    Outside {
        /// Time of the frame, milliseconds.
        at: u64,
    },
    /// The frame is novel or outside, and with it so many of the last ones are that the alarm is raised.
    Alarm {
        /// Time of the frame, milliseconds.
        at: u64,
    },
    /// The frame was refused; it does not vote.
    Refused(FrameError),
}

/// A frame `[C·H·W]`, channels first.
#[derive(Clone, Copy, Debug)]
pub enum Frame<'f> {
    /// In the units of the training data.
    Floats(&'f [f32]),
    /// Bytes, each to be divided by 255.
    Bytes(&'f [u8]),
}

impl<'f> From<&'f [f32]> for Frame<'f> {
    fn from(values: &'f [f32]) -> Self {
        Self::Floats(values)
    }
}

impl<'f> From<&'f [u8]> for Frame<'f> {
    fn from(values: &'f [u8]) -> Self {
        Self::Bytes(values)
    }
}

impl<'f, const LEN: usize> From<&'f [f32; LEN]> for Frame<'f> {
    fn from(values: &'f [f32; LEN]) -> Self {
        Self::Floats(values)
    }
}

impl<'f, const LEN: usize> From<&'f [u8; LEN]> for Frame<'f> {
    fn from(values: &'f [u8; LEN]) -> Self {
        Self::Bytes(values)
    }
}

/// Frames in, events out.
#[derive(Debug)]
pub struct SampleLoop<'a> {
    engine: Engine<'a>,
    adaptation: Option<Adaptation<'a>>,
    tracker: Tracker,
    last: Option<Assignment>,
}

/// Why a loop could not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The model is refused, or its self-test fails.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The settings make no sense.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

impl<'a> SampleLoop<'a> {
    /// A loop without a model, which refuses every frame, for [`SampleLoop::init`].
    pub const fn empty() -> Self {
        Self { engine: Engine::empty(), adaptation: None, tracker: Tracker::empty(), last: None }
    }

    /// Begins at 0 with the model of a flash image, once it has passed its self-test.
    ///
    /// All is done in place: a static loop never takes room on the stack. After an error there is no
    /// model, no decision and nothing counted, and every frame is refused; or all is as it was if
    /// only the settings are wrong.
    ///
    /// # Errors
    /// As [`Engine::init`], [`Engine::self_test`] and [`Settings::check`].
    pub fn init(&mut self, bytes: &'a [u8], scratch: &'a mut [f32], settings: Settings) -> Result<(), StartError> {
        self.tracker.init(settings, 0, 0)?;
        (self.adaptation, self.last) = (None, None);
        self.engine.init(bytes, scratch)?;
        if let Err(error) = self.engine.self_test() {
            self.engine.close();
            return Err(error.into());
        }
        let image = self.engine.model();
        Ok(self.tracker.init(settings, image.checksum(), image.head().clusters())?)
    }

    /// A loop on an engine, once its model has passed its self-test.
    ///
    /// The model does not change while it runs, unless there is [`SampleLoop::with_adaptation`].
    ///
    /// # Errors
    /// As [`Engine::self_test`] and [`Settings::check`].
    pub fn new(mut engine: Engine<'a>, settings: Settings) -> Result<Self, StartError> {
        engine.self_test()?;
        let image = engine.model();
        let tracker = Tracker::new(settings, image.checksum(), image.head().clusters())?;
        Ok(Self { engine, adaptation: None, tracker, last: None })
    }

    /// Lets a mixture that follows the frames assign them, made from the head of the same image.
    ///
    /// # Errors
    /// [`AdaptError::OtherModel`] if it is of another.
    pub fn with_adaptation(mut self, adaptation: Adaptation<'a>) -> Result<Self, AdaptError> {
        if !adaptation.is_of(self.engine.model().head()) {
            return Err(AdaptError::OtherModel);
        }
        self.adaptation = Some(adaptation);
        Ok(self)
    }

    /// Assigns the frame of time `now`, milliseconds, and tells what came of it.
    ///
    /// A time that jumps or stands still does no harm: it goes into the event as it is, and decides
    /// nothing.
    pub fn step<'f>(&mut self, now: u64, frame: impl Into<Frame<'f>>) -> Event {
        let assignment = self.assign(frame.into());
        self.observe(now, assignment)
    }

    /// Takes a sample `[C]` of time `now`, and assigns the window that it makes whole; None if it makes none.
    ///
    /// `now` is in ticks of the clock that the window knows, and goes into the event as it is; a sample of another number of
    /// channels is refused.
    pub fn sample<T: Copy + Into<f32>>(&mut self, now: u64, sample: &[T], window: &mut Window<'_, T>) -> Option<Event> {
        let assignment = match window.push(now, sample) {
            Ok(frame) => self.assign_values(frame?),
            Err(error) => Err(error),
        };
        Some(self.observe(now, assignment))
    }

    #[inline(always)]
    fn observe(&mut self, now: u64, assignment: Result<Assignment, FrameError>) -> Event {
        // An assignment is large: it goes where it stays before anyone looks at it.
        match assignment {
            Ok(assignment) => {
                let assignment = self.last.insert(assignment);
                self.tracker.observe(now, Ok(assignment))
            }
            Err(error) => {
                self.last = None;
                self.tracker.observe(now, Err(error))
            }
        }
    }

    fn assign(&mut self, frame: Frame<'_>) -> Result<Assignment, FrameError> {
        let Some(adaptation) = &mut self.adaptation else {
            return match frame {
                Frame::Floats(values) => self.engine.assign(values),
                Frame::Bytes(values) => self.engine.assign_u8(values),
            };
        };
        let latent = match frame {
            Frame::Floats(values) => self.engine.encode(values)?,
            Frame::Bytes(values) => self.engine.encode_u8(values)?,
        };
        adaptation.assign(&latent)
    }

    fn assign_values(&mut self, frame: impl Iterator<Item = f32> + Clone) -> Result<Assignment, FrameError> {
        match &mut self.adaptation {
            Some(adaptation) => adaptation.assign(&self.engine.encode_values(frame)?),
            None => self.engine.assign_values(frame),
        }
    }

    /// Takes the oldest frame of a queue through a step; None if none waits.
    ///
    /// Frames that the queue has dropped are counted.
    pub fn poll<T: Copy, const LEN: usize>(&mut self, queue: &mut FrameConsumer<'_, '_, T, LEN>) -> Option<Event>
    where
        for<'f> Frame<'f>: From<&'f [T]>,
    {
        self.tracker.count_dropped(queue.take_dropped());
        queue.take(|frame| self.step(frame.at, &frame.values[..]))
    }

    /// Assignment of the last frame; None before the first, and if that was refused.
    pub fn last(&self) -> Option<&Assignment> {
        self.last.as_ref()
    }

    /// The cluster that has the votes, if one has.
    pub fn decision(&self) -> Option<usize> {
        self.tracker.decision()
    }

    /// Whether the alarm is on.
    pub fn alarmed(&self) -> bool {
        self.tracker.alarmed()
    }

    /// Counts since the start or the last [`SampleLoop::take_summary`].
    pub fn summary(&self) -> &Summary {
        self.tracker.summary()
    }

    /// Gives the counts and begins again at 0, so that every frame is in one summary only.
    pub fn take_summary(&mut self) -> Summary {
        self.tracker.take_summary()
    }

    /// The engine that assigns the frames.
    pub fn engine(&self) -> &Engine<'a> {
        &self.engine
    }

    /// The adaptation, if there is one.
    pub fn adaptation(&self) -> Option<&Adaptation<'a>> {
        self.adaptation.as_ref()
    }

    /// The adaptation, to revert it.
    pub fn adaptation_mut(&mut self) -> Option<&mut Adaptation<'a>> {
        self.adaptation.as_mut()
    }
}
