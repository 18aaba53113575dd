//! What the record of a project tells about it that whoever gives it anew leaves open.
//!
//! Decided inside the transaction, so that nobody has to read a record first in order to write it.

use std::collections::BTreeMap;

use sync_core::{ChangeKind, Given, LocalId, Project};

use super::Call;

/// Completes what a caller gives from what is recorded. Once more changes nothing.
///
/// Who first asked for a project, and when, stays. A parent that is not given stays, and so does what somebody gave before,
/// also in what the cloud is to have. Where it lies on disk stays as long as it is at the same path.
pub(super) fn complete(call: &mut Call, recorded: &BTreeMap<LocalId, Project>) {
    for change in &mut call.records {
        let Some(record) = recorded.get(&change.project.local) else { continue };
        if change.kind == ChangeKind::Added {
            change.kind = ChangeKind::Changed;
        }
        let project = &mut change.project;
        project.asked = record.asked;
        project.first_seen_at = record.first_seen_at;
        project.parent = project.parent.or(record.parent);
        project.keep_given(record);
        if project.root == record.root && project.place.is_none() {
            project.place = record.place;
            project.born = record.born;
            project.vcs_place = record.vcs_place;
            project.vcs = record.vcs;
        }
    }
    for change in &call.records {
        let of_it = |wish: &&mut super::Wish| wish.registration.local == change.project.local;
        for wish in call.wishes.iter_mut().filter(of_it) {
            wish.registration.parent = change.project.parent;
            if change.project.given != Given::default() {
                let machine = wish.registration.machine;
                wish.registration = change.project.registration(machine);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use sync_core::{Asked, Change, Field, MachineId, Place, Presence, ProjectKind, ScopeId, Timestamp, Vcs};
    use uuid::Uuid;

    use super::super::Wish;
    use super::*;

    const NOW: Timestamp = Timestamp(9);

    fn project(root: &str) -> Project {
        Project {
            local: LocalId(Uuid::from_u128(1)),
            root: PathBuf::from(root),
            place: None,
            born: None,
            vcs_place: None,
            vcs: Vcs::None,
            name: "api".to_owned(),
            language: String::new(),
            framework: String::new(),
            content_hash: String::new(),
            kind: ProjectKind::Standalone,
            parent: None,
            given: Given::default(),
            presence: Presence::Present,
            asked: Asked::ByUser,
            first_seen_at: NOW,
            seen_at: NOW,
        }
    }

    fn call(project: Project) -> Call {
        let registration = project.registration(MachineId(Uuid::nil()));
        Call {
            scope: ScopeId(1),
            wishes: vec![Wish { registration, asked: Asked::ByUser, force: false }],
            records: vec![Change { kind: ChangeKind::Added, project }],
            now: NOW,
        }
    }

    fn record() -> Project {
        Project {
            place: Some(Place { device: 1, inode: 2 }),
            vcs: Vcs::Git,
            parent: Some(LocalId(Uuid::from_u128(7))),
            asked: Asked::ByDiscovery,
            first_seen_at: Timestamp(1),
            ..project("/p/api")
        }
    }

    fn completed(given: Project) -> (Change, Wish) {
        let record = record();
        let recorded = BTreeMap::from([(record.local, record)]);
        let mut call = call(given);
        complete(&mut call, &recorded);
        let once = (call.records[0].clone(), call.wishes[0].clone());
        complete(&mut call, &recorded);
        assert_eq!((call.records.remove(0), call.wishes.remove(0)), once);
        once
    }

    #[test]
    fn what_is_left_open_is_taken_from_the_record() {
        let (change, wish) = completed(project("/p/api"));
        assert_eq!(change, Change { kind: ChangeKind::Changed, project: record() });
        assert_eq!(wish.registration.parent, record().parent);
    }

    #[test]
    fn what_is_given_stands() {
        let other = Some(LocalId(Uuid::from_u128(8)));
        let (change, wish) = completed(Project { parent: other, ..project("/p/elsewhere") });
        assert_eq!((change.project.parent, wish.registration.parent), (other, other));
        assert_eq!((change.project.place, change.project.vcs), (None, Vcs::None));
    }

    #[test]
    fn what_somebody_gave_before_stays_until_it_is_given_anew_or_taken_back() {
        let forth = Project {
            language: "Forth".to_owned(),
            given: Given::default().with(Field::Language),
            ..record()
        };
        let recorded = BTreeMap::from([(forth.local, forth)]);
        let c = Given::default().with(Field::Language);
        for (given, language, expected) in
            [(Given::default(), "C", "Forth"), (c, "C", "C"), (Given::default().anew(), "C", "C")]
        {
            let mut call = call(Project { given, language: language.to_owned(), ..project("/p/api") });
            for _ in 0..2 {
                complete(&mut call, &recorded);
                assert_eq!(call.records[0].project.language, expected, "{given:?}");
                assert_eq!(call.wishes[0].registration.language, expected, "{given:?}");
            }
        }
    }

    #[test]
    fn without_a_record_nothing_is_added() {
        let mut new = call(project("/p/api"));
        complete(&mut new, &BTreeMap::new());
        assert_eq!(new.records, call(project("/p/api")).records);
    }
}
