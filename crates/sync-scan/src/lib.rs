//! Turns folders into sightings of projects, and notices changes.
