//! A restoration net from a weights file, with the engine that its device has.

use burn::tensor::{Device, Tensor, TensorData};

use super::Weights;
use super::golden::features;
use crate::Result;
use crate::infer::{Packed, peak_bytes, statistics_bytes};
use crate::model::diagnosis::DiagnosisHead;
use crate::model::dinov2::Dinov2;
use crate::model::global_statistics::GlobalStatistics;
use crate::model::restormer::resample::pixel_shuffle;
use crate::model::steering::SteeringHead;
use crate::model::uncertainty::UncertaintyHead;
use crate::model::{DinoIr, DinoIrConfig};
use crate::ops;
use crate::restore::{Network, Removal};

/// A restored pixel depends on about 180 pixels around it, most of all in haze. The result of tiles of 256 pixels is within
/// 0.05 dB of the whole photo's; tiles of 192 are a little worse (docs/RECIPE.md).
const LEAST_TILE: usize = 256;

/// A restoration net with its sizes, ready for a [`crate::restore::Restorer`].
#[derive(Debug)]
pub struct Loaded {
    /// The net.
    pub model: DinoIr,
    /// Its sizes.
    pub config: DinoIrConfig,
    /// The same net packed for the CPU, if it is there and all its blocks have a packed form.
    packed: Option<Packed>,
    /// The diagnosis head, if the file has one; on the CPU.
    pub diagnosis: Option<DiagnosisHead>,
    /// The steering head, if the file has one; on the net's device.
    pub steering: Option<SteeringHead>,
    /// The uncertainty head, if the file has one; on the net's device.
    pub uncertainty: Option<UncertaintyHead>,
}

impl Loaded {
    /// A net with its sizes. On the CPU it is packed, if all its blocks have a packed form.
    pub fn new(model: DinoIr, config: DinoIrConfig) -> Self {
        let weight = model.restormer.output.weight.val();
        let packed = match ops::on_cpu(&weight) {
            true => Packed::new(&model),
            false => None,
        };
        Self {
            model,
            config,
            packed,
            diagnosis: None,
            steering: None,
            uncertainty: None,
        }
    }

    /// The net with its weights packed, if it is on the CPU.
    pub fn packed(&self) -> Option<&Packed> {
        self.packed.as_ref()
    }

    /// The restored images, with the net's own global statistics or with given ones, and the features that they come from.
    ///
    /// # Shapes
    /// - `x`: as [`Network::forward`] takes it
    /// - outputs: `[batch, 3, height, width]`, `[batch, last features, height, width]`
    pub fn forward_with_features(&self, x: Tensor<4>, stats: Option<Tensor<2>>) -> [Tensor<4>; 2] {
        let Some(packed) = self.packed_for(&x) else {
            let mut stats = stats.map_or(GlobalStatistics::Own, GlobalStatistics::given);
            return self.model.forward_with_features(x, &mut stats);
        };
        let ([batch, _, height, width], device) = (x.dims(), x.device());
        let stats: Option<Vec<f32>> = stats.map(|stats| stats.into_data().iter().collect());
        let mut features = Vec::new();
        let restored = each_image(x, |at, image, size| {
            let stats = stats.as_ref().map(|stats| {
                let count = stats.len() / batch;
                &stats[at * count..][..count]
            });
            let [restored, found] = packed.forward_with_features(image, size, stats);
            features.extend(found);
            restored
        });
        let restored = TensorData::new(restored, [batch, 3, height, width]);
        let unshuffle = self.model.restormer.unshuffle;
        let (rows, columns) = (height / unshuffle, width / unshuffle);
        let channels = features.len() / (batch * rows * columns);
        let features = TensorData::new(features, [batch, channels, rows, columns]);
        let features = Tensor::from_data(features, &device);
        [
            Tensor::from_data(restored, &device),
            pixel_shuffle(features, unshuffle),
        ]
    }

    /// The packed net, if it can compute `x`.
    fn packed_for(&self, x: &Tensor<4>) -> Option<&Packed> {
        self.packed.as_ref().filter(|_| ops::on_cpu(x))
    }
}

/// What `values(index, image, [height, width])` gives for all images of a batch on the CPU, one after the other.
fn each_image(
    images: Tensor<4>,
    mut values: impl FnMut(usize, &[f32], [usize; 2]) -> Vec<f32>,
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

    fn least_tile(&self) -> usize {
        LEAST_TILE
    }

    fn activation_bytes(&self, height: usize, width: usize) -> u64 {
        peak_bytes(&self.config, height, width)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let Some(packed) = self.packed_for(&x) else {
            return self.model.forward(x);
        };
        let (shape, device) = (x.dims(), x.device());
        let restored = each_image(x, |_, image, size| packed.forward(image, size));
        Tensor::from_data(TensorData::new(restored, shape), &device)
    }

    fn has_global_statistics(&self) -> bool {
        let net = &self.config.restormer;
        net.refinement + net.blocks.iter().sum::<usize>() > 0
    }

    fn global_statistics(&self, x: Tensor<4>) -> Tensor<2> {
        let Some(packed) = self.packed_for(&x) else {
            let mut stats = GlobalStatistics::Recorded(Vec::new());
            self.model.forward_with_stats(x, &mut stats);
            return stats.into_recorded();
        };
        let ([batch, ..], device) = (x.dims(), x.device());
        let stats = each_image(x, |_, image, size| packed.global_statistics(image, size));
        let shape = [batch, stats.len() / batch];
        Tensor::from_data(TensorData::new(stats, shape), &device)
    }

    fn statistics_bytes(&self) -> u64 {
        statistics_bytes(&self.config)
    }

    fn forward_with_stats(&self, x: Tensor<4>, stats: Tensor<2>) -> Tensor<4> {
        let Some(packed) = self.packed_for(&x) else {
            return self
                .model
                .forward_with_stats(x, &mut GlobalStatistics::given(stats));
        };
        let (shape, device) = (x.dims(), x.device());
        let [_, count] = stats.dims();
        let stats = stats.into_data();
        let stats = stats.as_slice::<f32>().expect("f32 on the CPU");
        let restored = each_image(x, |at, image, size| {
            packed.forward_with_stats(image, size, &stats[at * count..][..count])
        });
        Tensor::from_data(TensorData::new(restored, shape), &device)
    }

    fn steers(&self) -> bool {
        self.steering.is_some()
    }

    fn forward_steered(
        &self,
        x: Tensor<4>,
        stats: Option<Tensor<2>>,
        removal: &Removal,
    ) -> Tensor<4> {
        let [restored, features] = self.forward_with_features(x.clone(), stats);
        match &self.steering {
            Some(head) => head.steer(features, x, restored, removal.kept()),
            None => restored,
        }
    }

    fn steering_bytes(&self, height: usize, width: usize) -> u64 {
        let Some(head) = &self.steering else { return 0 };
        (head.floats() * size_of::<f32>() * height * width) as u64
    }

    fn has_uncertainty(&self) -> bool {
        self.uncertainty.is_some()
    }

    fn forward_with_uncertainty(
        &self,
        x: Tensor<4>,
        stats: Option<Tensor<2>>,
        removal: &Removal,
    ) -> [Tensor<4>; 2] {
        let [restored, features] = self.forward_with_features(x.clone(), stats);
        let errors = match &self.uncertainty {
            Some(head) => head.forward(features.clone(), x.clone(), restored.clone()),
            None => restored.zeros_like().narrow(1, 0, 1),
        };
        let restored = match &self.steering {
            Some(head) if *removal != Removal::ALL => {
                head.steer(features, x, restored, removal.kept())
            }
            _ => restored,
        };
        [restored, errors]
    }

    fn uncertainty_bytes(&self, height: usize, width: usize) -> u64 {
        let Some(head) = &self.uncertainty else {
            return 0;
        };
        (head.floats() * size_of::<f32>() * height * width) as u64
    }

    fn describe(&self, x: Tensor<4>) -> Tensor<2> {
        let Some(packed) = self.packed_for(&x) else {
            return self.model.describe(x);
        };
        let ([batch, ..], device) = (x.dims(), x.device());
        let values = each_image(x, |_, image, size| packed.describe(image, size));
        let shape = [batch, values.len() / batch];
        Tensor::from_data(TensorData::new(values, shape), &device)
    }

    fn diagnosis(&self) -> Option<&DiagnosisHead> {
        self.diagnosis.as_ref()
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
/// [`Error::Weights`](crate::Error::Weights) for unusable bytes, [`Error::Golden`](crate::Error::Golden) if the device computes other values.
pub fn load(bytes: &[u8], device: &Device) -> Result<Loaded> {
    let weights = Weights::from_bytes(bytes)?;
    let config = weights.config()?;
    let mut net = Loaded::new(weights.model(device)?, config);
    net.diagnosis = weights.diagnosis()?;
    net.steering = weights.steering(device)?;
    net.uncertainty = weights.uncertainty(device)?;
    if let Some(golden) = &weights.header.golden {
        golden.check(|x| net.forward(x), device)?;
        net.release();
    }
    Ok(net)
}

/// Loads a backbone and checks it against its golden values on `device`, if the file has any.
///
/// # Errors
/// As [`load`].
pub fn load_backbone(bytes: &[u8], device: &Device) -> Result<Dinov2> {
    let weights = Weights::from_bytes(bytes)?;
    let backbone = weights.backbone(device)?;
    if let Some(golden) = &weights.header.golden {
        golden.check(|x| features(&backbone, x), device)?;
    }
    Ok(backbone)
}
