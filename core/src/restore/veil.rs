//! The veil of haze over a photo, found from afar.
//!
//! The nearer the network looks, the less it knows of haze: the mist over a valley fills a tile as a grey wall does. So it also
//! sees small views of the whole photo. What it makes of their colours from place to place, a gain and an offset in
//! the way of a guided filter (He et al., "Guided Image Filtering", 2010), is done to the photo before it is restored: the
//! rest of the network's work, all that is fine, is done on the photo itself.
//!
//! The network takes many grey scenes for hazy ones. So the diagnosis, which looks at other things, has to agree. Where it
//! does not, and the network would change much of a clear photo, the haze that the network imagines is
//! [kept](Removal::haze), unless nothing but haze is to be removed: who asks for that sees some.

mod tones;
mod view;

use self::tones::Tones;
use super::frame::Frame;
use super::part::whole;
use super::tile_input::{network_input, read_reflected};
use super::{Area, Network, Options, Purpose, Removal, Restorer, Source, TileInput};
use crate::image::Image;
use crate::model::diagnosis::{Diagnosis, Fault};
use crate::ops;
use crate::{Error, Result};

/// The longer side of the view that the network restores. Of 140 to 400 pixels it is where haze goes best.
const FAR: usize = 280;
/// That of a second view of hazy photos. What the network makes of the two is averaged.
const MIDDLE: usize = 392;
/// The longer side of the view whose haze is diagnosed, in up to four windows.
const NEARER: usize = 448;
/// Diagnosed haze below the first is none, from the second on all of the veil is lifted. Of good photos one in forty is above
/// the first; of hazy ones nine in ten are (docs/RECIPE.md).
const HAZE: [f32; 2] = [0.12, 0.16];
/// The same for the mean change of the view's samples, 0..=1, from 14 to 16 levels of 255: what lifts a veil changes more, what
/// the network imagines mostly less.
const CHANGE: [f32; 2] = [0.055, 0.063];
/// The changes of clear photos in which the network imagines haze; less nobody asks about.
const IMAGINED: [f32; 2] = [0.03, 0.1];
/// Diagnosed haze below which a photo is clear.
const CLEAR: f32 = 0.1;
/// Bytes that views and means take, at most.
const BYTES: u64 = 16 << 20;

/// What is known of a photo's haze, from afar.
#[derive(Clone, Debug)]
pub struct Veil(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// What takes it away.
    Seen(Tones),
    /// There is none, but the network would remove one.
    Imagined,
}

impl Options {
    /// Those of a photo whose [veil](Restorer::veil) is known: haze that is only imagined stays.
    pub fn knowing(&self, veil: Option<&Veil>) -> Self {
        let mut options = self.clone();
        if matches!(veil, Some(Veil(Kind::Imagined))) {
            options.removal.haze = 0.0;
        }
        options
    }
}

/// A photo from which a share of its veil is lifted, if it has one.
pub(super) struct Lifted<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) veil: Option<&'a Veil>,
    /// 0..=1.
    pub(super) share: f32,
}

impl Source for Lifted<'_> {
    fn width(&self) -> usize {
        self.source.width()
    }

    fn height(&self) -> usize {
        self.source.height()
    }

    fn read(&self, area: Area, rgb: &mut [f32]) -> Result<()> {
        self.source.read(area, rgb)?;
        if let Some(Veil(Kind::Seen(tones))) = self.veil {
            tones.apply(area, rgb, self.share);
        }
        Ok(())
    }
}

/// The network's input for a view.
fn input(view: &Image, multiple: usize) -> Result<TileInput> {
    let all = whole(view);
    let area = Area {
        width: all.width.next_multiple_of(multiple),
        height: all.height.next_multiple_of(multiple),
        ..all
    };
    let planar = read_reflected(view, area, all)?;
    Ok(network_input(&planar, area, 0, Purpose::Restore))
}

/// The view, from what the network made of its [`input`]: clipped, as it would be stored.
fn output(view: &Image, multiple: usize, planar: &[f32]) -> Result<Image> {
    let [width, height] = [view.width(), view.height()];
    let [columns, rows] = [width, height].map(|length| length.next_multiple_of(multiple));
    if planar.len() != 3 * rows * columns || planar.iter().any(|sample| !sample.is_finite()) {
        return Err(Error::broken(
            "the network gave no good view of the whole photo",
        ));
    }
    let pixels = (0..height * width).flat_map(|at| {
        let at = at / width * columns + at % width;
        [0, 1, 2].map(|channel| planar[channel * rows * columns + at].clamp(0.0, 1.0))
    });
    Image::new(width, height, pixels.collect())
}

/// A photo from afar.
struct Views {
    inside: Area,
    nearer: Image,
    far: Image,
}

impl Views {
    /// What the network makes of the far view's tones.
    fn tones(&self, far: &Image) -> Tones {
        Tones::new(self.inside, &self.far, far)
    }

    /// The second view, of hazy photos.
    fn middle(&self) -> Result<Image> {
        view::view(&self.nearer, whole(&self.nearer), MIDDLE)
    }

    /// The same, averaged over both views.
    fn averaged(&self, far: &Image, middle: &Image) -> Result<Tones> {
        let middle = view::view(middle, whole(middle), FAR)?;
        let both = far.pixels().iter().zip(middle.pixels());
        let mean = both.map(|(one, other)| 0.5 * (one + other)).collect();
        Ok(self.tones(&Image::new(far.width(), far.height(), mean)?))
    }
}

/// What a change of the far view's tones and the diagnosis say together.
enum Verdict {
    /// There is a veil, of which a share is to be lifted.
    Hazy(f32),
    Imagined,
    Unclear,
}

/// From 0 at the first of two values to 1 at the second.
fn ramp(value: f32, [from, to]: [f32; 2]) -> f32 {
    ((value - from) / (to - from)).clamp(0.0, 1.0)
}

impl<N: Network> Restorer<N> {
    /// Looks at all of a photo from afar. `None` if the network would change little; if it is so small that the network sees
    /// all of it from near; if the options keep the haze, or noise that is found; if nobody can tell whether there is haze; and
    /// if the weights have no diagnosis.
    ///
    /// # Errors
    /// [`Error::Device`] if the network's result cannot be read or is not finite; the source's own errors.
    pub fn veil(&self, source: &dyn Source, options: &Options) -> Result<Option<Veil>> {
        self.veil_inside(source, Frame::of(source)?.inside, options)
    }

    /// The same, of a photo whose place in its source is known.
    pub(super) fn veil_inside(
        &self,
        source: &dyn Source,
        inside: Area,
        options: &Options,
    ) -> Result<Option<Veil>> {
        let Some(views) = self.views(source, inside, options)? else {
            return Ok(None);
        };
        let multiple = self.network().multiple();
        let restored = |view: &Image| output(view, multiple, &self.run(input(view, multiple)?)?);
        let far = restored(&views.far)?;
        let change = views.tones(&far).change(&views.far);
        if change < IMAGINED[0] {
            return Ok(None);
        }
        let diagnosis = self.diagnose(&views.nearer)?;
        Ok(match self.verdict(change, &diagnosis, options) {
            Verdict::Hazy(share) => {
                let tones = views.averaged(&far, &restored(&views.middle()?)?)?;
                Some(Veil(Kind::Seen(tones.thinned(share))))
            }
            Verdict::Imagined => Some(Veil(Kind::Imagined)),
            Verdict::Unclear => None,
        })
    }

    /// As [`veil`](Self::veil), where waiting for a device is not allowed, as in a browser.
    ///
    /// # Errors
    /// As `veil`.
    pub async fn veil_async(&self, source: &dyn Source, options: &Options) -> Result<Option<Veil>> {
        let inside = Frame::of(source)?.inside;
        let Some(views) = self.views(source, inside, options)? else {
            return Ok(None);
        };
        let multiple = self.network().multiple();
        let restored = async |view: &Image| {
            let result = super::run(self.network(), input(view, multiple)?, &self.device);
            output(view, multiple, &ops::values_async(result).await?)
        };
        let far = restored(&views.far).await?;
        let change = views.tones(&far).change(&views.far);
        if change < IMAGINED[0] {
            return Ok(None);
        }
        let diagnosis = self.diagnose_async(&views.nearer).await?;
        Ok(match self.verdict(change, &diagnosis, options) {
            Verdict::Hazy(share) => {
                let tones = views.averaged(&far, &restored(&views.middle()?).await?)?;
                Some(Veil(Kind::Seen(tones.thinned(share))))
            }
            Verdict::Imagined => Some(Veil(Kind::Imagined)),
            Verdict::Unclear => None,
        })
    }

    fn views(&self, source: &dyn Source, inside: Area, options: &Options) -> Result<Option<Views>> {
        let bytes = BYTES + self.network().activation_bytes(MIDDLE, MIDDLE);
        let too_large = options.bound().is_some_and(|bound| bytes > bound);
        let small = inside.width.max(inside.height) <= FAR;
        if !self.diagnoses() || small || too_large || options.removal.haze == 0.0 {
            return Ok(None);
        }
        let nearer = view::view(source, inside, NEARER)?;
        let far = view::view(&nearer, whole(&nearer), FAR)?;
        Ok(Some(Views {
            inside,
            nearer,
            far,
        }))
    }

    fn verdict(&self, change: f32, diagnosis: &Diagnosis, options: &Options) -> Verdict {
        let haze = diagnosis.faults.badness(Fault::Haze);
        let [least, most] = IMAGINED;
        // Rain brightens a photo, and clipped noise its shadows: what removes them changes the tones rightly.
        let others = [Fault::Rain, Fault::Noise].map(|fault| diagnosis.finds(fault));
        let asked = options.removal == Removal::only(&[Fault::Haze]);
        if self.network().steers()
            && !asked
            && (least..most).contains(&change)
            && haze < CLEAR
            && others == [false; 2]
        {
            return Verdict::Imagined;
        }
        // Noise that is to stay would grow with what is under the veil, so there it stays, too.
        let grows = options.removal.noise < 1.0 && diagnosis.finds(Fault::Noise);
        match ramp(change, CHANGE) * ramp(haze, HAZE) {
            share if share > 0.0 && !grows => Verdict::Hazy(share),
            _ => Verdict::Unclear,
        }
    }
}
