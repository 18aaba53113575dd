//! Writes a JSON document as YAML, for people. Only for the test that keeps `docs/control-api.yaml`.
//!
//! Texts are written as JSON has them wherever they could be taken for something else; JSON texts are YAML texts.

use std::fmt::Write;

use serde_json::{Map, Value};

/// Names that come first, in this order; all others follow by the alphabet.
const FIRST: &[&str] =
    &["openapi", "info", "servers", "paths", "components", "operationId", "summary", "name", "in", "type"];

/// The document as YAML, with a newline at its end.
pub(super) fn written(document: &Value) -> String {
    let mut page = String::new();
    block(&mut page, document, 0);
    page
}

/// Writes a value that begins on a line of its own, `depth` levels in.
fn block(page: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for name in in_order(fields) {
                indent(page, depth);
                page.push_str(&text(name));
                page.push(':');
                beside(page, &fields[name], depth + 1);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                indent(page, depth);
                page.push('-');
                beside(page, item, depth + 1);
            }
        }
        Value::Object(_)
        | Value::Array(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_) => {
            indent(page, depth);
            page.push_str(&inline(value));
            page.push('\n');
        }
    }
}

/// Writes a value that follows a name or a dash.
fn beside(page: &mut String, value: &Value, depth: usize) {
    if is_flat(value) {
        page.push(' ');
        page.push_str(&inline(value));
        page.push('\n');
    } else {
        page.push('\n');
        block(page, value, depth);
    }
}

fn is_flat(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.iter().all(|item| !item.is_object() && !item.is_array()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(words) => text(words),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

fn text(words: &str) -> String {
    let plain = words.starts_with(|first: char| first.is_ascii_alphabetic())
        && words.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&words.to_ascii_lowercase().as_str());
    if plain { words.to_owned() } else { Value::from(words).to_string() }
}

fn in_order(fields: &Map<String, Value>) -> Vec<&String> {
    let mut names: Vec<_> = fields.keys().collect();
    let rank = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
    names.sort_by_key(|name| (rank(name), (*name).clone()));
    names
}

fn indent(page: &mut String, depth: usize) {
    // Invariant: writing into a text cannot fail.
    let written = write!(page, "{:1$}", "", depth * 2);
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_could_be_taken_for_something_else_is_quoted() {
        let document = json!({
            "openapi": "3.1.0",
            "paths": {"/v1/a": [{"in": "query", "no": true}, []], "200": null},
            "deep": [[1, "a b"], {"$ref": "#/x"}],
        });
        let expected = "\
openapi: \"3.1.0\"
paths:
  \"/v1/a\":
    -
      in: query
      \"no\": true
    - []
  \"200\": null
deep:
  - [1, \"a b\"]
  -
    \"$ref\": \"#/x\"
";
        assert_eq!(written(&document), expected);
    }
}
