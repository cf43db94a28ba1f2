//! Blind photo restoration on the user's own machine: DINO-IR, a Restormer guided by
//! degradation-robust DINOv2 features.

pub mod error;
pub mod kernels;

pub use error::{Error, Result};
