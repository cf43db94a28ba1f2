//! How an operation with kernels of its own becomes one of burn's, with its gradients.

use core::fmt::Debug;
use core::marker::PhantomData;

use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Backend, tensor::FloatTensor};

/// An operation on `N` tensors that a backend has kernels for.
pub(super) trait Differentiable<B: Backend, const N: usize>: Debug + Send + 'static {
    /// What the gradients need.
    type Saved: Clone + Debug + Send + 'static;

    /// The result, and what its gradients need.
    fn forward(inputs: [FloatTensor<B>; N]) -> (FloatTensor<B>, Self::Saved);

    /// The gradients of the inputs, from that of the result. Those that are not `wanted` may be left out.
    fn backward(
        saved: Self::Saved,
        dy: FloatTensor<B>,
        wanted: [bool; N],
    ) -> [Option<FloatTensor<B>>; N];
}

/// The result; what the gradients need is kept where one may be asked for.
pub(super) fn record<O, B, C, const N: usize>(
    inputs: [FloatTensor<Autodiff<B, C>>; N],
) -> FloatTensor<Autodiff<B, C>>
where
    O: Differentiable<B, N>,
    B: Backend,
    C: CheckpointStrategy,
{
    let nodes = inputs.each_ref().map(|input| input.node());
    let step = Step::<O>(PhantomData)
        .prepare::<C>(nodes)
        .compute_bound()
        .stateful();
    let (y, saved) = O::forward(inputs.map(|input| input.into_primitive()));
    match step {
        OpsKind::Tracked(step) => step.finish(saved, y),
        OpsKind::UnTracked(step) => step.finish(y),
    }
}

/// A recorded operation.
#[derive(Debug)]
struct Step<O>(PhantomData<O>);

impl<O, B, const N: usize> Backward<B, N> for Step<O>
where
    O: Differentiable<B, N>,
    B: Backend,
{
    type State = O::Saved;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = grads.consume::<B>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let gradients = O::backward(ops.state, dy, wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(node), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

/// Declares a function on tensors that runs an operation's kernels, with and without autodiff: on the CPU (Flex) and on
/// GPUs (Cube), or only where `[Flex]` or `[Cube]` says. There the operation is [`Differentiable`].
macro_rules! operation {
    (@declare [$($backend:tt)+] $ops:ident: $operation:ident,
     $vis:vis fn $kernel:ident($($x:ident: $tensor:ty),+) -> $y:ty) => {
        #[burn::backend::backend_extension($($backend)+, Autodiff)]
        trait $ops: burn::backend::Backend {
            #[allow(clippy::too_many_arguments, reason = "a block has many weights")]
            fn run($($x: burn::backend::tensor::FloatTensor<Self>),+)
                -> burn::backend::tensor::FloatTensor<Self>;
        }

        impl<B, C> $ops for burn::backend::Autodiff<B, C>
        where
            $operation: $crate::ops::operation::Differentiable<B, { [$(stringify!($x)),+].len() }>,
            B: burn::backend::Backend,
            C: burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy,
        {
            fn run($($x: burn::backend::tensor::FloatTensor<Self>),+)
                -> burn::backend::tensor::FloatTensor<Self>
            {
                $crate::ops::operation::record::<$operation, B, C, _>([$($x),+])
            }
        }

        #[allow(clippy::too_many_arguments, reason = "a block has many weights")]
        $vis fn $kernel($($x: $tensor),+) -> $y {
            burn::tensor::Tensor::from_dispatch(<burn::backend::Dispatch as $ops>::run(
                $($x.into_dispatch()),+
            ))
        }
    };
    (@implement $backend:path, $ops:ident: $operation:ident,
     $vis:vis fn $kernel:ident($($x:ident: $tensor:ty),+) -> $y:ty) => {
        impl $ops for $backend {
            fn run($($x: burn::backend::tensor::FloatTensor<Self>),+)
                -> burn::backend::tensor::FloatTensor<Self>
            {
                use $crate::ops::operation::Differentiable;
                <$operation as Differentiable<Self, _>>::forward([$($x),+]).0
            }
        }
    };
    ([Flex] $($declaration:tt)+) => {
        operation! { @declare [Flex] $($declaration)+ }
        operation! { @implement burn::backend::Flex, $($declaration)+ }
    };
    ([Cube] $($declaration:tt)+) => {
        operation! { @declare [Cube] $($declaration)+ }
        operation! { @implement burn_cubecl::CubeBackend, $($declaration)+ }
    };
    ($($declaration:tt)+) => {
        operation! { @declare [Flex, Cube: cfg(feature = "gpu")] $($declaration)+ }
        operation! { @implement burn::backend::Flex, $($declaration)+ }
        #[cfg(feature = "gpu")]
        operation! { @implement burn_cubecl::CubeBackend, $($declaration)+ }
    };
}
pub(super) use operation;
