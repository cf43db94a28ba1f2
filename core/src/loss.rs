//! Training losses: `L = L1 + lambda L_DINO` (equation 7), and two that are not the paper's: L1 of spectra, and L1 of each image on a logarithmic scale.

pub mod frequency;
pub mod perception_contrastive;
pub mod reconstruction;

pub use frequency::frequency_l1;
pub use perception_contrastive::PerceptionContrastive;
pub use reconstruction::{l1, log_l1};
