//! Many repositories that nobody has worked on for long: one that git made, and copies of it.
//!
//! A thousand times git takes longer than all that is tested or measured with them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::home::Home;

/// When they were worked on last: the beginning of 2026.
const AGE: Duration = Duration::from_hours(490_896);

/// Puts so many below the home's root, in so many groups, and tells where they are.
///
/// # Panics
/// When they cannot be made.
pub fn resting_repositories(home: &Home, count: usize, groups: usize) -> Vec<PathBuf> {
    let place = |number: usize| home.roots().join(format!("group{}/project{number}", number % groups));
    let first = place(0);
    fs::create_dir_all(first.join("src")).expect("a folder");
    fs::write(first.join("src/lib.rs"), "//! Nothing.\n").expect("a file");
    named(&first, 0);
    home.git(&first, &["init", "-q"]);
    home.git(&first, &["add", "-A"]);
    home.git(&first, &["commit", "-qm", "first"]);
    let places: Vec<PathBuf> = (0..count).map(place).collect();
    for (number, copy) in places.iter().enumerate().skip(1) {
        copied(&first, copy);
        named(copy, number);
    }
    aged(&home.roots(), SystemTime::UNIX_EPOCH + AGE);
    places
}

fn named(project: &Path, number: usize) {
    let manifest = format!("[package]\nname = \"project-{number}\"\n");
    fs::write(project.join("Cargo.toml"), manifest).expect("a manifest");
}

fn below(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in below(from) {
        let copy = to.join(entry.file_name().expect("it has a name"));
        if entry.is_dir() {
            copied(&entry, &copy);
        } else {
            fs::copy(entry, copy).expect("a copy");
        }
    }
}

fn aged(folder: &Path, time: SystemTime) {
    for entry in below(folder) {
        if entry.is_dir() {
            aged(&entry, time);
        } else {
            File::open(entry).and_then(|file| file.set_modified(time)).expect("it is ours");
        }
    }
    File::open(folder).and_then(|folder| folder.set_modified(time)).expect("it is ours");
}
