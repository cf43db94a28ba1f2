//! Training losses: `L = L1 + lambda L_DINO` (equation 7).

pub mod perception_contrastive;
pub mod reconstruction;

pub use perception_contrastive::PerceptionContrastive;
pub use reconstruction::l1;
