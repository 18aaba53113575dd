//! What becomes of linked work trees when what they belong to goes, moves or comes back.

#[cfg(test)]
mod walk_support;

use std::fs;
use std::path::Path;

use sync_scan::{RootState, Survey, Task, Worktree};
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

/// A repository and a linked work tree of it that does not know where that is now.
#[cfg(test)]
fn moved() -> Looking {
    let home = Home::new();
    committed(&home.at("main"));
    git(&home.at("main"), &["worktree", "add", "--quiet", "--detach", "../agent"]);
    let mut looking = Looking::at(home);
    fs::rename(looking.home.at("main"), looking.home.at("main2")).unwrap();
    let look = looking.until(|home, look| has_problem(look, &home.at("agent")));
    assert!(!look.covered.has(&looking.home.at("agent")), "what is on record there stays");
    looking.settle();
    looking
}

fn has_problem(look: &Survey, place: &Path) -> bool {
    look.problems.iter().any(|problem| problem.path == place)
}

#[test]
fn a_work_tree_whose_repository_moved_is_seen_when_it_is_mended_as_advised() {
    let mut looking = moved();
    git(&looking.home.at("main2"), &["worktree", "repair", "../agent"]);
    let look = looking.until(|home, look| look.came_to(&home.at("agent")));
    let expected = Worktree { path: looking.home.at("agent"), of: looking.home.at("main2") };
    assert_eq!((look.worktrees, look.problems), (vec![expected], Vec::new()));
}

#[test]
fn a_work_tree_whose_repository_is_back_is_seen_though_nothing_happens_in_it() {
    let mut looking = moved();
    fs::rename(looking.home.at("main2"), looking.home.at("main")).unwrap();
    let look = looking.until(|home, look| look.came_to(&home.at("agent")));
    let expected = Worktree { path: looking.home.at("agent"), of: looking.home.at("main") };
    assert_eq!((look.worktrees, look.problems), (vec![expected], Vec::new()));
}

#[test]
fn a_work_tree_whose_repository_is_back_outside_all_roots_is_seen_by_a_sweep() {
    let home = Home::new();
    let other = Home::new();
    committed(&other.at("main"));
    git(&other.at("main"), &["worktree", "add", "--quiet", "--detach", home.at("agent").to_str().unwrap()]);
    fs::rename(other.at("main"), other.at("main2")).unwrap();
    let mut looking = Looking::at(home);
    fs::rename(other.at("main2"), other.at("main")).unwrap();
    let agent = looking.home.at("agent");
    let seen = looking.turn(Task::Sweep);
    assert!(seen.surveys.iter().any(|look| look.came_to(&agent) && look.problems.is_empty()), "{seen:?}");
    assert!(looking.turn(Task::Sweep).surveys.is_empty(), "once is enough");
}

#[test]
fn a_work_tree_inside_of_a_project_is_seen_when_it_is_mended() {
    let (home, other) = (Home::new(), Home::new());
    committed(&home.at("outer"));
    committed(&other.at("main"));
    let agent = home.at("outer/agent");
    git(&other.at("main"), &["worktree", "add", "--quiet", "--detach", agent.to_str().unwrap()]);
    let mut looking = Looking::at(home);
    fs::rename(other.at("main"), other.at("main2")).unwrap();
    let seen = looking.turn(Task::Glance);
    assert!(has_problem(&seen.surveys[0], &agent), "{:?}", seen.surveys);
    fs::rename(other.at("main2"), other.at("main")).unwrap();
    looking.home.folder("elsewhere");
    looking.until(|home, look| home.names(look).contains(&"outer/agent".to_owned()));
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
