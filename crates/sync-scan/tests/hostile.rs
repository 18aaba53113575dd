//! A folder made to do harm: nothing in it is executed, changed or waited for, and it costs no more memory than others.

#![cfg(target_os = "linux")]

#[cfg(test)]
mod walk_support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::fs::{FileType, Mode, mknodat};
use sync_scan::{Lookout, Task, Turn};
use walk_support::{Home, committed, git};

/// Far more than it needs, far less than what waits for a pipe or reads a terabyte takes.
const LONG: Duration = Duration::from_mins(1);
/// In kibibytes, over what the process had before.
const MOST_MEMORY: u64 = 200 * 1024;

#[test]
fn nothing_is_executed_changed_or_waited_for_and_memory_is_bounded() {
    // In a process of its own, whose memory is measured.
    const NAME: &str = "nothing_is_executed_changed_or_waited_for_and_memory_is_bounded";
    if !std::env::args().any(|argument| argument == "--exact") {
        let output = Command::new(std::env::current_exe().unwrap()).args(["--exact", NAME]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let home = Home::new();
    let mark = home.path.with_extension("executed");
    let script = home.path.with_extension("sh");
    fs::write(&script, format!("#!/bin/sh\ntouch '{}'\n", mark.display())).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    executes(&home, "executes", script.to_str().unwrap());
    holds_up(&home, "holds-up");
    is_huge(&home, "huge");
    let before = everything(&home.path);

    let peak_before = peak_memory();
    let (send, done) = channel();
    let (options, shelf) = (home.options.clone(), home.shelf());
    std::thread::spawn(move || {
        let mut lookout = Lookout::new(options, None, Some(shelf));
        let turn = |task| Turn { task, now_ms: 0, quiet_ms: 0, most_ms: 0 };
        let first = lookout.turn(&turn(Task::Everything), &AtomicBool::new(false));
        lookout.turn(&turn(Task::Sweep), &AtomicBool::new(false));
        lookout.turn(&turn(Task::Glance), &AtomicBool::new(false));
        send.send(first).unwrap();
    });
    let seen = done.recv_timeout(LONG).expect("it was held up");

    let names = home.names(&seen.surveys[0]);
    for expected in ["executes", "holds-up", "holds-up/index-is-a-pipe", "huge", "huge/na\nme\u{1b}[31m"] {
        assert!(names.iter().any(|name| name == expected), "{expected:?} of {names:?}");
    }
    assert!(!mark.exists(), "something was executed");
    assert_eq!(everything(&home.path), before, "something was changed");
    let grown = peak_memory() - peak_before;
    assert!(grown < MOST_MEMORY, "{grown} KiB more");
    fs::remove_file(script).unwrap();
}

/// A repository whose configuration names a program wherever git would run one.
#[cfg(test)]
fn executes(home: &Home, name: &str, script: &str) {
    let root = home.at(name);
    committed(&root);
    for hook in
        ["pre-commit", "post-index-change", "post-checkout", "fsmonitor-watchman", "reference-transaction"]
    {
        fs::create_dir_all(root.join(".git/hooks")).unwrap();
        fs::copy(script, root.join(".git/hooks").join(hook)).unwrap();
    }
    for key in [
        "core.fsmonitor",
        "core.sshCommand",
        "core.editor",
        "core.pager",
        "core.askPass",
        "core.alternateRefsCommand",
        "diff.external",
        "diff.x.textconv",
        "merge.x.driver",
        "credential.helper",
        "gpg.program",
        "uploadpack.packObjectsHook",
        "filter.x.clean",
        "filter.x.smudge",
        "filter.x.process",
        "alias.status",
    ] {
        git(&root, &["config", key, script]);
    }
    git(&root, &["config", "filter.x.required", "true"]);
    git(&root, &["config", "core.hooksPath", "/nonexistent/../../../../../tmp"]);
    git(&root, &["config", "remote.origin.url", &format!("ext::{script}")]);
    git(&root, &["config", "remote.origin.promisor", "true"]);
    git(&root, &["config", "core.worktree", "/"]);
    fs::write(root.join(".gitattributes"), "* filter=x diff=x merge=x\n").unwrap();
    fs::write(root.join("README"), "changed\n").unwrap();
    fs::write(root.join("untracked"), "text\n").unwrap();
    fs::write(
        root.join(".gitmodules"),
        "[submodule \"x\"]\n\tpath = sub\n\turl = --upload-pack=touch\n\tupdate = !touch\n",
    )
    .unwrap();
    fs::create_dir(root.join("sub")).unwrap();
    fs::write(
        root.join("package.json"),
        format!("{{\"name\": \"$({script})\", \"scripts\": {{\"prepare\": \"{script}\"}}}}"),
    )
    .unwrap();
}

/// Things that never answer or never end where files are expected.
#[cfg(test)]
fn holds_up(home: &Home, name: &str) {
    let root = home.at(name);
    committed(&root);
    for pipe in [
        "pipe",
        "package.json",
        ".gitmodules",
        "folder.pipe",
        ".git/info/attributes",
        ".git/objects/info/alternates",
    ] {
        let path = root.join(pipe);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        make_node(&path, FileType::Fifo);
    }
    git(&root, &["config", "--add", "core.excludesFile", root.join("pipe").to_str().unwrap()]);
    drop(UnixListener::bind(root.join("socket")).unwrap());
    symlink("/dev/zero", root.join("Cargo.toml")).unwrap();
    symlink("/dev/zero", root.join(".gitignore")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    symlink("..", root.join("up")).unwrap();
    for inner in ["index-is-a-pipe", "head-is-a-pipe", "config-is-a-pipe", "git-is-a-pipe"] {
        let inside = root.join(inner);
        match inner.split('-').next().unwrap() {
            "git" => {
                fs::create_dir(&inside).unwrap();
                make_node(&inside.join(".git"), FileType::Fifo);
            }
            file => {
                committed(&inside);
                let file = if file == "head" { "HEAD" } else { file };
                fs::remove_file(inside.join(".git").join(file)).unwrap();
                make_node(&inside.join(".git").join(file), FileType::Fifo);
            }
        }
    }
    home.repository(&format!("{name}/includes"));
    let included = format!(
        "[core]\n\trepositoryformatversion = 0\n[include]\n\tpath = {}\n",
        root.join("pipe").display()
    );
    fs::write(root.join("includes/.git/config"), included).unwrap();
}

/// Sizes, depths and names without measure.
#[cfg(test)]
fn is_huge(home: &Home, name: &str) {
    let root = home.at(name);
    committed(&root);
    for sparse in ["terabyte", "pyproject.toml", ".gitattributes"] {
        fs::File::create(root.join(sparse)).unwrap().set_len(1 << 40).unwrap();
    }
    fs::write(root.join("package.json"), "[".repeat(900_000)).unwrap();
    fs::write(root.join("composer.json"), "{\"a\":".repeat(150_000)).unwrap();
    fs::write(root.join("pnpm-workspace.yaml"), "a: &a [*a,*a]\n".repeat(10_000)).unwrap();
    fs::write(root.join("pom.xml"), "<a>".repeat(300_000)).unwrap();
    committed(&root.join("na\nme\u{1b}[31m"));
    // Deeper than any path may be long.
    let mut folder = rustix::fs::open(&root, rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..300 {
        let below = "deep".repeat(10);
        rustix::fs::mkdirat(&folder, &below, Mode::from_raw_mode(0o755)).unwrap();
        folder = rustix::fs::openat(&folder, &below, rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
}

#[cfg(test)]
fn make_node(path: &Path, kind: FileType) {
    if path.symlink_metadata().is_ok() {
        fs::remove_file(path).unwrap();
    }
    mknodat(rustix::fs::CWD, path, kind, Mode::from_raw_mode(0o600), 0).unwrap();
}

/// What would differ if somebody wrote to anything; what was only read stays out of it.
#[cfg(test)]
fn everything(folder: &Path) -> Vec<(PathBuf, [i64; 5], Vec<u8>)> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let Ok(metadata) = path.symlink_metadata() else { continue };
        let numbers = [
            metadata.ino().cast_signed(),
            metadata.size().cast_signed(),
            metadata.mtime_nsec(),
            metadata.ctime_nsec(),
            metadata.ctime(),
        ];
        let content = if metadata.is_file() && metadata.len() < 1 << 22 {
            fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        if metadata.is_dir()
            && let Ok(entries) = fs::read_dir(&path)
        {
            waiting.extend(entries.map(|entry| entry.unwrap().path()));
        }
        found.push((path, numbers, content));
    }
    found.sort();
    found
}

/// The most memory this process ever had, in kibibytes.
#[cfg(test)]
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}
