//! Matrix products on tensor cores, for training: factors rounded to TF32 (8 bits of exponent, 10 of mantissa), sums in
//! f32, as PyTorch and cuDNN convolve f32 tensors unless told otherwise.
//!
//! They are asked for ([`allow_tf32`](crate::ops::allow_tf32)) and used where the GPU has them (NVIDIA from Ampere on); everywhere else, and
//! until then, the products are f32.

mod product;
mod row_sums;

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::cmma::{self, MatrixIdent, MatrixLayout};
use burn_cubecl::cubecl::ir::features::MmaConfig;
use burn_cubecl::cubecl::prelude::*;
/// A factor as tensor cores take it.
pub(super) use burn_cubecl::cubecl::tf32 as Tf32;
use burn_cubecl::tensor::CubeTensor;

use crate::ops::precision::allows_tf32;

pub(super) use product::{product, supports_product};
pub(super) use row_sums::{row_sums, supports_sums};

/// Rows and columns of a fragment of results.
pub(super) const SIDE: usize = 16;
/// What a product of fragments sums over.
pub(super) const DEPTH: usize = 8;
/// Threads that hold a fragment together.
pub(super) const PLANE: usize = 32;
/// Elements read at once, and the padding of shared rows: with it neighbouring rows lie in different banks.
pub(super) const VECTOR: usize = 4;

/// Whether they may, and this tensor's GPU can.
pub(super) fn is_usable(tensor: &CubeTensor) -> bool {
    if !allows_tf32() {
        return false;
    }
    let config = MmaConfig {
        a_type: Tf32::elem_type_native(),
        b_type: Tf32::elem_type_native(),
        cd_type: f32::elem_type_native(),
        m: SIDE as u32,
        n: SIDE as u32,
        k: DEPTH as u32,
    };
    let properties = tensor.client.properties();
    properties.features.matmul.cmma.contains(&config)
        && properties.hardware.plane_size_min == PLANE as u32
        && properties.hardware.plane_size_max == PLANE as u32
}

/// A cube's planes, and which fragments of its tile each of them has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Planes {
    /// Planes below each other.
    pub down: usize,
    /// Planes beside each other.
    pub across: usize,
    /// Fragments of a plane, below each other.
    pub rows: usize,
    /// Fragments of a plane, beside each other.
    pub columns: usize,
}

impl Planes {
    /// At most four planes, each with as square a part of the tile as there is. Sides are 16, 32, 64 or 128.
    pub fn new(tile_rows: usize, tile_columns: usize) -> Self {
        let (rows, columns) = (tile_rows / SIDE, tile_columns / SIDE);
        let (mut down, mut across) = (1, 1);
        while down * across < 4 && (down < rows || across < columns) {
            if across == columns || (down < rows && rows / down >= columns / across) {
                down *= 2;
            } else {
                across *= 2;
            }
        }
        Self {
            down,
            across,
            rows: rows / down,
            columns: columns / across,
        }
    }

    /// Threads of the cube.
    pub fn threads(self) -> usize {
        self.down * self.across * PLANE
    }

    /// Rows of the tile.
    pub fn tile_rows(self) -> usize {
        self.down * self.rows * SIDE
    }

    /// Columns of the tile.
    pub fn tile_columns(self) -> usize {
        self.across * self.columns * SIDE
    }
}

/// Fragments of results, all zero.
#[cube]
pub(super) fn zeros(#[comptime] count: usize) -> Sequence<cmma::Matrix<f32>> {
    let mut sums = Sequence::<cmma::Matrix<f32>>::new();
    #[unroll]
    for _ in 0..count {
        sums.push(cmma::Matrix::<f32>::from_value(
            MatrixIdent::Accumulator,
            SIDE,
            SIDE,
            DEPTH,
            MatrixLayout::Undefined,
            0.0,
        ));
    }
    sums
}

/// 16 rows by 8 of a matrix that lies row by row.
#[cube]
pub(super) fn left<V: CubePrimitive>(tile: &[V], stride: u32) -> cmma::Matrix<Tf32> {
    // SAFETY: filled at once.
    let mut matrix = unsafe {
        cmma::Matrix::<Tf32>::uninitialized(
            MatrixIdent::A,
            SIDE,
            SIDE,
            DEPTH,
            MatrixLayout::RowMajor,
        )
    };
    cmma::load(&mut matrix, tile, stride);
    matrix
}

/// 8 rows by 16 of a matrix that lies as told.
#[cube]
pub(super) fn right<V: CubePrimitive>(
    tile: &[V],
    stride: u32,
    #[comptime] layout: MatrixLayout,
) -> cmma::Matrix<Tf32> {
    // SAFETY: filled at once.
    let mut matrix =
        unsafe { cmma::Matrix::<Tf32>::uninitialized(MatrixIdent::B, SIDE, SIDE, DEPTH, layout) };
    cmma::load(&mut matrix, tile, stride);
    matrix
}
