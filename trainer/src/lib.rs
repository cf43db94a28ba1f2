//! Everything behind the `trainer` command: photos and their degradations, training, evaluation
//! and restoring files.

pub mod checkpoint;
pub mod config;
pub mod dataset;
pub mod degrade;
pub mod ema;
pub mod eval;
pub mod log;
pub mod metrics;
pub mod optimizer;
pub mod parameters;
pub mod plot;
pub mod rgb;
pub mod sample;
pub mod schedule;
pub mod train;
pub mod trainee;
