//! Many tensors in one: what is to happen to all parameters happens to one long tensor, in a few operations instead of
//! a few for each parameter. A GPU spends more time on starting an operation than on one parameter.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use dino_ir::ops;

use crate::train::parameters::{FlatTensors, NamedTensors};

/// Parts begin at multiples of this many values, 512 bytes: from there GPUs read a part where it lies.
const ALIGNMENT: usize = 128;

/// A tensor in a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Of the parameter.
    pub name: String,
    /// Of the parameter.
    pub shape: Vec<usize>,
    /// The place of its first value.
    pub start: usize,
}

impl Part {
    /// The places of its values.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.shape.iter().product::<usize>()
    }
}

/// Which tensors a buffer holds, and where. What is between them is zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    parts: Vec<Part>,
    length: usize,
}

impl Layout {
    /// The tensors one after the other.
    pub fn new(tensors: impl IntoIterator<Item = (String, Vec<usize>)>) -> Self {
        let mut start = 0;
        let place = |(name, shape): (String, Vec<usize>)| {
            let part = Part { name, shape, start };
            start = part.range().end.next_multiple_of(ALIGNMENT);
            part
        };
        let parts = tensors.into_iter().map(place).collect();
        Self {
            parts,
            // There is always a value that is of no part.
            length: start + ALIGNMENT,
        }
    }

    /// The tensors, in the order in which they lie.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Values of the buffer.
    pub fn length(&self) -> usize {
        self.length
    }

    /// A place that is of no part, and zero.
    pub fn zero(&self) -> usize {
        self.length - 1
    }

    /// The buffer of these tensors, on their device; zero where one is missing.
    pub fn gather(&self, tensors: &FlatTensors, device: &Device) -> Tensor<1> {
        let given = |part: &Part| Some((part.start, tensors.get(&part.name)?.clone()));
        let given: Vec<_> = self.parts.iter().filter_map(given).collect();
        ops::gather(Tensor::zeros([self.length], device), &given)
    }

    /// Each tensor of a buffer, flat, by name: looks at it, no copies.
    pub fn views(&self, buffer: &Tensor<1>) -> impl Iterator<Item = (String, Tensor<1>)> {
        let view = |part: &Part| {
            (
                part.name.clone(),
                ops::view(buffer.clone(), part.start, part.range().len()),
            )
        };
        self.parts.iter().map(view)
    }

    /// Copies each tensor of a buffer to the host, flat, by name.
    pub fn record(&self, buffer: &Tensor<1>, record: &mut NamedTensors) {
        let data = buffer.clone().into_data();
        let size = data.dtype().size();
        for part in &self.parts {
            let Range { start, end } = part.range();
            let bytes = &data.as_bytes()[start * size..end * size];
            let part_data = TensorData::from_bytes_vec(bytes.to_vec(), [end - start], data.dtype());
            record.insert(part.name.clone(), part_data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_come_back_from_their_buffer() {
        let device = Device::flex();
        let values = |count: usize, from: f32| -> Vec<f32> {
            (0..count).map(|at| from + at as f32).collect()
        };
        let shapes = [("a", vec![3, 50]), ("b", vec![1]), ("c", vec![128])];
        let layout = Layout::new(shapes.map(|(name, shape)| (name.to_owned(), shape)));
        let starts: Vec<usize> = layout.parts().iter().map(|part| part.start).collect();
        assert_eq!(starts, [0, 256, 384]);
        let flat = |values: &[f32]| Tensor::<1>::from_floats(values, &device);
        let tensors: FlatTensors = [
            ("a".to_owned(), flat(&values(150, 1.0))),
            ("c".to_owned(), flat(&values(128, 7.0))),
        ]
        .into();
        let buffer = layout.gather(&tensors, &device);
        let all = buffer.clone().into_data().try_to_vec::<f32>().expect("f32");
        assert_eq!(all.len(), layout.length());
        assert_eq!((all[layout.zero()], all[150], all[256]), (0.0, 0.0, 0.0));
        let mut record = NamedTensors::new();
        layout.record(&buffer, &mut record);
        for (name, view) in layout.views(&buffer) {
            let view = view.into_data();
            assert_eq!(view, record[&name], "{name}");
            if let Some(tensor) = tensors.get(&name) {
                assert_eq!(view, tensor.clone().into_data(), "{name}");
            }
        }
    }
}
