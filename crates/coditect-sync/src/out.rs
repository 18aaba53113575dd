//! Writes what came of a command: results to the standard output, everything else to the standard error.
//!
//! A reader that has seen enough and closes the pipe is no failure.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sync_config::Environment;

use crate::args::Globals;
use crate::exit::Exit;
use crate::human::View;
use crate::problem::Failure;

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Answer {
    /// For programs: a JSON document.
    pub(crate) document: Vec<u8>,
    /// For people.
    pub(crate) text: Text,
    /// More for people, about what to mind; not part of the result.
    pub(crate) note: Option<String>,
    /// How the program ends.
    pub(crate) exit: Exit,
}

/// What people read.
#[derive(Debug)]
pub(crate) enum Text {
    /// What was asked for.
    Result(String),
    /// That something was done, which some do not want to hear.
    Confirmation(String),
}

impl Answer {
    /// A result that was asked for.
    pub(crate) fn result(document: Vec<u8>, text: impl Into<String>) -> Self {
        Self { document, text: Text::Result(text.into()), note: None, exit: Exit::Done }
    }

    /// Something that was done.
    pub(crate) fn done(document: Vec<u8>, text: impl Into<String>) -> Self {
        Self { document, text: Text::Confirmation(text.into()), note: None, exit: Exit::Done }
    }

    /// The same with something to mind.
    pub(crate) fn with_note(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }

    /// The same with another end.
    pub(crate) fn ending(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }
}

/// The way to the reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    json: bool,
    quiet: bool,
    /// What the reader can see.
    pub(crate) view: View,
}

impl Out {
    pub(crate) fn new(globals: &Globals, environment: &Environment) -> Self {
        let terminal = io::stdout().is_terminal();
        let plain = environment.variable("NO_COLOR").is_some()
            || environment.variable("TERM").is_some_and(|term| term == "dumb");
        let view = View {
            colour: terminal && !plain && !globals.json,
            width: crate::terminal::width(),
            verbose: globals.verbose,
        };
        Self { json: globals.json, quiet: globals.quiet, view }
    }

    /// Writes what came of it and says how the program ends.
    pub(crate) fn conclude(&self, outcome: &Result<Answer, Failure>) -> Exit {
        let (exit, written) = match outcome {
            Ok(answer) if self.json => (answer.exit, line(&answer.document)),
            Ok(answer) => (answer.exit, self.answer(answer)),
            Err(failure) if self.json => (failure.exit, line(&failure.document())),
            Err(failure) => (failure.exit, to(io::stderr().lock(), failure.text().as_bytes())),
        };
        ended(exit, written)
    }

    fn answer(&self, answer: &Answer) -> io::Result<()> {
        // Whoever wants to hear nothing still hears that not all is as it should be.
        let quiet = self.quiet && answer.exit == Exit::Done;
        match &answer.text {
            Text::Confirmation(_) if quiet => {}
            Text::Result(text) | Text::Confirmation(text) => line(text.as_bytes())?,
        }
        match &answer.note {
            Some(note) if !quiet => to(io::stderr().lock(), format!("{note}\n").as_bytes()),
            Some(_) | None => Ok(()),
        }
    }
}

/// Shows what the arguments' parser has to say: a version or a help that was asked for, or what is wrong with them.
pub(crate) fn usage(usage: &clap::Error) -> Exit {
    let exit = if usage.use_stderr() { Exit::Usage } else { Exit::Done };
    let wants_json = usage.use_stderr() && std::env::args_os().any(|argument| argument == "--json");
    let written = if wants_json {
        let detail = usage.render().to_string();
        let mut document = Failure::new(Exit::Usage, "usage", detail.trim()).document();
        document.push(b'\n');
        to(io::stdout().lock(), &document)
    } else {
        forgiving(usage.print())
    };
    ended(exit, written)
}

/// How the program ends when this came of writing.
fn ended(exit: Exit, written: io::Result<()>) -> Exit {
    match written {
        Ok(()) => exit,
        Err(error) => {
            let complaint = format!("error: cannot write the answer: {error}\n");
            // Where this cannot be written either, the exit status still tells.
            to(io::stderr().lock(), complaint.as_bytes()).map_or(Exit::Failed, |()| Exit::Failed)
        }
    }
}

/// Writes a line for people who want to know more; whether they see it changes nothing.
pub(crate) fn remark(text: &str) {
    to(io::stderr().lock(), format!("{text}\n").as_bytes()).unwrap_or_default();
}

/// Whether anybody still reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// As far as is known.
    There,
    /// The pipe is closed.
    Gone,
}

/// Writes a part of a result that has no end yet.
pub(crate) fn piece(bytes: &[u8]) -> io::Result<Reader> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(error),
    }
}

/// What it means that a part could not be written.
pub(crate) fn unwritten(error: &io::Error) -> Failure {
    Failure::failed(format!("cannot write the answer: {error}"))
        .with_hint("look at where it is written to: there may be no room left, or it may not be open")
}

/// Rests for a while, or until the reader goes.
pub(crate) fn reader_after(nap: Duration) -> Reader {
    let stdout = io::stdout();
    // Asked for nothing, the system still tells of an error: that the other end is closed.
    let mut asked = [PollFd::new(&stdout, PollFlags::empty())];
    let limit = Timespec::try_from(nap).ok();
    match poll(&mut asked, limit.as_ref()) {
        Ok(ready) if ready > 0 => Reader::Gone,
        Ok(_) => Reader::There,
        Err(_) => {
            std::thread::sleep(nap);
            Reader::There
        }
    }
}

/// Sleeps until there is something to read from `source`, the reader goes, or the nap is over.
pub(crate) fn heard_or_reader_gone(source: &impl AsFd, nap: Duration) -> Reader {
    let stdout = io::stdout();
    let mut asked = [PollFd::new(&stdout, PollFlags::empty()), PollFd::new(source, PollFlags::IN)];
    let limit = Timespec::try_from(nap).ok();
    match poll(&mut asked, limit.as_ref()) {
        Ok(ready) if ready > 0 && !asked[0].revents().is_empty() => Reader::Gone,
        Ok(_) | Err(_) => Reader::There,
    }
}

/// Writes to the standard output, with an end of line.
fn line(text: &[u8]) -> io::Result<()> {
    let mut whole = text.to_vec();
    if !whole.is_empty() && !whole.ends_with(b"\n") {
        whole.push(b'\n');
    }
    to(io::stdout().lock(), &whole)
}

fn to(mut stream: impl Write, bytes: &[u8]) -> io::Result<()> {
    forgiving(stream.write_all(bytes).and_then(|()| stream.flush()))
}

fn forgiving(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
