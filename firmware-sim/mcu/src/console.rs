//! Lines of text for the host, by semihosting; without `core::fmt`, whose code would be larger than the engine's.

use cortex_m_semihosting::debug::{self, EXIT_FAILURE};
use cortex_m_semihosting::hio::{HostStream, hstdout};
use heapless::String;

/// Where lines go.
pub struct Console(HostStream);

/// A line that is being written; what is past its end is cut off.
pub struct Line(String<96>);

impl Console {
    /// The host's standard output; None if the host does not answer.
    pub fn new() -> Option<Self> {
        hstdout().ok().map(Self)
    }

    /// Writes a line.
    pub fn print(&mut self, line: &mut Line) {
        // With the host gone there is no one to tell.
        let _ = line.0.push('\n');
        let _ = self.0.write_all(line.0.as_bytes());
    }
}

impl Line {
    /// A line that begins so.
    pub fn new(text: &str) -> Self {
        let mut line = Self(String::new());
        line.text(text);
        line
    }

    /// Appends text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        let _ = self.0.push_str(text);
        self
    }

    /// Appends a whole number.
    pub fn number(&mut self, number: usize) -> &mut Self {
        self.digits(number as u32, 1)
    }

    /// Appends a number with four decimals.
    pub fn decimal(&mut self, number: f32) -> &mut Self {
        if number < 0.0 {
            self.text("-");
        }
        let scaled = (number.abs() * 1e4 + 0.5) as u32;
        self.digits(scaled / 10_000, 1).text(".").digits(scaled % 10_000, 4)
    }

    /// Appends at least so many digits, at most ten.
    fn digits(&mut self, number: u32, least: usize) -> &mut Self {
        const POWERS: [u32; 10] =
            [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
        for (index, power) in POWERS.iter().enumerate() {
            if number >= *power || index + least >= POWERS.len() {
                let digit = number.checked_div(*power).unwrap_or(0) % 10;
                let _ = self.0.push(char::from(b'0' + digit as u8));
            }
        }
        self
    }
}

/// Ends the run as failed.
pub fn fail(reason: &str) -> ! {
    if let Some(mut console) = Console::new() {
        console.print(Line::new("failed: ").text(reason));
    }
    loop {
        debug::exit(EXIT_FAILURE);
    }
}
