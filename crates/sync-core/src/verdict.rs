//! What an answer of the cloud means: the table of the delivery rules, one match arm a row.
//!
//! Judges one answer to one flight. Does not know what happened before; [`Delivery`](crate::Delivery) keeps that and
//! carries out the ruling.

use std::time::Duration;

use crate::answer::{Answer, CloudProject, ItemOutcome, ItemResult, Refusal, Suspect, Unreachable};
use crate::breaker::Cause;
use crate::ids::{CloudId, LocalId};

/// What an answer says about the way to the cloud.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScopeVerdict {
    /// The exchange was good.
    Good,
    /// Nothing is known of the way from this.
    Unchanged,
    /// Nothing more for a while.
    Wait {
        /// Why.
        cause: Cause,
        /// How long the cloud asked for.
        told: Option<Duration>,
    },
    /// The credential was refused.
    CredentialRefused,
    /// The same once more at once on a new connection; the second time the server is at fault.
    OnceMore,
    /// Batches are not spoken here: singles for a day.
    NoBatches,
}

/// What an answer says about the size of requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PaceVerdict {
    /// Nothing.
    Same,
    /// It was good.
    Good,
    /// Less at a time.
    Halve,
    /// No answer in time.
    TimedOut,
    /// The body was too large.
    TooLarge,
}

/// What an answer says about the entries of the flight.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EntriesVerdict {
    /// Nothing: they return as they were.
    Return,
    /// One of them is at fault: look for it by halves. Of a single one, the reason is its own.
    Split(Fault),
    /// Each has its own result.
    Each(Vec<(LocalId, ItemVerdict)>),
    /// Taken, but not done: ask later what became of them, of a single one under this UUID where one was told.
    AskLater(Option<CloudId>),
}

/// Why the cloud did not take a request as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// 400, 422 and the like: something in it is wrong. A single one is dead.
    Rejected(Words),
    /// 413. A single one is dead.
    TooLarge(Words),
    /// 402, 403: the tenant or this project is refused. A single one is parked unless others are refused too.
    Forbidden(Words),
    /// 409: the key is in use, or another project has its place.
    Conflict(Words),
    /// 500: the cloud stumbled, perhaps over one of them.
    Stumbled(Words),
    /// Our own flight failed. A single one has it counted.
    Internal(Words),
}

/// A stable code and what was said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Words {
    /// For example `http_422`.
    pub code: String,
    /// The cloud's words, or ours.
    pub message: String,
}

/// What became of one project of a flight.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ItemVerdict {
    /// It is in the cloud.
    Delivered(CloudProject),
    /// The cloud took it and is to be asked later, under this UUID where it told one.
    AskLater(Option<CloudId>),
    /// Not counted: it is not the project's fault, and goes again later.
    NotNow(Words),
    /// Counted; a later attempt may pass.
    Failed(Words),
    /// The final word.
    Rejected(Words),
}

/// The ruling on one answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// About the way.
    pub scope: ScopeVerdict,
    /// About the size.
    pub pace: PaceVerdict,
    /// About the entries. A project of the flight that `Each` does not name was left out by the cloud.
    pub entries: EntriesVerdict,
    /// What went wrong, for the status; `None` when all is well.
    pub trouble: Option<Words>,
    /// How long the cloud asked for, where `scope` does not say it: nothing is sent before.
    pub patience: Option<Duration>,
}

/// Judges the answer to a flight of `sent` projects; `batch` tells which endpoint it went to.
pub fn judge(sent: &[LocalId], batch: bool, answer: &Answer) -> Verdict {
    match answer {
        Answer::Unreachable(kind) => judge_unreachable(*kind),
        Answer::Suspect(suspect) => portal(judge_suspect(suspect)),
        Answer::Refused(refusal) => judge_refusal(batch, refusal),
        Answer::Registered(project) => match sent {
            [only] => good(EntriesVerdict::Each(vec![(*only, ItemVerdict::Delivered(project.clone()))])),
            _ => portal(words("not_the_contract", "one project's answer came for a batch")),
        },
        Answer::Results(results) => judge_results(sent, results),
        Answer::Accepted(project) => good(EntriesVerdict::AskLater(
            project.as_ref().filter(|_| sent.len() == 1).map(|project| project.cloud),
        )),
        Answer::Internal(message) => Verdict {
            scope: ScopeVerdict::Unchanged,
            pace: PaceVerdict::Same,
            entries: EntriesVerdict::Split(Fault::Internal(words("internal", message))),
            trouble: Some(words("internal", message)),
            patience: None,
        },
    }
}

fn judge_unreachable(kind: Unreachable) -> Verdict {
    let (cause, pace, code, message) = match kind {
        Unreachable::Dns => {
            (Cause::Local, PaceVerdict::Same, "unreachable_dns", "its name could not be looked up")
        }
        Unreachable::NoRoute => {
            (Cause::Local, PaceVerdict::Same, "unreachable_network", "there is no network to it")
        }
        Unreachable::ConnectTimeout => {
            (Cause::Local, PaceVerdict::Same, "connect_timeout", "connecting took too long")
        }
        Unreachable::ConnectRefused => {
            (Cause::Server, PaceVerdict::Same, "connection_refused", "it refused the connection")
        }
        Unreachable::Reset => {
            (Cause::Server, PaceVerdict::Same, "connection_broken", "the connection broke before the answer")
        }
        Unreachable::Tls => (Cause::Server, PaceVerdict::Same, "tls", "the TLS handshake failed"),
        Unreachable::AnswerTimeout => (
            Cause::Server,
            PaceVerdict::TimedOut,
            "answer_timeout",
            "the answer did not arrive within the time allowed",
        ),
    };
    Verdict {
        scope: ScopeVerdict::Wait { cause, told: None },
        pace,
        entries: EntriesVerdict::Return,
        trouble: Some(words(code, message)),
        patience: None,
    }
}

fn judge_suspect(suspect: &Suspect) -> Words {
    match suspect {
        Suspect::Certificate(why) => words("certificate", &format!("its certificate is not trusted: {why}")),
        Suspect::Redirect(status) => words(
            "redirect",
            &format!("a redirect ({status}) came instead of an answer; redirects are not followed"),
        ),
        Suspect::NotTheContract(why) => words("not_the_contract", why),
    }
}

fn judge_refusal(batch: bool, refusal: &Refusal) -> Verdict {
    let said = said(refusal);
    let wait = |cause| ScopeVerdict::Wait { cause, told: refusal.wait };
    let (scope, pace, entries) = match refusal.status {
        401 => (ScopeVerdict::CredentialRefused, PaceVerdict::Same, EntriesVerdict::Return),
        402 | 403 => split(Fault::Forbidden(said.clone())),
        404 | 405 | 410 | 426 | 501 if batch => {
            (ScopeVerdict::NoBatches, PaceVerdict::Same, EntriesVerdict::Return)
        }
        404 | 405 | 410 | 426 | 501 => (
            ScopeVerdict::Wait { cause: Cause::Protocol, told: None },
            PaceVerdict::Same,
            EntriesVerdict::Return,
        ),
        407 => (
            ScopeVerdict::Wait { cause: Cause::Proxy, told: None },
            PaceVerdict::Same,
            EntriesVerdict::Return,
        ),
        // Whoever asks for patience gets it, also with what is else tried again at once or given up.
        408 | 413 | 421 | 425 if refusal.wait.is_some() => {
            let pace = if refusal.status == 413 { PaceVerdict::TooLarge } else { PaceVerdict::Same };
            (wait(Cause::Server), pace, EntriesVerdict::Return)
        }
        408 | 421 | 425 => (ScopeVerdict::OnceMore, PaceVerdict::Same, EntriesVerdict::Return),
        409 => split(Fault::Conflict(said.clone())),
        413 => {
            let (scope, _, entries) = split(Fault::TooLarge(said.clone()));
            (scope, PaceVerdict::TooLarge, entries)
        }
        429 => (wait(Cause::Rate), PaceVerdict::Halve, EntriesVerdict::Return),
        400..=499 => split(Fault::Rejected(said.clone())),
        500 => (
            ScopeVerdict::Wait { cause: Cause::Server, told: refusal.wait },
            PaceVerdict::Same,
            EntriesVerdict::Split(Fault::Stumbled(said.clone())),
        ),
        503 => (wait(Cause::Server), PaceVerdict::Halve, EntriesVerdict::Return),
        _ => (wait(Cause::Server), PaceVerdict::Same, EntriesVerdict::Return),
    };
    let is_told = matches!(scope, ScopeVerdict::Wait { told: Some(_), .. });
    // What a proxy of this machine asks for is no wish of the cloud's.
    let patience = refusal.wait.filter(|_| !is_told && refusal.status != 407);
    Verdict { scope, pace, entries, trouble: Some(said), patience }
}

/// The cloud answered and the way is good; something in the request is at fault.
fn split(fault: Fault) -> (ScopeVerdict, PaceVerdict, EntriesVerdict) {
    (ScopeVerdict::Good, PaceVerdict::Same, EntriesVerdict::Split(fault))
}

fn judge_results(sent: &[LocalId], results: &[ItemResult]) -> Verdict {
    let each: Vec<(LocalId, ItemVerdict)> = results
        .iter()
        .filter(|result| sent.contains(&result.local))
        .map(|result| {
            let verdict = match &result.outcome {
                ItemOutcome::Done(project) => ItemVerdict::Delivered(project.clone()),
                ItemOutcome::Accepted(project) => {
                    ItemVerdict::AskLater(project.as_ref().map(|project| project.cloud))
                }
                ItemOutcome::NotNow(message) => ItemVerdict::NotNow(words("item_not_now", message)),
                ItemOutcome::Failed(message) => ItemVerdict::Failed(words("item_failed", message)),
                ItemOutcome::Rejected(message) => ItemVerdict::Rejected(words("item_rejected", message)),
            };
            (result.local, verdict)
        })
        .collect();
    // A cloud that takes a batch and says nothing of any of its projects does not speak the contract; to count that
    // against every project would bury them all.
    if each.is_empty() && sent.len() > 1 {
        return portal(words("not_the_contract", "the answer names none of the projects that were sent"));
    }
    let not_now = each.iter().filter(|(_, verdict)| matches!(verdict, ItemVerdict::NotNow(_))).count();
    let mut verdict = good(EntriesVerdict::Each(each));
    if not_now > 0 {
        verdict.pace = PaceVerdict::Same;
    }
    // Where all are turned away it is not about any of them.
    if not_now == sent.len() && sent.len() > 1 {
        verdict.scope = ScopeVerdict::Wait { cause: Cause::Rate, told: None };
        verdict.pace = PaceVerdict::Halve;
        verdict.trouble = Some(words("item_not_now", "the cloud takes none of them now"));
    }
    verdict
}

fn good(entries: EntriesVerdict) -> Verdict {
    Verdict { scope: ScopeVerdict::Good, pace: PaceVerdict::Good, entries, trouble: None, patience: None }
}

fn portal(why: Words) -> Verdict {
    Verdict {
        scope: ScopeVerdict::Wait { cause: Cause::Portal, told: None },
        pace: PaceVerdict::Same,
        entries: EntriesVerdict::Return,
        trouble: Some(why),
        patience: None,
    }
}

fn said(refusal: &Refusal) -> Words {
    let code = format!("http_{}", refusal.status);
    let message = if refusal.words.is_empty() {
        format!("it answered {}", refusal.status)
    } else {
        format!("it answered {}: {}", refusal.status, refusal.words)
    };
    Words { code, message }
}

fn words(code: &str, message: &str) -> Words {
    Words { code: code.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CloudId;
    use uuid::Uuid;

    const A: LocalId = LocalId(Uuid::from_u128(1));
    const B: LocalId = LocalId(Uuid::from_u128(2));

    fn cloud() -> CloudProject {
        CloudProject {
            cloud: CloudId(Uuid::from_u128(9)),
            status: "registered".to_owned(),
            registered_at: None,
            tenant: None,
        }
    }

    fn refused(status: u16) -> Answer {
        Answer::Refused(Refusal { status, wait: Some(Duration::from_secs(7)), words: "no".to_owned() })
    }

    /// A short text for each part of a verdict, so that the table reads beside the specification.
    fn outline(sent: &[LocalId], batch: bool, answer: &Answer) -> String {
        let verdict = judge(sent, batch, answer);
        let scope = match verdict.scope {
            ScopeVerdict::Good => "closed".to_owned(),
            ScopeVerdict::Unchanged => "-".to_owned(),
            ScopeVerdict::Wait { cause, told } => {
                format!("wait {}{}", cause.as_str(), if told.is_some() { " told" } else { "" })
            }
            ScopeVerdict::CredentialRefused => "auth".to_owned(),
            ScopeVerdict::OnceMore => "once more".to_owned(),
            ScopeVerdict::NoBatches => "singles".to_owned(),
        };
        let entries = match verdict.entries {
            EntriesVerdict::Return => "return".to_owned(),
            EntriesVerdict::AskLater(_) => "ask later".to_owned(),
            EntriesVerdict::Split(fault) => match fault {
                Fault::Rejected(_) => "split rejected",
                Fault::TooLarge(_) => "split too large",
                Fault::Forbidden(_) => "split forbidden",
                Fault::Conflict(_) => "split conflict",
                Fault::Stumbled(_) => "split stumbled",
                Fault::Internal(_) => "split internal",
            }
            .to_owned(),
            EntriesVerdict::Each(each) => each
                .iter()
                .map(|(_, verdict)| match verdict {
                    ItemVerdict::Delivered(_) => "delivered",
                    ItemVerdict::NotNow(_) => "not now",
                    ItemVerdict::Failed(_) => "failed",
                    ItemVerdict::Rejected(_) => "rejected",
                    ItemVerdict::AskLater(_) => "ask later",
                })
                .collect::<Vec<_>>()
                .join("+"),
        };
        let pace = match verdict.pace {
            PaceVerdict::Same => "",
            PaceVerdict::Good => ", good",
            PaceVerdict::Halve => ", halve",
            PaceVerdict::TimedOut => ", timed out",
            PaceVerdict::TooLarge => ", too large",
        };
        let patience = if verdict.patience.is_some() { ", patience" } else { "" };
        format!("{scope}: {entries}{pace}{patience}")
    }

    #[test]
    fn no_answer_is_never_the_projects_fault() {
        for (kind, expected) in [
            (Unreachable::Dns, "wait local: return"),
            (Unreachable::NoRoute, "wait local: return"),
            (Unreachable::ConnectTimeout, "wait local: return"),
            (Unreachable::ConnectRefused, "wait server: return"),
            (Unreachable::Reset, "wait server: return"),
            (Unreachable::Tls, "wait server: return"),
            (Unreachable::AnswerTimeout, "wait server: return, timed out"),
        ] {
            assert_eq!(outline(&[A, B], true, &Answer::Unreachable(kind)), expected, "{kind:?}");
        }
        for suspect in [
            Suspect::Certificate("expired".to_owned()),
            Suspect::Redirect(302),
            Suspect::NotTheContract("HTML".to_owned()),
        ] {
            assert_eq!(outline(&[A], false, &Answer::Suspect(suspect)), "wait portal: return");
        }
    }

    #[test]
    fn every_status_has_its_row() {
        for (statuses, batch, single) in [
            (
                &[400, 422, 406, 411, 414, 415, 418, 428, 431, 451][..],
                "closed: split rejected, patience",
                None,
            ),
            (&[401], "auth: return, patience", None),
            (&[402, 403], "closed: split forbidden, patience", None),
            (
                &[404, 405, 410, 426, 501],
                "singles: return, patience",
                Some("wait protocol: return, patience"),
            ),
            (&[407], "wait proxy: return", None),
            (&[408, 421, 425], "wait server told: return", None),
            (&[409], "closed: split conflict, patience", None),
            (&[413], "wait server told: return, too large", None),
            (&[429], "wait rate told: return, halve", None),
            (&[500], "wait server told: split stumbled", None),
            (&[503], "wait server told: return, halve", None),
            (&[502, 504, 505, 507, 520, 521, 522, 524, 525, 529, 599], "wait server told: return", None),
        ] {
            for status in statuses {
                assert_eq!(outline(&[A, B], true, &refused(*status)), batch, "batch {status}");
                assert_eq!(
                    outline(&[A], false, &refused(*status)),
                    single.unwrap_or(batch),
                    "single {status}"
                );
            }
        }
        // Nobody is told to wait.
        for (status, expected) in [
            (408, "once more: return"),
            (421, "once more: return"),
            (425, "once more: return"),
            (413, "closed: split too large, too large"),
        ] {
            let Answer::Refused(refusal) = refused(status) else { panic!() };
            let answer = Answer::Refused(Refusal { wait: None, ..refusal });
            assert_eq!(outline(&[A, B], true, &answer), expected, "{status}");
            assert_eq!(outline(&[A], false, &answer), expected, "{status}");
        }
    }

    #[test]
    fn a_good_answer_is_judged_project_by_project() {
        let result = |local, outcome| ItemResult { local, outcome };
        let done = || ItemOutcome::Done(cloud());
        for (results, expected) in [
            (vec![result(A, done()), result(B, done())], "closed: delivered+delivered, good"),
            (vec![result(A, done())], "closed: delivered, good"),
            (
                vec![
                    result(A, ItemOutcome::Failed(String::new())),
                    result(B, ItemOutcome::Rejected(String::new())),
                ],
                "closed: failed+rejected, good",
            ),
            (
                vec![result(A, ItemOutcome::NotNow(String::new())), result(B, done())],
                "closed: not now+delivered",
            ),
            (
                [A, B].map(|local| result(local, ItemOutcome::NotNow(String::new()))).to_vec(),
                "wait rate: not now+not now, halve",
            ),
            (
                vec![result(A, ItemOutcome::Accepted(None)), result(B, done())],
                "closed: ask later+delivered, good",
            ),
            (vec![result(LocalId(Uuid::from_u128(77)), done())], "wait portal: return"),
            (vec![], "wait portal: return"),
        ] {
            assert_eq!(outline(&[A, B], true, &Answer::Results(results)), expected);
        }
        assert_eq!(outline(&[A], true, &Answer::Results(vec![])), "closed: , good");
        let not_now = vec![result(A, ItemOutcome::NotNow(String::new()))];
        assert_eq!(outline(&[A], false, &Answer::Results(not_now)), "closed: not now");
        assert_eq!(outline(&[A], false, &Answer::Registered(cloud())), "closed: delivered, good");
        assert_eq!(outline(&[A, B], true, &Answer::Registered(cloud())), "wait portal: return");
        assert_eq!(outline(&[A, B], true, &Answer::Accepted(None)), "closed: ask later, good");
        assert_eq!(outline(&[A], false, &Answer::Accepted(Some(cloud()))), "closed: ask later, good");
        assert_eq!(outline(&[A, B], true, &Answer::Internal("panic".to_owned())), "-: split internal");
    }
}
