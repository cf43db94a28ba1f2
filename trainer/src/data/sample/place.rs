//! Where in a photo a patch is taken.

use crate::data::dataset::Photo;
use rand::Rng;
use rand::rngs::StdRng;

/// How many places are looked at for a crop that looks hazy.
pub(super) const PALE_CHOICE: usize = 8;

/// The place with the brightest dark channel.
pub(super) fn palest<'a>(places: impl Iterator<Item = Place<'a>>, patch: usize) -> Place<'a> {
    places
        .max_by_key(|place| place.dark_channel(patch))
        .expect("several places")
}

/// Where in which photo a patch is taken.
pub(super) struct Place<'a> {
    pub(super) photo: &'a Photo,
    pub(super) x: isize,
    pub(super) y: isize,
    /// Pixels of the photo, 1 or 2 a side, that become one.
    pub(super) zoom: usize,
}

impl<'a> Place<'a> {
    pub(super) fn draw(photo: &'a Photo, halved: bool, patch: usize, rng: &mut StdRng) -> Self {
        let large = photo.width.min(photo.height) >= 2 * patch;
        let zoom = if large && halved { 2 } else { 1 };
        Self {
            photo,
            x: along(photo.width, zoom * patch, rng),
            y: along(photo.height, zoom * patch, rng),
            zoom,
        }
    }

    /// Mean of the least colours of pixels on a coarse grid, 0..=65535: bright in haze, dark in most other scenes
    /// (He et al., "Single Image Haze Removal Using Dark Channel Prior", 2009).
    pub(super) fn dark_channel(&self, patch: usize) -> u64 {
        let side = self.zoom * patch;
        let step = (side / 24).max(1);
        let at = |start: isize, offset: usize, size: usize| {
            (start + offset as isize).clamp(0, size as isize - 1) as usize
        };
        let (mut sum, mut count) = (0, 0);
        for dy in (0..side).step_by(step) {
            let row = at(self.y, dy, self.photo.height) * self.photo.width;
            for dx in (0..side).step_by(step) {
                let first = 3 * (row + at(self.x, dx, self.photo.width));
                let pixel = &self.photo.samples[first..first + 3];
                sum += u64::from(pixel[0].min(pixel[1]).min(pixel[2]));
                count += 1;
            }
        }
        257 * sum / count
    }
}

/// A place for a patch along one side; a photo smaller than the patch is put in its middle and mirrored around.
pub(super) fn along(size: usize, patch: usize, rng: &mut StdRng) -> isize {
    if size > patch {
        rng.random_range(0..=size - patch) as isize
    } else {
        -((patch - size) as isize / 2)
    }
}
