//! The weights file: safetensors with a JSON header in its metadata, and the way between such
//! bytes and a model.

pub mod golden;
pub mod named;
pub mod published;

use std::collections::{BTreeMap, HashMap};

use burn::tensor::{Device, Tensor, TensorData};
use half::{bf16, f16};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype as FileDtype, TensorView};
use serde::{Deserialize, Serialize};

use crate::kernels;
use crate::model::dinov2::{Dinov2, Dinov2Config};
use crate::model::sums::Sums;
use crate::model::{DinoIr, DinoIrConfig};
use crate::packed::Packed;
use crate::restore::Network;
use crate::{Error, Result};
use golden::Golden;
use named::{Named, apply, collect, shapes};

/// Key of the header in safetensors' `__metadata__`.
const HEADER_KEY: &str = "dino_ir";

/// The format written and read.
const FORMAT: u32 = 1;

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
    /// Where the weights come from, for people.
    #[serde(default)]
    pub provenance: serde_json::Value,
    /// Output that every device must reproduce.
    #[serde(default)]
    pub golden: Option<Golden>,
}

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
        let mut values = self.values(&shapes(&model))?;
        Ok(apply(model, &mut values))
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
        for (name, shape) in expected {
            let view = self
                .tensors
                .tensor(name)
                .map_err(|_| Error::Weights(format!("tensor {name:?} is missing")))?;
            if view.shape() != shape {
                return Err(Error::Weights(format!(
                    "tensor {name:?} has shape {:?}, the config asks for {shape:?}",
                    view.shape()
                )));
            }
        }
        let known: std::collections::BTreeSet<&str> =
            expected.iter().map(|(name, _)| name.as_str()).collect();
        let mut names = self.tensors.names();
        names.sort_unstable();
        if let Some(extra) = names.into_iter().find(|name| !known.contains(name)) {
            return Err(Error::Weights(format!(
                "tensor {extra:?} is not part of the model"
            )));
        }
        expected
            .iter()
            .map(|(name, shape)| {
                let view = self
                    .tensors
                    .tensor(name)
                    .map_err(|error| Error::Weights(format!("tensor {name:?}: {error}")))?;
                let values = to_f32(name, &view)?;
                Ok((name.clone(), TensorData::new(values, shape.clone())))
            })
            .collect()
    }
}

/// A restoration net with its sizes, ready for a [`crate::restore::Restorer`].
#[derive(Debug)]
pub struct Loaded {
    /// The net.
    pub model: DinoIr,
    /// Its sizes.
    pub config: DinoIrConfig,
    /// The same net for the CPU, where it is there.
    packed: Option<Packed>,
}

impl Loaded {
    /// A net with its sizes; one that is on the CPU is packed.
    pub fn new(model: DinoIr, config: DinoIrConfig) -> Self {
        let weight = model.restormer.output.weight.val();
        let packed = kernels::on_cpu(&weight).then(|| Packed::new(&model));
        Self {
            model,
            config,
            packed,
        }
    }

    /// The net with its weights packed, if it is on the CPU.
    pub fn packed(&self) -> Option<&Packed> {
        self.packed.as_ref()
    }

    /// The packed net, if `x` is where it computes.
    fn packed_for(&self, x: &Tensor<4>) -> Option<&Packed> {
        self.packed.as_ref().filter(|_| kernels::on_cpu(x))
    }
}

/// What `values(index, image, [height, width])` gives for all images of a batch on the CPU, one after the other.
fn each_image(
    images: Tensor<4>,
    values: impl Fn(usize, &[f32], [usize; 2]) -> Vec<f32>,
) -> Vec<f32> {
    let [_, channels, height, width] = images.dims();
    let images = images.into_data();
    let images = images.as_slice::<f32>().expect("f32 on the CPU");
    let images = images.chunks_exact(channels * height * width).enumerate();
    images
        .flat_map(|(at, image)| values(at, image, [height, width]))
        .collect()
}

impl Network for Loaded {
    fn multiple(&self) -> usize {
        self.config.restormer.multiple()
    }

    fn activation_bytes(&self, height: usize, width: usize) -> u64 {
        self.config.activation_bytes(height, width)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let Some(packed) = self.packed_for(&x) else {
            return self.model.forward(x);
        };
        let (shape, device) = (x.dims(), x.device());
        let restored = each_image(x, |_, image, size| packed.forward(image, size));
        Tensor::from_data(TensorData::new(restored, shape), &device)
    }

    fn surveys(&self) -> bool {
        let net = &self.config.restormer;
        net.refinement + net.blocks.iter().sum::<usize>() > 0
    }

    fn survey(&self, x: Tensor<4>) -> Tensor<2> {
        let Some(packed) = self.packed_for(&x) else {
            let mut sums = Sums::Kept(Vec::new());
            self.model.forward_by(x, &mut sums);
            return sums.into_survey();
        };
        let ([batch, ..], device) = (x.dims(), x.device());
        let sums = each_image(x, |_, image, size| packed.survey(image, size));
        let shape = [batch, sums.len() / batch];
        Tensor::from_data(TensorData::new(sums, shape), &device)
    }

    fn forward_surveyed(&self, x: Tensor<4>, survey: Tensor<2>) -> Tensor<4> {
        let Some(packed) = self.packed_for(&x) else {
            return self.model.forward_by(x, &mut Sums::surveyed(survey));
        };
        let (shape, device) = (x.dims(), x.device());
        let [_, sums] = survey.dims();
        let survey = survey.into_data();
        let survey = survey.as_slice::<f32>().expect("f32 on the CPU");
        let restored = each_image(x, |at, image, size| {
            packed.forward_surveyed(image, size, &survey[at * sums..][..sums])
        });
        Tensor::from_data(TensorData::new(restored, shape), &device)
    }

    fn release(&self) {
        if let Some(packed) = &self.packed {
            packed.release();
        }
    }
}

/// Loads a restoration net and checks it against its golden values on `device`.
///
/// # Errors
/// [`Error::Weights`] for unusable bytes, [`Error::Golden`] if the device computes other values.
pub fn load(bytes: &[u8], device: &Device) -> Result<Loaded> {
    let weights = Weights::from_bytes(bytes)?;
    let config = weights.config()?;
    let net = Loaded::new(weights.model(device)?, config);
    if let Some(golden) = &weights.header.golden {
        golden.check(|x| net.forward(x), device)?;
        net.release();
    }
    Ok(net)
}

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
    let kind = match config.guidance {
        Some(_) => Kind::DinoIr,
        None => Kind::Restormer,
    };
    let named = collect(model);
    let mut header = Header {
        format: FORMAT,
        kind,
        config: to_json(config)?,
        provenance,
        golden: None,
    };
    let cpu = Device::flex();
    let plain = serialize(&named, dtype, &header)?;
    let rounded = Weights::from_bytes(&plain)?.model(&cpu)?;
    header.golden = Some(Golden::record(&rounded, dtype, &cpu)?);
    serialize(&named, dtype, &header)
}

/// Writes a backbone.
///
/// # Errors
/// [`Error::Weights`] if a value is not finite.
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
        provenance,
        golden: None,
    };
    serialize(&collect(backbone), dtype, &header)
}

fn to_json(config: &impl Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(config).map_err(|error| Error::Weights(format!("config: {error}")))
}

fn serialize(named: &[Named], dtype: Dtype, header: &Header) -> Result<Vec<u8>> {
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
    let file_dtype = match dtype {
        Dtype::F32 => FileDtype::F32,
        Dtype::F16 => FileDtype::F16,
        Dtype::Bf16 => FileDtype::BF16,
    };
    let views = stored
        .iter()
        .map(|(name, shape, bytes)| {
            TensorView::new(file_dtype, (*shape).clone(), bytes)
                .map(|view| (name.as_str(), view))
                .map_err(|error| Error::Weights(format!("tensor {name:?}: {error}")))
        })
        .collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([(HEADER_KEY.to_string(), json)]);
    safetensors::serialize(views, Some(metadata))
        .map_err(|error| Error::Weights(format!("cannot be written: {error}")))
}

fn from_f32(values: &[f32], dtype: Dtype) -> Vec<u8> {
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

fn to_f32(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> (DinoIr, DinoIrConfig) {
        let mut config = DinoIrConfig::nano();
        config.restormer.dim = 8;
        (config.init(&Device::flex()), config)
    }

    fn bytes(dtype: Dtype) -> Vec<u8> {
        let (model, config) = tiny();
        to_bytes(&model, &config, dtype, serde_json::Value::Null).expect("valid model")
    }

    /// The file with its JSON part edited, and the length in front corrected.
    fn edited(bytes: &[u8], edit: impl Fn(&str) -> String) -> Vec<u8> {
        let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
        let json = std::str::from_utf8(&bytes[8..8 + length]).expect("JSON");
        let json = edit(json);
        let mut edited = (json.len() as u64).to_le_bytes().to_vec();
        edited.extend_from_slice(json.as_bytes());
        edited.extend_from_slice(&bytes[8 + length..]);
        edited
    }

    fn error(bytes: &[u8]) -> String {
        match load(bytes, &Device::flex()) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("hostile bytes were loaded"),
        }
    }

    #[test]
    fn a_model_comes_back_bit_for_bit() {
        let (model, config) = tiny();
        let bytes = to_bytes(&model, &config, Dtype::F32, serde_json::Value::Null).expect("valid");
        let loaded = load(&bytes, &Device::flex()).expect("loads");
        assert_eq!(collect(&model), collect(&loaded.model));
    }

    #[test]
    fn half_formats_load_and_pass_their_golden_check() {
        for dtype in [Dtype::F16, Dtype::Bf16] {
            load(&bytes(dtype), &Device::flex()).expect("loads");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = bytes(Dtype::F16);
        for length in [0, 1, 7, 8, 9, 100, bytes.len() / 2, bytes.len() - 1] {
            assert!(error(&bytes[..length]).contains("truncated"), "{length}");
        }
    }

    #[test]
    fn the_first_wrong_tensor_is_named() {
        let bytes = bytes(Dtype::F16);
        let name = "restormer.output.weight";
        let renamed = edited(&bytes, |json| json.replace(name, "restormer.output.weighs"));
        assert!(error(&renamed).contains(&format!("{name:?} is missing")));
        let (model, mut config) = tiny();
        config.restormer.refinement = 0;
        let smaller = serialize(
            &collect(&model),
            Dtype::F16,
            &Header {
                format: FORMAT,
                kind: Kind::DinoIr,
                config: to_json(&config).expect("serialises"),
                provenance: serde_json::Value::Null,
                golden: None,
            },
        )
        .expect("written");
        assert!(error(&smaller).contains("not part of the model"));
        config.restormer.refinement = 1;
        config.restormer.dim = 16;
        let wider = edited(&bytes, |json| {
            json.replace("\\\"dim\\\":8", "\\\"dim\\\":16")
        });
        assert!(error(&wider).contains("has shape"));
    }

    #[test]
    fn values_that_are_not_finite_are_refused() {
        let mut bytes = bytes(Dtype::F16);
        let end = bytes.len();
        bytes[end - 2..].copy_from_slice(&f16::NAN.to_le_bytes());
        assert!(error(&bytes).contains("not finite"));
    }

    #[test]
    fn another_output_than_the_golden_one_is_refused() {
        let mut bytes = bytes(Dtype::F32);
        // The last tensor in the file, whichever it is, with other values.
        let end = bytes.len();
        for value in bytes[end - 4 * 64..].as_chunks_mut::<4>().0 {
            *value = 3.0f32.to_le_bytes();
        }
        assert!(error(&bytes).contains("golden"));
    }

    #[test]
    fn other_formats_and_huge_configs_are_refused() {
        let bytes = bytes(Dtype::F16);
        let next = edited(&bytes, |json| {
            json.replace("\\\"format\\\":1", "\\\"format\\\":2")
        });
        assert!(error(&next).contains("format 2"));
        let huge = edited(&bytes, |json| {
            json.replace("\\\"dim\\\":8", "\\\"dim\\\":888888888")
        });
        assert!(error(&huge).contains("dim"));
        assert!(error(b"\x89PNG\r\n\x1a\n not weights").contains("not a readable"));
    }
}
