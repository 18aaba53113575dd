//! What becomes of linked work trees when what they belong to goes, moves or comes back.

#[cfg(test)]
mod walk_support;

use std::fs;
use std::path::Path;

use walk_support::looking::Looking;
use walk_support::{Home, committed, git};

/// Two work trees of a bare repository, of which the first stands for both, and it is gone.
#[cfg(test)]
fn without_the_first() -> Looking {
    let home = Home::new();
    committed(&home.at("plain"));
    git(&home.path, &["clone", "--quiet", "--bare", "plain", "store.git"]);
    let store = home.at("store.git");
    let place = |name: &str| home.at(name).to_str().unwrap().to_owned();
    for name in ["wt-b", "wt-a"] {
        git(&store, &["worktree", "add", "--quiet", "--detach", &place(name)]);
    }
    let first = place("wt-b");
    let looking = Looking::at(home);
    git(&store, &["worktree", "remove", "--force", &first]);
    looking
}

#[test]
fn when_the_work_tree_goes_that_stands_for_a_bare_repository_the_next_is_seen_at_once() {
    let mut looking = without_the_first();
    let look = looking.until(|home, look| look.covered.has(&home.at("wt-b")));
    assert_eq!(looking.home.names(&look), ["wt-a"]);
}

#[test]
fn what_is_put_in_the_place_of_the_work_tree_that_stood_for_others_does_not_stand_for_them() {
    let with: [fn(&Path); 2] = [|place| fs::create_dir_all(place.join("target")).unwrap(), committed];
    for put in with {
        let mut looking = without_the_first();
        put(&looking.home.at("wt-b"));
        let look = looking.until(|home, look| look.covered.has(&home.at("wt-b")));
        let names = looking.home.names(&look);
        assert!(names.contains(&"wt-a".to_owned()) && look.worktrees.is_empty(), "{names:?}");
    }
}
