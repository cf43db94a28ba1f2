//! The first half of Restormer's block in training: a layer norm and attention between channels, added to their input.

use burn_cubecl::tensor::CubeTensor;

use super::super::beginning;
use super::super::depthwise;
use super::super::launch::{Layout, dims, empty};
use super::super::norm::{Projection, channel_norm};
use super::super::pointwise::project;
use super::super::product::Product;
use super::super::row_sums::{Beside, Columns, Sums, fold, pieces};
use super::add;
use super::gathered::gathered;
use super::gradients::{MapGradients, map_gradients};
use super::heads::Heads;

/// The tensors of the operation but beta.
///
/// # Shapes
/// - x: `[images, channels, height, width]`
/// - gamma: `[channels]`
/// - qkv: `[3 * channels, channels, 1, 1]`
/// - dwconv: `[3 * channels, 1, 3, 3]`
/// - temperature: `[heads, 1, 1]`
/// - project_out: `[channels, channels, 1, 1]`
pub(in crate::ops::gpu) type Inputs = [CubeTensor; 6];

/// What the gradients need.
#[derive(Clone, Debug)]
pub(in crate::ops::gpu) struct Saved {
    inputs: Inputs,
    beta: Option<CubeTensor>,
    /// The 1x1 convolution's result.
    wide: CubeTensor,
    /// q, k and v.
    convolved: CubeTensor,
    sums: CubeTensor,
    map: CubeTensor,
    /// `project_out map`.
    whole: CubeTensor,
}

/// `x + project_out(attention(dwconv(qkv(norm(x)))))`.
pub(in crate::ops::gpu) fn forward(
    inputs: Inputs,
    beta: Option<CubeTensor>,
) -> (CubeTensor, Saved) {
    let [x, gamma, qkv, dwconv, temperature, project_out] = inputs.clone();
    let normed = channel_norm(x.clone(), gamma, beta.clone());
    let wide = project(&qkv, normed);
    let convolved = depthwise::depthwise3x3(wide.clone(), dwconv);
    let [heads, ..] = dims::<3>(&temperature);
    let of = Heads::new(&convolved, heads);
    let pieces = pieces(
        convolved.clone(),
        convolved.clone(),
        of.channel_products(),
        Columns::Rows,
        Beside::Squares,
        [of.part(0), of.part(1)],
    );
    let [sums, map, whole] = gathered(&of, pieces, temperature, project_out);
    let y = add(&of, whole.clone(), convolved.clone(), x);
    let saved = Saved {
        inputs,
        beta,
        wide,
        convolved,
        sums,
        map,
        whole,
    };
    (y, saved)
}

/// The gradient of x, and what the others are made of.
#[derive(Debug)]
pub(in crate::ops::gpu) struct Unfinished {
    pub dx: CubeTensor,
    pub projection: Projection,
    /// In pieces, as those that follow.
    pub ddwconv: CubeTensor,
    pub dtemperature: CubeTensor,
    pub dproject_out: CubeTensor,
}

pub(in crate::ops::gpu) fn gradients(saved: Saved, dy: CubeTensor) -> Unfinished {
    let Saved {
        inputs: [x, gamma, qkv, dwconv, temperature, project_out],
        beta,
        wide,
        convolved,
        sums,
        map,
        whole,
    } = saved;
    let [heads, ..] = dims::<3>(&temperature);
    let of = Heads::new(&convolved, heads);
    let channels = of.channels();
    let all = Sums {
        images: of.images,
        heads: 1,
        rows: channels,
        columns: channels,
        pixels: of.pixels,
        over_images: false,
    };
    let dwhole = pieces(
        dy.clone(),
        convolved.clone(),
        all,
        Columns::Rows,
        Beside::Nothing,
        [of.output(), of.part(2)],
    );
    let [dwhole] = fold([dwhole]);
    let MapGradients {
        across,
        pulls,
        dtemperature,
        dproject_out,
    } = map_gradients(&of, dwhole, project_out, map, sums, temperature);
    let dconvolved = empty(&convolved, convolved.meta.shape().clone());
    // q and k follow each other, as twice as many heads: q's gradient is of k, and k's of q.
    let mut size = of.size();
    size.heads *= 2;
    let both = Layout {
        image: 2 * of.map().image,
        ..of.map()
    };
    let q_and_k = Product::new(size, [both, of.part(0), of.part(0)]);
    Product {
        ahead: heads,
        ..q_and_k.with_own(convolved.clone(), Some(pulls))
    }
    .write(across, convolved, &dconvolved);
    Product::new(of.whole_size(), [of.whole(), of.output(), of.part(2)])
        .transposed()
        .write(whole, dy.clone(), &dconvolved);
    let beginning = [x, gamma, qkv, dwconv];
    let beginning::Gradients {
        dx,
        projection,
        ddwconv,
    } = beginning::gradients(beginning, beta, wide, dconvolved, dy);
    Unfinished {
        dx,
        projection,
        ddwconv,
        dtemperature,
        dproject_out,
    }
}
