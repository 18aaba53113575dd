//! What is held back for as long as the machine, the disk or the cloud is not in a state for it; each with who, why and
//! until when.
//!
//! The machine's own state is looked at when it matters: before something is sent, before a sweep, and for a status;
//! never on a timer while nothing is held back.

use std::pin::Pin;
use std::time::Duration;

use sync_core::hold::{Held, Hold, Holds, OnBattery, Power, Surroundings, Turned};
use sync_core::{Failure, Timestamp};

use super::api::{CloudState, HoldView};
use super::discover::Strain;
use super::{DeliveryView, Engine, locked};
use crate::blocking::{Blocked, blocking};

/// For so long what was seen of the machine counts.
const FRESH: Duration = Duration::from_secs(30);
/// A look is waited for no longer than this: the bus tells within half a second, but a battery is free to hang, and who asks
/// how things stand waits for two seconds.
const PATIENCE: Duration = Duration::from_millis(700);
/// While sending is held back the machine is looked at again after this.
pub(super) const LOOK_AGAIN: Duration = Duration::from_mins(5);

/// How the machine stood when it was looked at last.
#[derive(Debug, Default)]
pub(super) struct Standing {
    holds: Holds,
    seen: Surroundings,
    looked_at: Option<Timestamp>,
    /// Grows with everything that makes a look worth nothing that began before it.
    news: u64,
}

/// The look that is under way, if one is: there is never more than one.
#[derive(Default)]
pub(super) struct Looking(tokio::sync::Mutex<Option<Look>>);

struct Look {
    began: Timestamp,
    /// What [`Standing::news`] was when it began.
    news: u64,
    /// Stays as it is when who waits for it goes away.
    seen: Pin<Box<dyn Future<Output = Result<Surroundings, Blocked>> + Send>>,
}

/// What a look came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Looked {
    /// How the machine stands is known as well as it can be at present.
    AsFarAsCanBe,
    /// Something happened after it began, or that was long ago.
    Overtaken,
}

impl std::fmt::Debug for Looking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Looking")
    }
}

impl Engine {
    /// Looks how the machine stands, unless it was looked at a moment ago. Who comes while somebody looks waits for that
    /// look, and a look that takes its time is waited for no longer than [`PATIENCE`]: until it has come to its end what
    /// was seen before stands.
    pub(super) async fn look_around(&self) {
        if !self.looked_a_moment_ago() && self.look().await == Looked::Overtaken {
            self.look().await;
        }
    }

    async fn look(&self) -> Looked {
        let mut looking = self.0.looking.0.lock().await;
        if self.looked_a_moment_ago() {
            return Looked::AsFarAsCanBe;
        }
        let look = looking.get_or_insert_with(|| self.begin_look());
        let Ok(outcome) = tokio::time::timeout(PATIENCE, look.seen.as_mut()).await else {
            tracing::debug!("how the machine stands takes its time to be told");
            locked(&self.0.standing).looked_at = Some(self.now());
            return Looked::AsFarAsCanBe;
        };
        let (began, news) = (look.began, look.news);
        *looking = None;
        let (now, wanted, could_look) = (self.now(), self.settings().wanted(), outcome.is_ok());
        let turned = {
            let mut standing = locked(&self.0.standing);
            if could_look && standing.news == news {
                // What is seen counts from before the look.
                standing.looked_at = Some(began);
            }
            // Where nobody could look, what was seen last stands.
            standing.seen = outcome.unwrap_or(standing.seen);
            let seen = standing.seen;
            standing.holds.see(seen, wanted, now)
        };
        drop(looking);
        self.tell_turned(&turned).await;
        if could_look && !self.looked_a_moment_ago() { Looked::Overtaken } else { Looked::AsFarAsCanBe }
    }

    fn begin_look(&self) -> Look {
        let (around, wanted) = (self.0.around.clone(), self.settings().wanted());
        // A battery may take its time to answer, and so may the bus.
        let look = move || Surroundings {
            power: if wanted.on_battery == OnBattery::GoOn { Power::default() } else { around.power() },
            metered: if wanted.rest_on_metered { around.metered() } else { None },
        };
        let news = locked(&self.0.standing).news;
        Look { began: self.now(), news, seen: Box::pin(blocking(look)) }
    }

    fn looked_a_moment_ago(&self) -> bool {
        let (now, looked_at) = (self.now(), locked(&self.0.standing).looked_at);
        looked_at.is_some_and(|looked_at| looked_at <= now && now.since(looked_at) < FRESH)
    }

    /// Looks how the machine stands where that may keep something from being sent.
    pub(super) async fn look_around_before_sending(&self) {
        let wanted = self.settings().wanted();
        let matters = wanted.rest_on_metered || wanted.on_battery == OnBattery::Pause;
        if matters || self.is_held(Held::Sending) {
            self.look_around().await;
        }
    }

    /// What was seen of the machine no longer counts.
    pub(super) fn look_around_anew(&self) {
        let mut standing = locked(&self.0.standing);
        standing.looked_at = None;
        standing.news += 1;
    }

    /// Whether this is held back.
    pub(super) fn is_held(&self, what: Held) -> bool {
        locked(&self.0.standing).holds.keep(what)
    }

    /// What speaks against looks that can wait.
    pub(super) fn strain(&self) -> Strain {
        let wanted = self.settings().wanted();
        let standing = locked(&self.0.standing);
        Strain {
            spare: standing.seen.power.battery && wanted.on_battery != OnBattery::GoOn,
            held: standing.holds.keep(Held::Sweeps),
            load: sync_scan::is_loaded(),
        }
    }

    /// Somebody wants all to go on, whatever the machine's state.
    pub(super) fn lift_holds(&self) {
        let lifted = locked(&self.0.standing).holds.lift();
        if !lifted.is_empty() {
            tracing::info!(reasons = ?lifted, "what was held back goes on until its reason comes anew");
            self.0.discover_wake.wake();
        }
    }

    /// Everything that is held back, the machine's reasons first.
    pub(super) fn held_back(&self, delivery: &DeliveryView) -> Vec<HoldView> {
        let (in_force, charge) = {
            let standing = locked(&self.0.standing);
            (standing.holds.in_force().collect::<Vec<_>>(), standing.seen.power.charge)
        };
        let machine = in_force.into_iter().map(|(hold, since)| of_machine(hold, since, charge));
        let disk = self.0.store.figures().disk_full_since.map(of_disk);
        let credential = (delivery.state == CloudState::AuthRequired)
            .then(|| of_credential(delivery.since, delivery.next_attempt_at, delivery.last_failure.as_ref()));
        machine.chain(disk).chain(credential).chain(self.troubles()).collect()
    }

    async fn tell_turned(&self, turned: &Turned) {
        for hold in &turned.began {
            let HoldView { reason, ends, .. } = of_machine(*hold, self.now(), None);
            if hold.keeps(Held::Sending) {
                tracing::info!(reason, "sending is paused by itself; it goes on {ends}");
                self.record("sending.paused", format!("nothing is sent: {reason}; it goes on {ends}")).await;
            } else {
                tracing::info!(reason, "sweeps are put off by themselves; they go on {ends}");
            }
        }
        for hold in &turned.ended {
            if hold.keeps(Held::Sending) && !self.is_held(Held::Sending) {
                tracing::info!(was = by(*hold), "sending goes on by itself");
                self.record("sending.resumed", "what waits is sent again".to_owned()).await;
            } else if !hold.keeps(Held::Sending) {
                tracing::info!(was = by(*hold), "sweeps go on by themselves");
            }
        }
        if *turned != Turned::default() {
            self.progressed();
            self.0.deliver_wake.wake();
            self.0.discover_wake.wake();
        }
    }
}

/// The words that tell who holds something back, in every document.
pub(crate) const HOLDERS: &[&str] =
    &["battery", "low_battery", "metered", "disk", "credential", "queue", "configuration", "legacy", "log"];

fn by(hold: Hold) -> &'static str {
    match hold {
        Hold::Battery => "battery",
        Hold::LowBattery => "low_battery",
        Hold::Metered => "metered",
    }
}

fn of_machine(hold: Hold, since: Timestamp, charge: Option<u8>) -> HoldView {
    let at = charge.map(|charge| format!(" at {charge} %")).unwrap_or_default();
    let (stops, reason, ends) = match hold {
        Hold::Battery => (
            HoldView::SENDING,
            format!("the machine runs on its battery{at} and `sync_daemon.on_battery` is \"pause\""),
            "when it is on mains, or with `coditect-sync resume`",
        ),
        Hold::LowBattery => (
            HoldView::SWEEPS,
            format!("the machine runs on its battery and that is low{at}"),
            "when it is on mains or charged, or with `coditect-sync resume`",
        ),
        Hold::Metered => (
            HoldView::SENDING,
            "the network costs by the byte and `sync_daemon.on_metered` is \"pause\"".to_owned(),
            "on another network, or with `coditect-sync resume`",
        ),
    };
    HoldView { by: by(hold), stops, since, until: None, reason, ends }
}

fn of_disk(since: Timestamp) -> HoldView {
    HoldView {
        by: "disk",
        stops: HoldView::QUEUEING,
        since,
        until: None,
        reason: "the disk of the state directory is full".to_owned(),
        ends: "when there is room on it",
    }
}

fn of_credential(since: Timestamp, until: Option<Timestamp>, failure: Option<&Failure>) -> HoldView {
    let reason = failure.map_or_else(
        || "there is no token that the cloud takes".to_owned(),
        |failure| failure.message.clone(),
    );
    HoldView {
        by: HoldView::CREDENTIAL,
        stops: HoldView::SENDING,
        since,
        until,
        reason,
        ends: "when there is another token, or the cloud takes this one",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hold_tells_who_what_and_how_it_ends() {
        let holds = [Hold::Battery, Hold::LowBattery, Hold::Metered];
        let machine = holds.map(|hold| of_machine(hold, Timestamp(7), Some(12)));
        let failure =
            Failure { code: "no_token".to_owned(), message: "no token".to_owned(), at: Timestamp(5) };
        let others = [of_disk(Timestamp(7)), of_credential(Timestamp(7), Some(Timestamp(9)), Some(&failure))];
        let views: Vec<HoldView> = machine.into_iter().chain(others).collect();
        let told: Vec<_> = views.iter().map(|view| (view.by, view.stops, view.until.is_some())).collect();
        assert_eq!(
            told,
            [
                ("battery", "sending", false),
                ("low_battery", "sweeps", false),
                ("metered", "sending", false),
                ("disk", "queueing", false),
                ("credential", "sending", true),
            ]
        );
        assert_eq!(views.iter().map(|view| view.by).collect::<Vec<_>>(), HOLDERS[..views.len()]);
        assert!(views[0].reason.contains("12 %") && views[1].reason.contains("12 %"), "{views:?}");
        assert_eq!(views[4].reason, "no token");
        // What is said to stop is what stops.
        for (hold, view) in holds.into_iter().zip(&views) {
            let expected = if hold.keeps(Held::Sending) { "sending" } else { "sweeps" };
            assert_eq!(view.stops, expected, "{hold:?}");
        }
    }
}
