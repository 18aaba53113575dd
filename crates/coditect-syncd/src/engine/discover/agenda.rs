//! When one lookout does what: events at once, a glance where nobody tells of changes, a sweep and a survey from time
//! to time. Told the time and the dice; does nothing itself.

use std::time::Duration;

use sync_core::Timestamp;

/// How often all known projects are examined again, give or take a fifth.
const SWEEP: Duration = Duration::from_mins(15);
/// How often the frontier is walked where nobody tells of changes.
const GLANCE: Duration = Duration::from_mins(1);
/// How long a sweep waits for others to have done with the processors, and how often.
const POSTPONED: Duration = Duration::from_mins(1);
const MOST_POSTPONED: u32 = 5;
/// How soon everything is looked at again when that did not help: the first time, and at the latest.
const AGAIN: Duration = Duration::from_secs(10);
const AGAIN_AT_LATEST: Duration = Duration::from_mins(5);
/// After so long without a loss the next one is the first.
const CALM_AGAIN: Duration = Duration::from_mins(10);
/// How much longer everything that can wait takes on a battery.
const ON_BATTERY: u32 = 4;

/// What speaks against looks that can wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::engine) struct Strain {
    /// They are to be rarer: the machine runs on its battery.
    pub spare: bool,
    /// There are to be none for now.
    pub held: bool,
    /// Others wait for the processors.
    pub load: bool,
}

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    Everything,
    Events,
    Sweep,
    Glance,
}

/// The times of one lookout.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Agenda {
    /// In the past means now.
    survey: Timestamp,
    sweep: Timestamp,
    glance: Timestamp,
    events: Option<Timestamp>,
    postponed: u32,
    /// Changes are not told everywhere.
    glances: bool,
    /// A sweep is under way.
    sweeping: bool,
    /// Somebody or something wants everything to be looked at; it is not just time for it again.
    asked: bool,
    /// So many looks at everything in a row saw what could not be written down.
    refusals: u32,
    /// So many looks at everything in a row were wanted because notices were lost, and when the last one was.
    losses: u32,
    lost_at: Timestamp,
    /// When it was asked last, to notice a clock that was set back.
    asked_at: Timestamp,
}

impl Agenda {
    /// Everything is due.
    pub(super) fn new(now: Timestamp, is_told: bool) -> Self {
        Self {
            survey: Timestamp(i64::MIN),
            sweep: now.after(SWEEP),
            glance: now.after(GLANCE),
            events: None,
            postponed: 0,
            glances: !is_told,
            sweeping: false,
            asked: true,
            refusals: 0,
            losses: 0,
            lost_at: Timestamp(i64::MIN),
            asked_at: now,
        }
    }

    /// What is due at `now`, when a survey is due every `interval` at least.
    pub(super) fn due(&mut self, now: Timestamp, interval: Duration) -> Option<Due> {
        // A clock that was set back must not put anything off. How much of a short wait had passed then nobody knows.
        if now < self.asked_at {
            self.events = self.events.map(|_| now);
            self.lost_at = self.lost_at.min(now);
            if self.asked {
                self.survey = now;
            }
        }
        self.asked_at = now;
        self.survey = self.survey.min(now.after(interval));
        self.sweep = self.sweep.min(now.after(SWEEP * ON_BATTERY * 2));
        self.glance = self.glance.min(now.after(GLANCE * ON_BATTERY));
        let is_due = |at: Timestamp| now >= at;
        if is_due(self.survey) {
            Some(Due::Everything)
        } else if self.events.is_some_and(is_due) {
            Some(Due::Events)
        } else if self.sweeping || is_due(self.sweep) {
            Some(Due::Sweep)
        } else if self.glances && is_due(self.glance) {
            Some(Due::Glance)
        } else {
            None
        }
    }

    /// Whether what is due could wait for a machine that has more to spare.
    pub(super) fn could_wait(&mut self, now: Timestamp, interval: Duration) -> bool {
        match self.due(now, interval) {
            Some(Due::Everything) => !self.asked,
            Some(Due::Sweep) => true,
            Some(Due::Events | Due::Glance) | None => false,
        }
    }

    /// Whether a survey that is due begins now; one that nobody asked for is put off while that is wanted.
    pub(super) fn survey_begins(&mut self, now: Timestamp, strain: Strain) -> bool {
        let begins = self.asked || !strain.held;
        if !begins {
            self.survey = now.after(SWEEP);
        }
        begins
    }

    /// When something will be due.
    pub(super) fn next(&self) -> Timestamp {
        let glance = if self.glances { self.glance } else { Timestamp::NEVER };
        [self.survey, self.sweep, glance, self.events.unwrap_or(Timestamp::NEVER)]
            .into_iter()
            .fold(Timestamp::NEVER, Timestamp::min)
    }

    /// Whether what is next must not be late.
    pub(super) fn is_pressing(&self) -> bool {
        self.events.is_some()
    }

    /// Everything is to be looked at by then at the latest.
    pub(super) fn survey_by(&mut self, at: Timestamp) {
        self.survey = self.survey.min(at);
        self.asked = true;
    }

    /// Whether all that a look saw was written down. If not, everything is looked at again, later each time that was a look
    /// at everything: what refuses it may last for days, as a full disk does, and such a look is work.
    pub(super) fn written_down(&mut self, all: bool, whole: bool, now: Timestamp) {
        if !all {
            self.survey_by(now.after(pause_after(self.refusals)));
            self.refusals = self.refusals.saturating_add(u32::from(whole));
        } else if whole {
            // A look at one place may have had nothing to write down.
            self.refusals = 0;
        }
    }

    /// Notices of change were lost: everything is looked at, at once, and later each time that happens again before it was
    /// quiet for a while. Where more changes than can be told, a look at everything does not end that. Says when that look
    /// is, unless it was planned before.
    pub(super) fn lost(&mut self, now: Timestamp) -> Option<Duration> {
        let is_planned = self.losses > 0 && self.asked && self.survey > now;
        if is_planned {
            return None;
        }
        if now.since(self.lost_at) > CALM_AGAIN {
            self.losses = 0;
        }
        let pause = self.losses.checked_sub(1).map_or(Duration::ZERO, pause_after);
        self.losses = self.losses.saturating_add(1);
        self.lost_at = now;
        self.survey_by(now.after(pause));
        Some(pause)
    }

    /// Everything was looked at.
    pub(super) fn surveyed(&mut self, now: Timestamp, interval: Duration, strain: Strain, dice: u64) {
        self.survey = now.after(interval);
        self.asked = false;
        self.swept(now, strain, dice);
    }

    /// A turn begins; it asks for the events of before.
    pub(super) fn turn_begins(&mut self) {
        self.events = None;
    }

    /// When to ask for events again without being woken, as a turn says that asked. What was told of after it had asked
    /// stays due.
    pub(super) fn events_at(&mut self, at: Option<Timestamp>) {
        self.events = [self.events, at].into_iter().flatten().min();
    }

    /// Events were told of.
    pub(super) fn events_now(&mut self, now: Timestamp) {
        self.events = Some(now);
    }

    /// Whether a sweep that is due begins now; it is put off a little while others need the processors, and for as long
    /// as it is held back.
    pub(super) fn sweep_begins(&mut self, now: Timestamp, strain: Strain) -> bool {
        if strain.held {
            self.sweeping = false;
            self.sweep = now.after(SWEEP);
            return false;
        }
        if !self.sweeping && strain.load && self.postponed < MOST_POSTPONED {
            self.postponed += 1;
            self.sweep = now.after(POSTPONED);
            return false;
        }
        self.sweeping = true;
        true
    }

    /// A part of a sweep is done; whether there are more.
    pub(super) fn sweeps_on(&mut self, more: bool, now: Timestamp, strain: Strain, dice: u64) {
        self.sweeping = more;
        if !more {
            self.swept(now, strain, dice);
        }
    }

    /// The frontier was walked.
    pub(super) fn glanced(&mut self, now: Timestamp, strain: Strain) {
        self.glance = now.after(GLANCE * stretch(strain));
    }

    /// Whether there are places of which nobody tells.
    pub(super) fn glances(&mut self, glances: bool) {
        self.glances = glances;
    }

    fn swept(&mut self, now: Timestamp, strain: Strain, dice: u64) {
        self.sweeping = false;
        self.postponed = 0;
        // Many machines, and many lookouts of one, must not do it all at the same moment.
        let percent = u32::try_from(dice % 41).unwrap_or(0);
        self.sweep = now.after(SWEEP * stretch(strain) / 100 * (80 + percent));
        self.glanced(now, strain);
    }
}

fn pause_after(times: u32) -> Duration {
    AGAIN.saturating_mul(1 << times.min(16)).min(AGAIN_AT_LATEST)
}

fn stretch(strain: Strain) -> u32 {
    if strain.spare { ON_BATTERY } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_hours(6);
    const CALM: Strain = Strain { spare: false, held: false, load: false };
    const LOADED: Strain = Strain { load: true, ..CALM };
    const BATTERY: Strain = Strain { spare: true, ..CALM };
    const HELD: Strain = Strain { held: true, ..BATTERY };

    fn minutes(count: i64) -> Timestamp {
        Timestamp(count * 60_000)
    }

    /// After a survey at the beginning of time.
    fn surveyed(is_told: bool, strain: Strain, dice: u64) -> Agenda {
        let mut agenda = Agenda::new(minutes(0), is_told);
        assert_eq!(agenda.due(minutes(0), INTERVAL), Some(Due::Everything));
        agenda.surveyed(minutes(0), INTERVAL, strain, dice);
        agenda
    }

    #[track_caller]
    fn check(agenda: &Agenda, expected: &[(i64, Option<Due>)]) {
        let mut agenda = agenda.clone();
        for (minute, due) in expected {
            assert_eq!(agenda.due(minutes(*minute), INTERVAL), *due, "after {minute} minutes");
        }
    }

    #[test]
    fn nothing_is_due_until_the_sweep_where_changes_are_told() {
        let agenda = surveyed(true, CALM, 20);
        assert_eq!((agenda.next(), agenda.is_pressing()), (minutes(15), false));
        check(&agenda, &[(0, None), (14, None), (15, Some(Due::Sweep)), (361, Some(Due::Everything))]);
        assert_eq!(surveyed(true, CALM, 0).next(), minutes(12));
        assert_eq!(surveyed(true, CALM, 40).next(), minutes(18));
        assert_eq!(surveyed(true, BATTERY, 20).next(), minutes(60));
    }

    #[test]
    fn where_changes_are_not_told_the_frontier_is_walked_every_minute() {
        let mut agenda = surveyed(false, CALM, 20);
        check(&agenda, &[(0, None), (1, Some(Due::Glance))]);
        agenda.glanced(minutes(1), CALM);
        check(&agenda, &[(1, None), (2, Some(Due::Glance))]);
        agenda.glances(false);
        check(&agenda, &[(2, None)]);
        check(&surveyed(false, BATTERY, 20), &[(3, None), (4, Some(Due::Glance))]);
    }

    #[test]
    fn events_come_before_a_sweep_and_a_sweep_goes_on_to_its_end() {
        let mut agenda = surveyed(true, CALM, 20);
        assert!(agenda.sweep_begins(minutes(15), CALM));
        agenda.sweeps_on(true, minutes(15), CALM, 20);
        agenda.events_now(minutes(15));
        check(&agenda, &[(15, Some(Due::Events))]);
        agenda.turn_begins();
        agenda.events_at(Some(minutes(16)));
        assert!(agenda.is_pressing());
        check(&agenda, &[(15, Some(Due::Sweep)), (16, Some(Due::Events))]);
        agenda.turn_begins();
        agenda.events_at(None);
        agenda.sweeps_on(false, minutes(15), CALM, 20);
        check(&agenda, &[(15, None), (29, None), (30, Some(Due::Sweep))]);
    }

    #[test]
    fn what_is_told_while_a_turn_ends_is_not_forgotten() {
        let mut agenda = surveyed(true, CALM, 20);
        for asked_last in [None, Some(minutes(9))] {
            agenda.turn_begins();
            // After it asked for the last time, and before its end was noticed.
            agenda.events_now(minutes(1));
            agenda.events_at(asked_last);
            check(&agenda, &[(1, Some(Due::Events))]);
        }
    }

    #[test]
    fn a_busy_machine_puts_a_sweep_off_but_not_for_ever() {
        let mut agenda = surveyed(true, CALM, 20);
        for minute in 15..20 {
            check(&agenda, &[(minute, Some(Due::Sweep))]);
            assert!(!agenda.sweep_begins(minutes(minute), LOADED));
            check(&agenda, &[(minute, None)]);
        }
        assert!(agenda.sweep_begins(minutes(20), LOADED));
    }

    #[test]
    fn what_is_held_back_is_put_off_for_as_long_as_it_is_but_for_what_somebody_asked() {
        let mut agenda = surveyed(true, CALM, 20);
        assert!(agenda.sweep_begins(minutes(15), CALM));
        agenda.sweeps_on(true, minutes(15), CALM, 20);
        for minute in [15, 30, 45, 600, 615] {
            assert!(agenda.could_wait(minutes(minute), Duration::from_hours(100)));
            assert!(!agenda.sweep_begins(minutes(minute), HELD));
            assert!(agenda.next() <= minutes(minute + 15));
        }
        assert!(agenda.sweep_begins(minutes(630), CALM));
        assert!(agenda.could_wait(minutes(1_000), INTERVAL));
        assert!(!agenda.survey_begins(minutes(1_000), HELD));
        agenda.survey_by(minutes(1_001));
        assert!(!agenda.could_wait(minutes(1_001), INTERVAL));
        assert!(agenda.survey_begins(minutes(1_001), HELD));
        agenda.surveyed(minutes(1_001), INTERVAL, HELD, 20);
        assert!(!agenda.survey_begins(minutes(2_000), HELD) && agenda.survey_begins(minutes(2_015), CALM));
    }

    #[test]
    fn a_clock_set_back_puts_nothing_off_for_long() {
        let mut agenda = Agenda::new(minutes(1_000_000), true);
        agenda.surveyed(minutes(1_000_000), INTERVAL, CALM, 20);
        check(&agenda, &[(0, None), (120, Some(Due::Sweep)), (360, Some(Due::Everything))]);
    }

    #[test]
    fn what_somebody_waits_for_is_due_when_the_clock_is_set_back() {
        let at_some_time = minutes(1_000_000);
        let mut agenda = Agenda::new(at_some_time, true);
        agenda.surveyed(at_some_time, INTERVAL, CALM, 20);
        agenda.events_at(Some(at_some_time.after(Duration::from_secs(2))));
        assert_eq!(agenda.due(at_some_time, INTERVAL), None);
        assert_eq!(agenda.due(minutes(10), INTERVAL), Some(Due::Events));
        agenda.turn_begins();
        assert_eq!(agenda.due(minutes(10), INTERVAL), None);

        agenda.survey_by(minutes(20));
        assert_eq!(agenda.due(minutes(10), INTERVAL), None, "it has time until then");
        assert_eq!(agenda.due(minutes(9), INTERVAL), Some(Due::Everything));
    }

    #[test]
    fn lost_notices_are_made_up_for_at_once_and_later_each_time_while_more_are_lost() {
        let mut agenda = surveyed(true, CALM, 20);
        let mut now = minutes(1);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let pause = agenda.lost(now).unwrap();
            pauses.push(pause.as_secs());
            let planned = now.after(pause);
            if !pause.is_zero() {
                let early = planned.before(Duration::from_secs(1));
                assert_eq!(agenda.lost(early), None, "that look is still to come");
            }
            assert_eq!(agenda.due(planned, INTERVAL), Some(Due::Everything));
            now = planned.after(Duration::from_secs(2));
            agenda.surveyed(now, INTERVAL, CALM, 20);
        }
        assert_eq!(pauses, [0, 10, 20, 40, 80, 160, 300, 300]);
        let later = now.after(Duration::from_mins(11));
        assert_eq!(agenda.lost(later), Some(Duration::ZERO));
        assert_eq!(agenda.due(later, INTERVAL), Some(Due::Everything));
    }

    #[test]
    fn what_could_not_be_written_down_is_looked_at_again() {
        let mut agenda = surveyed(true, CALM, 20);
        agenda.written_down(false, true, minutes(0));
        check(&agenda, &[(0, None), (1, Some(Due::Everything))]);
    }

    #[test]
    fn what_cannot_be_written_down_for_long_is_looked_at_ever_less_often() {
        let mut agenda = surveyed(true, CALM, 20);
        let mut pauses = |times: usize| -> Vec<u64> {
            let next = |_| {
                agenda.written_down(false, true, minutes(0));
                let pause = agenda.survey.since(minutes(0)).as_secs();
                agenda.surveyed(minutes(0), INTERVAL, CALM, 20);
                pause
            };
            (0..times).map(next).collect()
        };
        assert_eq!(pauses(7), [10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(pauses(1_000).last(), Some(&300));
        // A look at one place proves nothing, a look at everything does.
        agenda.written_down(true, false, minutes(0));
        agenda.written_down(false, false, minutes(0));
        assert_eq!(agenda.survey, minutes(0).after(Duration::from_mins(5)));
        agenda.surveyed(minutes(0), INTERVAL, CALM, 20);
        agenda.written_down(true, true, minutes(0));
        // Looks at single places do not count: there may be many in a moment.
        (0..9).for_each(|_| agenda.written_down(false, false, minutes(0)));
        assert_eq!(agenda.survey, minutes(0).after(Duration::from_secs(10)));
    }
}
