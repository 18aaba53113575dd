//! Columns of text that line up and fit the terminal.

use crate::human::{Tone, View, clean};

/// The least that is left of a column that is shortened.
const NARROWEST: usize = 12;

/// Rows below a heading. One column gives way when the terminal is too narrow, from its beginning, because the end of
/// a path says most.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    gives_way: usize,
    rows: Vec<Vec<(String, Option<Tone>)>>,
}

impl Table {
    pub(crate) fn new(headings: &[&'static str], gives_way: usize) -> Self {
        Self { headings: headings.to_vec(), gives_way, rows: Vec::new() }
    }

    /// Adds a row; texts from elsewhere are made harmless.
    pub(crate) fn row(&mut self, cells: Vec<(String, Option<Tone>)>) {
        self.rows.push(cells.into_iter().map(|(text, tone)| (clean(&text).into_owned(), tone)).collect());
    }

    /// The lines, each with its end.
    pub(crate) fn render(&self, view: View) -> String {
        let mut widths: Vec<usize> = self.headings.iter().map(|heading| heading.chars().count()).collect();
        for row in &self.rows {
            for (width, (text, _)) in widths.iter_mut().zip(row) {
                *width = (*width).max(text.chars().count());
            }
        }
        let gaps = 2 * widths.len().saturating_sub(1);
        if let (Some(columns), Some(all)) = (view.width, Some(widths.iter().sum::<usize>() + gaps))
            && let Some(width) = widths.get_mut(self.gives_way)
            && all > columns
        {
            *width = width.saturating_sub(all - columns).max(NARROWEST.min(*width));
        }
        let headings =
            self.headings.iter().map(|heading| ((*heading).to_owned(), Some(Tone::Faint))).collect();
        std::iter::once(&headings).chain(&self.rows).map(|row| line(row, &widths, view)).collect()
    }
}

fn line(row: &[(String, Option<Tone>)], widths: &[usize], view: View) -> String {
    let mut line = String::new();
    let mut owed = 0;
    for ((text, tone), width) in row.iter().zip(widths) {
        let text = shortened(text, *width);
        line.push_str(&" ".repeat(owed));
        owed = width + 2 - text.chars().count();
        line.push_str(&tone.map_or_else(|| text.clone(), |tone| view.paint(tone, &text)));
    }
    line.push('\n');
    line
}

fn shortened(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    std::iter::once('…').chain(text.chars().skip(length + 1 - width)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(width: Option<usize>, expected: &str) {
        let mut table = Table::new(&["NAME", "PATH", "STATE"], 1);
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
}
