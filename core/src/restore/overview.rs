//! What has to be known of a photo as a whole before a tile of it is restored.

use super::frame::Frame;
use super::part::Part;
use super::toning::Toning;
use super::{Area, Source};
use crate::Result;

/// Where the photo is, and its colour if it is grey or toned.
#[derive(Clone, Debug)]
pub(super) struct Overview {
    pub(super) frame: Frame,
    pub(super) toning: Option<Toning>,
}

impl Overview {
    /// Looks at all of a source.
    ///
    /// # Errors
    /// The source's own.
    pub(super) fn of(source: &dyn Source) -> Result<Self> {
        let frame = Frame::of(source)?;
        Ok(Self {
            toning: Toning::of(&Part::new(source, frame.inside))?,
            frame,
        })
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
