//! Numbers of the method that all forms of the network share.

/// Added to the variance in the layer norms over channels.
pub(crate) const NORM_EPSILON: f32 = 1e-5;

/// The least norm that a channel of queries or keys is divided by.
pub(crate) const LEAST_NORM: f32 = 1e-12;
