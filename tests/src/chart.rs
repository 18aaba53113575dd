//! Draws what was measured as SVG: one line for each thing, axes in decades or even. Points in, text out.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::figure::{float, short};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// Where the axes end: left, top, right, bottom.
const FRAME: (f64, f64, f64, f64) = (80.0, 60.0, 480.0, 350.0);
/// A line of more points is drawn without a mark for each.
const MOST_MARKS: usize = 60;
const COLOURS: [&str; 6] = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b", "#7f7f7f"];

/// What a figure is a point of.
#[derive(Clone, Debug)]
pub struct Point {
    /// Which drawing.
    pub chart: &'static str,
    /// Which of its lines.
    pub line: String,
    /// To the right.
    pub x: f64,
    /// Upwards.
    pub y: f64,
}

/// What the axes of a drawing say.
#[derive(Clone, Copy, Debug)]
pub struct Axes {
    /// Which drawing.
    pub chart: &'static str,
    /// How far apart the values of both axes lie.
    pub scale: Scale,
    /// What it shows.
    pub title: &'static str,
    /// To the right.
    pub x: &'static str,
    /// Upwards.
    pub y: &'static str,
}

/// How far apart the values of an axis lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    /// Each power of ten as far from the next as from the one before; zero has no place.
    Decades,
    /// Evenly, from zero on.
    Even,
}

/// Several drawings in one, one below the other; those without points are left out.
pub fn sheet(charts: &[Axes], points: &[Point]) -> Option<String> {
    let drawings: Vec<String> = charts.iter().filter_map(|axes| svg(axes, points)).collect();
    let height = HEIGHT * float(drawings.len());
    let mut out = format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\">\n");
    for (number, drawing) in drawings.iter().enumerate() {
        let place = format!("<svg y=\"{}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" ", HEIGHT * float(number));
        out.push_str(&drawing.replacen("<svg ", &place, 1));
    }
    out.push_str("</svg>\n");
    (!drawings.is_empty()).then_some(out)
}

/// The drawing of those points that are of it, if there are any.
pub fn svg(axes: &Axes, points: &[Point]) -> Option<String> {
    let mut lines: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    let sound =
        |point: &&Point| point.chart == axes.chart && axes.scale.has(point.x) && axes.scale.has(point.y);
    for point in points.iter().filter(sound) {
        lines.entry(&point.line).or_default().push((point.x, point.y));
    }
    let all = || lines.values().flatten();
    let x = Axis::around(axes.scale, all().map(|point| point.0))?;
    let y = Axis::around(axes.scale, all().map(|point| point.1))?;
    let (left, top, right, bottom) = FRAME;
    let at = |point: &(f64, f64)| {
        (left + (right - left) * x.share(point.0), bottom - (bottom - top) * y.share(point.1))
    };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    text(&mut out, (left, 24.0), "start", axes.title);
    text(&mut out, (left, 46.0), "start", axes.y);
    text(&mut out, (f64::midpoint(left, right), bottom + 38.0), "middle", axes.x);
    for value in x.each() {
        let (across, _) = at(&(value, y.first()));
        rule(&mut out, (across, top), (across, bottom));
        text(&mut out, (across, bottom + 18.0), "middle", &axes.scale.shown(value));
    }
    for value in y.each() {
        let (_, up) = at(&(x.first(), value));
        rule(&mut out, (left, up), (right, up));
        text(&mut out, (left - 8.0, up + 4.0), "end", &axes.scale.shown(value));
    }
    for ((name, mut points), (number, colour)) in lines.into_iter().zip(COLOURS.iter().enumerate()) {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let path: Vec<String> = points.iter().map(at).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let path = path.join(" ");
        // Invariant: writing into a text cannot fail.
        let drawn = writeln!(
            out,
            "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        );
        debug_assert!(drawn.is_ok());
        // Where they lie close together the line says it all.
        for (x, y) in points.iter().map(at).take_while(|_| points.len() <= MOST_MARKS) {
            let drawn = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
            debug_assert!(drawn.is_ok());
        }
        let height = top + 10.0 + 20.0 * float(number);
        let swatch = writeln!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>",
            right + 16.0,
            height - 6.0
        );
        debug_assert!(swatch.is_ok());
        text(&mut out, (right + 36.0, height), "start", name);
    }
    out.push_str("</svg>\n");
    Some(out)
}

impl Scale {
    /// Whether a value has a place on it.
    fn has(self, value: f64) -> bool {
        value.is_finite() && (value > 0.0 || (self == Self::Even && value >= 0.0))
    }

    fn shown(self, value: f64) -> String {
        match self {
            Self::Decades => short(value),
            Self::Even => format!("{value}"),
        }
    }
}

/// An axis with the steps that are shown on it.
struct Axis {
    scale: Scale,
    /// In powers of ten, or in steps from zero.
    from: f64,
    to: f64,
    step: f64,
}

impl Axis {
    fn around(scale: Scale, values: impl Iterator<Item = f64>) -> Option<Self> {
        match scale {
            Scale::Decades => {
                let (mut from, mut to) = (f64::INFINITY, f64::NEG_INFINITY);
                for value in values {
                    (from, to) = (from.min(value.log10().floor()), to.max(value.log10().ceil()));
                }
                (from <= to).then_some(Self { scale, from, to: to.max(from + 1.0), step: 1.0 })
            }
            Scale::Even => {
                let largest = values.fold(f64::NEG_INFINITY, f64::max);
                // Five steps or a few less, each of 1, 2 or 5 and zeros.
                let rough = (largest / 5.0).max(0.2);
                let zeros = 10_f64.powf(rough.log10().floor());
                let step =
                    [1.0, 2.0, 5.0, 10.0].map(|one| one * zeros).into_iter().find(|step| *step >= rough)?;
                largest.is_finite().then(|| Self {
                    scale,
                    from: 0.0,
                    to: (largest / step).ceil().max(1.0),
                    step,
                })
            }
        }
    }

    fn share(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Decades => value.log10(),
            Scale::Even => value / self.step,
        };
        (place - self.from) / (self.to - self.from)
    }

    fn value(&self, place: f64) -> f64 {
        match self.scale {
            Scale::Decades => 10_f64.powf(place),
            Scale::Even => place * self.step,
        }
    }

    fn first(&self) -> f64 {
        self.value(self.from)
    }

    fn each(&self) -> impl Iterator<Item = f64> {
        std::iter::successors(Some(self.from), |place| Some(place + 1.0))
            .take_while(|place| *place <= self.to)
            .map(|place| self.value(place))
    }
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let drawn = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
    debug_assert!(drawn.is_ok());
}

fn rule(out: &mut String, from: (f64, f64), to: (f64, f64)) {
    let drawn = writeln!(
        out,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>",
        from.0, from.1, to.0, to.1
    );
    debug_assert!(drawn.is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_has_a_line_for_each_thing_and_none_of_other_drawings() {
        let axes = Axes { chart: "depth", scale: Scale::Decades, title: "T", x: "X", y: "Y" };
        let point = |chart, line: &str, x, y| Point { chart, line: line.to_owned(), x, y };
        let points = [
            point("depth", "one", 1_000.0, 10.0),
            point("depth", "one", 10.0, 100.0),
            point("depth", "two", 10.0, 0.0),
            point("callers", "three", 1.0, 1.0),
        ];
        let drawing = svg(&axes, &points).expect("a drawing");
        assert_eq!(drawing.matches("<polyline").count(), 1);
        assert_eq!(drawing.matches("<circle").count(), 2);
        // From left to right, whatever order they were measured in.
        assert!(drawing.contains("points=\"80.0,60.0 480.0,350.0\""), "{drawing}");
        assert!(svg(&axes, &points[3..]).is_none());
    }

    #[test]
    fn an_even_axis_begins_at_zero_and_drawings_are_put_below_each_other() {
        let axes = |chart| Axes { chart, scale: Scale::Even, title: "T", x: "X", y: "Y" };
        let point = |chart, x, y| Point { chart, line: "one".to_owned(), x, y };
        let points =
            [point("a", 0.0, 0.0), point("a", 90.0, 45.0), point("b", 1.0, 0.0), point("b", 2.0, f64::NAN)];
        let drawing = svg(&axes("a"), &points).expect("a drawing");
        assert!(
            drawing.contains("points=\"80.0,350.0 440.0,89.0\"")
                || drawing.contains("points=\"80.0,350.0 440.0,89"),
            "{drawing}"
        );
        assert!(drawing.contains(">20</text>") && drawing.contains(">100</text>"), "{drawing}");
        let both = sheet(&[axes("a"), axes("b"), axes("c")], &points).expect("drawings");
        assert_eq!((both.matches("<svg y=").count(), both.matches("<circle").count()), (2, 3), "{both}");
        assert!(sheet(&[axes("c")], &points).is_none());
    }
}
