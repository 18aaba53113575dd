//! The daemon as the commands see it: something to be asked, whose silence is explained.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use sync_config::Places;
use sync_wire::{
    Call, Client, ClientError, CloudState, EventStream, EventsQuery, ItemState, ProblemCode, Project,
    Response, Status,
};
use uuid::Uuid;

use crate::absent;
use crate::exit::Exit;
use crate::human::cloud_sentence;
use crate::problem::Failure;

/// The daemon of this user, or of the places the flags name.
#[derive(Debug)]
pub(crate) struct Daemon {
    client: Client,
    places: Places,
}

impl Daemon {
    pub(crate) fn new(places: Places, timeout: Duration) -> Self {
        let client =
            Client::new(&places.socket, timeout).while_alive(absent::may_answer, places.lock.clone());
        Self { client, places }
    }

    /// Asks for something that is to be done.
    pub(crate) fn ask(&mut self, call: &Call) -> Result<Response, Failure> {
        self.client.accomplish(call).map_err(|error| self.explain(error))
    }

    /// Asks for something, and reads the answer. The bytes are kept, so that programs get what a newer daemon says too.
    pub(crate) fn ask_for<T: DeserializeOwned>(&mut self, call: &Call) -> Result<(T, Vec<u8>), Failure> {
        let response = self.ask(call)?;
        let read = response.json().map_err(|error| self.explain(error))?;
        Ok((read, response.body))
    }

    /// Follows what happens.
    pub(crate) fn follow(&self, query: EventsQuery) -> Result<EventStream, Failure> {
        self.client.follow(&Call::events(query)).map_err(|error| self.explain(error))
    }

    /// Tells it to stop; `false` where it runs and cannot be told: it stops already, or its socket is not there yet.
    pub(crate) fn tell_to_stop(&mut self) -> Result<bool, Failure> {
        match self.client.accomplish(&Call::shutdown()) {
            Ok(_) => Ok(true),
            Err(ClientError::NoSocket { .. } | ClientError::NobodyListens { .. })
                if absent::is_locked_for_socket(&self.places) =>
            {
                Ok(false)
            }
            Err(ClientError::Problem(problem)) if problem.code == ProblemCode::ShuttingDown => Ok(true),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Whether nobody is there any more: the socket goes first, the process later, and only then can another start.
    pub(crate) fn has_gone(&mut self) -> bool {
        if self.places.lock.exists() {
            // Asking could start another, where the service manager listens for it.
            return !absent::is_locked(&self.places);
        }
        let asked = self.client.send(&Call::ready());
        matches!(asked, Err(ClientError::NoSocket { .. } | ClientError::NobodyListens { .. }))
            && !absent::is_locked(&self.places)
    }

    /// How something ends that is still queued after waiting: the credentials may be why. A daemon that has gone
    /// since does not turn what is durable into a failure.
    pub(crate) fn why_still_queued(&mut self) -> (Exit, Option<String>) {
        let Ok((status, _)) = self.ask_for::<Status>(&Call::status()) else { return (Exit::Queued, None) };
        if status.paused {
            return (Exit::Queued, Some("sending is paused; run `coditect-sync resume`".to_owned()));
        }
        let said = status.cloud.last_error.map(|error| format!(": {}", error.message)).unwrap_or_default();
        let why = format!("{}{said}", cloud_sentence(status.cloud.state));
        match status.cloud.state {
            CloudState::AuthRequired => {
                (Exit::Refused, Some(format!("{why}; run `coditect-sync auth set-token`")))
            }
            CloudState::Forbidden => (Exit::Refused, Some(why)),
            CloudState::Online | CloudState::Unknown => (Exit::Queued, None),
            CloudState::Offline | CloudState::Portal | CloudState::Throttled | CloudState::Protocol => {
                (Exit::Queued, Some(why))
            }
        }
    }

    /// What to do about a project whose entry waits for a person; nothing where it has none.
    pub(crate) fn what_keeps(&mut self, local: Uuid) -> Option<String> {
        let (project, _) = self.ask_for::<Project>(&Call::project(local)).ok()?;
        let entry =
            project.queue_item.filter(|entry| matches!(entry.state, ItemState::Dead | ItemState::Parked))?;
        let id = entry.id;
        Some(format!("see `coditect-sync queue show {id}`; `coditect-sync queue retry {id}` sends it again"))
    }

    /// Why the daemon does not answer.
    pub(crate) fn explain(&self, error: ClientError) -> Failure {
        absent::explain(error, &self.places)
    }
}

/// A path as the daemon has to be told it: absolute, and without links and dots as far as it exists. What does not exist
/// may be asked about all the same: a project that has gone.
pub(crate) fn sent_path(path: &Path) -> Result<PathBuf, Failure> {
    let unusable = |exit, error: io::Error| {
        let message = format!("cannot use the path `{}`: {error}", path.display());
        Failure::new(exit, if exit == Exit::Usage { "usage" } else { "failed" }, message)
    };
    let absolute = std::path::absolute(path).map_err(|error| unusable(Exit::Usage, error))?;
    for existing in absolute.ancestors() {
        match existing.canonicalize() {
            Ok(canonical) => {
                let rest = absolute.strip_prefix(existing).unwrap_or(Path::new(""));
                // Joining nothing would add a slash.
                return Ok(if rest.as_os_str().is_empty() { canonical } else { canonical.join(rest) });
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(unusable(Exit::Failed, error)),
        }
    }
    Ok(absolute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_sent_without_links_as_far_as_it_exists() {
        let directory = tempfile::tempdir().expect("a directory");
        let base = directory.path().canonicalize().expect("it exists");
        std::fs::create_dir(base.join("real")).expect("made");
        std::os::unix::fs::symlink(base.join("real"), base.join("link")).expect("made");
        std::os::unix::fs::symlink(base.join("loop"), base.join("loop")).expect("made");
        for (given, expected) in [
            ("real", "real"),
            ("link/", "real"),
            ("real/../link/.", "real"),
            ("link/gone/api", "real/gone/api"),
            ("gone", "gone"),
        ] {
            assert_eq!(sent_path(&base.join(given)).expect("a path"), base.join(expected), "{given}");
        }
        assert_eq!(sent_path(&base.join("loop")).expect_err("it has no end").exit, Exit::Failed);
        assert_eq!(sent_path(Path::new("")).expect_err("it is nothing").exit, Exit::Usage);
    }
}
