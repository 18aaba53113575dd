//! `service install` beside links and files for which the drop-in would be too strict.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::service::systemd;
use crate::support::Home;

#[test]
fn the_sandbox_lets_the_daemon_write_where_its_links_lead() {
    let home = Home::outside_of_temporary_files();
    if home.path().starts_with("/tmp") || home.path().starts_with("/var/tmp") {
        eprintln!(
            "SKIPPED the_sandbox_lets_the_daemon_write_where_its_links_lead: the build folder is a temporary one"
        );
        return;
    }
    systemd(&home, "inactive");
    home.program("systemd-run", "");
    let (state, data, disk) =
        (home.path().join("state"), home.path().join(".coditect-data"), home.path().join("disk"));
    for folder in [&state, &data, &disk.join("logs"), &disk.join("context-storage"), &disk.join("db")] {
        fs::create_dir_all(folder).expect("made");
    }
    fs::write(disk.join("db/sync.db"), "").expect("written");
    for (to, link) in [
        ("logs", state.join("logs")),
        ("db/sync.db", state.join("sync.db")),
        ("context-storage", data.join("context-storage")),
    ] {
        std::os::unix::fs::symlink(disk.join(to), link).expect("made");
    }
    let output = home
        .command(&["service", "install", "--dry-run"])
        .env("CODITECT_SYNC_STATE_DIR", &state)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).replace(&home.path().display().to_string(), "HOME");
    let line = said.lines().find(|line| line.contains("ReadWritePaths=")).unwrap_or_default().trim();
    assert!(
        line.starts_with(r#"ReadWritePaths="-HOME/state" "-HOME/.coditect-data" "-HOME/state""#),
        "{said}"
    );
    let mut linked: Vec<&str> = line.split(' ').skip(3).collect();
    linked.sort_unstable();
    assert_eq!(linked, [r#""-HOME/disk/context-storage""#, r#""-HOME/disk/db""#, r#""-HOME/disk/logs""#]);
}

/// The token that `auth set-token` writes is a link into a folder that the drop-in hides.
#[test]
fn the_sandbox_is_left_out_where_it_would_hide_the_token() {
    let home = Home::outside_of_temporary_files();
    if home.path().starts_with("/tmp") || home.path().starts_with("/var/tmp") {
        eprintln!(
            "SKIPPED the_sandbox_is_left_out_where_it_would_hide_the_token: the build folder is a temporary one"
        );
        return;
    }
    systemd(&home, "inactive");
    home.program("systemd-run", "");
    let hidden = home.path().join(".password-store");
    fs::create_dir(&hidden).expect("made");
    fs::write(hidden.join("token"), "x").expect("written");
    std::os::unix::fs::symlink(hidden.join("token"), home.path().join("token")).expect("made");
    let note = || {
        let run = home.run(&["service", "install", "--dry-run"]);
        assert_eq!(run.stdout.contains("50-sandbox.conf"), !run.stderr.contains("sandbox"), "{run}");
        run.stderr.lines().find(|line| line.contains("sandbox")).unwrap_or_default().to_owned()
    };
    assert_eq!(
        note(),
        "note: the stricter sandbox is left out: it hides `HOME/.password-store` from the daemon, and the file of the \
         access token is `HOME/token`, which leads there; have that elsewhere and install again"
    );
    // With the token in the configuration the file is not read.
    fs::create_dir_all(home.path().join(".coditect/config")).expect("made");
    let config = home.path().join(".coditect/config/config.json");
    fs::write(&config, r#"{"cloud_sync": {"auth_token": "x"}}"#).expect("written");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).expect("set");
    assert_eq!(note(), "");
}
