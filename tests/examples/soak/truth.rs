//! What the daemon and the cloud must know at the end, held against what lies on disk. Told everything, asks nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sync_wire::{Project, ProjectState};

/// What lies on disk: places of projects, and whether the cloud refuses what is there.
pub(crate) type OnDisk = BTreeMap<String, bool>;

/// What the daemon does not know as it is on disk, a line each.
pub(crate) fn not_known(on_disk: &OnDisk, known: &[Project]) -> Vec<String> {
    let mut found = Vec::new();
    let mut present: BTreeMap<&str, Vec<&Project>> = BTreeMap::new();
    for project in known.iter().filter(|project| project.state != ProjectState::Missing) {
        present.entry(&project.root_path).or_default().push(project);
    }
    for (path, refused) in on_disk {
        let expected = if *refused { ProjectState::Rejected } else { ProjectState::Registered };
        match present.get(&**path).map(Vec::as_slice) {
            None => found.push(format!("{path} is not known")),
            Some([one]) if one.state == expected => {}
            Some([one]) => {
                let (state, name, id) = (one.state.as_str(), &one.project_name, one.local_project_uuid);
                found.push(format!("{path} ({name}, {id}) is {state}, not {}", expected.as_str()));
            }
            Some(several) => found.push(format!("{path} is known {} times", several.len())),
        }
    }
    for path in present.keys().filter(|path| !on_disk.contains_key(**path)) {
        found.push(format!("{path} is not there and not missing"));
    }
    found
}

/// What the cloud has otherwise than the daemon, a line each; and every project that it has twice.
pub(crate) fn not_there(on_disk: &OnDisk, known: &[Project], cloud: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    let mut there: BTreeMap<String, &Value> = BTreeMap::new();
    for project in cloud {
        let local = text(project, "local_project_uuid").to_owned();
        if there.insert(local.clone(), project).is_some() {
            found.push(format!("the cloud has {local} twice"));
        }
    }
    let mut cloud_ids = BTreeSet::new();
    for project in known.iter().filter(|project| on_disk.get(&project.root_path) == Some(&false)) {
        if project.state == ProjectState::Missing {
            continue;
        }
        let path = &project.root_path;
        let Some(there) = there.get(&project.local_project_uuid.to_string()) else {
            found.push(format!("the cloud has nothing of {path}"));
            continue;
        };
        let pairs = [
            ("root_path", path),
            ("content_hash", &project.content_hash),
            ("project_name", &project.project_name),
            ("primary_language", &project.primary_language),
            ("framework", &project.framework),
        ];
        for (field, here) in pairs {
            if text(there, field) != here {
                found.push(format!("{path}: {field} is {here} here and {} there", text(there, field)));
            }
        }
        let uuid = project.cloud_uuid.map(|uuid| uuid.to_string());
        if uuid.as_deref() != Some(text(there, "cloud_uuid")) {
            found.push(format!(
                "{path}: the cloud's UUID is {uuid:?} here and {} there",
                text(there, "cloud_uuid")
            ));
        }
        if !cloud_ids.insert(text(there, "cloud_uuid")) {
            found.push(format!("{path} shares its UUID with another"));
        }
    }
    found
}

/// Projects that the cloud made more than once, and effects of a request that was answered before.
pub(crate) fn doubled(ledger: &[Value]) -> Vec<String> {
    let mut made = BTreeSet::new();
    let mut taken: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut found = Vec::new();
    for entry in ledger {
        let local = text(entry, "local_project_uuid");
        match text(entry, "effect") {
            "created" if !made.insert(local) => found.push(format!("{local} was created twice")),
            "created" | "updated" => {
                let key = text(entry, "idempotency_key");
                let times = taken.entry((local, key)).or_default();
                *times += 1;
                if *times == 2 && !key.is_empty() {
                    found.push(format!("{local} took effect twice under one key"));
                }
            }
            _ => {}
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

    fn known(path: &str, state: &str, local: u32) -> Project {
        let project = json!({
            "local_project_uuid": format!("00000000-0000-4000-8000-0000000000{local:02}"), "project_name": "n",
            "root_path": path, "root_path_exact": null, "primary_language": "Rust", "framework": "",
            "content_hash": "h", "project_type": "standalone", "parent_project_uuid": null, "vcs": "git",
            "state": state, "cloud_uuid": format!("10000000-0000-4000-8000-0000000000{local:02}"),
            "registration_status": "registered", "first_seen_at": "", "seen_at": "", "queue_item": null,
        });
        serde_json::from_value(project).unwrap()
    }

    fn there(path: &str, hash: &str, local: u32) -> Value {
        json!({
            "local_project_uuid": format!("00000000-0000-4000-8000-0000000000{local:02}"),
            "cloud_uuid": format!("10000000-0000-4000-8000-0000000000{local:02}"), "root_path": path,
            "content_hash": hash, "project_name": "n", "primary_language": "Rust", "framework": "",
        })
    }

    fn on_disk(paths: &[(&str, bool)]) -> OnDisk {
        paths.iter().map(|(path, refused)| ((*path).to_owned(), *refused)).collect()
    }

    #[test]
    fn what_is_on_disk_is_to_be_known_once_and_as_it_is() {
        let disk = on_disk(&[("/a", false), ("/b", true)]);
        let (a, b) = (known("/a", "registered", 1), known("/b", "rejected", 2));
        for (known, expected) in [
            (vec![a.clone(), b.clone(), known("/gone", "missing", 3)], vec![]),
            (vec![b.clone()], vec!["/a is not known"]),
            (
                vec![known("/a", "pending", 1), b.clone()],
                vec!["/a (n, 00000000-0000-4000-8000-000000000001) is pending, not registered"],
            ),
            (
                vec![a.clone(), known("/b", "registered", 2)],
                vec!["/b (n, 00000000-0000-4000-8000-000000000002) is registered, not rejected"],
            ),
            (vec![a.clone(), known("/a", "registered", 4), b.clone()], vec!["/a is known 2 times"]),
            (vec![a.clone(), known("/a", "missing", 4), b.clone()], vec![]),
            (vec![a, b, known("/gone", "registered", 3)], vec!["/gone is not there and not missing"]),
        ] {
            assert_eq!(not_known(&disk, &known), expected);
        }
    }

    #[test]
    fn the_cloud_is_to_have_it_as_it_is_here() {
        let disk = on_disk(&[("/a", false), ("/b", true)]);
        let here = [known("/a", "registered", 1), known("/b", "rejected", 2), known("/a", "missing", 3)];
        let (a, mut other) = (there("/a", "h", 1), there("/a", "h", 1));
        other["cloud_uuid"] = json!("else");
        for (cloud, expected) in [
            (vec![a.clone(), there("/a", "old", 3)], vec![]),
            (vec![], vec!["the cloud has nothing of /a"]),
            (vec![there("/a", "g", 1)], vec!["/a: content_hash is h here and g there"]),
            (vec![there("/z", "h", 1)], vec!["/a: root_path is /a here and /z there"]),
            (vec![a.clone(), a], vec!["the cloud has 00000000-0000-4000-8000-000000000001 twice"]),
            (
                vec![other],
                vec![
                    "/a: the cloud's UUID is Some(\"10000000-0000-4000-8000-000000000001\") here and else there",
                ],
            ),
        ] {
            assert_eq!(not_there(&disk, &here, &cloud), expected);
        }
    }

    #[test]
    fn what_took_effect_twice_is_noticed() {
        let entry =
            |effect, key| json!({"local_project_uuid": "l", "effect": effect, "idempotency_key": key});
        let fine =
            [entry("created", "1"), entry("replay", "1"), entry("updated", "2"), entry("unchanged", "3")];
        assert_eq!(doubled(&fine), [""; 0]);
        assert_eq!(doubled(&[entry("created", "1"), entry("created", "2")]), ["l was created twice"]);
        assert_eq!(
            doubled(&[entry("created", "1"), entry("updated", "1")]),
            ["l took effect twice under one key"]
        );
    }
}
