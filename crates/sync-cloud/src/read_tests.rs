//! Tables and arbitrary JSON against the reading of answers.
