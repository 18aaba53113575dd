//! Whether the daemon can be put into the sandbox that needs a user namespace.
//!
//! Where the system refuses such namespaces the unit would not start, and where it only pretends they would protect
//! nothing; so a unit of the same manager is started with such lines, and it is looked whether they hold.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sync_config::{Config, CredentialSource, Places, SyncDaemon};

use super::{Installation, render, text};
use crate::human::clean;
use crate::programs::Invocation;

/// Asks this process's own system for a namespace: quick, and a no is a no for the manager too.
pub(crate) fn quick_question(unshare: &Path, program: &Path) -> Invocation {
    let words = ["--user", "--map-root-user", "--mount"].map(str::to_owned);
    let arguments = words.into_iter().chain([program.to_string_lossy().into_owned()]).collect();
    Invocation { program: unshare.to_string_lossy().into_owned(), arguments }
}

/// Starts a unit in which the home directory must not be writable, and that succeeds when it is not.
pub(crate) fn question(home: &str) -> Invocation {
    let read_only = format!("--property=ReadOnlyPaths=\"{}\"", super::escape::systemd_text(home));
    Invocation::new(
        "systemd-run",
        &[
            "--user",
            "--wait",
            "--collect",
            "--quiet",
            "--property=PrivateUsers=yes",
            "--property=PrivateMounts=yes",
            "--property=PrivateTmp=yes",
            &read_only,
            "test",
            "!",
            "-w",
            home,
        ],
    )
}

/// Why the sandbox would hinder this daemon, whatever the system can do.
pub(crate) fn hindrance(installation: &Installation, places: &Places, config: &Config) -> Option<String> {
    let Config { cloud_sync: cloud, sync_daemon: SyncDaemon { discovery, .. }, .. } = config;
    let token = match cloud.credential_source(places) {
        CredentialSource::Command(_) => {
            return Some("`cloud_sync.credential_command` would run in it, and such programs write to the home directory and read from hidden places".to_owned());
        }
        CredentialSource::File(file) => Some(file),
        CredentialSource::Inline(_) => None,
    };
    let shown = |path: &Path| clean(&path.to_string_lossy()).into_owned();
    let Installation { program, config: file, state_dir, socket, data_dir, linked } = installation;
    if let Some(folder) = linked.iter().find(|folder| text("it", folder).is_err()) {
        return Some(format!("a link leads to `{}`, which cannot stand in a service file", shown(folder)));
    }
    let mut needed: Vec<(&str, &Path)> = vec![
        ("the daemon's program", Path::new(program)),
        ("the configuration file", Path::new(file)),
        ("the state directory", Path::new(state_dir)),
        ("the socket", Path::new(socket)),
        ("the data directory", Path::new(data_dir)),
    ];
    needed.extend(linked.iter().map(|folder| ("what a link in its folders leads to", &**folder)));
    needed.extend(discovery.roots.iter().map(|root| ("one of `sync_daemon.discovery.roots`", &**root)));
    needed.extend(discovery.rules_dir.as_deref().map(|folder| ("`sync_daemon.discovery.rules_dir`", folder)));
    needed.extend(token.map(|file| ("the file of the access token", file)));
    needed.extend(cloud.ca_bundle.as_deref().map(|file| ("`cloud_sync.ca_bundle`", file)));
    let hidden = hidden(places.home.as_deref());
    needed.into_iter().find_map(|(what, path)| {
        let folder = hides(path, &hidden)?;
        let over = if path.starts_with(folder) { "" } else { ", which leads there" };
        Some(format!(
            "it hides `{}` from the daemon, and {what} is `{}`{over}; have that elsewhere and install again",
            shown(folder),
            shown(path)
        ))
    })
}

/// The hidden folder that is passed on the way to a path.
fn hides<'a>(path: &Path, hidden: &'a [PathBuf]) -> Option<&'a Path> {
    let steps = steps(path);
    hidden.iter().map(PathBuf::as_path).find(|folder| steps.iter().any(|step| step.starts_with(folder)))
}

/// The folders that the daemon would not see: those of the drop-in, by their names and where they really are, and the
/// temporary files, of which it would have its own.
fn hidden(home: Option<&Path>) -> Vec<PathBuf> {
    let mut hidden: Vec<PathBuf> = ["/tmp", "/var/tmp"].map(PathBuf::from).to_vec();
    let real = home.and_then(|home| home.canonicalize().ok());
    for home in home.into_iter().chain(real.as_deref()) {
        hidden.extend(render::hidden_at_home().map(|name| home.join(name)));
    }
    let real: Vec<PathBuf> = hidden.iter().filter_map(|folder| folder.canonicalize().ok()).collect();
    hidden.extend(real);
    hidden
}

/// The path, and everything that the system passes on the way to it, over links: one that is hidden hides the path.
fn steps(path: &Path) -> Vec<PathBuf> {
    /// As many links as Linux follows.
    const MOST_LINKS: usize = 40;
    let backwards = |path: &Path| -> Vec<OsString> {
        path.components().rev().map(|component| component.as_os_str().to_owned()).collect()
    };
    let mut steps = vec![path.to_owned()];
    let (mut here, mut rest, mut links) = (PathBuf::new(), backwards(path), 0);
    while let Some(component) = rest.pop() {
        if component == ".." {
            here.pop();
            continue;
        }
        here.push(component);
        steps.push(here.clone());
        if links < MOST_LINKS
            && let Ok(to) = here.read_link()
        {
            links += 1;
            here.pop();
            rest.extend(backwards(&to));
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::plain;

    fn places(home: &str) -> Places {
        Places::find(&sync_config::PlaceFlags::default(), &|_| None, Some(Path::new(home)))
            .expect("a home is enough")
    }

    #[test]
    fn what_would_break_in_the_sandbox_keeps_the_daemon_out_of_it() {
        let roots = |roots: &[&str]| {
            let mut config = Config::default();
            config.sync_daemon.discovery.roots = roots.iter().map(PathBuf::from).collect();
            config
        };
        let mut command = roots(&["/home/ada/x"]);
        command.cloud_sync.credential_command = Some(vec!["x".to_owned()]);
        let with = |change: fn(&mut Config)| {
            let mut config = roots(&[]);
            change(&mut config);
            config
        };
        let token = with(|config| config.cloud_sync.auth_token_file = Some("/home/ada/.ssh/token".into()));
        let bundle = with(|config| config.cloud_sync.ca_bundle = Some("/home/ada/.docker/ca.pem".into()));
        let rules =
            with(|config| config.sync_daemon.discovery.rules_dir = Some("/home/ada/x/../.kube/rules".into()));
        let temporary = with(|config| config.sync_daemon.discovery.rules_dir = Some("/var/tmp/rules".into()));
        let alike = with(|config| config.cloud_sync.auth_token_file = Some("/home/ada/.sshx/.ssh".into()));
        let moved = Installation { state_dir: "/tmp/state".to_owned(), ..plain() };
        let leads_to = |folder: &str| Installation { linked: vec![folder.into()], ..plain() };
        for (installation, config, expected) in [
            (plain(), roots(&["/home/ada/x", "/tmpfiles", "/home/ada"]), None),
            (plain(), roots(&["/home/ada/x", "/tmp/y"]), Some("/tmp/y")),
            (plain(), roots(&["/home/ada/.aws/x"]), Some("hides `/home/ada/.aws`")),
            (plain(), command, Some("credential_command")),
            (
                plain(),
                token,
                Some("the file of the access token is `/home/ada/.ssh/token`; have that elsewhere"),
            ),
            (plain(), bundle, Some("`cloud_sync.ca_bundle` is `/home/ada/.docker/ca.pem`; have")),
            (plain(), rules, Some("hides `/home/ada/.kube`")),
            (plain(), temporary, Some("rules_dir` is `/var/tmp/rules`")),
            (plain(), alike, None),
            (moved, roots(&[]), Some("/tmp/state")),
            (leads_to("/mnt/logs"), roots(&[]), None),
            (leads_to("/var/tmp/logs"), roots(&[]), Some("/var/tmp/logs")),
            (leads_to("/mnt/a\nb"), roots(&[]), Some("cannot stand in a service file")),
        ] {
            let found = hindrance(&installation, &places("/home/ada"), &config);
            assert_eq!(found.is_some(), expected.is_some(), "{found:?}");
            let found = found.unwrap_or_default();
            assert!(found.contains(expected.unwrap_or_default()), "{found}");
        }
    }

    #[test]
    fn what_a_link_passes_must_not_be_hidden_either() {
        let scratch = tempfile::tempdir().expect("a folder");
        let base = scratch.path().canonicalize().expect("it exists");
        let home = base.join("home");
        for folder in ["home/.ssh", "home/secrets", "home/elsewhere"] {
            std::fs::create_dir_all(base.join(folder)).expect("made");
        }
        let link = |to: &Path, from: &str| std::os::unix::fs::symlink(to, base.join(from)).expect("made");
        link(&home, "link");
        link(Path::new("secrets"), "home/.gnupg");
        for file in ["home/.ssh/token", "home/secrets/token", "home/elsewhere/token"] {
            std::fs::write(base.join(file), "x").expect("written");
        }
        link(&home.join(".ssh/token"), "home/one");
        link(Path::new("one"), "home/two");
        link(Path::new(".ssh"), "home/folder");
        link(&home.join("elsewhere/token"), "home/.ssh/through");
        link(Path::new(".ssh/through"), "home/three");
        link(Path::new("../home/elsewhere/token"), "home/four");
        link(Path::new("five"), "home/five");
        for named in ["home", "link"] {
            let mut hidden = hidden(Some(&base.join(named)));
            // The scratch folder may lie among these.
            hidden.retain(|folder| !base.starts_with(folder));
            for (token, is_hidden) in [
                ("home/.ssh/token", true),
                ("link/.ssh/token", true),
                ("home/one", true),
                ("home/two", true),
                ("link/two", true),
                ("home/folder/token", true),
                ("home/secrets/token", true),
                ("home/three", true),
                ("home/four", false),
                ("home/five", false),
                ("link/absent", false),
            ] {
                let found = hides(&base.join(token), &hidden);
                assert_eq!(found.is_some(), is_hidden, "{named}, {token}: {found:?}");
            }
        }
    }

    #[test]
    fn the_question_reads_as_it_is_typed() {
        let shown = question("/home/a da").to_string();
        assert!(
            shown.ends_with(r#"'--property=ReadOnlyPaths="/home/a da"' test '!' -w '/home/a da'"#),
            "{shown}"
        );
    }
}
