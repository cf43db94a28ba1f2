//! How an image is to be restored.

use super::Removal;
use super::dihedral::Dihedral;
use crate::{Error, Result};

/// The budget for [`Options::memory`] where neither it nor a tile size is given: 1 GiB.
pub const DEFAULT_MEMORY: u64 = 1 << 30;

/// How an image is to be restored.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// 0..=1: from the input, bit by bit (the network is not run), to the network's result.
    pub strength: f32,
    /// Side of a tile in pixels, rounded down to the network's multiple; `None`: the largest that
    /// fits `memory`. A side below [`Network::least_tile`](super::Network::least_tile) becomes that, if it fits
    /// `memory`; if there is an `overlap`, the side stays as given.
    pub tile: Option<usize>,
    /// Least overlap of neighbouring tiles in pixels, below the tile; `None`: an eighth of the tile,
    /// 16..=64.
    pub overlap: Option<usize>,
    /// Peak bytes of all that a call allocates: the network's buffers, a tile, rows of the result as high as a tile;
    /// `None`: [`DEFAULT_MEMORY`] unless `tile` is given. It does not count the images in and out and the weights, which the
    /// caller has already.
    pub memory: Option<u64>,
    /// Average the results of the 8 flips and rotations of each tile: better, and 8 times slower.
    pub self_ensemble: bool,
    /// How much of each fault is removed; anything but [`Removal::ALL`] needs weights that can be
    /// [steered](super::Network::steers).
    pub removal: Removal,
    /// Whether to tell the expected absolute error of each pixel ([`Sink::write_uncertainty`](super::Sink::write_uncertainty)).
    /// Not all weights [can](super::Network::has_uncertainty). The error is always that of the network's own result, with all
    /// faults removed and at full strength; with the self-ensemble it is the mean over the passes.
    pub uncertainty: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            strength: 1.0,
            tile: None,
            overlap: None,
            memory: None,
            self_ensemble: false,
            removal: Removal::ALL,
            uncertainty: false,
        }
    }
}

impl Options {
    /// Checks what can be checked without an image and a network.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] that names the first option out of its range.
    pub fn validate(&self) -> Result<()> {
        let invalid = |message: String| Err(Error::InvalidOption(message));
        if !(0.0..=1.0).contains(&self.strength) {
            return invalid(format!("strength {}: use 0 to 1", self.strength));
        }
        if self.tile == Some(0) {
            return invalid(
                "tile 0: use a size in pixels, or none to choose it automatically".to_owned(),
            );
        }
        if let (Some(tile), Some(overlap)) = (self.tile, self.overlap)
            && overlap >= tile
        {
            return invalid(format!(
                "overlap {overlap} leaves nothing of tile {tile}: use less"
            ));
        }
        if self.memory == Some(0) {
            return invalid("memory 0: use a number of bytes".to_owned());
        }
        self.removal.validate()?;
        if self.uncertainty && self.changes_nothing() {
            return invalid(
                "the uncertainty is that of a restoration, and nothing is to be restored: leave it out, or restore something"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Whether the result is the input, bit by bit, and the network is not run.
    pub fn changes_nothing(&self) -> bool {
        self.strength == 0.0 || self.removal == Removal::NONE
    }

    /// The bytes that a restoration may take; `None`: any. If the caller chose the tile size, the memory is limited only if the
    /// caller set that, too.
    pub(super) fn bound(&self) -> Option<u64> {
        self.memory
            .or(self.tile.is_none().then_some(DEFAULT_MEMORY))
    }

    /// How often each tile is restored.
    pub(super) fn passes(&self) -> usize {
        if self.self_ensemble {
            Dihedral::COUNT
        } else {
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_out_of_range() {
        let good = Options::default();
        good.validate().expect("the default is valid");
        for bad in [
            Options {
                strength: 2.0,
                ..good.clone()
            },
            Options {
                strength: -0.1,
                ..good.clone()
            },
            Options {
                strength: f32::NAN,
                ..good.clone()
            },
            Options {
                tile: Some(0),
                ..good.clone()
            },
            Options {
                tile: Some(64),
                overlap: Some(64),
                ..good.clone()
            },
            Options {
                memory: Some(0),
                ..good.clone()
            },
            Options {
                removal: Removal {
                    rain: 1.5,
                    ..Removal::ALL
                },
                ..good.clone()
            },
            Options {
                strength: 0.0,
                uncertainty: true,
                ..good.clone()
            },
        ] {
            assert!(
                matches!(bad.validate(), Err(Error::InvalidOption(_))),
                "{bad:?}"
            );
        }
    }
}
