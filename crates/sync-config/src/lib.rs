//! Configuration and places of the programs: file, environment, flags, provenance.
