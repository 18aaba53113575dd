//! `scan`: look for projects now.

use sync_wire::{Call, ScanAnswer, ScanRequest};

use super::{Context, millis};
use crate::args::Scan;
use crate::daemon::sent_path;
use crate::exit::Exit;
use crate::human::{clean, count};
use crate::out::Answer;
use crate::problem::Failure;
use crate::progress::{Shown, during};

pub(super) fn run(scan: &Scan, context: &Context) -> Result<Answer, Failure> {
    let gone: Vec<String> = scan
        .paths
        .iter()
        .filter(|path| path.try_exists().is_ok_and(|there| !there))
        .map(|path| nothing_at(path))
        .collect();
    let paths = scan.paths.iter().map(|path| text(path)).collect::<Result<_, _>>()?;
    let request = ScanRequest { paths, wait_ms: millis(scan.wait) };
    let mut daemon = context.daemon()?;
    let mut ask = || daemon.ask_for::<ScanAnswer>(&Call::scan(&request));
    let (answer, document) =
        if scan.wait.is_some() { during(context, Shown::Looking, &mut ask) } else { ask() }?;
    let ScanAnswer { found, added, changed, missing, done } = answer;
    let counts =
        format!("{}: {added} new, {changed} changed, {missing} missing", count(found, "project", "projects"));
    let answer = match (scan.wait.is_some(), done) {
        (_, true) => Answer::done(document, counts),
        (true, false) => {
            Answer::done(document, format!("{counts} so far; the scan goes on")).ending(Exit::Queued)
        }
        (false, false) => Answer::done(document, "the scan has begun; see `coditect-sync status`"),
    };
    Ok(if gone.is_empty() { answer } else { answer.with_note(gone.join("\n")) })
}

/// No failure: projects that have gone are found out by looking where they were. A person may also have mistyped.
fn nothing_at(path: &std::path::Path) -> String {
    clean(&format!("`{}` does not exist: what was known there is missing", path.display())).into_owned()
}

/// Folders whose names are not UTF-8 cannot be named to the daemon; the folder above can.
fn text(path: &std::path::Path) -> Result<String, Failure> {
    let path = sent_path(path)?;
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::new(Exit::Usage, "usage", format!("the path `{}` is not UTF-8", path.display()))
            .with_hint("scan the folder above it")
    })
}
