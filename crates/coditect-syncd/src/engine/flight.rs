//! Everything that goes out to the world on behalf of the delivery loop, each as one future with one result.
//!
//! A flight never fails: whatever happens is an answer.

use std::sync::Arc;

use sync_cloud::{Cloud, Credential, CredentialError, LookUpReply, Outgoing, Reply, Source, Token};
use sync_core::{CloudId, Entry, Flight, LocalId, Scope, batch_key, idempotency_key};

/// What came back.
#[derive(Debug)]
pub(super) enum Landing {
    /// From a flight of registrations.
    Flight(Flight, Reply),
    /// From asking what became of an entry.
    Entry(Box<Entry>, LookUpReply),
    /// From asking for somebody, or to refresh a mapping.
    LookUp(LocalId, LookUpReply),
    /// From asking where a registration stands.
    Status(CloudId, Option<LocalId>, LookUpReply),
    /// From asking for the credential.
    Credential(Result<Option<Credential>, CredentialError>),
}

/// What goes out, so that it can be judged even when its future panics.
#[derive(Clone, Debug)]
pub(super) enum Errand {
    /// A flight of registrations.
    Flight(Flight),
    /// Asking what became of an entry, under the UUID where one is known.
    Entry(Box<Entry>, Option<CloudId>),
    /// Asking for somebody.
    LookUp(LocalId),
    /// Asking where a registration stands: for somebody, or of a project of this machine because it was not final.
    Status(CloudId, Option<LocalId>),
    /// Asking for the credential.
    Credential(Source),
}

impl Errand {
    /// Whether it carries an entry, so that nothing else is sent until it lands.
    pub(super) fn is_of_an_entry(&self) -> bool {
        match self {
            Self::Flight(_) | Self::Entry(..) => true,
            Self::LookUp(_) | Self::Status(..) | Self::Credential(_) => false,
        }
    }
}

/// Carries out one errand.
pub(super) async fn fly(cloud: Arc<Cloud>, token: Option<Token>, scope: Scope, errand: Errand) -> Landing {
    let token = token.as_ref();
    match errand {
        Errand::Flight(flight) => {
            let outgoing: Vec<Outgoing> = flight
                .entries
                .iter()
                .map(|entry| Outgoing {
                    registration: entry.registration.clone(),
                    key: idempotency_key(&scope, entry),
                    revision: entry.revision,
                })
                .collect();
            let reply = match (flight.batch, outgoing.as_slice()) {
                (false, [only]) => cloud.register(token, only).await,
                (_, several) => {
                    let keys: Vec<_> = several.iter().map(|outgoing| outgoing.key).collect();
                    cloud.sync(token, several, batch_key(&keys)).await
                }
            };
            Landing::Flight(flight, reply)
        }
        Errand::Entry(entry, project) => {
            let reply = match project {
                Some(project) => cloud.registration_status(token, project).await,
                None => cloud.by_local_uuid(token, entry.registration.local).await,
            };
            Landing::Entry(entry, reply)
        }
        Errand::LookUp(local) => Landing::LookUp(local, cloud.by_local_uuid(token, local).await),
        Errand::Status(project, local) => {
            Landing::Status(project, local, cloud.registration_status(token, project).await)
        }
        Errand::Credential(source) => Landing::Credential(sync_cloud::obtain(&source).await),
    }
}
