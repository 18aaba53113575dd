//! A small fleet of daemons after each kind of outage: the cloud's limit is kept, nothing comes in waves, and all of it is
//! delivered in a small multiple of the least time.
//!
//! The simulation is that of `examples/fleet`, which runs a hundred thousand and draws pictures.
#![cfg(test)]

#[path = "../examples/fleet/client.rs"]
mod client;
#[path = "../examples/fleet/cloud.rs"]
mod cloud;
#[path = "../examples/fleet/daemon.rs"]
mod daemon;
#[path = "../examples/fleet/earlier.rs"]
mod earlier;
#[path = "../examples/fleet/figures.rs"]
mod figures;
#[path = "../examples/fleet/scene.rs"]
mod scene;
#[path = "../examples/fleet/series.rs"]
mod series;
#[path = "../examples/fleet/simulation.rs"]
mod simulation;

use std::time::Duration;

use client::Client;
use daemon::Daemon;
use earlier::Earlier;
use figures::Figures;
use scene::Size;
use series::sum;
use simulation::run;

/// A fiftieth of the fleet before a fiftieth of the cloud.
const SIZE: Size =
    Size { machines: 2_000, limit: 20, capacity: 100, outage: Duration::from_mins(10), seed: 1 };

fn figures<C: Client>(name: &str, size: Size) -> Figures {
    let scene = scene::all(size).into_iter().find(|scene| scene.name == name);
    let scene = scene.unwrap_or_else(|| panic!("there is no scene `{name}`"));
    let run = run::<C>(&scene, size);
    let figures = Figures::of(&run, &scene, size);
    println!("{}: {}", scene.what, figures.row(name, "", 1));
    if figures.never == 0 {
        let delivered = sum(&run.delivered.between(0, run.until / 1_000 + 1));
        assert_eq!(delivered, run.entries, "{name}: each entry arrives once");
    }
    figures
}

#[test]
fn after_an_outage_the_limit_is_kept_nothing_comes_in_waves_and_all_arrives_soon() {
    // The share of seconds over the limit that noise alone makes is a few in a hundred in so small a fleet.
    for (name, over, wasted) in [
        ("outage", 0.08, 0.08),
        ("busy", 0.08, 0.08),
        ("power-on", 0.08, 0.08),
        ("silent", 0.10, 0.30),
        ("slow", 0.08, 0.08),
        ("minute", 0.10, 0.08),
    ] {
        let figures = figures::<Daemon>(name, SIZE);
        assert_eq!(figures.never, 0, "{name}: some are never done");
        assert!(figures.over <= over, "{name}: {} of the seconds are over the limit", figures.over);
        assert!(figures.wasted <= wasted, "{name}: {} of the requests are in vain", figures.wasted);
        assert!(figures.waves.0 < 0.3, "{name}: waves {:?}", figures.waves);
        assert!(figures.last <= 5.0 * figures.ideal, "{name}: {} s for {} s", figures.last, figures.ideal);
        assert!(figures.later_peak <= 3 * SIZE.limit, "{name}: a peak of {}", figures.later_peak);
    }
}

#[test]
fn a_network_that_is_back_for_all_at_once_brings_one_wave_and_a_cloud_that_asked_for_it_none() {
    for (name, peak) in [("partition", SIZE.machines), ("asked", 5 * SIZE.limit)] {
        let figures = figures::<Daemon>(name, SIZE);
        assert_eq!(figures.never, 0, "{name}: some are never done");
        assert!(figures.peak <= peak + SIZE.limit, "{name}: a peak of {}", figures.peak);
        assert!(figures.later_peak <= 5 * SIZE.limit, "{name}: then one of {}", figures.later_peak);
        assert!(figures.waves.0 < 0.3, "{name}: waves {:?}", figures.waves);
        assert!(figures.last <= 5.0 * figures.ideal, "{name}: {} s for {} s", figures.last, figures.ideal);
    }
}

/// The measure can tell a policy that does harm from one that does not.
#[test]
fn the_earlier_clients_policy_is_seen_to_do_harm() {
    let figures = figures::<Earlier>("outage", SIZE.part(100));
    assert!(figures.never > 0 && figures.over > 0.7 && figures.wasted > 0.9, "{figures:?}");
}
