//! Fixtures of the reference in PyTorch, and how our results are compared with them.

pub mod colour;
#[cfg(unix)]
pub mod gimp;
pub mod program;
pub mod reference;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use dino_ir::weights::named;
use dino_ir_trainer::train::parameters::flat_gradients;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// How far results may be from the reference: `max |ours - reference| / max(1, max |reference|)`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of values.
    pub values: f32,
    /// Of gradients.
    pub gradients: f32,
}

/// One file of the reference: parameters, inputs and recorded results by name.
#[derive(Debug)]
pub struct Fixture {
    name: String,
    config: Value,
    limits: Limits,
    device: Device,
    tensors: BTreeMap<String, TensorData>,
    used: RefCell<BTreeSet<String>>,
    compared: Cell<usize>,
}

/// The folder of this package in the checkout that the test runs from.
///
/// Cargo says it when a test runs. What `env!` says when it is built may be another checkout that
/// shares the build cache.
///
/// # Panics
/// If neither Cargo nor nextest runs the test.
pub fn package() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("tests are run by cargo"))
}

fn folder() -> PathBuf {
    package().join("fixtures")
}

/// A program or library of the workspace, beside the test's own file.
///
/// # Panics
/// If it is not built.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    let program = folder.join(name);
    assert!(
        program.exists(),
        "{} is missing: run cargo build --release --workspace, or tests/run",
        program.display()
    );
    program
}

/// Names of all fixtures on disk.
///
/// # Panics
/// If the folder cannot be read.
pub fn fixtures() -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder()).expect("the folder of fixtures");
    entries
        .map(|entry| entry.expect("an entry of the folder of fixtures").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "safetensors"))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect()
}

/// Runs `test` on each fixture, on the CPU without and with autodiff.
///
/// # Panics
/// If a comparison fails, if a fixture holds a tensor that `test` neither used nor compared, or if
/// nothing was compared.
pub fn check(names: &[&str], limits: Limits, test: impl Fn(&Fixture)) {
    assert!(!names.is_empty(), "no case given");
    for name in names {
        let mut fixture = Fixture::load(name, limits);
        test(&fixture);
        fixture.device = Device::flex().autodiff();
        test(&fixture);
        fixture.finish();
    }
}

impl Fixture {
    fn load(name: &str, limits: Limits) -> Self {
        let path = folder().join(format!("{name}.safetensors"));
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("a safetensors header");
        let metadata = header.metadata().as_ref().expect("metadata");
        let tensors = file.iter().map(|(name, view)| {
            assert_eq!(view.dtype(), Dtype::F32, "{name}");
            let values: Vec<f32> = view
                .data()
                .chunks_exact(4)
                .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
                .collect();
            let data = TensorData::new(values, view.shape().to_vec());
            (name.to_string(), data)
        });
        Self {
            name: name.to_string(),
            config: serde_json::from_str(&metadata["config"]).expect("config in JSON"),
            limits,
            device: Device::flex(),
            tensors: tensors.collect(),
            used: RefCell::default(),
            compared: Cell::new(0),
        }
    }

    fn finish(self) {
        let used = self.used.into_inner();
        let unused: Vec<_> = self
            .tensors
            .keys()
            .filter(|name| !used.contains(*name))
            .collect();
        let name = self.name;
        assert!(unused.is_empty(), "{name}: never used: {unused:?}");
        assert!(self.compared.get() > 0, "{name}: nothing was compared");
    }

    fn data(&self, name: &str) -> TensorData {
        let found = self.tensors.get(name);
        let data = found.unwrap_or_else(|| panic!("{}: holds no {name}", self.name));
        self.used.borrow_mut().insert(name.to_string());
        data.clone()
    }

    /// Where the test runs.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The case's options.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// Whether a tensor of that name is recorded.
    pub fn records(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// An input, tracked where there is autodiff.
    ///
    /// # Panics
    /// If the file holds no such tensor.
    pub fn input<const D: usize>(&self, name: &str) -> Tensor<D> {
        let tensor = Tensor::from_data(self.data(name), &self.device);
        if self.device.is_autodiff() {
            tensor.require_grad()
        } else {
            tensor
        }
    }

    /// Fills `module` with the recorded parameters; `rename` turns their names into ours.
    ///
    /// # Panics
    /// If not every parameter of the module is recorded, or the reverse.
    pub fn fill<M: Module>(&self, module: M, rename: impl Fn(&str) -> String) -> M {
        let names = self.tensors.keys();
        let mut values: BTreeMap<String, TensorData> = names
            .filter_map(|name| Some((name, name.strip_prefix("param.")?)))
            .map(|(name, theirs)| (rename(theirs), self.data(name)))
            .collect();
        let ours: BTreeMap<_, _> = named::shapes(&module).into_iter().collect();
        let theirs = values.iter();
        let theirs: BTreeMap<_, _> = theirs
            .map(|(name, data)| (name.clone(), data.shape().to_vec()))
            .collect();
        let name = &self.name;
        for (parameter, shape) in &ours {
            let theirs = theirs.get(parameter);
            assert_eq!(theirs, Some(shape), "{name}: recorded for {parameter}");
        }
        let known = |parameter: &&String| ours.contains_key(*parameter);
        let unknown: Vec<_> = theirs.keys().filter(|name| !known(name)).collect();
        assert!(unknown.is_empty(), "{name}: not ours: {unknown:?}");
        let module = named::apply(module, &mut values);
        assert!(values.is_empty(), "{name}: not filled in: {values:?}");
        module
    }

    /// Compares a value with the one recorded under `name`.
    ///
    /// # Panics
    /// If it is of another shape, not finite, or too far away.
    pub fn compare<const D: usize>(&self, name: &str, ours: Tensor<D>) {
        self.compare_within(name, ours, self.limits.values);
    }

    /// As [`Self::compare`], with a limit of its own.
    ///
    /// # Panics
    /// As [`Self::compare`].
    pub fn compare_within<const D: usize>(&self, name: &str, ours: Tensor<D>, limit: f32) {
        self.compare_data(name, &ours.into_data(), limit);
    }

    fn compare_data(&self, name: &str, ours: &TensorData, limit: f32) {
        let reference = self.data(name);
        let name = format!("{}: {name}", self.name);
        assert_eq!(ours.shape(), reference.shape(), "{name}: shape");
        let error = error(ours, &reference);
        println!("{name} differs by {error:.1e}, allowed {limit:.1e}");
        // Not `<=` alone: a NaN must fail as well.
        assert!(
            error.is_finite() && error <= limit,
            "{name} differs by {error:e}, allowed {limit:e}"
        );
        self.compared.set(self.compared.get() + 1);
    }

    /// Gradients of `sum(output * cotangent)`, or of `output` itself where no cotangent is
    /// recorded; `None` without autodiff.
    pub fn backward<const D: usize>(&self, output: Tensor<D>) -> Option<Gradients> {
        self.device.is_autodiff().then(|| {
            let total = if self.tensors.contains_key("cotangent") {
                let cotangent = Tensor::from_data(self.data("cotangent"), &self.device);
                (output * cotangent).sum()
            } else {
                output.sum()
            };
            total.backward()
        })
    }

    /// Compares the gradient of an input with the one recorded under `grad.<name>`.
    ///
    /// # Panics
    /// If there is none, or as [`Self::compare`].
    pub fn compare_gradient<const D: usize>(
        &self,
        name: &str,
        input: &Tensor<D>,
        gradients: &Gradients,
    ) {
        let found = input.grad(gradients);
        let gradient = found.unwrap_or_else(|| panic!("{}: no gradient of {name}", self.name));
        self.compare_within(&format!("grad.{name}"), gradient, self.limits.gradients);
    }

    /// Compares all recorded gradients of parameters; `rename` as in [`Self::fill`]. Returns the
    /// names of ours that have a gradient.
    ///
    /// # Panics
    /// If one is missing, or as [`Self::compare`].
    pub fn compare_parameter_gradients<M: Module>(
        &self,
        module: &M,
        rename: impl Fn(&str) -> String,
        gradients: &mut Gradients,
    ) -> BTreeSet<String> {
        let ours = flat_gradients(module, gradients);
        let recorded = self.tensors.keys().filter_map(|name| {
            let parameter = name.strip_prefix("grad.")?;
            let is_parameter = self.tensors.contains_key(&format!("param.{parameter}"));
            is_parameter.then_some((name, parameter))
        });
        for (name, parameter) in recorded {
            let found = ours.get(&rename(parameter));
            let flat = found.unwrap_or_else(|| panic!("{}: no {name}", self.name));
            let values = flat.clone().into_data().try_into_vec::<f32>().expect("f32");
            let shape = self.data(name).shape().clone();
            assert_eq!(values.len(), shape.num_elements(), "{name}");
            let ours = TensorData::new(values, shape);
            self.compare_data(name, &ours, self.limits.gradients);
        }
        ours.into_keys().collect()
    }
}

fn error(ours: &TensorData, reference: &TensorData) -> f32 {
    let ours = ours.as_slice::<f32>().expect("f32");
    let reference = reference.as_slice::<f32>().expect("f32");
    let scale = reference.iter().fold(1.0f32, |max, x| max.max(x.abs()));
    let mut worst = 0.0f32;
    for (ours, reference) in ours.iter().zip(reference) {
        let difference = (ours - reference).abs();
        if difference.is_nan() {
            return f32::NAN;
        }
        worst = worst.max(difference);
    }
    worst / scale
}

/// Our name of a parameter of the whole network or of one of its large parts.
pub fn our_name(theirs: &str) -> String {
    let guidance = ["backbone.", "psf.", "dr_fusion."];
    let guided = guidance.iter().any(|part| theirs.starts_with(part));
    let name = if guided {
        format!("guidance.{theirs}")
    } else {
        theirs.to_string()
    };
    let mut parts: Vec<&str> = name.split('.').collect();
    for i in 1..parts.len() {
        parts[i] = match (parts[i - 1], parts[i]) {
            ("gate", "0") => "fc1",
            ("gate", "1") => "fc2",
            (_, part) => part,
        };
    }
    if let [.., "down" | "up", _, "weight"] = *parts {
        parts.insert(parts.len() - 1, "conv");
    }
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ours() {
        for (theirs, ours) in [
            ("psf.gate.0.weight", "guidance.psf.gate.fc1.weight"),
            ("gate.1.bias", "gate.fc2.bias"),
            ("restormer.down.2.weight", "restormer.down.2.conv.weight"),
            ("up.0.weight", "up.0.conv.weight"),
            ("backbone.blocks.0.ls1", "guidance.backbone.blocks.0.ls1"),
            ("encoder.1.0.norm1.bias", "encoder.1.0.norm1.bias"),
        ] {
            assert_eq!(our_name(theirs), ours);
        }
    }

    #[test]
    fn the_error_is_relative_above_one_and_sees_what_is_no_number() {
        let data = |values: [f32; 2]| TensorData::new(values.to_vec(), [2]);
        assert_eq!(error(&data([1.0, 3.0]), &data([1.0, 4.0])), 0.25);
        assert_eq!(error(&data([0.0, 0.5]), &data([0.0, 0.25])), 0.25);
        assert!(error(&data([f32::NAN, 0.0]), &data([0.0, 0.0])).is_nan());
    }
}
