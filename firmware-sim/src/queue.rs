//! Frames on their way from an interrupt to the loop.
//!
//! Two rings of `heapless`, for one producer and one consumer, without a lock: the producer may be
//! an interrupt that comes in the middle of the consumer's step. The rings hold references to
//! frames, those that are free and those that wait, so that a frame is written and read where it
//! lies: neither end takes room for one on its stack.
//!
//! **Overrun:** when no frame is free, the one that comes is dropped and counted; those that wait
//! stay, in order. Where the newest frame matters more than the order,
//! [`FrameConsumer::skip_to_newest`] drops the waiting ones and counts them too.

use core::sync::atomic::{AtomicU32, Ordering};

use heapless::spsc;

/// A frame of `LEN` values and its time.
#[derive(Clone, Copy, Debug)]
pub struct TimedFrame<T, const LEN: usize> {
    /// Time of the frame, milliseconds.
    pub at: u64,
    /// Values of the frame `[C·H·W]`, channels first.
    pub values: [T; LEN],
}

impl<T: Copy, const LEN: usize> TimedFrame<T, LEN> {
    /// A frame of one value everywhere, of time 0.
    pub const fn filled(value: T) -> Self {
        Self { at: 0, values: [value; LEN] }
    }
}

/// The rings of a queue of frames of `LEN` values, f32 or integers; of less than `SLOTS` frames, as
/// `heapless` counts.
#[derive(Debug)]
pub struct FrameQueue<'m, T, const LEN: usize, const SLOTS: usize> {
    free: spsc::Queue<&'m mut TimedFrame<T, LEN>, SLOTS>,
    full: spsc::Queue<&'m mut TimedFrame<T, LEN>, SLOTS>,
    /// Only the producer writes it, so it needs no more than loads and stores.
    dropped: AtomicU32,
}

impl<'m, T, const LEN: usize, const SLOTS: usize> FrameQueue<'m, T, LEN, SLOTS> {
    /// The rings without frames, to be declared where they shall lie.
    pub const fn new() -> Self {
        Self { free: spsc::Queue::new(), full: spsc::Queue::new(), dropped: AtomicU32::new(0) }
    }

    /// The two ends of an empty queue, the interrupt's and the loop's, whose frames lie in `memory`.
    ///
    /// As many frames may wait as there are in `memory`, `SLOTS` - 1 at most.
    pub fn split<'q>(
        &'q mut self,
        memory: &'m mut [TimedFrame<T, LEN>],
    ) -> (FrameProducer<'q, 'm, T, LEN>, FrameConsumer<'q, 'm, T, LEN>) {
        while self.full.dequeue().or_else(|| self.free.dequeue()).is_some() {}
        for frame in memory.iter_mut().take(self.free.capacity()) {
            // There is room for so many.
            let _ = self.free.enqueue(frame);
        }
        let (give, free) = self.free.split();
        let (full, take) = self.full.split();
        (
            FrameProducer { free, full, dropped: &self.dropped },
            FrameConsumer {
                full: take,
                free: give,
                dropped: &self.dropped,
                skipped: 0,
                told: self.dropped.load(Ordering::Relaxed),
            },
        )
    }
}

impl<T, const LEN: usize, const SLOTS: usize> Default for FrameQueue<'_, T, LEN, SLOTS> {
    fn default() -> Self {
        Self::new()
    }
}

/// End of the queue that the interrupt writes to.
pub struct FrameProducer<'q, 'm, T, const LEN: usize> {
    free: spsc::Consumer<'q, &'m mut TimedFrame<T, LEN>>,
    full: spsc::Producer<'q, &'m mut TimedFrame<T, LEN>>,
    dropped: &'q AtomicU32,
}

impl<T: Copy, const LEN: usize> FrameProducer<'_, '_, T, LEN> {
    /// Appends the frame of time `at`, milliseconds; false if there was no room and it was dropped.
    pub fn push(&mut self, at: u64, values: &[T; LEN]) -> bool {
        self.push_with(at, |slot| slot.iter_mut().zip(values).for_each(|(to, from)| *to = *from))
    }

    /// [`FrameProducer::push`] of values that `write` puts where the frame lies, in place of those
    /// of an earlier frame. It is not called if there is no room.
    pub fn push_with(&mut self, at: u64, write: impl FnOnce(&mut [T; LEN])) -> bool {
        let Some(frame) = self.free.dequeue() else {
            let dropped = self.dropped.load(Ordering::Relaxed);
            self.dropped.store(dropped.wrapping_add(1), Ordering::Relaxed);
            return false;
        };
        frame.at = at;
        write(&mut frame.values);
        // There is room for all frames in either ring.
        self.full.enqueue(frame).is_ok()
    }
}

/// End of the queue that the loop reads from.
pub struct FrameConsumer<'q, 'm, T, const LEN: usize> {
    full: spsc::Consumer<'q, &'m mut TimedFrame<T, LEN>>,
    free: spsc::Producer<'q, &'m mut TimedFrame<T, LEN>>,
    dropped: &'q AtomicU32,
    skipped: u32,
    /// Of `dropped`, what [`FrameConsumer::take_dropped`] has given.
    told: u32,
}

impl<T: Copy, const LEN: usize> FrameConsumer<'_, '_, T, LEN> {
    /// The oldest frame, which stays in the queue; None if none waits.
    pub fn peek(&self) -> Option<&TimedFrame<T, LEN>> {
        self.full.peek().map(|frame| &**frame)
    }

    /// Takes the oldest frame out, once `read` has seen it where it lies; None if none waits.
    pub fn take<R>(&mut self, read: impl FnOnce(&TimedFrame<T, LEN>) -> R) -> Option<R> {
        let frame = self.full.dequeue()?;
        let found = read(frame);
        // There is room for all frames in either ring.
        let _ = self.free.enqueue(frame);
        Some(found)
    }

    /// Number of frames that wait.
    pub fn len(&self) -> usize {
        self.full.len()
    }

    /// Whether no frame waits.
    pub fn is_empty(&self) -> bool {
        self.full.is_empty()
    }

    /// Drops all frames but the newest.
    pub fn skip_to_newest(&mut self) {
        for _ in 1..self.full.len() {
            if self.take(|_| ()).is_some() {
                self.skipped = self.skipped.saturating_add(1);
            }
        }
    }

    /// Frames dropped at either end since the last call.
    pub fn take_dropped(&mut self) -> u32 {
        let dropped = self.dropped.load(Ordering::Relaxed);
        let count = dropped.wrapping_sub(self.told).saturating_add(self.skipped);
        (self.told, self.skipped) = (dropped, 0);
        count
    }
}
