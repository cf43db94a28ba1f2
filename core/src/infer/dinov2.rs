//! DINOv2 with a row for each channel and a column for each token, as in an image whose pixels are tokens: every product then
//! has weights on its left and tokens in its columns.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::run::Workspace;
use super::weights::{Normed, linear, values};
use crate::cpu::columns::{gated_silu, gelu, scale_columns, softmax_columns};
use crate::cpu::matrix::Matrix;
use crate::cpu::pointwise::for_each_panel;
use crate::cpu::pool::{Map, Planes};
use crate::cpu::rows::PANEL;
use crate::cpu::rows::Rows;
use crate::model::dinov2;
use crate::model::dinov2::mlp::{self, FeedForward};
use crate::model::dinov2::patch_embed::PATCH;
use crate::model::dinov2::pos_embed::resize_pos_embed;
use crate::model::dinov2::{IMAGENET_MEAN, IMAGENET_STD};

/// Pixels of a patch in one channel.
const AREA: usize = PATCH * PATCH;

/// The backbone with its weights packed.
#[derive(Debug)]
pub(crate) struct Dinov2 {
    width: usize,
    /// Class token with its position, then registers: token by token.
    prefix: Vec<f32>,
    /// With ImageNet's mean and deviation.
    patch_embed: Matrix,
    pos_embed: Tensor<3>,
    registers: bool,
    blocks: Vec<Block>,
    /// The positions of the last size.
    positions: Mutex<Option<Positions>>,
}

#[derive(Clone, Debug)]
struct Positions {
    grid: [usize; 2],
    /// Channel by channel.
    values: Arc<Vec<f32>>,
}

impl Dinov2 {
    pub(crate) fn new(backbone: &dinov2::Dinov2) -> Self {
        let mut prefix = values(&backbone.cls_token);
        let width = prefix.len();
        for (token, position) in prefix.iter_mut().zip(values(&backbone.pos_embed)) {
            *token += position;
        }
        let registers = backbone.register_tokens.as_ref().map(values);
        prefix.extend(registers.iter().flatten());
        let weight = values(&backbone.patch_embed.weight);
        let normalised = |row: usize, column: usize| {
            weight[row * 3 * AREA + column] / IMAGENET_STD[column / AREA]
        };
        let bias = values(&backbone.patch_embed.bias);
        let bias = bias.iter().enumerate().map(|(row, bias)| {
            let shift = |column| f64::from(normalised(row, column) * IMAGENET_MEAN[column / AREA]);
            (f64::from(*bias) - (0..3 * AREA).map(shift).sum::<f64>()) as f32
        });
        let bias = bias.collect();
        Self {
            width,
            prefix,
            patch_embed: Matrix::from_fn(width, 3 * AREA, normalised).with_bias(bias),
            pos_embed: backbone.pos_embed.val(),
            registers: registers.is_some(),
            blocks: backbone.blocks.iter().map(Block::new).collect(),
            positions: Mutex::new(None),
        }
    }

    /// Operations of the embedding and so many blocks with so many patches.
    pub(crate) fn flops(&self, blocks: usize, patches: usize) -> u64 {
        let tokens = self.prefix.len() / self.width + patches;
        let block = self.blocks.first().map_or(0, |block| block.flops(tokens));
        self.patch_embed.flops() * patches as u64 + blocks as u64 * block
    }

    /// Runs the blocks up to the last one that is asked for on an image in RGB, 0..1, whose sides
    /// are multiples of 14; `after_block(number, patches)` is called after each block, counted from 1.
    pub(crate) fn forward(
        &self,
        workspace: &Workspace,
        image: Planes<'_>,
        last: usize,
        mut after_block: impl FnMut(usize, Planes<'_>),
    ) {
        let grid = image.size().map(|side| side / PATCH);
        let tokens = self.prefix.len() / self.width + grid[0] * grid[1];
        let x = Map::new(&workspace.maps, self.width, [1, tokens]);
        let x = x.planes();
        // SAFETY: the map is this function's.
        unsafe { self.embed(workspace, image, x) };
        for (number, block) in (1..=last).zip(&self.blocks) {
            // SAFETY: the map is this function's.
            unsafe { block.forward(workspace, x) };
            after_block(number, x.tail(grid));
        }
    }

    /// # Safety
    /// `x` is this call's alone.
    unsafe fn embed(&self, workspace: &Workspace, image: Planes<'_>, x: Planes<'_>) {
        let grid = image.size().map(|side| side / PATCH);
        let (patches, prefix) = (grid[0] * grid[1], self.prefix.len() / self.width);
        let mut positions = self.positions(grid);
        // Only read: an address to read from has the type of one to write to.
        let positions = Rows {
            start: Arc::make_mut(&mut positions).as_mut_ptr(),
            stride: patches,
        };
        let start = SendRows(positions);
        for (token, values) in self.prefix.chunks_exact(self.width).enumerate() {
            for (channel, value) in values.iter().enumerate() {
                // SAFETY: a token of `x`.
                unsafe { *x.at(channel, token).start = *value };
            }
        }
        for_each_panel(patches, |first, columns| {
            let panel = workspace.scratch.take(3 * AREA * PANEL);
            let panel = Rows {
                start: panel.start(),
                stride: PANEL,
            };
            let positions = start;
            // SAFETY: pixels of patches; the panel and these tokens are this task's alone.
            unsafe {
                for patch in 0..columns {
                    let [row, column] = [(first + patch) / grid[1], (first + patch) % grid[1]];
                    for channel in 0..3 {
                        for y in 0..PATCH {
                            let pixel = (row * PATCH + y) * image.width + column * PATCH;
                            let from = image.at(channel, pixel).start;
                            let to = panel.below(channel * AREA + y * PATCH).right(patch);
                            for k in 0..PATCH {
                                *to.row(k) = *from.add(k);
                            }
                        }
                    }
                }
                let position = positions.0.right(first);
                let to = x.at(0, prefix + first);
                self.patch_embed
                    .multiply(panel, Some(position), to, columns);
            }
        });
    }

    /// Positions of a grid of patches, channel by channel.
    fn positions(&self, grid: [usize; 2]) -> Arc<Vec<f32>> {
        let mut kept = self
            .positions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_ref().filter(|kept| kept.grid == grid) {
            return Arc::clone(&kept.values);
        }
        let [rows, columns] = grid;
        let resized = resize_pos_embed(self.pos_embed.clone(), rows, columns, self.registers);
        let by_channel = resized.narrow(1, 1, rows * columns).swap_dims(1, 2);
        let values: Vec<f32> = by_channel
            .into_data()
            .convert::<f32>()
            .try_into_vec()
            .expect("f32 after the conversion");
        let values = Arc::new(values);
        *kept = Some(Positions {
            grid,
            values: Arc::clone(&values),
        });
        values
    }
}

/// Rows that several threads read.
#[derive(Clone, Copy)]
struct SendRows(Rows);

// SAFETY: addresses; whoever reads through them (unsafe) answers for races.
unsafe impl Sync for SendRows {}

/// A transformer block; LayerScale is part of the projections.
#[derive(Debug)]
struct Block {
    heads: usize,
    /// With one over the root of a head's width in the queries.
    qkv: Normed,
    proj: Matrix,
    mlp_in: Normed,
    mlp_out: Matrix,
    swiglu: bool,
}

/// Keys and values of a head, packed.
struct Head {
    /// A row for each token.
    keys: Matrix,
    /// A row for each channel.
    values: Matrix,
}

impl Block {
    fn new(block: &dinov2::block::Block) -> Self {
        let heads = block.attn.heads;
        let [width, _] = block.attn.proj.weight.dims();
        let scale = 1.0 / ((width / heads) as f32).sqrt();
        let (ls1, ls2) = (values(&block.ls1), values(&block.ls2));
        let (mlp_in, mlp_out, swiglu) = match &block.mlp {
            FeedForward::Mlp(mlp::Mlp { fc1, fc2 }) => (fc1, fc2, false),
            FeedForward::SwiGlu(mlp::SwiGlu { w12, w3 }) => (w12, w3, true),
        };
        Self {
            heads,
            qkv: Normed::of_tokens(&block.norm1, &block.attn.qkv, |row| {
                if row < width { scale } else { 1.0 }
            }),
            proj: linear(&block.attn.proj, |row| ls1[row]),
            mlp_in: Normed::of_tokens(&block.norm2, mlp_in, |_| 1.0),
            mlp_out: linear(mlp_out, |row| ls2[row]),
            swiglu,
        }
    }

    fn flops(&self, tokens: usize) -> u64 {
        let linear = [
            &self.qkv.matrix,
            &self.proj,
            &self.mlp_in.matrix,
            &self.mlp_out,
        ];
        let linear: u64 = linear.iter().map(|matrix| matrix.flops()).sum();
        let tokens = tokens as u64;
        tokens * (linear + 4 * tokens * self.proj.rows() as u64)
    }

    /// # Safety
    /// `x` is this call's alone.
    unsafe fn forward(&self, workspace: &Workspace, x: Planes<'_>) {
        let width = x.channels;
        let qkv = Map::new(&workspace.maps, 3 * width, x.size());
        let qkv = qkv.planes();
        for_each_panel(x.pixels(), |first, columns| {
            let panel = workspace.scratch.take(width * PANEL);
            // SAFETY: panels of the map do not overlap.
            unsafe {
                let to = qkv.at(0, first);
                self.qkv
                    .multiply(x.at(0, first), panel.start(), to, columns);
            }
        });
        let heads: Vec<Head> = (0..self.heads)
            .into_par_iter()
            // SAFETY: nobody writes to the map any more.
            .map(|head| unsafe { self.pack(qkv, head) })
            .collect();
        for_each_panel(x.pixels(), |first, columns| {
            // SAFETY: panels of `x` do not overlap.
            unsafe {
                self.attend(workspace, qkv, &heads, first, columns, x.at(0, first));
                self.feed_forward(workspace, columns, x.at(0, first));
            }
        });
    }

    /// # Safety
    /// `qkv` is not written to meanwhile.
    unsafe fn pack(&self, qkv: Planes<'_>, head: usize) -> Head {
        let width = qkv.channels / 3;
        let depth = width / self.heads;
        let tokens = qkv.pixels();
        // SAFETY: nobody writes to `qkv` while its slices are used.
        let channels = |part: usize| unsafe {
            let planes = qkv.narrow(part * width + head * depth, depth);
            (planes.all(), planes.stride)
        };
        let ((keys, stride), (values, _)) = (channels(1), channels(2));
        Head {
            keys: Matrix::from_fn(tokens, depth, |token, channel| {
                keys[channel * stride + token]
            }),
            values: Matrix::from_fn(depth, tokens, |channel, token| {
                values[channel * stride + token]
            }),
        }
    }

    /// `x += proj(attention)` for a panel of tokens.
    ///
    /// # Safety
    /// `qkv` is not written to meanwhile; the columns of `x` are this call's alone.
    unsafe fn attend(
        &self,
        workspace: &Workspace,
        qkv: Planes<'_>,
        heads: &[Head],
        first: usize,
        columns: usize,
        x: Rows,
    ) {
        let depth = qkv.channels / 3 / self.heads;
        let tokens = qkv.pixels();
        let scores = workspace.scratch.take((tokens + 1) * PANEL);
        let mixed = workspace.scratch.take(self.proj.inner() * PANEL);
        let panel = |start| Rows {
            start,
            stride: PANEL,
        };
        let (scores, mixed) = (panel(scores.start()), panel(mixed.start()));
        // SAFETY: panels of this call, the last row of the scores for the scales; `qkv` is only read, the columns of `x` are this call's.
        unsafe {
            let scales = scores.row(tokens);
            for (head, Head { keys, values }) in heads.iter().enumerate() {
                let queries = qkv.at(head * depth, first);
                let mixed = mixed.below(head * depth);
                keys.multiply(queries, None, scores, columns);
                softmax_columns(scores.start, tokens, columns, scales);
                values.multiply(scores, None, mixed, columns);
                scale_columns(mixed.start, depth, columns, scales);
            }
            self.proj.multiply(mixed, Some(x), x, columns);
        }
    }

    /// `x += mlp(norm(x))` for a panel of tokens.
    ///
    /// # Safety
    /// The columns of `x` are this call's alone.
    unsafe fn feed_forward(&self, workspace: &Workspace, columns: usize, x: Rows) {
        let wide = self.mlp_in.matrix.rows();
        let normed = workspace.scratch.take(self.mlp_in.matrix.inner() * PANEL);
        let hidden = workspace.scratch.take(wide * PANEL);
        let hidden = Rows {
            start: hidden.start(),
            stride: PANEL,
        };
        // SAFETY: panels of this call; the columns of `x` are this call's.
        unsafe {
            self.mlp_in.multiply(x, normed.start(), hidden, columns);
            if self.swiglu {
                gated_silu(hidden, hidden.below(wide / 2), wide / 2, columns);
            } else {
                gelu(hidden, wide, columns);
            }
            self.mlp_out.multiply(hidden, Some(x), x, columns);
        }
    }
}
