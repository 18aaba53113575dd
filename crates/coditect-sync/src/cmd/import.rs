//! `import`: take over the old client's databases now.

use sync_wire::{Call, ImportAnswer, ImportRequest};

use super::Context;
use crate::args::Import;
use crate::daemon::sent_path;
use crate::exit::Exit;
use crate::human::count;
use crate::out::Answer;
use crate::problem::Failure;
use crate::progress::{Shown, during};

pub(super) fn run(import: &Import, context: &Context) -> Result<Answer, Failure> {
    let from = import.from.as_deref().map(text).transpose()?;
    let mut daemon = context.daemon()?;
    let call = Call::import(&ImportRequest { from });
    let (answer, document) = during(context, Shown::TakingOver, || daemon.ask_for::<ImportAnswer>(&call))?;
    let ImportAnswer { registrations, queued, mappings, set_aside, left, problems } = answer;
    let mut lines = vec![format!(
        "{} and {} taken over; {} wait to be sent",
        count(registrations, "registration", "registrations"),
        count(mappings, "known UUID", "known UUIDs"),
        count(queued, "project", "projects"),
    )];
    if set_aside > 0 {
        lines.push(format!(
            "set aside because nothing could be read from them: {}",
            count(set_aside, "row", "rows")
        ));
    }
    if left > 0 {
        lines.push(format!("left where they are for now: {}", count(left, "row", "rows")));
    }
    let failed = !problems.is_empty();
    lines.extend(problems);
    let answer = Answer::done(document, lines.join("\n"));
    Ok(if failed { answer.ending(Exit::Failed) } else { answer })
}

fn text(path: &std::path::Path) -> Result<String, Failure> {
    let path = sent_path(path)?;
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::new(Exit::Usage, "usage", format!("the path `{}` is not UTF-8", path.display()))
            .with_hint("copy the databases to another folder")
    })
}
