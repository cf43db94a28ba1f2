//! Blind photo restoration on the user's own machine: DINO-IR, a Restormer guided by
//! degradation-robust DINOv2 features.

mod blend;
pub mod device;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod error;
pub mod image;
pub mod kernels;
pub mod loss;
pub mod model;
pub mod packed;
pub mod restore;
pub mod tile;
pub mod weights;

pub use error::{Error, Result};
