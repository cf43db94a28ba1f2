//! The colours of a photo, by the profile of its file.

use dino_ir::ColourProfile;

use super::{Photo, colour};

/// `None` where the colours are sRGB, or where no curves and matrix define them (tables, high dynamic range): the network then
/// sees the values as they are.
pub fn of(photo: &Photo) -> Option<ColourProfile> {
    let metadata = &photo.metadata;
    let chunks = &metadata.png_chunks;
    let profile = match &metadata.icc {
        Some(icc) if !colour::has_code_points(chunks) => ColourProfile::from_icc(icc),
        _ => ColourProfile::from_icc(&colour::profile(chunks, photo.channels).ok()??),
    };
    profile
        .ok()
        .filter(|profile| profile.fits(photo.channels) && !profile.is_srgb())
}
