//! Training what steers a network: a head on its last features that splits its correction into the parts of faults. The
//! network stays as it is; only the head learns.

use std::path::Path;

use anyhow::{Result, ensure};
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use dino_ir::Fault;
use dino_ir::model::steering::{SteeringConfig, SteeringHead};
use dino_ir::weights::{Heads, Loaded};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::diagnosis::fit::rate;
use super::head;
use crate::data::dataset::DataConfig;
use crate::data::rgb::Rgb;
use crate::data::sample::{Composed, Sampler};
use crate::host::interrupt;

/// How steering is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Seed of everything random.
    pub seed: u64,
    /// Steps.
    pub steps: usize,
    /// Patches of a step.
    pub batch: usize,
    /// Side of a patch in pixels, a multiple of what the network takes.
    pub patch: usize,
    /// Learning rate at its highest, near the beginning; it ends at 0.
    pub lr: f64,
    /// Channels of the head.
    pub width: usize,
    /// Its layers.
    pub layers: usize,
    /// Where the photos are.
    pub data: DataConfig,
}

impl TrainingConfig {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// Names the file and the key at fault.
    pub fn load(path: &Path) -> Result<Self> {
        let config: Self = head::read_settings(path)?;
        ensure!(
            config.steps > 0 && config.batch > 0 && config.patch > 0 && config.width > 0,
            "{}: steps, batch, patch and width must be at least 1",
            path.display()
        );
        Ok(config)
    }
}

/// Trains the steering of the network in a weights file, and returns that file with it, in its number format. `watch` is
/// called after each step with its loss.
///
/// # Errors
/// Weights without a network, photos that cannot be used, or the user stops it.
pub fn train(bytes: &[u8], config: &TrainingConfig, watch: &mut dyn FnMut(f32)) -> Result<Vec<u8>> {
    let net = head::network(bytes, config.patch)?;
    let sampler = head::sampler(&config.data, config.seed)?;
    let head = fit(&net, &sampler, config, watch)?;
    let heads = Heads {
        steering: Some(&head),
        ..Heads::of(&net)
    };
    let trained = json!({"steps": config.steps, "seed": config.seed});
    head::with_heads(bytes, &net, heads, "steering", trained)
}

/// Share of the weights that is taken away in each step, relative to the learning rate.
const WEIGHT_DECAY: f32 = 1e-3;

fn fit(
    net: &Loaded,
    sampler: &Sampler,
    config: &TrainingConfig,
    watch: &mut dyn FnMut(f32),
) -> Result<SteeringHead> {
    let cpu = Device::flex();
    cpu.seed(config.seed);
    let device = cpu.autodiff();
    let sizes = SteeringConfig {
        features: net.config.last_features(),
        width: config.width,
        layers: config.layers,
    };
    let mut head = sizes.init(&device);
    let mut optimizer = AdamWConfig::new().with_weight_decay(WEIGHT_DECAY).init();
    let mut rng = StdRng::seed_from_u64(config.seed);
    for step in 0..config.steps {
        ensure!(!interrupt::asked(), dino_ir::Error::Cancelled);
        let first = (step * config.batch) as u64;
        let patches = (first..first + config.batch as u64)
            .into_par_iter()
            .map(|index| sampler.composed(index, config.patch))
            .collect::<Result<Vec<_>>>()?;
        let loss = loss(net, &head, &patches, &device, &mut rng)?;
        watch(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &head);
        head = optimizer.step(rate(config.lr, step + 1, config.steps), head, gradients);
    }
    Ok(head.valid())
}

/// What is to be small: how far patches with one of their faults removed are from what they should be, on average, for
/// each fault in turn. Faults that a patch does not have are removed or kept at random, it must make no difference.
fn loss(
    net: &Loaded,
    head: &SteeringHead,
    patches: &[Composed],
    device: &Device,
    rng: &mut StdRng,
) -> Result<Tensor<1>> {
    let pictures: Vec<&Rgb> = patches.iter().map(|patch| &patch.picture).collect();
    let image = stacked(&pictures, &Device::flex());
    let [restored, features] = net.forward_with_features(image.clone(), None);
    let restored_of: Vec<Rgb> = unstacked(&restored, &pictures)?;
    // What the network gives is data, without a graph behind it.
    let learning = |x: Tensor<4>| Tensor::<4>::from_data(x.into_data(), device);
    let (image, restored) = (learning(image), learning(restored));
    let parts = head.forward(learning(features), image, restored.clone());
    let mut sum = Tensor::<1>::zeros([1], device);
    for outcome in 0..OUTCOMES {
        let mut kept = Vec::new();
        let mut targets = Vec::new();
        for (patch, restored) in patches.iter().zip(&restored_of) {
            let (keeps, target) = wanted(patch, restored, outcome, rng);
            kept.extend(keeps);
            targets.push(target);
        }
        let kept = TensorData::new(kept, [patches.len(), Fault::ALL.len()]);
        let found = restored.clone() - parts.kept(Tensor::from_data(kept, device));
        let error = (found - stacked(&targets, device)).abs().mean();
        sum = sum + error / OUTCOMES as f64;
    }
    Ok(sum)
}

/// Ways to steer that are looked at for each patch.
const OUTCOMES: usize = 2;

/// How much of each fault to keep, and what that should give. A patch with two faults has one of them removed, then the
/// other; a patch with one has it removed, or not.
fn wanted<'a>(
    patch: &'a Composed,
    restored: &'a Rgb,
    outcome: usize,
    rng: &mut StdRng,
) -> ([f32; 5], &'a Rgb) {
    let mut kept = Fault::ALL.map(|_| f32::from(rng.random_range(0..=1u8)));
    let removed = match patch.faults.len() {
        1 => (outcome == 0).then(|| &patch.faults[0]),
        _ => patch.faults.get(outcome),
    };
    for present in &patch.faults {
        kept[present.fault as usize] = 1.0;
    }
    let target = match removed {
        Some(present) => {
            kept[present.fault as usize] = 0.0;
            present.without.as_ref().unwrap_or(restored)
        }
        None => &patch.picture,
    };
    (kept, target)
}

fn stacked(pictures: &[&Rgb], device: &Device) -> Tensor<4> {
    let (height, width) = (pictures[0].height, pictures[0].width);
    let planes = pictures.iter().flat_map(|picture| picture.to_planar());
    let data = TensorData::new(planes.collect(), [pictures.len(), 3, height, width]);
    Tensor::from_data(data, device)
}

/// Pictures of the same sizes as those.
fn unstacked(images: &Tensor<4>, like: &[&Rgb]) -> Result<Vec<Rgb>> {
    let values: Vec<f32> = images.clone().into_data().iter().collect();
    let planes = values.chunks_exact(values.len() / like.len());
    like.iter()
        .zip(planes)
        .map(|(like, planes)| Rgb::from_planar(like.width, like.height, planes))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::dataset::{Dataset, Photo};

    /// Photos of waves.
    fn sampler() -> Sampler {
        let photo = |step: usize| {
            let (width, height) = (96, 96);
            let wave = |at: usize| {
                let (x, y) = (at / 3 % width, at / 3 / width);
                (128.0 + 90.0 * ((x * step + y) as f32 / 17.0).sin()) as u8
            };
            Arc::new(Photo {
                name: format!("{step}.png"),
                width,
                height,
                samples: (0..width * height * 3).map(wave).collect(),
            })
        };
        let data = Dataset::of_clean((1..4).map(photo));
        Sampler::from_dataset(Arc::new(data), &DataConfig::default(), 4).expect("valid")
    }

    #[test]
    fn patches_are_as_wanted() {
        let sampler = sampler();
        let mut rng = StdRng::seed_from_u64(1);
        for index in 0..40 {
            let patch = sampler.composed(index, 32).expect("made");
            let restored = Rgb::from_fn(32, 32, |_, _| [0.5; 3]);
            for outcome in 0..OUTCOMES {
                let (kept, target) = wanted(&patch, &restored, outcome, &mut rng);
                assert!(kept.iter().all(|kept| [0.0, 1.0].contains(kept)));
                let removed = |at: usize| kept[patch.faults[at].fault as usize] == 0.0;
                match patch.faults.len() {
                    1 if outcome == 0 => assert!(removed(0) && target == &restored),
                    1 => assert!(!removed(0) && target == &patch.picture),
                    _ => {
                        assert!(removed(outcome) && !removed(1 - outcome));
                        assert_eq!(Some(target), patch.faults[outcome].without.as_ref());
                    }
                }
            }
        }
    }
}
