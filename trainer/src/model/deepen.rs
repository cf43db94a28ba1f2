//! A deeper net that starts as a shallower one: the blocks that it has more add nothing to what they get.
//!
//! Both convolutions that a block ends with are zero (He et al.'s identity mappings, as Net2Net's deeper net), so that
//! the first step already starts from all the shallower net has learned.

use burn::module::Initializer;
use dino_ir::model::restormer::block::Block;
use dino_ir::model::{DinoIr, DinoIrConfig};

/// Whether a net of `sizes` is one of `found`, with or without more blocks.
pub fn can_start_from(sizes: &DinoIrConfig, found: &DinoIrConfig) -> bool {
    let (net, other) = (&sizes.restormer, &found.restormer);
    let mut same = found.clone();
    same.restormer.blocks = net.blocks;
    same.restormer.refinement = net.refinement;
    let enough = net.blocks.iter().zip(&other.blocks).all(|(a, b)| a >= b);
    same == *sizes && enough && net.refinement >= other.refinement
}

/// `shallow` with the blocks that `net`, random, has more at the end of each level; they are the identity.
///
/// [`can_start_from`] says whether the two fit.
pub fn deepen(net: DinoIr, shallow: DinoIr) -> DinoIr {
    let mut deep = shallow;
    let (known, random) = (&mut deep.restormer, net.restormer);
    let levels = known.encoder.iter_mut().chain(&mut known.decoder);
    let levels = levels.chain([&mut known.latent, &mut known.refinement]);
    let random_levels = random.encoder.into_iter().chain(random.decoder);
    let random_levels = random_levels.chain([random.latent, random.refinement]);
    for (level, random) in levels.zip(random_levels) {
        let added = random.into_iter().skip(level.len()).map(identity);
        level.extend(added);
    }
    deep
}

/// The block with nothing to add to what it gets.
fn identity(mut block: Block) -> Block {
    for last in [&mut block.attn.project_out, &mut block.ffn.project_out] {
        last.weight = Initializer::Zeros.init(last.weight.shape(), &last.weight.device());
    }
    block
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor};

    use super::*;

    fn sizes(blocks: [usize; 4], refinement: usize) -> DinoIrConfig {
        let mut sizes = DinoIrConfig::nano();
        sizes.restormer.dim = 8;
        sizes.restormer.blocks = blocks;
        sizes.restormer.refinement = refinement;
        sizes
    }

    #[test]
    fn a_deeper_net_starts_as_the_shallower_one() {
        let device = Device::flex();
        let (few, more) = (sizes([1, 1, 1, 1], 1), sizes([1, 2, 1, 3], 2));
        assert!(can_start_from(&more, &few) && can_start_from(&few, &few));
        assert!(!can_start_from(&few, &more), "a net cannot lose blocks");
        let mut wider = more.clone();
        wider.restormer.dim = 16;
        assert!(!can_start_from(&wider, &few), "nor get more channels");

        let shallow = few.init(&device);
        let deep = deepen(more.init(&device), shallow.clone());
        let image = Tensor::random([1, 3, 32, 24], Distribution::Uniform(0.0, 1.0), &device);
        let results = [shallow.forward(image.clone()), deep.forward(image)];
        let [shallow, deep] = results.map(|y| y.into_data().try_to_vec::<f32>().expect("f32"));
        assert_eq!(shallow, deep);
    }
}
