//! Photos of one colour at each brightness: black and white, faded, sepia. The network was trained on photos in
//! colour and invents tints for them. So the colour of each brightness is measured in the photo itself, and kept.

mod curve;
mod look;

#[cfg(test)]
mod tests;

use self::curve::Curve;
use self::look::Look;
use super::{Area, Source};
use crate::Result;

/// Rows looked at at a time.
const ROWS: usize = 32;

/// The colour of a photo that is not in colour, as a function of brightness.
#[derive(Clone, Debug)]
pub(super) struct Toning(Curve);

/// The peak bytes of [`Toning::of`] for an image of `[height, width]`: some of its rows, and their statistics.
pub(super) fn peak_bytes([height, width]: [usize; 2]) -> u64 {
    let row = (size_of::<[f32; 3]>() * width) as u64;
    ROWS.min(height) as u64 * row + look::bytes(width, height)
}

impl Toning {
    /// Looks at all of a photo; `None` if it is in colour. It is grey if each visible pixel is, exactly, and toned if
    /// what a curve does not explain of its colours is as small as the noise in it explains.
    ///
    /// # Errors
    /// The source's own.
    pub(super) fn of(source: &dyn Source) -> Result<Option<Self>> {
        let (width, height) = (source.width(), source.height());
        let mut look = Look::new(width, height);
        let mut rgb = vec![0.0; ROWS.min(height) * width * 3];
        for y in (0..height).step_by(ROWS) {
            let area = Area {
                x: 0,
                y,
                width,
                height: ROWS.min(height - y),
            };
            let rows = &mut rgb[..area.height * width * 3];
            source.read(area, rows)?;
            for (row, y) in rows.chunks_exact(width * 3).zip(y..) {
                look.add(y, row);
            }
        }
        if look.is_grey() {
            return Ok(Some(Self(Curve::GREY)));
        }
        Ok(look.curve().map(Self))
    }

    /// Gives each restored pixel a colour of the photo: the one at the pixel's brightness before the restoration (the mean of
    /// its channels), made as visible as it was at the brightness that the pixel has now. If the photo is grey, the three
    /// channels are equal, bit by bit. Both are `[3, height, width]`.
    pub(super) fn apply(&self, restored: &mut [f32], input: &[f32]) {
        let pixels = input.len() / 3;
        for at in 0..pixels {
            let channels = [at, at + pixels, at + 2 * pixels];
            let mean = |planar: &[f32]| channels.map(|at| planar[at]).iter().sum::<f32>() / 3.0;
            let (before, after) = (mean(input), mean(restored));
            let strength = (visible(after) / visible(before)).powf(0.2);
            let [red, blue] = self.0.at(before).map(|value| value * strength);
            for (at, more) in channels.into_iter().zip([red, -(red + blue), blue]) {
                restored[at] = after + more;
            }
        }
    }
}

/// A difference of encoded samples is seen the less the brighter it is: in CIELAB by about this to the power of 0.2.
fn visible(brightness: f32) -> f32 {
    brightness.max(0.0) + 0.055
}
