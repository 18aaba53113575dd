//! Reads the user's own rules for frameworks from a folder of TOML files.
//!
//! Whatever is wrong there is told with the file's name and never costs a rule of the program.

use std::fs;
use std::path::Path;

use crate::content::read_file;
use crate::problem::{Problem, ProblemKind};
use crate::rules::framework::Rules;

/// Most files of the folder that are read.
const MOST_FILES: usize = 64;
/// Longest such file.
const LONGEST_FILE: u64 = 1 << 20;

/// The rules of the program, and those of the files `*.toml` in `folder`, in the order of their names.
pub(crate) fn rules(folder: Option<&Path>) -> Rules {
    let Some(folder) = folder else { return Rules::built_in() };
    let listed = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut paths: Vec<_> = match listed {
        Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
        Err(error) => {
            let mut rules = Rules::built_in();
            rules.note(
                folder.to_string_lossy().into_owned(),
                format!("the folder of rules cannot be read: {error}"),
            );
            return rules;
        }
    };
    paths.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    paths.sort();
    let (mut files, mut unread) = (Vec::new(), Vec::new());
    for (at, path) in paths.iter().enumerate() {
        let name = path.to_string_lossy().into_owned();
        if at >= MOST_FILES {
            unread.push((name, format!("is not read: more than {MOST_FILES} files of rules")));
            continue;
        }
        match read_file(path, LONGEST_FILE) {
            Ok(Some(bytes)) => match String::from_utf8(bytes) {
                Ok(text) => files.push((name, text)),
                Err(error) => unread.push((name, format!("is not read: {}", error.utf8_error()))),
            },
            // Gone since it was listed.
            Ok(None) => {}
            Err(error) => unread.push((name, format!("cannot be read: {error}"))),
        }
    }
    let mut rules = Rules::with(&files);
    for (file, words) in unread {
        rules.note(file, words);
    }
    rules
}

/// What is wrong with the user's rules, as a survey tells of it.
pub(crate) fn problems(rules: &Rules) -> impl Iterator<Item = Problem> {
    rules
        .problems()
        .iter()
        .map(|problem| Problem::new(Path::new(&problem.file), ProblemKind::Unreadable, problem.words.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_rules_is_read_in_order_and_what_cannot_be_read_is_named() {
        let home = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| fs::write(home.path().join(name), bytes).unwrap();
        file("20-b.toml", b"framework = [{ slug = 'b', name = 'B', rank = 1, any = [{ file = 'b' }] }]");
        file("10-a.toml", b"framework = [{ slug = 'b', name = 'A', rank = 1, any = [{ file = 'a' }] }]");
        file("notes.txt", b"not TOML");
        file("30-c.toml", b"\xff");
        fs::create_dir(home.path().join("40-d.toml")).unwrap();
        let made = rules(Some(home.path()));
        let problems: Vec<_> = problems(&made)
            .map(|problem| {
                (problem.path.file_name().unwrap().to_string_lossy().into_owned(), problem.message)
            })
            .collect();
        let names: Vec<&str> = problems.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["30-c.toml", "40-d.toml"], "{problems:?}");
        assert_ne!(made.digest(), 0);
        assert_eq!(rules(None).digest(), 0);

        let absent = rules(Some(&home.path().join("none")));
        assert!(absent.problems()[0].words.starts_with("the folder of rules cannot be read"));
        assert_eq!(absent.digest(), 0);
    }
}
