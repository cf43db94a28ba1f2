//! How the kernels are recorded for their gradients, on devices with autodiff.

use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Backend, backend_extension, tensor::FloatTensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use super::launch::contiguous;
use super::{conv, depthwise, gelu, mdta, norm, product};

/// The operations that are trained through; each is described where the tensor function is.
#[backend_extension(Cube, Autodiff)]
pub(super) trait TrainedOps: Backend {
    fn depthwise3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
    fn conv3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
    fn gated_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn bias_free_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>) -> FloatTensor<Self>;
    fn channel_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn mdta(qkv: FloatTensor<Self>, temperature: FloatTensor<Self>) -> FloatTensor<Self>;
    fn matmul(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl TrainedOps for CubeBackend {
    fn depthwise3x3(x: CubeTensor, weight: CubeTensor) -> CubeTensor {
        depthwise::depthwise3x3(x, weight)
    }

    fn conv3x3(x: CubeTensor, weight: CubeTensor) -> CubeTensor {
        conv::conv3x3(x, weight)
    }

    fn gated_gelu(x: CubeTensor) -> CubeTensor {
        gelu::gated_gelu(x)
    }

    fn bias_free_norm(x: CubeTensor, gamma: CubeTensor) -> CubeTensor {
        norm::channel_norm(x, gamma, None)
    }

    fn channel_norm(x: CubeTensor, gamma: CubeTensor, beta: CubeTensor) -> CubeTensor {
        norm::channel_norm(x, gamma, Some(beta))
    }

    fn mdta(qkv: CubeTensor, temperature: CubeTensor) -> CubeTensor {
        mdta::attend(qkv, temperature).y
    }

    fn matmul(a: CubeTensor, b: CubeTensor) -> CubeTensor {
        product::matmul(a, b)
    }
}

impl<C: CheckpointStrategy> TrainedOps for Autodiff<CubeBackend, C> {
    fn depthwise3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<C, _>(DepthwiseBackward, x, weight, CubeBackend::depthwise3x3)
    }

    fn conv3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<C, _>(ConvBackward, x, weight, CubeBackend::conv3x3)
    }

    fn gated_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let step = GateBackward
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful();
        let x = contiguous(x.into_primitive());
        match step {
            OpsKind::Tracked(step) => step.finish(x.clone(), gelu::gated_gelu(x)),
            OpsKind::UnTracked(step) => step.finish(gelu::gated_gelu(x)),
        }
    }

    fn bias_free_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<C, _>(BiasFreeBackward, x, gamma, CubeBackend::bias_free_norm)
    }

    fn channel_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let step = NormBackward
            .prepare::<C>([x.node(), gamma.node(), beta.node()])
            .compute_bound()
            .stateful();
        let x = contiguous(x.into_primitive());
        let gamma = contiguous(gamma.into_primitive());
        let beta = beta.into_primitive();
        let y = norm::channel_norm(x.clone(), gamma.clone(), Some(beta));
        match step {
            OpsKind::Tracked(step) => step.finish([x, gamma], y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    fn mdta(qkv: FloatTensor<Self>, temperature: FloatTensor<Self>) -> FloatTensor<Self> {
        let step = MdtaBackward
            .prepare::<C>([qkv.node(), temperature.node()])
            .compute_bound()
            .stateful();
        let qkv = contiguous(qkv.into_primitive());
        let temperature = contiguous(temperature.into_primitive());
        let found = mdta::attend(qkv.clone(), temperature.clone());
        match step {
            OpsKind::Tracked(step) => {
                step.finish([qkv, temperature, found.sums, found.map], found.y)
            }
            OpsKind::UnTracked(step) => step.finish(found.y),
        }
    }

    fn matmul(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<C, _>(MatmulBackward, a, b, CubeBackend::matmul)
    }
}

/// Runs `forward`; where a gradient may be asked for, both tensors are kept for `backward`.
fn record<C, B>(
    backward: B,
    x: FloatTensor<Autodiff<CubeBackend, C>>,
    weight: FloatTensor<Autodiff<CubeBackend, C>>,
    forward: fn(CubeTensor, CubeTensor) -> CubeTensor,
) -> FloatTensor<Autodiff<CubeBackend, C>>
where
    C: CheckpointStrategy,
    B: Backward<CubeBackend, 2, State = [CubeTensor; 2]>,
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
            step.finish([x, weight], y)
        }
        OpsKind::UnTracked(step) => step.finish(forward(x, weight)),
    }
}

/// Adds what was found to the gradients of those parents that are asked for theirs. (Their type has no public name.)
macro_rules! register {
    ($grads:expr, $parents:expr, $found:expr) => {
        for (parent, gradient) in $parents.into_iter().zip($found) {
            if let Some(node) = parent {
                $grads.register::<CubeBackend>(node.id, gradient);
            }
        }
    };
}

#[derive(Debug)]
struct DepthwiseBackward;

impl Backward<CubeBackend, 2> for DepthwiseBackward {
    type State = [CubeTensor; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = contiguous(grads.consume::<CubeBackend>(&ops.node));
        let [x, weight] = ops.state;
        let dx = depthwise::input_gradient(dy.clone(), weight);
        register!(grads, ops.parents, [dx, depthwise::filter_gradient(x, dy)]);
    }
}

#[derive(Debug)]
struct ConvBackward;

impl Backward<CubeBackend, 2> for ConvBackward {
    type State = [CubeTensor; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = contiguous(grads.consume::<CubeBackend>(&ops.node));
        let [x, weight] = ops.state;
        let dx = conv::input_gradient(dy.clone(), weight);
        register!(grads, ops.parents, [dx, conv::filter_gradient(x, dy)]);
    }
}

#[derive(Debug)]
struct GateBackward;

impl Backward<CubeBackend, 1> for GateBackward {
    type State = CubeTensor;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = grads.consume::<CubeBackend>(&ops.node);
        register!(grads, ops.parents, [gelu::gate_gradient(ops.state, dy)]);
    }
}

#[derive(Debug)]
struct BiasFreeBackward;

impl Backward<CubeBackend, 2> for BiasFreeBackward {
    type State = [CubeTensor; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = grads.consume::<CubeBackend>(&ops.node);
        let [x, gamma] = ops.state;
        let [dx, dgamma, _] = norm::channel_norm_gradients(x, gamma, dy, false);
        register!(grads, ops.parents, [dx, dgamma]);
    }
}

#[derive(Debug)]
struct NormBackward;

impl Backward<CubeBackend, 3> for NormBackward {
    type State = [CubeTensor; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = grads.consume::<CubeBackend>(&ops.node);
        let [x, gamma] = ops.state;
        let found = norm::channel_norm_gradients(x, gamma, dy, true);
        register!(grads, ops.parents, found);
    }
}

#[derive(Debug)]
struct MdtaBackward;

impl Backward<CubeBackend, 2> for MdtaBackward {
    /// q, k and v, the temperatures, the sums and the map.
    type State = [CubeTensor; 4];

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = grads.consume::<CubeBackend>(&ops.node);
        let found = mdta::gradients(ops.state, dy);
        register!(grads, ops.parents, found);
    }
}

#[derive(Debug)]
struct MatmulBackward;

impl Backward<CubeBackend, 2> for MatmulBackward {
    type State = [CubeTensor; 2];

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dc = contiguous(grads.consume::<CubeBackend>(&ops.node));
        let [a, b] = ops.state;
        let [a_parent, b_parent] = ops.parents;
        if let Some(node) = a_parent {
            let da = product::left_gradient(&a, b.clone(), dc.clone());
            grads.register::<CubeBackend>(node.id, da);
        }
        if let Some(node) = b_parent {
            grads.register::<CubeBackend>(node.id, product::right_gradient(a, &b, dc));
        }
    }
}
