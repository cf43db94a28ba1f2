//! Networks beside DINO-IR itself, and files of weights: ours and those that others published.

pub mod baselines;
pub mod deepen;
mod fill;
pub mod import;
mod tensor_file;
pub mod weights;
