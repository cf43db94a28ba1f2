//! A module's parameters by name: `encoder.0.1.attn.qkv.weight`.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

/// One parameter's name, shape and values in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Path of field names and indices, joined by dots.
    pub name: String,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Values.
    pub values: Vec<f32>,
}

/// Names and shapes of all parameters, in the module's order; does not initialise them.
pub fn shapes(module: &impl Module) -> Vec<(String, Vec<usize>)> {
    let mut visitor = Shapes::default();
    module.visit(&mut visitor);
    visitor.found
}

/// All parameters, in the module's order.
pub fn collect(module: &impl Module) -> Vec<Named> {
    let mut visitor = Values::default();
    module.visit(&mut visitor);
    visitor.found
}

/// Replaces each parameter that `values` names; what it does not name stays as it is.
///
/// # Panics
/// If a shape is not the parameter's.
pub fn apply<M: Module>(module: M, values: &mut BTreeMap<String, TensorData>) -> M {
    let path = Path::default();
    module.map(&mut Apply { path, values })
}

/// Where the walk through a module is. Variants of enums are not part of a name.
#[derive(Default)]
struct Path(Vec<Option<String>>);

impl Path {
    fn enter(&mut self, name: &str, container: &str) {
        let variant = container.starts_with("Enum:");
        self.0.push((!variant).then(|| name.to_string()));
    }

    fn exit(&mut self) {
        self.0.pop();
    }

    fn name(&self) -> String {
        let parts: Vec<&str> = self.0.iter().flatten().map(String::as_str).collect();
        parts.join(".")
    }
}

#[derive(Default)]
struct Shapes {
    path: Path,
    found: Vec<(String, Vec<usize>)>,
}

impl ModuleVisitor for Shapes {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.lazy_shape().to_vec();
        self.found.push((self.path.name(), shape));
    }
}

#[derive(Default)]
struct Values {
    path: Path,
    found: Vec<Named>,
}

impl ModuleVisitor for Values {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.val().into_data().convert::<f32>();
        self.found.push(Named {
            name: self.path.name(),
            shape: data.shape().to_vec(),
            values: data.try_into_vec().unwrap_or_default(),
        });
    }
}

struct Apply<'values> {
    path: Path,
    values: &'values mut BTreeMap<String, TensorData>,
}

impl ModuleMapper for Apply<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.values.remove(&self.path.name()) {
            None => param,
            Some(data) => {
                let tensor = Tensor::from_data(data, &param.lazy_device());
                let id = param.id;
                param.transform_for_load(tensor, id)
            }
        }
    }
}
