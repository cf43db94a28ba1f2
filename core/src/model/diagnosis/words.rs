//! A diagnosis in plain words.

use std::fmt;

use super::{Diagnosis, Fault};

/// `noise about sigma 22; a little haze; no rain; not compressed`, or `seems fine`. Blur is named where there is some.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_fine() {
            return f.write_str("seems fine");
        }
        let order = [
            Fault::Noise,
            Fault::Blur,
            Fault::Haze,
            Fault::Rain,
            Fault::Jpeg,
        ];
        let (found, sound): (Vec<Fault>, Vec<Fault>) =
            order.into_iter().partition(|&fault| self.finds(fault));
        let found = found.into_iter().map(|fault| self.found(fault));
        let sound = sound.into_iter().filter_map(absent);
        let parts: Vec<String> = found.chain(sound.map(String::from)).collect();
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

fn absent(fault: Fault) -> Option<&'static str> {
    match fault {
        Fault::Noise => Some("no noise"),
        Fault::Blur => None,
        Fault::Rain => Some("no rain"),
        Fault::Haze => Some("no haze"),
        Fault::Jpeg => Some("not compressed"),
    }
}
