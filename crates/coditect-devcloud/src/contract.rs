//! What a request's body must look like, refused in the words of Django REST Framework.
//!
//! Written from the contract's document alone; it must not know how the client builds its bodies.

use serde_json::{Map, Value, json};
use uuid::Uuid;

/// One project as a request tells of it, found valid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Registration {
    pub(crate) local: Uuid,
    pub(crate) machine: Uuid,
    pub(crate) name: String,
    pub(crate) root_path: String,
    pub(crate) primary_language: String,
    pub(crate) framework: String,
    pub(crate) content_hash: String,
    pub(crate) project_type: String,
    pub(crate) parent: Option<Uuid>,
    /// Beyond the contract, optional: a lower one never overwrites a higher one.
    pub(crate) revision: Option<i64>,
}

/// Why a body is refused, and which of its projects were the reason.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The answer's body, field by field.
    pub(crate) errors: Value,
    /// The offending projects, as they came.
    pub(crate) offending: Vec<Value>,
}

const PROJECT_TYPES: [&str; 3] = ["standalone", "submodule", "monorepo"];

/// Reads the body of `register/`.
pub(crate) fn single(body: &Value) -> Result<Vec<Registration>, Refusal> {
    match registration(body) {
        Ok(registration) => Ok(vec![registration]),
        Err(errors) => Err(Refusal { errors: Value::Object(errors), offending: vec![body.clone()] }),
    }
}

/// Reads the body of `sync/`: all of it is valid, or none of it is taken.
pub(crate) fn batch(body: &Value) -> Result<Vec<Registration>, Refusal> {
    let refuse = |errors: Value| Refusal { errors, offending: Vec::new() };
    let body = body.as_object().ok_or_else(|| refuse(Value::Object(not_a_dictionary(body))))?;
    let projects = match body.get("projects") {
        Some(Value::Array(projects)) => projects,
        None => return Err(refuse(json!({"projects": ["This field is required."]}))),
        Some(Value::Null) => return Err(refuse(json!({"projects": ["This field may not be null."]}))),
        Some(other) => {
            let text = format!("Expected a list of items but got type \"{}\".", kind(other));
            return Err(refuse(json!({"projects": {"non_field_errors": [text]}})));
        }
    };
    let mut taken = Vec::with_capacity(projects.len());
    let mut errors = Vec::with_capacity(projects.len());
    let mut offending = Vec::new();
    for project in projects {
        match registration(project) {
            Ok(registration) => {
                taken.push(registration);
                errors.push(json!({}));
            }
            Err(why) => {
                errors.push(Value::Object(why));
                offending.push(project.clone());
            }
        }
    }
    if offending.is_empty() {
        Ok(taken)
    } else {
        Err(Refusal { errors: json!({"projects": errors}), offending })
    }
}

fn registration(project: &Value) -> Result<Registration, Map<String, Value>> {
    let fields = project.as_object().ok_or_else(|| not_a_dictionary(project))?;
    let mut form = Form { fields, errors: Map::new() };
    let read = Registration {
        local: form.uuid("local_project_uuid", true).unwrap_or_default(),
        name: form.text("project_name", true),
        machine: form.uuid("machine_uuid", true).unwrap_or_default(),
        root_path: form.text("root_path", true),
        primary_language: form.text("primary_language", false),
        framework: form.text("framework", false),
        content_hash: form.text("content_hash", false),
        project_type: form.choice("project_type", &PROJECT_TYPES),
        parent: form.uuid("parent_project_uuid", false),
        revision: form.integer("revision"),
    };
    if form.errors.is_empty() { Ok(read) } else { Err(form.errors) }
}

/// A project's fields, and what is wrong with those read so far.
struct Form<'a> {
    fields: &'a Map<String, Value>,
    errors: Map<String, Value>,
}

impl<'a> Form<'a> {
    fn refuse(&mut self, field: &str, why: &str) {
        self.errors.insert(field.to_owned(), json!([why]));
    }

    /// The field's value; a missing one is refused where it is required, `null` always.
    fn present(&mut self, field: &str, required: bool) -> Option<&'a Value> {
        match self.fields.get(field) {
            None if required => self.refuse(field, "This field is required."),
            Some(Value::Null) => self.refuse(field, "This field may not be null."),
            None => {}
            Some(value) => return Some(value),
        }
        None
    }

    fn text(&mut self, field: &str, required: bool) -> String {
        match self.present(field, required) {
            None => {}
            Some(Value::String(text)) if text.contains('\0') => {
                self.refuse(field, "Null characters are not allowed.");
            }
            Some(Value::String(text)) if required && text.trim().is_empty() => {
                self.refuse(field, "This field may not be blank.");
            }
            Some(Value::String(text)) => return text.clone(),
            Some(_) => self.refuse(field, "Not a valid string."),
        }
        String::new()
    }

    fn uuid(&mut self, field: &str, required: bool) -> Option<Uuid> {
        let value = self.present(field, required)?;
        let read = value.as_str().and_then(|text| Uuid::try_parse(text).ok());
        if read.is_none() {
            self.refuse(field, "Must be a valid UUID.");
        }
        read
    }

    fn choice(&mut self, field: &str, allowed: &[&str]) -> String {
        match self.present(field, false) {
            None => allowed.first().copied().unwrap_or_default().to_owned(),
            Some(Value::String(word)) if allowed.contains(&word.as_str()) => word.clone(),
            Some(other) => {
                let shown = other.as_str().map_or_else(|| other.to_string(), str::to_owned);
                self.refuse(field, &format!("\"{shown}\" is not a valid choice."));
                String::new()
            }
        }
    }

    fn integer(&mut self, field: &str) -> Option<i64> {
        let read = self.present(field, false)?.as_i64();
        if read.is_none() {
            self.refuse(field, "A valid integer is required.");
        }
        read
    }
}

fn not_a_dictionary(value: &Value) -> Map<String, Value> {
    let text = format!("Invalid data. Expected a dictionary, but got {}.", kind(value));
    Map::from_iter([("non_field_errors".to_owned(), json!([text]))])
}

/// Python's name of a JSON value's type.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{batch, single};

    fn valid() -> Value {
        json!({
            "local_project_uuid": "0195b9e0-8d4e-7c3a-9b57-3d8a4a6f0c11",
            "project_name": "alpha",
            "machine_uuid": "7f1f2c1e-1111-4a2b-8c3d-000000000001",
            "root_path": "/home/dev/alpha",
        })
    }

    fn valid_with(field: &str, value: Value) -> Value {
        let mut project = valid();
        project[field] = value;
        project
    }

    #[test]
    fn what_is_left_out_has_the_defaults_of_the_contract() {
        let taken = single(&valid()).expect("the body is valid");
        assert_eq!(taken[0].project_type, "standalone");
        assert_eq!((taken[0].framework.as_str(), taken[0].parent, taken[0].revision), ("", None, None));
    }

    #[test]
    fn a_bad_field_is_named_with_its_reason() {
        let check = |body: Value, expected: Value| {
            let refusal = single(&body).expect_err("the body is refused");
            assert_eq!(refusal.errors, expected, "{body}");
            assert_eq!(refusal.offending, [body]);
        };
        check(json!([]), json!({"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}));
        check(
            json!({}),
            json!({
                "local_project_uuid": ["This field is required."],
                "project_name": ["This field is required."],
                "machine_uuid": ["This field is required."],
                "root_path": ["This field is required."],
            }),
        );
        let mend = "Must be a valid UUID.";
        check(valid_with("local_project_uuid", json!("x")), json!({"local_project_uuid": [mend]}));
        check(valid_with("parent_project_uuid", json!(7)), json!({"parent_project_uuid": [mend]}));
        let nothing = "This field may not be null.";
        check(valid_with("parent_project_uuid", Value::Null), json!({"parent_project_uuid": [nothing]}));
        check(valid_with("framework", Value::Null), json!({"framework": [nothing]}));
        check(valid_with("framework", json!(1)), json!({"framework": ["Not a valid string."]}));
        check(
            valid_with("project_name", json!("  ")),
            json!({"project_name": ["This field may not be blank."]}),
        );
        check(
            valid_with("root_path", json!("a\0")),
            json!({"root_path": ["Null characters are not allowed."]}),
        );
        check(
            valid_with("project_type", json!("x")),
            json!({"project_type": ["\"x\" is not a valid choice."]}),
        );
        check(valid_with("revision", json!(1.5)), json!({"revision": ["A valid integer is required."]}));
    }

    #[test]
    fn a_batch_is_valid_as_a_whole_or_not_at_all() {
        let refused = |body: Value| batch(&body).expect_err("the body is refused").errors;
        assert_eq!(batch(&json!({"projects": []})).expect("an empty batch is one"), []);
        assert_eq!(batch(&json!({"projects": [valid(), valid()]})).expect("the body is valid").len(), 2);
        assert_eq!(refused(json!({})), json!({"projects": ["This field is required."]}));
        assert_eq!(refused(json!({"projects": null})), json!({"projects": ["This field may not be null."]}));
        assert_eq!(
            refused(json!({"projects": {}})),
            json!({"projects": {"non_field_errors": ["Expected a list of items but got type \"dict\"."]}})
        );
        assert_eq!(
            refused(json!({"projects": [valid(), valid_with("framework", json!(true))]})),
            json!({"projects": [{}, {"framework": ["Not a valid string."]}]})
        );
    }
}
