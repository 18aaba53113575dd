//! Which of the contract's four calls a method and a path mean, judged as Django judges them.

use hyper::Method;
use uuid::Uuid;

/// One of the contract's four calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Route {
    /// `POST …/register/`.
    Register,
    /// `POST …/sync/`.
    Sync,
    /// `GET …/by-local-uuid/{uuid}/`.
    ByLocal(Uuid),
    /// `GET …/{uuid}/registration-status/`.
    Status(Uuid),
}

impl Route {
    /// The name the ledger knows it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Sync => "sync",
            Self::ByLocal(_) => "by-local-uuid",
            Self::Status(_) => "registration-status",
        }
    }

    /// The one method it answers.
    pub(crate) fn method(self) -> Method {
        match self {
            Self::Register | Self::Sync => Method::POST,
            Self::ByLocal(_) | Self::Status(_) => Method::GET,
        }
    }
}

/// Where a path leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// To a call.
    To(Route),
    /// To a call, once its trailing slash is added.
    SlashMissing,
    /// Nowhere.
    Unknown,
}

/// Reads a path without its query.
pub(crate) fn way(path: &str) -> Way {
    match (route(path), route(&format!("{path}/"))) {
        (Some(route), _) => Way::To(route),
        (None, Some(_)) => Way::SlashMissing,
        (None, None) => Way::Unknown,
    }
}

fn route(path: &str) -> Option<Route> {
    let rest = path.strip_prefix("/api/v1/projects/")?.strip_suffix('/')?;
    match rest.split_once('/') {
        None if rest == "register" => Some(Route::Register),
        None if rest == "sync" => Some(Route::Sync),
        Some(("by-local-uuid", id)) => Some(Route::ByLocal(hyphenated(id)?)),
        Some((id, "registration-status")) => Some(Route::Status(hyphenated(id)?)),
        None | Some(_) => None,
    }
}

/// A UUID in a path is lower case with hyphens, as Django's converter has it.
fn hyphenated(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    (id.hyphenated().to_string() == text).then_some(id)
}

#[cfg(test)]
mod tests {
    use uuid::uuid;

    use super::{Route, Way, way};

    #[test]
    fn paths_lead_where_the_contract_says() {
        let id = uuid!("0195b9e0-8d4e-7c3a-9b57-3d8a4a6f0c11");
        let check = |path: &str, expected: Way| assert_eq!(way(path), expected, "{path}");
        check("/api/v1/projects/register/", Way::To(Route::Register));
        check("/api/v1/projects/sync/", Way::To(Route::Sync));
        check("/api/v1/projects/register", Way::SlashMissing);
        check("/api/v1/projects/register//", Way::Unknown);
        check("/api/v1/projects/", Way::Unknown);
        check("/", Way::Unknown);
        check(&format!("/api/v1/projects/by-local-uuid/{id}/"), Way::To(Route::ByLocal(id)));
        check(&format!("/api/v1/projects/by-local-uuid/{id}"), Way::SlashMissing);
        check(&format!("/api/v1/projects/{id}/registration-status/"), Way::To(Route::Status(id)));
        check("/api/v1/projects/by-local-uuid/nonsense/", Way::Unknown);
        check(&format!("/api/v1/projects/by-local-uuid/{}/", id.simple()), Way::Unknown);
    }
}
