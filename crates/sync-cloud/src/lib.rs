//! The HTTPS side of the cloud's contract, and where a credential comes from.
