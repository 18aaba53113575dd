//! What a run is to be: the options of the command line, with what holds where nothing is said.

use std::path::PathBuf;
use std::time::Duration;

use sync_tests::seed;

/// How long, how many, how quickly.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Plan {
    /// How long the churn goes on. Beginning and end come on top.
    pub(crate) length: Duration,
    /// Places for projects; four in five have one at the beginning.
    pub(crate) projects: usize,
    /// How often everything is measured.
    pub(crate) every: Duration,
    /// The pause between two changes on disk.
    pub(crate) pace: Duration,
    /// How often the daemon is killed and started again.
    pub(crate) kills: u32,
    /// Where all chance comes from.
    pub(crate) seed: u64,
    /// Where table, figures and drawing are written.
    pub(crate) out: Option<PathBuf>,
}

impl Plan {
    /// Reads the options.
    ///
    /// # Errors
    /// When there is no such option, or its value is none.
    pub(crate) fn given(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut plan = Self {
            length: Duration::from_hours(2),
            projects: 300,
            every: Duration::from_secs(5),
            pace: Duration::from_millis(400),
            kills: 0,
            seed: seed("CODITECT_SOAK_SEED"),
            out: None,
        };
        let mut arguments = arguments.into_iter();
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            let number = |value: &str| {
                value.parse::<u32>().map_err(|error| format!("{name} {value} is not a count: {error}"))
            };
            match &*name {
                "--for" => plan.length = span(&value)?,
                "--every" => plan.every = span(&value)?,
                "--pace" => plan.pace = span(&value)?,
                "--projects" => plan.projects = number(&value)?.max(5) as usize,
                "--kills" => plan.kills = number(&value)?,
                "--seed" => plan.seed = number(&value)?.into(),
                "--out" => plan.out = Some(PathBuf::from(value)),
                _ => return Err(format!("there is no option {name}")),
            }
        }
        Ok(plan)
    }

    /// How long threads and connections that nobody needs may stay: idle threads of the daemon's end after ten seconds,
    /// and in a short run they are not waited for.
    pub(crate) fn calm(&self) -> Duration {
        if self.is_long() { Duration::from_secs(45) } else { Duration::from_secs(2) }
    }

    /// Whether it is judged as a long run.
    pub(crate) fn is_long(&self) -> bool {
        self.length >= Duration::from_mins(10)
    }

    /// How long things that change the weather or the rules last: short runs see as many of them as long ones.
    pub(crate) fn beat(&self) -> Duration {
        (self.length / 60).clamp(Duration::from_millis(400), Duration::from_secs(15))
    }
}

/// A time as people write it: `90s`, `2h`.
fn span(text: &str) -> Result<Duration, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("`{text}` is not a time such as 90s, 20m or 2h")),
    };
    let count: u64 = count.parse().map_err(|error| format!("`{text}` is not a time: {error}"))?;
    let span = Duration::from_millis(count.saturating_mul(millis));
    if span.is_zero() { Err(format!("`{text}` is no time at all")) } else { Ok(span) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(words: &str) -> Result<Plan, String> {
        Plan::given(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_run_takes_two_hours_unless_it_is_told_otherwise() {
        let plan = given("").unwrap();
        assert_eq!(
            (plan.length, plan.kills, plan.beat()),
            (Duration::from_hours(2), 0, Duration::from_secs(15))
        );
        let plan =
            given("--for 90s --projects 40 --kills 2 --pace 50ms --every 1s --seed 7 --out there").unwrap();
        let times = (plan.length, plan.pace, plan.every);
        assert_eq!(times, (Duration::from_secs(90), Duration::from_millis(50), Duration::from_secs(1)));
        assert_eq!((plan.projects, plan.kills, plan.seed), (40, 2, 7));
        assert_eq!(
            (plan.out, given("--for 20m").unwrap().beat()),
            (Some("there".into()), Duration::from_secs(15))
        );
    }

    #[test]
    fn what_is_no_option_or_no_value_is_said() {
        for (words, expected) in [
            ("--long 2h", "there is no option --long"),
            ("--for", "--for needs a value"),
            ("--for 2 h", "`2` is not a time such as 90s, 20m or 2h"),
            ("--for 0s", "`0s` is no time at all"),
            ("--for s", "`s` is not a time: cannot parse integer from empty string"),
            ("--kills many", "--kills many is not a count: invalid digit found in string"),
        ] {
            assert_eq!(given(words), Err(expected.to_owned()), "{words}");
        }
    }
}
