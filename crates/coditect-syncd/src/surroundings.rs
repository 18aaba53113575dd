//! Looks how the machine stands: where its power comes from, and whether its network costs by the byte.
//!
//! Asked when the answer matters; nothing here listens or waits for changes. What follows from it is decided in
//! `sync_core::hold`.

mod bus;

use std::path::PathBuf;

use sync_core::hold::Power;

/// Where the system shows how it stands.
#[derive(Clone, Debug)]
pub(crate) struct Around {
    /// The folder of power supplies.
    pub supplies: PathBuf,
    /// The socket of the system's message bus.
    pub bus: PathBuf,
}

impl Around {
    /// This machine's own places.
    pub(crate) fn here() -> Self {
        Self { supplies: PathBuf::from(sync_scan::POWER_SUPPLIES), bus: PathBuf::from(bus::SYSTEM_BUS) }
    }

    /// Where the power comes from. Blocks for as long as the battery takes to tell.
    pub(crate) fn power(&self) -> Power {
        sync_scan::power(&self.supplies)
    }

    /// Whether the network costs by the byte, where `NetworkManager` runs and knows. Blocks; each wait for the
    /// bus is a quarter of a second at most.
    pub(crate) fn metered(&self) -> Option<bool> {
        match bus::metered(&self.bus) {
            Ok(metered) => metered,
            Err(error) => {
                tracing::debug!(%error, "it is not known whether the network costs by the byte");
                None
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    //! A machine whose power and network are what a test says.

    use std::path::Path;

    pub(crate) use super::bus::tests::answer;
    use super::*;

    /// The machine.
    #[derive(Debug)]
    pub(crate) struct Machine(PathBuf);

    impl Machine {
        /// Where such a machine in this folder shows how it stands.
        pub(crate) fn around(home: &Path) -> Around {
            Around { supplies: home.join("supplies"), bus: home.join("bus") }
        }

        /// In this folder; on mains.
        pub(crate) fn new(home: &Path) -> Self {
            let machine = Self(home.to_owned());
            machine.runs_on_mains();
            machine
        }

        /// The cable is in.
        pub(crate) fn runs_on_mains(&self) {
            self.show("AC", &[("type", "Mains"), ("online", "1")]);
        }

        /// The cable is out.
        pub(crate) fn runs_on_battery(&self, charge: u8) {
            self.show("AC", &[("type", "Mains"), ("online", "0")]);
            let charge = charge.to_string();
            self.show("BAT0", &[("type", "Battery"), ("status", "Discharging"), ("capacity", &charge)]);
        }

        /// Whoever asks the bus from here on is answered this.
        pub(crate) fn network_says(&self, answer: Vec<u8>) {
            bus::tests::serve(&Self::around(&self.0).bus, answer);
        }

        /// The battery's charge is told when somebody sends it into the pipe that this answers; who reads it waits.
        pub(crate) fn runs_on_a_slow_battery(&self) -> Slow {
            self.runs_on_battery(100);
            let charge = Self::around(&self.0).supplies.join("BAT0/capacity");
            std::fs::remove_file(&charge).unwrap();
            let made = std::process::Command::new("mkfifo").arg(&charge).status().unwrap();
            assert!(made.success());
            Slow(charge)
        }

        fn show(&self, name: &str, files: &[(&str, &str)]) {
            let folder = Self::around(&self.0).supplies.join(name);
            std::fs::create_dir_all(&folder).unwrap();
            for (file, text) in files {
                std::fs::write(folder.join(file), format!("{text}\n")).unwrap();
            }
        }
    }

    /// The pipe of a battery that takes its time; nobody waits for it longer than this lives, so that a test that fails
    /// comes to its end.
    #[derive(Debug)]
    pub(crate) struct Slow(pub(crate) PathBuf);

    impl Drop for Slow {
        fn drop(&mut self) {
            // Who opens both ends does not wait, and lets go who does.
            let both = std::fs::File::options().read(true).write(true).open(&self.0);
            drop(std::fs::remove_file(&self.0));
            drop(both);
        }
    }

    #[test]
    fn the_machine_is_asked_where_it_shows_how_it_stands() {
        let home = tempfile::tempdir().unwrap();
        let (machine, around) = (Machine::new(home.path()), Machine::around(home.path()));
        assert_eq!((around.power(), around.metered()), (Power::default(), None));
        machine.runs_on_battery(7);
        machine.network_says(answer(3));
        assert_eq!(around.power(), Power { battery: true, charge: Some(7) });
        assert_eq!(around.metered(), Some(true));
    }
}
