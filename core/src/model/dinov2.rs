//! DINOv2: the vision transformer whose features guide the restoration.

pub mod attention;
pub mod block;
pub mod mlp;
pub mod patch_embed;
pub mod pos_embed;

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::model::layers::LayerNorm;
use crate::model::resize::{Axis, resize};
use crate::{Error, Result};
use block::{Block, EPSILON};
use patch_embed::{PATCH, PatchEmbed};
use pos_embed::resize_pos_embed;

pub(crate) const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
pub(crate) const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// Sizes of a [`Dinov2`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dinov2Config {
    /// Width of a token.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads.
    pub heads: usize,
    /// Register tokens: 0, or 4 in the published register models.
    #[serde(default)]
    pub registers: usize,
    /// SwiGLU feed-forward network, as in ViT-g.
    #[serde(default)]
    pub swiglu: bool,
    /// Side of the learned position grid; 37 in the published models (518 pixels).
    #[serde(default = "published_grid")]
    pub grid: usize,
}

fn published_grid() -> usize {
    37
}

impl Dinov2Config {
    fn published(width: usize, depth: usize, heads: usize, swiglu: bool) -> Self {
        Self {
            width,
            depth,
            heads,
            registers: 0,
            swiglu,
            grid: published_grid(),
        }
    }

    /// ViT-S/14.
    pub fn small() -> Self {
        Self::published(384, 12, 6, false)
    }

    /// ViT-B/14.
    pub fn base() -> Self {
        Self::published(768, 12, 12, false)
    }

    /// ViT-L/14.
    pub fn large() -> Self {
        Self::published(1024, 24, 16, false)
    }

    /// ViT-g/14.
    pub fn giant() -> Self {
        Self::published(1536, 40, 24, true)
    }

    /// The compact backbone of the `nano` preset.
    pub fn nano() -> Self {
        Self {
            grid: 16,
            ..Self::published(128, 6, 4, false)
        }
    }

    /// With the published number of register tokens.
    pub fn with_registers(self) -> Self {
        Self {
            registers: 4,
            ..self
        }
    }

    /// # Errors
    /// [`Error::Weights`] if no such net can exist, or is too large to be meant.
    pub fn validate(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::Weights(format!("dinov2 config: {what}")));
        if self.heads == 0 || self.width == 0 || !self.width.is_multiple_of(self.heads) {
            return wrong(format!(
                "{} heads do not divide width {}",
                self.heads, self.width
            ));
        }
        if self.width > 8192 || self.registers > 64 {
            return wrong("width over 8192 or more than 64 registers".into());
        }
        if self.depth == 0 || self.depth > 256 || self.grid == 0 || self.grid > 512 {
            return wrong("depth not in 1..=256 or grid not in 1..=512".into());
        }
        Ok(())
    }

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
