//! Photos for training and measuring, their degradations, and the samples that are made of both.

pub mod dataset;
pub mod degrade;
pub(crate) mod hash;
pub mod rgb;
pub mod sample;
