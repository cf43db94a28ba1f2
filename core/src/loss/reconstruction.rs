//! The reconstruction loss.

use burn::tensor::Tensor;

use crate::ops;

/// Mean absolute difference.
///
/// # Shapes
/// - `restored`, `clean`: `[batch, 3, height, width]`
/// - output: `[1]`
pub fn l1(restored: Tensor<4>, clean: Tensor<4>) -> Tensor<1> {
    let [batch, channels, height, width] = restored.dims();
    let as_one = |images: Tensor<4>| images.reshape([1, batch * channels, height, width]);
    ops::absolute_errors(as_one(restored), as_one(clean))
}

/// Each image's mean absolute difference `e` on a logarithmic scale, `unit * ln(1 + e / unit)`, averaged over the batch.
///
/// Below `unit` it is [`l1`]. Far above, it is the log likelihood of Laplace noise with an unknown width for each image. There only
/// the ratio of errors counts: one hazy photo with large errors does not outweigh ten compressed photos.
/// NAFNet (Chen et al., ECCV 2022) trains with the logarithm of the squared error for the same reason.
///
/// # Shapes
/// - `restored`, `clean`: `[batch, 3, height, width]`
/// - output: `[1]`
pub fn log_l1(restored: Tensor<4>, clean: Tensor<4>, unit: f64) -> Tensor<1> {
    let errors = ops::absolute_errors(restored, clean);
    (errors / unit).log1p().mean() * unit
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    /// Two images whose errors are 0.002 and 0.3.
    fn pair(device: &Device) -> [Tensor<4>; 2] {
        let values: Vec<f32> = [0.002_f32, -0.3]
            .iter()
            .flat_map(|&v| [v; 3 * 4 * 5])
            .collect();
        let restored = Tensor::from_data(TensorData::new(values, [2, 3, 4, 5]), device);
        [restored.clone(), restored.zeros_like()]
    }

    #[test]
    fn log_l1_is_its_definition() {
        let [restored, clean] = pair(&Device::flex());
        let found: f32 = log_l1(restored, clean, 0.01).into_scalar();
        let wanted = 0.01 * ((1.2_f64).ln() + (31.0_f64).ln()) / 2.0;
        assert!(
            (f64::from(found) - wanted).abs() < 1e-6,
            "{found}, {wanted}"
        );
    }

    #[test]
    fn a_large_error_pulls_less() {
        let [restored, clean] = pair(&Device::flex().autodiff());
        let restored = restored.require_grad();
        let loss = log_l1(restored.clone(), clean, 0.01);
        let gradient = restored.grad(&loss.backward()).expect("a gradient");
        let gradient = gradient.into_data().try_to_vec::<f32>().expect("f32");
        // Of l1 all were 1 / 120.
        assert!((gradient[0] * 120.0 - 1.0 / 1.2).abs() < 1e-4);
        assert!((gradient[119] * 120.0 + 1.0 / 31.0).abs() < 1e-4);
    }
}
