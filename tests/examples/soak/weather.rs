//! The link, the cloud and the person at the machine: what changes every few seconds around the daemon.

use coditect_devcloud::Fault;
use sync_tests::{Dice, Link};
use sync_wire::{Call, FlushRequest, PauseRequest, ScanRequest};

use crate::stage::Stage;

/// Lets the way to the cloud, and the cloud, behave differently all the time.
pub(crate) fn weather(stage: &Stage) {
    let mut dice = Dice::of(stage.seed, 4);
    loop {
        let fault = match dice.below(20) {
            // Mostly good, so that something gets through.
            0..=7 => None,
            8..=9 => {
                stage.link.weather(40);
                stage.did("bad network");
                None
            }
            10 => {
                stage.link.link(Link::Refusing);
                stage.did("refused");
                None
            }
            11 => {
                stage.link.link(Link::Silent);
                stage.did("silent");
                None
            }
            12 => Some(Fault::retry_after(429, "1")),
            13 => Some(Fault::retry_after(503, "1")),
            14 => Some(Fault::status(503)),
            15 => Some(Fault::status(500)),
            16 => Some(Fault::HtmlPage),
            17 => Some(Fault::Hang),
            18 => Some(Fault::Latency { ms: 300 }),
            _ => Some(Fault::Accepted { registered_after_ms: 500, hidden: dice.percent(50) }),
        };
        if let Some(fault) = &fault {
            stage.did(fault.name());
        }
        stage.cloud_fails(fault);
        let goes_on = stage.rest(stage.beat);
        good(stage);
        if !goes_on {
            return;
        }
        if !stage.rest(stage.beat / 2) {
            return;
        }
    }
}

/// All is well, but for what the cloud always refuses.
pub(crate) fn good(stage: &Stage) {
    stage.link.link(Link::Up);
    stage.link.weather(0);
    stage.cloud_fails(None);
}

/// A person who pauses, resumes, flushes, scans, and changes the configuration.
pub(crate) fn person(stage: &Stage) {
    let mut dice = Dice::of(stage.seed, 5);
    let mut client = stage.client();
    let file = stage.home.config_file();
    let text = std::fs::read_to_string(file).expect("the configuration");
    let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    while stage.rest(stage.beat * 2) {
        match dice.below(6) {
            0 => {
                let request = PauseRequest { reason: Some("soak".to_owned()), ..PauseRequest::default() };
                stage.ask("pause", || client.accomplish(&Call::pause(&request)));
                stage.rest(stage.beat / 2);
                stage.ask("resume", || client.accomplish(&Call::resume()));
            }
            1 | 2 => {
                let size = *dice.one_of(&[20, 50, 100]);
                config["cloud_sync"]["batch_size"] = size.into();
                stage.home.write_config_text(&config.to_string());
                reload(stage);
            }
            3 => drop(stage.ask("flush", || client.flush(&FlushRequest { wait_ms: Some(500) }))),
            4 => drop(stage.ask("scan", || client.scan(&ScanRequest::default()))),
            _ => drop(stage.ask("retry dead", || client.accomplish(&Call::retry_dead()))),
        }
    }
    stage.ask("resume", || client.accomplish(&Call::resume()));
}

/// As an administrator does it.
fn reload(stage: &Stage) {
    let pid = i32::try_from(stage.pid()).ok().and_then(rustix::process::Pid::from_raw);
    // A daemon that was just killed reads it when it starts.
    if pid.is_some_and(|pid| rustix::process::kill_process(pid, rustix::process::Signal::HUP).is_ok()) {
        stage.did("reload by signal");
    }
}
