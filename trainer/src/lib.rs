//! Training, evaluation and use of DINO-IR photo restoration.

pub mod checkpoint;
pub mod config;
pub mod ema;
pub mod log;
pub mod optimizer;
pub mod parameters;
pub mod plot;
pub mod schedule;
pub mod train;
