//! Columns of text that line up and fit the terminal.

use crate::human::{Tone, View, clean};
use crate::width::{cut, cut_beginning, wide};

/// The least that is left of a path that is shortened.
const NARROWEST: usize = 12;
/// The least that is left of a name that is shortened.
const NARROW_NAME: usize = 8;
/// What is left of a UUID that is shortened: its first group, enough to tell it from others by eye.
const NARROW_UUID: usize = 9;

/// How a column gives way when the terminal is too narrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From its beginning, because the end of a path says most.
    Path,
    /// From its end.
    Name,
    /// From its end, all but its first group.
    Uuid,
}

impl Way {
    fn least(self) -> usize {
        match self {
            Self::Path => NARROWEST,
            Self::Name => NARROW_NAME,
            Self::Uuid => NARROW_UUID,
        }
    }
}

/// Rows below a heading. Some columns give way when the terminal is too narrow, the first named first.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    ways: Vec<(usize, Way)>,
    rows: Vec<Vec<(String, Option<Tone>)>>,
}

impl Table {
    pub(crate) fn new(headings: &[&'static str], ways: &[(usize, Way)]) -> Self {
        Self { headings: headings.to_vec(), ways: ways.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; texts from elsewhere are made harmless.
    pub(crate) fn row(&mut self, cells: Vec<(String, Option<Tone>)>) {
        self.rows.push(cells.into_iter().map(|(text, tone)| (clean(&text).into_owned(), tone)).collect());
    }

    /// The lines, each with its end.
    pub(crate) fn render(&self, view: View) -> String {
        let mut widths: Vec<usize> = self.headings.iter().map(|heading| wide(heading)).collect();
        for row in &self.rows {
            for (width, (text, _)) in widths.iter_mut().zip(row) {
                *width = (*width).max(wide(text));
            }
        }
        let gaps = 2 * widths.len().saturating_sub(1);
        let columns = view.width.unwrap_or(usize::MAX);
        for (column, way) in &self.ways {
            let too_much = (widths.iter().sum::<usize>() + gaps).saturating_sub(columns);
            if let Some(width) = widths.get_mut(*column) {
                // A heading is shown whole, whatever is left below it.
                let heading = self.headings.get(*column).map_or(0, |heading| wide(heading));
                let least = way.least().max(heading).min(*width);
                *width = match way {
                    // Half a UUID is of no more use than its first group.
                    Way::Uuid if too_much > 0 => least,
                    Way::Path | Way::Name | Way::Uuid => width.saturating_sub(too_much).max(least),
                };
            }
        }
        let headings =
            self.headings.iter().map(|heading| ((*heading).to_owned(), Some(Tone::Faint))).collect();
        std::iter::once(&headings).chain(&self.rows).map(|row| self.line(row, &widths, view)).collect()
    }

    fn line(&self, row: &[(String, Option<Tone>)], widths: &[usize], view: View) -> String {
        let mut line = String::new();
        let mut owed = 0;
        for (column, ((text, tone), width)) in row.iter().zip(widths).enumerate() {
            let way = self.ways.iter().find(|(gives, _)| *gives == column).map(|(_, way)| *way);
            let text = match way {
                Some(Way::Path) => cut_beginning(text, *width),
                Some(Way::Uuid) if wide(text) > *width => cut(text, NARROW_UUID),
                Some(Way::Name | Way::Uuid) | None => cut(text, *width),
            };
            line.push_str(&" ".repeat(owed));
            owed = (width + 2).saturating_sub(wide(&text));
            line.push_str(&tone.map_or_else(|| text.to_string(), |tone| view.paint(tone, &text)));
        }
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(width: Option<usize>, expected: &str) {
        let mut table = Table::new(&["NAME", "PATH", "STATE"], &[(1, Way::Path)]);
        for (name, path) in [("api", "/home/ada/PROJECTS/api"), ("grüße", "/x\n")] {
            table.row(vec![(name.to_owned(), None), (path.to_owned(), None), ("ok".to_owned(), None)]);
        }
        assert_eq!(table.render(View { width, ..View::default() }), expected);
    }

    #[test]
    fn columns_line_up() {
        check(
            None,
            "NAME   PATH                    STATE\napi    /home/ada/PROJECTS/api  ok\ngrüße  /x\\n                    ok\n",
        );
    }

    #[test]
    fn the_path_gives_way_on_a_narrow_terminal() {
        check(
            Some(30),
            "NAME   PATH              STATE\napi    …da/PROJECTS/api  ok\ngrüße  /x\\n              ok\n",
        );
        check(Some(5), "NAME   PATH          STATE\napi    …ROJECTS/api  ok\ngrüße  /x\\n          ok\n");
    }

    #[test]
    fn one_column_after_the_other_gives_way_and_wide_letters_line_up() {
        let mut table =
            Table::new(&["NAME", "PATH", "LOCAL UUID"], &[(2, Way::Uuid), (1, Way::Path), (0, Way::Name)]);
        for name in ["研究室", "analytical-engine"] {
            let uuid = "e3a62e4a-ba02-5170-b5ce-207c9125b7cf";
            table.row(vec![
                (name.to_owned(), None),
                ("/home/ada/p/engine".to_owned(), None),
                (uuid.to_owned(), None),
            ]);
        }
        for (width, expected) in [
            (
                80,
                "NAME               PATH                LOCAL UUID\n\
                 研究室             /home/ada/p/engine  e3a62e4a-ba02-5170-b5ce-207c9125b7cf\n\
                 analytical-engine  /home/ada/p/engine  e3a62e4a-ba02-5170-b5ce-207c9125b7cf\n",
            ),
            (
                70,
                "NAME               PATH                LOCAL UUID\n\
                 研究室             /home/ada/p/engine  e3a62e4a…\n\
                 analytical-engine  /home/ada/p/engine  e3a62e4a…\n",
            ),
            (
                37,
                "NAME         PATH          LOCAL UUID\n\
                 研究室       …da/p/engine  e3a62e4a…\n\
                 analytical…  …da/p/engine  e3a62e4a…\n",
            ),
        ] {
            let shown = table.render(View { width: Some(width), ..View::default() });
            assert!(shown.lines().all(|line| wide(line) <= width), "{width}:\n{shown}");
            assert_eq!(shown, expected);
        }
    }
}
