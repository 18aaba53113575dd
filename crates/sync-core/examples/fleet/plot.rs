//! Draws runs as SVG: requests by the second above, what is delivered below. Text in, text out.

use std::fmt::Write;

use crate::series::{float, sum};
use crate::simulation::Run;

/// One line of the drawing.
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) colour: &'a str,
    pub(crate) run: &'a Run,
    /// How many machines one of the run stands for.
    pub(crate) scale: u32,
}

/// What the drawing is of.
pub(crate) struct Plot<'a> {
    pub(crate) title: &'a str,
    pub(crate) limit: u32,
    /// From when on, and how many seconds.
    pub(crate) from: i64,
    pub(crate) seconds: i64,
    pub(crate) lines: &'a [Line<'a>],
}

const WIDTH: f64 = 860.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
/// Top and height of the two panels.
const UPPER: (f64, f64) = (78.0, 206.0);
const LOWER: (f64, f64) = (330.0, 130.0);
const BOTTOM: f64 = 500.0;
/// Decades of the upper axis, from one request a second on.
const DECADES: u32 = 6;
/// Most points of a line.
const POINTS: usize = 430;

impl Plot<'_> {
    pub(crate) fn svg(&self) -> String {
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {BOTTOM}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{BOTTOM}\" fill=\"white\"/>\n"
        );
        text(&mut out, LEFT, 22.0, "start", 15, self.title);
        self.frame(&mut out);
        for (at, line) in self.lines.iter().enumerate() {
            let y = 44.0;
            let x = LEFT + 200.0 * float(at as u64);
            mark(&mut out, (x, y - 4.0), (x + 18.0, y - 4.0), line.colour, "");
            text(&mut out, x + 24.0, y, "start", 12, line.name);
            self.requests(&mut out, line);
            self.delivered(&mut out, line);
        }
        out.push_str("</svg>\n");
        out
    }

    fn frame(&self, out: &mut String) {
        text(out, LEFT, UPPER.0 - 8.0, "start", 11, "requests in the busiest second of each stretch");
        text(out, LEFT, LOWER.0 - 8.0, "start", 11, "entries delivered");
        for decade in 0..=DECADES {
            let y = requests_y(f64::from(10_u32.pow(decade)));
            mark(out, (LEFT, y), (WIDTH - RIGHT, y), "#ddd", "");
            let label = if decade == 0 { "≤ 1".to_owned() } else { grouped(10_u64.pow(decade)) };
            text(out, LEFT - 6.0, y + 4.0, "end", 11, &label);
        }
        let y = requests_y(f64::from(self.limit));
        mark(out, (LEFT, y), (WIDTH - RIGHT, y), "#c00", "6 4");
        text(out, WIDTH - RIGHT, y - 4.0, "end", 11, &format!("limit {}", grouped(u64::from(self.limit))));
        for part in [0_u32, 25, 50, 75, 100] {
            let y = share_y(f64::from(part) / 100.0);
            mark(out, (LEFT, y), (WIDTH - RIGHT, y), "#ddd", "");
            text(out, LEFT - 6.0, y + 4.0, "end", 11, &format!("{part} %"));
        }
        let minutes = self.seconds / 60;
        let step =
            [1, 2, 5, 10, 15, 30, 60, 120].into_iter().find(|step| minutes / step <= 12).unwrap_or(240);
        for minute in (0..=minutes).step_by(usize::try_from(step).unwrap_or(1)) {
            let x = self.x(float(minute.cast_unsigned()) * 60.0);
            for (top, height) in [UPPER, LOWER] {
                mark(out, (x, top), (x, top + height), "#eee", "");
            }
            text(out, x, LOWER.0 + LOWER.1 + 16.0, "middle", 11, &minute.to_string());
        }
        text(out, WIDTH / 2.0, BOTTOM - 6.0, "middle", 11, "minutes since the cloud can be reached");
    }

    fn requests(&self, out: &mut String, line: &Line<'_>) {
        let counts = line.run.offered.between(self.from / 1_000, self.from / 1_000 + self.seconds);
        let chunk = counts.len().div_ceil(POINTS).max(1);
        // A wave that lasts a second must not vanish between two points: the greatest of each is drawn.
        let points = counts.chunks(chunk).enumerate().map(|(at, counts)| {
            let most = counts.iter().copied().max().unwrap_or(0);
            (self.x(float((at * chunk) as u64)), requests_y(f64::from(most) * f64::from(line.scale)))
        });
        polyline(out, points, line.colour);
    }

    fn delivered(&self, out: &mut String, line: &Line<'_>) {
        let second = self.from / 1_000;
        let before = sum(&line.run.delivered.between(0, second));
        let counts = line.run.delivered.between(second, second + self.seconds);
        let chunk = counts.len().div_ceil(POINTS).max(1);
        let mut so_far = before;
        let points = counts.chunks(chunk).enumerate().map(|(at, counts)| {
            so_far += sum(counts);
            let share = float(so_far) / float(line.run.entries.max(1));
            (self.x(float((at * chunk) as u64)), share_y(share))
        });
        polyline(out, points, line.colour);
    }

    fn x(&self, second: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * second / float(self.seconds.max(1).cast_unsigned())
    }
}

fn requests_y(requests: f64) -> f64 {
    UPPER.0 + UPPER.1 * (1.0 - requests.max(1.0).log10() / f64::from(DECADES))
}

fn share_y(share: f64) -> f64 {
    LOWER.0 + LOWER.1 * (1.0 - share)
}

fn polyline(out: &mut String, points: impl Iterator<Item = (f64, f64)>, colour: &str) {
    let points: Vec<String> = points.map(|(x, y)| format!("{x:.0},{y:.1}")).collect();
    put(
        out,
        format_args!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\" points=\"{}\"/>\n",
            points.join(" ")
        ),
    );
}

fn mark(out: &mut String, from: (f64, f64), to: (f64, f64), colour: &str, dashes: &str) {
    put(
        out,
        format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" \
             stroke-dasharray=\"{dashes}\"/>\n",
            from.0, from.1, to.0, to.1
        ),
    );
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, size: u32, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    put(
        out,
        format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\">{words}</text>\n"
        ),
    );
}

fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    out.write_fmt(what).expect("a text takes every text");
}

/// 1000000 as 1,000,000.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
