//! Photos of one colour at each brightness: black and white, faded, sepia. The network, which was taught on photos in
//! colour, invents tints for them; their colour is known from the photo itself, and is kept.

mod curve;
mod look;

#[cfg(test)]
mod tests;

use self::curve::Curve;
use self::look::Look;
use super::{Area, Source};

/// Rows looked at at a time.
const ROWS: usize = 32;

/// The colour of a photo that is not in colour, as a function of brightness.
pub(super) struct Toning(Curve);

impl Toning {
    /// Looks at all of a photo; `None` if it is in colour. It is grey if each visible pixel is, exactly, and toned if
    /// what a curve does not explain of its colours is as small as the noise in it explains.
    pub(super) fn of(source: &dyn Source) -> Option<Self> {
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
            source.read(area, rows);
            for (row, y) in rows.chunks_exact(width * 3).zip(y..) {
                look.add(y, row);
            }
        }
        if look.is_grey() {
            return Some(Self(Curve::GREY));
        }
        look.curve().map(Self)
    }

    /// Gives each pixel of `[3, height, width]` the photo's colour at its brightness, the mean of its channels. Where
    /// the photo is grey the three are equal, bit by bit.
    pub(super) fn apply(&self, planar: &mut [f32]) {
        let (red, rest) = planar.split_at_mut(planar.len() / 3);
        let (green, blue) = rest.split_at_mut(rest.len() / 2);
        for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
            let mean = (*red + *green + *blue) / 3.0;
            let chroma = self.0.at(mean);
            *red = mean + chroma[0];
            *green = mean - (chroma[0] + chroma[1]);
            *blue = mean + chroma[1];
        }
    }
}
