//! The tiles that an image is restored in.

use super::peak_memory::peak_bytes;
use super::{Network, Options, Removal, TilePlan};
use crate::tile::TileRules;
use crate::{Error, Result};

/// The tiles for an image of that size.
///
/// # Errors
/// [`Error::InvalidOption`] on options out of range or beyond what the network can do, [`Error::InvalidImage`] on an empty or impossible
/// size, [`Error::OutOfMemory`] with the least memory that would do.
pub fn plan<N: Network + ?Sized>(
    network: &N,
    width: usize,
    height: usize,
    options: &Options,
) -> Result<TilePlan> {
    options.validate()?;
    let rules = TileRules {
        multiple: network.multiple(),
        tile: options.tile,
        overlap: options.overlap,
        memory: options.bound(),
    };
    if options.removal != Removal::ALL && !network.steers() {
        return Err(Error::InvalidOption(
            "these weights cannot remove one fault and keep another: remove all, or take weights with a steering head \
             (trainer steering)"
                .to_owned(),
        ));
    }
    if options.uncertainty && !network.has_uncertainty() {
        return Err(Error::InvalidOption(
            "these weights cannot tell how far off pixels may be: do without, or take weights with an uncertainty head \
             (trainer uncertainty)"
                .to_owned(),
        ));
    }
    let bytes = |tile_height, tile_width| {
        peak_bytes(network, [tile_height, tile_width], [height, width], options)
    };
    let plan = TilePlan::new(width, height, &rules, &bytes)?;
    let least = network.least_tile();
    if rules.overlap.is_some() || rules.tile.is_none_or(|tile| tile >= least) {
        return Ok(plan);
    }
    let larger = TileRules {
        tile: Some(least),
        ..rules
    };
    Ok(TilePlan::new(width, height, &larger, &bytes).unwrap_or(plan))
}
