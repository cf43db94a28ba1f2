//! As [`crate::model::sums`], for one image on the CPU.

/// Where a run of the net takes its sums over pixels from.
#[derive(Debug)]
pub(crate) enum Sums<'a> {
    /// From the image that it is given.
    Own,
    /// From the image, and they are kept, in the order of the net.
    Kept(&'a mut Vec<f32>),
    /// From what is left of a survey.
    Surveyed(&'a [f32]),
}

impl Sums<'_> {
    /// Puts what is to stand for them in the place of `own`, the sums over the image that is given.
    ///
    /// # Panics
    /// If a survey is of another net.
    pub(crate) fn take(&mut self, own: &mut [f32]) {
        match self {
            Self::Own => {}
            Self::Kept(kept) => kept.extend_from_slice(own),
            Self::Surveyed(survey) => {
                let (sums, rest) = survey.split_at(own.len());
                own.copy_from_slice(sums);
                *survey = rest;
            }
        }
    }
}
