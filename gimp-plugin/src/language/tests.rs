use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::catalogue::Catalogue;
use super::{LANGUAGES, fill, wanted};

const SAMPLE: &str = r#"# A comment.
msgid ""
msgstr ""
"Plural-Forms: nplurals=2; plural=(n > 1);\n"

msgid "Say \"no\""
msgstr "Dites "
"\"non\"\n"

#, fuzzy
msgid "Yes"
msgstr "Peut-être"

msgid "{count} image"
msgid_plural "{count} images"
msgstr[0] "{count} cliché"
msgstr[1] "{count} clichés"

msgid "Later"
msgstr ""
"#;

#[test]
fn catalogues_are_read_as_gettext_reads_them() {
    let catalogue = Catalogue::parse(SAMPLE);
    assert_eq!(catalogue.one("Say \"no\""), "Dites \"non\"\n");
    for untranslated in ["Yes", "Later", "Never heard of"] {
        assert_eq!(catalogue.one(untranslated), untranslated);
    }
    let counted = |count| catalogue.counted("{count} image", "{count} images", count);
    let one = "{count} cliché";
    assert_eq!(
        [counted(0), counted(1), counted(2)],
        [one, one, "{count} clichés"]
    );
}

#[test]
fn english_counts_by_itself() {
    let counted = |count| {
        let catalogue = Catalogue::parse("");
        catalogue.counted("one", "many", count).to_owned()
    };
    assert_eq!(
        [counted(0), counted(1), counted(2)],
        ["many", "one", "many"]
    );
}

#[test]
fn values_go_where_they_are_named() {
    let text = fill("{b} of {a}", &[("a", &2), ("b", &"1")]);
    assert_eq!(text, "1 of 2");
}

#[test]
fn the_language_is_gettexts() {
    let language = |variables: &[(&str, &str)]| {
        let find = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        wanted(find)
    };
    assert_eq!(language(&[("LANG", "de_AT.UTF-8")]).as_deref(), Some("de"));
    assert_eq!(
        language(&[("LANG", "de_DE"), ("LC_ALL", "fr_FR@euro")]).as_deref(),
        Some("fr")
    );
    assert_eq!(
        language(&[("LANG", "it"), ("LANGUAGE", "it:fr:de")]).as_deref(),
        Some("fr")
    );
    assert_eq!(
        language(&[("LANG", "de_DE"), ("LANGUAGE", "en_GB:fr")]).as_deref(),
        Some("en")
    );
    assert_eq!(language(&[("LC_ALL", "C"), ("LANGUAGE", "de")]), None);
    assert_eq!(
        language(&[("LC_ALL", "C.UTF-8"), ("LANGUAGE", "de")]).as_deref(),
        Some("de")
    );
    assert_eq!(language(&[("LANGUAGE", "de")]).as_deref(), Some("de"));
    assert_eq!(language(&[]), None);
}

/// All of the plug-in's sources.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.file_stem().is_some_and(|name| name != "tests") {
            found.push(path);
        }
    }
}

/// The texts that a source marks for translation.
fn marked(source: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for mark in ["tr(", "tr_c(", "tr_n(", "msgid(", "#[error("] {
        for (at, _) in source.match_indices(mark) {
            let Some(literal) = source[at + mark.len()..].trim_start().strip_prefix('"') else {
                continue;
            };
            let mut text = String::new();
            let mut characters = literal.chars().peekable();
            loop {
                match characters.next().expect("the end of a string") {
                    '"' => break,
                    '\\' => match characters.next() {
                        Some('n') => text.push('\n'),
                        Some('\n') => {
                            while characters.next_if(|next| next.is_whitespace()).is_some() {}
                        }
                        other => text.extend(other),
                    },
                    other => text.push(other),
                }
            }
            // An error with another one in it is put together elsewhere.
            if !(mark == "#[error(" && text.contains("{0}")) {
                texts.push(text);
            }
        }
    }
    texts
}

#[test]
fn every_text_is_translated_and_none_is_stale() {
    let mut files = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut files,
    );
    // The C library speaks English.
    files.retain(|file| !file.components().any(|part| part.as_os_str() == "c_abi"));
    let texts = files
        .iter()
        .map(|file| fs::read_to_string(file).expect("a source"));
    let texts: BTreeSet<String> = texts.flat_map(|source| marked(&source)).collect();
    assert!(texts.len() > 50, "{texts:?}");
    for (language, file) in LANGUAGES {
        let catalogue = Catalogue::parse(file);
        let translated: BTreeSet<String> = catalogue.ids().map(str::to_owned).collect();
        let missing: Vec<_> = texts.difference(&translated).collect();
        assert!(missing.is_empty(), "{language} lacks {missing:#?}");
        let stale: Vec<_> = translated.difference(&texts).collect();
        assert!(
            stale.is_empty(),
            "{language} has what nobody says: {stale:#?}"
        );
        for id in &texts {
            let text = catalogue.one(id);
            let names = |text: &str| -> BTreeSet<String> {
                let parts = text.split('{').skip(1);
                parts
                    .filter_map(|part| Some(part.split_once('}')?.0.to_owned()))
                    .collect()
            };
            assert_eq!(names(id), names(text), "{language}: {text}");
        }
        assert!(file.contains("plural=(n > 1)") || file.contains("plural=(n != 1)"));
    }
}
