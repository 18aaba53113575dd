//! What of the record has to be read to compare it with a look at a few places.
//!
//! A look at one project of a thousand is compared with a handful of records instead of all of them, and comes to the
//! same. Knows nothing of where records are kept.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::identity::{local_id, next_id};
use crate::ids::{LocalId, MachineId};
use crate::project::{Presence, Project};
use crate::sighting::{Place, Sighting};

/// So many of the UUIDs that a new project at a place may come to have are asked for at once.
const IDS: usize = 4;

/// The records [`diff`](crate::diff()) needs: those with one of these.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Concerned {
    /// Of each place where something was seen, the UUIDs a new project there may come to have.
    pub ids: Vec<[LocalId; IDS]>,
    /// Where something was seen, and where what encloses it is.
    pub roots: BTreeSet<PathBuf>,
    /// The folders that were seen, wherever they were before.
    pub places: BTreeSet<Place>,
    /// Everything present at and below these was looked at.
    pub below: BTreeSet<PathBuf>,
}

impl Concerned {
    /// By what was `seen` on this machine, where everything `below` these folders was looked at, and `at` these.
    pub fn new<'a>(
        seen: impl IntoIterator<Item = &'a Sighting>,
        machine: MachineId,
        below: impl IntoIterator<Item = &'a PathBuf>,
        at: impl IntoIterator<Item = &'a PathBuf>,
    ) -> Self {
        let seen: Vec<&Sighting> = seen.into_iter().collect();
        let parents = seen.iter().filter_map(|sighting| sighting.parent_root.as_ref());
        let roots = seen.iter().map(|sighting| &sighting.root).chain(parents).chain(at);
        Self {
            ids: seen.iter().map(|sighting| ids(machine, &sighting.root)).collect(),
            roots: roots.cloned().collect(),
            places: seen.iter().map(|sighting| sighting.place).collect(),
            below: below.into_iter().cloned().collect(),
        }
    }

    /// Whether this record is one of them.
    pub fn has(&self, project: &Project) -> bool {
        self.ids.iter().flatten().any(|id| *id == project.local)
            || self.roots.contains(&project.root)
            || project.place.is_some_and(|place| self.places.contains(&place))
            || (project.presence == Presence::Present
                && self.below.iter().any(|folder| project.root.starts_with(folder)))
    }

    /// Whether these records are enough; where all the UUIDs that were asked for are taken, only all records are.
    pub fn is_enough<'a>(&self, records: impl IntoIterator<Item = &'a Project>) -> bool {
        let taken: BTreeSet<LocalId> = records.into_iter().map(|project| project.local).collect();
        self.ids.iter().all(|ids| ids.iter().any(|id| !taken.contains(id)))
    }
}

fn ids(machine: MachineId, root: &Path) -> [LocalId; IDS] {
    let mut id = local_id(machine, root);
    std::array::from_fn(|_| {
        let next = next_id(id, root);
        std::mem::replace(&mut id, next)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::entry::Asked;
    use crate::given::Given;
    use crate::registration::ProjectKind;
    use crate::sighting::Vcs;
    use crate::time::Timestamp;
    use crate::{Change, diff};

    const MACHINE: MachineId = MachineId(Uuid::from_u128(5));

    /// Few places and folders, so that much meets there.
    fn root() -> impl Strategy<Value = PathBuf> {
        prop::sample::select(vec!["/w/a", "/w/b", "/w/a/c", "/w/a-b", "/x/a", "/x/b"]).prop_map(PathBuf::from)
    }

    fn place() -> impl Strategy<Value = Place> {
        (1..6_u64).prop_map(|inode| Place { device: 1, inode })
    }

    prop_compose! {
        fn sighting()(root in root(), place in place(), born in prop::option::of(1..3_i64),
            content in 0..2_u8, parent in prop::option::of(root())) -> Sighting {
            Sighting {
                root,
                place,
                born,
                vcs_place: None,
                vcs: Vcs::None,
                name: "name".to_owned(),
                language: String::new(),
                framework: String::new(),
                content_hash: format!("{content}"),
                kind: ProjectKind::Standalone,
                parent_root: parent,
                warnings: Vec::new(),
                broke_off: false,
            }
        }
    }

    prop_compose! {
        /// Some have the UUID of a place, their own or another's, as if they had moved there and away again.
        fn record()(seen in sighting(), is_present in any::<bool>(), from in root(), steps in 0..IDS + 1) -> Project {
            let id = (0..steps).fold(local_id(MACHINE, &from), |id, _| next_id(id, &from));
            Project {
                local: id,
                root: seen.root,
                place: Some(seen.place),
                born: seen.born,
                vcs_place: None,
                vcs: seen.vcs,
                name: seen.name,
                language: seen.language,
                framework: seen.framework,
                content_hash: seen.content_hash,
                kind: seen.kind,
                parent: None,
                given: Given::default(),
                presence: if is_present { Presence::Present } else { Presence::Missing },
                asked: Asked::ByDiscovery,
                first_seen_at: Timestamp(0),
                seen_at: Timestamp(0),
            }
        }
    }

    /// As a database keeps them: by UUID, and no two present ones at one root.
    fn kept(mut records: Vec<Project>) -> Vec<Project> {
        let mut roots = BTreeSet::new();
        records.sort_by_key(|project| project.local);
        records.dedup_by_key(|project| project.local);
        records.retain(|project| project.presence == Presence::Missing || roots.insert(project.root.clone()));
        records
    }

    proptest! {
        #[test]
        fn what_is_concerned_comes_to_the_same_as_all(
            records in prop::collection::vec(record(), 0..24).prop_map(kept),
            mut seen in prop::collection::vec(sighting(), 0..4),
            below in prop::option::of(root()),
            at in prop::option::of(root()),
        ) {
            seen.sort_by(|one, other| one.root.cmp(&other.root));
            seen.dedup_by(|one, other| one.root == other.root);
            let covered = |path: &Path| {
                at.as_deref() == Some(path) || below.as_ref().is_some_and(|below| path.starts_with(below))
            };
            let concerned = Concerned::new(&seen, MACHINE, &below, &at);
            let some: Vec<Project> =
                records.iter().filter(|project| concerned.has(project)).cloned().collect();
            let compared = |known: &[Project]| -> Vec<Change> {
                diff(known, &seen, &covered, MACHINE, Timestamp(9))
            };
            if concerned.is_enough(&some) {
                prop_assert_eq!(compared(&some), compared(&records));
            } else {
                // Only where one place has given UUIDs to many that went elsewhere.
                prop_assert!(records.len() >= IDS);
            }
        }
    }
}
