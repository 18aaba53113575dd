//! Known projects against what was seen on disk: what was added, changed, moved, came back or is gone.
//!
//! Does not look at the disk; it is told what was seen and which paths a look would have covered.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::entry::Asked;
use crate::given::Given;
use crate::identity::{local_id, next_id};
use crate::ids::{LocalId, MachineId};
use crate::project::{Change, ChangeKind, Presence, Project};
use crate::registration::{LONGEST_NAME, LONGEST_PATH, LONGEST_WORD};
use crate::sighting::{Place, Sighting};
use crate::time::Timestamp;

/// Compares `known` with `seen`. `covered` tells of a path whether a project there would have been seen: only then is
/// one that was not seen called missing.
pub fn diff(
    known: &[Project],
    seen: &[impl Borrow<Sighting>],
    covered: &dyn Fn(&Path) -> bool,
    machine: MachineId,
    now: Timestamp,
) -> Vec<Change> {
    let by_root: BTreeMap<&Path, &Project> = by_root(known);
    // Thousands may have moved: none of them is looked for among all others.
    let by_place = by_place(known);
    let ids: BTreeSet<LocalId> = known.iter().map(|project| project.local).collect();
    let seen: Vec<&Sighting> = seen
        .iter()
        .map(Borrow::borrow)
        .filter(|sighting| sighting.root.as_os_str().len() <= LONGEST_PATH)
        .collect();
    let at_home: BTreeSet<LocalId> = seen
        .iter()
        .filter_map(|sighting| {
            by_root.get(sighting.root.as_path()).filter(|known| same_folders(known, sighting))
        })
        .map(|project| project.local)
        .collect();
    let seen_roots: BTreeSet<&Path> = seen.iter().map(|sighting| sighting.root.as_path()).collect();
    let left_home = |project: &Project| {
        !at_home.contains(&project.local)
            && (project.presence == Presence::Missing
                || seen_roots.contains(project.root.as_path())
                || covered(&project.root))
    };
    let mut taken: BTreeSet<LocalId> = BTreeSet::new();
    // Folders that are recognised come before names of places, so that two projects that swap places keep who they
    // are; and every identity is settled before parents are looked up by where they are.
    let mut found: Vec<Option<Match<'_>>> = seen
        .iter()
        .map(|sighting| {
            let here = by_root.get(sighting.root.as_path());
            let here = here.filter(|project| same_folders(project, sighting) || is_named(project));
            let found = here.map(|project| Match::Known(project)).or_else(|| {
                let moved = |project: &&Project| {
                    is_same(project, sighting) && left_home(project) && !taken.contains(&project.local)
                };
                // Of two that lay in this folder the missing one was displaced by the other.
                let is_missing = |project: &&Project| project.presence == Presence::Missing;
                let here_last = by_place.get(&sighting.place).into_iter().flatten().copied();
                here_last.filter(moved).min_by_key(is_missing).map(Match::Moved)
            });
            taken.extend(found.map(|found| found.local()));
            found
        })
        .collect();
    for (sighting, found) in seen.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
        let here = by_root.get(sighting.root.as_path()).filter(|project| !taken.contains(&project.local));
        let settled = here.map_or_else(
            || Match::New(fresh_id(&ids, &taken, machine, &sighting.root)),
            |project| Match::Known(project),
        );
        taken.insert(settled.local());
        *found = Some(settled);
    }
    let matched: Vec<(&Sighting, Match<'_>)> =
        seen.into_iter().zip(found).filter_map(|(sighting, found)| Some((sighting, found?))).collect();
    let found_at: BTreeMap<&Path, LocalId> =
        matched.iter().map(|(sighting, found)| (sighting.root.as_path(), found.local())).collect();
    let parent = |sighting: &Sighting| {
        let root = sighting.parent_root.as_deref()?;
        found_at.get(root).copied().or_else(|| by_root.get(root).map(|project| project.local))
    };
    let mut changes: Vec<Change> = matched
        .iter()
        .filter_map(|(sighting, found)| {
            let project = record(sighting, found, parent(sighting), now);
            kind(found, &project).map(|kind| Change { kind, project })
        })
        .collect();
    changes.extend(
        known
            .iter()
            .filter(|project| project.presence == Presence::Present && !taken.contains(&project.local))
            .filter(|project| covered(&project.root))
            .map(|project| Change {
                kind: ChangeKind::Missing,
                project: Project { presence: Presence::Missing, seen_at: now, ..project.clone() },
            }),
    );
    changes
}

#[derive(Clone, Copy)]
enum Match<'a> {
    Known(&'a Project),
    Moved(&'a Project),
    New(LocalId),
}

impl Match<'_> {
    fn local(&self) -> LocalId {
        match self {
            Self::Known(project) | Self::Moved(project) => project.local,
            Self::New(local) => *local,
        }
    }
}

/// Where two records name one path, the present one counts.
fn by_root(known: &[Project]) -> BTreeMap<&Path, &Project> {
    let mut roots: BTreeMap<&Path, &Project> = BTreeMap::new();
    for project in known {
        match roots.get(project.root.as_path()) {
            Some(other) if other.presence == Presence::Present => {}
            Some(_) | None => {
                roots.insert(&project.root, project);
            }
        }
    }
    roots
}

/// The records of each folder, in their order.
fn by_place(known: &[Project]) -> BTreeMap<Place, Vec<&Project>> {
    let mut places: BTreeMap<Place, Vec<&Project>> = BTreeMap::new();
    for project in known {
        if let Some(place) = project.place {
            places.entry(place).or_default().push(project);
        }
    }
    places
}

/// Whether what was seen is this project, wherever it is on record, unless it is still there as well.
pub fn is_same(project: &Project, sighting: &Sighting) -> bool {
    same_folders(project, sighting) && same_content(project, sighting)
}

/// The same folders by device and inode: that of the root and, where it has one, of the version-control folder. Not the
/// same when they are known to have been made at different times.
fn same_folders(project: &Project, sighting: &Sighting) -> bool {
    project.place == Some(sighting.place)
        && project.vcs_place == sighting.vcs_place
        && (project.born.is_none() || sighting.born.is_none() || project.born == sighting.born)
}

/// A tool said that it is there, and nobody looked yet: what is found there is what was named.
fn is_named(project: &Project) -> bool {
    project.presence == Presence::Present && project.place.is_none()
}

/// File systems give the numbers of deleted folders to new ones, so where they do not tell when a folder was made,
/// something of what is in it has to be the same too.
fn same_content(project: &Project, sighting: &Sighting) -> bool {
    if project.born.is_some() && project.born == sighting.born {
        return true;
    }
    let told = !sighting.content_hash.is_empty() && !EMPTY_TREES.contains(&sighting.content_hash.as_str());
    project.name == sighting.name || (told && project.content_hash == sighting.content_hash)
}

/// The ids of a tree without entries, in git's two formats: all new repositories have one of them.
const EMPTY_TREES: [&str; 2] = [
    "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
];

/// The id of the place, unless a project that moved away took it along; then one derived from it.
fn fresh_id(
    known: &BTreeSet<LocalId>,
    taken: &BTreeSet<LocalId>,
    machine: MachineId,
    root: &Path,
) -> LocalId {
    let in_use = |id: LocalId| taken.contains(&id) || known.contains(&id);
    let mut id = local_id(machine, root);
    while in_use(id) {
        id = next_id(id, root);
    }
    id
}

fn record(sighting: &Sighting, found: &Match<'_>, parent: Option<LocalId>, now: Timestamp) -> Project {
    let before = match found {
        Match::Known(project) | Match::Moved(project) => Some(*project),
        Match::New(_) => None,
    };
    let mut project = Project {
        local: found.local(),
        root: sighting.root.clone(),
        place: Some(sighting.place),
        born: sighting.born,
        vcs_place: sighting.vcs_place,
        vcs: sighting.vcs,
        name: shortened(&sighting.name, LONGEST_NAME),
        language: shortened(&sighting.language, LONGEST_WORD),
        framework: shortened(&sighting.framework, LONGEST_WORD),
        content_hash: shortened(&sighting.content_hash, LONGEST_WORD),
        kind: sighting.kind,
        parent: parent.filter(|parent| *parent != found.local()),
        given: Given::default(),
        presence: Presence::Present,
        asked: Asked::ByDiscovery,
        first_seen_at: before.map_or(now, |project| project.first_seen_at),
        seen_at: now,
    };
    if let Some(before) = before {
        if sighting.broke_off {
            project.name.clone_from(&before.name);
            project.language.clone_from(&before.language);
            project.framework.clone_from(&before.framework);
            project.content_hash.clone_from(&before.content_hash);
            project.kind = before.kind;
        }
        project.keep_given(before);
    }
    project
}

/// The longest beginning of at most `most` bytes that is still text.
fn shortened(text: &str, most: usize) -> String {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

fn kind(found: &Match<'_>, project: &Project) -> Option<ChangeKind> {
    match found {
        Match::New(_) => Some(ChangeKind::Added),
        Match::Moved(before) => Some(ChangeKind::Moved { from: before.root.clone() }),
        Match::Known(before) if before.presence == Presence::Missing => Some(ChangeKind::Returned),
        Match::Known(before) => {
            let as_before = Project { seen_at: before.seen_at, ..project.clone() };
            (as_before != **before).then_some(ChangeKind::Changed)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::given::Field;
    use crate::registration::ProjectKind;
    use crate::sighting::Vcs;
    use uuid::Uuid;

    const MACHINE: MachineId = MachineId(Uuid::from_u128(5));
    const NOW: Timestamp = Timestamp(1_000);

    fn sighting(root: &str, inode: u64) -> Sighting {
        Sighting {
            root: PathBuf::from(root),
            place: Place { device: 1, inode },
            born: None,
            vcs_place: Some(Place { device: 1, inode: inode + 1_000 }),
            vcs: Vcs::Git,
            name: "name".to_owned(),
            language: String::new(),
            framework: String::new(),
            content_hash: "aa".to_owned(),
            kind: ProjectKind::Standalone,
            parent_root: None,
            warnings: Vec::new(),
            broke_off: false,
        }
    }

    fn apply(known: &mut Vec<Project>, changes: Vec<Change>) {
        for change in changes {
            known.retain(|project| project.local != change.project.local);
            known.push(change.project);
        }
    }

    /// Looks once and tells what changed, in short.
    fn look(known: &mut Vec<Project>, seen: &[Sighting]) -> Vec<String> {
        look_at(known, seen, &|_| true)
    }

    fn look_at(known: &mut Vec<Project>, seen: &[Sighting], covered: &dyn Fn(&Path) -> bool) -> Vec<String> {
        let changes = diff(known, seen, covered, MACHINE, NOW);
        let told = changes
            .iter()
            .map(|change| format!("{} {}", change.kind.as_str(), change.project.root.display()))
            .collect();
        apply(known, changes);
        told
    }

    fn id_at(known: &[Project], root: &str) -> LocalId {
        known
            .iter()
            .find(|project| project.root == Path::new(root) && project.presence == Presence::Present)
            .unwrap()
            .local
    }

    #[test]
    fn of_a_project_whose_examination_broke_off_what_is_on_record_stays() {
        let world = [sighting("/w/a", 1)];
        let known = [record(&world[0], &Match::New(LocalId(Uuid::from_u128(9))), None, NOW)];
        let broken = Sighting {
            name: "a-folder".to_owned(),
            language: String::new(),
            framework: String::new(),
            content_hash: String::new(),
            broke_off: true,
            ..world[0].clone()
        };
        let kept = record(&broken, &Match::Known(&known[0]), None, NOW);
        assert_eq!(kept, known[0]);
        let new = record(&broken, &Match::New(LocalId(Uuid::from_u128(9))), None, NOW);
        assert_eq!((new.name.as_str(), new.content_hash.as_str()), ("a-folder", ""));
    }

    #[test]
    fn a_project_is_added_changed_missed_and_returns_as_itself() {
        let mut known = Vec::new();
        assert_eq!(look(&mut known, &[sighting("/w/a", 1)]), ["added /w/a"]);
        let first = id_at(&known, "/w/a");
        assert_eq!(first, local_id(MACHINE, Path::new("/w/a")));
        assert_eq!(look(&mut known, &[sighting("/w/a", 1)]), Vec::<String>::new());
        let edited = Sighting { content_hash: "bb".to_owned(), ..sighting("/w/a", 1) };
        assert_eq!(look(&mut known, std::slice::from_ref(&edited)), ["changed /w/a"]);
        assert_eq!(look(&mut known, &[]), ["missing /w/a"]);
        assert_eq!(look(&mut known, &[]), Vec::<String>::new());
        assert_eq!(look(&mut known, &[edited]), ["returned /w/a"]);
        assert_eq!(id_at(&known, "/w/a"), first);
    }

    #[test]
    fn what_somebody_gave_is_not_replaced_by_what_is_seen_wherever_the_project_goes() {
        let mut known = Vec::new();
        look(&mut known, &[sighting("/w/a", 1)]);
        known[0].language = "Forth".to_owned();
        known[0].given = Given::default().with(Field::Language);
        let seen = |root: &str| Sighting {
            language: "C".to_owned(),
            framework: "express".to_owned(),
            ..sighting(root, 1)
        };
        for root in ["/w/a", "/w/b"] {
            assert_eq!(look(&mut known, &[seen(root)]).len(), 1);
            let project = &known[0];
            assert_eq!((project.language.as_str(), project.framework.as_str()), ("Forth", "express"));
            assert!(project.given.has(Field::Language) && !project.given.has(Field::Framework));
            assert_eq!(look(&mut known, &[seen(root)]), Vec::<String>::new());
        }
    }

    #[test]
    fn what_could_not_be_looked_at_is_not_missing() {
        let mut known = Vec::new();
        look(&mut known, &[sighting("/w/a", 1), sighting("/mnt/b", 2)]);
        let covered = |path: &Path| path.starts_with("/w");
        assert_eq!(look_at(&mut known, &[sighting("/w/a", 1)], &covered), Vec::<String>::new());
    }

    #[test]
    fn a_move_keeps_the_uuid_and_a_copy_gets_its_own() {
        let mut known = Vec::new();
        look(&mut known, &[sighting("/w/a", 1)]);
        let first = id_at(&known, "/w/a");
        assert_eq!(look(&mut known, &[sighting("/w/b", 1)]), ["moved /w/b"]);
        assert_eq!(id_at(&known, "/w/b"), first);
        assert_eq!(look(&mut known, &[sighting("/w/b", 1), sighting("/w/c", 3)]), ["added /w/c"]);
        assert_ne!(id_at(&known, "/w/c"), first);
        // The place that was left is taken by another project: its UUID must not be the moved one's.
        look(&mut known, &[sighting("/w/b", 1), sighting("/w/c", 3), sighting("/w/a", 9)]);
        assert_ne!(id_at(&known, "/w/a"), first);
    }

    /// As it is on record after a tool registered the folder of a discovered project under a UUID of its own.
    fn registered_over(known: &mut Vec<Project>, place: Option<Place>) -> LocalId {
        let named = LocalId(Uuid::from_u128(0xFFFF << 112));
        let displaced = known.pop().unwrap();
        let given = Project { local: named, place, asked: Asked::ByUser, ..displaced.clone() };
        known.push(Project { presence: Presence::Missing, ..displaced });
        known.push(given);
        named
    }

    #[test]
    fn a_folder_that_a_tool_named_is_what_it_was_named() {
        let mut known = Vec::new();
        look(&mut known, &[sighting("/w/a", 1)]);
        let named = registered_over(&mut known, None);
        assert_eq!(look(&mut known, &[sighting("/w/a", 1)]), ["changed /w/a"]);
        assert_eq!(id_at(&known, "/w/a"), named);
        assert_eq!(look(&mut known, &[sighting("/w/a", 1)]), Vec::<String>::new());
    }

    #[test]
    fn a_move_is_that_of_the_project_that_was_there_last() {
        let mut known = Vec::new();
        look(&mut known, &[sighting("/w/a", 1)]);
        let place = known[0].place;
        let named = registered_over(&mut known, place);
        assert_eq!(look(&mut known, &[sighting("/w/b", 1)]), ["moved /w/b"]);
        assert_eq!(id_at(&known, "/w/b"), named);
    }

    #[test]
    fn two_projects_that_swap_places_keep_who_they_are() {
        let mut known = Vec::new();
        look(&mut known, &[sighting("/w/a", 1), sighting("/w/b", 2)]);
        let (a, b) = (id_at(&known, "/w/a"), id_at(&known, "/w/b"));
        let told = look(&mut known, &[sighting("/w/a", 2), sighting("/w/b", 1)]);
        assert_eq!(told, ["moved /w/a", "moved /w/b"]);
        assert_eq!((id_at(&known, "/w/a"), id_at(&known, "/w/b")), (b, a));
        assert_eq!(known.len(), 2);
    }

    #[test]
    fn a_new_project_that_got_the_numbers_of_a_deleted_one_is_not_that_one() {
        for (hash, name) in [("bb", "other"), (EMPTY_TREES[0], "other"), ("", "other")] {
            let mut known = Vec::new();
            let old = Sighting { content_hash: hash.replace("bb", "aa"), ..sighting("/w/a", 1) };
            look(&mut known, &[old]);
            let first = id_at(&known, "/w/a");
            let new =
                Sighting { content_hash: hash.to_owned(), name: name.to_owned(), ..sighting("/w/b", 1) };
            assert_eq!(look(&mut known, &[new]), ["added /w/b", "missing /w/a"], "{hash}");
            assert_ne!(id_at(&known, "/w/b"), first);
        }
    }

    #[test]
    fn when_a_folder_was_made_tells_it_from_one_that_got_its_numbers() {
        let made = |root: &str, born| Sighting { born, ..sighting(root, 1) };
        // The same name and content, but another folder.
        let mut known = Vec::new();
        look(&mut known, &[made("/w/a", Some(5))]);
        assert_eq!(look(&mut known, &[made("/w/b", Some(6))]), ["added /w/b", "missing /w/a"]);
        // Another name and content, but the same folder.
        let mut known = Vec::new();
        look(&mut known, &[made("/w/a", Some(5))]);
        let renamed =
            Sighting { name: "other".to_owned(), content_hash: "bb".to_owned(), ..made("/w/b", Some(5)) };
        assert_eq!(look(&mut known, &[renamed]), ["moved /w/b"]);
        // On record from before it was known; it is noted then.
        let mut known = Vec::new();
        look(&mut known, &[made("/w/a", None)]);
        assert_eq!(look(&mut known, &[made("/w/a", Some(5))]), ["changed /w/a"]);
        assert_eq!(look(&mut known, &[made("/w/a", Some(5))]), Vec::<String>::new());
    }

    #[test]
    fn a_project_made_anew_at_its_place_is_the_same_one() {
        let mut known = Vec::new();
        look(&mut known, &[sighting("/w/a", 1)]);
        let first = id_at(&known, "/w/a");
        assert_eq!(look(&mut known, &[sighting("/w/a", 50)]), ["changed /w/a"]);
        assert_eq!(id_at(&known, "/w/a"), first);
    }

    #[test]
    fn a_parent_is_found_by_its_root() {
        let mut known = Vec::new();
        let child = Sighting { parent_root: Some(PathBuf::from("/w/a")), ..sighting("/w/a/lib", 2) };
        look(&mut known, &[child, sighting("/w/a", 1)]);
        let parent = known.iter().find(|project| project.root == Path::new("/w/a/lib")).unwrap().parent;
        assert_eq!(parent, Some(id_at(&known, "/w/a")));
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(shortened("aé", 2), "a");
        assert_eq!(shortened("aé", 3), "aé");
        assert_eq!(shortened("", 3), "");
    }
}
