//! Buffers of many tensors.

use burn::backend::ops::FloatTensorOps;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{contiguous, cubes, dims};

/// Tensors that one launch copies.
pub(super) const PARTS: usize = 8;

/// A part of a buffer where it lies; a copy if it begins where a kernel's vectors may not.
pub(super) fn view(buffer: CubeTensor, start: usize, length: usize) -> CubeTensor {
    let buffer = contiguous(buffer);
    let [values] = dims(&buffer);
    let bytes = |count: usize| (count * size_of::<f32>()) as u64;
    let alignment = buffer.client.properties().memory.alignment;
    if !bytes(start).is_multiple_of(alignment) {
        return contiguous(CubeBackend::float_slice(
            buffer,
            &[(start..start + length).into()],
        ));
    }
    let handle = buffer.handle.clone().offset_start(bytes(start));
    let handle = handle.offset_end(bytes(values - start - length));
    let shape = Shape::new([length]);
    CubeTensor::new_contiguous(buffer.client, buffer.device, shape, handle, buffer.dtype)
}

/// Writes `parts` into a buffer, each from its start on. A buffer that others look at is copied first.
#[allow(clippy::too_many_arguments, reason = "eight tensors")]
pub(super) fn gather(
    buffer: CubeTensor,
    a: CubeTensor,
    b: CubeTensor,
    c: CubeTensor,
    d: CubeTensor,
    e: CubeTensor,
    f: CubeTensor,
    g: CubeTensor,
    h: CubeTensor,
    starts: [usize; PARTS],
) -> CubeTensor {
    let parts = [a, b, c, d, e, f, g, h];
    let buffer = contiguous(buffer);
    let result = match buffer.can_mut() {
        true => buffer,
        false => buffer.copy(),
    };
    let mut ends = [0; PARTS];
    let mut total = 0;
    for (end, part) in ends.iter_mut().zip(&parts) {
        let [length] = dims(part);
        total += length;
        *end = total;
    }
    let [a, b, c, d, e, f, g, h] = parts.map(|part| contiguous(part).into_buffer_arg());
    let (count, dim) = cubes(&result, total);
    let argument = |values: [usize; PARTS]| {
        let mut sequence = SequenceArg::<u32>::new();
        values.iter().for_each(|&value| sequence.push(value as u32));
        sequence
    };
    // SAFETY: threads past the last value end at once; the parts lie in the buffer.
    unsafe {
        gather_kernel::launch_unchecked(
            &result.client,
            count,
            dim,
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            result.clone().into_buffer_arg(),
            argument(starts),
            argument(ends),
        );
    }
    result
}

/// Each thread copies one value of the parts, which follow each other.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "eight tensors")]
fn gather_kernel(
    a: &[f32],
    b: &[f32],
    c: &[f32],
    d: &[f32],
    e: &[f32],
    f: &[f32],
    g: &[f32],
    h: &[f32],
    result: &mut [f32],
    starts: Sequence<u32>,
    ends: Sequence<u32>,
) {
    let at = ABSOLUTE_POS as u32;
    copy_part(a, result, at, 0, ends[0], starts[0]);
    copy_part(b, result, at, ends[0], ends[1], starts[1]);
    copy_part(c, result, at, ends[1], ends[2], starts[2]);
    copy_part(d, result, at, ends[2], ends[3], starts[3]);
    copy_part(e, result, at, ends[3], ends[4], starts[4]);
    copy_part(f, result, at, ends[4], ends[5], starts[5]);
    copy_part(g, result, at, ends[5], ends[6], starts[6]);
    copy_part(h, result, at, ends[6], ends[7], starts[7]);
}

/// Copies the value of thread `at` if it is one of this part's, which the threads from `begin` to `end` copy.
#[cube]
fn copy_part(part: &[f32], result: &mut [f32], at: u32, begin: u32, end: u32, start: u32) {
    if at >= begin && at < end {
        result[(start + at - begin) as usize] = part[(at - begin) as usize];
    }
}
