//! What is to be said to launchd, and what it says.

use std::path::{Path, PathBuf};

use super::step::{Otherwise, Step, Target, removed, written};
use crate::problem::Failure;
use crate::programs::Invocation;

/// The agent's name.
pub(crate) const LABEL: &str = "ai.coditect.sync";

/// Where the agent's file is.
pub(crate) fn file(home: &Path) -> PathBuf {
    home.join("Library/LaunchAgents").join(format!("{LABEL}.plist"))
}

/// The domains an agent can live in, best first: the one of the graphical session, and the one there is without.
pub(crate) fn domains(user: u32) -> [String; 2] {
    [format!("gui/{user}"), format!("user/{user}")]
}

/// The question whether a domain or a service in it is there, and how it is.
pub(crate) fn question(target: &str) -> Invocation {
    Invocation::new("launchctl", &["print", target])
}

/// The agent as launchd names it.
pub(crate) fn service(domain: &str) -> String {
    format!("{domain}/{LABEL}")
}

/// How launchd sees the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Job {
    /// Whether it knows it.
    pub(crate) loaded: bool,
    /// `running`, `not running`, `waiting`; empty when it does not know it.
    pub(crate) state: String,
    /// Its process.
    pub(crate) pid: Option<u32>,
    /// How the last process ended, in launchd's words.
    pub(crate) last_exit: Option<String>,
}

impl Job {
    /// Reads what `print` says of a service. The form is for people and may change; what is not found is not known.
    pub(crate) fn read(answer: Option<&str>) -> Self {
        let Some(answer) = answer else { return Self::default() };
        let value = |name: &str| {
            answer
                .lines()
                .find_map(|line| Some(line.trim().strip_prefix(name)?.strip_prefix(" = ")?.to_owned()))
        };
        Self {
            loaded: true,
            state: value("state").unwrap_or_default(),
            pid: value("pid").and_then(|pid| pid.parse().ok()),
            last_exit: value("last exit code"),
        }
    }
}

/// What `install` does.
pub(crate) fn install(
    target: &Target,
    wanted: &str,
    domain: &str,
    job: &Job,
    force: bool,
) -> Result<Vec<Step>, Failure> {
    let write = written(target, wanted, force)?;
    let changed = !write.is_empty();
    let mut steps = Vec::new();
    if let (true, Some(folder)) = (changed, target.path.parent()) {
        steps.push(Step::MakeFolder { path: folder.to_path_buf(), mode: 0o755 });
    }
    steps.extend(write);
    if changed && job.loaded {
        steps.push(gone(domain));
    }
    steps.extend(started(target, domain, job.loaded && !changed));
    Ok(steps)
}

/// What `uninstall` does; nothing where nothing is installed.
pub(crate) fn uninstall(
    target: &Target,
    wanted: &str,
    domain: &str,
    job: &Job,
    force: bool,
) -> Result<Vec<Step>, Failure> {
    let removed = removed(target, wanted, force)?;
    if removed.is_empty() {
        return Ok(removed);
    }
    Ok(job.loaded.then(|| gone(domain)).into_iter().chain(removed).collect())
}

/// What `start` does.
pub(crate) fn start(target: &Target, domain: &str, job: &Job) -> Vec<Step> {
    started(target, domain, job.loaded)
}

/// What `stop` does: an agent that is only ended would be there again after a crash.
pub(crate) fn stop(domain: &str, job: &Job) -> Vec<Step> {
    job.loaded.then(|| gone(domain)).into_iter().collect()
}

/// What `restart` does.
pub(crate) fn restart(target: &Target, domain: &str, job: &Job) -> Vec<Step> {
    if job.loaded {
        vec![told(&["kickstart", "-k", &service(domain)], Otherwise::Stop)]
    } else {
        start(target, domain, job)
    }
}

fn started(target: &Target, domain: &str, loaded: bool) -> Vec<Step> {
    let service = service(domain);
    let mut steps = vec![told(&["enable", &service], Otherwise::Stop)];
    if !loaded {
        // It answers with an error while it still puts away what was there before.
        let file = target.path.to_string_lossy();
        steps.push(told(&["bootstrap", domain, &file], Otherwise::TryAgain));
    }
    steps.push(told(&["kickstart", &service], Otherwise::Stop));
    steps
}

/// It may answer that it is still at it.
fn gone(domain: &str) -> Step {
    told(&["bootout", &service(domain)], Otherwise::GoOn)
}

fn told(words: &[&str], otherwise: Otherwise) -> Step {
    Step::run("launchctl", words, otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::marker::{OnDisk, sealed};

    fn target(text: Option<&str>) -> Target {
        let found = text.map_or(OnDisk::Nothing, |text| OnDisk::Text(text.to_owned()));
        Target { path: "/h/a.plist".into(), found, backup: "/h/a.plist.bak".into() }
    }

    #[test]
    fn the_formulas_service_is_started_again_when_the_agent_is() {
        let agent = include_str!("../../../../launchd/ai.coditect.sync.plist");
        let formula = include_str!("../../../../packaging/homebrew/coditect-sync.rb.in");
        let plain: String = agent.split_whitespace().collect();
        for (key, line) in [
            (
                "<key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>",
                "keep_alive successful_exit: false",
            ),
            (
                "<key>CODITECT_SYNC_MANAGER</key><string>launchd</string>",
                r#"environment_variables CODITECT_SYNC_MANAGER: "launchd""#,
            ),
            ("<key>ThrottleInterval</key><integer>10</integer>", "throttle_interval 10"),
            ("<key>WorkingDirectory</key><string>/</string>", r#"working_dir "/""#),
        ] {
            assert!(plain.contains(key), "the agent has {key} no more");
            assert!(formula.lines().any(|found| found.trim() == line), "the formula lacks {line}");
        }
    }

    fn told(steps: &[Step]) -> Vec<String> {
        let line = |step: &Step| step.shown().lines().next().unwrap_or_default().to_owned();
        steps.iter().map(line).map(|line| line.replace("launchctl ", "")).collect()
    }

    #[test]
    fn what_is_done_depends_on_what_is_there() {
        let (current, old) = (sealed("@MARKER@\nnew"), sealed("@MARKER@\nold"));
        let unloaded = Job::default();
        let loaded = Job { loaded: true, ..Job::default() };
        let service = "gui/501/ai.coditect.sync";
        let enable = format!("enable {service}");
        let kick = format!("kickstart {service}");
        let bootout = format!("bootout {service}");
        let (mkdir, write, load) =
            ("mkdir -p -m 0755 /h", "write /h/a.plist:", "bootstrap gui/501 /h/a.plist");
        for (found, job, expected, end) in [
            (None, &unloaded, vec![mkdir, write, &enable, load, &kick], vec![]),
            (Some(&current), &unloaded, vec![&enable, load, &kick], vec!["rm /h/a.plist"]),
            (Some(&current), &loaded, vec![&enable, &kick], vec![&bootout, "rm /h/a.plist"]),
            (
                Some(&old),
                &loaded,
                vec![mkdir, write, &bootout, &enable, load, &kick],
                vec![&bootout, "rm /h/a.plist"],
            ),
        ] {
            let target = target(found.map(String::as_str));
            let steps = install(&target, &current, "gui/501", job, false).expect("all is ours");
            assert_eq!(told(&steps), expected, "{found:?} {job:?}");
            let steps = uninstall(&target, &current, "gui/501", job, false).expect("all is ours");
            assert_eq!(told(&steps), end, "{found:?} {job:?}");
        }
        assert_eq!(told(&restart(&target(None), "gui/501", &loaded)), [format!("kickstart -k {service}")]);
        assert_eq!(told(&restart(&target(None), "gui/501", &unloaded)), [&*enable, load, &*kick]);
        assert_eq!(told(&stop("gui/501", &loaded)), [bootout]);
        assert!(stop("gui/501", &unloaded).is_empty());
    }

    #[test]
    fn what_print_says_is_read() {
        let answer = "gui/501/ai.coditect.sync = {\n\tactive count = 1\n\tstate = running\n\n\tpid = 4242\n\tlast exit code = (never exited)\n}\n";
        let job = Job::read(Some(answer));
        assert_eq!((job.loaded, job.state.as_str(), job.pid), (true, "running", Some(4242)));
        assert_eq!(job.last_exit.as_deref(), Some("(never exited)"));
        assert_eq!(Job::read(None), Job::default());
    }

    /// The keys of launchd.plist(5) that an agent may have, and the kind of their values.
    const KEYS: &[(&str, &str)] = &[
        ("Label", "string"),
        ("ProgramArguments", "array"),
        ("EnvironmentVariables", "dict"),
        ("WorkingDirectory", "string"),
        ("StandardErrorPath", "string"),
        ("StandardOutPath", "string"),
        ("Umask", "integer"),
        ("RunAtLoad", "true"),
        ("KeepAlive", "dict"),
        ("ThrottleInterval", "integer"),
        ("ExitTimeOut", "integer"),
        ("ProcessType", "string"),
        ("LowPriorityIO", "true"),
        ("LowPriorityBackgroundIO", "true"),
        ("Nice", "integer"),
    ];

    /// A property list as values, read by a reader that knows nothing of how it was written.
    fn values(text: &str) -> Vec<(String, String, Vec<String>)> {
        use quick_xml::Reader;
        use quick_xml::events::Event;
        let mut reader = Reader::from_str(text);
        let (mut depth, mut tag, mut found, mut content) = (0, String::new(), Vec::new(), String::new());
        let mut key: Option<String> = None;
        loop {
            match reader.read_event().expect("well-formed") {
                Event::Start(start) => {
                    depth += 1;
                    tag = start.name().as_ref().to_owned();
                    content.clear();
                    if let (3, Some(key)) = (depth, (tag != "key").then(|| key.take()).flatten()) {
                        found.push((key, tag.clone(), Vec::new()));
                    }
                }
                Event::Empty(empty) if depth == 2 => {
                    let tag = empty.name().as_ref().to_owned();
                    found.push((key.take().expect("a key goes before"), tag, Vec::new()));
                }
                Event::Text(text) => content.push_str(&text),
                Event::GeneralRef(reference) => content.push(match &*reference {
                    "amp" => '&',
                    "lt" => '<',
                    "gt" => '>',
                    other => panic!("an entity that is not written: {other}"),
                }),
                Event::End(_) => {
                    match (depth, tag.as_str()) {
                        (3, "key") => key = Some(content.clone()),
                        (3 | 4, "string" | "integer" | "key") => {
                            found.last_mut().expect("a key").2.push(content.clone());
                        }
                        _ => {}
                    }
                    tag.clear();
                    depth -= 1;
                }
                Event::Eof => return found,
                Event::Empty(_)
                | Event::CData(_)
                | Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_)
                | Event::DocType(_) => {}
            }
        }
    }

    #[test]
    fn the_agent_has_only_keys_that_launchd_knows_and_reads_back_as_it_was_meant() {
        for installation in [crate::service::tests::plain(), crate::service::tests::strange()] {
            let text = crate::service::render::agent(&installation, std::time::Duration::from_secs(10));
            assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"), "{text}");
            let values = values(&text);
            for (key, kind, _) in &values {
                assert!(KEYS.contains(&(key, kind)), "{key} is a {kind}");
            }
            let of = |key: &str| {
                let found: Vec<_> = values.iter().filter(|(known, ..)| known == key).collect();
                assert_eq!(found.len(), 1, "{key}");
                found[0].2.clone()
            };
            assert_eq!(of("Label"), [LABEL]);
            assert_eq!(
                of("ProgramArguments"),
                [
                    &installation.program,
                    "--config",
                    &installation.config,
                    "--state-dir",
                    &installation.state_dir,
                    "--socket",
                    &installation.socket
                ]
            );
            assert_eq!(
                of("EnvironmentVariables"),
                ["CODITECT_DATA_DIR", &*installation.data_dir, "CODITECT_SYNC_MANAGER", "launchd"]
            );
            assert_eq!(of("Umask"), ["63"]);
            assert_eq!(of("KeepAlive"), ["SuccessfulExit"]);
        }
    }
}
