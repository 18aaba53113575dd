//! The store against real files.

#[cfg(test)]
mod census;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod full;
#[cfg(test)]
mod legacy;
#[cfg(test)]
mod open;
#[cfg(test)]
mod outbox;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod power;
#[cfg(test)]
mod project;
#[cfg(test)]
mod support;
#[cfg(test)]
mod upkeep;
#[cfg(test)]
mod writer;
