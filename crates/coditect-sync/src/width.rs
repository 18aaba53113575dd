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
    let mut kept: Vec<char> = text.chars().rev().take_while(|letter| fits(*letter, &mut left)).collect();
    kept.push('…');
    Cow::Owned(kept.into_iter().rev().collect())
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
