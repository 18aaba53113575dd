//! Whether the daemon can be put into the sandbox that needs a user namespace.
//!
//! Where the system refuses such namespaces the unit would not start, and where it only pretends they would protect
//! nothing; so a unit of the same manager is started with such lines, and it is looked whether they hold.

use std::path::Path;

use sync_config::Config;

use super::{Installation, text};
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
pub(crate) fn hindrance(installation: &Installation, config: Option<&Config>) -> Option<String> {
    let Installation { program, config: file, state_dir, socket, data_dir, linked } = installation;
    let mut places: Vec<&Path> = [program, file, state_dir, socket, data_dir].map(Path::new).to_vec();
    places.extend(linked.iter().map(std::path::PathBuf::as_path));
    if let Some(folder) = linked.iter().find(|folder| text("it", folder).is_err()) {
        return Some(format!(
            "a link leads to `{}`, which cannot stand in a service file",
            clean(&folder.to_string_lossy())
        ));
    }
    if let Some(config) = config {
        if config.cloud_sync.credential_command.is_some() {
            return Some("`cloud_sync.credential_command` would run in it, and such programs write to the home directory and read from hidden places".to_owned());
        }
        places.extend(config.sync_daemon.discovery.roots.iter().map(std::path::PathBuf::as_path));
        places.extend(config.cloud_sync.auth_token_file.as_deref());
        places.extend(config.cloud_sync.ca_bundle.as_deref());
    }
    let temporary = |path: &&&Path| path.starts_with("/tmp") || path.starts_with("/var/tmp");
    let found = places.iter().find(temporary)?;
    Some(format!("`{}` is among the temporary files, of which it would have its own", found.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::plain;

    #[test]
    fn what_would_break_in_the_sandbox_keeps_the_daemon_out_of_it() {
        let roots = |roots: &[&str]| {
            let mut config = Config::default();
            config.sync_daemon.discovery.roots = roots.iter().map(std::path::PathBuf::from).collect();
            config
        };
        let mut command = roots(&["/home/ada/x"]);
        command.cloud_sync.credential_command = Some(vec!["x".to_owned()]);
        let moved = Installation { state_dir: "/tmp/state".to_owned(), ..plain() };
        let leads_to = |folder: &str| Installation { linked: vec![folder.into()], ..plain() };
        for (installation, config, expected) in [
            (plain(), roots(&["/home/ada/x", "/tmpfiles"]), None),
            (plain(), roots(&["/home/ada/x", "/tmp/y"]), Some("/tmp/y")),
            (plain(), command, Some("credential_command")),
            (moved, roots(&[]), Some("/tmp/state")),
            (leads_to("/mnt/logs"), roots(&[]), None),
            (leads_to("/var/tmp/logs"), roots(&[]), Some("/var/tmp/logs")),
            (leads_to("/mnt/a\nb"), roots(&[]), Some("cannot stand in a service file")),
        ] {
            let found = hindrance(&installation, Some(&config));
            assert_eq!(found.is_some(), expected.is_some(), "{found:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()));
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
