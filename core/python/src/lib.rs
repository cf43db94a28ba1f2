//! What `dino_ir/__init__.py` calls: it has checked the array and hands over its bytes.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use dino_ir::{
    ColourProfile, DeviceChoice, Error, Fault, Loaded, Options, PixelView, PixelViewMut, Progress,
    Removal, Samples, SamplesMut, WeightsFile,
};
use numpy::{PyReadonlyArray1, PyReadwriteArray1};
use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The network's buffers come and go; the system's allocator would return them each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pyo3::create_exception!(
    dino_ir,
    Cancelled,
    pyo3::exceptions::PyException,
    "The progress function returned False."
);

/// A network on its device.
#[pyclass(frozen)]
struct Restorer {
    /// One call at a time.
    engine: Mutex<dino_ir::Restorer<Loaded>>,
    #[pyo3(get)]
    device: String,
}

#[pymethods]
impl Restorer {
    #[new]
    fn new(py: Python<'_>, weights: Option<PathBuf>, device: &str) -> PyResult<Self> {
        let device: DeviceChoice = device.parse().map_err(exception)?;
        let weights = weights
            .as_deref()
            .map_or(WeightsFile::Embedded, WeightsFile::Path);
        let opened = py
            .detach(|| dino_ir::Restorer::open(weights, device))
            .map_err(exception)?;
        Ok(Self {
            engine: Mutex::new(opened.loaded),
            device: opened.device.to_string(),
        })
    }

    /// `shape`: width, height, channels, bytes of a sample (1: u8, 2: u16, 4: f32). `removal`: a share for each fault, in the
    /// order noise, blur, rain, haze, jpeg. `icc`: the profile of both, sRGB unless given. `errors`: room for the expected
    /// error of each pixel, if that is wanted.
    #[expect(clippy::too_many_arguments, reason = "Python has them by name")]
    fn restore(
        &self,
        py: Python<'_>,
        from: PyReadonlyArray1<'_, u8>,
        mut to: PyReadwriteArray1<'_, u8>,
        shape: (usize, usize, usize, usize),
        strength: f32,
        progress: Option<Py<PyAny>>,
        tile: Option<usize>,
        memory: Option<u64>,
        self_ensemble: bool,
        removal: [f32; 5],
        icc: Option<&[u8]>,
        mut errors: Option<PyReadwriteArray1<'_, f32>>,
    ) -> PyResult<()> {
        let (width, height, channels, bytes) = shape;
        let shares = Fault::ALL.into_iter().zip(removal);
        let removal = shares.fold(Removal::ALL, |all, (fault, share)| all.with(fault, share));
        let options = Options {
            strength,
            tile,
            memory,
            self_ensemble,
            removal,
            ..Options::default()
        };
        let from = samples(from.as_slice()?, bytes)?;
        let to = samples_mut(to.as_slice_mut()?, bytes)?;
        let profile = profile(icc)?;
        let mut from = PixelView::new(from, width, height, channels).map_err(exception)?;
        let mut to = PixelViewMut::new(to, width, height, channels).map_err(exception)?;
        if let Some(profile) = &profile {
            from = from.with_profile(profile).map_err(exception)?;
            to = to.with_profile(profile).map_err(exception)?;
        }
        let errors = errors.as_mut().map(|errors| errors.as_slice_mut());
        let errors = errors.transpose()?;
        // What Python raised while it was told of the progress.
        let mut raised = None;
        let restored = py.detach(|| {
            let engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
            let progress = &mut |at| match Python::attach(|py| report(py, progress.as_ref(), at)) {
                Ok(goes_on) => goes_on,
                Err(error) => {
                    raised = Some(error);
                    ControlFlow::Break(())
                }
            };
            match errors {
                None => engine.restore_pixels(from, to, &options, progress),
                Some(errors) => {
                    engine.restore_pixels_with_uncertainty(from, to, errors, &options, progress)
                }
            }
        });
        match raised {
            Some(error) => Err(error),
            None => restored.map_err(exception),
        }
    }

    /// As [`Restorer::restore`] takes it: the number of each fault, the confidence in each, whether all is fine.
    fn diagnose<'py>(
        &self,
        py: Python<'py>,
        array: PyReadonlyArray1<'_, u8>,
        shape: (usize, usize, usize, usize),
        icc: Option<&[u8]>,
    ) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyDict>, bool)> {
        let (width, height, channels, bytes) = shape;
        let pixels = samples(array.as_slice()?, bytes)?;
        let profile = profile(icc)?;
        let mut pixels = PixelView::new(pixels, width, height, channels).map_err(exception)?;
        if let Some(profile) = &profile {
            pixels = pixels.with_profile(profile).map_err(exception)?;
        }
        let diagnosis = py
            .detach(|| {
                let engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
                engine.diagnose(&pixels)
            })
            .map_err(exception)?;
        let (faults, confidence) = (PyDict::new(py), PyDict::new(py));
        let found = &diagnosis.faults;
        let values = [found.noise, found.blur, found.rain, found.haze, found.jpeg];
        for (fault, value) in Fault::ALL.into_iter().zip(values) {
            faults.set_item(fault.name(), value)?;
            confidence.set_item(fault.name(), diagnosis.confidence(fault))?;
        }
        Ok((faults, confidence, diagnosis.is_fine()))
    }
}

/// Lets Ctrl-C through, and tells the caller's function.
fn report(py: Python<'_>, progress: Option<&Py<PyAny>>, at: Progress) -> PyResult<ControlFlow<()>> {
    py.check_signals()?;
    let Some(progress) = progress else {
        return Ok(ControlFlow::Continue(()));
    };
    let answer = progress.bind(py).call1((at.done, at.total))?;
    Ok(match answer.extract::<bool>() {
        Ok(false) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
}

fn profile(icc: Option<&[u8]>) -> PyResult<Option<ColourProfile>> {
    icc.map(ColourProfile::from_icc)
        .transpose()
        .map_err(exception)
}

fn samples(bytes: &[u8], size: usize) -> PyResult<Samples<'_>> {
    Ok(match size {
        1 => bytes.into(),
        2 => cast::<u16>(bytes)?.into(),
        _ => cast::<f32>(bytes)?.into(),
    })
}

fn samples_mut(bytes: &mut [u8], size: usize) -> PyResult<SamplesMut<'_>> {
    fn cast<T: bytemuck::Pod>(bytes: &mut [u8]) -> PyResult<&mut [T]> {
        bytemuck::try_cast_slice_mut(bytes).map_err(misaligned)
    }
    Ok(match size {
        1 => bytes.into(),
        2 => cast::<u16>(bytes)?.into(),
        _ => cast::<f32>(bytes)?.into(),
    })
}

fn cast<T: bytemuck::Pod>(bytes: &[u8]) -> PyResult<&[T]> {
    bytemuck::try_cast_slice(bytes).map_err(misaligned)
}

fn misaligned(error: bytemuck::PodCastError) -> PyErr {
    PyValueError::new_err(format!("the array's memory cannot be used: {error}"))
}

fn exception(error: Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::OutOfMemory(_) => PyMemoryError::new_err(text),
        Error::Cancelled => Cancelled::new_err(text),
        Error::Device(_) | Error::Golden(_) | Error::Caller(_) => PyRuntimeError::new_err(text),
        _ => PyValueError::new_err(text),
    }
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("Cancelled", module.py().get_type::<Cancelled>())?;
    module.add_class::<Restorer>()
}
