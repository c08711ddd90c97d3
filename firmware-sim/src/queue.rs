//! Frames on their way from an interrupt to the loop.
//!
//! A ring of `heapless`, for one producer and one consumer, without a lock: the producer may be an
//! interrupt that comes in the middle of the consumer's step.
//!
//! **Overrun:** when the ring is full, the frame that comes is dropped and counted; those in the
//! ring stay, in order. Where the newest frame matters more than the order,
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

/// Room for `SLOTS` - 1 frames of `LEN` values, f32 or u8.
#[derive(Debug)]
pub struct FrameQueue<T, const LEN: usize, const SLOTS: usize> {
    ring: spsc::Queue<TimedFrame<T, LEN>, SLOTS>,
    /// Only the producer writes it, so it needs no more than loads and stores.
    dropped: AtomicU32,
}

impl<T, const LEN: usize, const SLOTS: usize> FrameQueue<T, LEN, SLOTS> {
    /// An empty queue, to be declared where it shall lie.
    pub const fn new() -> Self {
        Self { ring: spsc::Queue::new(), dropped: AtomicU32::new(0) }
    }

    /// Splits the queue into its two ends, the interrupt's and the loop's.
    pub fn split(&mut self) -> (FrameProducer<'_, T, LEN>, FrameConsumer<'_, T, LEN>) {
        let (producer, consumer) = self.ring.split();
        (
            FrameProducer { ring: producer, dropped: &self.dropped },
            FrameConsumer { ring: consumer, dropped: &self.dropped, skipped: 0, told: 0 },
        )
    }
}

impl<T, const LEN: usize, const SLOTS: usize> Default for FrameQueue<T, LEN, SLOTS> {
    fn default() -> Self {
        Self::new()
    }
}

/// End of the queue that the interrupt writes to.
pub struct FrameProducer<'q, T, const LEN: usize> {
    ring: spsc::Producer<'q, TimedFrame<T, LEN>>,
    dropped: &'q AtomicU32,
}

impl<T: Copy, const LEN: usize> FrameProducer<'_, T, LEN> {
    /// Appends the frame of time `at`, milliseconds; false if there was no room and it was dropped.
    pub fn push(&mut self, at: u64, values: &[T; LEN]) -> bool {
        // Looked at first, so that a frame that finds no room is not copied either.
        if self.ring.ready() && self.ring.enqueue(TimedFrame { at, values: *values }).is_ok() {
            return true;
        }
        let dropped = self.dropped.load(Ordering::Relaxed);
        self.dropped.store(dropped.wrapping_add(1), Ordering::Relaxed);
        false
    }
}

/// End of the queue that the loop reads from.
pub struct FrameConsumer<'q, T, const LEN: usize> {
    ring: spsc::Consumer<'q, TimedFrame<T, LEN>>,
    dropped: &'q AtomicU32,
    skipped: u32,
    /// Of `dropped`, what [`FrameConsumer::take_dropped`] has given.
    told: u32,
}

impl<T: Copy, const LEN: usize> FrameConsumer<'_, T, LEN> {
    /// The oldest frame, which stays in the queue; None if none waits.
    pub fn peek(&self) -> Option<&TimedFrame<T, LEN>> {
        self.ring.peek()
    }

    /// Takes the oldest frame out.
    pub fn pop(&mut self) -> Option<TimedFrame<T, LEN>> {
        self.ring.dequeue()
    }

    /// Number of frames that wait.
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether no frame waits.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Drops all frames but the newest.
    pub fn skip_to_newest(&mut self) {
        for _ in 1..self.ring.len() {
            if self.ring.dequeue().is_some() {
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
