//! Float parameters of any module by name, the path of its fields joined by dots
//! (`encoder.0.attention.weight`).
//!
//! Optimiser, EMA and checkpoints all work on these names and on flat tensors, so that a checkpoint
//! holds nothing but named tensors and resumes bit by bit.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Gradients, Tensor, TensorData};

/// Values by parameter name, in the order of the names.
pub type NamedTensors = BTreeMap<String, TensorData>;

/// Flat tensors by parameter name, without autodiff.
pub type FlatTensors = BTreeMap<String, Tensor<1>>;

/// Whether `name` starts with one of `prefixes` (`backbone.` is everything below `backbone`).
pub fn has_prefix(name: &str, prefixes: &[String]) -> bool {
    prefixes
        .iter()
        .any(|prefix| name.starts_with(prefix.as_str()))
}

/// Copies every float parameter to the host, with its shape.
pub fn named_tensors<M: Module>(module: &M) -> NamedTensors {
    struct Collect {
        path: Vec<String>,
        tensors: NamedTensors,
    }
    impl ModuleVisitor for Collect {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let data = param.val().inner().into_data();
            self.tensors.insert(self.path.join("."), data);
        }
    }
    let mut collect = Collect {
        path: Vec::new(),
        tensors: NamedTensors::new(),
    };
    module.visit(&mut collect);
    collect.tensors
}

/// Every float parameter as a flat tensor on its own device, outside autodiff.
pub fn flat_tensors<M: Module>(module: &M) -> FlatTensors {
    struct Flatten {
        path: Vec<String>,
        tensors: FlatTensors,
    }
    impl ModuleVisitor for Flatten {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.tensors
                .insert(self.path.join("."), flatten(param.val().inner()));
        }
    }
    let mut visitor = Flatten {
        path: Vec::new(),
        tensors: FlatTensors::new(),
    };
    module.visit(&mut visitor);
    visitor.tensors
}

/// Takes each parameter's gradient out of `gradients`, flat. Parameters without one are left out.
pub fn flat_gradients<M: Module>(module: &M, gradients: &mut Gradients) -> FlatTensors {
    struct Take<'a> {
        path: Vec<String>,
        gradients: &'a mut Gradients,
        tensors: FlatTensors,
    }
    impl ModuleVisitor for Take<'_> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad_remove(self.gradients) {
                self.tensors.insert(self.path.join("."), flatten(gradient));
            }
        }
    }
    let mut visitor = Take {
        path: Vec::new(),
        gradients,
        tensors: FlatTensors::new(),
    };
    module.visit(&mut visitor);
    visitor.tensors
}

/// Replaces parameters: `update` gets each name, shape and flat value (outside autodiff) and returns the
/// new flat value of the same length, or `None` to leave the parameter as it is. Gradient tracking
/// stays as it was.
pub fn map_flat<M, F>(module: M, update: F) -> M
where
    M: Module,
    F: FnMut(&str, &[usize], Tensor<1>) -> Option<Tensor<1>>,
{
    struct Update<F> {
        path: Vec<String>,
        update: F,
    }
    impl<F: FnMut(&str, &[usize], Tensor<1>) -> Option<Tensor<1>>> ModuleMapper for Update<F> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let name = self.path.join(".");
            let shape = param.val().shape();
            let flat = flatten(param.val().inner());
            match (self.update)(&name, shape.as_slice(), flat) {
                Some(new) => param.map(|old| lift(&old, new.reshape(shape))),
                None => param,
            }
        }
    }
    module.map(&mut Update {
        path: Vec::new(),
        update,
    })
}

/// Stops gradients of every parameter whose name starts with one of `prefixes`.
pub fn freeze<M: Module>(module: M, prefixes: &[String]) -> M {
    struct Freeze<'a> {
        path: Vec<String>,
        prefixes: &'a [String],
    }
    impl ModuleMapper for Freeze<'_> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if has_prefix(&self.path.join("."), self.prefixes) {
                param.set_require_grad(false)
            } else {
                param
            }
        }
    }
    module.map(&mut Freeze {
        path: Vec::new(),
        prefixes,
    })
}

/// Sets every float parameter from `tensors`.
///
/// # Errors
/// Names the first parameter that is missing, has another shape, is not f32, or that the module
/// does not have.
pub fn load_tensors<M: Module>(module: M, tensors: &NamedTensors) -> Result<M> {
    struct Load<'a> {
        path: Vec<String>,
        tensors: &'a NamedTensors,
        used: usize,
        known: Vec<String>,
        error: Option<String>,
    }
    impl ModuleMapper for Load<'_> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let name = self.path.join(".");
            let shape = param.val().dims();
            let problem = match self.tensors.get(&name) {
                None => format!("parameter `{name}` is missing"),
                Some(data) if data.shape().as_slice() != shape.as_slice() => {
                    format!(
                        "parameter `{name}` has shape {:?}, the model needs {shape:?}",
                        data.shape()
                    )
                }
                Some(data) if data.dtype() != DType::F32 => {
                    format!("parameter `{name}` is {:?}, not f32", data.dtype())
                }
                Some(data) => {
                    self.used += 1;
                    self.known.push(name);
                    return param.map(|old| {
                        let device = old.device().without_autodiff();
                        lift(&old, Tensor::from_data(data.clone(), &device))
                    });
                }
            };
            self.error.get_or_insert(problem);
            param
        }
    }
    let mut load = Load {
        path: Vec::new(),
        tensors,
        used: 0,
        known: Vec::new(),
        error: None,
    };
    let module = module.map(&mut load);
    if let Some(error) = load.error {
        bail!("{error}");
    }
    if load.used != tensors.len() {
        let extra = tensors.keys().find(|name| !load.known.contains(name));
        bail!(
            "the model has no parameter `{}`",
            extra.map_or("", |name| name)
        );
    }
    Ok(module)
}

/// A tensor in one dimension, in row-major order.
fn flatten<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let length = tensor.shape().num_elements();
    tensor.reshape([length])
}

/// Gives `new` the autodiff state of `old`: a fresh leaf that keeps its gradient if `old` did.
pub fn lift<const D: usize>(old: &Tensor<D>, new: Tensor<D>) -> Tensor<D> {
    match old.gradient_checkpointing_strategy() {
        None => new,
        Some(strategy) => new
            .autodiff()
            .with_gradient_checkpointing_strategy(strategy)
            .set_require_grad(old.is_require_grad()),
    }
}
