//! What becomes of linked work trees when what they belong to goes, moves or comes back.

#[cfg(test)]
mod walk_support;

use std::fs;
use std::path::Path;

use sync_scan::{RootState, Task};
use walk_support::looking::{LONG, Looking};
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

#[test]
fn a_root_whose_repository_moved_cannot_be_read_until_it_is_mended_whatever_happens_in_it() {
    let (mut home, other) = (Home::new(), Home::new());
    committed(&other.at("main"));
    let agent = home.at("agent");
    git(&other.at("main"), &["worktree", "add", "--quiet", "--detach", agent.to_str().unwrap()]);
    fs::rename(other.at("main"), other.at("main2")).unwrap();
    home.options.roots = vec![agent.clone()];
    let mut looking = Looking::at(home);
    let mut expect = |state: RootState, task: Task| {
        loop {
            let seen = looking.turn(task.clone());
            if let Some(roots) = seen.roots {
                assert_eq!(roots[0].state, state, "{:?}", seen.surveys);
                break;
            }
            assert!(looking.wakes.recv_timeout(LONG).is_ok(), "waited in vain");
        }
    };
    expect(RootState::Denied, Task::Everything);
    fs::create_dir(agent.join("new")).unwrap();
    expect(RootState::Denied, Task::Events);
    git(&other.at("main2"), &["worktree", "repair", agent.to_str().unwrap()]);
    expect(RootState::Ready, Task::Events);
}
