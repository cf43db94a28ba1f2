//! Buffers of many tensors.

use burn::backend::ops::FloatTensorOps;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{contiguous, cubes, dims, empty, vector};

/// Tensors that one launch copies: Metal takes 31 buffers.
pub(super) const PARTS: usize = 26;

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
#[allow(clippy::too_many_arguments, reason = "so many tensors")]
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
    i: CubeTensor,
    j: CubeTensor,
    k: CubeTensor,
    l: CubeTensor,
    m: CubeTensor,
    n: CubeTensor,
    o: CubeTensor,
    p: CubeTensor,
    q: CubeTensor,
    r: CubeTensor,
    s: CubeTensor,
    t: CubeTensor,
    u: CubeTensor,
    v: CubeTensor,
    w: CubeTensor,
    x: CubeTensor,
    y: CubeTensor,
    z: CubeTensor,
    starts: [usize; PARTS],
) -> CubeTensor {
    let parts = [
        a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z,
    ];
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
    let [
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        i,
        j,
        k,
        l,
        m,
        n,
        o,
        p,
        q,
        r,
        s,
        t,
        u,
        v,
        w,
        x,
        y,
        z,
    ] = parts.map(|part| contiguous(part).into_buffer_arg());
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
            i,
            j,
            k,
            l,
            m,
            n,
            o,
            p,
            q,
            r,
            s,
            t,
            u,
            v,
            w,
            x,
            y,
            z,
            result.clone().into_buffer_arg(),
            argument(starts),
            argument(ends),
        );
    }
    result
}

/// Each thread copies one value of the parts, which follow each other.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "so many tensors")]
fn gather_kernel(
    a: &[f32],
    b: &[f32],
    c: &[f32],
    d: &[f32],
    e: &[f32],
    f: &[f32],
    g: &[f32],
    h: &[f32],
    i: &[f32],
    j: &[f32],
    k: &[f32],
    l: &[f32],
    m: &[f32],
    n: &[f32],
    o: &[f32],
    p: &[f32],
    q: &[f32],
    r: &[f32],
    s: &[f32],
    t: &[f32],
    u: &[f32],
    v: &[f32],
    w: &[f32],
    x: &[f32],
    y: &[f32],
    z: &[f32],
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
    copy_part(i, result, at, ends[7], ends[8], starts[8]);
    copy_part(j, result, at, ends[8], ends[9], starts[9]);
    copy_part(k, result, at, ends[9], ends[10], starts[10]);
    copy_part(l, result, at, ends[10], ends[11], starts[11]);
    copy_part(m, result, at, ends[11], ends[12], starts[12]);
    copy_part(n, result, at, ends[12], ends[13], starts[13]);
    copy_part(o, result, at, ends[13], ends[14], starts[14]);
    copy_part(p, result, at, ends[14], ends[15], starts[15]);
    copy_part(q, result, at, ends[15], ends[16], starts[16]);
    copy_part(r, result, at, ends[16], ends[17], starts[17]);
    copy_part(s, result, at, ends[17], ends[18], starts[18]);
    copy_part(t, result, at, ends[18], ends[19], starts[19]);
    copy_part(u, result, at, ends[19], ends[20], starts[20]);
    copy_part(v, result, at, ends[20], ends[21], starts[21]);
    copy_part(w, result, at, ends[21], ends[22], starts[22]);
    copy_part(x, result, at, ends[22], ends[23], starts[23]);
    copy_part(y, result, at, ends[23], ends[24], starts[24]);
    copy_part(z, result, at, ends[24], ends[25], starts[25]);
}

/// Copies the value of thread `at` if it is one of this part's, which the threads from `begin` to `end` copy.
#[cube]
fn copy_part(part: &[f32], result: &mut [f32], at: u32, begin: u32, end: u32, start: u32) {
    if at >= begin && at < end {
        result[(start + at - begin) as usize] = part[(at - begin) as usize];
    }
}

/// `alpha a + beta b`, or `a` if `broken`, `[1]`, is not zero.
pub(super) fn blend(
    a: CubeTensor,
    b: CubeTensor,
    broken: CubeTensor,
    alpha: f32,
    beta: f32,
) -> CubeTensor {
    let (a, b) = (contiguous(a), contiguous(b));
    let [values] = dims(&a);
    let vector = vector(&[values]);
    let result = empty(&a, [values]);
    let (count, dim) = cubes(&result, values / vector);
    // SAFETY: threads past the last value end at once.
    unsafe {
        blend_kernel::launch_unchecked(
            &result.client,
            count,
            dim,
            vector,
            a.into_buffer_arg(),
            b.into_buffer_arg(),
            broken.into_buffer_arg(),
            result.clone().into_buffer_arg(),
            (values / vector) as u32,
            alpha,
            beta,
        );
    }
    result
}

#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments, reason = "a kernel's sizes")]
fn blend_kernel<N: Size>(
    a: &[Vector<f32, N>],
    b: &[Vector<f32, N>],
    broken: &[f32],
    result: &mut [Vector<f32, N>],
    count: u32,
    alpha: f32,
    beta: f32,
) {
    let task = ABSOLUTE_POS as u32;
    if task >= count {
        terminate!();
    }
    let at = task as usize;
    let mut value = a[at];
    if broken[0] == 0.0 {
        value = value * Vector::new(alpha) + b[at] * Vector::new(beta);
    }
    result[at] = value;
}
