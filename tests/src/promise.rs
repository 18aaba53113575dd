//! What was promised to the clients of a daemon, and whether the cloud has it.
//!
//! Many threads write: each notes when it began to write and when it knew what came of it. Afterwards the dev cloud's
//! ledger is held against that. Knows neither daemon nor cloud; it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

/// A registration that somebody wrote: one content of one project, the like of which nobody else wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// Whose daemon it was.
    pub tenant: String,
    /// The project.
    pub root: String,
    /// Its content, unique among all.
    pub content: String,
    /// When it was begun.
    pub begun: u64,
    /// When it was over for whoever wrote it.
    pub ended: u64,
    /// Whether the daemon promised to deliver it. One that was not promised may have been taken all the same.
    pub acknowledged: bool,
}

impl Write {
    /// As a person reads it who looks for what went wrong.
    pub fn shown(&self) -> Value {
        serde_json::json!({
            "tenant": self.tenant, "root": self.root, "content": self.content, "begun": self.begun,
            "ended": self.ended, "acknowledged": self.acknowledged,
        })
    }
}

/// Numbers moments: what happened before something else has the smaller one.
#[derive(Debug, Default)]
pub struct Order(AtomicU64);

impl Order {
    /// The next moment.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// What of the promises the cloud's ledger and its projects break, a line each.
pub fn broken(writes: &[Write], ledger: &[Value], projects: &[Value]) -> Vec<String> {
    let by_content: BTreeMap<&str, &Write> =
        writes.iter().map(|write| (write.content.as_str(), write)).collect();
    let mut found = Vec::new();
    found.extend(not_ours(&by_content, ledger));
    found.extend(not_the_newest(writes, &by_content, projects));
    found.extend(out_of_order(&by_content, ledger));
    found.extend(two_of_one(ledger));
    found
}

/// What reached a tenant it was not written for, or was written by nobody.
fn not_ours(by_content: &BTreeMap<&str, &Write>, ledger: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in ledger {
        let (tenant, root, content) =
            (text(entry, "tenant"), text(entry, "root_path"), text(entry, "content_hash"));
        match by_content.get(content) {
            None => found.push(format!("{content} of {root} was written by nobody")),
            Some(write) if write.tenant != tenant => {
                found.push(format!("{content} of {root} is {}'s and reached {tenant}", write.tenant));
            }
            Some(write) if write.root != root => {
                found.push(format!("{content} is of {} and reached the cloud as of {root}", write.root));
            }
            Some(_) => {}
        }
    }
    found
}

/// Projects of which something was promised and the cloud has nothing, or something older.
fn not_the_newest(writes: &[Write], by_content: &BTreeMap<&str, &Write>, projects: &[Value]) -> Vec<String> {
    let known: BTreeMap<(&str, &str), &str> = projects
        .iter()
        .map(|project| {
            ((text(project, "tenant_id"), text(project, "root_path")), text(project, "content_hash"))
        })
        .collect();
    let mut found = Vec::new();
    for write in writes.iter().filter(|write| write.acknowledged) {
        let has = known.get(&(write.tenant.as_str(), write.root.as_str()));
        match has.map(|content| (content, by_content.get(content))) {
            None => found.push(format!("{} has nothing of {}", write.tenant, write.root)),
            Some((content, None)) => {
                found.push(format!("{} has {content} of {}, of nobody", write.tenant, write.root));
            }
            Some((_, Some(there))) if there.ended < write.begun => found.push(format!(
                "{} has {} of {}, but {} was acknowledged later",
                write.tenant, there.content, write.root, write.content
            )),
            Some((_, Some(_))) => {}
        }
    }
    found
}

/// Contents that took effect more than once, or after one that was written later.
fn out_of_order(by_content: &BTreeMap<&str, &Write>, ledger: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut newest: BTreeMap<(&str, &str), &Write> = BTreeMap::new();
    for entry in ledger.iter().filter(|entry| matches!(text(entry, "effect"), "created" | "updated")) {
        let (tenant, root, content) =
            (text(entry, "tenant"), text(entry, "root_path"), text(entry, "content_hash"));
        if !seen.insert((tenant, root, content)) {
            found.push(format!("{content} of {root} took effect twice in {tenant}"));
        }
        let Some(write) = by_content.get(content) else { continue };
        if let Some(before) = newest.get(&(tenant, root))
            && write.ended < before.begun
        {
            found.push(format!("{content} of {root} took effect after {} in {tenant}", before.content));
        }
        let newer = newest.entry((tenant, root)).or_insert(write);
        if write.begun > newer.begun {
            *newer = write;
        }
    }
    found
}

/// Projects with more than one UUID of either kind.
fn two_of_one(ledger: &[Value]) -> Vec<String> {
    let mut locals: BTreeMap<&str, &str> = BTreeMap::new();
    let mut clouds: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let mut found = Vec::new();
    for entry in ledger {
        let (tenant, root) = (text(entry, "tenant"), text(entry, "root_path"));
        let local = text(entry, "local_project_uuid");
        let first = *locals.entry(root).or_insert(local);
        if first != local {
            found.push(format!("{root} was {first} here and is {local}"));
        }
        if let Some(cloud) = entry["cloud_uuid"].as_str() {
            let first = *clouds.entry((tenant, root)).or_insert(cloud);
            if first != cloud {
                found.push(format!("{root} was {first} in {tenant} and is {cloud}"));
            }
        }
    }
    found
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry[field].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn write(tenant: &str, content: &str, begun: u64, ended: u64, acknowledged: bool) -> Write {
        let (tenant, root, content) = (tenant.to_owned(), "/p".to_owned(), content.to_owned());
        Write { tenant, root, content, begun, ended, acknowledged }
    }

    fn effect(tenant: &str, content: &str, effect: &str) -> Value {
        json!({
            "tenant": tenant, "root_path": "/p", "content_hash": content, "effect": effect,
            "local_project_uuid": "l", "cloud_uuid": format!("c of {tenant}"),
        })
    }

    fn project(tenant: &str, content: &str) -> Value {
        json!({"tenant_id": tenant, "root_path": "/p", "content_hash": content})
    }

    #[test]
    fn a_promise_that_was_kept_is_not_complained_about() {
        let writes = [
            write("a", "1", 0, 1, true),
            write("a", "2", 2, 5, false),
            // At the same time: either may be the last.
            write("a", "3", 3, 4, true),
            write("b", "4", 6, 7, true),
            write("b", "never sent", 8, 9, false),
        ];
        let ledger = [
            effect("a", "1", "created"),
            effect("a", "3", "updated"),
            effect("a", "3", "replay"),
            effect("a", "2", "updated"),
            effect("b", "4", "created"),
        ];
        let projects = [project("a", "2"), project("b", "4")];
        assert_eq!(broken(&writes, &ledger, &projects), [""; 0]);
    }

    #[test]
    fn every_way_to_break_it_is_noticed() {
        let check = |writes: &[Write], ledger: &[Value], projects: &[Value], expected: &str| {
            assert_eq!(broken(writes, ledger, projects), [expected]);
        };
        let (one, two) = (write("a", "1", 0, 1, true), write("a", "2", 2, 3, true));
        let both = [one, two];
        let first = &both[..1];
        let (created, updated) = (effect("a", "1", "created"), effect("a", "2", "updated"));
        let alone = std::slice::from_ref(&created);
        check(first, &[], &[], "a has nothing of /p");
        check(&both, alone, &[project("a", "1")], "a has 1 of /p, but 2 was acknowledged later");
        check(
            first,
            &[created.clone(), effect("b", "1", "refused")],
            &[project("a", "1")],
            "1 of /p is a's and reached b",
        );
        check(
            first,
            &[created.clone(), updated.clone()],
            &[project("a", "1")],
            "2 of /p was written by nobody",
        );
        check(
            &both,
            &[created.clone(), updated.clone(), updated.clone()],
            &[project("a", "2")],
            "2 of /p took effect twice in a",
        );
        check(
            &both,
            &[updated.clone(), created.clone()],
            &[project("a", "2")],
            "1 of /p took effect after 2 in a",
        );
        let mut other = updated;
        other["cloud_uuid"] = "d".into();
        check(&both, &[created.clone(), other.clone()], &[project("a", "2")], "/p was c of a in a and is d");
        other["cloud_uuid"] = created["cloud_uuid"].clone();
        other["local_project_uuid"] = "m".into();
        check(&both, &[created, other], &[project("a", "2")], "/p was l here and is m");
    }
}
