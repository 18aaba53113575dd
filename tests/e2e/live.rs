//! `top` and the bars in a real terminal, where the machine has one to lend (`tmux`).

use std::process::Output;

use sync_tests::{Daemon, Home, program, until};

use crate::world;

/// A terminal of its own that a test types into and looks at.
struct Terminal<'h> {
    home: &'h Home,
}

impl<'h> Terminal<'h> {
    /// Opens one with a shell; nothing where there is no `tmux`.
    fn open(home: &'h Home) -> Option<Self> {
        let terminal = Self { home };
        let shell = "exec env PS1='ready> ' LANG=C.UTF-8 sh -i";
        let opened = terminal.tmux(&["-u", "new-session", "-d", "-x", "90", "-y", "26", shell]);
        if !opened.is_ok_and(|output| output.status.success()) {
            return None;
        }
        terminal.shows("ready>");
        Some(terminal)
    }

    fn tmux(&self, args: &[&str]) -> std::io::Result<Output> {
        let socket = self.home.path().join("tmux");
        self.home.command("tmux").arg("-f").arg("/dev/null").arg("-S").arg(socket).args(args).output()
    }

    fn types(&self, keys: &[&str]) {
        assert!(self.tmux(&[&["send-keys"], keys].concat()).expect("tmux").status.success());
    }

    /// Runs a command of the command line.
    fn runs(&self, args: &str) {
        let program = program("coditect-sync").display().to_string();
        self.types(&["-l", &format!("clear; {program} {args}; echo ended with $?")]);
        self.types(&["Enter"]);
    }

    fn picture(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p"]).expect("tmux").stdout).into_owned()
    }

    /// Waits until these words are seen; the whole picture then.
    fn shows(&self, words: &str) -> String {
        let mut last = String::new();
        until(&format!("the terminal shows `{words}`"), || {
            last = self.picture();
            last.contains(words).then_some(())
        });
        last
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        drop(self.tmux(&["kill-server"]));
    }
}

#[test]
fn top_lives_through_sizes_and_restarts_and_gives_the_terminal_back() {
    let (home, _cloud) = world();
    home.project("api");
    let daemon = Daemon::start(&home);
    let Some(terminal) = Terminal::open(&home) else {
        println!("skipped: there is no `tmux`");
        return daemon.finish();
    };
    terminal.runs("top");
    terminal.shows("registration.delivered");
    for words in ["online at http://127.0.0.1", "waiting", "delivered", "roots", "f flush", "q quit", "UTC\n"]
    {
        terminal.shows(words);
    }
    terminal.types(&["p"]);
    terminal.shows("PAUSED");
    home.project("later");
    terminal.shows("1 ready");
    terminal.types(&["p"]);
    terminal.shows("2 registered");

    for size in ["30", "120"] {
        assert!(terminal.tmux(&["resize-window", "-x", size, "-y", "12"]).expect("tmux").status.success());
        until("the picture fits", || {
            let picture = terminal.picture();
            let keys = picture.trim_end().lines().last().is_some_and(|line| line.starts_with("f flush"));
            (keys && picture.starts_with("coditect-sync")).then_some(())
        });
    }
    daemon.finish();
    terminal.shows("there is no socket");
    let daemon = Daemon::start(&home);
    terminal.shows(&format!("pid {}", daemon.pid()));
    terminal.types(&["q"]);
    terminal.shows("ended with 0");
    terminal.types(&["-l", "stty -a | tr ' ' '\\n' | grep -x -e -echo -e -icanon || echo sane"]);
    terminal.types(&["Enter"]);
    terminal.shows("\nsane");
    daemon.finish();
}

#[test]
fn a_flush_that_is_waited_for_shows_how_far_it_is_and_leaves_nothing_behind() {
    let (home, _cloud) = world();
    let daemon = Daemon::start(&home);
    let Some(terminal) = Terminal::open(&home) else {
        println!("skipped: there is no `tmux`");
        return daemon.finish();
    };
    assert_eq!(home.run(&["pause"]).code, 0);
    home.project("api");
    until("it waits", || (crate::queue(&home, "ready") == 1).then_some(()));
    terminal.runs("queue flush --wait=2m");
    terminal.shows("0 of 1 entry sent");
    assert_eq!(home.run(&["resume"]).code, 0);
    let picture = terminal.shows("ended with 0");
    assert!(picture.contains("1 delivered, 0 remaining") && !picture.contains("of 1 entry"), "{picture}");
    daemon.finish();
}
