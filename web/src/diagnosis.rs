//! What is wrong with a photo, in numbers that the page puts into words.

use dino_ir::{Diagnosis, Fault};
use wasm_bindgen::prelude::wasm_bindgen;

/// What was found out about one fault.
#[wasm_bindgen]
pub struct Finding {
    fault: Fault,
    /// In the fault's own unit, 0 for none; of JPEG the quality, 100 for none.
    pub value: f32,
    /// The chance that `value` is about right, 0 to 1.
    pub confidence: f32,
    /// Whether there is so much of it that it is called a fault.
    pub found: bool,
}

#[wasm_bindgen]
impl Finding {
    /// `noise`, `blur`, `rain`, `haze` or `jpeg`.
    #[wasm_bindgen(getter)]
    pub fn name(&self) -> String {
        self.fault.name().to_owned()
    }
}

impl Finding {
    /// Of every fault.
    pub(crate) fn all(diagnosis: &Diagnosis) -> Vec<Self> {
        let finding = |fault| Self {
            fault,
            value: match fault {
                Fault::Jpeg => diagnosis.faults.jpeg,
                _ => diagnosis.faults.badness(fault),
            },
            confidence: diagnosis.confidence(fault),
            found: diagnosis.finds(fault),
        };
        Fault::ALL.map(finding).into()
    }
}
