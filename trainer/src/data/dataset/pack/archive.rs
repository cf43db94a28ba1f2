//! Files in a tar archive, with their checksums in the first of them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// The file with the checksums of all others, in the format of `sha256sum`.
const SUMS: &str = "SHA256SUMS";

/// Whole files by name.
pub(super) struct Archive<'b>(BTreeMap<String, &'b [u8]>);

impl<'b> Archive<'b> {
    /// Finds the files, and compares their checksums in parallel.
    ///
    /// # Errors
    /// If it is no such archive, is cut or damaged.
    pub fn open(bytes: &'b [u8]) -> Result<Self> {
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(bytes).entries()? {
            let entry = entry.context("cut, or another kind of file")?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let start = usize::try_from(entry.raw_file_position())?;
            let end = usize::try_from(entry.size())?.checked_add(start);
            let content = end.and_then(|end| bytes.get(start..end));
            let content = content.with_context(|| format!("cut in {name}"))?;
            files.insert(name, content);
        }
        let archive = Self(files);
        archive.compare()?;
        Ok(archive)
    }

    /// A file's content.
    ///
    /// # Errors
    /// If it is not there.
    pub fn file(&self, name: &str) -> Result<&'b [u8]> {
        let file = self.0.get(name);
        file.copied().with_context(|| format!("it has no {name}"))
    }

    fn compare(&self) -> Result<()> {
        let sums = std::str::from_utf8(self.file(SUMS)?).context(SUMS)?;
        let lines = sums.lines().map(|line| line.split_once("  ").context(SUMS));
        let lines: Vec<(&str, &str)> = lines.collect::<Result<_>>()?;
        lines.par_iter().try_for_each(|&(sum, name)| {
            ensure!(sum == checksum(self.file(name)?), "{name} is damaged");
            Ok(())
        })?;
        let listed: BTreeMap<&str, ()> = lines.into_iter().map(|(_, name)| (name, ())).collect();
        let unlisted = |name: &&String| *name != SUMS && !listed.contains_key(name.as_str());
        match self.0.keys().find(unlisted) {
            Some(name) => bail!("{SUMS} does not know {name}"),
            None => Ok(()),
        }
    }
}

/// The archive of these files, in their order.
///
/// # Errors
/// If a name cannot be one in an archive.
pub(super) fn write(files: &[(String, Vec<u8>)]) -> Result<Vec<u8>> {
    let lines = files
        .par_iter()
        .map(|(name, content)| format!("{}  {name}\n", checksum(content)));
    let sums: String = lines.collect();
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, content)
    };
    add(SUMS, sums.as_bytes())?;
    for (name, content) in files {
        add(name, content)?;
    }
    Ok(archive.into_inner()?)
}

fn checksum(content: &[u8]) -> String {
    format!("{:x}", Sha256::digest(content))
}
