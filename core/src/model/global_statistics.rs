//! Global statistics: the sums over all pixels that the net uses.
//!
//! MDTA's products and norms and D-R fusion's products are sums over all pixels of the input. Everything else in the net uses
//! a small neighbourhood of each pixel. (The backbone reaches the pixels through D-R fusion's products alone.) The sums of a
//! tile differ from those of its image, so neighbouring tiles would be restored with different attention; this shows most in
//! haze (TLC, Chu et al. 2022, describes the effect). So a calibration pass comes first: it runs some tiles, as large as fit,
//! and records their sums. Then every tile uses the mean of these sums in place of its own. That also saves work: no backbone,
//! no queries, no keys.

use burn::tensor::Tensor;

/// Where a run of the net has its sums over pixels from.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one for a run of the net"
)]
pub enum GlobalStatistics {
    /// From the image itself.
    Own,
    /// From the image itself, and they are recorded: each `[batch, sums]`, in the order of the net.
    Recorded(Vec<Tensor<2>>),
    /// From a calibration pass: what [`GlobalStatistics::into_recorded`] gave, or a mean of such.
    Given {
        /// `[batch, sums]`, of all the net.
        sums: Tensor<2>,
        /// How many of them were used.
        used: usize,
    },
}

impl GlobalStatistics {
    /// Those of a calibration pass, `[batch, sums]`.
    pub fn given(sums: Tensor<2>) -> Self {
        Self::Given { sums, used: 0 }
    }

    /// The next sums, `shape` with the batch first: those given, or else `own`, over the images themselves.
    ///
    /// # Panics
    /// If those given are of another net.
    pub fn take<const D: usize>(
        &mut self,
        shape: [usize; D],
        own: impl FnOnce() -> Tensor<D>,
    ) -> Tensor<D> {
        let [batch, count] = [shape[0], shape[1..].iter().product()];
        if let Self::Given { sums, used } = self {
            let next = sums.clone().narrow(1, *used, count);
            *used += count;
            return next.reshape(shape);
        }
        let own = own();
        if let Self::Recorded(recorded) = self {
            recorded.push(own.clone().reshape([batch, count]));
        }
        own
    }

    /// What was recorded: `[batch, sums]`.
    ///
    /// # Panics
    /// If nothing was.
    pub fn into_recorded(self) -> Tensor<2> {
        match self {
            Self::Recorded(recorded) => Tensor::cat(recorded, 1),
            _ => panic!("no statistics are recorded"),
        }
    }
}
