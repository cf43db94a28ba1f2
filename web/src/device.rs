//! This module's device, and how the page learns that it has failed.

use crate::error::PageError;
use burn::tensor::Device;
use wasm_bindgen::prelude::wasm_bindgen;

/// The page's name of this module's device.
pub(crate) const NAME: &str = if cfg!(feature = "webgpu") {
    "webgpu"
} else {
    "cpu"
};

/// Opens WebGPU. When the GPU is lost or has no memory left, wgpu's error becomes a panic.
#[cfg(feature = "webgpu")]
pub(crate) async fn open() -> Result<Device, PageError> {
    use burn::tensor::wgpu::WgpuBackend;
    let options = Device::wgpu_options().graphics_api(WgpuBackend::WebGpu);
    let opened = options.init_async().await;
    opened.map_err(|error| PageError::new(&format!("WebGPU: {error}")))
}

/// The CPU is always there.
#[cfg(not(feature = "webgpu"))]
#[allow(clippy::unused_async, reason = "as the other module's")]
pub(crate) async fn open() -> Result<Device, PageError> {
    Ok(Device::flex())
}

/// A panic ends the module while JavaScript still waits for it: it is reported as an uncaught error.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| {
        // Not where: that is a path of the machine that built this.
        let message = panic.payload_as_str().unwrap_or("the network failed");
        report_error(js_sys::Error::new(message));
    }));
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = reportError)]
    fn report_error(error: js_sys::Error);
}
