//! The daemon: finds projects and keeps the cloud's record of them true.
