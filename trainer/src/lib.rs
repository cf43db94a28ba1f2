//! Trains, evaluates and runs DINO-IR photo restoration: everything that knows files.

pub mod cli;
pub mod interrupt;
pub mod memory;
pub mod photo;
pub mod restore;
pub mod size;
pub mod terminal;
pub mod weights;
