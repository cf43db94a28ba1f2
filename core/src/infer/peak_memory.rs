//! The peak memory of a run of the network, computed from the buffers that the sweeps allocate.

use crate::model::DinoIrConfig;
use crate::model::restormer::LEVELS;

/// The peak bytes of one forward pass on an image of this size; other devices may take several times as much.
pub fn peak_bytes(config: &DinoIrConfig, height: usize, width: usize) -> u64 {
    let restormer = &config.restormer;
    // Full resolution at 2 dim channels (decoder and refinement) dominates: a block's input,
    // values and output. Copies of the image in and out, and pixel-unshuffled.
    let full = 3.0 * 2.0 * restormer.dim as f64 / (restormer.unshuffle.pow(2)) as f64;
    let per_pixel = full + 9.0 * 3.0;
    let tokens = config.guidance.as_ref().map_or(0.0, |guidance| {
        // Tokens, queries, keys and values, keys and values packed; the experts' maps; each
        // thread's attention.
        let backbone = 6 * guidance.backbone.width + 9 * guidance.fused;
        let patches = (height * width) as f64 / 196.0 + 1.0;
        patches * (backbone + 64 * rayon::current_num_threads()) as f64
    });
    let scratch = (1..=LEVELS).map(|level| scratch(config, level, height, width));
    let scratch = scratch.fold(0.0, f64::max);
    (4.0 * ((height * width) as f64 * per_pixel + tokens + scratch)) as u64
}

/// The bytes of the global statistics of one image, at most: those of MDTA in each block and of D-R fusion in each stage.
pub fn statistics_bytes(config: &DinoIrConfig) -> u64 {
    let restormer = &config.restormer;
    let of_block = |channels: usize, heads: usize| channels * (channels / heads + 2);
    let full = of_block(2 * restormer.dim, restormer.heads[0]);
    let of_level = |level: usize| {
        let (blocks, heads) = (restormer.blocks[level - 1], restormer.heads[level - 1]);
        let own = of_block(restormer.channels(level), heads);
        // Level 1 of the decoder has twice the channels; level 4 has no decoder.
        let decoder = match level {
            1 => full,
            LEVELS => 0,
            _ => own,
        };
        blocks * (own + decoder)
    };
    let mdta = (1..=LEVELS).map(of_level).sum::<usize>() + restormer.refinement * full;
    let dr_fusion = config.guidance.as_ref().map_or(0, |guidance| {
        let of_stage = |&stage: &usize| {
            let channels = restormer.channels(stage);
            // The packed form folds the keys into the fused features and their bias.
            channels * channels.max(guidance.fused + 1)
        };
        guidance.stages.iter().map(of_stage).sum()
    });
    (size_of::<f32>() * (mdta + dr_fusion)) as u64
}

/// Floats of scratch of all tasks that run side by side at a level: rings of rows in its feed-forward networks,
/// and the transformed tiles of the convolution up or down from there. A small image has work for few threads.
fn scratch(config: &DinoIrConfig, level: usize, height: usize, width: usize) -> f64 {
    let restormer = &config.restormer;
    let scale = restormer.unshuffle << (level - 1);
    let [rows, columns] = [height, width].map(|side| side.div_ceil(scale));
    let threads = rayon::current_num_threads();
    let tasks = threads.min(rows.div_ceil(2) * columns.div_ceil(64));
    // Rings are 128 columns wide at most where channels are many; where they are few, all of a level's fit.
    let ring = restormer.expansion * 23.0 * (columns.min(128) + 50) as f64;
    // Tiles of 2 x 2, some rows of them in a task.
    let tiles = columns.div_ceil(2) * rows.div_ceil(2).div_ceil(threads);
    let tiles = 48 * (tiles.min(256) + 15);
    let channels = restormer.channels(level).max(2 * restormer.dim);
    (tasks * channels) as f64 * (ring + tiles as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::Packed;
    use burn::tensor::Device;

    #[test]
    fn many_threads_leave_room_for_a_tile() {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(128);
        let threads = threads.build().expect("threads");
        for config in [DinoIrConfig::nano(), DinoIrConfig::full()] {
            threads.install(|| {
                let bytes = |side| peak_bytes(&config, side, side);
                assert!(bytes(8) < 16 << 20, "{}", bytes(8));
                assert!(bytes(256) < 1 << 30, "{}", bytes(256));
                let sides = (8..=2048).step_by(8);
                assert!(
                    sides
                        .clone()
                        .zip(sides.skip(1))
                        .all(|(less, more)| bytes(less) <= bytes(more))
                );
            });
        }
    }

    #[test]
    fn statistics_are_as_many_as_said() {
        let config = DinoIrConfig::nano();
        let model = config.init(&Device::flex());
        let packed = Packed::new(&model).expect("a net of the method");
        let stats = packed.global_statistics(&[0.5; 3 * 32 * 32], [32, 32]);
        let (taken, said) = (size_of_val(&*stats) as u64, statistics_bytes(&config));
        assert!(taken <= said && said < 2 * taken, "{taken}, not {said}");
    }

    /// Buffers stay in their pools after a run, so that they show what it needed; the image in and out comes to that.
    #[test]
    fn a_run_needs_what_is_said() {
        let config = DinoIrConfig::nano();
        let model = config.init(&Device::flex());
        for threads in [1, 3] {
            let threads = rayon::ThreadPoolBuilder::new().num_threads(threads);
            threads.build().expect("threads").install(|| {
                for size @ [height, width] in [[64, 64], [128, 320], [256, 256]] {
                    let packed = Packed::new(&model).expect("a net of the method");
                    let image = vec![0.5; 3 * height * width];
                    packed.forward(&image, size);
                    let pools = packed.workspace.maps.bytes() + packed.workspace.scratch.bytes();
                    let needed = (pools + 2 * size_of_val(&*image)) as u64;
                    let said = peak_bytes(&config, height, width);
                    println!("{size:?}: {needed} of {said}");
                    assert!(needed <= said, "{size:?}: {needed}, not {said}");
                    assert!(said < 3 * needed, "{size:?}: {needed} of {said}");
                }
            });
        }
    }
}
