//! A socket whose whole folder is removed, with and without a sandbox that knows only the old one.

use std::fs;

use serde_json::json;

use crate::daemon::{Daemon, Home, until};
use crate::raw::get;

#[test]
fn a_socket_folder_that_is_removed_is_made_anew_or_it_is_said_what_to_do() {
    let removed = |managed: bool, sandbox: &str| {
        let home = Home::with_socket_apart();
        let (path, folder) = (home.socket().to_path_buf(), home.path().join("run"));
        let config = format!(r#"{{"sync_daemon": {{"sandbox": "{sandbox}"}}}}"#);
        fs::write(home.path().join("config.json"), config).expect("the configuration");
        let daemon = Daemon::start_with(home, |mut command| {
            command.arg("--socket").arg(&path);
            if managed {
                command.env("CODITECT_SYNC_MANAGER", "systemd");
            }
            command
        });
        let diagnostics = get(daemon.socket(), "/v1/diagnostics").json();
        let confined = diagnostics["sandbox"]["confined"] == json!(true);
        // The daemon may bind anew between the end of the socket and that of its folder.
        until("it is removed", || fs::remove_dir_all(&folder).is_ok());
        (daemon, confined)
    };
    let (daemon, _) = removed(false, "off");
    until("the socket is back", || daemon.socket().exists());
    assert_eq!(get(daemon.socket(), "/v1/queue").status, 200);

    let (daemon, confined) = removed(false, "auto");
    if !confined {
        eprintln!("SKIPPED the rest of a_socket_folder_that_is_removed…: this system has no Landlock");
        return;
    }
    until("it says what to do", || {
        daemon.log().contains("its sandbox knows no other: start the daemon again")
    });
    let (mut daemon, _) = removed(true, "auto");
    assert_eq!(daemon.wait(), Some(79), "{}", daemon.log());
    assert!(daemon.log().contains("to be started again: the folder of its control socket was removed"));
}
