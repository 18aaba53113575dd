//! What is sent, by the field names of the contract.
//!
//! The only place that knows them; the domain's types do not serialize themselves.

use serde::Serialize;
use sync_core::Registration;
use uuid::Uuid;

use crate::call::Outgoing;

#[derive(Serialize)]
struct OneBody<'a> {
    local_project_uuid: Uuid,
    project_name: &'a str,
    machine_uuid: Uuid,
    root_path: String,
    primary_language: &'a str,
    framework: &'a str,
    content_hash: &'a str,
    project_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_project_uuid: Option<Uuid>,
}

#[derive(Serialize)]
struct ManyBody<'a> {
    projects: Vec<OneBody<'a>>,
}

impl<'a> OneBody<'a> {
    /// A path that is not UTF-8 is sent with replacement characters: the contract has no other form, and the
    /// project is told apart by its UUID.
    fn of(registration: &'a Registration) -> Self {
        Self {
            local_project_uuid: registration.local.0,
            project_name: &registration.name,
            machine_uuid: registration.machine.0,
            root_path: registration.root.to_string_lossy().into_owned(),
            primary_language: &registration.language,
            framework: &registration.framework,
            content_hash: &registration.content_hash,
            project_type: registration.kind.as_str(),
            parent_project_uuid: registration.parent.map(|parent| parent.0),
        }
    }
}

/// The body of `/register/`.
pub(crate) fn one(outgoing: &Outgoing) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&OneBody::of(&outgoing.registration))
}

/// The body of `/sync/`.
pub(crate) fn many(batch: &[Outgoing]) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&ManyBody {
        projects: batch.iter().map(|each| OneBody::of(&each.registration)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use serde_json::{Value, json};
    use sync_core::{LocalId, MachineId, ProjectKind, Revision};

    use super::*;

    #[test]
    fn every_field_of_the_contract_is_sent_also_in_a_batch() {
        let whole = outgoing(Some(LocalId(Uuid::from_u128(7))));
        let expected = json!({
            "local_project_uuid": "00000000-0000-0000-0000-000000000001",
            "project_name": "api",
            "machine_uuid": "00000000-0000-0000-0000-000000000002",
            "root_path": "/home/u/\u{fffd}api",
            "primary_language": "Rust",
            "framework": "axum",
            "content_hash": "ab",
            "project_type": "submodule",
            "parent_project_uuid": "00000000-0000-0000-0000-000000000007",
        });
        assert_eq!(parsed(&one(&whole).unwrap()), expected);
        assert_eq!(parsed(&many(&[whole]).unwrap()), json!({ "projects": [expected] }));
    }

    #[test]
    fn a_parent_is_sent_only_where_there_is_one() {
        let body = parsed(&many(&[outgoing(None)]).unwrap());
        assert_eq!(body.pointer("/projects/0/parent_project_uuid"), None);
        assert_eq!(body["projects"][0].as_object().unwrap().len(), 8);
    }

    fn outgoing(parent: Option<LocalId>) -> Outgoing {
        Outgoing {
            registration: Registration {
                local: LocalId(Uuid::from_u128(1)),
                machine: MachineId(Uuid::from_u128(2)),
                name: "api".to_owned(),
                root: OsStr::from_bytes(b"/home/u/\xffapi").into(),
                language: "Rust".to_owned(),
                framework: "axum".to_owned(),
                content_hash: "ab".to_owned(),
                kind: ProjectKind::Submodule,
                parent,
            },
            key: Uuid::from_u128(3),
            revision: Revision::FIRST,
        }
    }

    fn parsed(body: &[u8]) -> Value {
        serde_json::from_slice(body).unwrap()
    }
}
