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
    /// Whether they come from a survey.
    pub(crate) fn surveyed(&self) -> bool {
        matches!(self, Self::Surveyed(_))
    }

    /// The next `count` sums: from the survey, or else `own`, over the image that is given.
    ///
    /// # Panics
    /// If a survey is of another net.
    pub(crate) fn take(&mut self, count: usize, own: impl FnOnce() -> Vec<f32>) -> Vec<f32> {
        if let Self::Surveyed(survey) = self {
            let (sums, rest) = survey.split_at(count);
            *survey = rest;
            return sums.to_vec();
        }
        let own = own();
        assert_eq!(own.len(), count, "as many as are asked for");
        if let Self::Kept(kept) = self {
            kept.extend_from_slice(&own);
        }
        own
    }
}
