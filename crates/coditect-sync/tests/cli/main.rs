//! The built program against scripted daemons, and without any.

mod alone;
mod commands;
mod doctor;
mod logs;
mod sandbox;
mod service;
mod shells;
mod support;
