//! Results appear whole or not at all: written to a temporary file in the same folder, then renamed.

use std::fs;
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tempfile::NamedTempFile;

use crate::interrupt::{self, Temporary};

/// Checks, before minutes of work, that a result could be written to `path`.
///
/// # Errors
/// What stands in the way, and what to do about it.
pub fn check(path: &Path, force: bool) -> Result<()> {
    ensure!(
        !path.is_dir(),
        "{} is a folder; give another file",
        path.display()
    );
    if path.exists() && !force {
        bail!(
            "{} exists; give --force to overwrite it, or another -o",
            path.display()
        );
    }
    if force && fs::metadata(path).is_ok_and(|meta| meta.permissions().readonly()) {
        bail!("{} is read-only; give another file", path.display());
    }
    // Folders that are missing are made with the first result in them, not before.
    let folder = folder_of(path);
    let made = folder
        .ancestors()
        .find(|folder| folder.exists())
        .unwrap_or(Path::new("."));
    drop(temporary(path, made)?);
    Ok(())
}

/// Writes `path` through `write`; nothing is left of it when that fails or the user stops it.
///
/// # Errors
/// Those of `write`, a full disk, a file that has appeared meanwhile and `force` is not given.
pub fn write(
    path: &Path,
    force: bool,
    write: impl FnOnce(&mut BufWriter<&mut fs::File>) -> Result<()>,
) -> Result<()> {
    let folder = folder_of(path);
    fs::create_dir_all(&folder).with_context(|| unwritable(path))?;
    let (mut file, _registered) = temporary(path, &folder)?;
    let mut out = BufWriter::with_capacity(1 << 18, file.as_file_mut());
    write(&mut out)?;
    out.flush()
        .with_context(|| format!("{} cannot be written", path.display()))?;
    drop(out);
    file.as_file_mut().rewind()?;
    ensure!(!interrupt::asked(), dino_ir::Error::Cancelled);
    if force {
        file.persist(path).map_err(|error| error.error)
    } else {
        file.persist_noclobber(path).map_err(|error| error.error)
    }
    .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(())
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn temporary(path: &Path, folder: &Path) -> Result<(NamedTempFile, Temporary)> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".dino-ir-").suffix(".part");
    // Temporary files are private by default; results are as readable as any new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    Temporary::register(|| builder.tempfile_in(folder), |file| file.path())
        .with_context(|| unwritable(path))
}

fn unwritable(path: &Path) -> String {
    format!(
        "{} cannot be written; check its folder, or give another file",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.png");
        let failed = write(&path, false, |out| {
            out.write_all(b"half")?;
            bail!("no more")
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(folder.path()).expect("a listing").count(), 0);

        check(&path, false).expect("nothing in the way");
        write(&path, false, |out| Ok(out.write_all(b"one")?)).expect("written");
        assert!(check(&path, false).is_err());
        assert!(write(&path, false, |out| Ok(out.write_all(b"two")?)).is_err());
        assert_eq!(fs::read(&path).expect("a file"), b"one");
        write(&path, true, |out| Ok(out.write_all(b"two")?)).expect("overwritten");
        assert_eq!(fs::read(&path).expect("a file"), b"two");
        assert_eq!(fs::read_dir(folder.path()).expect("a listing").count(), 1);
        assert!(check(folder.path(), true).is_err());

        // A file where a folder should be.
        assert!(check(&path.join("x.png"), true).is_err());
        let deep = folder.path().join("a/b/x.png");
        check(&deep, false).expect("can be made");
        assert!(!folder.path().join("a").exists());
        write(&deep, false, |out| Ok(out.write_all(b"one")?)).expect("written");
    }
}
