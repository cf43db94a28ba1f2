//! `dino-ir-bindgen MODULE.wasm FOLDER`: `wasm-bindgen --target web` of the very version that the crate
//! uses, without a separate installation.

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, folder] = arguments.as_slice() else {
        bail!("usage: dino-ir-bindgen MODULE.wasm FOLDER");
    };
    wasm_bindgen_cli_support::Bindgen::new()
        .input_path(module)
        .web(true)
        .and_then(|bindgen| bindgen.typescript(false).generate(folder))
        .with_context(|| format!("wasm-bindgen on {module}"))
}
