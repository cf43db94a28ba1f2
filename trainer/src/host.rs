//! The machine and the terminal: devices, memory, Ctrl-C, and files that appear whole or not at all.

pub mod atomic;
pub mod devices;
pub mod interrupt;
pub mod memory;
pub mod output;
pub mod size;
pub(crate) mod system;
pub mod terminal;
