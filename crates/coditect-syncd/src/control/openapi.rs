//! The OpenAPI 3.1 document, made from the table of routes and the types of the answers.

use std::collections::BTreeMap;

use schemars::generate::{Contract, SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};
use sync_wire::{Problem, ProblemCode};

use super::limits;
use super::read::Kind;
use super::route::{Answer, Content, EVERYWHERE, Parameter, Route, WITH_A_BODY};
use super::table::ROUTES;

/// The whole document.
pub(super) fn document() -> Value {
    let (mut asked, mut answered) = (generator(Contract::Deserialize), generator(Contract::Serialize));
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in ROUTES {
        let operation = operation(route, &mut asked, &mut answered);
        paths.entry(route.path).or_default().insert(route.method.to_ascii_lowercase(), operation);
    }
    let mut schemas = asked.take_definitions(false);
    schemas.append(&mut answered.take_definitions(false));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "coditect-sync control API",
            "version": sync_wire::API.to_string(),
            "description": "HTTP/1.1 over the daemon's Unix socket, for this user's own programs. Times are RFC 3339 \
                            in UTC, UUIDs are written in lower case. Answers may get more fields; requests are read \
                            strictly. Any request may be refused with an RFC 9457 problem; its `code` is stable. \
                            A body is limited to 8 MiB and must be complete within 10 seconds, a head to 16 KiB and 5 \
                            seconds, and there are at most 256 connections. Requests with an `Origin` or `Referer` \
                            header are refused with 403, heads that take too long with 408 and those that are too \
                            large with 431; all of these have the code `bad_request`. A connection too many is \
                            answered with 503 and the code `conflict`.",
            "license": {"name": "Apache-2.0 OR MIT"},
        },
        "servers": [{"url": "http://localhost", "description": "The host is not looked at."}],
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn generator(contract: Contract) -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    settings.contract = contract;
    settings.into_generator()
}

fn operation(route: &Route, asked: &mut SchemaGenerator, answered: &mut SchemaGenerator) -> Value {
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), json!(route.operation));
    operation.insert("summary".to_owned(), json!(route.summary));
    let segment = route.segment.iter().map(|segment| parameter(segment, "path", true));
    let query = route
        .query
        .iter()
        .map(|parameter| self::parameter(parameter, "query", route.needs.contains(&parameter.name)));
    let headers = route.headers.iter().map(|parameter| self::parameter(parameter, "header", false));
    let parameters: Vec<Value> = segment.chain(query).chain(headers).collect();
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), parameters.into());
    }
    if let Some(document) = &route.body {
        let schema = (document.schema)(asked);
        operation.insert(
            "requestBody".to_owned(),
            json!({"required": document.required, "content": {"application/json": {"schema": schema}}}),
        );
    }
    let mut responses: BTreeMap<String, Value> = route
        .answers
        .iter()
        .map(|answer| (answer.status.as_str().to_owned(), self::answer(answer, answered)))
        .collect();
    for (status, codes) in problems(route) {
        let codes: Vec<_> = codes.iter().map(|code| format!("`{code}`: {}", code.title())).collect();
        let schema = answered.subschema_for::<Problem>();
        let problem = json!({"schema": schema});
        // A status can have an answer of its own, as 503 has with `/v1/ready`; then it has both contents.
        let response =
            responses.entry(status.to_string()).or_insert_with(|| json!({"description": "", "content": {}}));
        let described = response["description"].as_str().unwrap_or_default();
        let separator = if described.is_empty() { "" } else { " Or " };
        response["description"] = format!("{described}{separator}{}.", codes.join("; ")).into();
        response["content"][sync_wire::problem::MEDIA_TYPE] = problem;
    }
    operation.insert("responses".to_owned(), json!(responses));
    operation.into()
}

/// The problems of a route by their status.
fn problems(route: &Route) -> BTreeMap<u16, Vec<ProblemCode>> {
    let mut problems: BTreeMap<u16, Vec<ProblemCode>> = BTreeMap::new();
    let body = if route.body.is_some() { WITH_A_BODY } else { &[] };
    for code in EVERYWHERE.iter().chain(body).chain(route.problems) {
        problems.entry(code.http_status()).or_default().push(*code);
    }
    problems
}

fn answer(answer: &Answer, generator: &mut SchemaGenerator) -> Value {
    match answer.content {
        Content::Nothing => json!({"description": answer.description}),
        Content::Json(schema) => json!({
            "description": answer.description,
            "content": {"application/json": {"schema": schema(generator)}},
        }),
        Content::Stream(media_type, schema) => json!({
            "description": answer.description,
            "content": {media_type: {
                "schema": {"type": "string"},
                "x-event-schema": schema(generator),
            }},
        }),
        Content::Text(media_type) => json!({
            "description": answer.description,
            "content": {media_type: {"schema": {"type": "string"}}},
        }),
    }
}

fn parameter(parameter: &Parameter, place: &str, required: bool) -> Value {
    json!({
        "name": parameter.name,
        "in": place,
        "required": required,
        "description": parameter.description,
        "schema": schema(parameter.kind),
    })
}

fn schema(kind: Kind) -> Value {
    match kind {
        Kind::Uuid => json!({"type": "string", "format": "uuid"}),
        Kind::Number => json!({"type": "integer", "format": "int64", "minimum": 0}),
        Kind::Path => json!({
            "type": "string",
            "pattern": r"^/[^\u0000]*$",
            "maxLength": sync_core::LONGEST_PATH,
        }),
        Kind::Text => json!({"type": "string"}),
        Kind::Flag => json!({"type": "boolean", "default": false}),
        Kind::Wait => json!({
            "type": "integer",
            "minimum": 0,
            "maximum": u64::try_from(limits::WAIT.as_millis()).unwrap_or(u64::MAX),
        }),
        Kind::Limit => json!({
            "type": "integer",
            "minimum": 1,
            "maximum": limits::PAGE,
            "default": limits::PAGE_BY_DEFAULT,
        }),
        Kind::Word(words) => json!({"type": "string", "enum": words}),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::control::yaml;

    #[test]
    fn the_written_document_is_the_one_that_is_served() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/control-api.yaml");
        let made = format!(
            "# Made from the daemon's table of routes. To make it anew:\n\
             # UPDATE=1 cargo test -p coditect-syncd --lib control::openapi\n{}",
            yaml::written(&document())
        );
        #[expect(clippy::disallowed_methods, reason = "a test asks whether it is to write its file")]
        let update = std::env::var_os("UPDATE").is_some();
        if update {
            std::fs::write(&path, &made).expect("the document is written");
        }
        let written = std::fs::read_to_string(&path).expect("docs/control-api.yaml can be read");
        assert!(written == made, "docs/control-api.yaml is out of date; run this test with UPDATE=1");
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_used() {
        let document = document();
        let mut references = BTreeSet::new();
        collect(&document, &mut references);
        let schemas = document["components"]["schemas"].as_object().expect("schemas");
        let defined: BTreeSet<_> =
            schemas.keys().map(|name| format!("#/components/schemas/{name}")).collect();
        assert_eq!(references, defined);
    }

    #[test]
    fn a_type_that_is_asked_and_answered_is_the_same_both_ways() {
        let (mut asked, mut answered) = (generator(Contract::Deserialize), generator(Contract::Serialize));
        for route in ROUTES {
            operation(route, &mut asked, &mut answered);
        }
        let answered = answered.take_definitions(false);
        for (name, schema) in asked.take_definitions(false) {
            assert!(answered.get(&name).is_none_or(|other| *other == schema), "{name}");
        }
    }

    #[test]
    fn every_route_tells_its_problems() {
        for route in ROUTES {
            let codes: Vec<_> = problems(route).into_values().flatten().collect();
            assert!(EVERYWHERE.iter().all(|code| codes.contains(code)), "{}", route.path);
        }
    }

    fn collect(value: &Value, references: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    if let (true, Some(text)) = (name == "$ref", field.as_str()) {
                        references.insert(text.to_owned());
                    }
                    collect(field, references);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
