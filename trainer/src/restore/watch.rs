//! A folder whose photos are restored as they come.
//!
//! It is looked at again and again. The system's own word of changes would be quicker by a moment, but it does not come from
//! network shares, where such folders are, and whether a file is complete must be waited for in any case.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};

use super::naming::{Input, Jobs, NO_PHOTOS};
use super::report::Ending;
use super::{Outcome, Work};
use crate::host::{interrupt, terminal};

/// A file that has not changed for so long is complete.
const SETTLED: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(250);

/// Restores what `find` finds in `folder` as soon as it is complete, until Ctrl-C. A photo is done once, and again when it has
/// changed; one that fails is named, and stands against [`Outcome::Done`] until it has changed for the better.
///
/// # Errors
/// If the folder is gone; what `find` says.
pub fn watch(
    folder: &Path,
    mut find: impl FnMut() -> Result<Jobs>,
    work: &Work,
) -> Result<Outcome> {
    let mut seen: HashMap<PathBuf, Seen> = HashMap::new();
    let mut failed: HashSet<PathBuf> = HashSet::new();
    let mut said: HashSet<String> = HashSet::new();
    loop {
        ensure!(
            folder.is_dir(),
            "{}: this folder is not there any more; make it again, or watch another one",
            folder.display()
        );
        let found = find()?;
        for note in found.notes.iter().filter(|_| !work.settings.quiet) {
            if said.insert(note.clone()) {
                terminal::note(note);
            }
        }
        for failure in &found.failures {
            if failure.why != NO_PHOTOS && said.insert(failure.to_string()) {
                work.tell(failure)?;
                failed.insert(failure.input.clone());
            }
        }
        for job in &found.jobs {
            if interrupt::asked() {
                break;
            }
            let Input::File(path) = &job.input else {
                continue;
            };
            if !is_due(&mut seen, path) {
                continue;
            }
            match work.restore(job, (1, 1))? {
                Ending::Interrupted => return Ok(Outcome::Interrupted),
                Ending::Failed => _ = failed.insert(path.clone()),
                _ => _ = failed.remove(path),
            }
        }
        if interrupt::asked() {
            return Ok(match failed.is_empty() {
                true => Outcome::Done,
                false => Outcome::Failed,
            });
        }
        // Who looks at a folder for weeks must not remember all that ever was in it.
        seen.retain(|path, _| path.exists());
        sleep(PAUSE);
    }
}

/// What a photo's file was like when it was looked at.
struct Seen {
    stamp: Option<Stamp>,
    since: Instant,
    done: bool,
}

/// What changes when a file is written.
type Stamp = (u64, Option<SystemTime>);

/// Whether a photo has not changed for a while, and was not done since.
fn is_due(seen: &mut HashMap<PathBuf, Seen>, path: &Path) -> bool {
    let meta = path.metadata().ok();
    let stamp = meta.map(|meta| (meta.len(), meta.modified().ok()));
    let fresh = Seen {
        stamp,
        since: Instant::now(),
        done: false,
    };
    match seen.get_mut(path) {
        Some(known) if known.stamp == stamp => {
            let due = !known.done && known.since.elapsed() >= SETTLED;
            known.done |= due;
            due
        }
        _ => {
            seen.insert(path.to_owned(), fresh);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photo_is_due_once_when_it_has_settled() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.png");
        let mut seen = HashMap::new();
        std::fs::write(&path, b"half").expect("a file");
        assert!(!is_due(&mut seen, &path), "just seen");
        assert!(!is_due(&mut seen, &path), "too early");
        let later = |seen: &mut HashMap<PathBuf, Seen>| {
            for known in seen.values_mut() {
                known.since -= SETTLED;
            }
        };
        later(&mut seen);
        std::fs::write(&path, b"the whole").expect("a file");
        assert!(!is_due(&mut seen, &path), "it has grown");
        later(&mut seen);
        assert!(is_due(&mut seen, &path));
        assert!(!is_due(&mut seen, &path), "it is done");
        std::fs::write(&path, b"another one").expect("a file");
        assert!(!is_due(&mut seen, &path), "it is new again");
        later(&mut seen);
        assert!(is_due(&mut seen, &path));
    }
}
