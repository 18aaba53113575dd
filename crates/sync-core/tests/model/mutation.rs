//! Rules left out on purpose, to know that the model notices.

/// One rule of the driver or the queue that does not hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mutation {
    SettlingIgnoresTheRevision,
    ScopeFailuresCount,
    RetryAfterIsIgnored,
    AdoptionIsSkipped,
    KeysChangeOnRetry,
    TheFirstTokenIsKept,
    MappingsGoToEveryScope,
    WishesAreAcknowledgedBeforeTheyAreDurable,
    PortalsAreBelieved,
    LeftOutIsDelivered,
    FlightsGoTwice,
    WaitsAreIgnored,
    OlderContentStays,
    DeadEntriesVanish,
    NeighboursAreTouched,
    DueTimesAreSleptThrough,
    WaitsAreForgottenOnRestart,
    ReplacingKeepsTheRevision,
    EveryWishIsARow,
    NewerContentDoesNotWait,
}

pub(crate) const ALL: [Mutation; 20] = [
    Mutation::SettlingIgnoresTheRevision,
    Mutation::ScopeFailuresCount,
    Mutation::RetryAfterIsIgnored,
    Mutation::AdoptionIsSkipped,
    Mutation::KeysChangeOnRetry,
    Mutation::TheFirstTokenIsKept,
    Mutation::MappingsGoToEveryScope,
    Mutation::WishesAreAcknowledgedBeforeTheyAreDurable,
    Mutation::PortalsAreBelieved,
    Mutation::LeftOutIsDelivered,
    Mutation::FlightsGoTwice,
    Mutation::WaitsAreIgnored,
    Mutation::OlderContentStays,
    Mutation::DeadEntriesVanish,
    Mutation::NeighboursAreTouched,
    Mutation::DueTimesAreSleptThrough,
    Mutation::WaitsAreForgottenOnRestart,
    Mutation::ReplacingKeepsTheRevision,
    Mutation::EveryWishIsARow,
    Mutation::NewerContentDoesNotWait,
];
