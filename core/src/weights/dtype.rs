//! Number formats of stored tensors.

use half::{bf16, f16};
use safetensors::tensor::{Dtype as FileDtype, TensorView};

use crate::{Error, Result};

/// Number format of stored tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// 32-bit float.
    F32,
    /// 16-bit IEEE float.
    F16,
    /// 16-bit float with the exponent of 32 bits.
    Bf16,
}

impl std::str::FromStr for Dtype {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            _ => Err(Error::InvalidOption(format!(
                "dtype {name:?}: use f32, f16 or bf16"
            ))),
        }
    }
}

impl Dtype {
    /// The file's name for it.
    pub(super) fn stored(self) -> FileDtype {
        match self {
            Self::F32 => FileDtype::F32,
            Self::F16 => FileDtype::F16,
            Self::Bf16 => FileDtype::BF16,
        }
    }
}

/// The bytes of a stored tensor.
pub(super) fn from_f32(values: &[f32], dtype: Dtype) -> Vec<u8> {
    match dtype {
        Dtype::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Dtype::F16 => values
            .iter()
            .flat_map(|&v| f16::from_f32(v).to_le_bytes())
            .collect(),
        Dtype::Bf16 => values
            .iter()
            .flat_map(|&v| bf16::from_f32(v).to_le_bytes())
            .collect(),
    }
}

/// The values of a stored tensor.
///
/// # Errors
/// [`Error::Weights`] if it has another type or a value is not finite.
pub(super) fn to_f32(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>> {
    let bytes = view.data();
    let values: Vec<f32> = match view.dtype() {
        FileDtype::F32 => bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&b| f32::from_le_bytes(b))
            .collect(),
        FileDtype::F16 => halves(bytes, |b| f16::from_le_bytes(b).to_f32()),
        FileDtype::BF16 => halves(bytes, |b| bf16::from_le_bytes(b).to_f32()),
        other => {
            return Err(Error::Weights(format!(
                "tensor {name:?} has type {other:?}; f32, f16 and bf16 are read"
            )));
        }
    };
    if values.iter().all(|value| value.is_finite()) {
        Ok(values)
    } else {
        Err(Error::Weights(format!("tensor {name:?} is not finite")))
    }
}

fn halves(bytes: &[u8], to_f32: impl Fn([u8; 2]) -> f32) -> Vec<f32> {
    bytes
        .as_chunks::<2>()
        .0
        .iter()
        .map(|&b| to_f32(b))
        .collect()
}
