//! All that the net knows of more than a neighbourhood: sums over pixels.
//!
//! MDTA's products and norms, D-R fusion's products and the gate's means are sums over all pixels that the net is
//! given; everything else looks at a few pixels around. A tile's sums are not its image's: beside each other, tiles
//! would be restored by different attention, which shows most in haze. So an image is surveyed: tiles of one size run
//! once to have their sums kept, and again with the mean of these in place of their own.

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
    /// From a survey: what [`Sums::into_survey`] gave for images of the same size, or a mean of such.
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

    /// What stands for `own`, `[batch, ..]`, the sums over the image that is given.
    ///
    /// # Panics
    /// If a survey is of another net.
    pub fn take<const D: usize>(&mut self, own: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Own => own,
            Self::Kept(kept) => {
                kept.push(flat(own.clone()));
                own
            }
            Self::Surveyed { survey, used } => {
                let [_, count] = flat_dims(&own);
                let sums = survey.clone().narrow(1, *used, count);
                *used += count;
                sums.reshape(own.dims())
            }
        }
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

fn flat<const D: usize>(sums: Tensor<D>) -> Tensor<2> {
    let dims = flat_dims(&sums);
    sums.reshape(dims)
}

/// `[batch, sums]`
fn flat_dims<const D: usize>(sums: &Tensor<D>) -> [usize; 2] {
    let dims = sums.dims();
    [dims[0], dims[1..].iter().product()]
}
