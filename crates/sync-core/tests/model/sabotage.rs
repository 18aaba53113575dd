//! Carries out the mutations that change what is written down.

use sync_core::{Answer, CloudId, CloudProject, Fate, Flight, Mapping, Settled, Standing, Timestamp};
use uuid::Uuid;

use crate::mutation::Mutation;
use crate::queue::Queue;
use crate::world::World;

impl<Q: Queue> World<Q> {
    /// What is written down instead of the machine's ruling.
    pub(crate) fn mutate_settled(
        &mut self,
        settled: Vec<Settled>,
        answer: &Answer,
        flight: &Flight,
    ) -> Vec<Settled> {
        let rows =
            if self.mutated(Mutation::SettlingIgnoresTheRevision) { self.all_entries() } else { Vec::new() };
        let mutation = self.mutation;
        let invented = |settled: Settled| {
            let project = CloudProject {
                cloud: CloudId(Uuid::from_u128(1)),
                status: String::new(),
                registered_at: None,
                tenant: None,
            };
            Settled { fate: Fate::Delivered(project), ..settled }
        };
        settled
            .into_iter()
            .map(|one| match (mutation, answer, &one.fate) {
                (Some(Mutation::SettlingIgnoresTheRevision), _, _) => {
                    let revision = rows.iter().find(|row| row.id == one.entry).map(|row| row.revision);
                    Settled { revision: revision.unwrap_or(one.revision), ..one }
                }
                (Some(Mutation::ScopeFailuresCount), Answer::Unreachable(_), Fate::Back { due, .. }) => {
                    let failure = sync_core::Failure {
                        code: "unreachable".to_owned(),
                        message: String::new(),
                        at: *due,
                    };
                    Settled { fate: Fate::Retry { due: *due, failure }, ..one }
                }
                (Some(Mutation::PortalsAreBelieved), Answer::Suspect(_), _) => invented(one),
                (
                    Some(Mutation::LeftOutIsDelivered),
                    Answer::Results(_),
                    Fate::Back { .. } | Fate::Retry { .. },
                ) if flight.batch => invented(one),
                _ => one,
            })
            .collect()
    }

    /// What is written besides.
    pub(crate) fn mutate_rows(&mut self, flight: &Flight, settled: &[Settled], now: Timestamp) {
        let here = self.scope.0;
        if self.mutated(Mutation::DeadEntriesVanish) {
            for one in settled.iter().filter(|one| matches!(one.fate, Fate::Bury(_))) {
                self.queue.drop_entry(one.entry);
            }
        }
        if self.mutated(Mutation::NeighboursAreTouched) {
            let others = self.all_entries();
            let flew = |id| flight.entries.iter().any(|entry| entry.id == id);
            if let Some(other) = others
                .iter()
                .find(|row| !flew(row.id) && row.standing == Standing::Ready && row.scope == here)
            {
                let failure = sync_core::Failure { code: "x".to_owned(), message: String::new(), at: now };
                let fate = Fate::Retry { due: other.due, failure };
                let touched = Settled {
                    entry: other.id,
                    local: other.registration.local,
                    revision: other.revision,
                    hash: other.hash,
                    fate,
                };
                self.queue.settle(here, &[touched], 0, now);
            }
        }
        if self.mutated(Mutation::MappingsGoToEveryScope) {
            for owner in [0, 1, 2].map(Some) {
                let scope = self.scope_of(owner);
                let mappings: Vec<Mapping> = self.queue.mappings(here);
                for mapping in mappings {
                    self.queue.put_mapping(scope, mapping, now);
                }
            }
        }
    }
}
