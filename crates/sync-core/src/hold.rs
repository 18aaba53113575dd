//! Says what is held back for as long as the machine is not in a state for it, and why.
//!
//! A hold is a pause that nobody asked for: it begins and ends with what it is for. Told how the machine stands; knows
//! neither where that is read nor what is done about it.

use std::collections::{BTreeMap, BTreeSet};

use crate::Timestamp;

/// Below this a battery is low, in percent.
const LOW: u8 = 20;
/// From this on it no longer is.
const LOW_NO_LONGER: u8 = 25;

/// What something is held back for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Hold {
    /// The machine runs on its battery, and somebody wants rest then.
    Battery,
    /// The battery is low.
    LowBattery,
    /// What goes over the network costs by the byte, and somebody wants rest then.
    Metered,
}

/// What a hold keeps from happening.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Held {
    /// Requests to the cloud.
    Sending,
    /// Looks at what nobody told of.
    Sweeps,
}

impl Hold {
    /// Whether it keeps this from happening.
    pub fn keeps(self, what: Held) -> bool {
        match (self, what) {
            (Self::Battery, Held::Sending | Held::Sweeps)
            | (Self::LowBattery, Held::Sweeps)
            | (Self::Metered, Held::Sending) => true,
            (Self::LowBattery, Held::Sending) | (Self::Metered, Held::Sweeps) => false,
        }
    }
}

/// Where the machine's power comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Power {
    /// It runs on its battery.
    pub battery: bool,
    /// How full that is, in percent, where it is known.
    pub charge: Option<u8>,
}

/// How the machine stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Surroundings {
    /// Its power.
    pub power: Power,
    /// Whether its network costs by the byte, where that is known.
    pub metered: Option<bool>,
}

/// What is wanted on a battery.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnBattery {
    /// The same as on mains.
    GoOn,
    /// Looks that can wait are rarer, and there are none while the battery is low.
    #[default]
    Spare,
    /// Nothing is sent, and looked at is only what changes.
    Pause,
}

/// What is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// On a battery.
    pub on_battery: OnBattery,
    /// Whether nothing is sent over a network that costs by the byte.
    pub rest_on_metered: bool,
}

/// The holds that are in force.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holds {
    since: BTreeMap<Hold, Timestamp>,
    /// What somebody wants to go on all the same, until the reason has gone.
    lifted: BTreeSet<Hold>,
}

/// What a look around changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Turned {
    /// In force from here on.
    pub began: Vec<Hold>,
    /// No longer in force.
    pub ended: Vec<Hold>,
}

impl Holds {
    /// Takes in how the machine stands.
    pub fn see(&mut self, seen: Surroundings, wanted: Wanted, now: Timestamp) -> Turned {
        let reasons = self.reasons(seen, wanted);
        self.lifted.retain(|hold| reasons.contains(hold));
        let ended: Vec<Hold> = self.since.keys().filter(|hold| !reasons.contains(hold)).copied().collect();
        for hold in &ended {
            self.since.remove(hold);
        }
        let began: Vec<Hold> = reasons
            .into_iter()
            .filter(|hold| !self.lifted.contains(hold) && !self.since.contains_key(hold))
            .collect();
        self.since.extend(began.iter().map(|hold| (*hold, now)));
        Turned { began, ended }
    }

    /// Somebody wants all of it to go on, whatever the reasons; they count again when they have gone once. Answers what
    /// was in force.
    pub fn lift(&mut self) -> Vec<Hold> {
        let lifted: Vec<Hold> = std::mem::take(&mut self.since).into_keys().collect();
        self.lifted.extend(&lifted);
        lifted
    }

    /// Whether something keeps this from happening.
    pub fn keep(&self, what: Held) -> bool {
        self.since.keys().any(|hold| hold.keeps(what))
    }

    /// What is in force, and since when.
    pub fn in_force(&self) -> impl Iterator<Item = (Hold, Timestamp)> + '_ {
        self.since.iter().map(|(hold, since)| (*hold, *since))
    }

    fn reasons(&self, seen: Surroundings, wanted: Wanted) -> BTreeSet<Hold> {
        // A charge that goes up and down by one must not turn it on and off.
        let low = if self.since.contains_key(&Hold::LowBattery) { LOW_NO_LONGER } else { LOW };
        let is_low = seen.power.charge.is_some_and(|charge| charge < low);
        let on_battery = match wanted.on_battery {
            _ if !seen.power.battery => None,
            OnBattery::GoOn => None,
            OnBattery::Spare => is_low.then_some(Hold::LowBattery),
            OnBattery::Pause => Some(Hold::Battery),
        };
        let metered = (wanted.rest_on_metered && seen.metered == Some(true)).then_some(Hold::Metered);
        on_battery.into_iter().chain(metered).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAINS: Power = Power { battery: false, charge: Some(5) };
    const UNKNOWN: Power = Power { battery: true, charge: None };

    fn battery(charge: u8) -> Power {
        Power { battery: true, charge: Some(charge) }
    }

    fn wanted(on_battery: OnBattery, rest_on_metered: bool) -> Wanted {
        Wanted { on_battery, rest_on_metered }
    }

    #[test]
    fn what_is_held_back_follows_from_how_the_machine_stands_and_what_is_wanted() {
        use Hold::{Battery, LowBattery, Metered};
        use OnBattery::{GoOn, Pause, Spare};
        type Case = (Power, Option<bool>, OnBattery, bool, &'static [Hold]);
        let cases: &[Case] = &[
            // Nothing is known of this machine: nothing is held back.
            (Power::default(), None, Pause, true, &[]),
            (MAINS, Some(false), Pause, true, &[]),
            (battery(19), None, Spare, true, &[LowBattery]),
            (battery(20), None, Spare, true, &[]),
            (UNKNOWN, None, Spare, true, &[]),
            (battery(0), None, GoOn, true, &[]),
            (battery(100), None, Pause, true, &[Battery]),
            (battery(1), None, Pause, true, &[Battery]),
            (UNKNOWN, None, Pause, true, &[Battery]),
            (MAINS, Some(true), Spare, true, &[Metered]),
            (MAINS, Some(true), Spare, false, &[]),
            (battery(10), Some(true), Spare, true, &[LowBattery, Metered]),
            (battery(10), Some(true), Pause, true, &[Battery, Metered]),
        ];
        for (power, metered, on_battery, rest, expected) in cases {
            let seen = Surroundings { power: *power, metered: *metered };
            let turned = Holds::default().see(seen, wanted(*on_battery, *rest), Timestamp(1));
            assert_eq!(&*turned.began, *expected, "{seen:?} {on_battery:?} {rest}");
        }
    }

    #[test]
    fn each_hold_keeps_its_own_from_happening() {
        for (hold, sending, sweeps) in
            [(Hold::Battery, true, true), (Hold::LowBattery, false, true), (Hold::Metered, true, false)]
        {
            assert_eq!((hold.keeps(Held::Sending), hold.keeps(Held::Sweeps)), (sending, sweeps), "{hold:?}");
        }
    }

    #[test]
    fn a_low_battery_counts_as_such_until_it_is_well_above() {
        let mut holds = Holds::default();
        let mut at = |second: i64, power: Power| {
            let seen = Surroundings { power, metered: None };
            let turned = holds.see(seen, Wanted::default(), Timestamp(second));
            (turned.began.len(), turned.ended.len(), holds.keep(Held::Sweeps))
        };
        assert_eq!(at(1, battery(19)), (1, 0, true));
        assert_eq!(at(2, battery(24)), (0, 0, true));
        assert_eq!(at(3, battery(25)), (0, 1, false));
        assert_eq!(at(4, battery(24)), (0, 0, false));
        assert_eq!(at(5, battery(19)), (1, 0, true));
        assert_eq!(at(6, MAINS), (0, 1, false));
    }

    #[test]
    fn what_somebody_lifts_counts_again_when_its_reason_has_gone_once() {
        let mut holds = Holds::default();
        let pause = wanted(OnBattery::Pause, false);
        let on = |power| Surroundings { power, metered: None };
        holds.see(on(battery(50)), pause, Timestamp(1));
        assert_eq!(holds.in_force().collect::<Vec<_>>(), [(Hold::Battery, Timestamp(1))]);
        assert_eq!(holds.lift(), [Hold::Battery]);
        assert_eq!(holds.see(on(battery(49)), pause, Timestamp(2)), Turned::default());
        assert!(!holds.keep(Held::Sending));
        assert_eq!(holds.see(on(MAINS), pause, Timestamp(3)), Turned::default());
        assert_eq!(holds.see(on(battery(49)), pause, Timestamp(4)).began, [Hold::Battery]);
        // So does what is wanted.
        assert_eq!(holds.see(on(battery(49)), Wanted::default(), Timestamp(5)).ended, [Hold::Battery]);
    }
}
