//! Takes comments and texts out of Rust sources, so that rules about code do not trip over words.

/// A source without its comments, lines kept in place.
pub(crate) struct Code {
    /// With the contents of texts.
    pub(crate) with_texts: String,
    /// With the contents of texts blanked.
    pub(crate) bare: String,
}

/// Takes a source apart.
pub(crate) fn code(source: &str) -> Code {
    let mut lexer = Lexer { rest: source, code: Code { with_texts: String::new(), bare: String::new() } };
    while let Some(first) = lexer.rest.chars().next() {
        lexer.step(first);
    }
    lexer.code
}

struct Lexer<'a> {
    rest: &'a str,
    code: Code,
}

impl Lexer<'_> {
    fn step(&mut self, first: char) {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.rest = &self.rest[end..];
        } else if self.rest.starts_with("/*") {
            self.drop_block();
        } else if let Some((open, close)) = self.raw_text() {
            self.keep(open);
            self.text_until(&close, None);
        } else if first == '"' {
            self.keep(1);
            self.text_until("\"", Some('\\'));
        } else if let Some(length) = self.char_literal() {
            self.code.with_texts.push_str(&self.rest[..length]);
            self.code.bare.push_str("' '");
            self.rest = &self.rest[length..];
        } else if first.is_alphanumeric() || first == '_' {
            let end = self.rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
            self.keep(end.unwrap_or(self.rest.len()));
        } else {
            self.keep(first.len_utf8());
        }
    }

    fn keep(&mut self, length: usize) {
        let (kept, rest) = self.rest.split_at(length);
        self.code.with_texts.push_str(kept);
        self.code.bare.push_str(kept);
        self.rest = rest;
    }

    /// Drops a comment that may have others inside, but for its line ends.
    fn drop_block(&mut self) {
        let mut depth = 0_usize;
        while let Some(letter) = self.rest.chars().next() {
            let length = if self.rest.starts_with("/*") {
                depth += 1;
                2
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                2
            } else {
                letter.len_utf8()
            };
            if letter == '\n' {
                self.code.with_texts.push('\n');
                self.code.bare.push('\n');
            }
            self.rest = &self.rest[length..];
            if depth == 0 {
                return;
            }
        }
    }

    /// The length of the opening and the text of the closing quote, when a raw text begins here.
    fn raw_text(&self) -> Option<(usize, String)> {
        let letters = ["br", "cr", "r"].into_iter().find(|letters| self.rest.starts_with(letters))?;
        let after = &self.rest[letters.len()..];
        let hashes = after.len() - after.trim_start_matches('#').len();
        let opens = after[hashes..].starts_with('"');
        opens.then(|| (letters.len() + hashes + 1, format!("\"{}", "#".repeat(hashes))))
    }

    fn text_until(&mut self, close: &str, escape: Option<char>) {
        while let Some(letter) = self.rest.chars().next() {
            if self.rest.starts_with(close) {
                self.keep(close.len());
                return;
            }
            let escaped =
                if Some(letter) == escape { self.rest[letter.len_utf8()..].chars().next() } else { None };
            let length = letter.len_utf8() + escaped.map_or(0, char::len_utf8);
            let text = &self.rest[..length];
            self.code.with_texts.push_str(text);
            self.code.bare.extend(text.chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }));
            self.rest = &self.rest[length..];
        }
    }

    /// The length of a character in quotes, when one begins here and not a lifetime.
    fn char_literal(&self) -> Option<usize> {
        let inside = self.rest.strip_prefix('\'')?;
        let first = inside.chars().next()?;
        let length = if first == '\\' {
            1 + inside[1..].chars().next()?.len_utf8() + inside[2..].find('\'')?
        } else {
            first.len_utf8()
        };
        inside.get(length..)?.starts_with('\'').then_some(length + 2)
    }
}

#[test]
fn comments_go_and_texts_are_blanked() {
    for (source, with_texts, bare) in [
        ("a // b\nc", "a \nc", "a \nc"),
        ("a /* b\n/* c */ d */ e", "a \n e", "a \n e"),
        (r#"f("x // y", 1)"#, r#"f("x // y", 1)"#, r#"f("      ", 1)"#),
        (r#"f("\"", 1) // z"#, r#"f("\"", 1) "#, r#"f("  ", 1) "#),
        ("r#\"a \"b\"# // c", "r#\"a \"b\"# ", "r#\"    \"# "),
        ("for_r\"x\"", "for_r\"x\"", "for_r\" \""),
        ("'\"' // a\n'\\'' 'x", "'\"' \n'\\'' 'x", "' ' \n' ' 'x"),
        ("&'static str", "&'static str", "&'static str"),
    ] {
        let code = code(source);
        assert_eq!((&*code.with_texts, &*code.bare), (with_texts, bare), "{source}");
    }
}
