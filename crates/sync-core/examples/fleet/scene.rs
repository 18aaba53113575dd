//! What happens to the fleet: when the cloud is away, when machines start, what the cloud bears.

use std::time::Duration;

use sync_core::Hints;
use sync_core::backoff::{Throws, unit};

use crate::cloud::{Away, Rules, Window};
use crate::series::float;

/// What a run is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Size {
    pub(crate) machines: u32,
    /// Requests a second the cloud takes.
    pub(crate) limit: u32,
    /// Entries a second the cloud works off.
    pub(crate) capacity: u32,
    /// How long the cloud is away, where a scene does not say.
    pub(crate) outage: Duration,
    pub(crate) seed: u64,
}

impl Size {
    /// The same cloud for each machine, with fewer machines.
    pub(crate) fn part(self, machines: u32) -> Self {
        let share = |of: u32| u64::from(of) * u64::from(machines) / u64::from(self.machines.max(1));
        let share = |of: u32| u32::try_from(share(of)).unwrap_or(u32::MAX).max(1);
        Self { machines, limit: share(self.limit), capacity: share(self.capacity), ..self }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) rules: Rules,
    /// From when the cloud is there, in milliseconds of the run: drains are measured from here.
    pub(crate) back: i64,
    /// Over how long machines start, from the beginning.
    pub(crate) starts_over: i64,
    /// Over how long entries are made, from the beginning; a machine's are made together.
    pub(crate) made_over: i64,
    /// When the network says that it is there again, on every machine at once.
    pub(crate) link_up: Option<i64>,
}

const MINUTE: i64 = 60_000;
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Every scene, in the order they are told.
pub(crate) fn all(size: Size) -> Vec<Scene> {
    let outage = i64::try_from(size.outage.as_millis()).unwrap_or(i64::MAX / 4);
    let eight_hours = 8 * 60 * MINUTE;
    let away = |how: Away| vec![(0, outage, how)];
    let rules = |away| Rules {
        limit: size.limit,
        window: Window::Second(RETRY_AFTER),
        capacity: size.capacity,
        latency: Duration::from_millis(50),
        away,
        hints: Hints::default(),
    };
    let scene = |name, what, rules| Scene {
        name,
        what,
        rules,
        back: outage,
        starts_over: MINUTE,
        made_over: outage / 2,
        link_up: None,
    };
    let refused = scene("outage", "the cloud refuses connections, then is back", rules(away(Away::Refuses)));
    let long = rules(vec![(0, eight_hours, Away::Refuses)]);
    let busy = Away::Busy(Duration::from_mins(2));
    let busy = rules(vec![(0, outage * 5 / 6, Away::Refuses), (outage * 5 / 6, outage, busy)]);
    let partition = scene(
        "partition",
        "no route; the network is back for all machines at the same moment, and says so",
        rules(away(Away::NoRoute)),
    );
    let mut asked = rules(away(Away::NoRoute));
    asked.hints = Hints { link_up_spread: Some(Duration::from_mins(1)), probe_cap: None };
    let mut slow = rules(away(Away::Refuses));
    slow.latency = Duration::from_secs(5);
    let mut minute = rules(away(Away::Refuses));
    minute.window = Window::Minute;
    let power = Scene {
        back: 0,
        starts_over: 5 * MINUTE,
        made_over: 0,
        ..scene("power-on", "all machines are switched on within five minutes", rules(Vec::new()))
    };
    vec![
        refused.clone(),
        Scene {
            back: eight_hours,
            made_over: eight_hours / 2,
            ..scene("long-outage", "the same for eight hours", long)
        },
        scene("busy", "the last sixth of the outage is 503 with `Retry-After: 120`", busy),
        power,
        Scene { link_up: Some(outage), ..partition.clone() },
        Scene {
            link_up: Some(outage),
            ..scene("asked", "the same; the cloud has asked for a spread of 60 s", asked)
        },
        scene("silent", "packets are lost; no machine hears when that ends", rules(away(Away::Silent))),
        scene("slow", "as the first, and every answer takes 5 s", slow),
        scene("minute", "as the first; the limit is kept by the full minute, and 429 names its end", minute),
    ]
}

/// How many entries wait on a machine: from 1 to 1,000, half of the machines have one, a tenth ten or more, a hundredth a
/// hundred or more.
pub(crate) fn entries(dice: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 1,000")]
    let entries = (1.0 / (1.0 - unit(dice))).floor().clamp(1.0, 1_000.0) as u32;
    entries
}

/// Entries of each machine of a fleet.
pub(crate) fn load(size: Size) -> Vec<u32> {
    let mut throws = Throws::new(Throws::new(size.seed).draw());
    (0..size.machines).map(|_| entries(throws.draw())).collect()
}

/// The least seconds in which this can be delivered by whoever knows the whole fleet: the work, or a request for each
/// hundred entries of a machine.
pub(crate) fn ideal(size: Size, load: &[u32]) -> f64 {
    let entries: u64 = load.iter().copied().map(u64::from).sum();
    let requests: u64 = load.iter().map(|entries| u64::from(entries.div_ceil(100))).sum();
    (float(entries) / f64::from(size.capacity)).max(float(requests) / f64::from(size.limit))
}
