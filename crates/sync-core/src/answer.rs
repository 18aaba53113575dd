//! What came back from the cloud, as a value without any HTTP library's types.
//!
//! Reading bytes into an [`Answer`] is the cloud client's work, deciding what it means is
//! [`verdict`](crate::verdict)'s.

use std::time::Duration;

use crate::ids::{CloudId, LocalId, TenantId};
use crate::time::Timestamp;

/// What one request came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// No answer arrived.
    Unreachable(Unreachable),
    /// Something answered, but not a cloud that speaks the contract: a captive portal, a proxy's page, a stranger.
    Suspect(Suspect),
    /// The cloud (or a gateway before it) said no: any status that is not 2xx or 3xx.
    Refused(Refusal),
    /// 200 or 201 for a single project, by the contract: its UUID is there and no other project is echoed.
    Registered(CloudProject),
    /// 200, 201 or 207 for a batch: a result for each project that was taken.
    Results(Vec<ItemResult>),
    /// 202: taken, but not done; the UUID is there only where the cloud already said it.
    Accepted(Option<CloudProject>),
    /// The flight itself failed on our side: it panicked, or a request could not even be built.
    Internal(String),
}

impl Answer {
    /// Whether what a request with this answer says of a project may still be carried out: it was sent, and nobody who did
    /// the work, or refused to, has said so. A gateway that gives up on the cloud (502, 503, 504; 520 to 527 where the
    /// gateway is Cloudflare's) does not call back what it passed on; one that asks for patience has passed nothing on.
    /// What was only accepted is still to come.
    pub fn leaves_open(&self, project: LocalId) -> bool {
        match self {
            Self::Results(results) => results
                .iter()
                .any(|result| result.local == project && matches!(result.outcome, ItemOutcome::Accepted(_))),
            Self::Unreachable(Unreachable::Reset | Unreachable::AnswerTimeout)
            | Self::Internal(_)
            | Self::Accepted(_) => true,
            Self::Refused(Refusal { status, wait: None, .. }) => {
                matches!(status, 502..=504 | 520..=527)
            }
            Self::Unreachable(
                Unreachable::Dns
                | Unreachable::NoRoute
                | Unreachable::ConnectTimeout
                | Unreachable::ConnectRefused
                | Unreachable::Tls,
            )
            | Self::Refused(_)
            | Self::Suspect(_)
            | Self::Registered(_) => false,
        }
    }

    /// Whether the answer's Date is the cloud's: what answers in its place, and a proxy on the way, have clocks of their
    /// own.
    pub fn tells_time(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Suspect(_) | Self::Internal(_) => false,
            Self::Refused(refusal) => refusal.status != 407,
            Self::Registered(_) | Self::Results(_) | Self::Accepted(_) => true,
        }
    }
}

/// Why no answer arrived.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Unreachable {
    /// The name could not be looked up.
    Dns,
    /// No route to the host or no network.
    NoRoute,
    /// Connecting took too long.
    ConnectTimeout,
    /// The host refused the connection.
    ConnectRefused,
    /// The connection broke before an answer was complete.
    Reset,
    /// The handshake failed for a reason other than the certificate.
    Tls,
    /// The request was sent and the answer did not arrive, or not whole, within the deadline.
    AnswerTimeout,
}

/// Why an answer is not believed to be the cloud's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Suspect {
    /// The certificate is not trusted; with the reason.
    Certificate(String),
    /// A redirect; never followed. With the status.
    Redirect(u16),
    /// A 2xx whose body is not the contract's JSON; with what is wrong.
    NotTheContract(String),
}

/// A status other than 2xx and 3xx.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// How long the cloud asks to wait: Retry-After in either form (a date is taken against the answer's own Date),
    /// or the reset of a rate limit.
    pub wait: Option<Duration>,
    /// The cloud's words: `error` or `detail`, at most 500 characters, empty where there are none.
    pub words: String,
}

/// A project as the cloud tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CloudProject {
    /// Its UUID in the cloud.
    pub cloud: CloudId,
    /// For example `registered`, `pending`; empty where the cloud said nothing.
    pub status: String,
    /// When the cloud says it was registered.
    pub registered_at: Option<Timestamp>,
    /// The tenant the cloud says it is in.
    pub tenant: Option<TenantId>,
}

/// One project's result inside a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ItemResult {
    /// Which project.
    pub local: LocalId,
    /// What became of it.
    pub outcome: ItemOutcome,
}

/// What became of one project of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ItemOutcome {
    /// Registered or updated.
    Done(CloudProject),
    /// Taken, but not done, under this UUID where one was told.
    Accepted(Option<CloudProject>),
    /// The cloud does not take it now, for a reason that says nothing of the project: the credential, the account, the rate.
    NotNow(String),
    /// The cloud could not take this one; a later attempt may pass.
    Failed(String),
    /// The cloud will never take this one as it is (a code of the 4xx kind).
    Rejected(String),
}

/// What a look-up (`by-local-uuid`, `registration-status`) came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LookUp {
    /// The cloud knows it.
    Found(CloudProject),
    /// A 404: the cloud does not know it.
    Unknown,
    /// No such answer; judged like a flight's.
    Failed(Answer),
}

impl LookUp {
    /// Whether the answer's Date is the cloud's.
    pub fn tells_time(&self) -> bool {
        match self {
            Self::Found(_) | Self::Unknown => true,
            Self::Failed(answer) => answer.tells_time(),
        }
    }
}

/// Hints a cloud may give with any 2xx; `None` where it gave none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hints {
    /// Over how long the daemons spread their first request after a link comes up; at most 60 s.
    pub link_up_spread: Option<Duration>,
    /// The longest pause between probes; at most 600 s.
    pub probe_cap: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_clouds_own_answers_tell_the_time() {
        let refused = |status| Answer::Refused(Refusal { status, wait: None, words: String::new() });
        for (answer, tells) in [
            (Answer::Suspect(Suspect::NotTheContract("a sign-in page".to_owned())), false),
            (Answer::Suspect(Suspect::Redirect(302)), false),
            (Answer::Unreachable(Unreachable::Reset), false),
            (refused(407), false),
            (refused(401), true),
            (Answer::Results(Vec::new()), true),
        ] {
            assert_eq!(answer.tells_time(), tells, "{answer:?}");
            assert_eq!(LookUp::Failed(answer.clone()).tells_time(), tells, "{answer:?}");
        }
        assert!(LookUp::Unknown.tells_time());
    }
}
