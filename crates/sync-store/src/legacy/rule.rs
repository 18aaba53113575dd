//! Decides what a project's rows in the old queue and what is known of it here come to together.
//!
//! Later content wins field by field, and what it does not say is filled from earlier content. Among rows the higher
//! number is the later one, whatever the clock said. Against what is known here the row's time decides; a row without
//! a time that can be believed counts as earlier, and only fills in what is lacking. What a row gives is given from then
//! on, where its word is the one that stands.

use sync_core::{Field, Given, LocalId, MachineId, ProjectKind, Registration, Timestamp, folder_name};

use super::payload::Fields;

/// A row of the old queue.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// When it was written, as far as that can be believed: else 1970.
    pub(super) made_at: Timestamp,
    pub(super) fields: Fields,
}

/// What is known here of a project.
#[derive(Clone, Debug)]
pub(super) struct Ours {
    /// Its content; `None` when it was sent once and nothing of it is on record.
    pub(super) content: Option<Registration>,
    /// When that was known to be so.
    pub(super) at: Timestamp,
    /// It waits, or was sent in this scope.
    pub(super) wished: bool,
}

/// What is to be done about a project.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Decision {
    /// What is true of it.
    pub(super) registration: Registration,
    /// When that was so.
    pub(super) content_at: Timestamp,
    /// Which of it the rows gave.
    pub(super) given: Given,
    /// A row is later than what is known here.
    pub(super) newer: bool,
    /// The cloud is to be told.
    pub(super) wish: bool,
    /// Even if it has it as it is.
    pub(super) force: bool,
}

/// Decides over the rows of one project, in the order of their numbers.
///
/// # Errors
/// Why they are no registration, as a sentence about the last row.
pub(super) fn decide(
    local: LocalId,
    rows: &[Said],
    ours: Option<&Ours>,
    machine: MachineId,
) -> Result<Decision, String> {
    // A clock that was set back between two rows does not make the later one earlier.
    let mut latest = Timestamp(0);
    let times: Vec<Timestamp> = rows
        .iter()
        .map(|row| {
            latest = latest.max(row.made_at);
            latest
        })
        .collect();
    let first_later = ours.map_or(0, |ours| times.partition_point(|at| *at < ours.at));
    let (earlier, later) = rows.split_at(first_later.min(rows.len()));

    let told = earlier.iter().fold(Fields::default(), |before, row| row.fields.clone().over(before));
    let content = ours.and_then(|ours| ours.content.as_ref());
    let before = content.map(fields_of);
    let known = before.clone().unwrap_or_default().filled_from(told);
    let filled = before.as_ref().is_some_and(|before| *before != known);
    let merged = later.iter().fold(known, |before, row| row.fields.clone().over(before));

    let newer = !later.is_empty();
    let content_at = match ours {
        Some(ours) if !newer => ours.at,
        Some(_) | None => latest,
    };
    let (given, force) = (merged.given, merged.force);
    let wish = newer || filled || !ours.is_some_and(|ours| ours.wished);
    let registration = registration(local, merged, machine)?;
    Ok(Decision { registration, content_at, given, newer, wish, force })
}

impl Fields {
    /// This row's content, with what it does not say from before.
    ///
    /// The old client's drain wrote a waiting row anew without its kind and its parent; a row that differs from the
    /// one before only in that is such a copy and takes nothing back. A kind that somebody gave is no copy.
    fn over(self, before: Self) -> Self {
        let given = self.given.has(Field::Kind);
        let plain = self.kind == Some(ProjectKind::Standalone) && self.parent.is_none() && !given;
        let said = |fields: &Self| {
            (
                fields.name.clone(),
                fields.root.clone(),
                fields.language.clone(),
                fields.framework.clone(),
                fields.content_hash.clone(),
            )
        };
        let copy = plain && said(&self) == said(&before);
        let kind = if copy { before.kind.or(self.kind) } else { self.kind };
        Self { kind, ..self }.filled_from(before)
    }

    /// This content, with what is lacking from another.
    fn filled_from(self, other: Self) -> Self {
        let said = self.said();
        let filled = Field::ALL.into_iter().filter(|field| other.given.has(*field) && !said.has(*field));
        Self {
            given: self.given.and(filled.collect()),
            force: self.force || other.force,
            machine: self.machine.or(other.machine),
            name: self.name.or(other.name),
            root: self.root.or(other.root),
            language: self.language.or(other.language),
            framework: self.framework.or(other.framework),
            content_hash: self.content_hash.or(other.content_hash),
            kind: self.kind.or(other.kind),
            parent: self.parent.or(other.parent),
        }
    }
}

fn fields_of(registration: &Registration) -> Fields {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Fields {
        machine: Some(registration.machine),
        name: text(&registration.name),
        root: Some(registration.root.clone()),
        language: text(&registration.language),
        framework: text(&registration.framework),
        content_hash: text(&registration.content_hash),
        kind: Some(registration.kind),
        parent: registration.parent,
        given: Given::default(),
        force: false,
    }
}

fn registration(local: LocalId, fields: Fields, machine: MachineId) -> Result<Registration, String> {
    let root = fields
        .root
        .ok_or_else(|| "its payload has no `root_path`, and the project is not on record".to_owned())?;
    let registration = Registration {
        local,
        machine: fields.machine.unwrap_or(machine),
        name: fields.name.unwrap_or_else(|| folder_name(&root)),
        root,
        language: fields.language.unwrap_or_default(),
        framework: fields.framework.unwrap_or_default(),
        content_hash: fields.content_hash.unwrap_or_default(),
        kind: fields.kind.unwrap_or_default(),
        parent: fields.parent,
    };
    registration.checked().map_err(|invalid| format!("its {invalid}"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use uuid::Uuid;

    use super::*;

    const LOCAL: LocalId = LocalId(Uuid::from_u128(1));
    const HERE: MachineId = MachineId(Uuid::from_u128(7));

    /// `name language hash kind parent`, with `-` for what is not said.
    fn fields(words: &str) -> Fields {
        let mut words = words.split(' ').map(|word| (word != "-").then(|| word.to_owned()));
        let mut next = || words.next().flatten();
        Fields {
            name: next(),
            root: Some(PathBuf::from("/a")),
            language: next(),
            content_hash: next(),
            kind: next().and_then(|word| ProjectKind::from_word(&word)),
            parent: next().map(|number| LocalId(Uuid::from_u128(number.parse().unwrap()))),
            ..Fields::default()
        }
    }

    fn shown(registration: &Registration) -> String {
        let word = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        format!(
            "{} {} {} {} {}",
            registration.name,
            word(&registration.language),
            word(&registration.content_hash),
            registration.kind.as_str(),
            registration.parent.map_or_else(|| "-".to_owned(), |parent| parent.0.as_u128().to_string())
        )
    }

    /// Ours is `(at, wished, words)`; rows are `(made at, words)`; answers `what newer wish at`.
    fn check(ours: Option<(i64, bool, &str)>, rows: &[(i64, &str)], expected: &str) {
        let ours = ours.map(|(at, wished, words)| Ours {
            content: (!words.is_empty()).then(|| registration(LOCAL, fields(words), HERE).unwrap()),
            at: Timestamp(at),
            wished,
        });
        let rows: Vec<Said> =
            rows.iter().map(|(at, words)| Said { made_at: Timestamp(*at), fields: fields(words) }).collect();
        let decision = decide(LOCAL, &rows, ours.as_ref(), HERE).unwrap();
        let told = format!(
            "{} | {}{}{}",
            shown(&decision.registration),
            if decision.newer { "newer " } else { "" },
            if decision.wish { "wish " } else { "" },
            decision.content_at.0
        );
        assert_eq!(told, expected, "{ours:?} {rows:?}");
    }

    #[test]
    fn the_highest_number_wins_and_earlier_rows_fill_in() {
        check(None, &[(5, "a Rust h1 standalone -")], "a Rust h1 standalone - | newer wish 5");
        check(
            None,
            &[(5, "a Rust h1 standalone -"), (6, "b - - - -")],
            "b Rust h1 standalone - | newer wish 6",
        );
        // The clock was set back between the two.
        check(
            None,
            &[(9, "a Rust h1 standalone -"), (6, "b Go h2 standalone -")],
            "b Go h2 standalone - | newer wish 9",
        );
        // Neither time can be believed.
        check(None, &[(0, "a - h1 - -"), (0, "b - - - -")], "b - h1 standalone - | newer wish 0");
    }

    #[test]
    fn a_copy_that_the_old_drain_made_takes_no_kind_and_no_parent_back() {
        let (first, copy) = ((5, "a Rust h1 submodule 9"), (6, "a Rust h1 standalone -"));
        check(None, &[first, copy], "a Rust h1 submodule 9 | newer wish 6");
        check(None, &[first, copy, (7, "a Rust h1 standalone -")], "a Rust h1 submodule 9 | newer wish 7");
        check(Some((4, true, "a Rust h1 submodule 9")), &[copy], "a Rust h1 submodule 9 | newer wish 6");
        // Something else is different too, so it is no copy; that it has no parent it cannot say.
        check(None, &[first, (6, "b Rust h1 standalone -")], "b Rust h1 standalone 9 | newer wish 6");
    }

    #[test]
    fn what_a_row_gives_is_given_where_its_word_stands() {
        let said = |at: i64, words: &str, is_given: bool| {
            let mut fields = fields(words);
            fields.given = if is_given { fields.said() } else { Given::default() };
            Said { made_at: Timestamp(at), fields }
        };
        let ours = Ours {
            content: Some(registration(LOCAL, fields("ours - - standalone -"), HERE).unwrap()),
            at: Timestamp(10),
            wished: true,
        };
        for (ours, rows, expected) in [
            (None, vec![said(5, "a Rust - - -", false)], vec![]),
            (None, vec![said(5, "a Rust h1 - -", true)], vec![Field::Name, Field::Language]),
            // A later row that says nothing of it takes nothing away; one that does has the word, and gave nothing.
            (
                None,
                vec![said(5, "a Rust - monorepo 9", true), said(6, "b - - - -", false)],
                vec![Field::Language, Field::Kind, Field::Parent],
            ),
            (Some(&ours), vec![said(11, "a Rust - - -", true)], vec![Field::Name, Field::Language]),
            // An earlier row only fills in what is lacking.
            (Some(&ours), vec![said(9, "a Rust - monorepo -", true)], vec![Field::Language]),
        ] {
            let decision = decide(LOCAL, &rows, ours, HERE).unwrap();
            assert_eq!(decision.given, expected.into_iter().collect(), "{rows:?}");
        }
        // As the old drain's copies look, but somebody said so.
        let rows = [said(5, "a Rust h1 submodule 9", false), said(6, "a Rust h1 standalone -", true)];
        let decision = decide(LOCAL, &rows, None, HERE).unwrap();
        assert_eq!(decision.registration.kind, ProjectKind::Standalone);
    }

    #[test]
    fn what_is_known_here_is_overwritten_by_later_rows_only() {
        let ours = "ours Go h9 standalone -";
        for (ours, row, expected) in [
            ((10, true, ours), (11, "row Rust h1 monorepo 9"), "row Rust h1 monorepo 9 | newer wish 11"),
            ((10, true, ours), (10, "row Rust h1 monorepo 9"), "row Rust h1 monorepo 9 | newer wish 10"),
            // Earlier, and in doubt: only what is lacking.
            ((10, true, ours), (9, "row Rust h1 monorepo 9"), "ours Go h9 standalone 9 | wish 10"),
            ((10, true, ours), (0, "row Rust h1 monorepo -"), "ours Go h9 standalone - | 10"),
            (
                (10, true, "ours - - standalone -"),
                (9, "row Rust - - -"),
                "ours Rust - standalone - | wish 10",
            ),
            // Nobody told the cloud yet, and somebody wants it to be told.
            ((10, false, ours), (9, "row Rust h1 monorepo -"), "ours Go h9 standalone - | wish 10"),
            // Sent once and not on record: what the cloud has is later than the row.
            ((10, true, ""), (9, "row Rust h1 monorepo -"), "row Rust h1 monorepo - | 10"),
            ((10, true, ""), (11, "row Rust h1 monorepo -"), "row Rust h1 monorepo - | newer wish 11"),
            // Four fields of nine.
            ((10, true, ours), (11, "row - - - -"), "row Go h9 standalone - | newer wish 11"),
        ] {
            check(Some(ours), &[row], expected);
        }
        check(
            Some((10, true, "ours - h9 standalone -")),
            &[(9, "old Rust - - 5"), (11, "new - - - -")],
            "new Rust h9 standalone 5 | newer wish 11",
        );
    }

    #[test]
    fn a_row_that_names_no_place_needs_a_record() {
        let row = Said { made_at: Timestamp(5), fields: Fields { root: None, ..fields("a - - - -") } };
        let rows = [row];
        let told = decide(LOCAL, &rows, None, HERE).unwrap_err();
        assert!(told.contains("root_path"), "{told}");
        let content = registration(LOCAL, fields("ours - - - -"), HERE).ok();
        let ours = Ours { content, at: Timestamp(1), wished: true };
        let decision = decide(LOCAL, &rows, Some(&ours), HERE).unwrap();
        assert_eq!(decision.registration.root, PathBuf::from("/a"));
    }

    #[test]
    fn a_machine_is_kept_where_the_row_names_one() {
        let elsewhere = MachineId(Uuid::from_u128(8));
        for (machine, expected) in [(Some(elsewhere), elsewhere), (None, HERE)] {
            let fields = Fields { machine, ..fields("a - - - -") };
            let row = Said { made_at: Timestamp(5), fields };
            assert_eq!(decide(LOCAL, &[row], None, HERE).unwrap().registration.machine, expected);
        }
    }
}
