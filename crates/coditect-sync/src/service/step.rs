//! What is to be done, as values: planned by one part, shown by another, and done by a third.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::marker::{OnDisk, State, difference, state};
use crate::exit::Exit;
use crate::problem::Failure;
use crate::programs::{Invocation, typed};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Make a folder and what is above it, where it is missing.
    MakeFolder { path: PathBuf, mode: u32 },
    /// Keep a file that is overwritten next.
    Save { path: PathBuf, to: PathBuf },
    /// Write a file, whole or not at all.
    Write { path: PathBuf, text: String },
    /// Remove a file.
    Remove { path: PathBuf },
    /// Remove a folder if nothing is left in it.
    RemoveFolder { path: PathBuf },
    /// Run a program.
    Run { invocation: Invocation, otherwise: Otherwise },
}

/// What it means that a program did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// The whole failed.
    Stop,
    /// What it was for is so already, or does not matter.
    GoOn,
    /// It may have come too early; the whole failed when it fails for some seconds.
    TryAgain,
}

impl Step {
    pub(crate) fn run(program: &str, arguments: &[&str], otherwise: Otherwise) -> Self {
        Self::Run { invocation: Invocation::new(program, arguments), otherwise }
    }

    /// For people: a command to be typed, with the text of a file below it.
    pub(crate) fn shown(&self) -> String {
        let shown = |path: &Path| typed(&path.display().to_string());
        match self {
            Self::MakeFolder { path, mode } => format!("mkdir -p -m {mode:04o} {}", shown(path)),
            Self::Save { path, to } => format!("mv {} {}", shown(path), shown(to)),
            Self::Write { path, text } => {
                let lines: Vec<String> =
                    text.lines().map(|line| format!("    {line}").trim_end().to_owned()).collect();
                format!("write {}:\n{}", shown(path), lines.join("\n"))
            }
            Self::Remove { path } => format!("rm {}", shown(path)),
            Self::RemoveFolder { path } => format!("rmdir {}", shown(path)),
            Self::Run { invocation, .. } => invocation.to_string(),
        }
    }

    /// For programs.
    pub(crate) fn document(&self) -> Value {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        match self {
            Self::MakeFolder { path, mode } => {
                json!({"do": "make_folder", "path": text(path), "mode": format!("{mode:04o}")})
            }
            Self::Save { path, to } => json!({"do": "save", "path": text(path), "to": text(to)}),
            Self::Write { path, text: content } => {
                json!({"do": "write", "path": text(path), "text": content})
            }
            Self::Remove { path } => json!({"do": "remove", "path": text(path)}),
            Self::RemoveFolder { path } => json!({"do": "remove_folder", "path": text(path)}),
            Self::Run { invocation, .. } => {
                json!({"do": "run", "program": invocation.program, "arguments": invocation.arguments})
            }
        }
    }
}

/// A file of the service manager: where, what is there, and where it would be kept.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) path: PathBuf,
    pub(crate) found: OnDisk,
    /// A name beside it that is free.
    pub(crate) backup: PathBuf,
}

/// What to do to have a file say what it should; nothing where it does already.
///
/// # Errors
/// When it was not written here, or changed since, and that is not to be overruled.
pub(crate) fn written(target: &Target, wanted: &str, force: bool) -> Result<Vec<Step>, Failure> {
    let write = Step::Write { path: target.path.clone(), text: wanted.to_owned() };
    let save = || Step::Save { path: target.path.clone(), to: target.backup.clone() };
    match state(&target.found, wanted) {
        State::Current => Ok(Vec::new()),
        State::Absent | State::Outdated { .. } => Ok(vec![write]),
        State::Edited { .. } | State::Foreign if force => Ok(vec![save(), write]),
        found @ (State::Edited { .. } | State::Foreign) => Err(refusal(target, &found, wanted)),
    }
}

/// What to do to have no such file; nothing where there is none.
///
/// # Errors
/// As for writing it.
pub(crate) fn removed(target: &Target, wanted: &str, force: bool) -> Result<Vec<Step>, Failure> {
    match state(&target.found, wanted) {
        State::Absent => Ok(Vec::new()),
        State::Current | State::Outdated { .. } => Ok(vec![Step::Remove { path: target.path.clone() }]),
        State::Edited { .. } | State::Foreign if force => {
            Ok(vec![Step::Save { path: target.path.clone(), to: target.backup.clone() }])
        }
        found @ (State::Edited { .. } | State::Foreign) => Err(refusal(target, &found, wanted)),
    }
}

fn refusal(target: &Target, state: &State, wanted: &str) -> Failure {
    let path = target.path.display();
    let (code, what) = match state {
        State::Edited { .. } => {
            ("service_file_edited", "was changed since `coditect-sync service install` wrote it")
        }
        State::Foreign | State::Absent | State::Current | State::Outdated { .. } => {
            ("service_file_foreign", "was not written by `coditect-sync service install`")
        }
    };
    let difference = match (&target.found, state) {
        (OnDisk::Text(text), State::Edited { .. }) => difference(text, wanted),
        (OnDisk::Text(_), _) => None,
        (OnDisk::Nothing | OnDisk::Other, _) => Some("it is a link, a folder, or no text".to_owned()),
    };
    let difference = difference.map(|line| format!("; {line}")).unwrap_or_default();
    Failure::new(Exit::Failed, code, format!("`{path}` {what}, and is left alone{difference}")).with_hint(format!(
        "`--dry-run --force` shows what would be done, `--force` does it and keeps the file as `{}`; changes of your own belong into a drop-in",
        target.backup.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::marker::sealed;

    fn target(found: OnDisk) -> Target {
        Target { path: "/u/x.service".into(), found, backup: "/u/x.service.bak".into() }
    }

    fn check(found: OnDisk, force: bool, to_write: Result<&str, &str>, to_remove: Result<&str, &str>) {
        let wanted = sealed("# @MARKER@\nb\n");
        let told = |steps: Result<Vec<Step>, Failure>| match steps {
            Ok(steps) => Ok(steps
                .iter()
                .map(|step| step.shown().lines().next().unwrap_or_default().to_owned())
                .collect::<Vec<_>>()
                .join(", ")),
            Err(failure) => Err(failure.code),
        };
        let target = target(found);
        assert_eq!(told(written(&target, &wanted, force)), to_write.map(str::to_owned), "{target:?}");
        assert_eq!(told(removed(&target, &wanted, force)), to_remove.map(str::to_owned), "{target:?}");
    }

    #[test]
    fn only_what_was_written_here_and_is_as_it_was_is_touched() {
        let text = |text: &str| OnDisk::Text(text.to_owned());
        let (current, older) = (sealed("# @MARKER@\nb\n"), sealed("# @MARKER@\na\n"));
        for force in [false, true] {
            check(OnDisk::Nothing, force, Ok("write /u/x.service:"), Ok(""));
            check(text(&current), force, Ok(""), Ok("rm /u/x.service"));
            check(text(&older), force, Ok("write /u/x.service:"), Ok("rm /u/x.service"));
        }
        let edited = current.replace("b\n", "c\n");
        for (found, code) in [
            (text(&edited), "service_file_edited"),
            (text("b\n"), "service_file_foreign"),
            (OnDisk::Other, "service_file_foreign"),
        ] {
            check(found.clone(), false, Err(code), Err(code));
            let save = "mv /u/x.service /u/x.service.bak";
            check(found, true, Ok(&format!("{save}, write /u/x.service:")), Ok(save));
        }
    }

    #[test]
    fn a_refusal_says_what_was_edited() {
        let wanted = sealed("@MARKER@\na\nb\n");
        let edited = OnDisk::Text(wanted.replace("\nb", "\nc"));
        let message = written(&target(edited), &wanted, false).expect_err("it was edited").message;
        assert!(message.ends_with("; line 3 is `c` and would be `b`"), "{message}");
    }
}
