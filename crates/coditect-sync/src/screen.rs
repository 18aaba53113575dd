//! The whole terminal as a picture that is drawn again and again, and given back as it was, whatever ends the program.
//!
//! Knows bytes, sizes and signals; what is drawn and what keys mean is the caller's part.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};

/// Another screen than the one with the shell's lines, without a cursor and without wrapping.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l\u{1b}[2J";
/// The same back.
const LEAVE: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[0m\u{1b}[?1049l";
/// The size of a terminal that does not tell.
const COMMON: (usize, usize) = (80, 24);

/// The terminal while it is ours. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Screen {
    before: Termios,
    ended: Arc<AtomicBool>,
    resized: Arc<AtomicBool>,
    blank: bool,
}

/// What ended a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Bytes were typed.
    Typed(Vec<u8>),
    /// Something else: time is over, there is something to hear, or the size changed.
    Other,
    /// The terminal has gone or a signal told the program to end.
    Ended,
}

/// Whether a person sits there: both ends are a terminal that knows how to move its cursor.
pub(crate) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

impl Screen {
    /// Takes the terminal.
    pub(crate) fn take() -> io::Result<Self> {
        let (ended, resized) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&ended))?;
        }
        signal_hook::flag::register(SIGWINCH, Arc::clone(&resized))?;
        let before = tcgetattr(io::stdin())?;
        restore_before_a_panic_is_told(before.clone());
        enter(&before)?;
        Ok(Self { before, ended, resized, blank: true })
    }

    /// Columns and lines.
    pub(crate) fn size(&mut self) -> (usize, usize) {
        // What a terminal does with a picture of another size is its own affair.
        self.blank |= self.resized.swap(false, Ordering::Relaxed);
        match tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
            Ok(_) | Err(_) => COMMON,
        }
    }

    /// Draws lines from the top; each is cleared to its end, so that nothing flickers. Whether that was possible.
    pub(crate) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        // Cleared before it is written: afterwards, a line as wide as the screen would lose its last letter.
        let mut bytes = String::from(if self.blank { "\u{1b}[2J\u{1b}[H" } else { "\u{1b}[H\u{1b}[2K" });
        bytes.push_str(&lines.join("\r\n\u{1b}[2K"));
        self.blank = false;
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes.as_bytes())?;
        stdout.flush()
    }

    /// Has the next picture begin on an empty screen.
    pub(crate) fn clear(&mut self) {
        self.blank = true;
    }

    /// Sleeps until something is typed, there is something to read from `source`, a signal comes, or time is over.
    pub(crate) fn wait(&self, source: Option<&dyn AsFd>, limit: Duration) -> io::Result<Woken> {
        if self.ended.load(Ordering::Relaxed) {
            return Ok(Woken::Ended);
        }
        let stdin = io::stdin();
        let mut asked = vec![PollFd::new(&stdin, PollFlags::IN)];
        asked.extend(source.map(|source| PollFd::from_borrowed_fd(source.as_fd(), PollFlags::IN)));
        let limit = Timespec::try_from(limit).ok();
        match poll(&mut asked, limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let typed = asked.first().map_or(PollFlags::empty(), PollFd::revents);
        if self.ended.load(Ordering::Relaxed)
            || typed.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)
        {
            return Ok(Woken::Ended);
        }
        if !typed.contains(PollFlags::IN) {
            return Ok(Woken::Other);
        }
        let mut bytes = [0; 64];
        match rustix::io::read(&stdin, &mut bytes) {
            Ok(0) => Ok(Woken::Ended),
            Ok(count) => Ok(Woken::Typed(bytes.get(..count).unwrap_or_default().to_vec())),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Ok(Woken::Other),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the terminal back, sleeps until somebody wakes the program, and takes it again.
    pub(crate) fn suspend(&self) -> io::Result<()> {
        leave(&self.before);
        kill_process(getpid(), Signal::STOP)?;
        enter(&self.before)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave(&self.before);
    }
}

/// What is typed comes at once, unseen, byte by byte, and means nothing to the system.
fn enter(before: &Termios) -> io::Result<()> {
    let mut raw = before.clone();
    raw.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN);
    raw.input_modes.remove(InputModes::IXON | InputModes::ICRNL);
    raw.special_codes[SpecialCodeIndex::VMIN] = 1;
    raw.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(io::stdin(), OptionalActions::Flush, &raw)?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(ENTER.as_bytes())?;
    stdout.flush()
}

/// Gives the terminal back as far as it is still there.
fn leave(before: &Termios) {
    let mut stdout = io::stdout().lock();
    stdout.write_all(LEAVE.as_bytes()).and_then(|()| stdout.flush()).unwrap_or_default();
    tcsetattr(io::stdin(), OptionalActions::Flush, before).unwrap_or_default();
}

/// A panic is told on the screen the person comes back to, not on the one that goes.
fn restore_before_a_panic_is_told(before: Termios) {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        leave(&before);
        told(panic);
    }));
}
