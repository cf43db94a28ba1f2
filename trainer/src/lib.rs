//! Everything behind the `trainer` command: photos and their degradations, training, evaluation
//! and restoring files.

pub mod analyze;
pub mod baselines;
pub mod bench;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod dataset;
pub mod deepen;
pub mod degrade;
pub mod devices;
pub mod ema;
pub mod eval;
pub mod features;
pub mod flat;
pub mod import;
pub mod interrupt;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod optimizer;
pub mod parameters;
pub mod photo;
pub mod plot;
pub mod pretrain;
pub mod replicas;
pub mod reproduce;
pub mod restore;
pub mod rgb;
pub mod sample;
pub mod schedule;
pub mod size;
mod system;
pub mod terminal;
pub mod train;
pub mod trainee;
pub mod weights;
