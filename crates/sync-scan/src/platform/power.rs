//! Whether the machine has power and processors to spare, and how a thread stands back behind others.
//!
//! Each question is a few small reads of what the system shows; nobody is asked to tell of changes.

use std::path::Path;

use sync_core::hold::Power;

/// Where Linux shows the power supplies.
pub const POWER_SUPPLIES: &str = "/sys/class/power_supply";

/// Percent of the last ten seconds in which something waited for a processor, from which on others need them.
const PRESSED: f32 = 20.0;

/// Lets other programs go before the calling thread from now on; `niceness` is 1 to 19.
///
/// Where the system knows priorities of processes only, nothing happens.
pub fn step_back(niceness: u8) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, i32::from(niceness.clamp(1, 19))) {
        tracing::debug!(%error, "the priority of a thread cannot be lowered");
    }
    #[cfg(not(target_os = "linux"))]
    let _: u8 = niceness;
}

/// Where the machine's power comes from, where the system tells; else from the mains.
#[cfg(not(target_os = "macos"))]
pub fn power(supplies: &Path) -> Power {
    let supplies = std::fs::read_dir(supplies).into_iter().flatten().filter_map(Result::ok);
    judge(&supplies.map(|supply| Supply::read(&supply.path())).collect::<Vec<_>>())
}

/// Where the machine's power comes from, where the system tells; else from the mains.
#[cfg(target_os = "macos")]
pub fn power(_supplies: &Path) -> Power {
    let told = std::process::Command::new("/usr/bin/pmset").args(["-g", "batt"]).output();
    told.map(|told| told_by_pmset(&String::from_utf8_lossy(&told.stdout))).unwrap_or_default()
}

/// Whether others wait for the processors.
pub fn is_loaded() -> bool {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    pressure(&read("/proc/pressure/cpu")).map_or_else(
        // The one that asks is among those that run.
        || running(&read("/proc/loadavg")).is_some_and(|running| running > processors + 1),
        |percent| percent >= PRESSED,
    )
}

/// One power supply.
#[cfg(not(target_os = "macos"))]
#[derive(Clone, PartialEq, Eq, Debug)]
enum Supply {
    /// A cable, and whether there is power at its other end.
    Cable(bool),
    /// A battery of the machine, whether it says that it is being emptied, and how full it is.
    Battery(bool, Option<u8>),
    /// Something else: a mouse's battery.
    Other,
}

#[cfg(not(target_os = "macos"))]
impl Supply {
    fn read(folder: &Path) -> Self {
        let read = |name| std::fs::read_to_string(folder.join(name)).unwrap_or_default().trim().to_owned();
        let kind = read("type");
        if read("scope") == "Device" {
            return Self::Other;
        }
        match &*kind {
            "Mains" => Self::Cable(read("online") == "1"),
            "Battery" => Self::Battery(read("status") == "Discharging", read("capacity").parse().ok()),
            // A charger by USB; what it can is in the rest of the name.
            kind if kind.starts_with("USB") => Self::Cable(read("online") == "1"),
            _ => Self::Other,
        }
    }
}

#[cfg(not(target_os = "macos"))]
fn judge(supplies: &[Supply]) -> Power {
    let batteries: Vec<(bool, Option<u8>)> = supplies
        .iter()
        .filter_map(|supply| match supply {
            Supply::Battery(empties, charge) => Some((*empties, *charge)),
            Supply::Cable(_) | Supply::Other => None,
        })
        .collect();
    let has_cable = supplies.iter().any(|supply| matches!(supply, Supply::Cable(_)));
    let is_fed = supplies.contains(&Supply::Cable(true));
    let empties = batteries.iter().any(|(empties, _)| *empties);
    let charges: Vec<u32> = batteries.iter().filter_map(|(_, charge)| charge.map(u32::from)).collect();
    let mean = charges.iter().sum::<u32>().checked_div(u32::try_from(charges.len()).unwrap_or(u32::MAX));
    Power {
        // Where no cable is shown at all the battery itself has to tell.
        battery: !batteries.is_empty() && !is_fed && (has_cable || empties),
        charge: mean.and_then(|mean| u8::try_from(mean).ok()),
    }
}

/// What `pmset -g batt` of macOS says.
#[cfg(any(test, target_os = "macos"))]
fn told_by_pmset(told: &str) -> Power {
    let charge = told.split('%').next().filter(|_| told.contains('%'));
    let charge = charge.and_then(|text| text.rsplit(|letter: char| !letter.is_ascii_digit()).next());
    Power { battery: told.contains("'Battery Power'"), charge: charge.and_then(|charge| charge.parse().ok()) }
}

/// How long something waited for a processor lately, in percent, as `/proc/pressure/cpu` has it.
fn pressure(told: &str) -> Option<f32> {
    let line = told.lines().find_map(|line| line.strip_prefix("some "))?;
    line.split_ascii_whitespace().find_map(|word| word.strip_prefix("avg10="))?.parse().ok()
}

/// How many threads run or want to, as `/proc/loadavg` has it.
fn running(told: &str) -> Option<usize> {
    told.split_ascii_whitespace().nth(3)?.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(target_os = "macos"))]
    fn a_machine_runs_on_its_battery_when_no_cable_feeds_it() {
        let check = |supplies: &[(&str, &[(&str, &str)])], expected: (bool, Option<u8>)| {
            let home = tempfile::tempdir().unwrap();
            for (at, (kind, files)) in supplies.iter().enumerate() {
                let folder = home.path().join(at.to_string());
                std::fs::create_dir(&folder).unwrap();
                for (name, text) in files.iter().chain(&[("type", *kind)]) {
                    std::fs::write(folder.join(name), format!("{text}\n")).unwrap();
                }
            }
            let found = power(home.path());
            assert_eq!((found.battery, found.charge), expected, "{supplies:?}");
        };
        let out: &[(&str, &str)] = &[("online", "0")];
        let fed: &[(&str, &str)] = &[("online", "1")];
        let emptying: &[(&str, &str)] = &[("status", "Discharging"), ("capacity", "40")];
        let full: &[(&str, &str)] = &[("status", "Full"), ("capacity", "100")];
        let mouse: &[(&str, &str)] = &[("scope", "Device"), ("status", "Discharging"), ("capacity", "3")];
        check(&[], (false, None));
        check(&[("Mains", out)], (false, None));
        check(&[("Mains", fed), ("Battery", full)], (false, Some(100)));
        check(&[("Mains", out), ("Battery", emptying)], (true, Some(40)));
        check(&[("Mains", out), ("USB", fed), ("Battery", full)], (false, Some(100)));
        check(&[("USB_PD", out), ("Battery", emptying), ("Battery", full)], (true, Some(70)));
        check(&[("Battery", full)], (false, Some(100)));
        check(&[("Battery", emptying)], (true, Some(40)));
        check(&[("Mains", out), ("Battery", mouse)], (false, None));
        check(&[("Mains", out), ("Battery", &[])], (true, None));
        assert_eq!(power(Path::new("/nowhere/at/all")), Power::default());
    }

    #[test]
    fn what_macos_tells_of_its_battery_is_read() {
        let check =
            |told, battery, charge| assert_eq!(told_by_pmset(told), Power { battery, charge }, "{told}");
        let battery = "Now drawing from 'Battery Power'\n -InternalBattery-0 (id=1)\t81%; discharging; 5:12 remaining\n";
        check(battery, true, Some(81));
        let mains =
            "Now drawing from 'AC Power'\n -InternalBattery-0 (id=1)\t100%; charged; 0:00 remaining\n";
        check(mains, false, Some(100));
        check("Now drawing from 'AC Power'\n", false, None);
        check("", false, None);
    }

    #[test]
    fn what_waits_for_the_processors_is_read() {
        let told = "some avg10=93.54 avg60=77.71 avg300=35.89 total=14562592289\nfull avg10=0.00 avg60=0\n";
        assert_eq!(pressure(told), Some(93.54));
        assert_eq!(pressure("full avg10=1.0\n"), None);
        assert_eq!(pressure(""), None);
        assert_eq!(running("0.20 0.18 0.12 7/812 11206\n"), Some(7));
        assert_eq!(running("0.20"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn one_thread_steps_back_and_the_others_do_not() {
        // Of the thread that asks.
        let niceness = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let after_name = stat.rsplit(") ").next().unwrap().to_owned();
            after_name.split(' ').nth(16).unwrap().parse::<i32>().unwrap()
        };
        let before = niceness();
        let there = std::thread::spawn(move || {
            step_back(19);
            niceness()
        });
        assert_eq!(there.join().unwrap(), 19);
        assert_eq!(niceness(), before);
    }
}
