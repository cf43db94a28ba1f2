//! Buffers of many tensors.

use burn::backend::ops::FloatTensorOps;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{contiguous, cubes, dims, empty};

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
    let shape = burn::tensor::Shape::new([length]);
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
        false => copy(buffer),
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

fn copy(buffer: CubeTensor) -> CubeTensor {
    let result = empty(&buffer, dims::<1>(&buffer));
    CubeBackend::float_slice_assign(result, &[(0..dims::<1>(&buffer)[0]).into()], buffer)
}

/// Each thread copies one value: of the first part that has not ended before it.
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
    if at < ends[0] {
        result[(starts[0] + at) as usize] = a[at as usize];
    } else if at < ends[1] {
        let at = at - ends[0];
        result[(starts[1] + at) as usize] = b[at as usize];
    } else if at < ends[2] {
        let at = at - ends[1];
        result[(starts[2] + at) as usize] = c[at as usize];
    } else if at < ends[3] {
        let at = at - ends[2];
        result[(starts[3] + at) as usize] = d[at as usize];
    } else if at < ends[4] {
        let at = at - ends[3];
        result[(starts[4] + at) as usize] = e[at as usize];
    } else if at < ends[5] {
        let at = at - ends[4];
        result[(starts[5] + at) as usize] = f[at as usize];
    } else if at < ends[6] {
        let at = at - ends[5];
        result[(starts[6] + at) as usize] = g[at as usize];
    } else if at < ends[7] {
        let at = at - ends[6];
        result[(starts[7] + at) as usize] = h[at as usize];
    }
}
