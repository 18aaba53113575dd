//! Rows known again by their shape, and how far each is to be believed.
//!
//! A damaged file may have lost what says which table a page belongs to, so a row is taken for what it looks like.
//! An entry has a hash of its own for what is sent; when it was queued may have been cut off. A mapping's UUID in the cloud and a scope are written twice, in the table and in an
//! index: where the two differ neither is believed.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::{LocalId, MachineId, PayloadHash, ProjectKind, Registration, Timestamp, Vcs};
use uuid::Uuid;

use super::record::{Record, Value};
use crate::sql::path_of;

/// A project within a scope.
type Key = (i64, Vec<u8>);
/// A scope as it is written down: origin, kind, tenant.
type ScopeWords = [String; 3];

/// Everything that was found, by what makes it one.
#[derive(Default)]
pub(crate) struct Found {
    /// None where two places differ.
    scopes: BTreeMap<i64, Option<ScopeWords>>,
    meta: BTreeMap<String, String>,
    projects: BTreeMap<Vec<u8>, Vec<Value>>,
    entries: BTreeMap<Key, Vec<Value>>,
    mappings: BTreeMap<Key, Vec<Value>>,
    clouds: BTreeMap<Key, BTreeSet<Vec<u8>>>,
    dropped: BTreeSet<Key>,
    asides: BTreeMap<i64, Vec<Value>>,
    /// The highest numbers that were given, by table.
    numbers: BTreeMap<String, i64>,
}

/// Rows that may be written, each in the order of its table's columns.
///
/// What was noted of the old client's queue is not among them: what was taken from it may be lost here, and taking it
/// twice does no harm.
pub(super) struct Sound {
    pub(super) scopes: Vec<Vec<Value>>,
    pub(super) meta: Vec<Vec<Value>>,
    pub(super) projects: Vec<Vec<Value>>,
    pub(super) entries: Vec<Vec<Value>>,
    pub(super) mappings: Vec<Vec<Value>>,
    pub(super) dropped: Vec<Vec<Value>>,
    pub(super) asides: Vec<Vec<Value>>,
    pub(super) numbers: BTreeMap<String, i64>,
}

/// Where an entry's columns are.
mod entry {
    pub(super) const ID: usize = 0;
    pub(super) const SCOPE: usize = 1;
    pub(super) const OPERATION: usize = 2;
    pub(super) const LOCAL: usize = 3;
    pub(super) const HASH: usize = 12;
    pub(super) const BYTES: usize = 13;
    pub(super) const REVISION: usize = 14;
    pub(super) const ASKED: usize = 15;
    pub(super) const STANDING: usize = 16;
    pub(super) const ATTEMPTS: usize = 17;
    pub(super) const ENQUEUED_AT: usize = 19;
    pub(super) const CHANGED_AT: usize = 20;
    pub(super) const SHAPE: &str = "iiibbtbtttt?bbiiiiiiii?t?t?i";
}
/// Where a mapping's columns are.
mod mapping {
    pub(super) const CLOUD: usize = 2;
    pub(super) const SENT: usize = 5;
    pub(super) const REVISION: usize = 6;
    pub(super) const REFRESH_AT: usize = 9;
    pub(super) const SHAPE: &str = "ibb?tt?biiii";
}
/// As the first version wrote them; later columns may be missing.
const PROJECT: &str = "bb?i?i?i?itttttt?biiii";
/// How many columns a project has.
const PROJECT_WIDTH: usize = 19;

impl Found {
    /// Takes a row for what it looks like; what looks like nothing is left.
    pub(super) fn take(&mut self, record: Record) {
        match record.number {
            Some(number) => self.take_numbered(number, record.values),
            None => self.take_keyed(record.values),
        }
    }

    fn take_numbered(&mut self, number: i64, mut values: Vec<Value>) {
        match values.as_mut_slice() {
            [Value::Text(table), Value::Integer(last)] => self.numbered(table, *last),
            [Value::Null, Value::Text(origin), Value::Text(kind), Value::Text(tenant)] => {
                self.scope(number, &[origin.clone(), kind.clone(), tenant.clone()]);
            }
            [
                Value::Null,
                Value::Integer(_),
                Value::Text(_),
                Value::Blob(_) | Value::Null,
                Value::Text(_),
            ] => {
                self.numbered("event", number);
            }
            [
                id @ Value::Null,
                Value::Blob(_),
                Value::Blob(_),
                Value::Text(_),
                Value::Blob(_),
                Value::Text(_),
                Value::Integer(_),
            ] => {
                self.numbered("legacy_aside", number);
                *id = Value::Integer(number);
                self.asides.insert(number, values);
            }
            [id @ Value::Null, ..] => {
                *id = Value::Integer(number);
                if is_entry(&values) {
                    self.numbered("outbox", number);
                    self.entry(values);
                }
            }
            _ => {}
        }
    }

    fn take_keyed(&mut self, values: Vec<Value>) {
        match values.as_slice() {
            [Value::Text(key), Value::Text(value)] => {
                self.meta.entry(key.clone()).or_insert_with(|| value.clone());
            }
            [Value::Text(origin), Value::Text(kind), Value::Text(tenant), Value::Integer(id)] => {
                self.scope(*id, &[origin.clone(), kind.clone(), tenant.clone()]);
            }
            [Value::Integer(scope), Value::Blob(local)] => {
                self.dropped.insert((*scope, local.clone()));
            }
            [Value::Integer(scope), Value::Blob(cloud), Value::Blob(local)] => {
                self.clouds.entry((*scope, local.clone())).or_default().insert(cloud.clone());
            }
            [Value::Integer(scope), Value::Blob(local), ..] if fits(&values, mapping::SHAPE) => {
                let key = (*scope, local.clone());
                keep_higher(&mut self.mappings, key, values, mapping::REVISION);
            }
            [Value::Blob(local), ..] if is_project(&values) => {
                let local = local.clone();
                let mut values = values;
                values.resize(PROJECT_WIDTH, Value::Null);
                self.projects.entry(local).or_insert(values);
            }
            _ => {}
        }
    }

    fn numbered(&mut self, table: &str, number: i64) {
        if matches!(table, "event" | "outbox" | "scope" | "legacy_aside") && believable(number) {
            let last = self.numbers.entry(table.to_owned()).or_default();
            *last = number.max(*last);
        }
    }

    fn scope(&mut self, id: i64, words: &ScopeWords) {
        self.numbered("scope", id);
        let known = self.scopes.entry(id).or_insert_with(|| Some(words.clone()));
        if known.as_ref() != Some(words) {
            *known = None;
        }
    }

    fn entry(&mut self, values: Vec<Value>) {
        if let (Some(Value::Integer(scope)), Some(Value::Blob(local))) =
            (values.get(entry::SCOPE), values.get(entry::LOCAL))
        {
            let key = (*scope, local.clone());
            keep_higher(&mut self.entries, key, values, entry::REVISION);
        }
    }

    /// What may be written. What is of an unknown scope is not: it could reach another tenant. What was sent is not
    /// queued again, should it have been read from where it was deleted.
    pub(super) fn sound(self, now: Timestamp) -> Sound {
        let Self { scopes, meta, projects, mut entries, mut mappings, clouds, mut dropped, asides, numbers } =
            self;
        let scopes: BTreeMap<i64, ScopeWords> = scopes
            .into_iter()
            .filter_map(|(id, words)| Some((id, words?)))
            .filter(|(_, [_, kind, tenant])| match kind.as_str() {
                "named" => !tenant.is_empty(),
                "unknown" | "opaque" => tenant.is_empty(),
                _ => false,
            })
            .collect();
        mappings.retain(|key, values| {
            let seen = clouds.get(key);
            let agrees = match (seen, values.get(mapping::CLOUD)) {
                (Some(seen), Some(Value::Blob(cloud))) => seen.contains(cloud),
                _ => true,
            };
            if seen.is_none()
                && let Some(Value::Integer(refresh_at)) = values.get_mut(mapping::REFRESH_AT)
            {
                // Nothing confirms it, so the cloud is asked.
                *refresh_at = now.0.min(*refresh_at);
            }
            agrees && scopes.contains_key(&key.0)
        });
        entries.retain(|key, values| {
            let sent = mappings.get(key).is_some_and(|mapping| {
                mapping.get(mapping::SENT) == values.get(entry::HASH)
                    && mapping.get(mapping::REVISION) >= values.get(entry::REVISION)
            });
            !sent && scopes.contains_key(&key.0)
        });
        dropped.retain(|key| key.1.len() == 16 && scopes.contains_key(&key.0) && !entries.contains_key(key));
        let mut entries: Vec<Vec<Value>> = entries.into_values().collect();
        for at in [entry::ENQUEUED_AT, entry::CHANGED_AT] {
            for value in entries.iter_mut().filter_map(|values| values.get_mut(at)) {
                // The end of a row that was cut off reads as zeros.
                if matches!(value, Value::Integer(..=0)) {
                    *value = Value::Integer(now.0);
                }
            }
        }
        entries.sort();
        Sound {
            scopes: scopes
                .into_iter()
                .map(|(id, words)| {
                    std::iter::once(Value::Integer(id)).chain(words.map(Value::Text)).collect()
                })
                .collect(),
            meta: meta
                .into_iter()
                .filter(|(key, _)| !key.starts_with("store."))
                .map(|(key, value)| vec![Value::Text(key), Value::Text(value)])
                .collect(),
            projects: projects.into_values().collect(),
            entries,
            mappings: mappings.into_values().collect(),
            dropped: dropped
                .into_iter()
                .map(|(scope, local)| vec![Value::Integer(scope), Value::Blob(local)])
                .collect(),
            asides: asides.into_values().collect(),
            numbers,
        }
    }
}

/// Of two rows with the same key the one with the higher revision is the newer.
fn keep_higher(rows: &mut BTreeMap<Key, Vec<Value>>, key: Key, values: Vec<Value>, revision: usize) {
    if rows.get(&key).is_none_or(|known| known.get(revision) < values.get(revision)) {
        rows.insert(key, values);
    }
}

/// Whether the values are of the kinds a table's columns take: `i`, `t`, `b`, each after a `?` where it may be null.
/// Rows may have more columns, which a later version added.
fn fits(values: &[Value], shape: &str) -> bool {
    let mut kinds = shape.chars();
    let mut values = values.iter();
    while let Some(kind) = kinds.next() {
        let (optional, kind) = if kind == '?' { (true, kinds.next()) } else { (false, Some(kind)) };
        let fits = match values.next() {
            None => false,
            Some(Value::Null) => optional,
            Some(Value::Integer(_)) => kind == Some('i'),
            Some(Value::Text(_)) => kind == Some('t'),
            Some(Value::Blob(_)) => kind == Some('b'),
        };
        if !fits {
            return false;
        }
    }
    true
}

/// Whether a number can have been given by counting.
fn believable(number: i64) -> bool {
    (1..1 << 48).contains(&number)
}

fn is_entry(values: &[Value]) -> bool {
    let number = |at: usize| match values.get(at) {
        Some(Value::Integer(number)) => *number,
        Some(Value::Null | Value::Text(_) | Value::Blob(_)) | None => -1,
    };
    let hash = values.get(entry::HASH).and_then(uuid);
    fits(values, entry::SHAPE)
        && believable(number(entry::ID))
        && believable(number(entry::REVISION))
        && number(entry::OPERATION) == 0
        && (0..1 << 20).contains(&number(entry::BYTES))
        && (0..=1).contains(&number(entry::ASKED))
        && (0..=2).contains(&number(entry::STANDING))
        && u32::try_from(number(entry::ATTEMPTS)).is_ok()
        && registration(values).is_some_and(|sent| Some(sent.payload_hash()) == hash.map(of_uuid))
}

fn of_uuid(uuid: Uuid) -> PayloadHash {
    PayloadHash(uuid.into_bytes())
}

fn registration(values: &[Value]) -> Option<Registration> {
    let [local, machine, name, root, language, framework, content_hash, kind, parent] =
        values.get(entry::LOCAL..entry::HASH)?
    else {
        return None;
    };
    let text = |value: &Value| match value {
        Value::Text(text) => Some(text.clone()),
        Value::Null | Value::Integer(_) | Value::Blob(_) => None,
    };
    let Value::Blob(root) = root else { return None };
    Some(Registration {
        local: LocalId(uuid(local)?),
        machine: MachineId(uuid(machine)?),
        name: text(name)?,
        root: path_of(root.clone()),
        language: text(language)?,
        framework: text(framework)?,
        content_hash: text(content_hash)?,
        kind: ProjectKind::from_word(&text(kind)?)?,
        parent: if *parent == Value::Null { None } else { Some(LocalId(uuid(parent)?)) },
    })
}

fn uuid(value: &Value) -> Option<Uuid> {
    match value {
        Value::Blob(bytes) => Uuid::from_slice(bytes).ok(),
        Value::Null | Value::Integer(_) | Value::Text(_) => None,
    }
}

fn is_project(values: &[Value]) -> bool {
    let word = |at: usize| match values.get(at) {
        Some(Value::Text(word)) => Some(word.as_str()),
        Some(Value::Null | Value::Integer(_) | Value::Blob(_)) | None => None,
    };
    let one_of_two = |at: usize| matches!(values.get(at), Some(Value::Integer(0 | 1)));
    fits(values, PROJECT)
        && values.first().and_then(uuid).is_some()
        && word(6).and_then(Vcs::from_word).is_some()
        && word(11).and_then(ProjectKind::from_word).is_some()
        && one_of_two(13)
        && one_of_two(14)
}
