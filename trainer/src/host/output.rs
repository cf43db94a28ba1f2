//! Results appear whole or not at all: written to a temporary file in the same folder, then renamed.

use std::fs;
use std::io::{BufWriter, ErrorKind, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tempfile::NamedTempFile;

use crate::host::interrupt::{self, Temporary};
use crate::host::system;

/// As systems do: more links than these lead in a circle.
const MAX_LINKS: usize = 40;

/// Checks, before minutes of work, that a result could be written to `path`.
///
/// # Errors
/// What stands in the way, and what to do about it.
pub fn check(path: &Path, force: bool) -> Result<()> {
    let shown = path.display();
    let real = followed(path)?;
    ensure!(!real.is_dir(), "{shown} is a folder; give another file");
    if real.exists() && !force {
        bail!("{shown} exists; give --force to overwrite it, or another -o");
    }
    if force && fs::metadata(&real).is_ok_and(|meta| meta.permissions().readonly()) {
        bail!("{shown} is read-only; give another file");
    }
    let name = real.file_name().map_or(0, system::name_length);
    let refused = fs::symlink_metadata(&real).err().map(|error| error.kind());
    ensure!(
        name <= system::MAX_NAME && refused != Some(ErrorKind::InvalidFilename),
        "{shown}: this name is too long for a file; give a shorter one with -o"
    );
    // Folders that are missing are made with the first result in them, not before.
    let folder = folder_of(&real);
    ensure!(
        real == path || folder.is_dir(),
        "{shown} is a link to {}, in a folder that is not there; give another file",
        real.display()
    );
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
    write_like(path, force, None, write)
}

/// As [`write()`], with the permissions of another file: what only its owner may read stays so.
///
/// # Errors
/// As [`write()`].
pub fn write_like(
    path: &Path,
    force: bool,
    like: Option<fs::Permissions>,
    write: impl FnOnce(&mut BufWriter<&mut fs::File>) -> Result<()>,
) -> Result<()> {
    // A link stays, and leads to the result.
    let real = followed(path)?;
    let folder = folder_of(&real);
    fs::create_dir_all(&folder).with_context(|| unwritable(path))?;
    let (mut file, _registered) = temporary(path, &folder)?;
    if let Some(like) = like {
        system::restrict(file.as_file(), like)?;
    }
    let mut out = BufWriter::with_capacity(1 << 18, file.as_file_mut());
    write(&mut out)
        .and_then(|()| Ok(out.flush()?))
        .with_context(|| format!("{} cannot be written", path.display()))?;
    drop(out);
    file.as_file_mut().rewind()?;
    ensure!(!interrupt::asked(), dino_ir::Error::Cancelled);
    if force {
        file.persist(&real).map_err(|error| error.error)
    } else {
        file.persist_noclobber(&real).map_err(|error| error.error)
    }
    .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(())
}

/// Where a path leads to: the end of a chain of links, be there a file or not.
fn followed(path: &Path) -> Result<PathBuf> {
    let mut real = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&real) {
            Ok(target) => real = folder_of(&real).join(target),
            Err(_) => return Ok(real),
        }
    }
    bail!(
        "{} is a link that leads in a circle; give another file",
        path.display()
    )
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
    if let Some(readable) = system::readable() {
        builder.permissions(readable);
    }
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

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_stay() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for (link, target) in [
            ("b", "a"),
            ("c", "b"),
            ("far", "no/where"),
            ("loop", "loop"),
        ] {
            symlink(target, at(link)).expect("a link");
        }
        check(&at("c"), false).expect("nothing in the way");
        write(&at("c"), false, |out| Ok(out.write_all(b"one")?)).expect("written");
        assert_eq!(fs::read(at("a")).expect("a file"), b"one");
        assert!(check(&at("c"), false).is_err());
        write(&at("b"), true, |out| Ok(out.write_all(b"two")?)).expect("overwritten");
        assert_eq!(fs::read(at("a")).expect("a file"), b"two");
        assert!(at("b").is_symlink() && at("c").is_symlink() && !at("a").is_symlink());
        for (name, word) in [("far", "not there"), ("loop", "circle")] {
            let error = check(&at(name), true).expect_err(name).to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn results_are_as_private_as_their_inputs() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        for (mode, expected) in [
            (0o600, 0o600),
            (0o640, 0o640),
            (0o755, 0o644),
            (0o444, 0o644),
        ] {
            let path = folder.path().join(format!("{mode:o}"));
            let like = Some(fs::Permissions::from_mode(mode));
            write_like(&path, false, like, |out| Ok(out.write_all(b"x")?)).expect("written");
            let found = fs::metadata(&path).expect("a file").permissions().mode() & 0o777;
            assert_eq!(found, expected, "{mode:o}");
        }
    }

    #[test]
    fn names_that_are_too_long_are_found_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = "写".repeat(85);
        check(&folder.path().join(&name), false).expect("255 bytes");
        for path in [format!("{name}x"), format!("new/{name}x")] {
            let error = check(&folder.path().join(path), false).expect_err("too long");
            assert!(error.to_string().contains("too long"), "{error}");
        }
    }
}
