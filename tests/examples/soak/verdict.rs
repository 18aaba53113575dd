//! Decides what was measured by stated rules. Samples in, findings out.

use sync_tests::{Series, short};

use crate::sample::Sample;

/// One rule, what came of it, and what was allowed.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Finding {
    pub(crate) rule: String,
    pub(crate) measured: String,
    pub(crate) allowed: String,
    pub(crate) holds: bool,
}

impl Finding {
    /// A figure with an upper bound. What was not measured does not hold.
    fn at_most(rule: &str, measured: f64, allowed: f64, unit: &str) -> Self {
        Self {
            rule: rule.to_owned(),
            measured: format!("{} {unit}", short(measured)),
            allowed: format!("{} {unit}", short(allowed)),
            holds: measured <= allowed,
        }
    }

    /// Something of which there is to be nothing.
    pub(crate) fn nothing(rule: &str, found: &[String]) -> Self {
        let first = found.first().map(|first| format!(": {first}")).unwrap_or_default();
        let measured = format!("{}{first}", found.len());
        Self { rule: rule.to_owned(), measured, allowed: "0".to_owned(), holds: found.is_empty() }
    }
}

/// What is allowed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Bounds {
    /// How much memory may grow, as a share and in kB on top.
    pub(crate) memory: (f64, f64),
    /// The same of the database's file.
    pub(crate) database: (f64, f64),
    /// In kB.
    pub(crate) wal: f64,
    /// Threads and descriptors more than before, at rest.
    pub(crate) more: f64,
    /// How much longer than an echo 99 of 100 questions may take, and any, in milliseconds.
    pub(crate) p99: f64,
    pub(crate) worst: f64,
    /// The growth of the log's folder in kB a minute.
    pub(crate) log: f64,
}

impl Bounds {
    /// For hours.
    pub(crate) const LONG: Self = Self {
        memory: (0.15, 1_024.0),
        database: (0.25, 2_048.0),
        wal: 16.0 * 1_024.0,
        more: 3.0,
        p99: 20.0,
        worst: 1_000.0,
        log: 256.0,
    };
    /// For minutes, in which everything still warms up: only what is badly wrong shows.
    pub(crate) const SHORT: Self = Self {
        memory: (1.0, 8.0 * 1_024.0),
        database: (2.0, 4.0 * 1_024.0),
        wal: 16.0 * 1_024.0,
        more: 6.0,
        p99: 400.0,
        worst: 4_000.0,
        log: 4.0 * 1_024.0,
    };
}

/// The samples of the longest life without its warm-up, a fifth of it.
pub(crate) fn warm(samples: &[Sample]) -> &[Sample] {
    let lives = samples.chunk_by(|one, next| one.pid == next.pid);
    let longest = lives.max_by_key(|life| life.len()).unwrap_or_default();
    &longest[longest.len() / 5..]
}

/// The rules about what grows and what takes long; `rest` are measurements at rest before and after.
pub(crate) fn judge(samples: &[Sample], rest: &[Sample; 2], bounds: &Bounds) -> Vec<Finding> {
    let warm = warm(samples);
    let grows = |rule: &str, of: &dyn Fn(&Sample) -> f64, (share, more): (f64, f64)| {
        let quarter = (warm.len() / 4).max(1);
        let median = |some: &[Sample]| some.iter().map(of).collect::<Series>().median();
        let first = median(&warm[..quarter.min(warm.len())]);
        let last = median(&warm[warm.len().saturating_sub(quarter)..]);
        let rule = format!("{rule}: the last quarter's median beside the first's, {}", short(first));
        Finding::at_most(&rule, last, first * (1.0 + share) + more, "kB")
    };
    let largest = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).fold(f64::NAN, f64::max);
    let median = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).collect::<Series>().median();
    let at_rest = |rule: &str, of: &dyn Fn(&Sample) -> f64| {
        let (before, after) = (of(&rest[0]), of(&rest[1]));
        Finding::at_most(&format!("{rule} at rest, {before} before"), after, before + bounds.more, "")
    };
    let minutes = samples.last().map_or(0.0, |last| last.at / 60.0).max(0.1);
    let logged = samples.last().zip(samples.first()).map_or(f64::NAN, |(last, first)| last.log - first.log);
    vec![
        grows("anonymous memory", &|sample| sample.anonymous, bounds.memory),
        grows("proportional memory", &|sample| sample.pss, bounds.memory),
        grows("the database's file", &|sample| sample.database, bounds.database),
        Finding::at_most("the longest write-ahead log", largest(&|sample| sample.wal), bounds.wal, "kB"),
        Finding::at_most("the log's folder", logged / minutes, bounds.log, "kB/min"),
        at_rest("threads", &|sample| sample.threads),
        at_rest("descriptors", &|sample| sample.descriptors),
        Finding::at_most(
            "`status` beyond an echo, 99 of 100",
            median(&|sample| sample.status.p99 - sample.echo.p99),
            bounds.p99,
            "ms",
        ),
        Finding::at_most(
            "`resolve` beyond an echo, 99 of 100",
            median(&|sample| sample.resolve.p99 - sample.echo.p99),
            bounds.p99,
            "ms",
        ),
        Finding::at_most(
            "`status` beyond an echo, the worst",
            largest(&|sample| sample.status.worst - sample.echo.worst),
            bounds.worst,
            "ms",
        ),
        Finding::at_most(
            "`resolve` beyond an echo, the worst",
            largest(&|sample| sample.resolve.worst - sample.echo.worst),
            bounds.worst,
            "ms",
        ),
    ]
}

/// Lines of the log that nothing of what was done explains.
pub(crate) fn unexplained(log: &str, explained: &[&str]) -> Vec<String> {
    let wrong = |line: &&str| {
        line.contains("panicked")
            || ([" WARN ", " ERROR "].iter().any(|level| line.contains(level))
                && !explained.iter().any(|words| line.contains(words)))
    };
    log.lines().filter(wrong).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Times;

    /// A hundred samples of one process with these values.
    fn run(change: impl Fn(f64, &mut Sample)) -> Vec<Sample> {
        let sample = |number: u32| {
            let at = f64::from(number);
            let mut sample = Sample {
                at: at * 60.0,
                pid: 1,
                pss: 20_000.0,
                anonymous: 10_000.0,
                threads: 8.0,
                descriptors: 40.0,
                database: 5_000.0,
                wal: 4_000.0,
                log: 100.0 * at,
                status: Times { p99: 2.0, worst: 20.0 },
                resolve: Times { p99: 2.0, worst: 20.0 },
                echo: Times { p99: 1.0, worst: 10.0 },
                ..Sample::default()
            };
            change(at, &mut sample);
            sample
        };
        (0..100).map(sample).collect()
    }

    fn broken(samples: &[Sample], rest: &[Sample; 2]) -> Vec<String> {
        let findings = judge(samples, rest, &Bounds::LONG);
        let rules = findings.into_iter().filter(|finding| !finding.holds).map(|finding| finding.rule);
        rules.map(|rule| rule.split([':', ',']).next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn a_run_in_which_everything_stays_as_it_is_holds() {
        let rest = [Sample::default(), Sample { threads: 3.0, ..Sample::default() }];
        assert_eq!(broken(&run(|_, _| {}), &rest), [""; 0]);
        // What is used at the beginning, and what comes and goes, is no growth.
        let noise = run(|at, sample| {
            sample.anonymous = if at < 20.0 { 100.0 * at } else { 10_000.0 + 1_000.0 * (at % 5.0) };
        });
        assert_eq!(broken(&noise, &rest), [""; 0]);
    }

    #[test]
    fn every_rule_can_be_broken() {
        let calm = [Sample::default(), Sample::default()];
        let check = |change: fn(f64, &mut Sample), expected: &str| {
            assert_eq!(broken(&run(change), &calm), [expected]);
        };
        check(|at, sample| sample.anonymous += 60.0 * at, "anonymous memory");
        check(|at, sample| sample.pss += 120.0 * at, "proportional memory");
        check(|at, sample| sample.database += 100.0 * at, "the database's file");
        check(|at, sample| sample.wal += 200.0 * at, "the longest write-ahead log");
        check(|at, sample| sample.log += 200.0 * at, "the log's folder");
        check(|_, sample| sample.status.p99 = 22.0, "`status` beyond an echo");
        check(|_, sample| sample.resolve.p99 = 22.0, "`resolve` beyond an echo");
        check(
            |at, sample| sample.status.worst += if (at - 50.0).abs() < 0.5 { 1_000.0 } else { 0.0 },
            "`status` beyond an echo",
        );
        check(
            |at, sample| sample.resolve.worst += if (at - 50.0).abs() < 0.5 { 1_000.0 } else { 0.0 },
            "`resolve` beyond an echo",
        );
        let more = Sample { threads: 4.0, descriptors: 4.0, ..Sample::default() };
        let rest = [Sample::default(), more];
        assert_eq!(broken(&run(|_, _| {}), &rest), ["threads at rest", "descriptors at rest"]);
        assert!(!broken(&[], &calm).is_empty(), "nothing was measured");
    }

    #[test]
    fn memory_is_judged_in_the_longest_life_once_it_is_warm() {
        let samples = run(|at, sample| sample.pid = if at < 30.0 { 1 } else { 2 });
        let warm = warm(&samples);
        assert_eq!((warm.len(), warm[0].pid, warm[0].at), (56, 2, 44.0 * 60.0));
    }

    #[test]
    fn a_line_nobody_can_explain_and_every_panic_is_found() {
        let log =
            "1 INFO all is well\n2 WARN the cloud is away\n3 ERROR the disk burns\n4 INFO a task panicked\n";
        assert_eq!(
            unexplained(log, &["the cloud is away"]),
            ["3 ERROR the disk burns", "4 INFO a task panicked"]
        );
    }
}
