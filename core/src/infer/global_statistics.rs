//! As [`crate::model::global_statistics`], for one image on the CPU.

/// Where a run of the net has its sums over pixels from.
#[derive(Debug)]
pub(crate) enum GlobalStatistics<'a> {
    /// From the image itself.
    Own,
    /// From the image itself, and they are recorded, in the order of the net.
    Recorded(&'a mut Vec<f32>),
    /// From what is left of a calibration pass's.
    Given(&'a [f32]),
}

impl GlobalStatistics<'_> {
    /// Whether they come from a calibration pass.
    pub(crate) fn is_given(&self) -> bool {
        matches!(self, Self::Given(_))
    }

    /// The next `count` sums: those given, or else `own`, over the image itself.
    ///
    /// # Panics
    /// If those given are of another net.
    pub(crate) fn take(&mut self, count: usize, own: impl FnOnce() -> Vec<f32>) -> Vec<f32> {
        if let Self::Given(given) = self {
            let (sums, rest) = given.split_at(count);
            *given = rest;
            return sums.to_vec();
        }
        let own = own();
        assert_eq!(own.len(), count, "as many as are asked for");
        if let Self::Recorded(recorded) = self {
            recorded.extend_from_slice(&own);
        }
        own
    }
}
