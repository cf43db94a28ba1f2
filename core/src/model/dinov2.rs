//! DINOv2: the vision transformer whose features guide the restoration.

pub mod attention;
pub mod block;
mod config;
pub mod mlp;
pub mod patch_embed;
pub mod pos_embed;

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

use crate::model::layers::LayerNorm;
use crate::model::resize::{Axis, resize};
use block::{Block, EPSILON};
pub use config::Dinov2Config;
use patch_embed::{PATCH, PatchEmbed};
use pos_embed::resize_pos_embed;

pub(crate) const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
pub(crate) const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

impl Dinov2Config {
    /// A randomly initialised net.
    pub fn init(&self, device: &Device) -> Dinov2 {
        let token = |count: usize| {
            Initializer::Normal {
                mean: 0.0,
                std: 0.02,
            }
            .init([1, count, self.width], device)
        };
        Dinov2 {
            cls_token: token(1),
            register_tokens: (self.registers > 0).then(|| token(self.registers)),
            pos_embed: token(1 + self.grid * self.grid),
            patch_embed: PatchEmbed::new(self.width, device),
            blocks: (0..self.depth).map(|_| Block::new(self, device)).collect(),
            norm: LayerNorm::new(self.width, EPSILON, device),
        }
    }
}

/// The backbone; frozen while the restoration net is trained.
#[derive(Module, Debug)]
pub struct Dinov2 {
    /// `[1, 1, width]`.
    pub cls_token: Param<Tensor<3>>,
    /// `[1, registers, width]`.
    pub register_tokens: Option<Param<Tensor<3>>>,
    /// `[1, 1 + grid^2, width]`.
    pub pos_embed: Param<Tensor<3>>,
    /// Image to tokens.
    pub patch_embed: PatchEmbed,
    /// The transformer.
    pub blocks: Vec<Block>,
    /// After the last block.
    pub norm: LayerNorm,
}

/// What [`Dinov2::features`] returns.
#[derive(Clone, Debug)]
pub struct Features {
    /// Patch tokens after each block that was asked for, `[batch, patches, width]`.
    pub blocks: Vec<Tensor<3>>,
    /// Patch rows.
    pub rows: usize,
    /// Patch columns.
    pub columns: usize,
}

impl Features {
    /// Tokens of the `i`-th block asked for as a map, `[batch, width, rows, columns]`.
    pub fn map(&self, i: usize) -> Tensor<4> {
        let [batch, _, width] = self.blocks[i].dims();
        self.blocks[i]
            .clone()
            .swap_dims(1, 2)
            .reshape([batch, width, self.rows, self.columns])
    }
}

impl Dinov2 {
    /// Tokens after each block in `blocks` (counted from 1, ascending), without the final norm:
    /// class token, registers, patches in row order. Blocks after the last one asked for are
    /// not run.
    ///
    /// # Shapes
    /// - `image`: `[batch, 3, height, width]`, multiples of 14, normalised by [`normalize`]
    /// - output: each `[batch, 1 + registers + patches, width]`
    pub fn tokens(&self, image: Tensor<4>, blocks: &[usize]) -> Vec<Tensor<3>> {
        let mut x = self.embed(image);
        let mut tokens = Vec::with_capacity(blocks.len());
        let last = blocks.iter().max().copied().unwrap_or(0);
        for (number, block) in (1..=last).zip(&self.blocks) {
            x = block.forward(x);
            if blocks.contains(&number) {
                tokens.push(x.clone());
            }
        }
        tokens
    }

    /// Patch features of an RGB image of any size: resized by [`fit`], normalised.
    ///
    /// # Shapes
    /// - `image`: `[batch, 3, height, width]`, RGB in 0..1
    pub fn features(&self, image: Tensor<4>, blocks: &[usize]) -> Features {
        let image = normalize(fit(image));
        let [_, _, height, width] = image.dims();
        let (rows, columns) = (height / PATCH, width / PATCH);
        let patches = rows * columns;
        let blocks = self
            .tokens(image, blocks)
            .into_iter()
            .map(|tokens| {
                let [_, all, _] = tokens.dims();
                tokens.narrow(1, all - patches, patches)
            })
            .collect();
        Features {
            blocks,
            rows,
            columns,
        }
    }

    /// [`features`](Self::features), without autodiff where none of it would be of use: the backbone is frozen, and
    /// the image's gradient is not asked for.
    ///
    /// # Shapes
    /// - as [`features`](Self::features)
    pub fn features_as_trained(&self, image: Tensor<4>, blocks: &[usize]) -> Features {
        let trained = self.norm.weight.val().is_require_grad() || image.is_tracked();
        if trained || !image.is_autodiff() {
            return self.features(image, blocks);
        }
        self.valid().features(image.without_autodiff(), blocks)
    }

    /// Tokens before the first block: embedded patches with their positions, class token, registers.
    ///
    /// # Shapes
    /// - as [`Self::tokens`]
    pub fn embed(&self, image: Tensor<4>) -> Tensor<3> {
        let [batch, _, height, width] = image.dims();
        let repeat = |token: Tensor<3>| {
            let [_, count, width] = token.dims();
            token.expand([batch, count, width])
        };
        let patches = self.patch_embed.forward(image);
        let x = Tensor::cat(vec![repeat(self.cls_token.val()), patches], 1);
        let registers = self.register_tokens.as_ref().map(|tokens| tokens.val());
        let x = x + resize_pos_embed(
            self.pos_embed.val(),
            height / PATCH,
            width / PATCH,
            registers.is_some(),
        );
        match registers {
            None => x,
            Some(registers) => {
                let [_, tokens, _] = x.dims();
                let class = x.clone().narrow(1, 0, 1);
                let patches = x.narrow(1, 1, tokens - 1);
                Tensor::cat(vec![class, repeat(registers), patches], 1)
            }
        }
    }
}

/// Resizes to the nearest multiple of 14 on each side, at least 14: antialiased bilinear.
///
/// # Shapes
/// - `image`: `[batch, 3, height, width]`
pub fn fit(image: Tensor<4>) -> Tensor<4> {
    let [_, _, height, width] = image.dims();
    resize(image, fit_axis(height), fit_axis(width))
}

/// How one side is resized by [`fit`].
pub(crate) fn fit_axis(side: usize) -> Axis {
    let nearest = ((side + PATCH / 2) / PATCH).max(1) * PATCH;
    Axis::bilinear_antialias(side, nearest)
}

/// ImageNet mean and deviation.
///
/// # Shapes
/// - `image`, output: `[batch, 3, height, width]`
pub fn normalize(image: Tensor<4>) -> Tensor<4> {
    let device = image.device();
    let channel =
        |values: [f32; 3]| Tensor::<1>::from_floats(values, &device).reshape([1, 3, 1, 1]);
    (image - channel(IMAGENET_MEAN)) / channel(IMAGENET_STD)
}
