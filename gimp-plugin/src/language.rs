//! The user's language: gettext's catalogues (`po/*.po`), which are part of the program.
//!
//! They are read here and not by libintl, which wants compiled ones in a folder beside the program, has other names on
//! other systems, and speaks English wherever the user's locale is not installed. This works for one file, anywhere.
//!
//! What a script or a bug report has to recognise is English: names and descriptions of arguments, and what the core says of files
//! and devices.

mod catalogue;

use std::env;
use std::ffi::CString;
use std::fmt::Display;
use std::sync::LazyLock;

use self::catalogue::Catalogue;

/// The languages there are, but for English.
const LANGUAGES: [(&str, &str); 2] = [
    ("de", include_str!("../po/de.po")),
    ("fr", include_str!("../po/fr.po")),
];

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let language = wanted(|name| env::var(name).ok());
    let found = LANGUAGES
        .iter()
        .find(|(name, _)| Some(*name) == language.as_deref());
    Catalogue::parse(found.map_or("", |(_, catalogue)| catalogue))
});

/// A text in the user's language; as it is where there is no translation.
pub fn tr(text: &str) -> &str {
    CATALOGUE.one(text)
}

/// A text about a number of things.
pub fn tr_n<'a>(one: &'a str, many: &'a str, count: usize) -> &'a str {
    CATALOGUE.counted(one, many, count)
}

/// As [`tr`], for C.
pub fn tr_c(text: &str) -> CString {
    // Our own texts: no zero byte.
    CString::new(tr(text)).unwrap_or_default()
}

/// Marks a text that is translated where it is used.
pub const fn msgid(text: &'static str) -> &'static str {
    text
}

/// Puts values into a text: `{name}` is where each goes.
pub fn fill(text: &str, values: &[(&str, &dyn Display)]) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{name}}}"), &value.to_string())
    })
}

/// The first of the user's languages that is known, by gettext's rules: `LANGUAGE` is a list, and counts for nothing in
/// the locale `C`.
fn wanted(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let variable = |name| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .find_map(variable);
    if matches!(locale.as_deref(), Some("C" | "POSIX")) {
        return None;
    }
    let list = variable("LANGUAGE").unwrap_or_default();
    let languages = list.split(':').chain(locale.as_deref());
    let languages = languages.map(|name| name.split(['_', '.', '@']).next().unwrap_or_default());
    let known = |name: &str| name == "en" || LANGUAGES.iter().any(|(known, _)| *known == name);
    languages
        .into_iter()
        .find(|name| known(name))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests;
