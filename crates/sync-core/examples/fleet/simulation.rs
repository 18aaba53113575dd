//! Runs a fleet through a scene in invented time: a heap of events, one machine at a time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use sync_core::backoff::Throws;

use crate::client::{Client, Doing};
use crate::cloud::{Cloud, Said};
use crate::scene::{Scene, Size, load};
use crate::series::Series;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Start,
    LinkUp,
    /// Only the wake that was asked for last counts.
    Wake(u32),
    Arrives,
    Lands,
}

struct Machine<C> {
    client: C,
    wakes: u32,
    waiting: u32,
    sent_at: i64,
    entries: u32,
    said: Said,
}

/// What came of a scene.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) offered: Series,
    pub(crate) taken: Series,
    pub(crate) delivered: Series,
    /// When each machine's last entry was delivered, in order, in milliseconds of the run.
    pub(crate) finished: Vec<i64>,
    pub(crate) machines: u32,
    pub(crate) entries: u64,
    /// Requests that reached the cloud from its return on, and those of them that brought it nothing new.
    pub(crate) requests: u64,
    pub(crate) wasted: u64,
    /// How long the run was followed.
    pub(crate) until: i64,
}

/// A run is followed at most so long after the cloud's return.
const FOLLOWED: i64 = 6 * 3_600_000;

struct Fleet<C> {
    machines: Vec<Machine<C>>,
    events: BinaryHeap<Reverse<(i64, u32, Kind)>>,
    throws: Throws,
}

/// Runs a fleet of one kind through a scene.
pub(crate) fn run<C: Client>(scene: &Scene, size: Size) -> Run {
    let load = load(size);
    let mut fleet = Fleet::<C>::new(scene, size, &load);
    let mut cloud = Cloud::new(scene.rules.clone());
    let hints = cloud.hints();
    let mut run = Run {
        offered: Series::default(),
        taken: Series::default(),
        delivered: Series::default(),
        finished: Vec::new(),
        machines: size.machines,
        entries: load.iter().copied().map(u64::from).sum(),
        requests: 0,
        wasted: 0,
        until: 0,
    };
    while let Some(Reverse((now, number, kind))) = fleet.events.pop() {
        if now > scene.back.saturating_add(FOLLOWED) {
            break;
        }
        let dice = fleet.throws.draw();
        let machine = &mut fleet.machines[number as usize];
        match kind {
            Kind::Start => {
                if let Some(link_up) = scene.link_up {
                    fleet.events.push(Reverse((link_up, number, Kind::LinkUp)));
                }
                let doing = machine.client.start(hints, now, dice);
                fleet.does(number, now, doing);
            }
            Kind::LinkUp => {
                let doing = machine.client.link_up(now, dice);
                fleet.does(number, now, doing);
            }
            Kind::Wake(wakes) if wakes == machine.wakes => {
                let doing = machine.client.wake(now, dice);
                fleet.does(number, now, doing);
            }
            Kind::Wake(_) => {}
            Kind::Arrives => {
                let reply = cloud.ask(now, machine.entries);
                machine.said = reply.said;
                fleet.events.push(Reverse((now + reply.after + way(dice), number, Kind::Lands)));
            }
            Kind::Lands => {
                let took = Duration::from_millis(u64::try_from(now - machine.sent_at).unwrap_or(0));
                let came = machine.client.land(machine.said, hints, took, now, dice);
                machine.waiting = machine.waiting.saturating_sub(came.delivered);
                if machine.sent_at >= scene.back {
                    run.requests += 1;
                    run.wasted += u64::from(came.delivered == 0);
                }
                if came.delivered > 0 {
                    run.until = now;
                    run.delivered.add(now, came.delivered);
                    if machine.waiting == 0 {
                        run.finished.push(now);
                    }
                }
                fleet.does(number, now, came.doing);
            }
        }
    }
    (run.offered, run.taken) = (cloud.offered, cloud.taken);
    run
}

impl<C: Client> Fleet<C> {
    fn new(scene: &Scene, size: Size, load: &[u32]) -> Self {
        let mut throws = Throws::new(size.seed);
        let (mut machines, mut events) = (Vec::with_capacity(load.len()), BinaryHeap::new());
        for (number, entries) in (0..).zip(load) {
            let starts_at = spread(scene.starts_over, throws.draw());
            let made = spread(scene.made_over, throws.draw());
            machines.push(Machine {
                client: C::new(number, *entries, made),
                wakes: 0,
                waiting: *entries,
                sent_at: 0,
                entries: 0,
                said: Said::Done,
            });
            events.push(Reverse((starts_at, number, Kind::Start)));
        }
        Self { machines, events, throws }
    }

    fn does(&mut self, number: u32, now: i64, doing: Doing) {
        let machine = &mut self.machines[number as usize];
        match doing {
            Doing::Sends(entries) => {
                machine.wakes += 1;
                (machine.sent_at, machine.entries) = (now, entries);
                let at = now + way(self.throws.draw());
                self.events.push(Reverse((at, number, Kind::Arrives)));
            }
            Doing::Waits(until) => {
                machine.wakes += 1;
                self.events.push(Reverse((until.max(now), number, Kind::Wake(machine.wakes))));
            }
            Doing::Rests => {}
        }
    }
}

/// One way to the cloud or back.
fn way(dice: u64) -> i64 {
    i64::try_from(10 + dice % 40).unwrap_or(0)
}

fn spread(over: i64, dice: u64) -> i64 {
    i64::try_from(dice % over.max(1).cast_unsigned()).unwrap_or(0)
}
