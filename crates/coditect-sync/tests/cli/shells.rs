//! What a shell puts into the line while somebody types: exactly the path, whatever a folder is called.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::support::{Home, ok};

/// Somebody at a bash that has the completions.
struct Typist {
    child: Child,
    keys: ChildStdin,
    screen: ChildStdout,
    called: std::path::PathBuf,
}

/// What stands for the program: it completes as the program does, and else writes down what it was called with.
const BEGIN: &str = r#"
PS1='rea''dy> '
coditect-sync() {
    if [[ -n ${CODITECT_SYNC_COMPLETE-} ]]; then
        "$PROGRAM" "$@"
    else
        printf '%s\0' "$@" >"$CALLED"
    fi
}
source <("$PROGRAM" completions bash)
"#;

/// Whether there is a bash, and a terminal to be had for it; where not, that is said.
#[expect(clippy::print_stderr, reason = "a test that does not look has to say so")]
fn has_a_bash() -> bool {
    let has = |program: &str| {
        let asked = Command::new(program).arg("--version").stdout(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    // Elsewhere, `script` is called otherwise.
    let all = cfg!(target_os = "linux") && has("bash") && has("script");
    if !all {
        eprintln!("not looked at: this machine has no `bash`, or no `script` of util-linux");
    }
    all
}

impl Typist {
    fn at(home: &Home, folder: &Path) -> Self {
        let begin = home.path().join("begin");
        std::fs::write(&begin, BEGIN).expect("written");
        let called = home.path().join("called");
        let mut child = Command::new("script")
            .args(["-qfec", "bash --rcfile \"$BEGIN\" -i", "/dev/null"])
            .env("SHELL", "/bin/sh")
            .env("TERM", "dumb")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", home.path())
            .env("CODITECT_SYNC_STATE_DIR", home.path())
            .env("BEGIN", begin)
            .env("PROGRAM", env!("CARGO_BIN_EXE_coditect-sync"))
            .env("CALLED", &called)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`script` starts");
        let (keys, screen) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let mut typist = Self { child, keys, screen, called };
        typist.sees_the_prompt();
        typist
    }

    fn sees_the_prompt(&mut self) -> String {
        let (mut seen, mut byte) = (Vec::new(), [0]);
        while !seen.ends_with(b"ready> ") {
            assert_eq!(self.screen.read(&mut byte).expect("it can be read"), 1, "bash has ended");
            seen.push(byte[0]);
        }
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// What the program is called with when this is typed, a tab, and enter.
    fn calls(&mut self, typed: &str) -> Vec<String> {
        std::fs::write(&self.called, "").expect("written");
        self.keys.write_all(format!("{typed}\t\r").as_bytes()).expect("typed");
        let screen = self.sees_the_prompt();
        let called = std::fs::read(&self.called).expect("it is there");
        let called = String::from_utf8(called).expect("text");
        assert!(called.ends_with('\0'), "{typed}: nothing was called: {screen}");
        called.split_terminator('\0').map(str::to_owned).collect()
    }

    fn leaves(mut self) {
        self.keys.write_all(b"exit\r").expect("typed");
        self.screen.read_to_end(&mut Vec::new()).expect("it can be read");
        self.child.wait().expect("it ends");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("it is there");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("it is there").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

#[test]
fn bash_is_offered_exactly_the_folder_whatever_it_is_called() {
    if !has_a_bash() {
        return;
    }
    let home = Home::new();
    let folder = home.path().join("work");
    let hostile = [
        "a plain one",
        "b$(touch pwned)",
        "c`touch pwned`;touch pwned",
        "d*",
        "dxx",
        "e'x \"y\" $(touch pwned)",
        "f\\x!y#z&|<>(){}[]?",
        "k=v:w@x",
        "ö$(touch pwned)",
        "tw$a",
        "tw b",
        "n\nx; touch pwned; ",
        "\u{1b}[31m",
        "~root",
        "-rf",
    ];
    for name in hostile {
        std::fs::create_dir_all(folder.join(name)).expect("made");
    }
    let before = names(&folder);
    let mut bash = Typist::at(&home, &folder);
    for (typed, path) in [
        ("a", "a plain one/"),
        (r"a\ p", "a plain one/"),
        ("'a p", "a plain one/"),
        ("\"a p", "a plain one/"),
        ("'a p'l", "a plain one/"),
        ("b", "b$(touch pwned)/"),
        (r"b\$\(t", "b$(touch pwned)/"),
        ("'b", "b$(touch pwned)/"),
        ("'b$(t", "b$(touch pwned)/"),
        ("\"b", "b$(touch pwned)/"),
        ("c", "c`touch pwned`;touch pwned/"),
        ("'c", "c`touch pwned`;touch pwned/"),
        ("\"c", "c`touch pwned`;touch pwned/"),
        (r"d\*", "d*/"),
        ("e", "e'x \"y\" $(touch pwned)/"),
        ("'e", "e'x \"y\" $(touch pwned)/"),
        ("\"e", "e'x \"y\" $(touch pwned)/"),
        ("f", "f\\x!y#z&|<>(){}[]?/"),
        ("'f", "f\\x!y#z&|<>(){}[]?/"),
        ("\"f", "f\\x!y#z&|<>(){}[]?/"),
        ("k", "k=v:w@x/"),
        (r"k\=v", "k=v:w@x/"),
        ("ö", "ö$(touch pwned)/"),
        // What two begin with alike, and what cannot be offered.
        ("tw", "tw"),
        ("n", "n"),
        (r"\~r", "~r"),
    ] {
        assert_eq!(bash.calls(&format!("coditect-sync resolve {typed}")), ["resolve", path], "{typed}");
        assert_eq!(names(&folder), before, "{typed}");
    }
    for (typed, called) in [
        ("coditect-sync register b", &["register", "b$(touch pwned)/"][..]),
        ("coditect-sync scan a\\ plain\\ one b", &["scan", "a plain one", "b$(touch pwned)/"]),
        ("coditect-sync --config b", &["--config", "b$(touch pwned)/"]),
        ("coditect-sync queue fl", &["queue", "flush"]),
        ("coditect-sync queue list --state dea", &["queue", "list", "--state", "dead"]),
    ] {
        assert_eq!(bash.calls(typed), called, "{typed}");
    }
    bash.leaves();
    assert_eq!(names(&folder), before);
}

#[test]
fn bash_is_offered_exactly_the_projects_path_whatever_its_manifest_says() {
    if !has_a_bash() {
        return;
    }
    let home = Home::new();
    let folder = home.path().join("work");
    std::fs::create_dir(&folder).expect("made");
    for (typed, name, path, offered) in [
        ("zz", "zz; touch pwned", "/srv/x $(touch pwned)", "/srv/x $(touch pwned)"),
        ("\"zz", "zz", "/srv/`touch pwned`", "/srv/`touch pwned`"),
        ("/srv/x", "zz", "/srv/x*y", "/srv/x*y"),
        ("/srv/x", "zz", "/srv/x\ntouch pwned\n", "/srv/x"),
        ("zz", "zz", "/srv/\u{1b}]0;x\u{7}", "zz"),
    ] {
        let page = serde_json::json!({"projects": [{
            "local_project_uuid": "11111111-1111-4111-8111-111111111111", "project_name": name, "root_path": path,
            "root_path_exact": null, "primary_language": "Rust", "framework": "", "content_hash": "",
            "project_type": "standalone", "parent_project_uuid": null, "vcs": "git", "state": "registered",
            "cloud_uuid": null, "registration_status": null, "first_seen_at": "2026-01-01T00:00:00Z",
            "seen_at": "2026-01-01T00:00:00Z", "queue_item": null,
        }], "next_cursor": null});
        let mut bash = Typist::at(&home, &folder);
        let daemon = home.daemon(vec![ok(page.to_string())]);
        assert_eq!(bash.calls(&format!("coditect-sync resolve {typed}")), ["resolve", offered], "{path}");
        daemon.join().expect("it was asked");
        bash.leaves();
        assert!(names(&folder).is_empty(), "{path}");
    }
}

#[test]
fn no_shell_is_offered_control_characters_options_or_other_homes_for_folders() {
    let home = Home::new();
    let folder = home.path().join("work");
    for name in ["plain", "n\nx", "\u{1b}[31m", "tab\tx", "~root", "-rf", "--socket=x"] {
        std::fs::create_dir_all(folder.join(name)).expect("made");
    }
    for shell in ["fish", "zsh", "elvish", "powershell", "bash"] {
        for (command, typed, expected) in [
            (&["scan"][..], "", &["./--socket=x/", "./-rf/", "./~root/", "plain/"][..]),
            (&["--state-dir"], "", &["./--socket=x/", "./-rf/", "./~root/", "plain/"]),
            (&["resolve"], "n", &[]),
            (&["resolve"], "t", &[]),
            (&["resolve"], "~", &[]),
            (&["resolve"], "-r", &[]),
        ] {
            let words = [&["--", "coditect-sync"], command, &[typed]].concat();
            let output = home
                .command(&words)
                .env("CODITECT_SYNC_COMPLETE", shell)
                .env("_CLAP_IFS", "\n")
                .env("_CLAP_COMPLETE_INDEX", (words.len() - 2).to_string())
                .env("_CODITECT_SYNC_INDEX", (words.len() - 2).to_string())
                .env("_CODITECT_SYNC_PART", typed)
                .env("_CODITECT_SYNC_LINE", format!("coditect-sync {} {typed}", command.join(" ")))
                .current_dir(&folder)
                .output()
                .expect("it runs");
            let text = String::from_utf8(output.stdout).expect("text");
            // bash and PowerShell are told it in their quotes.
            let plain: String = text.chars().filter(|letter| !"\\'".contains(*letter)).collect();
            let values = plain.lines().map(|line| line.split(['\t', ':']).next().unwrap_or(line));
            let mut offered: Vec<&str> = values.filter(|value| value.contains('/')).collect();
            offered.sort_unstable();
            assert_eq!(offered, expected, "{shell}: {command:?} {typed}");
        }
    }
}
