//! Many tensors in one buffer: looking at a part of it, and filling it, in few launches on a GPU.

use burn::tensor::Tensor;

/// The part of `buffer` that begins at `start` and has `length` values. On a GPU it is where it lies, if `start` is
/// a multiple of 128 values.
///
/// # Shapes
/// - buffer: `[values]`
/// - output: `[length]`
pub fn view(buffer: Tensor<1>, start: usize, length: usize) -> Tensor<1> {
    let [values] = buffer.dims();
    assert!(
        start + length <= values,
        "{length} of {values} values from {start}"
    );
    #[cfg(feature = "gpu")]
    if super::gpu::is_supported(&buffer) && length > 0 {
        return super::gpu::view(buffer, start, length);
    }
    buffer.narrow(0, start, length)
}

/// `buffer` with `parts` written over it, each from its first place on: many with each launch.
///
/// # Shapes
/// - buffer, output: `[values]`
/// - each part: `[length]`
pub fn gather(buffer: Tensor<1>, parts: &[(usize, Tensor<1>)]) -> Tensor<1> {
    let [values] = buffer.dims();
    for (start, part) in parts {
        let [length] = part.dims();
        assert!(
            start + length <= values,
            "{length} of {values} values from {start}"
        );
    }
    #[cfg(feature = "gpu")]
    if super::gpu::is_supported(&buffer)
        && parts.iter().all(|(_, part)| super::gpu::is_supported(part))
    {
        return super::gpu::gather(buffer, parts);
    }
    parts.iter().fold(buffer, |buffer, (start, part)| {
        let [length] = part.dims();
        let place = *start..start + length;
        buffer.slice_assign([place], part.clone())
    })
}

/// `alpha a + beta b`, or `a` if `broken` is not zero: decided where it is computed, nothing is waited for.
///
/// # Shapes
/// - a, b, output: `[values]`
/// - broken: `[1]`
pub fn blend([a, b]: [Tensor<1>; 2], [alpha, beta]: [f64; 2], broken: &Tensor<1>) -> Tensor<1> {
    #[cfg(feature = "gpu")]
    if [&a, &b].into_iter().all(super::gpu::is_supported) {
        return super::gpu::blend(a, b, broken.clone(), alpha as f32, beta as f32);
    }
    let mask = broken.clone().equal_elem(0.0).expand(a.dims());
    let new = a.clone().mul_scalar(alpha) + b.mul_scalar(beta);
    a.mask_where(mask, new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn what_is_written_is_seen() {
        let device = Device::flex();
        let part = |values: &[f32]| Tensor::<1>::from_floats(values, &device);
        let parts = [(0, part(&[1.0, 2.0, 3.0])), (4, part(&[5.0]))];
        let buffer = gather(Tensor::zeros([6], &device), &parts);
        let all = buffer.clone().into_data().try_to_vec::<f32>().expect("f32");
        assert_eq!(all, [1.0, 2.0, 3.0, 0.0, 5.0, 0.0]);
        for (start, part) in parts {
            let length = part.dims()[0];
            let seen = view(buffer.clone(), start, length).into_data();
            assert_eq!(seen, part.into_data());
        }
    }

    #[test]
    #[should_panic(expected = "2 of 6 values from 5")]
    fn a_view_ends_in_its_buffer() {
        let _ = view(Tensor::zeros([6], &Device::flex()), 5, 2);
    }
}
