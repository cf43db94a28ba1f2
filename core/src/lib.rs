//! Blind photo restoration on the user's own machine: DINO-IR, a Restormer guided by
//! degradation-robust DINOv2 features.

mod blend;
pub mod error;
pub mod image;
pub mod restore;
pub mod tile;

pub use error::{Error, Result};
