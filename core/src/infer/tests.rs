//! Every packed part against the module that it was made of.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::block::Block;
use super::dr_fusion::DrFusion;
use super::run::Workspace;
use super::weights::conv3x3;
use super::{Packed, dinov2, global_statistics, psf, resize};
use crate::cpu::arrange::Arrange;
use crate::cpu::pool::{Map, Planes};
use crate::cpu::simd::testing::at_every_level;
use crate::model::dinov2::{Dinov2Config, fit};
use crate::model::global_statistics::GlobalStatistics;
use crate::model::layers::Conv;
use crate::model::psf::{DEPTHS, Psf};
use crate::model::restormer::resample::{Downsample, Upsample};
use crate::model::restormer::{NormKind, RestormerConfig, block};
use crate::model::{DinoIr, DinoIrConfig, GuidanceConfig, dr_fusion};
use crate::restore::Network;
use crate::weights::Loaded;

/// What a packed part may be off by, of its largest value if that is above one: a norm divides by
/// deviations that may be near zero.
const TOLERANCE: f32 = 1e-5;

fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut rng = StdRng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// Scales by numbers that are not one and shifts by numbers that are not zero.
struct Perturb(StdRng);

impl ModuleMapper for Perturb {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let seed = self.0.random();
        param.map(|tensor| {
            let noise = random(tensor.dims(), seed);
            if D == 1 { tensor + noise * 0.3 } else { tensor }
        })
    }
}

/// Random values with a different mean in each channel: the bias-free norm of channels that are nearly
/// equal divides by nearly nothing, which magnifies rounding in the module as in the packed part.
fn spread(shape: [usize; 4], seed: u64) -> Tensor<4> {
    let means: Vec<f32> = (0..shape[1])
        .map(|channel| (channel % 3) as f32 * 2.0)
        .collect();
    let means = Tensor::<1>::from_floats(&means[..], &Device::flex());
    random(shape, seed) + means.reshape([1, shape[1], 1, 1])
}

fn perturbed<M: Module>(module: M) -> M {
    module.map(&mut Perturb(StdRng::seed_from_u64(7)))
}

fn map_of(workspace: &Workspace, x: Tensor<4>) -> Map<'_> {
    let [_, channels, height, width] = x.dims();
    let map = Map::new(&workspace.maps, channels, [height, width]);
    let values: Vec<f32> = x.into_data().try_into_vec().expect("f32");
    map.fill(&values);
    map
}

/// A map whose values a part has to overwrite.
fn dirty(workspace: &Workspace, channels: usize, size: [usize; 2]) -> Map<'_> {
    let map = Map::new(&workspace.maps, channels, size);
    for channel in 0..channels {
        // SAFETY: the map is this function's.
        unsafe { map.planes().channel_mut(channel).fill(f32::NAN) };
    }
    map
}

fn assert_close(what: &str, found: Planes<'_>, expected: Tensor<4>) {
    let [batch, channels, height, width] = expected.dims();
    assert_eq!([batch, found.channels], [1, channels], "{what}");
    assert_eq!(found.size(), [height, width], "{what}");
    let expected: Vec<f32> = expected.into_data().try_into_vec().expect("f32");
    let largest = expected.iter().fold(1.0f32, |m, e| m.max(e.abs()));
    let mut worst = 0.0f32;
    for (channel, expected) in expected.chunks_exact(height * width).enumerate() {
        // SAFETY: nobody writes to the map.
        let found = unsafe { found.channel(channel) };
        for (a, e) in found.iter().zip(expected) {
            assert!(a.is_finite() && e.is_finite(), "{what}: {a} for {e}");
            worst = worst.max((a - e).abs() / largest);
        }
    }
    println!("{what}: off by {worst:e}");
    assert!(worst < TOLERANCE, "{what}: off by {worst:e}");
}

/// Sizes with every kind of remainder, one wide enough for several strips.
const SIZES: [[usize; 2]; 7] = [
    [1, 1],
    [3, 5],
    [4, 16],
    [17, 31],
    [2, 129],
    [35, 20],
    [9, 700],
];

#[test]
fn blocks() {
    Device::flex().seed(5);
    at_every_level(|level| {
        for (channels, heads, expansion) in [(3, 1, 2.66), (5, 5, 1.0), (16, 2, 2.66), (36, 3, 1.7)]
        {
            for kind in [NormKind::WithBias, NormKind::BiasFree] {
                let device = Device::flex();
                let block = block::Block::new(channels, heads, expansion, kind, &device);
                let block = perturbed(block);
                let packed = Block::new(&block).expect("a block of the method");
                let workspace = Workspace::default();
                for size @ [height, width] in SIZES {
                    let x = spread([1, channels, height, width], 3);
                    let from = map_of(&workspace, x.clone());
                    let to = dirty(&workspace, channels, size);
                    // SAFETY: the maps are this test's.
                    unsafe {
                        packed.forward(
                            &workspace,
                            from.planes(),
                            to.planes(),
                            &mut global_statistics::GlobalStatistics::Own,
                        )
                    };
                    let what = format!("{level:?} {channels} channels {kind:?} {size:?}");
                    assert_close(&what, to.planes(), block.forward(x));
                }
            }
        }
    });
}

/// Wide enough that a strip's ring does not fit the cache: several strips beside each other.
#[test]
fn wide_blocks() {
    Device::flex().seed(5);
    let device = Device::flex();
    let block = block::Block::new(96, 2, 2.66, NormKind::WithBias, &device);
    let block = perturbed(block);
    let packed = Block::new(&block).expect("a block of the method");
    let workspace = Workspace::default();
    let x = random([1, 96, 21, 300], 3);
    let from = map_of(&workspace, x.clone());
    let to = dirty(&workspace, 96, [21, 300]);
    // SAFETY: the maps are this test's.
    unsafe {
        packed.forward(
            &workspace,
            from.planes(),
            to.planes(),
            &mut global_statistics::GlobalStatistics::Own,
        )
    };
    assert_close("96 channels", to.planes(), block.forward(x));
}

#[test]
fn changes_of_level() {
    Device::flex().seed(5);
    at_every_level(|level| {
        let device = Device::flex();
        let workspace = Workspace::default();
        let check = |what: &str, conv: &Conv, arrange, x: Tensor<4>, expected: Tensor<4>| {
            let packed = conv3x3(conv, arrange);
            let from = map_of(&workspace, x);
            let (channels, size) = packed.output(from.planes().size());
            let to = dirty(&workspace, channels, size);
            // SAFETY: the maps are this test's.
            unsafe { packed.forward(&workspace.scratch, from.planes(), to.planes()) };
            assert_close(&format!("{level:?} {what} {size:?}"), to.planes(), expected);
        };
        // The last two, and the widest half of them, are wide enough for Winograd's filtering.
        for channels in [2, 6, 32, 68] {
            for [height, width] in SIZES {
                let x = random([1, channels, height, width], 5);
                let same = Conv::full(channels, channels / 2 + 5, true, &device);
                check(
                    "3x3",
                    &same,
                    Arrange::Same,
                    x.clone(),
                    same.forward(x.clone()),
                );
                let up = Upsample::new(channels, channels / 2, &device);
                check("up", &up.conv, Arrange::Shuffle, x.clone(), up.forward(x));
                let x = random([1, channels, 2 * height, 2 * width], 6);
                let down = Downsample::new(channels, 2 * channels, &device);
                check(
                    "down",
                    &down.conv,
                    Arrange::Unshuffle,
                    x.clone(),
                    down.forward(x),
                );
            }
        }
    });
}

#[test]
fn dr_fusions() {
    Device::flex().seed(5);
    at_every_level(|level| {
        for (fused, channels, pixel_mean) in [(3, 2, true), (16, 20, true), (5, 37, false)] {
            let device = Device::flex();
            let fusion = dr_fusion::DrFusion::new(fused, channels, pixel_mean, &device);
            let packed = DrFusion::new(&fusion);
            let workspace = Workspace::default();
            let wide = ([1, 300], [2, 4000]);
            for (grid, size) in [([1, 1], [1, 1]), ([3, 7], [8, 18]), ([9, 5], [4, 40]), wide] {
                let map = random([1, fused, grid[0], grid[1]], 8);
                let x = random([1, channels, size[0], size[1]], 9);
                let from = map_of(&workspace, map.clone());
                let features = map_of(&workspace, x.clone());
                // SAFETY: the maps are this test's.
                unsafe {
                    packed.forward(
                        &workspace,
                        Some(from.planes()),
                        features.planes(),
                        &mut global_statistics::GlobalStatistics::Own,
                    )
                };
                let what = format!("{level:?} fusion of {channels} at {size:?}");
                assert_close(&what, features.planes(), fusion.forward(map, x));
            }
        }
    });
}

#[test]
fn backbones() {
    Device::flex().seed(5);
    let base = Dinov2Config {
        width: 24,
        depth: 3,
        heads: 2,
        registers: 0,
        swiglu: false,
        grid: 5,
    };
    let registers = Dinov2Config {
        registers: 3,
        swiglu: true,
        width: 30,
        heads: 3,
        ..base.clone()
    };
    at_every_level(|level| {
        for config in [&base, &registers] {
            let backbone = perturbed(config.init(&Device::flex()));
            let packed = dinov2::Dinov2::new(&backbone);
            let workspace = Workspace::default();
            for [height, width] in [[14, 14], [70, 70], [42, 140], [200, 130]] {
                let image = random([1, 3, height, width], 11) * 0.5 + 0.5;
                let expected = backbone.features(image.clone(), &[1, 3]);
                let map = map_of(&workspace, image.clone());
                let resized = resize::fit(&workspace, map.planes());
                assert_close("resized", resized.planes(), fit(image));
                let mut numbers = Vec::new();
                packed.forward(&workspace, resized.planes(), 3, |number, features| {
                    numbers.push(number);
                    if number != 2 {
                        let what = format!("{level:?} {height} x {width} block {number}");
                        assert_close(&what, features, expected.map(number / 2));
                    }
                });
                assert_eq!(numbers, [1, 2, 3]);
            }
        }
    });
}

#[test]
fn pixel_semantic_fusion() {
    Device::flex().seed(5);
    at_every_level(|level| {
        let device = Device::flex();
        let module = perturbed(Psf::new(18, 10, 13, &device));
        let packed = psf::Psf::new(&module);
        let workspace = Workspace::default();
        for size @ [rows, columns] in [[1, 1], [5, 4], [3, 37]] {
            let depths: [Tensor<4>; DEPTHS] =
                [1, 2, 3].map(|seed| random([1, 18, rows, columns], seed));
            let expected = module.forward(depths.clone()).features;
            let mut number = 0;
            let depths = depths.map(|depth| {
                let map = map_of(&workspace, depth);
                number += 1;
                packed.depth(&workspace, number - 1, map.planes())
            });
            let fused = packed.fuse(depths);
            assert_close(&format!("{level:?} psf {size:?}"), fused.planes(), expected);
        }
    });
}

/// Checks a whole network.
fn check_network(what: &str, config: &DinoIrConfig, size: [usize; 2]) {
    let model: DinoIr = perturbed(config.init(&Device::flex()));
    let packed = Packed::new(&model).expect("a net of the method");
    let [height, width] = size;
    // Twice, for the second time everything is in used buffers.
    for seed in [20, 21] {
        let image = random([1, 3, height, width], seed) * 0.5 + 0.5;
        let expected = model.forward(image.clone());
        let image: Vec<f32> = image.into_data().try_into_vec().expect("f32");
        let found = packed.forward(&image, size);
        let found = Tensor::<4>::from_data(
            TensorData::new(found, [1, 3, height, width]),
            &Device::flex(),
        );
        let workspace = Workspace::default();
        assert_close(what, map_of(&workspace, found).planes(), expected);
    }
    check_given_statistics(what, &model, &packed, size);
    check_description(what, &model, &packed, size);
}

/// A diagnosis uses the same values on the CPU and elsewhere.
fn check_description(
    what: &str,
    model: &DinoIr,
    packed: &Packed,
    size @ [height, width]: [usize; 2],
) {
    let image = random([1, 3, height, width], 24) * 0.5 + 0.5;
    let expected: Vec<f32> = {
        let described = model.describe(image.clone());
        described.into_data().try_into_vec().expect("f32")
    };
    let image: Vec<f32> = image.into_data().try_into_vec().expect("f32");
    let found = packed.describe(&image, size);
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let off = (found - expected).abs() / expected.abs().max(1.0);
        assert!(off < 1e-3, "{what}, value {at}: {found}, not {expected}");
    }
}

/// With its own statistics given, an image comes out as without; with another's, both nets give another result, but the same.
fn check_given_statistics(
    what: &str,
    model: &DinoIr,
    packed: &Packed,
    size @ [height, width]: [usize; 2],
) {
    let device = Device::flex();
    let shape = [1, 3, height, width];
    let [image, other] = [22, 23].map(|seed| random(shape, seed) * 0.5 + 0.5);
    let values = |image: &Tensor<4>| -> Vec<f32> { image.to_data().try_into_vec().expect("f32") };
    let mut kept = GlobalStatistics::Recorded(Vec::new());
    model.forward_with_stats(other.clone(), &mut kept);
    let expected = model.forward_with_stats(
        image.clone(),
        &mut GlobalStatistics::given(kept.into_recorded()),
    );

    let stats = packed.global_statistics(&values(&other), size);
    let found = packed.forward_with_stats(&values(&image), size, &stats);
    let found = Tensor::<4>::from_data(TensorData::new(found, shape), &device);
    let workspace = Workspace::default();
    assert_close(what, map_of(&workspace, found).planes(), expected.clone());
    let own = model.forward(image.clone());
    let difference: f32 = (own - expected).abs().max().into_scalar();
    assert!(difference > 1e-4, "{what}: the statistics change nothing");

    let stats = packed.global_statistics(&values(&image), size);
    let found = packed.forward_with_stats(&values(&image), size, &stats);
    assert_eq!(found, packed.forward(&values(&image), size), "{what}");
}

#[test]
fn whole_networks() {
    Device::flex().seed(5);
    let mut config = DinoIrConfig::nano();
    config.restormer.dim = 8;
    check_network("guided", &config, [32, 40]);
    config.guidance = None;
    check_network("plain", &config, [8, 8]);
    check_network("plain", &config, [64, 24]);
    config.restormer = RestormerConfig {
        dim: 6,
        widths: None,
        blocks: [0, 1, 0, 2],
        heads: [1, 3, 2, 4],
        refinement: 0,
        expansion: 1.3,
        norm: NormKind::BiasFree,
        unshuffle: 1,
    };
    check_network("odd widths, empty levels", &config, [40, 16]);
    config.restormer.widths = Some([6, 20, 8, 52]);
    config.restormer.heads = [1, 2, 2, 4];
    check_network("widths that do not double", &config, [40, 16]);
    let backbone = Dinov2Config {
        grid: 4,
        ..Dinov2Config::nano()
    };
    let mut guidance = GuidanceConfig::new(backbone, 20, 8);
    guidance.stages = vec![2, 4];
    guidance.depths = [3, 3, 5];
    config.guidance = Some(guidance);
    check_network("some stages, one depth twice", &config, [56, 88]);
    config.restormer.unshuffle = 2;
    check_network("half resolution", &config, [48, 112]);
    config.guidance = None;
    check_network("half resolution, smallest", &config, [16, 16]);
}

#[test]
fn a_block_that_nobody_has_fused_is_left_to_the_model() {
    Device::flex().seed(5);
    let device = Device::flex();
    let mut config = DinoIrConfig::nano();
    config.restormer.dim = 8;
    config.guidance = None;
    let mut model: DinoIr = config.init(&device);
    let dwconv = &mut model.restormer.latent[0].ffn.dwconv;
    let [channels, ..] = dwconv.weight.dims();
    *dwconv = Conv::depthwise(channels, true, &device);
    let model = perturbed(model);
    assert!(Packed::new(&model).is_none(), "a bias is not fused");

    let image = random([1, 3, 16, 24], 25) * 0.5 + 0.5;
    let expected = model.forward(image.clone()).into_data();
    let loaded = Loaded::new(model, config);
    assert_eq!(loaded.forward(image).into_data(), expected);
}
