//! A whole photo restored, and kept until another one comes.

use std::hash::{DefaultHasher, Hasher};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use dino_ir::{
    ColourProfile, DeviceChoice, Loaded, Options, PixelView, PixelViewMut, Restorer, Result,
    WeightsFile,
};

/// More pixels than this are refused: the floats of a photo and of its result would take more than 2 GiB, in the process
/// of the editor.
const MOST_PIXELS: usize = 64 << 20;

/// The result of the last photo. Only `strength` changes while a user looks at it.
static LAST: Mutex<Option<Kept>> = Mutex::new(None);

/// The network, opened when the first photo comes.
static RESTORER: Mutex<Option<Restorer<Loaded>>> = Mutex::new(None);

struct Kept {
    /// Size and hash of the photo.
    key: (usize, usize, u64),
    profile: Option<ColourProfile>,
    /// RGBA.
    restored: Arc<Vec<f32>>,
}

/// The network's result for a photo: `pixels` is `[height, width, 4]`, RGBA, in the colours of
/// `profile` or sRGB-encoded, alpha not multiplied in; so is the result.
pub fn restored(
    pixels: &[f32],
    width: usize,
    height: usize,
    profile: Option<ColourProfile>,
) -> Result<Arc<Vec<f32>>> {
    let key = (width, height, hash(pixels));
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kept) = &*last
        && kept.key == key
        && kept.profile == profile
    {
        return Ok(Arc::clone(&kept.restored));
    }
    // Given back before the next one is made.
    *last = None;
    let mut restored = vec![0.0; pixels.len()];
    let mut restorer = RESTORER.lock().unwrap_or_else(PoisonError::into_inner);
    if restorer.is_none() {
        let opened = Restorer::open(WeightsFile::Embedded, DeviceChoice::Auto)?;
        *restorer = Some(opened.loaded);
    }
    if let Some(restorer) = &*restorer {
        let mut from = PixelView::new(pixels, width, height, 4)?;
        let mut to = PixelViewMut::new(&mut restored[..], width, height, 4)?;
        if let Some(profile) = &profile {
            from = from.with_profile(profile)?;
            to = to.with_profile(profile)?;
        }
        let goes_on = &mut |_| ControlFlow::Continue(());
        restorer.restore_pixels(from, to, &Options::default(), goes_on)?;
    }
    let restored = Arc::new(restored);
    *last = Some(Kept {
        key,
        profile,
        restored: Arc::clone(&restored),
    });
    Ok(restored)
}

/// Whether a photo has more than [`MOST_PIXELS`].
pub fn is_too_large(width: i32, height: i32) -> bool {
    i64::from(width) * i64::from(height) > MOST_PIXELS as i64
}

/// Why such a photo is left as it is.
pub fn too_large(width: usize, height: usize) -> String {
    format!(
        "{width}x{height} is too large for an effect, which may have {} megapixels: use Filters > Restore (DINO-IR)",
        MOST_PIXELS / 1_000_000
    )
}

/// Mixes the restored photo into the photo: 0 leaves it as it is.
pub fn mix(pixels: &mut [f32], restored: &[f32], strength: f32) {
    for (to, from) in pixels.iter_mut().zip(restored) {
        // Equal values stay equal bit by bit: alpha, and what it hides.
        if *to != *from {
            *to += strength * (*from - *to);
        }
    }
}

fn hash(pixels: &[f32]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for pair in pixels.chunks(2) {
        let high = pair.get(1).map_or(0, |value| value.to_bits());
        hasher.write_u64(u64::from(pair[0].to_bits()) | u64::from(high) << 32);
    }
    hasher.finish()
}
