//! Everything behind the `trainer` command.
//!
//! A room uses those above it: `host`, `photo` and `data`, `model`, `train`, `eval` and `restore`, `cli`.

pub mod cli;
pub mod data;
pub mod eval;
pub mod host;
pub mod model;
pub mod photo;
pub mod restore;
pub mod train;
