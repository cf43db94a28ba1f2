//! What has to be known of a photo as a whole before a tile of it is restored.

use std::sync::Arc;

use super::frame::Frame;
use super::part::Part;
use super::toning::Toning;
use super::veil::{Lifted, Veil};
use super::{Area, Options, Source};
use crate::Result;

/// Where the photo is, its colour if it is grey or toned, and its haze.
#[derive(Clone, Debug)]
pub(super) struct Overview {
    pub(super) frame: Frame,
    pub(super) toning: Option<Toning>,
    pub(super) veil: Option<Arc<Veil>>,
}

impl Overview {
    /// Looks at all of a source, but for its veil.
    ///
    /// # Errors
    /// The source's own.
    pub(super) fn of(source: &dyn Source) -> Result<Self> {
        let frame = Frame::of(source)?;
        Ok(Self {
            toning: Toning::of(&Part::new(source, frame.inside))?,
            frame,
            veil: None,
        })
    }

    /// With the veil that was found.
    pub(super) fn with_veil(self, veil: Option<Veil>) -> Self {
        Self {
            veil: veil.map(Arc::new),
            ..self
        }
    }

    /// The options of its restoration: haze that is only imagined stays.
    pub(super) fn options(&self, options: &Options) -> Options {
        options.knowing(self.veil.as_deref())
    }

    /// The photo as the network is to see it, with a share of its veil lifted.
    pub(super) fn lifted<'a>(&'a self, source: &'a dyn Source, share: f32) -> Lifted<'a> {
        Lifted {
            source,
            veil: self.veil.as_deref(),
            share,
        }
    }

    /// As if a part were all that there is.
    ///
    /// # Errors
    /// The source's own.
    pub(super) fn of_part(source: &dyn Source, part: Area) -> Result<Self> {
        let mut found = Self::of(&Part::new(source, part))?;
        found.frame.inside.x += part.x;
        found.frame.inside.y += part.y;
        Ok(found)
    }
}
