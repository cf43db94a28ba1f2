//! How far a restoration is.

use std::ops::ControlFlow;

use crate::{Error, Result};

/// How far a restoration is, in runs of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Runs done.
    pub done: usize,
    /// Runs in all: one for each tile and each tile of the calibration pass, 8 with the self-ensemble.
    pub total: usize,
    /// Runs of the calibration pass, which come first; 0 if the image is one tile.
    pub calibration: usize,
}

/// Asked before the first tile and after each run of the network; `Break` cancels.
pub type ProgressCallback<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Tells how far it is.
///
/// # Errors
/// [`Error::Cancelled`] if the callback breaks.
pub(crate) fn report(callback: ProgressCallback<'_>, progress: Progress) -> Result<()> {
    match callback(progress) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Cancelled),
    }
}
