//! Random histories of a work tree, compared with git after each few steps.

use std::fs;
use std::os::unix::fs::symlink;

use super::scene::Scene;

const HISTORIES: u64 = 24;
const STEPS: usize = 30;
const NAMES: &[&str] = &["a", "b", "a.log", "dir", "dir-x", "dir.c", "é", "B", "out"];
const RULES: &[&str] = &["*.log", "out/", "/dir", "!a.log", "b", "dir/*", "!dir/a", "**/out/b", "a*", "!out"];

#[test]
fn random_histories_end_in_the_tree_git_makes() {
    for seed in 0..HISTORIES {
        let Some(scene) = Scene::repository(&["init", "--quiet"]) else { return };
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut told = Vec::new();
        for step in 0..STEPS {
            told.push(act(&scene, &mut dice));
            if step % 10 == 9 {
                let (ours, theirs) = (scene.ours(), scene.theirs());
                assert_eq!(ours.id, theirs, "history {seed}: {told:#?}\n{:?}", ours.warnings);
            }
        }
    }
}

/// Does something and tells what.
fn act(scene: &Scene, dice: &mut Dice) -> String {
    let path = path(dice);
    let at = scene.root.join(&path);
    match dice.below(12) {
        0..=3 => {
            let content = "x".repeat(dice.below(4));
            // What is in the way stays, and then nothing happens.
            let written = fs::create_dir_all(at.parent().unwrap()).and_then(|()| fs::write(&at, &content));
            format!("write {path} {content:?} {}", written.is_ok())
        }
        4 => format!("remove {path} {}", fs::remove_file(&at).is_ok()),
        5 => format!("remove folder {path} {}", fs::remove_dir_all(&at).is_ok()),
        6 => format!("link {path} {}", symlink("a", &at).is_ok()),
        7 if at.is_file() && !at.is_symlink() => {
            scene.executable(&path, dice.below(2) == 0);
            format!("chmod {path}")
        }
        8 => {
            let folder = at.parent().unwrap();
            let rules: Vec<_> = (0..dice.below(4)).map(|_| RULES[dice.below(RULES.len())]).collect();
            let written = fs::create_dir_all(folder)
                .and_then(|()| fs::write(folder.join(".gitignore"), rules.join("\n")));
            format!("ignore beside {path}: {rules:?} {}", written.is_ok())
        }
        9 => {
            scene.git(&["add", "-A"]);
            "add -A".to_owned()
        }
        10 => {
            scene.git_may_fail(&["add", "--force", &path]);
            format!("add --force {path}")
        }
        11 => {
            scene.git_may_fail(&["rm", "-r", "--quiet", "--cached", "--force", &path]);
            format!("rm --cached {path}")
        }
        _ => {
            scene.git(&["commit", "--quiet", "--allow-empty", "-m", "x"]);
            "commit".to_owned()
        }
    }
}

fn path(dice: &mut Dice) -> String {
    let depth = 1 + dice.below(3);
    let names: Vec<_> = (0..depth).map(|_| NAMES[dice.below(NAMES.len())]).collect();
    names.join("/")
}

/// The same throws for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}
