//! The daemon is asked to stop, politely and not.

use coditect_devcloud::{Fault, Rule};
use sync_tests::{Daemon, until};

use crate::{queue, world};

#[test]
fn a_stop_waits_for_what_is_in_the_air_but_not_longer_than_the_grace() {
    let (mut home, cloud) = world();
    home.set_daemon("shutdown_grace", "1s");
    cloud.faults().add(Rule::new(Fault::Hang)).unwrap();
    home.project("api");
    let daemon = Daemon::start(&home);
    until("it is in the air", || (queue(&home, "in_flight") == 1).then_some(()));
    daemon.signal("TERM");
    let ended = daemon.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(!home.state().join("sync.sock").exists(), "the socket is gone");

    cloud.faults().clear();
    let daemon = Daemon::start(&home);
    until("it is delivered after all", || (cloud.projects().len() == 1).then_some(()));
    daemon.finish();
}

#[test]
fn the_second_signal_does_not_wait() {
    let (mut home, cloud) = world();
    home.set_daemon("shutdown_grace", "10m");
    cloud.faults().add(Rule::new(Fault::Hang)).unwrap();
    home.project("api");
    let daemon = Daemon::start(&home);
    until("it is in the air", || (queue(&home, "in_flight") == 1).then_some(()));
    daemon.signal("INT");
    until("the first signal is heard", || daemon.log().contains("stopping").then_some(()));
    daemon.signal("TERM");
    let ended = daemon.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
}

#[test]
fn the_command_line_stops_it_and_every_start_finds_the_place_free() {
    let (home, _cloud) = world();
    for _ in 0..3 {
        let daemon = Daemon::start(&home);
        assert_eq!(home.run(&["stop"]).code, 0);
        assert_eq!(daemon.ended().code, Some(0));
    }
}
