//! Results read back from their device.

use std::fmt::Display;

use burn::Tensor;

use crate::{Error, Result};

/// The elements of a tensor, in order.
///
/// # Errors
/// [`Error::Device`] if its device has failed.
pub(crate) fn values<const D: usize>(result: Tensor<D>) -> Result<Vec<f32>> {
    let data = result
        .try_into_data_as::<f32>()
        .map_err(|error| unreadable(&error))?;
    data.try_into_vec::<f32>()
        .map_err(|error| unreadable(&error))
}

/// As [`values`], where waiting for a device is not allowed, as in a browser.
///
/// # Errors
/// As `values`.
pub(crate) async fn values_async<const D: usize>(result: Tensor<D>) -> Result<Vec<f32>> {
    let data = result.into_data_async().await;
    let data = data.map_err(|error| unreadable(&format!("{error:?}")))?;
    data.convert::<f32>()
        .try_into_vec::<f32>()
        .map_err(|error| unreadable(&error))
}

fn unreadable(error: &dyn Display) -> Error {
    Error::Device(format!("the result cannot be read: {error}"))
}
