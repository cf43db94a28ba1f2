//! One of gettext's catalogues, as translators write them (`.po`).

use std::collections::HashMap;

/// Translations by their English text.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// One, or one for each form of a plural.
    texts: HashMap<String, Vec<String>>,
    /// Whether nothing is counted like one thing, as in French.
    none_is_one: bool,
}

impl Catalogue {
    /// Reads one. What is marked as doubtful ("fuzzy") is passed over.
    pub fn parse(file: &str) -> Self {
        let mut catalogue = Self::default();
        for entry in file.split("\n\n") {
            catalogue.take(entry);
        }
        let header = catalogue.texts.remove("").unwrap_or_default().concat();
        catalogue.none_is_one = header.contains("plural=(n > 1)");
        catalogue
    }

    /// The translation of a text, or the text.
    pub fn one<'a>(&'a self, text: &'a str) -> &'a str {
        match self.texts.get(text).map(Vec::as_slice) {
            Some([translated, ..]) if !translated.is_empty() => translated,
            _ => text,
        }
    }

    /// The translation of a text about a number of things.
    pub fn counted<'a>(&'a self, one: &'a str, many: &'a str, count: usize) -> &'a str {
        match self.texts.get(one).map(Vec::as_slice) {
            Some([first, second]) => {
                let is_one = count == 1 || (count == 0 && self.none_is_one);
                if is_one { first } else { second }
            }
            _ if count == 1 => one,
            _ => many,
        }
    }

    fn take(&mut self, entry: &str) {
        if entry
            .lines()
            .any(|line| line.starts_with("#,") && line.contains("fuzzy"))
        {
            return;
        }
        let (mut id, mut texts) = (None, Vec::new());
        let mut current = String::new();
        // From the last line to the first: a string ends where its keyword is.
        for line in entry.lines().rev().filter(|line| !line.starts_with('#')) {
            let Some((keyword, quoted)) = line.split_once('"') else {
                continue;
            };
            current.insert_str(0, &unquoted(quoted));
            match keyword.trim() {
                "" => continue,
                "msgid" => id = Some(std::mem::take(&mut current)),
                // Which English text a plural has is said where it is used.
                "msgid_plural" => current.clear(),
                _ => texts.insert(0, std::mem::take(&mut current)),
            }
        }
        if let Some(id) = id {
            self.texts.insert(id, texts);
        }
    }

    /// The English texts that it has translations of.
    #[cfg(test)]
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let translated = self.texts.iter();
        let translated = translated.filter(|(_, texts)| texts.iter().all(|text| !text.is_empty()));
        translated.map(|(id, _)| id.as_str())
    }
}

/// What a string in quotes says, without its first quote.
fn unquoted(text: &str) -> String {
    let text = text.trim_end();
    let mut characters = text.strip_suffix('"').unwrap_or(text).chars();
    let mut plain = String::new();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => plain.push('\n'),
                Some(other) => plain.push(other),
                None => {}
            },
            other => plain.push(other),
        }
    }
    plain
}
