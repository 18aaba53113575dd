//! Fills the templates of the service managers' files.

use std::time::Duration;

use super::Installation;
use super::escape::{systemd_argument, systemd_path, systemd_text, xml_text};
use super::marker::sealed;

const UNIT: &str = include_str!("../../../../systemd/coditect-sync.service");
const SANDBOX: &str = include_str!("../../../../systemd/50-sandbox.conf");
const SOCKET: &str = include_str!("../../../../systemd/coditect-sync.socket");
const AGENT: &str = include_str!("../../../../launchd/ai.coditect.sync.plist");

/// How long a stop may take, as the templates have it: enough for the grace that the daemon has by default.
const UNIT_STOP: &str = "\nTimeoutStopSec=15\n";
const AGENT_STOP: &str = "<key>ExitTimeOut</key>\n    <integer>15</integer>";
const LEAST_STOP: Duration = Duration::from_secs(15);
/// What the daemon takes to end when its grace is over.
const BEYOND_GRACE: Duration = Duration::from_secs(5);

/// How long a stop may take with this grace, in whole seconds.
fn stop_seconds(grace: Duration) -> u64 {
    let needed = (grace + BEYOND_GRACE).max(LEAST_STOP);
    needed.as_secs() + u64::from(needed.subsec_nanos() > 0)
}

/// The user unit of systemd; a daemon that stops is given as long as its own grace needs.
pub(crate) fn unit(installation: &Installation, grace: Duration) -> String {
    let Installation { program, config, state_dir, socket, data_dir, .. } = installation;
    filled(
        &UNIT.replace(UNIT_STOP, &format!("\nTimeoutStopSec={}\n", stop_seconds(grace))),
        &[
            // Variables are not known in the program's own path.
            ("PROGRAM", systemd_text(program)),
            ("CONFIG", systemd_argument(config)),
            ("STATE_DIR", systemd_argument(state_dir)),
            ("SOCKET", systemd_argument(socket)),
            ("DATA_DIR", systemd_text(data_dir)),
        ],
    )
}

/// The drop-in of that unit, for user managers that can make namespaces.
pub(crate) fn sandbox(installation: &Installation) -> String {
    let mut linked = String::new();
    for folder in &installation.linked {
        linked.push_str(" \"-");
        linked.push_str(&systemd_text(&folder.to_string_lossy()));
        linked.push('"');
    }
    filled(
        SANDBOX,
        &[
            ("STATE_DIR", systemd_text(&installation.state_dir)),
            ("DATA_DIR", systemd_text(&installation.data_dir)),
            ("SOCKET_DIR", systemd_text(installation.socket_dir())),
            ("LINKED", linked),
        ],
    )
}

/// The folders of the home that the drop-in hides.
pub(crate) fn hidden_at_home() -> impl Iterator<Item = &'static str> {
    let values = SANDBOX.lines().filter_map(|line| line.strip_prefix("InaccessiblePaths="));
    values.flat_map(str::split_whitespace).filter_map(|word| word.strip_prefix("-%h/"))
}

/// The socket unit, from which the daemon is started when somebody asks it.
pub(crate) fn socket(installation: &Installation) -> String {
    filled(SOCKET, &[("SOCKET", systemd_path(&installation.socket))])
}

/// The agent of launchd, the same.
pub(crate) fn agent(installation: &Installation, grace: Duration) -> String {
    let Installation { program, config, state_dir, socket, data_dir, .. } = installation;
    let stop = AGENT_STOP.replace("15", &stop_seconds(grace).to_string());
    filled(
        &AGENT.replace(AGENT_STOP, &stop),
        &[
            ("PROGRAM", xml_text(program)),
            ("CONFIG", xml_text(config)),
            ("STATE_DIR", xml_text(state_dir)),
            ("SOCKET", xml_text(socket)),
            ("DATA_DIR", xml_text(data_dir)),
        ],
    )
}

/// Puts the values for the words between @ signs, in one pass: a value may hold such a word itself.
fn filled(template: &str, words: &[(&str, String)]) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('@') {
        text.push_str(before);
        let known = words
            .iter()
            .find_map(|(word, value)| Some((value, after.strip_prefix(word)?.strip_prefix('@')?)));
        if let Some((value, after)) = known {
            text.push_str(value);
            rest = after;
        } else {
            text.push('@');
            rest = after;
        }
    }
    text.push_str(rest);
    // Last, because the marker holds a hash of all the rest.
    sealed(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::{plain, strange};

    /// As it is by default.
    const GRACE: Duration = Duration::from_secs(10);

    #[test]
    fn a_stop_is_given_as_long_as_the_grace_needs_and_no_less_than_before() {
        for (grace, expected) in [(0, 15), (10_000, 15), (10_001, 16), (60_000, 65), (600_000, 605)] {
            let grace = Duration::from_millis(grace);
            let line = format!("\nTimeoutStopSec={expected}\n");
            assert!(unit(&plain(), grace).contains(&line), "{grace:?}");
            let entry = format!("<key>ExitTimeOut</key>\n    <integer>{expected}</integer>\n");
            assert!(agent(&plain(), grace).contains(&entry), "{grace:?}");
        }
    }

    /// The lines of a file in which a path of the installation stands; the rest is the template's.
    fn check(name: &str, text: &str) {
        let version = env!("CARGO_PKG_VERSION");
        let lines: Vec<_> = text
            .lines()
            .filter(|line| {
                ["coditect-syncd", "/s ", "/c ", "/d ", "/l ", "written by"]
                    .iter()
                    .any(|word| line.contains(word))
            })
            .map(|line| line.split(", content ").next().unwrap_or_default().replace(version, "VERSION"))
            .collect();
        insta::assert_snapshot!(name.to_owned(), lines.join("\n"));
    }

    #[test]
    fn strange_paths_are_escaped_for_each_manager() {
        check("unit-of-strange-paths", &unit(&strange(), GRACE));
        check("sandbox-of-strange-paths", &sandbox(&strange()));
        check("socket-of-strange-paths", &socket(&strange()));
        check("agent-of-strange-paths", &agent(&strange(), GRACE));
    }

    #[test]
    fn what_the_drop_in_hides_is_known_and_documented() {
        let hidden: Vec<_> = hidden_at_home().collect();
        assert_eq!(hidden, [".ssh", ".gnupg", ".aws", ".kube", ".docker", ".password-store"]);
        let words = |prefix| SANDBOX.lines().filter_map(move |line: &str| line.strip_prefix(prefix));
        assert_eq!(words("InaccessiblePaths=").flat_map(str::split_whitespace).count(), hidden.len());
        assert_eq!(words("PrivateTmp=").collect::<Vec<_>>(), ["yes"], "`/tmp` and `/var/tmp` are its own");
        let document = include_str!("../../../../docs/service.md");
        let row = document.lines().find(|line| line.starts_with("| a drop-in")).expect("it is there");
        for name in hidden {
            assert!(row.contains(&format!("`~/{name}`")), "docs/service.md says nothing of ~/{name}");
        }
    }

    #[test]
    fn the_drop_in_hides_processes_and_not_how_the_machine_is() {
        let set = |name: &str| SANDBOX.lines().filter_map(|line| line.strip_prefix(name)).collect::<Vec<_>>();
        assert_eq!(set("ProtectProc="), ["invisible"]);
        assert!(
            set("ProcSubset=").is_empty(),
            "the limit on watches, the pressure and the load are in /proc too"
        );
    }

    #[test]
    fn no_word_of_a_template_is_left() {
        for text in [unit(&plain(), GRACE), sandbox(&plain()), socket(&plain()), agent(&plain(), GRACE)] {
            assert!(
                !text.contains('@')
                    || text
                        .lines()
                        .filter(|line| line.contains('@'))
                        .all(|line| line.starts_with("SystemCallFilter=")),
                "{text}"
            );
        }
    }

    #[test]
    fn the_unit_is_as_it_was_reviewed() {
        let text = unit(&plain(), GRACE);
        let (marker, rest) = text.split_once('\n').expect("lines");
        assert!(marker.starts_with("# written by coditect-sync service install, version "), "{marker}");
        insta::assert_snapshot!("unit", rest);
        let text = agent(&plain(), GRACE);
        insta::assert_snapshot!(
            "agent",
            text.lines().filter(|line| !line.contains("written by")).collect::<Vec<_>>().join("\n")
        );
    }
}
