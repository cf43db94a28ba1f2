//! Everything behind the `trainer` command: photos and their degradations, training, evaluation and restoring files.

pub mod dataset;
pub mod degrade;
pub mod rgb;
pub mod sample;
