//! A small real cloud that speaks the registration contract on loopback, with faults on demand.
