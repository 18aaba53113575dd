//! The rows of the table.

use std::fmt;

use sync_tests::{Point, short};

use crate::recorded::Ratio;

/// A line of the table.
pub(crate) struct Row {
    what: String,
    measured: String,
    beside: String,
    ratio: Option<Ratio>,
    values: (f64, f64),
    points: Vec<Point>,
}

impl Row {
    /// A figure beside another, with the first divided by the second.
    pub(crate) fn beside(
        what: impl Into<String>,
        measured: (f64, &str),
        beside: &str,
        limit: (f64, &str),
    ) -> Self {
        let what = what.into();
        let ratio = Ratio {
            what: what.clone(),
            beside: beside.to_owned(),
            value: measured.0 / limit.0,
            more_is_better: measured.1 == "/s",
        };
        Self {
            what,
            measured: format!("{} {}", short(measured.0), measured.1),
            beside: format!("{beside}: {} {}", short(limit.0), limit.1),
            ratio: Some(ratio),
            values: (measured.0, limit.0),
            points: Vec::new(),
        }
    }

    /// A figure that stands alone.
    pub(crate) fn alone(what: impl Into<String>, measured: impl Into<String>) -> Self {
        let (what, measured) = (what.into(), measured.into());
        Self {
            what,
            measured,
            beside: String::new(),
            ratio: None,
            values: (f64::NAN, f64::NAN),
            points: Vec::new(),
        }
    }

    /// The same as a point of a drawing.
    pub(crate) fn at(mut self, chart: &'static str, line: &str, x: f64) -> Self {
        self.points.push(Point { chart, line: line.to_owned(), x, y: self.values.0 });
        self
    }

    /// What it is beside as a point of a drawing.
    pub(crate) fn limit_at(mut self, chart: &'static str, line: &str, x: f64) -> Self {
        self.points.push(Point { chart, line: line.to_owned(), x, y: self.values.1 });
        self
    }

    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }

    pub(crate) fn ratio(&self) -> Option<&Ratio> {
        self.ratio.as_ref()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self.ratio.as_ref().map(|ratio| short(ratio.value)).unwrap_or_default();
        write!(f, "| {} | {} | {} | {ratio} |", self.what, self.measured, self.beside)
    }
}
