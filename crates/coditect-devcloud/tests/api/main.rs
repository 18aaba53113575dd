//! The dev cloud as a client meets it: over loopback, one dev cloud for each test.

#[cfg(test)]
mod contract;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod support;
