//! The reconstruction loss on spectra, as MIMO-UNet (Cho et al., ICCV 2021) and its successors add it to L1: patterns that repeat,
//! such as blur, rain and moiré, are few coefficients of a spectrum and many pixels of a photo.

use std::f64::consts::TAU;

use burn::tensor::{Device, Tensor, TensorData};

/// Mean absolute difference of real and imaginary parts of the images' spectra, PyTorch's
/// `l1_loss(view_as_real(rfft2(restored)), view_as_real(rfft2(clean)))`.
///
/// The transform is linear, so the difference is transformed, by products with two matrices: they are differentiable on every device.
///
/// # Shapes
/// - `restored`, `clean`: `[batch, channels, height, width]`
/// - output: `[1]`
pub fn frequency_l1(restored: Tensor<4>, clean: Tensor<4>) -> Tensor<1> {
    let [batch, channels, height, width] = restored.dims();
    let device = restored.device();
    let (images, half) = (batch * channels, width / 2 + 1);
    let difference = (restored - clean).reshape([images * height, width]);
    // Each row: its real part and its negative imaginary part.
    let rows = difference.matmul(fourier(width, half, &device));
    let columns = rows.reshape([images, height, 2 * half]).swap_dims(1, 2);
    let columns = columns.reshape([images * 2 * half, height]);
    let both = columns.matmul(fourier(height, height, &device));
    let both = both.reshape([images, 2, half, 2, height]);
    let part = |row: usize, column: usize| {
        let part = both.clone().narrow(1, row, 1).narrow(3, column, 1);
        part.reshape([images * half, height])
    };
    // (cos - i sin) of the columns times (cos - i sin) of the rows.
    let real = part(0, 0) - part(1, 1);
    let imaginary = part(0, 1) + part(1, 0);
    let mean = |part: Tensor<2>| part.abs().mean_dim(1).mean();
    (mean(real) + mean(imaginary)) / 2.0
}

/// `[length, 2 x frequencies]`: the cosines, then the sines, of the first frequencies of `length` samples.
fn fourier(length: usize, frequencies: usize, device: &Device) -> Tensor<2> {
    let wave = |sample: usize, at: usize| {
        let (frequency, wave): (usize, fn(f64) -> f64) = match at.checked_sub(frequencies) {
            None => (at, f64::cos),
            Some(at) => (at, f64::sin),
        };
        wave((sample * frequency % length) as f64 * TAU / length as f64) as f32
    };
    let columns = 2 * frequencies;
    let values: Vec<f32> = (0..length * columns)
        .map(|at| wave(at / columns, at % columns))
        .collect();
    Tensor::from_data(TensorData::new(values, [length, columns]), device)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    fn value(loss: Tensor<1>) -> f32 {
        loss.into_scalar()
    }

    #[test]
    fn is_the_definition() {
        let device = Device::flex();
        let [height, width] = [6, 5];
        let uniform = Distribution::Uniform(0.0, 1.0);
        let [a, b] = [0; 2].map(|_| Tensor::<4>::random([2, 3, height, width], uniform, &device));
        let difference = (a.clone() - b.clone()).into_data();
        let difference = difference.try_to_vec::<f32>().expect("f32");
        let mut sum = 0.0;
        for image in difference.chunks(height * width) {
            for v in 0..height {
                for u in 0..=width / 2 {
                    let (mut real, mut imaginary) = (0.0, 0.0);
                    for (at, &value) in image.iter().enumerate() {
                        let turns = (at / width * v) as f64 / height as f64
                            + (at % width * u) as f64 / width as f64;
                        real += f64::from(value) * (turns * TAU).cos();
                        imaginary -= f64::from(value) * (turns * TAU).sin();
                    }
                    sum += real.abs() + imaginary.abs();
                }
            }
        }
        let count = 2 * 3 * height * (width / 2 + 1) * 2;
        let wanted = (sum / count as f64) as f32;
        assert!((value(frequency_l1(a, b)) - wanted).abs() < 1e-5 * wanted);
    }

    #[test]
    fn its_gradient_is_the_slope() {
        let device = Device::flex().autodiff();
        let clean = Tensor::<4>::zeros([1, 1, 4, 6], &device);
        let uniform = Distribution::Uniform(0.1, 1.0);
        let restored = Tensor::random([1, 1, 4, 6], uniform, &device).require_grad();
        let loss = frequency_l1(restored.clone(), clean.clone());
        let gradient = restored.grad(&loss.backward()).expect("a gradient");
        let wanted = value(gradient.clone().square().sum());
        // A step along the gradient descends by its squared length, as long as no coefficient changes its sign.
        let (plain, step) = (Device::flex(), 1e-3);
        let [restored, clean] =
            [restored, clean].map(|image| Tensor::<4>::from_data(image.into_data(), &plain));
        let after = frequency_l1(
            restored.clone() - gradient.to_device(&plain) * step,
            clean.clone(),
        );
        let slope = (value(frequency_l1(restored, clean)) - value(after)) / step as f32;
        assert!((slope - wanted).abs() < 0.02 * wanted, "{slope}, {wanted}");
    }
}
