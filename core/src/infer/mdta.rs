//! Multi-Dconv head transposed attention: the first sweep of a block.
//!
//! Queries and keys are needed only for their products with each other, so a band's are gone when the
//! next one's come; only the values are stored. The attention and the projection after it become one
//! matrix of the size `channels x channels`.

use core::ops::Range;

use rayon::prelude::*;

use super::global_statistics::GlobalStatistics;
use super::run::Workspace;
use super::weights::{Normed, is_supported, taps, values};
use crate::constants::LEAST_NORM;
use crate::cpu::activations::softmax;
use crate::cpu::add;
use crate::cpu::depthwise::{Inputs, Size, depthwise};
use crate::cpu::layer_norm::standardise;
use crate::cpu::matmul_nt::{Factors, matmul_nt};
use crate::cpu::matrix::Matrix;
use crate::cpu::pool::{Planes, Pool};
use crate::cpu::rows::PANEL;
use crate::cpu::rows::Rows;
use crate::cpu::rows::Strided;
use crate::cpu::simd::{MAX_LANES, sum_of_squares};
use crate::cpu::sweep::{BAND, Part, Ring, parts};
use crate::model::restormer::layer_norm::ChannelLayerNorm;
use crate::model::restormer::mdta;

/// The attention of a block with the norm before it.
#[derive(Debug)]
pub(crate) struct Mdta {
    channels: usize,
    qkv: Normed,
    /// The last third of `qkv`: all that is needed where products are given.
    values: Normed,
    taps: Vec<f32>,
    temperature: Vec<f32>,
    /// The projection of each head's channels.
    project_out: Vec<Matrix>,
}

/// Products of queries and keys, and their norms squared.
struct Products {
    /// For each head `depth x depth`.
    gram: Vec<f32>,
    /// Of the channels of q, then of k.
    squares: Vec<f32>,
}

impl Mdta {
    /// Nothing if there is more in the module than the sweep computes.
    pub(crate) fn new(norm: &ChannelLayerNorm, attention: &mdta::Mdta) -> Option<Self> {
        let mdta::Mdta {
            temperature: _,
            qkv,
            qkv_dwconv,
            project_out,
        } = attention;
        if ![qkv, qkv_dwconv, project_out].into_iter().all(is_supported) {
            return None;
        }
        let temperature = values(&attention.temperature);
        let project = values(&project_out.weight);
        let channels = project.len().isqrt();
        let depth = channels / temperature.len();
        let head = |head: usize| {
            Matrix::from_fn(channels, depth, |row, column| {
                project[row * channels + head * depth + column]
            })
        };
        Some(Self {
            channels,
            qkv: Normed::new(norm, qkv, 0),
            values: Normed::new(norm, qkv, 2 * channels),
            taps: taps(qkv_dwconv),
            project_out: (0..temperature.len()).map(head).collect(),
            temperature,
        })
    }

    /// Operations for each pixel.
    pub(crate) fn flops(&self) -> u64 {
        let channels = self.channels as u64;
        let depth = channels / self.temperature.len() as u64;
        self.qkv.matrix.flops() + 54 * channels + 2 * channels * (depth + channels)
    }

    /// Writes the values to `v`, and returns the matrix that takes them to what the block adds to
    /// its input.
    ///
    /// # Safety
    /// `x` is not written to meanwhile; `v`, of the same size, is this call's alone.
    pub(crate) unsafe fn forward(
        &self,
        workspace: &Workspace,
        x: Planes<'_>,
        v: Planes<'_>,
        stats: &mut GlobalStatistics<'_>,
    ) -> Matrix {
        let pool = &workspace.scratch;
        if stats.is_given() {
            let parts = parts(x.size(), self.channels);
            // SAFETY: `x` is only read; parts of `v` do not overlap.
            let sweep = |part| unsafe { self.sweep_values(part, pool, x, v) };
            parts.par_iter().with_max_len(1).for_each(sweep);
        }
        let depth = self.channels / self.temperature.len();
        let products = stats.take(self.channels * (depth + 2), || {
            let parts = parts(x.size(), 3 * self.channels);
            // SAFETY: `x` is only read; parts of `v` do not overlap.
            let sweep = |part| unsafe { self.sweep(part, pool, x, v) };
            let products: Vec<_> = parts.par_iter().with_max_len(1).map(sweep).collect();
            let mut sum = self.no_products();
            for part in &products {
                add(&mut sum.gram, &part.gram);
                add(&mut sum.squares, &part.squares);
            }
            [sum.gram, sum.squares].concat()
        });
        self.project(products)
    }

    fn no_products(&self) -> Products {
        let depth = self.channels / self.temperature.len();
        Products {
            gram: vec![0.0; self.channels * depth],
            squares: vec![0.0; 2 * self.channels],
        }
    }

    /// # Safety
    /// As for [`Self::forward`], for this part of `v`.
    unsafe fn sweep(&self, part: &Part, pool: &Pool, x: Planes<'_>, v: Planes<'_>) -> Products {
        let channels = self.channels;
        let inputs = part.inputs();
        let normed = pool.take(channels * PANEL);
        let ring = Ring::new(pool, 3 * channels, part);
        let outputs = ring.outputs();
        // Queries and keys of a band, rows one after the other; the columns that fill up the last
        // vector stay zero.
        let width = part.columns.len();
        let row = width.next_multiple_of(MAX_LANES);
        let stride = BAND * row + MAX_LANES;
        let queries = pool.take(2 * channels * stride);
        let start = queries.start();
        for channel in 0..2 * channels {
            for end in (0..BAND).map(|r| channel * stride + r * row + width) {
                // SAFETY: after the columns of a row, in this sweep's own buffer.
                unsafe { start.add(end).write_bytes(0, row - width) };
            }
        }
        let mut products = self.no_products();
        let depth = channels / self.temperature.len();

        // SAFETY: `x` is only read; the panel and the rows of the ring are this sweep's.
        let produce = |y, to| unsafe { self.qkv.row(&inputs, x, y, normed.start(), to) };
        let consume = |y: usize, rows: usize, offsets: &_| {
            let size = Size {
                rows,
                columns: width,
            };
            for channel in 0..3 * channels {
                let taps = &self.taps[channel * 9..][..9];
                // SAFETY: rows of the ring; a channel of the band, or this part of the values.
                unsafe {
                    let inputs = Inputs {
                        start: outputs.row(channel),
                        offsets,
                    };
                    let to = match channel.checked_sub(2 * channels) {
                        None => Rows {
                            start: start.add(channel * stride),
                            stride: row,
                        },
                        Some(channel) => part.band(v, channel, y),
                    };
                    depthwise(inputs, taps, 0.0, to, size);
                }
            }
            let inner = rows * row;
            // SAFETY: the whole buffer, which nobody writes to while this is alive.
            let slice = unsafe { core::slice::from_raw_parts(start, queries.len()) };
            for (head, gram) in products.gram.chunks_exact_mut(depth * depth).enumerate() {
                let [a, b] = [0, channels].map(|first| Strided {
                    values: &slice[(first + head * depth) * stride..],
                    stride,
                });
                let factors = Factors {
                    rows: depth,
                    columns: depth,
                    inner,
                    a,
                    b,
                };
                matmul_nt(&factors, gram);
            }
            for (channel, squares) in slice.chunks(stride).zip(&mut products.squares) {
                *squares += sum_of_squares(&channel[..inner]);
            }
        };
        part.sweep(&ring, produce, consume);
        products
    }

    /// As [`Self::sweep`], of the values alone.
    ///
    /// # Safety
    /// As there.
    unsafe fn sweep_values(&self, part: &Part, pool: &Pool, x: Planes<'_>, v: Planes<'_>) {
        let channels = self.channels;
        let inputs = part.inputs();
        let normed = pool.take(channels * PANEL);
        let ring = Ring::new(pool, channels, part);
        let outputs = ring.outputs();
        let taps = &self.taps[2 * channels * 9..];
        // SAFETY: `x` is only read; the panel and the rows of the ring are this sweep's.
        let produce = |y, to| unsafe { self.values.row(&inputs, x, y, normed.start(), to) };
        let consume = |y: usize, rows: usize, offsets: &_| {
            let columns = part.columns.len();
            for (channel, taps) in taps.chunks_exact(9).enumerate() {
                // SAFETY: rows of the ring; this part of the values.
                unsafe {
                    let start = outputs.row(channel);
                    let inputs = Inputs { start, offsets };
                    let to = part.band(v, channel, y);
                    depthwise(inputs, taps, 0.0, to, Size { rows, columns });
                }
            }
        };
        part.sweep(&ring, produce, consume);
    }

    /// The attention of each head, and the projection times it.
    fn project(&self, mut products: Vec<f32>) -> Matrix {
        let channels = self.channels;
        let depth = channels / self.temperature.len();
        let norms = products.split_off(channels * depth);
        let norms: Vec<f32> = norms
            .iter()
            .map(|square| square.sqrt().max(LEAST_NORM))
            .collect();
        let (q_norms, k_norms) = norms.split_at(channels);
        let mut attention = products;
        for (channel, row) in attention.chunks_exact_mut(depth).enumerate() {
            let head = channel / depth;
            let temperature = self.temperature[head];
            for (value, k_norm) in row.iter_mut().zip(&k_norms[head * depth..]) {
                *value = *value / (q_norms[channel] * k_norm) * temperature;
            }
            softmax(row);
        }
        // Whole vectors are read of the last row.
        attention.extend([0.0; MAX_LANES]);
        let mut product = vec![0.0f32; channels * channels];
        let rows = Rows {
            start: product.as_mut_ptr(),
            stride: channels,
        };
        for (head, project) in self.project_out.iter().enumerate() {
            let attention = Rows {
                start: attention[head * depth * depth..].as_mut_ptr(),
                stride: depth,
            };
            // SAFETY: `depth` rows of the attention; `channels` rows of this head's columns.
            unsafe { project.multiply(attention, None, rows.right(head * depth), depth) };
        }
        Matrix::new(&product, channels, channels)
    }
}

impl Normed {
    /// The matrix times the normalised columns `inputs` of row `y` of `x`.
    ///
    /// # Safety
    /// As for [`Self::multiply`]; nobody writes to `x`.
    unsafe fn row(
        &self,
        inputs: &Range<usize>,
        x: Planes<'_>,
        y: usize,
        panel: *mut f32,
        to: Rows,
    ) {
        for first in (0..inputs.len()).step_by(PANEL) {
            let columns = PANEL.min(inputs.len() - first);
            // SAFETY: columns of this row, of the panel and of the result.
            unsafe {
                let from = x.at(0, y * x.width + inputs.start + first);
                self.multiply(from, panel, to.right(first), columns);
            }
        }
    }

    /// The matrix times the normalised columns of `x`; `panel` is room for them.
    ///
    /// # Safety
    /// As for [`Matrix::multiply`], at most [`PANEL`] columns; the panel is this thread's alone.
    pub(crate) unsafe fn multiply(&self, x: Rows, panel: *mut f32, to: Rows, columns: usize) {
        let normed = Rows {
            start: panel,
            stride: PANEL,
        };
        // SAFETY: `x` has a row for each column of the matrix; the panel and the columns of `to` are this thread's.
        unsafe {
            standardise(
                x,
                self.matrix.inner(),
                columns,
                self.centred,
                self.epsilon,
                panel,
            );
            self.matrix.multiply(normed, None, to, columns);
        }
    }
}
