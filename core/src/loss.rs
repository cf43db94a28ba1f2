//! Training losses: `L = L1 + lambda L_DINO` (equation 7), and L1 of spectra, which is not the paper's.

pub mod frequency;
pub mod perception_contrastive;
pub mod reconstruction;

pub use frequency::frequency_l1;
pub use perception_contrastive::PerceptionContrastive;
pub use reconstruction::l1;
