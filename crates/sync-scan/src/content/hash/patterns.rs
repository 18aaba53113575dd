//! The `.gitignore` and `.gitattributes` rules that hold in the folder the walk is in.
//!
//! Lists are pushed when the walk enters a folder and taken off when it leaves; git's own readers would open whatever
//! bears the name, these are given bytes.

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gix::attrs::StateRef;
use gix::attrs::search::{MetadataCollection, Outcome};
use gix::bstr::{BStr, ByteSlice};
use gix::glob::pattern::Case;

use super::open::Settings;
use crate::content::read;

/// Git's own limit for a file of patterns.
pub(super) const LONGEST_PATTERNS: u64 = 100 << 20;

/// What `linguist-*` attributes say of a file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::content) struct Marks {
    pub(in crate::content) language: Option<String>,
    pub(in crate::content) vendored: Option<bool>,
    pub(in crate::content) generated: Option<bool>,
    pub(in crate::content) documentation: Option<bool>,
    pub(in crate::content) detectable: Option<bool>,
}

/// The rules in force.
pub(super) struct Patterns {
    case: Case,
    ignores: gix::ignore::Search,
    attributes: gix::attrs::Search,
    own_attributes: Option<gix::attrs::Search>,
    names: MetadataCollection,
    outcome: Outcome,
    beyond_built_in: usize,
    linguist: bool,
    /// Equal when the same attributes are in force; the last is that of the innermost folder.
    rules: Vec<u64>,
}

impl Patterns {
    /// Reads what lies outside the work tree. What cannot be read is named in `warnings`.
    pub(super) fn new(settings: &Settings, warnings: &mut Vec<String>) -> Self {
        let mut names = MetadataCollection::default();
        let no_files: [PathBuf; 0] = [];
        let attributes =
            gix::attrs::Search::new_globals(no_files, &mut Vec::new(), &mut names).unwrap_or_default();
        let mut patterns = Self {
            case: settings.case,
            ignores: gix::ignore::Search::default(),
            attributes,
            own_attributes: None,
            names,
            outcome: Outcome::default(),
            beyond_built_in: 0,
            linguist: false,
            rules: vec![0],
        };
        for file in &settings.exclude_files {
            if let Some(content) = outside(file, warnings) {
                let list = patterns.ignores.add_patterns_buffer(
                    &content,
                    file,
                    None,
                    gix::ignore::search::Ignore::default(),
                );
                note(&list, file, warnings);
            }
        }
        for file in &settings.attribute_files {
            if let Some(content) = outside(file, warnings) {
                patterns.add_attributes(&content, file, None, true, warnings);
            }
        }
        if let Some(file) = &settings.own_attributes
            && let Some(content) = outside(file, warnings)
        {
            let mut own = gix::attrs::Search::default();
            note(
                &own.add_patterns_buffer(&content, file.clone(), None, &mut patterns.names, true),
                file,
                warnings,
            );
            patterns.beyond_built_in += 1;
            patterns.rules = vec![patterns.rules_with(file, &content)];
            patterns.linguist |= content.contains_str("linguist-");
            patterns.own_attributes = Some(own);
        }
        patterns
    }

    /// Adds the `.gitignore` of the folder `folder`, relative to the root and empty or ending in a slash.
    pub(super) fn enter_ignores(
        &mut self,
        folder: &[u8],
        content: &[u8],
        warnings: &mut Vec<String>,
    ) -> bool {
        let source = Path::new(OsStr::from_bytes(folder)).join(".gitignore");
        let rules = gix::ignore::search::Ignore::default();
        note(
            &self.ignores.add_patterns_buffer(content, &source, Some(Path::new("")), rules),
            &source,
            warnings,
        )
    }

    /// Adds the `.gitattributes` of the folder `folder`.
    pub(super) fn enter_attributes(
        &mut self,
        folder: &[u8],
        content: &[u8],
        warnings: &mut Vec<String>,
    ) -> bool {
        let source = Path::new(OsStr::from_bytes(folder)).join(".gitattributes");
        self.add_attributes(content, &source, Some(Path::new("")), folder.is_empty(), warnings)
    }

    /// Takes off what the folder that is left had added.
    pub(super) fn leave(&mut self, ignores: bool, attributes: bool) {
        if ignores {
            self.ignores.patterns.pop();
        }
        if attributes {
            self.attributes.pop_pattern_list();
            self.rules.pop();
            self.beyond_built_in -= 1;
        }
    }

    /// Whether the untracked `path` is ignored; its folders were asked about before.
    pub(super) fn ignores(&self, path: &[u8], is_folder: bool) -> bool {
        self.ignores
            .pattern_matching_relative_path(path.as_bstr(), Some(is_folder), self.case)
            .is_some_and(|found| !found.pattern.is_negative())
    }

    /// Whether any attribute could apply to anything.
    pub(super) fn have_attributes(&self) -> bool {
        self.beyond_built_in > 0
    }

    /// Equal for two files, also of two walks, to which the same attributes could apply.
    pub(super) fn rules(&self) -> u64 {
        self.rules.last().copied().unwrap_or_default()
    }

    fn rules_with(&self, source: &Path, content: &[u8]) -> u64 {
        let mut rules = DefaultHasher::new();
        (self.rules(), source.as_os_str(), content).hash(&mut rules);
        rules.finish()
    }

    /// Fills `outcome`, which knows the names it wants, with the attributes of the file `path`.
    pub(super) fn attributes(&self, path: &BStr, outcome: &mut Outcome) {
        outcome.initialize(&self.names);
        if let Some(own) = &self.own_attributes {
            own.pattern_matching_relative_path(path, self.case, Some(false), outcome);
        }
        if !outcome.is_done() {
            self.attributes.pattern_matching_relative_path(path, self.case, Some(false), outcome);
        }
    }

    /// The name of the filter the file `path` has, if any.
    pub(super) fn filter(&mut self, path: &[u8]) -> Option<Vec<u8>> {
        self.selected(path, &["filter"], |_, state| match state {
            StateRef::Value(name) => Some(name.as_bstr().to_vec()),
            StateRef::Set | StateRef::Unset | StateRef::Unspecified => None,
        })
        .pop()
        .flatten()
    }

    /// What the attributes say of the language of `path`; `None` when they say nothing.
    pub(super) fn marks(&mut self, path: &[u8]) -> Option<Box<Marks>> {
        if !self.linguist {
            return None;
        }
        let mut marks = Marks::default();
        let names = [
            "linguist-language",
            "linguist-vendored",
            "linguist-generated",
            "linguist-documentation",
            "linguist-detectable",
        ];
        self.selected(path, &names, |name, state| {
            let on = match state {
                StateRef::Set => Some(true),
                StateRef::Unset => Some(false),
                StateRef::Value(value) => Some(value.as_bstr() != "false"),
                StateRef::Unspecified => None,
            };
            match name {
                "linguist-language" => {
                    if let StateRef::Value(value) = state {
                        marks.language = Some(value.as_bstr().to_string());
                    }
                }
                "linguist-vendored" => marks.vendored = on,
                "linguist-generated" => marks.generated = on,
                "linguist-documentation" => marks.documentation = on,
                _ => marks.detectable = on,
            }
        });
        (marks != Marks::default()).then(|| Box::new(marks))
    }

    fn selected<T>(
        &mut self,
        path: &[u8],
        names: &[&str],
        mut read: impl FnMut(&str, StateRef<'_>) -> T,
    ) -> Vec<T> {
        let mut outcome = std::mem::take(&mut self.outcome);
        outcome.initialize_with_selection(&self.names, names);
        self.attributes(path.as_bstr(), &mut outcome);
        let found = outcome
            .iter_selected()
            .map(|found| read(found.assignment.name.as_str(), found.assignment.state))
            .collect();
        self.outcome = outcome;
        found
    }

    fn add_attributes(
        &mut self,
        content: &[u8],
        source: &Path,
        root: Option<&Path>,
        macros: bool,
        warnings: &mut Vec<String>,
    ) -> bool {
        let added =
            self.attributes.add_patterns_buffer(content, source.to_owned(), root, &mut self.names, macros);
        self.linguist |= content.contains_str("linguist-");
        let added = note(&added, source, warnings);
        if added {
            let rules = self.rules_with(source, content);
            self.rules.push(rules);
        }
        self.beyond_built_in += usize::from(added);
        added
    }
}

fn outside(file: &Path, warnings: &mut Vec<String>) -> Option<Vec<u8>> {
    read::whole(file, LONGEST_PATTERNS).unwrap_or_else(|error| {
        warnings.push(format!("{} cannot be read: {error}", file.display()));
        None
    })
}

fn note(result: &std::io::Result<()>, file: &Path, warnings: &mut Vec<String>) -> bool {
    if let Err(error) = result {
        warnings.push(format!("{} cannot be read: {error}", file.display()));
    }
    result.is_ok()
}
