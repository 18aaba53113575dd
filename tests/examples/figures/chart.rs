//! Draws what scales as SVG: one line for each thing measured, both axes in decades. Points in, text out.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::measure::short;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// Where the axes end: left, top, right, bottom.
const FRAME: (f64, f64, f64, f64) = (80.0, 60.0, 480.0, 350.0);
const COLOURS: [&str; 6] = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b", "#7f7f7f"];

/// What a figure is a point of.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// Which drawing.
    pub(crate) chart: &'static str,
    pub(crate) line: String,
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// What the axes of a drawing say.
pub(crate) struct Axes {
    pub(crate) chart: &'static str,
    pub(crate) title: &'static str,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
}

/// The drawing of those points that are of it, if there are any.
pub(crate) fn svg(axes: &Axes, points: &[Point]) -> Option<String> {
    let mut lines: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    let sound = |point: &&Point| point.chart == axes.chart && point.x > 0.0 && point.y > 0.0;
    for point in points.iter().filter(sound) {
        lines.entry(&point.line).or_default().push((point.x, point.y));
    }
    let all = || lines.values().flatten();
    let x = Decades::around(all().map(|point| point.0))?;
    let y = Decades::around(all().map(|point| point.1))?;
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
    for decade in x.each() {
        let (across, _) = at(&(decade, y.first()));
        rule(&mut out, (across, top), (across, bottom));
        text(&mut out, (across, bottom + 18.0), "middle", &short(decade));
    }
    for decade in y.each() {
        let (_, up) = at(&(x.first(), decade));
        rule(&mut out, (left, up), (right, up));
        text(&mut out, (left - 8.0, up + 4.0), "end", &short(decade));
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
        for (x, y) in points.iter().map(at) {
            let drawn = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
            debug_assert!(drawn.is_ok());
        }
        let height = top + 10.0 + 20.0 * crate::measure::float(number);
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

/// An axis from one power of ten to another.
struct Decades {
    from: f64,
    to: f64,
}

impl Decades {
    fn around(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (mut from, mut to) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            (from, to) = (from.min(value.log10().floor()), to.max(value.log10().ceil()));
        }
        (from <= to).then_some(Self { from, to: to.max(from + 1.0) })
    }

    fn share(&self, value: f64) -> f64 {
        (value.log10() - self.from) / (self.to - self.from)
    }

    fn first(&self) -> f64 {
        10_f64.powf(self.from)
    }

    fn each(&self) -> impl Iterator<Item = f64> {
        std::iter::successors(Some(self.from), |power| Some(power + 1.0))
            .take_while(|power| *power <= self.to)
            .map(|power| 10_f64.powf(power))
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
        let axes = Axes { chart: "depth", title: "T", x: "X", y: "Y" };
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
}
