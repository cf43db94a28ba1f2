//! Results read back from their device.

use std::fmt::Display;

use burn::Tensor;

use crate::{Error, Result};

/// The elements of a tensor, in order.
///
/// # Errors
/// [`Error::Device`] if its device has failed.
pub(crate) fn values<const D: usize>(result: Tensor<D>) -> Result<Vec<f32>> {
    let failed = |error: &dyn Display| Error::Device(format!("the result cannot be read: {error}"));
    let data = result
        .try_into_data_as::<f32>()
        .map_err(|error| failed(&error))?;
    data.try_into_vec::<f32>().map_err(|error| failed(&error))
}
