//! Comparing a kernel with the plain composition, forward and backward.

use crate::cpu::simd::testing::at_every_level;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Heights and widths with every kind of remainder.
pub(super) fn sizes() -> [[usize; 2]; 6] {
    [[1, 1], [3, 5], [17, 31], [16, 64], [2, 129], [35, 20]]
}

/// Random values in -1..1, the same for the same seed.
pub(super) fn random(shape: [usize; 4], seed: u64) -> TensorData {
    let mut rng = StdRng::seed_from_u64(seed);
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
    TensorData::new(values, shape)
}

/// The largest difference, relative to the largest expected value (or to 1e-3 if that is smaller).
pub(super) fn error(actual: &TensorData, expected: &TensorData) -> f32 {
    assert_eq!(actual.shape(), expected.shape());
    let actual = actual.as_slice::<f32>().expect("f32");
    let expected = expected.as_slice::<f32>().expect("f32");
    let scale = expected.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    let mut worst = 0.0f32;
    for (a, e) in actual.iter().zip(expected) {
        assert!(a.is_finite() && e.is_finite(), "{a} {e}");
        worst = worst.max((a - e).abs());
    }
    worst / scale
}

/// The output of `f` on inputs of these shapes, without and with autodiff, and the gradients of
/// all inputs under a random gradient of the output.
fn run(shapes: &[[usize; 4]], f: &dyn Fn(&[Tensor<4>]) -> Tensor<4>) -> Vec<TensorData> {
    let on = |device: &Device| -> Vec<Tensor<4>> {
        let seeded = shapes.iter().zip(1..);
        seeded
            .map(|(&shape, seed)| Tensor::from_data(random(shape, seed), device))
            .collect()
    };
    let mut results = vec![f(&on(&Device::flex())).into_data()];

    let device = Device::flex().autodiff();
    let inputs: Vec<_> = on(&device).into_iter().map(Tensor::require_grad).collect();
    let output = f(&inputs);
    results.push(output.clone().into_data());
    let upstream = Tensor::from_data(random(output.dims(), 0), &device);
    let grads = (output * upstream).sum().backward();
    for input in &inputs {
        let grad = input.grad(&grads).expect("a gradient for every input");
        results.push(grad.into_data());
    }
    results
}

/// Checks output and gradients of `kernel` against `plain`, with every instruction set.
pub(super) fn check(
    shapes: &[[usize; 4]],
    tolerance: f32,
    kernel: impl Fn(&[Tensor<4>]) -> Tensor<4>,
    plain: impl Fn(&[Tensor<4>]) -> Tensor<4>,
) {
    let expected = run(shapes, &plain);
    at_every_level(|level| {
        let actual = run(shapes, &kernel);
        for (i, (a, e)) in actual.iter().zip(&expected).enumerate() {
            let error = error(a, e);
            assert!(
                error < tolerance,
                "{level:?} {shapes:?}: result {i} differs by {error:e}"
            );
        }
    });
}
