//! A diagnosis in the user's language.

use dino_ir::Diagnosis;

use crate::language::{fill, msgid, tr};

/// All that a diagnosis may say, in the words of the core.
#[cfg_attr(not(test), expect(dead_code, reason = "marks them for translation"))]
const PHRASES: [&str; 10] = [
    msgid("noise about sigma {number}"),
    msgid("blur about sigma {number}"),
    msgid("JPEG quality about {number}"),
    msgid("a little rain"),
    msgid("rain"),
    msgid("much rain"),
    msgid("a little haze"),
    msgid("haze"),
    msgid("much haze"),
    msgid("seems fine: no fault that this network knows was found"),
];

/// What is wrong with the photo, in a line.
pub fn words(diagnosis: &Diagnosis) -> String {
    let text = diagnosis.to_string();
    let phrases: Vec<String> = text.split("; ").map(phrase).collect();
    fill(
        tr("This photo: {faults}"),
        &[("faults", &phrases.join("; "))],
    )
}

/// Only a number can be at the end of a phrase that has one.
fn phrase(text: &str) -> String {
    match text.rsplit_once(' ') {
        Some((words, number)) if number.parse::<f32>().is_ok() => {
            let template = format!("{words} {{number}}");
            fill(tr(&template), &[("number", &number)])
        }
        _ => tr(text).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use dino_ir::Faults;

    use super::*;

    #[test]
    fn every_phrase_of_the_core_is_known() {
        for share in [0.0, 0.1, 0.25, 0.5, 0.9] {
            for jpeg in [20.0, 100.0] {
                let diagnosis = Diagnosis {
                    faults: Faults {
                        noise: 60.0 * share,
                        blur: 3.0 * share,
                        rain: share,
                        haze: share,
                        jpeg,
                    },
                    variances: [1.0; 5],
                };
                for phrase in diagnosis.to_string().split("; ") {
                    let words =
                        phrase.trim_end_matches(|end: char| end.is_ascii_digit() || end == '.');
                    let known = PHRASES
                        .iter()
                        .any(|known| match known.strip_suffix("{number}") {
                            Some(known) => known == words,
                            None => *known == phrase,
                        });
                    assert!(known, "{phrase}");
                }
            }
        }
    }

    #[test]
    fn numbers_stay() {
        assert_eq!(phrase("noise about sigma 22"), "noise about sigma 22");
        assert_eq!(phrase("much rain"), "much rain");
    }
}
