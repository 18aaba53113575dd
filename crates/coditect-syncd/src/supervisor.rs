//! Holds the long-lived tasks. One that ends before it is asked to, in any way, is a fault that ends the daemon.
//!
//! Starting again is the service manager's work; there is no second mechanism for it inside.

use std::any::Any;
use std::collections::HashMap;
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};

use crate::stop::Stop;

/// Exit status of a fault of the daemon itself (`EX_SOFTWARE` of sysexits).
pub(crate) const EXIT_FAULT: u8 = 70;

/// The tasks by name.
#[derive(Debug)]
pub(crate) struct Supervisor {
    stop: Stop,
    tasks: JoinSet<Result<(), String>>,
    names: HashMap<Id, &'static str>,
}

/// A task that ended badly.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("task `{task}` {how}")]
pub(crate) struct Fault {
    /// Its name.
    pub task: &'static str,
    /// How it ended, as the rest of a sentence.
    pub how: String,
}

impl Supervisor {
    /// Holds nothing yet.
    pub(crate) fn new(stop: Stop) -> Self {
        Self { stop, tasks: JoinSet::new(), names: HashMap::new() }
    }

    /// Starts a task that is to live until it is asked to stop.
    pub(crate) fn start<E: Display>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let handle = self.tasks.spawn(async move { task.await.map_err(|error| error.to_string()) });
        self.names.insert(handle.id(), name);
    }

    /// Waits until all tasks have ended. The first one that ends early stops the others; after `grace` from the
    /// beginning of the stop, or at once when everything is to be dropped, what is left is aborted.
    ///
    /// # Errors
    /// The first task that ended badly.
    pub(crate) async fn watch(mut self, grace: Duration) -> Result<(), Fault> {
        let mut fault = None;
        while !self.stop.is_finishing() {
            tokio::select! {
                () = self.stop.finishing() => {}
                ended = self.tasks.join_next_with_id() => match ended {
                    // Both may be ready at once; then the task ended because it was asked to.
                    Some(ended) if self.stop.is_finishing() => fault = fault.or_else(|| self.late(ended)),
                    Some(ended) => {
                        fault = fault.or(Some(self.early(ended)));
                        self.stop.finish();
                    }
                    None => return Ok(()),
                },
            }
        }
        let stop = self.stop.clone();
        let limit = tokio::time::sleep(grace);
        tokio::pin!(limit);
        loop {
            tokio::select! {
                ended = self.tasks.join_next_with_id() => match ended {
                    Some(ended) => fault = fault.or_else(|| self.late(ended)),
                    None => break,
                },
                () = &mut limit => {
                    tracing::warn!(tasks = ?self.left(), "did not end within the grace; dropping them");
                    stop.drop_everything();
                    self.tasks.abort_all();
                    limit.as_mut().reset(tokio::time::Instant::now() + grace);
                }
                () = stop.dropping() => {
                    self.tasks.abort_all();
                    while self.tasks.join_next().await.is_some() {}
                    break;
                }
            }
        }
        fault.map_or(Ok(()), Err)
    }

    fn left(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = self.names.values().copied().collect();
        names.sort_unstable();
        names
    }

    fn early(&mut self, ended: Result<(Id, Result<(), String>), JoinError>) -> Fault {
        let ended_without_being_asked = "ended without being asked to".to_owned();
        let (id, how) = match ended {
            Ok((id, Ok(()))) => (id, ended_without_being_asked),
            Ok((id, Err(error))) => (id, format!("failed to {error}")),
            Err(error) => (error.id(), how_it_panicked(error)),
        };
        Fault { task: self.names.remove(&id).unwrap_or("unknown"), how }
    }

    fn late(&mut self, ended: Result<(Id, Result<(), String>), JoinError>) -> Option<Fault> {
        match ended {
            Ok((id, Ok(()))) => {
                self.names.remove(&id);
                None
            }
            Err(error) if error.is_cancelled() => None,
            bad @ (Ok((_, Err(_))) | Err(_)) => Some(self.early(bad)),
        }
    }
}

fn how_it_panicked(error: JoinError) -> String {
    if error.is_cancelled() {
        return "was cancelled".to_owned();
    }
    format!("panicked: {}", panic_text(error))
}

/// What a panic said.
pub(crate) fn panic_text(error: JoinError) -> String {
    error.try_into_panic().map_or_else(|_| "cancelled".to_owned(), |panic| panic_words(&*panic))
}

/// The words a panic carries.
pub(crate) fn panic_words(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without words".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    #[tokio::test(flavor = "current_thread")]
    async fn a_task_that_ends_early_in_any_way_is_a_fault() {
        for (name, expected) in [
            ("returns", "task `returns` ended without being asked to"),
            ("fails", "task `fails` failed to read the moon"),
            ("panics", "task `panics` panicked: oh"),
        ] {
            let stop = Stop::default();
            let mut supervisor = Supervisor::new(stop.clone());
            supervisor.start(name, async move {
                match name {
                    "fails" => Err("read the moon"),
                    "panics" => panic!("oh"),
                    _ => Ok(()),
                }
            });
            let other = stop.clone();
            supervisor.start("other", async move {
                other.finishing().await;
                Ok::<(), String>(())
            });
            assert_eq!(supervisor.watch(GRACE).await.unwrap_err().to_string(), expected);
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_task_that_ends_in_the_moment_of_the_stop_is_no_fault() {
        for _ in 0..64 {
            let stop = Stop::default();
            let mut supervisor = Supervisor::new(stop.clone());
            for name in ["one", "two", "three"] {
                let asked = stop.clone();
                supervisor.start(name, async move {
                    asked.finishing().await;
                    Ok::<(), String>(())
                });
            }
            let asking = stop.clone();
            supervisor.start("asking", async move {
                asking.finish();
                Ok::<(), String>(())
            });
            assert_eq!(supervisor.watch(GRACE).await, Ok(()));
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn tasks_that_end_when_asked_are_fine_and_stuck_ones_are_dropped() {
        let stop = Stop::default();
        let mut supervisor = Supervisor::new(stop.clone());
        let polite = stop.clone();
        supervisor.start("polite", async move {
            polite.finishing().await;
            Ok::<(), String>(())
        });
        supervisor.start("stuck", std::future::pending::<Result<(), String>>());
        stop.finish();
        assert_eq!(supervisor.watch(Duration::from_millis(20)).await, Ok(()));
    }
}
