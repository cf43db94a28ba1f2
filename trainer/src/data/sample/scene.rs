//! A part of a photo, before anything is done to it.

use super::place::Place;
use crate::data::degrade::haze;
use crate::data::rgb::Rgb;
use rand::Rng;
use rand::rngs::StdRng;

/// A part of a photo to be degraded, larger than the patch where faults reach beyond a pixel.
pub(super) struct Scene {
    pub(super) picture: Rgb,
    pub(super) margin: Margin,
    pub(super) patch: usize,
    /// Where the patch is in the photo.
    pub(super) frame: haze::Frame,
}

/// Pixels around a patch.
#[derive(Clone, Copy)]
pub(super) struct Margin {
    pub(super) left: usize,
    pub(super) top: usize,
    /// Left and right, or above and below, together.
    pub(super) both: usize,
}

impl Margin {
    pub(super) const NONE: Self = Self::even(0);

    pub(super) const fn even(side: usize) -> Self {
        Self {
            left: side,
            top: side,
            both: 2 * side,
        }
    }

    /// The blocks of JPEG and the cells of the mosaic begin anywhere in the patch.
    pub(super) fn of_blocks(rng: &mut StdRng) -> Self {
        Self {
            left: BLOCK + rng.random_range(0..BLOCK),
            top: BLOCK + rng.random_range(0..BLOCK),
            both: 3 * BLOCK,
        }
    }
}

impl Scene {
    pub(super) fn cut(
        place: &Place<'_>,
        patch: usize,
        margin: Margin,
        upright: bool,
        rng: &mut StdRng,
    ) -> Self {
        let &Place { photo, x, y, zoom } = place;
        let turn = Turn {
            flip: rng.random(),
            quarters: if upright { 0 } else { rng.random_range(0..4) },
        };
        let side = zoom * (patch + margin.both);
        let (left, top) = (zoom * margin.left, zoom * margin.top);
        let picture = photo.patch(x - left as isize, y - top as isize, side, side);
        let picture = if zoom == 2 { halve(&picture) } else { picture };
        let (width, height) = (photo.width as f32, photo.height as f32);
        Self {
            picture: turn.apply(picture),
            margin,
            patch,
            frame: haze::Frame {
                left: x as f32 / width,
                top: y as f32 / height,
                width: (zoom * patch) as f32 / width,
                height: (zoom * patch) as f32 / height,
            },
        }
    }
}

/// Side of a JPEG's blocks, where colour is halved.
const BLOCK: usize = 16;

/// Half as wide and high: means of 2 x 2 pixels.
pub(super) fn halve(picture: &Rgb) -> Rgb {
    Rgb::from_fn(picture.width / 2, picture.height / 2, |x, y| {
        let corner = |dx, dy| picture.pixel(2 * x + dx, 2 * y + dy);
        let corners = [corner(0, 0), corner(1, 0), corner(0, 1), corner(1, 1)];
        [0, 1, 2].map(|c| corners.iter().map(|pixel| pixel[c]).sum::<f32>() / 4.0)
    })
    .quantised()
}

/// One of the eight positions of a square.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub(super) flip: bool,
    pub(super) quarters: u8,
}

impl Turn {
    pub(super) fn apply(self, image: Rgb) -> Rgb {
        let image = if self.flip { image.flip() } else { image };
        (0..self.quarters).fold(image, |image, _| image.rotate90())
    }
}
