//! The SQLite file: outbox, mapping cache, projects, events; every SQL statement is here.
