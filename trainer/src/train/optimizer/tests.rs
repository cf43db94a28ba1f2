//! The rules, resuming, and that buffers change nothing.

mod reference;

use burn::module::{Initializer, Param};

use super::*;
use crate::train::ema::Ema;

#[derive(Module, Debug)]
struct Layer {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

const SHAPE: [usize; 2] = [12, 8];

fn layer() -> Layer {
    let device = Device::flex();
    device.seed(3);
    Layer {
        weight: Initializer::Normal {
            mean: 0.0,
            std: 1.0,
        }
        .init(SHAPE, &device),
        bias: Initializer::Ones.init([SHAPE[0]], &device),
    }
}

/// Gradients that are twenty times as long in some directions as in others.
fn gradients() -> FlatTensors {
    let weight: Vec<f32> = (0..SHAPE[0] * SHAPE[1])
        .map(|at| {
            let (row, column) = (at / SHAPE[1], at % SHAPE[1]);
            let size = if column < SHAPE[1] / 2 { 1.0 } else { 0.05 };
            let noise =
                ((row as f64 * 12.9898 + column as f64 * 78.233).sin() * 43758.5453).fract();
            (size * noise) as f32
        })
        .collect();
    let bias = vec![0.25; SHAPE[0]];
    let flat = |values: &[f32]| Tensor::from_floats(values, &Device::flex());
    [
        ("weight".to_owned(), flat(&weight)),
        ("bias".to_owned(), flat(&bias)),
    ]
    .into()
}

fn config(kind: OptimizerKind) -> OptimizerConfig {
    OptimizerConfig {
        kind,
        weight_decay: 0.1,
        ..OptimizerConfig::default()
    }
}

/// A step of which all is finite.
fn step<M: Module>(optimizer: &mut Optimizer, model: M, gradients: &FlatTensors, lr: f64) -> M {
    let measured = Tensor::zeros([1], &Device::flex());
    optimizer.step(model, gradients, measured, lr).model
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("f32")
}

#[test]
fn muon_moves_a_matrix_equally_far_in_all_directions() {
    let (lr, before) = (1e-2, layer());
    let after = step(
        &mut Optimizer::new(&config(OptimizerKind::Muon)),
        before.clone(),
        &gradients(),
        lr,
    );
    let decayed = before.weight.val().mul_scalar(1.0 - lr * 0.1);
    // In units of the longest step for this shape, rows longer than columns.
    let unit = lr * 0.2 * (SHAPE[0] as f64).sqrt();
    let update = (decayed - after.weight.val()).div_scalar(unit);
    let gradient = gradients().remove("weight").expect("there is one");
    let along = (update.clone() * gradient.reshape(SHAPE))
        .sum()
        .into_scalar::<f32>();
    assert!(along > 0.0, "downhill");
    let products = values(update.clone().transpose().matmul(update));
    for (at, product) in products.iter().enumerate() {
        let (row, column) = (at / SHAPE[1], at % SHAPE[1]);
        // Five Newton-Schulz steps leave singular values in 0.7..1.2.
        let range = if row == column { 0.4..1.5 } else { -0.4..0.4 };
        assert!(range.contains(product), "{row} {column}: {product}");
    }
}

#[test]
fn muon_leaves_what_is_no_matrix_to_adamw() {
    let after = |kind| {
        let config = OptimizerConfig {
            clip_norm: 0.5,
            ..config(kind)
        };
        step(&mut Optimizer::new(&config), layer(), &gradients(), 1e-2)
    };
    let (muon, adamw) = (after(OptimizerKind::Muon), after(OptimizerKind::AdamW));
    assert_eq!(values(muon.bias.val()), values(adamw.bias.val()));
    assert_ne!(values(muon.weight.val()), values(adamw.weight.val()));
    for (shape, expected) in [
        (&[48, 16, 1, 1][..], Some([48, 16])),
        (&[32, 16, 3, 3], Some([32, 144])),
        (&[48, 1, 3, 3], None),
        (&[3, 32, 3, 3], None),
        (&[64], None),
        (&[2, 1, 1], None),
    ] {
        assert_eq!(matrix(shape), expected, "{shape:?}");
    }
}

#[test]
fn a_loaded_record_goes_on_as_before() {
    for kind in [
        OptimizerKind::Adam,
        OptimizerKind::AdamW,
        OptimizerKind::Muon,
    ] {
        let mut whole = Optimizer::new(&config(kind));
        let model = step(&mut whole, layer(), &gradients(), 1e-2);
        let mut resumed = Optimizer::new(&config(kind));
        resumed
            .load(&whole.record(), &Device::flex())
            .expect("its own record");
        let [one, other] = [whole, resumed]
            .map(|mut optimizer| step(&mut optimizer, model.clone(), &gradients(), 1e-2));
        assert_eq!(
            values(one.weight.val()),
            values(other.weight.val()),
            "{kind:?}"
        );
        assert_eq!(values(one.bias.val()), values(other.bias.val()), "{kind:?}");
    }
}

#[test]
fn a_record_without_squares_is_refused_by_adam() {
    let mut muon = Optimizer::new(&config(OptimizerKind::Muon));
    step(&mut muon, layer(), &gradients(), 1e-2);
    let error = Optimizer::new(&config(OptimizerKind::AdamW))
        .load(&muon.record(), &Device::flex())
        .expect_err("there are no squares");
    assert!(error.to_string().contains("muon"), "{error}");
}

#[test]
fn a_step_that_is_not_finite_changes_nothing() {
    let device = Device::flex();
    for kind in [OptimizerKind::Adam, OptimizerKind::Muon] {
        let config = OptimizerConfig {
            clip_norm: 0.5,
            ..config(kind)
        };
        let mut optimizer = Optimizer::new(&config);
        let model = step(&mut optimizer, layer(), &gradients(), 1e-2);
        let before = optimizer.record();
        let mut ema = Ema::new(&layer(), 0.5, &[]);
        let average = ema.record();
        let mut broken = gradients();
        let infinite = Tensor::full([SHAPE[0]], f32::INFINITY, &device);
        broken.insert("bias".to_owned(), infinite);
        for (gradients, measured) in [(gradients(), f32::NAN), (broken, 1.0)] {
            let measured = Tensor::from_floats([0.5, measured], &device);
            let update = optimizer.step(model.clone(), &gradients, measured, 1e-2);
            assert!(values(update.broken.clone())[0].is_nan());
            assert_eq!(
                values(update.model.weight.val()),
                values(model.weight.val())
            );
            assert_eq!(values(update.model.bias.val()), values(model.bias.val()));
            ema.update(&update.model, &optimizer, 1, &update.broken);
            assert_eq!(ema.record(), average);
        }
        let after = optimizer.record();
        assert_eq!(after.first, before.first, "{kind:?}");
        assert_eq!(after.second, before.second, "{kind:?}");
    }
}

#[test]
fn what_has_no_gradient_rests_with_its_moments() {
    let mut optimizer = Optimizer::new(&config(OptimizerKind::AdamW));
    let first = step(&mut optimizer, layer(), &gradients(), 1e-2);
    let record = optimizer.record();
    let mut some = gradients();
    some.remove("bias");
    let second = step(&mut optimizer, first.clone(), &some, 1e-2);
    assert_eq!(values(second.bias.val()), values(first.bias.val()));
    assert_ne!(values(second.weight.val()), values(first.weight.val()));
    let rested = optimizer.record();
    assert_eq!((rested.steps["bias"], rested.steps["weight"]), (1, 2));
    assert_eq!(rested.first["bias"], record.first["bias"]);
    assert_eq!(rested.second["bias"], record.second["bias"]);
    // And goes on from there, updated once less.
    let third = step(&mut optimizer, second.clone(), &gradients(), 1e-2);
    assert_ne!(values(third.bias.val()), values(second.bias.val()));
    let steps = optimizer.record().steps;
    assert_eq!((steps["bias"], steps["weight"]), (2, 3));
}

#[test]
fn an_average_of_buffers_is_that_of_each_parameter() {
    let mut optimizer = Optimizer::new(&config(OptimizerKind::Muon));
    let mut model = layer();
    let mut ema = Ema::new(&model, 0.5, &[]);
    let mut expected = values(model.weight.val());
    for number in 1..4 {
        let measured = Tensor::zeros([1], &Device::flex());
        let update = optimizer.step(model, &gradients(), measured, 1e-2);
        model = update.model;
        ema.update(&model, &optimizer, number, &update.broken);
        let decay = (0.5f64).min((1.0 + number as f64) / (10.0 + number as f64));
        for (average, value) in expected.iter_mut().zip(values(model.weight.val())) {
            *average = (f64::from(*average) * decay + f64::from(value) * (1.0 - decay)) as f32;
        }
    }
    let found = values(ema.apply(model).weight.val());
    let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    assert!(worst.fold(0.0, f32::max) < 1e-6);
}
