//! Points in the plane, coloured by group.

use std::fmt::Write;

use maud::{Markup, html};

use super::{Plot, Titles, colour, n};

/// Points of one colour, with a number at their mean.
#[derive(Clone, Debug)]
pub struct Group {
    /// Number that is written at the mean of the points.
    pub number: usize,
    /// Place of a cross.
    pub cross: [f64; 2],
    /// Points of the group.
    pub points: Vec<[f64; 2]>,
}

impl Group {
    /// The mean of the points; the cross if there are none.
    fn centre(&self) -> [f64; 2] {
        let n = self.points.len() as f64;
        let mean = [0, 1].map(|axis| self.points.iter().map(|p| p[axis]).sum::<f64>() / n);
        if self.points.is_empty() { self.cross } else { mean }
    }
}

/// The chart of all groups.
///
/// A group's points are one path of dots, which takes a tenth of the bytes of as many circles.
pub fn scatter(titles: Titles<'_>, groups: &[Group]) -> Markup {
    let range = |axis: usize| {
        let values = groups.iter().flat_map(|g| g.points.iter().chain([&g.cross])).map(|p| p[axis]);
        let [low, high] = values.fold([f64::INFINITY, f64::NEG_INFINITY], |[l, h], v| [l.min(v), h.max(v)]);
        if low <= high { [low, high] } else { [0.0, 1.0] }
    };
    let plot = Plot::new(400.0, 360.0, range(0), range(1), [true, true]);
    let place = |p: &[f64; 2]| (n(plot.x.at(p[0])), n(plot.y.at(p[1])));
    let inside = html! {
        @for group in groups {
            @let dots = group.points.iter().fold(String::new(), |mut path, p| {
                let (x, y) = place(p);
                // Writing to a String does not fail.
                let _ = write!(path, "M{x} {y}h0");
                path
            });
            path class={ "dots " (colour(group.number)) } d=(dots) {}
        }
        @for group in groups {
            @let (x, y) = place(&group.cross);
            path class={ "cross " (colour(group.number)) } d=(format!("M{x} {y}m-5 0h10m-5 -5v10")) {}
        }
        @for group in groups {
            @let centre = group.centre();
            @let (x, y) = place(&centre);
            circle class={ "centre " (colour(group.number)) } cx=(x) cy=(y) r="9" {}
            text class="number" x=(x) y=(n(plot.y.at(centre[1]) + 4.0)) text-anchor="middle" { (group.number) }
        }
    };
    plot.draw(titles, &inside)
}
