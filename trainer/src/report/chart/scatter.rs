//! Points in the plane, coloured by group.

use std::fmt::Write;

use maud::{Markup, html};

use super::{Plot, Titles, colour, n};

/// Points of one colour, with a number at their centre.
#[derive(Clone, Debug)]
pub struct Group {
    /// The number.
    pub number: usize,
    /// Where it stands.
    pub centre: [f64; 2],
    /// The points.
    pub points: Vec<[f64; 2]>,
}

/// The chart. A group's points are one path of dots, which takes a tenth of the bytes of as many circles.
pub fn scatter(titles: Titles<'_>, groups: &[Group]) -> Markup {
    let range = |axis: usize| {
        let values = groups.iter().flat_map(|g| g.points.iter().chain([&g.centre])).map(|p| p[axis]);
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
            @let (x, y) = place(&group.centre);
            circle class={ "centre " (colour(group.number)) } cx=(x) cy=(y) r="9" {}
            text class="number" x=(x) y=(n(plot.y.at(group.centre[1]) + 4.0)) text-anchor="middle" { (group.number) }
        }
    };
    plot.draw(titles, &inside)
}
