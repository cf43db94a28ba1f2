//! From a model to the bytes of a weights file.

use std::collections::HashMap;

use burn::tensor::Device;
use safetensors::tensor::TensorView;
use serde::Serialize;

use super::dtype::from_f32;
use super::golden::{Golden, features};
use super::named::{Named, collect};
use super::{
    DIAGNOSIS, Dtype, FORMAT, HEADER_KEY, Header, Kind, Loaded, STEERING, UNCERTAINTY, Weights,
};
use crate::model::diagnosis::DiagnosisHead;
use crate::model::dinov2::{Dinov2, Dinov2Config};
use crate::model::steering::SteeringHead;
use crate::model::uncertainty::UncertaintyHead;
use crate::model::{DinoIr, DinoIrConfig};
use crate::{Error, Result};

/// Writes a restoration net, with golden values computed here on the CPU from the stored
/// (rounded) tensors.
///
/// # Errors
/// [`Error::Weights`] if a value is not finite or the configuration is not the model's.
pub fn to_bytes(
    model: &DinoIr,
    config: &DinoIrConfig,
    dtype: Dtype,
    provenance: serde_json::Value,
) -> Result<Vec<u8>> {
    with_heads_to_bytes(model, config, Heads::default(), dtype, provenance)
}

/// What can come beside a restoration net.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heads<'a> {
    /// What judges photos by it.
    pub diagnosis: Option<&'a DiagnosisHead>,
    /// What splits its correction into the parts of faults.
    pub steering: Option<&'a SteeringHead>,
    /// What tells how far off a restored pixel may be.
    pub uncertainty: Option<&'a UncertaintyHead>,
}

impl<'a> Heads<'a> {
    /// Those of a net.
    pub fn of(net: &'a Loaded) -> Self {
        Self {
            diagnosis: net.diagnosis.as_ref(),
            steering: net.steering.as_ref(),
            uncertainty: net.uncertainty.as_ref(),
        }
    }

    fn collect(self) -> Vec<Named> {
        let prefixed = |prefix: &str, found: Vec<Named>| -> Vec<Named> {
            let name = |found: Named| Named {
                name: format!("{prefix}{}", found.name),
                ..found
            };
            found.into_iter().map(name).collect()
        };
        let diagnosis = self.diagnosis.map(collect).unwrap_or_default();
        let steering = self.steering.map(collect).unwrap_or_default();
        let uncertainty = self.uncertainty.map(collect).unwrap_or_default();
        [
            prefixed(DIAGNOSIS, diagnosis),
            prefixed(STEERING, steering),
            prefixed(UNCERTAINTY, uncertainty),
        ]
        .concat()
    }
}

/// As [`to_bytes`], with what comes beside the net.
///
/// # Errors
/// As [`to_bytes`].
pub fn with_heads_to_bytes(
    model: &DinoIr,
    config: &DinoIrConfig,
    heads: Heads<'_>,
    dtype: Dtype,
    provenance: serde_json::Value,
) -> Result<Vec<u8>> {
    let kind = match config.guidance {
        Some(_) => Kind::DinoIr,
        None => Kind::Restormer,
    };
    let header = Header {
        format: FORMAT,
        kind,
        config: to_json(config)?,
        diagnosis: heads.diagnosis.map(DiagnosisHead::config),
        steering: heads.steering.map(SteeringHead::config),
        uncertainty: heads.uncertainty.map(UncertaintyHead::config),
        provenance,
        golden: None,
    };
    let mut named = collect(model);
    named.extend(heads.collect());
    with_golden(&named, dtype, header, |stored, cpu| {
        let rounded = stored.model(cpu)?;
        Golden::record(|x| rounded.forward(x), cpu)
    })
}

/// Writes a backbone, with golden values as [`to_bytes`].
///
/// # Errors
/// As [`to_bytes`].
pub fn backbone_to_bytes(
    backbone: &Dinov2,
    config: &Dinov2Config,
    dtype: Dtype,
    provenance: serde_json::Value,
) -> Result<Vec<u8>> {
    let header = Header {
        format: FORMAT,
        kind: Kind::Dinov2,
        config: to_json(config)?,
        diagnosis: None,
        steering: None,
        uncertainty: None,
        provenance,
        golden: None,
    };
    with_golden(&collect(backbone), dtype, header, |stored, cpu| {
        let rounded = stored.backbone(cpu)?;
        Golden::record(|x| features(&rounded, x), cpu)
    })
}

/// The file, with what `record` finds in it without.
fn with_golden(
    named: &[Named],
    dtype: Dtype,
    mut header: Header,
    record: impl FnOnce(&Weights<'_>, &Device) -> Result<Golden>,
) -> Result<Vec<u8>> {
    let plain = serialize(named, dtype, &header)?;
    header.golden = Some(record(&Weights::from_bytes(&plain)?, &Device::flex())?);
    // Before as much is taken again.
    drop(plain);
    serialize(named, dtype, &header)
}

pub(super) fn to_json(config: &impl Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(config).map_err(|error| Error::Weights(format!("config: {error}")))
}

pub(super) fn serialize(named: &[Named], dtype: Dtype, header: &Header) -> Result<Vec<u8>> {
    let json = serde_json::to_string(header)
        .map_err(|error| Error::Weights(format!("header: {error}")))?;
    let mut stored = Vec::with_capacity(named.len());
    for Named {
        name,
        shape,
        values,
    } in named
    {
        if !values.iter().all(|value| value.is_finite()) {
            return Err(Error::Weights(format!("tensor {name:?} is not finite")));
        }
        stored.push((name, shape, from_f32(values, dtype)));
    }
    let views = stored
        .iter()
        .map(|(name, shape, bytes)| {
            TensorView::new(dtype.stored(), (*shape).clone(), bytes)
                .map(|view| (name.as_str(), view))
                .map_err(|error| Error::Weights(format!("tensor {name:?}: {error}")))
        })
        .collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([(HEADER_KEY.to_string(), json)]);
    safetensors::serialize(views, Some(metadata))
        .map_err(|error| Error::Weights(format!("cannot be written: {error}")))
}
