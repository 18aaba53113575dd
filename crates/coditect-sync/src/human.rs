//! Turns what the daemon says into words: moments, spans, counts, colours.

use std::borrow::Cow;

use sync_wire::CloudState;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What the reader can see.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct View {
    /// Whether colours are welcome.
    pub(crate) colour: bool,
    /// Columns of the terminal; `None` when it is none and nothing needs to be shortened.
    pub(crate) width: Option<usize>,
    /// Whether more is wanted.
    pub(crate) verbose: bool,
}

/// What a colour stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Worth a look.
    Mind,
    /// Somebody must act.
    Bad,
    /// Less important.
    Faint,
    /// More important.
    Strong,
}

impl View {
    /// The text in its colour.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => 32,
            Tone::Mind => 33,
            Tone::Bad => 31,
            Tone::Faint => 2,
            Tone::Strong => 1,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// How long ago a moment of the daemon's was, or how long it is until then: `3 m ago`, `in 20 s`.
pub(crate) fn relative(now: OffsetDateTime, moment: &str) -> String {
    let Ok(moment) = OffsetDateTime::parse(moment, &Rfc3339) else { return clean(moment).into_owned() };
    let seconds = (now - moment).whole_seconds();
    match seconds {
        0 => "just now".to_owned(),
        1.. => format!("{} ago", span(seconds.unsigned_abs())),
        ..0 => format!("in {}", span(seconds.unsigned_abs())),
    }
}

/// How long something has been so, since a moment of the daemon's; nothing when that lies ahead.
pub(crate) fn elapsed(now: OffsetDateTime, moment: &str) -> String {
    match OffsetDateTime::parse(moment, &Rfc3339) {
        Ok(moment) => span((now - moment).whole_seconds().max(0).unsigned_abs()),
        Err(_) => clean(moment).into_owned(),
    }
}

/// When something is tried next: a moment that has passed is now.
pub(crate) fn next(now: OffsetDateTime, moment: &str) -> String {
    match OffsetDateTime::parse(moment, &Rfc3339) {
        Ok(moment) if (moment - now).whole_seconds() <= 0 => "now".to_owned(),
        Ok(_) | Err(_) => relative(now, moment),
    }
}

/// A span in its largest unit.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3_599 => format!("{} m", seconds / 60),
        3_600..=86_399 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A count with its noun.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// How the cloud stands, as a sentence.
pub(crate) fn cloud_sentence(state: CloudState) -> &'static str {
    match state {
        CloudState::Online => "the cloud is online",
        CloudState::Offline => "the cloud cannot be reached",
        CloudState::Portal => "a sign-in page is in the way to the cloud",
        CloudState::Throttled => "the cloud asked for patience",
        CloudState::AuthRequired => "the cloud needs a valid token",
        CloudState::Forbidden => "the cloud refuses this account",
        CloudState::Protocol => "what answers is not the cloud",
        CloudState::Unknown => "the cloud was not asked yet",
    }
}

/// How the cloud stands, in words that its address can follow.
pub(crate) fn cloud_state(state: CloudState) -> (&'static str, Tone) {
    match state {
        CloudState::Online => ("online", Tone::Good),
        CloudState::Offline => ("unreachable", Tone::Bad),
        CloudState::Portal => ("behind a sign-in page", Tone::Bad),
        CloudState::Throttled => ("asking for patience", Tone::Mind),
        CloudState::AuthRequired => ("token needed", Tone::Bad),
        CloudState::Forbidden => ("account refused", Tone::Bad),
        CloudState::Protocol => ("something else answers", Tone::Bad),
        CloudState::Unknown => ("not asked yet", Tone::Mind),
    }
}

/// What does not happen while something is held back.
pub(crate) fn held_back(stops: &str) -> Cow<'_, str> {
    clean(match stops {
        "sending" => "nothing is sent",
        "sweeps" => "only what changes is looked at",
        "queueing" => "nothing new is queued",
        "reloads" => "a changed configuration is not followed",
        "imports" => "nothing is taken over from the earlier client",
        "logging" => "no log is written",
        other => other,
    })
}

/// Text from elsewhere, made harmless for a terminal: what would move its cursor is shown and not done.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(
            text.chars()
                .flat_map(
                    |letter| {
                        if letter.is_control() { letter.escape_default().collect() } else { vec![letter] }
                    },
                )
                .collect(),
        )
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn moments_are_told_from_here() {
        let now = datetime!(2026-03-01 12:00 UTC);
        for (moment, expected) in [
            ("2026-03-01T12:00:00Z", "just now"),
            ("2026-03-01T11:59:57.5Z", "2 s ago"),
            ("2026-03-01T11:57:00Z", "3 m ago"),
            ("2026-03-01T09:00:00Z", "3 h ago"),
            ("2026-02-01T12:00:00Z", "28 d ago"),
            ("2026-03-01T12:00:20Z", "in 20 s"),
            ("2026-03-01T14:00:00+02:00", "just now"),
            ("soon\u{1b}[2J", "soon\\u{1b}[2J"),
        ] {
            assert_eq!(relative(now, moment), expected);
        }
        assert_eq!(elapsed(now, "2026-03-01T11:57:00Z"), "3 m");
        assert_eq!(elapsed(now, "2026-03-01T12:57:00Z"), "0 s");
        assert_eq!(next(now, "2026-03-01T11:00:00Z"), "now");
        assert_eq!(next(now, "2026-03-01T12:00:00.4Z"), "now");
        assert_eq!(next(now, "2026-03-01T12:04:00Z"), "in 4 m");
    }

    #[test]
    fn colours_are_for_those_who_see_them() {
        let coloured = View { colour: true, ..View::default() };
        assert_eq!(View::default().paint(Tone::Bad, "x"), "x");
        assert_eq!(coloured.paint(Tone::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(coloured.paint(Tone::Bad, ""), "");
    }

    #[test]
    fn text_from_elsewhere_moves_no_cursor() {
        assert_eq!(clean("api \u{1b}[2J\r\n\u{9b}1m"), "api \\u{1b}[2J\\r\\n\\u{9b}1m");
        assert_eq!(clean("café \u{1f980}"), "café \u{1f980}");
    }
}
