//! Resizing: of images, of maps, of the position embedding.

use std::collections::BTreeSet;

use burn::tensor::Tensor;
use dino_ir::model::dinov2::pos_embed::resize_pos_embed;
use dino_ir::model::dinov2::{fit, normalize};
use dino_ir::model::resize::{Axis, resize};
use dino_ir_tests::{Fixture, check};

use super::{BILINEAR, DINO_RESIZES, MATRIX, PARTS, POSITIONS, flag, numbers};

/// The matrix of an axis: what becomes of the unit matrix.
fn matrix(case: &Fixture, axis: Axis, from: usize) -> Tensor<2> {
    let unit = Tensor::<2>::eye(from, case.device()).reshape([1, 1, from, from]);
    let columns = Axis::bilinear(from, from);
    resize(unit, axis, columns).squeeze_dims(&[0, 1])
}

#[test]
fn dino_resize() {
    check(&DINO_RESIZES, PARTS, |case| {
        let x = case.input::<4>("input");
        let resized = fit(x.clone());
        case.compare("resized", resized.clone());
        let y = normalize(resized);
        case.compare("output", y.clone());
        if case.records("grad.input")
            && let Some(gradients) = case.backward(y)
        {
            case.compare_gradient("input", &x, &gradients);
        }
        let (from, to) = (numbers(case.config(), "from"), numbers(case.config(), "to"));
        compare_matrices(case, from, to, Axis::bilinear_antialias);
    });
}

#[test]
fn bilinear() {
    check(&BILINEAR, PARTS, |case| {
        let (from, to) = (numbers(case.config(), "from"), numbers(case.config(), "to"));
        let x = case.input::<4>("input");
        let [rows, columns] = [0, 1].map(|side| Axis::bilinear(from[side], to[side]));
        let y = resize(x.clone(), rows, columns);
        case.compare("output", y.clone());
        if let Some(gradients) = case.backward(y) {
            case.compare_gradient("input", &x, &gradients);
        }
        compare_matrices(case, from, to, Axis::bilinear);
    });
}

fn compare_matrices(
    case: &Fixture,
    from: [usize; 2],
    to: [usize; 2],
    axis: impl Fn(usize, usize) -> Axis,
) {
    for (side, name) in ["matrix.height", "matrix.width"].into_iter().enumerate() {
        let found = matrix(case, axis(from[side], to[side]), from[side]);
        case.compare_within(name, found, MATRIX);
    }
}

#[test]
fn positions() {
    check(&POSITIONS, PARTS, |case| {
        let (grid, registers) = (37, flag(case.config(), "registers"));
        let class = |width: usize| Tensor::<3>::ones([1, 1, width], case.device());
        let map = case.input::<4>("input").reshape([1, grid * grid, 1]);
        let embedding = Tensor::cat(vec![class(1), map], 1);
        let sizes: Vec<[usize; 2]> =
            serde_json::from_value(case.config()["sizes"].clone()).expect("sizes");
        assert_eq!(sizes.len(), 5);
        for &[rows, columns] in &sizes {
            let found = resize_pos_embed(embedding.clone(), rows, columns, registers);
            let found = found.narrow(1, 1, rows * columns);
            let name = format!("output.{rows}x{columns}");
            case.compare(&name, found.reshape([1, 1, rows, columns]));
        }
        // Grids whose k-th channel is 1 in row k: resized to one column, they are the matrix.
        let unit = Tensor::<2>::eye(grid, case.device()).reshape([1, grid, 1, grid]);
        let rows = unit.expand([1, grid, grid, grid]);
        let rows = rows.reshape([1, grid * grid, grid]);
        let embedding = Tensor::cat(vec![class(grid), rows], 1);
        let sides: BTreeSet<usize> = sizes.into_iter().flatten().collect();
        for side in sides {
            let found = resize_pos_embed(embedding.clone(), side, 1, registers);
            let found = found.narrow(1, 1, side).squeeze_dim::<2>(0);
            case.compare_within(&format!("matrix.{side}"), found, MATRIX);
        }
    });
}
