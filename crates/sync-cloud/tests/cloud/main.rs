//! The client against real sockets, files and processes on this machine.
#![cfg(test)]

mod answers;
mod contract;
mod credential;
mod encryption;
mod loopback;
mod proxy;
mod requests;
mod way_there;
