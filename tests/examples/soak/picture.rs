//! What is drawn of a run: what may grow and what may take long, over time.

use sync_tests::{Axes, Point, Scale, sheet};

use crate::sample::Sample;

const CHARTS: [Axes; 5] = [
    axes("memory", "Memory of the daemon", "MB"),
    axes("count", "Threads, open files and what waits", "how many"),
    axes("files", "Database, its log, and the log's folder", "MB"),
    axes("work", "Processor and bytes written since the sample before", "% of one · MB"),
    axes("asked", "The slowest answer since the sample before", "ms"),
];

const fn axes(chart: &'static str, title: &'static str, y: &'static str) -> Axes {
    Axes { chart, scale: Scale::Even, title, x: "minutes", y }
}

/// The drawing, if anything was measured.
pub(crate) fn svg(samples: &[Sample]) -> Option<String> {
    let points: Vec<Point> = samples.iter().flat_map(points).collect();
    let spent = samples.windows(2).flat_map(|pair| spent(&pair[0], &pair[1]));
    sheet(&CHARTS, &points.into_iter().chain(spent).collect::<Vec<_>>())
}

fn point(sample: &Sample, chart: &'static str, line: &str, y: f64) -> Point {
    Point { chart, line: line.to_owned(), x: sample.at / 60.0, y }
}

fn points(sample: &Sample) -> [Point; 11] {
    let point = |chart, line, y| point(sample, chart, line, y);
    [
        point("memory", "proportional (PSS)", sample.pss / 1024.0),
        point("memory", "anonymous", sample.anonymous / 1024.0),
        point("count", "threads", sample.threads),
        point("count", "open files", sample.descriptors),
        point("count", "registrations that wait", sample.waiting),
        point("files", "database", sample.database / 1024.0),
        point("files", "write-ahead log", sample.wal / 1024.0),
        point("files", "logs", sample.log / 1024.0),
        point("asked", "an echo", sample.echo.worst),
        point("asked", "status", sample.status.worst),
        point("asked", "resolve", sample.resolve.worst),
    ]
}

/// What a process spent between two samples; nothing of one that was started meanwhile.
fn spent(before: &Sample, now: &Sample) -> Vec<Point> {
    if before.pid != now.pid {
        return Vec::new();
    }
    let span = (now.at - before.at).max(0.001) * 1e3;
    vec![
        point(now, "work", "processor, %", (now.cpu - before.cpu) / span * 100.0),
        point(now, "work", "written, MB", (now.written - before.written) / 1024.0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chart_is_drawn_and_none_without_samples() {
        let sample = |at: f64| Sample { at, cpu: at, written: at, ..Sample::default() };
        let drawing = svg(&[sample(0.0), sample(5.0)]).expect("a drawing");
        assert_eq!((drawing.matches("<svg y=").count(), drawing.matches("<polyline").count()), (5, 13));
        assert!(svg(&[]).is_none());
    }
}
