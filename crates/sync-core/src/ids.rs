//! The identifiers of the domain, each a type of its own so that none is taken for another.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::time::Timestamp;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id! {
    /// A project's UUID on this machine (`local_project_uuid`).
    LocalId
}
uuid_id! {
    /// A project's UUID in the cloud (`cloud_uuid`).
    CloudId
}
uuid_id! {
    /// This machine's UUID, shared with the other coditect tools.
    MachineId
}

/// The cloud's name of a tenant: not empty, at most 200 bytes, no control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TenantId(String);

impl TenantId {
    /// Takes a tenant's name as the configuration or a token gives it; `None` when it is no usable name.
    pub fn new(name: impl Into<String>) -> Option<Self> {
        let name = name.into();
        let usable = !name.trim().is_empty() && name.len() <= 200 && !name.chars().any(char::is_control);
        usable.then_some(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a waiting entry in the outbox; never used again for another entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EntryId(pub i64);

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number under which the store keeps a [`Scope`](crate::Scope).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ScopeId(pub i64);

/// How often a project's entry was replaced: the first is 1, and it only grows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Revision(pub i64);

impl Revision {
    /// The revision of an entry that was never replaced.
    pub const FIRST: Self = Self(1);

    /// The revision of an entry that is made at `now` and of which nothing is known from before: greater than any that
    /// was counted on from such a one earlier, also where everything that was known is lost.
    pub fn at(now: Timestamp) -> Self {
        Self((now.0 / 1_000).max(Self::FIRST.0))
    }

    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_needs_a_name_that_can_be_shown() {
        for (name, usable) in
            [("acme", true), ("", false), ("  ", false), ("a\nb", false), (&*"x".repeat(201), false)]
        {
            assert_eq!(TenantId::new(name).is_some(), usable, "{name:?}");
        }
    }
}
