//! What `top` shows, without a terminal: what is known and how it became so, and a picture of it for any size.

mod board;
mod chart;
mod frame;
mod keys;

pub(crate) use board::Board;
pub(crate) use frame::{Canvas, frame};
pub(crate) use keys::{Key, keys};
