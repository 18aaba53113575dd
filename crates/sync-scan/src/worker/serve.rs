//! The worker's side: examines what it is asked to until nobody asks any more.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::frame::{Hello, Outcome, Question, Setup, receive, send};
use crate::content::{Means, examine};
use crate::exclude::Exclude;
use crate::rules::framework::Rules;
use crate::shelf::Shelf;

/// Why a worker ended otherwise than by the end of its input.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Who asks is gone, or speaks something else.
    #[error("speak with the daemon")]
    Speak(#[from] io::Error),
    /// It was asked before it was told what to go by.
    #[error("a project came before what it is examined by")]
    OutOfTurn,
}

/// What projects are examined by.
struct Bench {
    exclude: Exclude,
    rules: Rules,
    shelf: Option<Shelf>,
    members: bool,
    apart: Vec<PathBuf>,
}

impl Bench {
    fn of(setup: Setup) -> Self {
        Self {
            exclude: Exclude::new(&setup.roots, &setup.patterns),
            rules: Rules::with(&setup.rules),
            shelf: setup.shelf.map(|(folder, program)| Shelf::of(PathBuf::from(folder), program)),
            members: setup.members,
            apart: setup.apart,
        }
    }
}

/// Examines projects as a worker of a [`Lookout`](crate::Lookout), a [`look`](crate::look()) or a
/// [`survey`](crate::survey()) until the input ends. Blocks.
///
/// # Errors
/// When who asks is gone or speaks something else.
pub fn serve(mut input: impl Read, mut output: impl Write) -> Result<(), ServeError> {
    send(&mut output, &Hello::ours())?;
    let mut bench = None;
    // Who wants no answer any more ends the process.
    let stop = AtomicBool::new(false);
    while let Some(question) = receive(&mut input)? {
        match question {
            Question::Setup(setup) => {
                bench = Some(Bench::of(setup));
                send(&mut output, &())?;
            }
            Question::Examine { root, vcs, asked } => {
                let Some(bench) = &bench else { return Err(ServeError::OutOfTurn) };
                let asked: BTreeSet<PathBuf> = asked.into_iter().collect();
                let means = Means {
                    exclude: &bench.exclude,
                    rules: &bench.rules,
                    shelf: bench.shelf.as_ref(),
                    asked: Some(&asked),
                    members: bench.members,
                    apart: &bench.apart,
                };
                let root = PathBuf::from(root);
                let examined = catch_unwind(AssertUnwindSafe(|| examine(&root, vcs, means, &stop)));
                let outcome: Outcome = examined.map_err(|panic| words(&*panic));
                send(&mut output, &outcome)?;
            }
        }
    }
    Ok(())
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no words".to_owned())
}
