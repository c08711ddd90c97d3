//! What the page shows, a file each, in the order of the page.

pub mod about;
pub mod calibration;
pub mod changes;
pub mod clusters;
pub mod comparison;
pub mod confusion;
pub mod explanations;
pub mod geometry;
pub mod overview;
pub mod recordings;
pub mod training;
