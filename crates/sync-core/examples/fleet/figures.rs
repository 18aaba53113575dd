//! What a run comes to, in figures and as a row of a table.

use crate::scene::{Scene, Size, ideal, load};
use crate::series::{float, mean, quantile, ratio, sum, waves};
use crate::simulation::Run;

/// The first answers have told everybody by then: from here on the limit has to be kept.
pub(crate) const FIRST_WINDOW: i64 = 60_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Most requests in one second.
    pub(crate) peak: u32,
    /// The same after the first window.
    pub(crate) later_peak: u32,
    /// Requests a second on the mean, from the return until nine tenths of the entries are delivered.
    pub(crate) mean: f64,
    /// Of the seconds after the first window, the share with more requests than the limit.
    pub(crate) over: f64,
    /// Seconds from the return until so many of the machines were done.
    pub(crate) half: f64,
    pub(crate) most: f64,
    pub(crate) last: f64,
    /// The least seconds for all.
    pub(crate) ideal: f64,
    /// Repetition of the requests by the second, and at which distance.
    pub(crate) waves: (f64, usize),
    /// Of the requests, the share that brought nothing new.
    pub(crate) wasted: f64,
    pub(crate) requests_for_each: f64,
    /// Machines that were not done when the run ended.
    pub(crate) never: u32,
}

impl Figures {
    pub(crate) fn of(run: &Run, scene: &Scene, size: Size) -> Self {
        let end = run.until + 1_000;
        let by_second = |from: i64| run.offered.between(from / 1_000, end / 1_000);
        let all = by_second(scene.back);
        let later = by_second(scene.back + FIRST_WINDOW);
        let busy = &all[..busy_seconds(run, scene).min(all.len())];
        let limit = scene.rules.limit;
        let over = later.iter().filter(|count| **count > limit).count();
        let seconds = |at: i64| float((at - scene.back).max(0).cast_unsigned()) / 1_000.0;
        let never = run.machines - u32::try_from(run.finished.len()).unwrap_or(run.machines);
        Self {
            peak: all.iter().copied().max().unwrap_or(0),
            later_peak: later.iter().copied().max().unwrap_or(0),
            mean: mean(busy),
            over: ratio(over as u64, later.len() as u64),
            half: seconds(quantile(&run.finished, 0.5)),
            most: seconds(quantile(&run.finished, 0.99)),
            last: seconds(run.finished.last().copied().unwrap_or(0)),
            ideal: ideal(size, &load(size)),
            waves: waves(busy),
            wasted: ratio(run.wasted, run.requests),
            requests_for_each: ratio(run.requests, u64::from(run.machines)),
            never,
        }
    }

    /// A row of the table; `scale` is how many machines one of the run stands for.
    pub(crate) fn row(&self, scene: &str, policy: &str, scale: u32) -> String {
        let waves = match self.waves {
            (_, 0) => "none".to_owned(),
            (much, lag) => format!("{much:.2} at {lag} s"),
        };
        let (all, factor) = if self.never > 0 {
            (format!("never: {}", u64::from(self.never) * u64::from(scale)), "–".to_owned())
        } else {
            (format!("{:.0} s", self.last), format!("{:.1}", self.last / self.ideal))
        };
        format!(
            "| {scene} | {policy} | {} | {} | {:.0} | {:.1} % | {:.0} s | {:.0} s | {all} | {factor} | {waves} | \
             {:.1} % | {:.1} |",
            u64::from(self.peak) * u64::from(scale),
            u64::from(self.later_peak) * u64::from(scale),
            self.mean * f64::from(scale),
            self.over * 100.0,
            self.half,
            self.most,
            self.wasted * 100.0,
            self.requests_for_each,
        )
    }
}

/// Seconds from the return until nine tenths of the entries are delivered: what comes after is the long tail of a few.
fn busy_seconds(run: &Run, scene: &Scene) -> usize {
    let delivered = run.delivered.between(scene.back / 1_000, run.until / 1_000 + 1);
    let all = sum(&delivered);
    let mut so_far = 0;
    let end = delivered.iter().position(|count| {
        so_far += u64::from(*count);
        so_far * 10 >= all * 9
    });
    end.map_or(0, |at| at + 1)
}
