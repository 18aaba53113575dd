//! The cloud's own words in a body: short enough to show, and safe to.

use serde_json::Value;

/// The longest text that is kept of anything the other side says, in characters.
const LONGEST: usize = 500;
/// Fields are not looked for deeper than this.
const DEEPEST: usize = 8;

/// What a refusal's body says: `error`, `detail`, `message`, or fields with their faults; empty where there is nothing.
pub(crate) fn of_body(body: &[u8], is_page: bool) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if is_page || text.starts_with('<') {
        return "(HTML page)".to_owned();
    }
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(fields)) => {
            let named = ["error", "detail", "message"].into_iter().find_map(|name| {
                let said = fields.get(name).map(of_value).unwrap_or_default();
                (!said.is_empty()).then_some(said)
            });
            named.unwrap_or_else(|| of_value(&Value::Object(fields)))
        }
        Ok(value) => of_value(&value),
        Err(_no_json) => shortened(text),
    }
}

/// A value as a person reads it: `{"project_name": ["too long"]}` is `project_name: too long`.
pub(crate) fn of_value(value: &Value) -> String {
    let mut said = String::new();
    flatten(value, DEEPEST, &mut said);
    shortened(&said)
}

fn flatten(value: &Value, depth: usize, said: &mut String) {
    // What lies beyond the limit would be cut off anyway; four bytes are the longest character.
    if depth == 0 || said.len() > LONGEST * 4 {
        return;
    }
    match value {
        Value::Null => {}
        Value::Bool(flag) => said.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => said.push_str(&number.to_string()),
        Value::String(text) => said.push_str(text),
        Value::Array(items) => {
            for item in items {
                let mut piece = String::new();
                flatten(item, depth - 1, &mut piece);
                append(said, "; ", &piece);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let mut piece = String::new();
                flatten(field, depth - 1, &mut piece);
                if !piece.is_empty() {
                    append(said, "; ", &format!("{name}: {piece}"));
                }
            }
        }
    }
}

fn append(said: &mut String, between: &str, piece: &str) {
    if !said.is_empty() && !piece.is_empty() {
        said.push_str(between);
    }
    said.push_str(piece);
}

/// At most 500 characters, without control characters; runs of blanks become one.
pub(crate) fn shortened(text: &str) -> String {
    let mut short = String::new();
    let mut characters = 0;
    for word in text.split(|character: char| character.is_whitespace() || is_unfit(character)) {
        if word.is_empty() {
            continue;
        }
        let blank = usize::from(!short.is_empty());
        let room = LONGEST.saturating_sub(characters + blank);
        if room == 0 {
            break;
        }
        if blank == 1 {
            short.push(' ');
        }
        short.extend(word.chars().take(room));
        characters += blank + word.chars().take(room).count();
    }
    short
}

/// Control characters, and those that turn the direction of a line around on a terminal.
fn is_unfit(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_every_shape_of_refusal() {
        for (body, expected) in [
            (r#"{"error": "no such machine"}"#, "no such machine"),
            (r#"{"detail": "Not found."}"#, "Not found."),
            (r#"{"error": null, "detail": "why"}"#, "why"),
            (r#"{"error": {"code": 4, "text": "why"}}"#, "code: 4; text: why"),
            (r#"{"message": "no Route matched"}"#, "no Route matched"),
            (r#"{"project_name": ["too long"]}"#, "project_name: too long"),
            (r#"{"a": ["x", "y"], "b": {"c": ["z"]}}"#, "a: x; y; b: c: z"),
            (r#"{"projects": [{}, {"root_path": ["blank"]}]}"#, "projects: root_path: blank"),
            (r#""text""#, "text"),
            ("[1, 2]", "1; 2"),
            ("{}", ""),
            ("null", ""),
            ("", ""),
            ("upstream failed\r\n", "upstream failed"),
            ("a\u{1b}[31mred\u{0}b", "a [31mred b"),
            ("  <!doctype html><p>x", "(HTML page)"),
        ] {
            assert_eq!(of_body(body.as_bytes(), false), expected, "{body}");
        }
        assert_eq!(of_body(b"anything", true), "(HTML page)");
        assert_eq!(of_body(&[0xff, 0xfe, b'x'], false), "\u{fffd}\u{fffd}x");
    }

    #[test]
    fn words_are_never_longer_than_500_characters() {
        for text in ["x".repeat(5000), "\u{e9} ".repeat(5000), format!("[{}1]", "\"a\",".repeat(9999))] {
            let said = of_body(text.as_bytes(), false);
            assert!((1..=500).contains(&said.chars().count()), "{}", said.chars().count());
        }
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(of_body(deep.as_bytes(), false), "");
    }
}
