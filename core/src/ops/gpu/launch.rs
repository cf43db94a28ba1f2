//! How tensors become a kernel's arguments.

use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::{self, calculate_cube_count_elemwise};
/// The tensor itself if its elements lie in order, else a copy that does.
pub(in crate::ops) use burn_cubecl::kernel::into_contiguous as contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

/// The same elements in another shape.
pub(super) fn reshaped(tensor: CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    CubeBackend::float_reshape(tensor, shape.into())
}

/// A tensor beside `like`, to be filled.
pub(super) fn empty(like: &CubeTensor, shape: impl Into<Shape>) -> CubeTensor {
    let (client, device) = (like.client.clone(), like.device.clone());
    empty_device_contiguous_dtype(client, device, shape.into(), DType::F32)
}

/// Cubes for this many tasks, one for each thread. There may be more threads than tasks.
pub(super) fn cubes(like: &CubeTensor, tasks: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new(&like.client, tasks);
    (calculate_cube_count_elemwise(&like.client, tasks, dim), dim)
}

/// Sizes of a contiguous tensor.
pub(super) fn dims<const D: usize>(tensor: &CubeTensor) -> [usize; D] {
    tensor.meta.shape().dims()
}

/// The widest vector that a row of each of these lengths is whole vectors of.
pub(super) fn vector(lengths: &[usize]) -> usize {
    let whole = |size: &usize| lengths.iter().all(|length| length.is_multiple_of(*size));
    [4, 2].into_iter().find(whole).unwrap_or(1)
}

/// The sizes of each product of a batch of matrices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size3 {
    pub images: usize,
    pub heads: usize,
    pub rows: usize,
    pub inner: usize,
    pub columns: usize,
}

/// Where the matrices of a batch lie in a buffer. The batch has two levels, such as images and heads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// The first matrix's first element.
    pub start: usize,
    /// From one row to the next.
    pub row: usize,
    /// From one image to the next.
    pub image: usize,
    /// From one head to the next.
    pub head: usize,
}

impl Layout {
    /// Matrices one after the other, one for each image.
    pub fn matrices(rows: usize, columns: usize) -> Self {
        Self {
            start: 0,
            row: columns,
            image: rows * columns,
            head: 0,
        }
    }

    /// One matrix for the whole batch.
    pub fn shared(columns: usize) -> Self {
        Self {
            image: 0,
            ..Self::matrices(0, columns)
        }
    }

    /// Everything that has to be whole vectors where elements are read as vectors.
    pub fn steps(&self) -> [usize; 4] {
        [self.start, self.row, self.image, self.head]
    }

    /// For a kernel that reads vectors of this size.
    pub fn argument(&self, vector: usize) -> PlaceLaunch {
        let [start, row, image, head] = self.steps().map(|step| (step / vector) as u32);
        PlaceLaunch::new(start, row, image, head)
    }
}

/// A [`Layout`] in a kernel, in vectors.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Place {
    start: u32,
    pub row: u32,
    image: u32,
    head: u32,
}

#[cube]
impl Place {
    /// Where the matrix of an image and a head begins.
    pub fn of(&self, image: u32, head: u32) -> u32 {
        self.start + image * self.image + head * self.head
    }
}
