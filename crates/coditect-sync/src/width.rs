//! How wide text is on a terminal: some letters take two columns, some none.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The columns that a text takes.
pub(crate) fn wide(text: &str) -> usize {
    text.width()
}

/// As much of the beginning as fits.
pub(crate) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if wide(text) <= width {
        return Cow::Borrowed(text);
    }
    let Some(room) = width.checked_sub(1) else { return Cow::Borrowed("") };
    let mut left = room;
    let mut kept: String = text.chars().take_while(|letter| fits(*letter, &mut left)).collect();
    // Letters that follow each other may take more together than each by itself, as the parts of many pictures do.
    while wide(&kept) > room {
        kept.pop();
    }
    kept.push('…');
    Cow::Owned(kept)
}

/// As much of the end as fits, because the end of a path says most.
pub(crate) fn cut_beginning(text: &str, width: usize) -> Cow<'_, str> {
    if wide(text) <= width {
        return Cow::Borrowed(text);
    }
    let Some(room) = width.checked_sub(1) else { return Cow::Borrowed("") };
    let mut left = room;
    let end = text.char_indices().rev().take_while(|(_, letter)| fits(*letter, &mut left));
    let begin = end.last().map_or(text.len(), |(at, _)| at);
    let mut kept = text.get(begin..).unwrap_or_default().chars();
    while wide(kept.as_str()) > room && kept.next().is_some() {}
    Cow::Owned(format!("…{}", kept.as_str()))
}

/// Lines of whole words, none wider than said unless a word is.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().map_or("", |line| line.as_str());
        let fits = line.is_empty() || wide(line) + 1 + wide(word) <= width;
        match lines.last_mut() {
            Some(line) if fits => {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The text on lines none of which is wider than said unless a word is; all but the first begin further in. A line ends after a
/// comma and the like where it can, else between words. Colours in it take no columns.
pub(crate) fn hanging(text: &str, width: Option<usize>, indent: usize) -> String {
    let Some(width) = width else { return text.to_owned() };
    let mut lines = Lines { whole: String::new(), column: 0, begin: 0, width, indent };
    let mut clause: Vec<&str> = Vec::new();
    for word in text.split(' ') {
        clause.push(word);
        if word.ends_with([',', ';', ':']) {
            lines.add(&std::mem::take(&mut clause));
        }
    }
    lines.add(&clause);
    lines.whole
}

/// Lines that are filled.
struct Lines {
    whole: String,
    column: usize,
    /// Where the present line begins.
    begin: usize,
    width: usize,
    indent: usize,
}

impl Lines {
    /// Adds words that belong together, as far as there is room for that.
    fn add(&mut self, words: &[&str]) {
        let joined = words.join(" ");
        let columns = painted_wide(&joined);
        if words.len() > 1 && !self.fits(columns) && self.indent + columns > self.width {
            return words.iter().for_each(|word| self.add(&[word]));
        }
        if !self.fits(columns) && self.column > self.begin {
            self.whole.push('\n');
            self.whole.push_str(&" ".repeat(self.indent));
            (self.column, self.begin) = (self.indent, self.indent);
        } else if !self.whole.is_empty() {
            self.whole.push(' ');
            self.column += 1;
        }
        self.whole.push_str(&joined);
        self.column += columns;
    }

    fn fits(&self, columns: usize) -> bool {
        self.column + usize::from(self.column > 0) + columns <= self.width
    }
}

/// The columns of a text in which there are colours.
fn painted_wide(text: &str) -> usize {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().map_or(0, wide);
    parts.fold(first, |columns, part| columns + part.split_once('m').map_or(0, |(_, rest)| wide(rest)))
}

/// Takes a letter's columns from those that are left, if there are so many.
fn fits(letter: char, left: &mut usize) -> bool {
    let Some(rest) = left.checked_sub(letter.width().unwrap_or(0)) else { return false };
    *left = rest;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_is_never_wider_than_said() {
        for text in
            ["/home/ada/⚙️ ☀️ ✈️ notes", "⚙️☀️✈️⚙️☀️✈️", "研究室研究室", "👩‍👩‍👧‍👦👩‍👩‍👧‍👦 x", "e\u{301}e\u{301}e\u{301}"]
        {
            for width in 0..=wide(text) {
                for cut in [cut(text, width), cut_beginning(text, width)] {
                    assert!(wide(&cut) <= width, "{text} cut to {width} is `{cut}`");
                }
            }
        }
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut_beginning("abcdef", 4), "…def");
    }

    #[test]
    fn lines_are_of_whole_words() {
        for (text, width, expected) in [
            ("a bc def", 4, &["a bc", "def"][..]),
            ("a bc def", 80, &["a bc def"]),
            ("much-too-long a", 4, &["much-too-long", "a"]),
            ("研究 室", 4, &["研究", "室"]),
            ("", 4, &[""]),
        ] {
            assert_eq!(wrapped(text, width), expected);
        }
    }

    #[test]
    fn what_is_too_long_goes_on_below_its_beginning() {
        for (text, width, expected) in [
            ("queue   1 ready, 2 dead", Some(17), "queue   1 ready,\n    2 dead"),
            ("queue   1 ready, 2 dead", Some(12), "queue   1\n    ready,\n    2 dead"),
            ("it is so: nobody knows more", Some(12), "it is so:\n    nobody\n    knows\n    more"),
            ("queue   1 ready, 2 dead", Some(80), "queue   1 ready, 2 dead"),
            ("queue   1 ready, 2 dead", None, "queue   1 ready, 2 dead"),
            ("a \u{1b}[31mb c\u{1b}[0m d", Some(7), "a \u{1b}[31mb c\u{1b}[0m d"),
            ("a \u{1b}[31mbb cc\u{1b}[0m d", Some(6), "a \u{1b}[31mbb\n    cc\u{1b}[0m\n    d"),
            ("much-too-long-a-word x", Some(5), "much-too-long-a-word\n    x"),
            ("研究 研究", Some(8), "研究\n    研究"),
            ("", Some(3), ""),
        ] {
            assert_eq!(hanging(text, width, 4), expected, "{text}");
        }
    }

    #[test]
    fn text_is_cut_by_columns_and_says_so() {
        for (text, width, beginning, end) in [
            ("abc", 3, "abc", "abc"),
            ("abcd", 3, "ab…", "…cd"),
            ("研究室", 6, "研究室", "研究室"),
            ("研究室", 5, "研究…", "…究室"),
            ("研究室", 4, "研…", "…室"),
            ("grüße", 3, "gr…", "…ße"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…", "…\u{301}e\u{301}"),
            ("abc", 1, "…", "…"),
            ("abc", 0, "", ""),
            ("", 0, "", ""),
        ] {
            assert_eq!(
                (&*cut(text, width), &*cut_beginning(text, width)),
                (beginning, end),
                "{text} {width}"
            );
            assert!(wide(&cut(text, width)) <= width && wide(&cut_beginning(text, width)) <= width);
        }
    }
}
