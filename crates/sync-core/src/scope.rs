//! To whom an entry and a mapping belong: one cloud and one tenant of it.
//!
//! An entry is sent only with a credential of its own scope, and a cached UUID is answered only in its own scope.

use std::fmt;

use crate::ids::TenantId;

/// Which tenant of a cloud.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tenant {
    /// No credential has been seen yet. Entries made meanwhile go to the first tenant that becomes known.
    Unknown,
    /// The credential says nothing of a tenant: one default scope for the cloud.
    Opaque,
    /// Named by the configuration or by the token's `tenant_id` claim.
    Named(TenantId),
}

impl Tenant {
    /// The tenant that applies: the configured one, else what the credential says, [`Tenant::Unknown`] without one.
    pub fn of(configured: Option<TenantId>, credential: Self) -> Self {
        configured.map_or(credential, Self::Named)
    }

    /// The tenant's name where it has one.
    pub fn name(&self) -> Option<&TenantId> {
        match self {
            Self::Named(name) => Some(name),
            Self::Unknown | Self::Opaque => None,
        }
    }
}

/// A cloud's origin (scheme, host, port) and a tenant of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Scope {
    /// For example `https://api.coditect.ai`, without a slash at the end.
    pub origin: String,
    /// Whose projects.
    pub tenant: Tenant,
}

impl Scope {
    /// A text that differs for every two scopes and never changes, for keys that are derived from it.
    pub fn key(&self) -> String {
        match &self.tenant {
            Tenant::Unknown => format!("{}\nunknown", self.origin),
            Tenant::Opaque => format!("{}\nopaque", self.origin),
            Tenant::Named(name) => format!("{}\ntenant {name}", self.origin),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tenant {
            Tenant::Unknown => write!(f, "{} (tenant not known yet)", self.origin),
            Tenant::Opaque => write!(f, "{} (default tenant)", self.origin),
            Tenant::Named(name) => write!(f, "{} (tenant {name})", self.origin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configured_tenant_beats_the_tokens_claim() {
        let name = |text: &str| TenantId::new(text);
        let named = |text: &str| Tenant::Named(name(text).unwrap());
        for (configured, credential, expected) in [
            (name("a"), named("b"), named("a")),
            (None, named("b"), named("b")),
            (None, Tenant::Opaque, Tenant::Opaque),
            (None, Tenant::Unknown, Tenant::Unknown),
            (name("a"), Tenant::Unknown, named("a")),
        ] {
            assert_eq!(Tenant::of(configured, credential), expected);
        }
    }
}
