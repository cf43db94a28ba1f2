//! Restoring an image: tiles, the network, blending; progress, cancelling, strength.
//!
//! [`Restorer`] does all of it while the caller waits. It drives [`Restoration`], a state machine that hands out tiles and
//! accepts results. A caller that runs the network in its own way drives it directly.

mod area;
mod calibration;
mod diagnose;
mod dihedral;
mod frame;
mod hidden;
mod network;
mod options;
mod overview;
mod part;
mod peak_memory;
mod plan;
mod progress;
mod removal;
mod restoration;
mod restorer;
mod run;
mod statistics;
mod stream;
mod tile_input;
mod toning;
mod uncertainty;
mod veil;

pub use self::network::Network;
pub use self::options::{DEFAULT_MEMORY, Options};
pub use self::plan::plan;
pub(crate) use self::progress::report;
pub use self::progress::{Progress, ProgressCallback};
pub use self::removal::Removal;
pub use self::restoration::{FinishedRows, Restoration};
pub use self::restorer::Restorer;
pub use self::run::run;
pub use self::statistics::Statistics;
pub use self::stream::{ImageSink, Sink, Source};
pub use self::tile_input::{Purpose, TileInput};
pub use self::veil::Veil;
pub use crate::tile::{Area, TilePlan};

#[cfg(test)]
mod tests;
