//! A diagnosis in plain words.

use std::fmt;

use super::{Diagnosis, Fault};

/// `noise about sigma 22; a little haze`: what was found. What was not found is not denied, since there are kinds of rain and
/// of noise that are known to be missed.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_fine() {
            return f.write_str("seems fine: no fault that this network knows was found");
        }
        let order = [
            Fault::Noise,
            Fault::Blur,
            Fault::Haze,
            Fault::Rain,
            Fault::Jpeg,
        ];
        let found = order.into_iter().filter(|&fault| self.finds(fault));
        let parts: Vec<String> = found.map(|fault| self.found(fault)).collect();
        f.write_str(&parts.join("; "))
    }
}

impl Diagnosis {
    fn found(&self, fault: Fault) -> String {
        let much = |little: f32, much: f32| match self.faults.badness(fault) {
            value if value < little => "a little ",
            value if value < much => "",
            _ => "much ",
        };
        match fault {
            Fault::Noise => format!("noise about sigma {:.0}", self.faults.noise),
            Fault::Blur => format!("blur about sigma {:.1}", self.faults.blur),
            Fault::Rain => format!("{}rain", much(0.12, 0.4)),
            Fault::Haze => format!("{}haze", much(0.4, 0.65)),
            Fault::Jpeg => format!("JPEG quality about {:.0}", self.faults.jpeg),
        }
    }
}
