//! The backbone by itself.

use super::dinov2::Dinov2;
use super::run::{Stage, Workspace};
use crate::cpu::pool::{Map, Planes};
use crate::model::dinov2;
use crate::model::dinov2::patch_embed::PATCH;

/// A backbone with its weights packed for the CPU.
#[derive(Debug)]
pub struct Backbone {
    net: Dinov2,
    workspace: Workspace,
}

impl Backbone {
    /// Packs the weights of a backbone.
    pub fn new(backbone: &dinov2::Dinov2) -> Self {
        Self {
            net: Dinov2::new(backbone),
            workspace: Workspace::default(),
        }
    }

    /// Patch features after each block up to `last`, counted from 1, without the final norm:
    /// `after_block(number, features)` is called after each. `watch` is called at the end.
    ///
    /// # Shapes
    /// - `image`: `[3, height, width]`, RGB in 0..1, multiples of 14
    /// - features: `[width, patches]`
    ///
    /// # Panics
    /// If the size is not as said.
    pub fn forward(
        &self,
        image: &[f32],
        size: [usize; 2],
        last: usize,
        mut after_block: impl FnMut(usize, &[&[f32]]),
        watch: &mut dyn FnMut(Stage),
    ) {
        let [height, width] = size;
        assert!(
            size.iter()
                .all(|side| side.is_multiple_of(PATCH) && *side > 0),
            "{height} x {width} are multiples of {PATCH}"
        );
        let map = Map::new(&self.workspace.maps, 3, size);
        map.fill(image);
        let (mut patches, mut floats) = (0, map.planes().floats());
        let features = |number, features: Planes<'_>| {
            if number == last {
                patches = features.pixels();
                floats += features.floats();
            }
            // SAFETY: nobody writes to the features while they are shown.
            let channel = |channel| unsafe { features.channel(channel) };
            let channels: Vec<&[f32]> = (0..features.channels).map(channel).collect();
            after_block(number, &channels);
        };
        self.net
            .forward(&self.workspace, map.planes(), last, features);
        watch(Stage::new("dinov2", self.net.flops(last, patches), floats));
    }
}
