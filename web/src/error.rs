//! Errors as the page gets them.

use js_sys::{Error, Reflect};
use wasm_bindgen::JsValue;

/// JavaScript's `Error`; one of the library's has a property `kind` ([`dino_ir::Error::kind`]).
pub struct PageError(JsValue);

impl PageError {
    /// An error of this module's own.
    pub(crate) fn new(message: &str) -> Self {
        Self(Error::new(message).into())
    }
}

impl From<dino_ir::Error> for PageError {
    fn from(error: dino_ir::Error) -> Self {
        let told = Error::new(&error.to_string());
        // This cannot fail: nobody has frozen the new object.
        let _ = Reflect::set(&told, &"kind".into(), &error.kind().into());
        Self(told.into())
    }
}

impl From<PageError> for JsValue {
    fn from(error: PageError) -> Self {
        error.0
    }
}
