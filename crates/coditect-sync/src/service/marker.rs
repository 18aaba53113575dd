//! The line by which a file that was written here is known again, and by which an edit of it is noticed.

use uuid::Uuid;

/// What the line begins with, whatever makes it a comment.
const WORDS: &str = "written by coditect-sync service install, version ";
const HASH: &str = ", content ";

/// Apart from every other use of name-based UUIDs.
const NAMESPACE: Uuid = Uuid::from_u128(0x0b1f_5f0e_63c8_4e0b_9d52_1f6c_1a0e_77a4);

/// What is at the path of a file of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OnDisk {
    /// Nothing.
    Nothing,
    /// A file with this text.
    Text(String),
    /// A link, a folder, a file that cannot be read or is no text.
    Other,
}

/// How a file on disk stands to the one that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is not there.
    Absent,
    /// It is the wanted one.
    Current,
    /// It was written by a program of this version, for other places or another grace, and is as it was written.
    Outdated { version: String },
    /// It was written by a program of this version, and changed since.
    Edited { version: String },
    /// It was written by somebody else.
    Foreign,
}

impl State {
    /// A stable word.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Current => "current",
            Self::Outdated { .. } => "outdated",
            Self::Edited { .. } => "edited",
            Self::Foreign => "foreign",
        }
    }
}

/// Puts the marker for the word `@MARKER@`.
pub(crate) fn sealed(text: &str) -> String {
    let hash = hash(text, "@MARKER@");
    text.replacen("@MARKER@", &format!("{WORDS}{}{HASH}{hash}", env!("CARGO_PKG_VERSION")), 1)
}

/// How what is on disk stands to what is wanted.
pub(crate) fn state(found: &OnDisk, wanted: &str) -> State {
    match found {
        OnDisk::Nothing => State::Absent,
        OnDisk::Other => State::Foreign,
        OnDisk::Text(text) if text == wanted => State::Current,
        OnDisk::Text(text) => match written(text) {
            None => State::Foreign,
            Some((version, promised)) if promised == hash(text, WORDS) => State::Outdated { version },
            Some((version, _)) => State::Edited { version },
        },
    }
}

/// The first line in which two texts differ, for people.
pub(crate) fn difference(found: &str, wanted: &str) -> Option<String> {
    let (mut found, mut wanted) = (found.lines(), wanted.lines());
    // The marker differs whenever anything does.
    let skip = |line: Option<&str>| line.is_some_and(|line| line.contains(WORDS));
    for number in 1.. {
        match (found.next(), wanted.next()) {
            (None, None) => return None,
            (found, wanted) if found == wanted || (skip(found) && skip(wanted)) => {}
            (found, wanted) => {
                let shown = |line: Option<&str>| {
                    line.map_or("nothing".to_owned(), |line| format!("`{}`", line.trim()))
                };
                return Some(format!("line {number} is {} and would be {}", shown(found), shown(wanted)));
            }
        }
    }
    None
}

/// The version and the hash that the marker line tells.
fn written(text: &str) -> Option<(String, String)> {
    let line = text.lines().find(|line| line.contains(WORDS))?;
    let (version, rest) = line.split_once(WORDS)?.1.split_once(HASH)?;
    Some((version.to_owned(), rest.split_whitespace().next()?.to_owned()))
}

/// The hash of all lines but the marker's.
fn hash(text: &str, marker: &str) -> String {
    let mut seen = false;
    let mut others = String::new();
    for line in text.split_inclusive('\n') {
        if !seen && line.contains(marker) {
            seen = true;
        } else {
            others.push_str(line);
        }
    }
    Uuid::new_v5(&NAMESPACE, others.as_bytes()).simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_again_and_an_edit_is_noticed() {
        let wanted = sealed("# @MARKER@\n[Service]\nRestart=no\n");
        let older = sealed("<!-- @MARKER@ -->\nRestart=yes\n").replace(env!("CARGO_PKG_VERSION"), "0.0.9");
        let text = |text: &str| OnDisk::Text(text.to_owned());
        let version = || env!("CARGO_PKG_VERSION").to_owned();
        for (found, expected) in [
            (OnDisk::Nothing, State::Absent),
            (OnDisk::Other, State::Foreign),
            (text(&wanted), State::Current),
            (text(&older), State::Outdated { version: "0.0.9".to_owned() }),
            (text(&wanted.replace("=no", "=yes")), State::Edited { version: version() }),
            (text(&format!("{wanted}\n")), State::Edited { version: version() }),
            (text(wanted.trim_end()), State::Edited { version: version() }),
            (text(&format!("{wanted}{wanted}")), State::Edited { version: version() }),
            (text("[Service]\nRestart=no\n"), State::Foreign),
            (text(""), State::Foreign),
        ] {
            assert_eq!(state(&found, &wanted), expected, "{found:?}");
        }
    }

    #[test]
    fn the_first_difference_is_told() {
        let ours = sealed("# @MARKER@\na\nb\n");
        assert_eq!(difference(&ours, &ours), None);
        assert_eq!(
            difference(&ours.replace("\na\n", "\n x\n"), &ours).as_deref(),
            Some("line 2 is `x` and would be `a`")
        );
        assert_eq!(
            difference(&format!("{ours}c\n"), &ours).as_deref(),
            Some("line 4 is `c` and would be nothing")
        );
        let other = sealed("# @MARKER@\na\nc\n");
        assert_eq!(difference(&ours, &other).as_deref(), Some("line 3 is `b` and would be `c`"));
    }
}
