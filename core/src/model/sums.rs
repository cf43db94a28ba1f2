//! All that the net knows of more than a neighbourhood: sums over pixels.
//!
//! MDTA's products and norms and D-R fusion's products are sums over all pixels that the net is given; everything
//! else looks at a few pixels around. (What the backbone found reaches the pixels through D-R fusion's products alone.)
//! A tile's sums are not its image's: beside each other, tiles would be restored by different attention, which shows
//! most in haze. So an image is surveyed: as much of it as fits at once runs to have the sums kept, and the tiles run
//! by the mean of these in place of their own. That leaves less to compute: no backbone, no queries, no keys.

use burn::tensor::Tensor;

/// Where a run of the net takes its sums from.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one for a run of the net"
)]
pub enum Sums {
    /// From the image that it is given.
    Own,
    /// From the image, and they are kept: each `[batch, sums]`, in the order of the net.
    Kept(Vec<Tensor<2>>),
    /// From a survey: what [`Sums::into_survey`] gave, or a mean of such.
    Surveyed {
        /// `[batch, sums]`, of all the net.
        survey: Tensor<2>,
        /// How many of them were used.
        used: usize,
    },
}

impl Sums {
    /// By a survey, `[batch, sums]`.
    pub fn surveyed(survey: Tensor<2>) -> Self {
        Self::Surveyed { survey, used: 0 }
    }

    /// The next sums, `shape` with the batch first: from the survey, or else `own`, over the images that are given.
    ///
    /// # Panics
    /// If a survey is of another net.
    pub fn take<const D: usize>(
        &mut self,
        shape: [usize; D],
        own: impl FnOnce() -> Tensor<D>,
    ) -> Tensor<D> {
        let [batch, count] = [shape[0], shape[1..].iter().product()];
        if let Self::Surveyed { survey, used } = self {
            let sums = survey.clone().narrow(1, *used, count);
            *used += count;
            return sums.reshape(shape);
        }
        let own = own();
        if let Self::Kept(kept) = self {
            kept.push(own.clone().reshape([batch, count]));
        }
        own
    }

    /// What was kept: `[batch, sums]`.
    ///
    /// # Panics
    /// If nothing was.
    pub fn into_survey(self) -> Tensor<2> {
        match self {
            Self::Kept(kept) => Tensor::cat(kept, 1),
            _ => panic!("no sums are kept"),
        }
    }
}
