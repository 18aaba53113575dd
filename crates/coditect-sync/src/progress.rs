//! Shows a person at a terminal how far something long has come, and leaves nothing behind.
//!
//! The work is one request that the daemon answers at its end; how far it is, is asked beside it. Whoever reads no
//! terminal sees nothing of this.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use rustix::termios::tcgetwinsize;
use sync_wire::{Call, QueueCounts};

use crate::cmd::Context;
use crate::daemon::Daemon;
use crate::human::count;
use crate::problem::Failure;
use crate::width::cut;

/// What takes no longer than this is not worth a bar.
const SHORT: Duration = Duration::from_millis(300);
/// How often it is looked how far it is.
const STEP: Duration = Duration::from_millis(200);
/// The widest bar.
const BAR: usize = 30;
/// The narrowest that still says something.
const NARROWEST: usize = 6;

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The queue that becomes empty.
    Draining,
    /// A search whose end nobody knows.
    Looking,
    /// Rows of which nobody knows how many there are.
    TakingOver,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Far {
    shown: Shown,
    /// How often it was looked.
    steps: u64,
    /// The most that ever waited.
    most: u64,
    /// What waits now; nothing while it is not known.
    waiting: Option<u64>,
}

/// Does the work, and shows how far it is where somebody sees it.
pub(crate) fn during<T>(
    context: &Context,
    shown: Shown,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    if !somebody_sees(context) {
        return work();
    }
    let mut daemon = context.daemon()?;
    let (done, ended) = sync_channel::<()>(0);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut far = Far { shown, steps: 0, most: 0, waiting: None };
            let mut drawn = false;
            let mut nap = SHORT;
            while ended.recv_timeout(nap) == Err(RecvTimeoutError::Timeout) {
                far.look(&mut daemon);
                let width = tcgetwinsize(io::stderr()).map_or(80, |size| usize::from(size.ws_col));
                let room = width.saturating_sub(1);
                drawn |= draw(&format!("\r{}\u{1b}[K", cut(&far.line(room), room)));
                nap = STEP;
            }
            if drawn {
                draw("\r\u{1b}[K");
            }
        });
        let worked = work();
        drop(done);
        worked
    })
}

fn somebody_sees(context: &Context) -> bool {
    let quiet = context.globals.quiet || context.globals.json;
    let dumb = context.environment.variable("TERM").is_none_or(|term| term == "dumb");
    !quiet && !dumb && io::stderr().is_terminal()
}

/// A bar that cannot be drawn is no failure of the work.
fn draw(text: &str) -> bool {
    let mut stderr = io::stderr().lock();
    stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()).is_ok()
}

impl Far {
    fn look(&mut self, daemon: &mut Daemon) {
        self.steps += 1;
        let counts = daemon.ask_for::<QueueCounts>(&Call::queue()).ok().map(|(counts, _)| counts);
        self.waiting = counts.map(|counts| counts.waiting() + counts.parked).or(self.waiting);
        self.most = self.most.max(self.waiting.unwrap_or(0));
    }

    /// The bar takes what the words leave of the room.
    fn line(&self, room: usize) -> String {
        let seconds = (SHORT + STEP * u32::try_from(self.steps).unwrap_or(u32::MAX)).as_secs();
        let waiting = self.waiting.unwrap_or(0);
        let sent = self.most.saturating_sub(waiting);
        let words = match self.shown {
            Shown::Draining => format!("{sent} of {} sent", count(self.most, "entry", "entries")),
            Shown::Looking => format!("looking for projects, {waiting} to send"),
            Shown::TakingOver => format!("taking over, {waiting} to send"),
        };
        let words = format!("] {seconds} s, {words}");
        let wide = room.saturating_sub(1 + words.len()).clamp(NARROWEST, BAR);
        let bar = match self.shown {
            Shown::Draining => known(sent, self.most, wide),
            Shown::Looking | Shown::TakingOver => unknown(self.steps, wide),
        };
        format!("[{bar}{words}")
    }
}

/// A bar for something whose end is known.
fn known(done: u64, all: u64, wide: usize) -> String {
    let share = u128::from(done) * wide as u128 / u128::from(all.max(1));
    let filled = usize::try_from(share).unwrap_or(wide).min(wide);
    format!("{}{}", "=".repeat(filled), " ".repeat(wide - filled))
}

/// A bar for something whose end nobody knows: a piece that goes there and back.
fn unknown(steps: u64, wide: usize) -> String {
    const PIECE: usize = 4;
    let way = wide.saturating_sub(PIECE).max(1);
    let at = usize::try_from(steps % (2 * way as u64)).unwrap_or(0);
    let at = if at > way { 2 * way - at } else { at };
    format!("{}{}{}", " ".repeat(at), "=".repeat(PIECE), " ".repeat(way - at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_what_is_done() {
        for (done, all, filled) in
            [(0, 0, 0), (0, 9, 0), (1, 2, 15), (9, 9, 30), (u64::MAX, u64::MAX, 30), (9, 3, 30)]
        {
            let bar = known(done, all, BAR);
            assert_eq!((bar.matches('=').count(), bar.len()), (filled, BAR), "{done} of {all}");
        }
    }

    #[test]
    fn a_bar_without_an_end_goes_there_and_back() {
        let at = |steps| unknown(steps, BAR).find('=');
        assert_eq!((at(0), at(26), at(27), at(52)), (Some(0), Some(26), Some(25), Some(0)));
        for wide in [NARROWEST, 7, BAR] {
            assert!((0..200).all(|steps| unknown(steps, wide).len() == wide), "{wide}");
        }
    }

    #[test]
    fn how_far_it_is_is_said_in_words_too() {
        let far = |shown| Far { shown, steps: 10, most: 40, waiting: Some(30) };
        let sent = "] 2 s, 10 of 40 entries sent";
        assert_eq!(far(Shown::Draining).line(80), format!("[{}{sent}", known(1, 4, BAR)));
        assert_eq!(far(Shown::Draining).line(40), format!("[{}{sent}", known(1, 4, 11)));
        assert_eq!(far(Shown::Draining).line(20), format!("[{}{sent}", known(1, 4, NARROWEST)));
        assert!(far(Shown::Looking).line(80).ends_with("2 s, looking for projects, 30 to send"));
        assert!(far(Shown::TakingOver).line(80).contains("taking over"));
    }
}
