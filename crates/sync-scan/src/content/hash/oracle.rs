//! Compares the content hash with what the real `git` says, over the states a work tree can be in.
//!
//! Git works on a copy of the index and on an object folder of its own, without anybody's configuration.

mod history;
mod scene;
mod unread;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use scene::Scene;
use sync_core::Vcs;

use crate::shelf::Kept;

/// Builds a state in a fresh repository and compares.
fn check(state: impl FnOnce(&Scene)) {
    check_in(&["init", "--quiet"], state);
}

fn check_in(init: &[&str], state: impl FnOnce(&Scene)) {
    let Some(scene) = Scene::repository(init) else { return };
    state(&scene);
    scene.compare();
}

fn committed(scene: &Scene) {
    scene.write("README.md", "# hello\n");
    scene.write("src/main.rs", "fn main() {}\n");
    scene.write("src/deep/er/file.txt", "content\n");
    scene.write("src-extra/a", "sorts between\n");
    scene.write("src.c", "int main(void) { return 0; }\n");
    scene.git(&["add", "-A"]);
    scene.git(&["commit", "--quiet", "-m", "first"]);
}

#[test]
fn a_clean_checkout_has_the_tree_of_its_head() {
    let Some(scene) = Scene::repository(&["init", "--quiet"]) else { return };
    committed(&scene);
    assert_eq!(scene.compare(), scene.git(&["rev-parse", "HEAD^{tree}"]));
}

#[test]
fn changed_added_and_deleted_files_count() {
    check(|scene| {
        committed(scene);
        scene.write("README.md", "# hello, and more\n");
        scene.write("src/new.rs", "// new\n");
        scene.write("new/folder/deep.rs", "// new\n");
        scene.remove("src/deep/er/file.txt");
    });
}

#[test]
fn an_edit_of_the_same_size_is_seen() {
    check(|scene| {
        committed(scene);
        scene.write("src/main.rs", "fn niam() {}\n");
    });
}

#[test]
fn an_edit_that_hides_its_time_is_seen() {
    let Some(scene) = Scene::repository(&["init", "--quiet"]) else { return };
    scene.write("file", "before");
    scene.git(&["add", "-A"]);
    // Same size, and times put back as far as a program can: the index is as young as the file, so neither is believed.
    let index = scene.root.join(".git/index");
    let written = std::fs::metadata(&index).unwrap().modified().unwrap();
    scene.write("file", "after!");
    scene.set_time("file", written);
    scene.compare();
}

#[test]
fn what_is_staged_and_what_is_on_disk_may_differ() {
    check(|scene| {
        committed(scene);
        scene.write("src/main.rs", "staged\n");
        scene.write("staged-only.txt", "staged\n");
        scene.git(&["add", "-A"]);
        scene.write("src/main.rs", "on disk\n");
        scene.remove("staged-only.txt");
        scene.git(&["rm", "--quiet", "--cached", "src.c"]);
    });
}

#[test]
fn a_repository_without_a_commit_and_an_empty_one_have_a_tree() {
    check(|_| ());
    check(|scene| scene.write("a", "1"));
    check(|scene| {
        committed(scene);
        for name in ["README.md", "src.c"] {
            scene.remove(name);
        }
        for folder in ["src", "src-extra"] {
            std::fs::remove_dir_all(scene.root.join(folder)).unwrap();
        }
    });
}

#[test]
fn ignored_files_are_left_out_and_tracked_ones_stay() {
    check(|scene| {
        scene.write("tracked.log", "tracked all the same\n");
        scene.write("out/tracked.txt", "tracked in an ignored folder\n");
        scene.git(&["add", "-A"]);
        scene.write(
            ".gitignore",
            "*.log\n/out\n!keep.log\nbuild/\nnested/*\n!nested/kept\n*.[oa]\ndoc/**/tmp\n",
        );
        scene.write("a.log", "ignored");
        scene.write("keep.log", "negated");
        scene.write("out/new.txt", "ignored");
        scene.write("build/x", "ignored");
        scene.write("sub/build/x", "ignored");
        scene.write("sub/.gitignore", "!a.log\nlocal\n");
        scene.write("sub/a.log", "negated below");
        scene.write("sub/local", "ignored below");
        scene.write("local", "not ignored here");
        scene.write("nested/dropped", "ignored");
        scene.write("nested/kept/file", "negated folder");
        scene.write("x.o", "ignored");
        scene.write("doc/a/b/tmp/file", "ignored");
        scene.write("tracked.log", "changed\n");
        scene.write("trailing ", "a name that ends in a space");
        scene.write("info-ignored", "by info/exclude");
        scene.write(".git/info/exclude", "info-ignored\n");
    });
}

#[test]
fn an_ignored_folder_cannot_be_opened_again_from_below() {
    check(|scene| {
        scene.write(".gitignore", "/shut/\n!/shut/in/\n");
        scene.write("shut/.gitignore", "!*\n");
        scene.write("shut/in/file", "ignored");
        scene.write("open/file", "there");
    });
}

#[test]
fn excludes_of_the_configuration_count() {
    check(|scene| {
        scene.write("../excludes", "*.global\n");
        let file = scene.root.parent().unwrap().join("excludes");
        scene.git(&["config", "core.excludesFile", file.to_str().unwrap()]);
        scene.write("a.global", "ignored");
        scene.write("a.local", "there");
    });
}

#[test]
fn the_executable_bit_counts_unless_the_repository_says_not_to() {
    for file_mode in ["true", "false"] {
        check(|scene| {
            scene.write("tracked-on", "x");
            scene.write("tracked-off", "x");
            scene.executable("tracked-on", true);
            scene.git(&["add", "-A"]);
            scene.git(&["config", "core.fileMode", file_mode]);
            scene.executable("tracked-on", false);
            scene.executable("tracked-off", true);
            scene.write("untracked", "x");
            scene.executable("untracked", true);
        });
    }
}

#[test]
fn symbolic_links_are_their_targets() {
    check(|scene| {
        scene.write("file", "x");
        scene.write("folder/file", "x");
        let link = |target: &str, name: &str| symlink(target, scene.root.join(name)).unwrap();
        link("file", "to-file");
        link("folder", "to-folder");
        link("nowhere", "broken");
        link("/etc/passwd", "absolute");
        link("loop", "loop");
        scene.git(&["add", "-A"]);
        scene.remove("to-file");
        scene.write("to-file", "now a file");
        scene.remove("file");
        link("folder", "file");
        scene.remove("broken");
        link("elsewhere", "broken");
        std::fs::remove_dir_all(scene.root.join("folder")).unwrap();
        link("..", "folder");
    });
}

#[test]
fn a_file_may_become_a_folder_and_a_folder_a_file() {
    check(|scene| {
        scene.write("a", "file");
        scene.write("b/c", "in a folder");
        scene.git(&["add", "-A"]);
        scene.remove("a");
        scene.write("a/b", "in a folder");
        std::fs::remove_dir_all(scene.root.join("b")).unwrap();
        scene.write("b", "file");
    });
}

#[test]
fn a_submodule_is_the_commit_it_is_at() {
    for state in ["clean", "moved", "dirty", "absent", "removed"] {
        check(|scene| {
            let inner = scene.other_repository("inner");
            committed(scene);
            let add = [
                "-c",
                "protocol.file.allow=always",
                "submodule",
                "--quiet",
                "add",
                inner.to_str().unwrap(),
                "lib/sub",
            ];
            scene.git(&add);
            scene.git(&["commit", "--quiet", "-m", "sub"]);
            match state {
                "moved" => {
                    scene.write("lib/sub/more", "x");
                    scene.git(&["-C", "lib/sub", "add", "-A"]);
                    scene.git(&["-C", "lib/sub", "commit", "--quiet", "-m", "more"]);
                }
                "dirty" => scene.write("lib/sub/more", "x"),
                "absent" => {
                    scene.git(&["submodule", "--quiet", "deinit", "--force", "lib/sub"]);
                }
                "removed" => std::fs::remove_dir_all(scene.root.join("lib/sub")).unwrap(),
                _ => {}
            }
            if state == "dirty" {
                scene.at("lib/sub").compare();
            }
            let checked_out = usize::from(!matches!(state, "absent" | "removed"));
            assert_eq!(scene.ours().submodules.len(), checked_out, "{state}");
        });
    }
}

#[test]
fn a_nested_repository_is_the_commit_it_is_at() {
    check(|scene| {
        committed(scene);
        scene.git(&["clone", "--quiet", ".", "nested/clone"]);
        scene.write("nested/clone/untracked", "x");
        scene.git(&["-C", "nested/clone", "pack-refs", "--all"]);
        scene.write("nested/beside", "x");
        std::fs::create_dir_all(scene.root.join("not-a-repository/.git")).unwrap();
        scene.write("not-a-repository/file", "x");
        assert_eq!(scene.ours().nested, [scene.root.join("nested/clone")]);
    });
}

#[test]
fn nested_repositories_that_git_cannot_add_are_left_out_and_told_of() {
    let Some(scene) = Scene::repository(&["init", "--quiet"]) else { return };
    committed(&scene);
    let before = scene.compare();
    scene.git(&["init", "--quiet", "unborn"]);
    scene.write("unborn/file", "x");
    let found = scene.ours();
    assert_eq!(found.id, before);
    assert_eq!(found.nested, [scene.root.join("unborn")]);
}

#[test]
fn of_a_repository_inside_that_keeps_its_references_in_tables_the_commit_is_not_told() {
    let Some(scene) = Scene::repository(&["init", "--quiet"]) else { return };
    committed(&scene);
    let Some(inner) = Scene::repository(&["init", "--quiet", "--ref-format=reftable"]) else { return };
    committed(&inner);
    let before = scene.compare();
    std::fs::rename(&inner.root, scene.root.join("inner")).unwrap();
    let partial =
        |found: &super::Found| found.unread.warning("partial").is_some_and(|words| words.contains("inner"));
    let found = scene.ours();
    assert_eq!((&found.id, &found.nested), (&before, &vec![scene.root.join("inner")]));
    assert!(partial(&found));
    // As one that was added to the index.
    scene.git(&["add", "-A"]);
    let found = scene.compare();
    assert_eq!(scene.ours().id, found);
    assert!(partial(&scene.ours()));
}

#[test]
fn line_endings_are_converted_as_configured() {
    for (auto, attributes) in [
        ("true", ""),
        ("input", ""),
        ("false", "* text=auto\n"),
        ("false", "*.txt text eol=crlf\n*.bin -text\n"),
        ("true", "*.txt -text\n[attr]mine text eol=lf\n*.mine mine\n"),
        ("input", "*.bin binary\n*.txt crlf=input\n"),
    ] {
        check(|scene| {
            scene.write("stored.txt", "with\r\nreturns\r\n");
            scene.git(&["add", "-A"]);
            scene.git(&["config", "core.autocrlf", auto]);
            scene.write(".gitattributes", attributes);
            scene.write("stored.txt", "with\r\nmore\r\nreturns\r\n");
            scene.write("a.txt", "one\r\ntwo\r\n");
            scene.write("a.mine", "one\r\ntwo\r\n");
            scene.write("mixed.txt", "one\r\ntwo\nthree\r\n");
            scene.write("lone.txt", "one\rtwo\r\n");
            scene.write("a.bin", "one\r\n\0two\r\n");
            scene.write("sub/.gitattributes", "*.txt text\n*.raw -text\n");
            scene.write("sub/b.txt", "one\r\ntwo\r\n\0");
            scene.write("sub/b.raw", "one\r\ntwo\r\n");
            scene.write("empty.txt", "");
        });
    }
}

#[test]
fn encodings_and_keywords_are_converted() {
    check(|scene| {
        scene.write(".gitattributes", "*.utf16 text working-tree-encoding=UTF-16LE\n*.id ident\n");
        scene.write_bytes(
            "a.utf16",
            &"grüße\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
        );
        scene.write("a.id", "$Id: 0123 $ and $Id$\n");
    });
}

#[test]
fn rules_deleted_on_disk_hold_only_where_the_index_keeps_them() {
    for kept in [false, true] {
        check(|scene| {
            scene.write(".gitattributes", "*.txt text\n");
            scene.write(".gitignore", "*.log\n");
            scene.git(&["add", "-A"]);
            scene.git(&["commit", "--quiet", "-m", "rules"]);
            if kept {
                scene.git(&["update-index", "--skip-worktree", ".gitattributes", ".gitignore"]);
            }
            scene.remove(".gitattributes");
            scene.remove(".gitignore");
            scene.write("a.txt", "one\r\n");
            scene.write("a.log", "x");
        });
    }
}

#[test]
fn names_need_not_be_text() {
    check(|scene| {
        scene.write_bytes_at(b"tracked-\xff\xfe", b"x");
        scene.write_bytes_at(b"folder-\xe9/\xe8", b"x");
        scene.git(&["add", "-A"]);
        scene.write_bytes_at(b"untracked-\xff", b"x");
        scene.write_bytes_at(b"folder-\xe9/\xe8", b"changed");
        scene.write_bytes_at(b"line\nbreak\ttab\"quote", b"x");
    });
}

#[test]
fn sha256_repositories_have_sha256_trees() {
    check_in(&["init", "--quiet", "--object-format=sha256"], |scene| {
        committed(scene);
        assert_eq!(scene.ours().id.len(), 64);
        scene.write("src/main.rs", "changed\n");
        scene.write("new", "x");
    });
}

#[test]
fn a_folder_that_becomes_a_repository_of_another_kind_is_hashed_anew() {
    let Some(scene) = Scene::folder() else { return };
    scene.write("src/main.rs", "fn main() {}\n");
    let (stop, mut kept) = (AtomicBool::new(false), Kept::default());
    for (kind, length) in [("none", 40), ("sha256", 64), ("sha1", 40)] {
        let vcs = if kind == "none" { Vcs::None } else { Vcs::Git };
        if vcs == Vcs::Git {
            std::fs::remove_dir_all(scene.root.join(".git")).unwrap_or_default();
            scene.git(&["init", "--quiet", &format!("--object-format={kind}")]);
        }
        let (found, after) = scene.hashed_after(kept, vcs, &stop);
        assert_eq!(found.id.len(), length, "{kind}");
        if vcs == Vcs::Git {
            assert_eq!(found.id, scene.theirs(), "{kind}");
        }
        kept = after;
    }
}

#[test]
fn indexes_of_every_version_are_read() {
    for version in ["2", "3", "4"] {
        check(|scene| {
            committed(scene);
            scene.git(&["update-index", "--index-version", version]);
            scene.write("src/main.rs", "changed\n");
        });
    }
}

#[test]
fn a_split_index_is_put_together() {
    check(|scene| {
        committed(scene);
        scene.git(&["update-index", "--split-index"]);
        scene.write("later", "x");
        scene.git(&["add", "later"]);
        scene.write("src/main.rs", "changed\n");
    });
}

#[test]
fn a_linked_work_tree_has_its_own_index() {
    let Some(scene) = Scene::repository(&["init", "--quiet"]) else { return };
    committed(&scene);
    scene.git(&["worktree", "add", "--quiet", "../linked", "-b", "other"]);
    let linked = scene.at("../linked");
    linked.write("only-here", "x");
    linked.remove("src.c");
    linked.write("ignored", "by the main repository's info/exclude");
    scene.write(".git/info/exclude", "ignored\n");
    linked.compare();
    scene.compare();
}

#[test]
fn what_was_only_announced_to_the_index_is_added() {
    check(|scene| {
        committed(scene);
        scene.write("announced", "content\n");
        scene.write("announced-and-gone", "content\n");
        scene.git(&["add", "--intent-to-add", "announced", "announced-and-gone"]);
        scene.remove("announced-and-gone");
    });
}

#[test]
fn a_conflict_is_resolved_by_what_is_on_disk() {
    check(|scene| {
        committed(scene);
        scene.git(&["checkout", "--quiet", "-b", "theirs"]);
        scene.write("src/main.rs", "theirs\n");
        scene.write("src.c", "theirs\n");
        scene.git(&["commit", "--quiet", "-am", "theirs"]);
        scene.git(&["checkout", "--quiet", "-"]);
        scene.write("src/main.rs", "ours\n");
        scene.git(&["rm", "--quiet", "src.c"]);
        scene.git(&["commit", "--quiet", "-am", "ours"]);
        scene.git_may_fail(&["merge", "theirs"]);
        scene.write("README.md", "changed too\n");
    });
}

#[test]
fn files_the_index_is_told_not_to_look_at_are_not_looked_at() {
    check(|scene| {
        committed(scene);
        scene.git(&["update-index", "--assume-unchanged", "README.md"]);
        scene.git(&["update-index", "--skip-worktree", "src.c", "src/deep/er/file.txt"]);
        scene.write("README.md", "changed unseen\n");
        scene.write("src.c", "changed unseen\n");
        std::fs::remove_dir_all(scene.root.join("src/deep")).unwrap();
    });
}

#[test]
fn sparse_checkouts_keep_what_is_not_checked_out() {
    for index in ["--no-sparse-index", "--sparse-index"] {
        check(|scene| {
            committed(scene);
            scene.git(&["sparse-checkout", "set", index, "--cone", "src-extra"]);
            scene.write("src-extra/b", "new\n");
        });
    }
}

#[test]
fn pipes_and_sockets_are_passed_over() {
    check(|scene| {
        committed(scene);
        scene.pipe("pipe");
        scene.pipe("src/pipe");
        std::os::unix::net::UnixListener::bind(scene.root.join("socket")).unwrap();
    });
}

#[test]
fn a_folder_without_git_is_as_after_git_init() {
    let Some(scene) = Scene::folder() else { return };
    scene.write("package.json", "{}");
    scene.write("src/index.js", "x");
    scene.write(".gitignore", "*.log\n");
    scene.write("a.log", "ignored");
    scene.write("node_modules/x/index.js", "excluded");
    scene.write(".hg/store", "excluded");
    scene.write("sub/.svn/entries", "excluded");
    scene.write(".gitattributes", "*.txt text\n");
    scene.write("a.txt", "one\r\n");
    scene.executable("src/index.js", true);
    symlink("src", scene.root.join("link")).unwrap();
    scene.compare_folder("node_modules/\n.hg/\n.svn/\n");
}

#[test]
fn large_files_are_kept_as_pointers_where_the_extension_is_set_up() {
    let Some(scene) = Scene::repository(&["init", "--quiet"]) else { return };
    let pointer = "version https://git-lfs.github.com/spec/v1\n\
        oid sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\nsize 5\n";
    scene.write(".gitattributes", "*.big filter=lfs -text\n*.other filter=other\n");
    scene.write("a.big", pointer);
    scene.write("b.big", "");
    scene.write("c.other", "as it is");
    let expected = scene.compare();
    scene.git(&["config", "filter.lfs.clean", "false"]);
    scene.git(&["config", "filter.other.clean", "false"]);
    assert_eq!(scene.ours().id, expected, "a pointer that was never replaced stays");
    scene.write("a.big", "hello");
    let found = scene.ours();
    assert_eq!(found.id, expected);
    assert!(
        found.warnings.iter().any(|warning| warning.starts_with("filtered") && warning.contains("c.other"))
    );
}

#[test]
fn a_hostile_repository_runs_nothing_and_holds_nobody_up() {
    let Some(scene) = Scene::repository(&["init", "--quiet"]) else { return };
    committed(&scene);
    let marker = scene.root.parent().unwrap().join("ran");
    let command = format!("touch '{}'; cat", marker.display());
    for key in [
        "core.fsmonitor",
        "filter.x.clean",
        "filter.x.smudge",
        "filter.x.process",
        "diff.x.textconv",
        "core.sshCommand",
        "core.pager",
        "core.editor",
        "gpg.program",
    ] {
        scene.git(&["config", key, &command]);
    }
    for hook in ["post-index-change", "pre-commit", "fsmonitor-watchman", "post-checkout"] {
        let name = format!(".git/hooks/{hook}");
        scene.write(&name, &format!("#!/bin/sh\n{command}\n"));
        scene.executable(&name, true);
    }
    scene.write(".gitattributes", "* filter=x diff=x\n");
    scene.write("src/main.rs", "changed\n");
    scene.write("new", "x");
    let pipes = [
        "pipe",
        "sub/.gitignore",
        "sub/.gitattributes",
        ".git/info/attributes",
        ".git/config.worktree",
        "p/.git",
    ];
    std::fs::remove_file(scene.root.join(".git/info/exclude")).unwrap();
    std::fs::create_dir_all(scene.root.join("p")).unwrap();
    for pipe in pipes {
        scene.pipe(pipe);
    }
    scene.pipe("../included");
    scene.append(".git/config", "[include]\n\tpath = ../../included\n[core]\n\texcludesFile = ../included\n");
    let before = scene.git_folder_state();
    scene.ours_within(Duration::from_secs(20));
    std::fs::remove_file(scene.root.join(".git/config.worktree")).unwrap();
    scene.ours_within(Duration::from_secs(20));
    scene.write(".git/config.worktree", "");
    for held in [".git/index", ".git/HEAD", ".git/config"] {
        std::fs::rename(scene.root.join(held), scene.root.join("../kept")).unwrap();
        scene.pipe(held);
        let found = scene.ours_within(Duration::from_secs(20));
        assert_eq!(found.id, "", "{held}");
        assert!(!found.warnings.is_empty(), "{held}");
        std::fs::rename(scene.root.join("../kept"), scene.root.join(held)).unwrap();
    }
    assert!(!marker.exists(), "something in the repository was run");
    assert!(before.len() > 20);
}

#[test]
fn a_stop_is_obeyed() {
    let Some(scene) = Scene::repository(&["init", "--quiet"]) else { return };
    committed(&scene);
    assert_eq!(scene.ours_stopped().id, "");
}

#[test]
fn a_very_deep_folder_is_walked() {
    check(|scene| {
        let deep = vec!["d"; 900].join("/");
        scene.write(&format!("{deep}/file"), "x");
        scene.git(&["add", "-A"]);
        scene.write(&format!("{deep}/other"), "x");
    });
}

#[test]
fn times_long_past_and_to_come_are_believed_or_not_as_git_does() {
    check(|scene| {
        scene.write("past", "x");
        scene.set_time("past", SystemTime::UNIX_EPOCH - Duration::from_secs(1_000));
        scene.write("future", "x");
        scene.set_time("future", SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000));
        scene.git(&["add", "-A"]);
        scene.write("future", "y");
        scene.set_time("future", SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000));
    });
}

#[test]
fn a_repository_with_a_table_of_references_is_read() {
    check_in(&["init", "--quiet", "--ref-format=reftable"], |scene| {
        committed(scene);
        scene.write("src/main.rs", "changed\n");
    });
}

#[test]
fn a_partial_clone_needs_nothing_it_does_not_have() {
    let Some(scene) = Scene::repository(&["init", "--quiet"]) else { return };
    committed(&scene);
    scene.git(&["config", "uploadpack.allowFilter", "true"]);
    let address = format!("file://{}", scene.root.display());
    scene.git(&["clone", "--quiet", "--filter=blob:none", &address, "../partial"]);
    let partial = scene.at("../partial");
    partial.write("src/main.rs", "changed\n");
    partial.compare();
}
