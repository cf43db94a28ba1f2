//! The weights file: safetensors with a JSON header in its metadata, and the way between such
//! bytes and a model.

mod dtype;
pub mod golden;
mod loaded;
pub mod named;
pub mod published;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, TensorData};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

pub use dtype::Dtype;
pub use loaded::{Loaded, load, load_backbone};
pub use write::{Heads, backbone_to_bytes, to_bytes, with_heads_to_bytes};

use crate::model::diagnosis::{DiagnosisConfig, DiagnosisHead};
use crate::model::dinov2::{Dinov2, Dinov2Config};
use crate::model::steering::{SteeringConfig, SteeringHead};
use crate::model::uncertainty::{UncertaintyConfig, UncertaintyHead};
use crate::model::{DinoIr, DinoIrConfig};
use crate::{Error, Result};
use dtype::to_f32;
use golden::Golden;
use named::{apply, shapes};

/// Key of the header in safetensors' `__metadata__`.
const HEADER_KEY: &str = "dino_ir";

/// In front of the names of a diagnosis's tensors.
const DIAGNOSIS: &str = "diagnosis.";

/// In front of the names of a steering head's tensors.
const STEERING: &str = "steering.";

/// In front of the names of an uncertainty head's tensors.
const UNCERTAINTY: &str = "uncertainty.";

/// The longest header in bytes that is read; ours have some thousand. Parsed, a hostile one takes fifty times its length.
pub const MAX_HEADER: usize = 1 << 20;

/// The longest list of tensors in bytes that is read, the header with it: thousands of tensors. Parsed, a hostile one
/// takes forty times its length.
const MAX_LAYOUT: u64 = 4 << 20;

/// The format written and read.
const FORMAT: u32 = 1;

/// Refuses a safetensors file whose list of tensors is too long to be parsed safely: to be asked before parsing.
///
/// # Errors
/// [`Error::Weights`].
pub fn check_layout(bytes: &[u8]) -> Result<()> {
    match bytes
        .first_chunk()
        .map(|&length| u64::from_le_bytes(length))
    {
        Some(length) if length > MAX_LAYOUT && length <= bytes.len() as u64 => Err(Error::Weights(
            format!("its list of tensors has {length} bytes, more than the {MAX_LAYOUT} allowed"),
        )),
        _ => Ok(()),
    }
}

/// What a weights file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A guided restoration net.
    DinoIr,
    /// A restoration net without guidance.
    Restormer,
    /// A backbone.
    Dinov2,
}

/// The JSON header of a weights file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// Version of the layout: 1.
    pub format: u32,
    /// What the file holds.
    pub kind: Kind,
    /// [`DinoIrConfig`] or [`Dinov2Config`], by kind.
    pub config: serde_json::Value,
    /// What judges photos by the network, if the file has that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<DiagnosisConfig>,
    /// What splits the network's correction into the parts of faults, if the file has that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steering: Option<SteeringConfig>,
    /// What tells how far off a restored pixel may be, if the file has that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<UncertaintyConfig>,
    /// Where the weights come from, for people.
    #[serde(default)]
    pub provenance: serde_json::Value,
    /// Output that every device must reproduce.
    #[serde(default)]
    pub golden: Option<Golden>,
}

/// A parsed and checked weights file; borrows the bytes.
#[derive(Debug)]
pub struct Weights<'bytes> {
    /// The JSON header.
    pub header: Header,
    tensors: SafeTensors<'bytes>,
}

impl<'bytes> Weights<'bytes> {
    /// Reads the header and the layout; tensor values are checked when they are loaded.
    ///
    /// # Errors
    /// [`Error::Weights`] if the bytes are no safetensors file, truncated, or not of this format.
    pub fn from_bytes(bytes: &'bytes [u8]) -> Result<Self> {
        let wrong = |what: String| Error::Weights(what);
        let unreadable = |error| {
            wrong(format!(
                "not a readable safetensors file ({error}); it may be truncated or of another format"
            ))
        };
        check_layout(bytes)?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let json = metadata
            .metadata()
            .as_ref()
            .and_then(|entries| entries.get(HEADER_KEY))
            .ok_or_else(|| {
                wrong(format!(
                    "no {HEADER_KEY:?} header: not written by this program; convert it with `trainer import`"
                ))
            })?;
        if json.len() > MAX_HEADER {
            return Err(wrong(format!(
                "its {HEADER_KEY:?} header has {} bytes, more than the {MAX_HEADER} allowed",
                json.len()
            )));
        }
        let header: Header = serde_json::from_str(json)
            .map_err(|error| wrong(format!("unreadable {HEADER_KEY:?} header: {error}")))?;
        if header.format != FORMAT {
            return Err(wrong(format!(
                "format {} is not known (this program reads {FORMAT}): update the program",
                header.format
            )));
        }
        Ok(Self { header, tensors })
    }

    /// The configuration of a restoration net.
    ///
    /// # Errors
    /// [`Error::Weights`] for a backbone file or an impossible configuration.
    pub fn config(&self) -> Result<DinoIrConfig> {
        if self.header.kind == Kind::Dinov2 {
            return Err(Error::Weights(
                "this is a backbone (kind dinov2), not a restoration net".into(),
            ));
        }
        let config: DinoIrConfig = self.parse_config()?;
        config.validate()?;
        if config.guidance.is_some() != (self.header.kind == Kind::DinoIr) {
            return Err(Error::Weights(
                "kind and config disagree on guidance".into(),
            ));
        }
        Ok(config)
    }

    /// The restoration net on `device`, its backbone frozen.
    ///
    /// # Errors
    /// [`Error::Weights`] naming the first missing, extra, misshapen or non-finite tensor.
    pub fn model(&self, device: &Device) -> Result<DinoIr> {
        let model = self.config()?.init(device);
        let mut values = self.values(&self.with_heads(shapes(&model))?)?;
        Ok(apply(model, &mut values))
    }

    /// What judges photos by the network, on the CPU, if the file has that.
    ///
    /// # Errors
    /// As [`Self::model`].
    pub fn diagnosis(&self) -> Result<Option<DiagnosisHead>> {
        let Some(config) = &self.header.diagnosis else {
            return Ok(None);
        };
        config.validate()?;
        self.head(DIAGNOSIS, config.init(&Device::flex())).map(Some)
    }

    /// What splits the network's correction into the parts of faults, if the file has that.
    ///
    /// # Errors
    /// As [`Self::model`].
    pub fn steering(&self, device: &Device) -> Result<Option<SteeringHead>> {
        let Some(config) = &self.header.steering else {
            return Ok(None);
        };
        config.validate(self.config()?.last_features())?;
        self.head(STEERING, config.init(device)).map(Some)
    }

    /// What tells how far off a restored pixel may be, if the file has that.
    ///
    /// # Errors
    /// As [`Self::model`].
    pub fn uncertainty(&self, device: &Device) -> Result<Option<UncertaintyHead>> {
        let Some(config) = &self.header.uncertainty else {
            return Ok(None);
        };
        config.validate(self.config()?.last_features())?;
        self.head(UNCERTAINTY, config.init(device)).map(Some)
    }

    /// A part of its own, its tensors named with `prefix`.
    fn head<M: Module>(&self, prefix: &str, head: M) -> Result<M> {
        let mut values = shapes(&head)
            .into_iter()
            .map(|(name, shape)| {
                let stored = self.value(&format!("{prefix}{name}"))?;
                Ok((name, TensorData::new(stored, shape)))
            })
            .collect::<Result<_>>()?;
        Ok(apply(head, &mut values))
    }

    /// The names and shapes of a network's tensors with those of what comes beside it.
    fn with_heads(
        &self,
        mut expected: Vec<(String, Vec<usize>)>,
    ) -> Result<Vec<(String, Vec<usize>)>> {
        let mut extend = |prefix: &str, head: Vec<(String, Vec<usize>)>| {
            let named = |(name, shape)| (format!("{prefix}{name}"), shape);
            expected.extend(head.into_iter().map(named));
        };
        if let Some(config) = &self.header.diagnosis {
            config.validate()?;
            extend(DIAGNOSIS, shapes(&config.init(&Device::flex())));
        }
        if let Some(config) = &self.header.steering {
            config.validate(self.config()?.last_features())?;
            extend(STEERING, shapes(&config.init(&Device::flex())));
        }
        if let Some(config) = &self.header.uncertainty {
            config.validate(self.config()?.last_features())?;
            extend(UNCERTAINTY, shapes(&config.init(&Device::flex())));
        }
        Ok(expected)
    }

    /// The backbone on `device`.
    ///
    /// # Errors
    /// As [`Self::model`].
    pub fn backbone(&self, device: &Device) -> Result<Dinov2> {
        let config = self.backbone_config()?;
        let model = config.init(device);
        let mut values = self.values(&shapes(&model))?;
        Ok(apply(model, &mut values))
    }

    /// The configuration of a backbone.
    ///
    /// # Errors
    /// [`Error::Weights`] for another kind of file or an impossible configuration.
    pub fn backbone_config(&self) -> Result<Dinov2Config> {
        if self.header.kind != Kind::Dinov2 {
            return Err(Error::Weights("this is no backbone (kind dinov2)".into()));
        }
        let config: Dinov2Config = self.parse_config()?;
        config.validate()?;
        Ok(config)
    }

    /// Checks all that [`model`](Self::model) or [`backbone`](Self::backbone) would, one tensor at a time.
    ///
    /// # Errors
    /// As these.
    pub fn check(&self) -> Result<()> {
        let cpu = Device::flex();
        let expected = match self.header.kind {
            Kind::Dinov2 => shapes(&self.backbone_config()?.init(&cpu)),
            Kind::DinoIr | Kind::Restormer => {
                self.with_heads(shapes(&self.config()?.init(&cpu)))?
            }
        };
        self.check_shapes(&expected)?;
        expected
            .iter()
            .try_for_each(|(name, _)| self.value(name).map(drop))
    }

    /// Number of values in the file.
    pub fn parameters(&self) -> usize {
        self.tensors
            .iter()
            .map(|(_, view)| view.shape().iter().product::<usize>())
            .sum()
    }

    fn parse_config<C: serde::de::DeserializeOwned>(&self) -> Result<C> {
        serde_json::from_value(self.header.config.clone())
            .map_err(|error| Error::Weights(format!("unreadable config: {error}")))
    }

    /// All values as f32, if they are exactly what `expected` asks for.
    fn values(&self, expected: &[(String, Vec<usize>)]) -> Result<BTreeMap<String, TensorData>> {
        // Shapes first: nothing is allocated for a file that does not fit.
        self.check_shapes(expected)?;
        expected
            .iter()
            .map(|(name, shape)| {
                let values = self.value(name)?;
                Ok((name.clone(), TensorData::new(values, shape.clone())))
            })
            .collect()
    }

    fn value(&self, name: &str) -> Result<Vec<f32>> {
        let view = self
            .tensors
            .tensor(name)
            .map_err(|error| Error::Weights(format!("tensor {name:?}: {error}")))?;
        to_f32(name, &view)
    }

    fn check_shapes(&self, expected: &[(String, Vec<usize>)]) -> Result<()> {
        for (name, shape) in expected {
            let view = self
                .tensors
                .tensor(name)
                .map_err(|_| Error::Weights(format!("tensor {name:?} is missing")))?;
            if view.shape() != shape {
                // A hostile shape may have a million extents.
                let found = view.shape();
                let found = match found.len() {
                    ..=8 => format!("{found:?}"),
                    more => format!("of {more} extents"),
                };
                return Err(Error::Weights(format!(
                    "tensor {name:?} has shape {found}, the config asks for {shape:?}"
                )));
            }
        }
        let known: std::collections::BTreeSet<&str> =
            expected.iter().map(|(name, _)| name.as_str()).collect();
        let mut names = self.tensors.names();
        names.sort_unstable();
        match names.into_iter().find(|name| !known.contains(name)) {
            Some(extra) => Err(Error::Weights(format!(
                "tensor {extra:?} is not part of the model"
            ))),
            None => Ok(()),
        }
    }
}
