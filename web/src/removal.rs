//! How much of each fault is removed, as the page says it: shares 0..=1 of noise, blur, rain, haze and JPEG.

use dino_ir::Fault;
use dino_ir::restore::Removal;

use crate::error::PageError;

/// What the page's shares mean; none: all of everything.
///
/// # Errors
/// A message, if there are not as many as there are faults.
pub(crate) fn from_shares(shares: Option<&[f32]>) -> Result<Removal, PageError> {
    let Some(shares) = shares else {
        return Ok(Removal::ALL);
    };
    if shares.len() != Fault::ALL.len() {
        return Err(PageError::new("there is to be one share for each fault"));
    }
    let pairs = Fault::ALL.into_iter().zip(shares);
    Ok(pairs.fold(Removal::ALL, |removal, (fault, &share)| {
        removal.with(fault, share)
    }))
}

/// The shares for the page.
pub(crate) fn to_shares(removal: &Removal) -> [f32; Fault::ALL.len()] {
    Fault::ALL.map(|fault| removal.of(fault))
}
