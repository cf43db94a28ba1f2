//! The options, the results and the buffers of a run of the network.

use super::global_statistics::GlobalStatistics;
use crate::cpu::pool::Pool;

/// A part of the network that was just computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its name, with the level where there is one for each.
    pub name: String,
    /// Floating-point operations it takes, a multiplication with its addition counted as two.
    pub flops: u64,
    /// Bytes of the maps that it reads and writes: what goes through memory at least, without the weights.
    pub bytes: u64,
}

impl Stage {
    pub(crate) fn new(name: &str, flops: u64, floats: usize) -> Self {
        Self {
            name: name.into(),
            flops,
            bytes: (size_of::<f32>() * floats) as u64,
        }
    }

    pub(crate) fn level(name: &str, level: usize, flops: u64, floats: usize) -> Self {
        Self::new(&format!("{name} {level}"), flops, floats)
    }
}

/// What a run of the network is told and tells besides the image.
pub(crate) struct Run<'a> {
    pub(crate) stats: GlobalStatistics<'a>,
    /// Called after each stage.
    pub(crate) watch: &'a mut dyn FnMut(Stage),
}

/// Buffers of a network.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// Of maps.
    pub(crate) maps: Pool,
    /// Of threads.
    pub(crate) scratch: Pool,
}
