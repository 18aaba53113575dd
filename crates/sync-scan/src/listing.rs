//! One folder's entries, kept only as far as the walk needs them: one listing, no question asked about a file.

use std::collections::BTreeSet;
use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Dir, FileType};

use crate::{exclude, manifest};

/// Most entries that are read of one folder.
const MOST_ENTRIES: usize = 200_000;

/// What a folder holds.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Its folders, sorted.
    pub(crate) folders: Vec<OsString>,
    /// Its links, sorted.
    pub(crate) links: Vec<OsString>,
    /// What in it makes it a project where no version control does.
    manifest: Option<Manifest>,
    /// Whether something in it may be version control's.
    pub(crate) has_marker: bool,
    /// Whether there was more than is read.
    pub(crate) cut: bool,
    /// Short file names that matter to what is pruned.
    files: BTreeSet<Box<str>>,
}

/// What a manifest is; a file says more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Manifest {
    Folder,
    File,
}

impl Listing {
    /// Reads the entries of an opened folder.
    pub(crate) fn read(folder: File) -> io::Result<Self> {
        Self::read_at_most(MOST_ENTRIES, folder)
    }

    fn read_at_most(most: usize, folder: File) -> io::Result<Self> {
        let mut listing = Self::default();
        let mut entries = Dir::new(folder)?;
        let mut seen = 0;
        while let Some(entry) = entries.read() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            seen += 1;
            if seen > most {
                listing.cut = true;
                break;
            }
            let told = entry.file_type();
            let kind = if told == FileType::Unknown { kind_of(&entries, name) } else { told };
            listing.take(&entries, name, kind);
        }
        listing.folders.sort_unstable();
        listing.links.sort_unstable();
        Ok(listing)
    }

    /// Whether the folder has an entry of this name, for names of manifests and folders.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.contains(name)
            || self.folders.binary_search_by(|folder| folder.as_os_str().cmp(OsStr::new(name))).is_ok()
    }

    /// Whether something in the folder makes it a project where no version control does. In a home, the one manifest that
    /// may be a folder is where this program and its like are configured, and says nothing of what is beside it; and the
    /// inside of a git folder is never a project.
    pub(crate) fn makes_project(&self, is_home: bool) -> bool {
        !self.is_bare() && self.manifest >= Some(if is_home { Manifest::File } else { Manifest::Folder })
    }

    /// Whether this is the inside of a git folder that has no work tree around it.
    pub(crate) fn is_bare(&self) -> bool {
        self.files.contains("HEAD") && self.has("objects") && self.has("refs")
    }

    fn take(&mut self, folder: &Dir, name: &CStr, kind: FileType) {
        let bytes = name.to_bytes();
        if matches!(bytes, b".git" | b".hg" | b".jj" | b".svn") {
            self.has_marker = true;
        }
        let owned = || OsStr::from_bytes(bytes).to_owned();
        match kind {
            FileType::Directory => {
                if bytes == manifest::FOLDER.as_bytes() {
                    self.manifest = self.manifest.max(Some(Manifest::Folder));
                }
                self.folders.push(owned());
            }
            FileType::Symlink => {
                self.take_file(folder, name, true);
                self.links.push(owned());
            }
            FileType::RegularFile => self.take_file(folder, name, false),
            FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => {}
        }
    }

    fn take_file(&mut self, folder: &Dir, name: &CStr, is_link: bool) {
        let Ok(text) = name.to_str() else { return };
        let makes_project = manifest::is_manifest(text);
        let matters = makes_project || text == "HEAD" || exclude::is_maker(text);
        if matters && (!is_link || leads_to_file(folder, name)) {
            if makes_project {
                self.manifest = Some(Manifest::File);
            }
            self.files.insert(text.into());
        }
    }
}

fn kind_of(folder: &Dir, name: &CStr) -> FileType {
    stat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
}

fn leads_to_file(folder: &Dir, name: &CStr) -> bool {
    stat(folder, name, AtFlags::empty()) == FileType::RegularFile
}

/// Unknown when it cannot be told: such an entry is neither a folder nor a manifest.
fn stat(folder: &Dir, name: &CStr, flags: AtFlags) -> FileType {
    folder
        .fd()
        .and_then(|descriptor| rustix::fs::statat(descriptor, name, flags))
        .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::platform::open_folder;

    #[test]
    fn only_what_the_walk_needs_is_kept() {
        let home = tempfile::tempdir().unwrap();
        for folder in ["b", "a", "pom.xml"] {
            fs::create_dir(home.path().join(folder)).unwrap();
        }
        for file in ["README", "setup.cfg", "one", "two"] {
            fs::write(home.path().join(file), "").unwrap();
        }
        symlink("one", home.path().join("Cargo.toml")).unwrap();
        symlink("nowhere", home.path().join("go.mod")).unwrap();
        let listing = Listing::read(open_folder(home.path()).unwrap()).unwrap();
        assert_eq!(listing.folders, ["a", "b", "pom.xml"]);
        assert_eq!(listing.links, ["Cargo.toml", "go.mod"]);
        assert!(listing.makes_project(true) && !listing.has_marker && !listing.cut && !listing.is_bare());
        for (name, expected) in [("Cargo.toml", true), ("setup.cfg", true), ("a", true), ("go.mod", false)] {
            assert_eq!(listing.has(name), expected, "{name}");
        }
    }

    #[test]
    fn where_programs_are_configured_makes_no_project_of_a_home() {
        let check = |make: fn(&std::path::Path), elsewhere: bool, at_home: bool| {
            let home = tempfile::tempdir().unwrap();
            make(home.path());
            let listing = Listing::read(open_folder(home.path()).unwrap()).unwrap();
            assert_eq!((listing.makes_project(false), listing.makes_project(true)), (elsewhere, at_home));
        };
        check(|_| {}, false, false);
        check(|home| fs::create_dir(home.join(".coditect")).unwrap(), true, false);
        check(|home| fs::write(home.join(".coditect"), "").unwrap(), true, true);
        check(|home| fs::write(home.join("go.mod"), "").unwrap(), true, true);
    }

    #[test]
    fn a_folder_with_more_than_is_read_says_so() {
        let home = tempfile::tempdir().unwrap();
        for folder in ["a", "b", "c"] {
            fs::create_dir(home.path().join(folder)).unwrap();
        }
        let read = |most| Listing::read_at_most(most, open_folder(home.path()).unwrap()).unwrap();
        assert_eq!((read(2).folders.len(), read(2).cut), (2, true));
        assert_eq!((read(3).folders.len(), read(3).cut), (3, false));
    }
}
