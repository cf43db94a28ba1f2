//! How a kernel of two tensors is recorded for its gradient.

use super::flex::contiguous;
use burn::backend::autodiff::{
    Autodiff,
    checkpoint::strategy::CheckpointStrategy,
    ops::{Backward, OpsKind},
};
use burn::backend::{Flex, tensor::FloatTensor};
use burn_flex::FlexTensor;

/// Runs `forward`; where a gradient may be asked for, both tensors are kept for `backward`.
pub(super) fn record<C, B>(
    backward: B,
    x: FloatTensor<Autodiff<Flex, C>>,
    weight: FloatTensor<Autodiff<Flex, C>>,
    forward: fn(FlexTensor, FlexTensor) -> FlexTensor,
) -> FloatTensor<Autodiff<Flex, C>>
where
    C: CheckpointStrategy,
    B: Backward<Flex, 2, State = (FlexTensor, FlexTensor)>,
{
    let step = backward
        .prepare::<C>([x.node(), weight.node()])
        .compute_bound()
        .stateful();
    let x = contiguous(x.into_primitive());
    let weight = contiguous(weight.into_primitive());
    match step {
        OpsKind::Tracked(step) => {
            let y = forward(x.clone(), weight.clone());
            step.finish((x, weight), y)
        }
        OpsKind::UnTracked(step) => step.finish(forward(x, weight)),
    }
}
