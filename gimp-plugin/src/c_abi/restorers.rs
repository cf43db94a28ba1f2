//! The open restorers. What C holds is a ticket, not an address: it is never followed, so a closed
//! handle or a foreign pointer costs an error and nothing more.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use dino_ir::weights::Loaded;
use dino_ir::{ColourProfile, Restorer};

use super::failure::{Failure, Status};

/// An open network on its device.
pub struct Handle {
    _opaque: (),
}

/// What is behind a ticket.
pub struct Engine {
    /// The network.
    pub restorer: Restorer<Loaded>,
    /// The colours of its images; `None`: sRGB's.
    pub profile: Option<ColourProfile>,
}

struct Open {
    next: usize,
    engines: BTreeMap<usize, Arc<Mutex<Engine>>>,
}

/// Tickets are odd, which the address of a structure never is, and are not used again.
static OPEN: Mutex<Open> = Mutex::new(Open {
    next: 1,
    engines: BTreeMap::new(),
});

fn open() -> MutexGuard<'static, Open> {
    // The table is whole at every step, so a panic elsewhere does not spoil it.
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a restorer in and returns its ticket.
pub fn register(restorer: Restorer<Loaded>) -> *mut Handle {
    let engine = Engine {
        restorer,
        profile: None,
    };
    let mut open = open();
    let ticket = open.next;
    open.next += 2;
    open.engines.insert(ticket, Arc::new(Mutex::new(engine)));
    ptr::without_provenance_mut(ticket)
}

/// The engine of a ticket.
pub fn find(ticket: *mut Handle) -> Result<Arc<Mutex<Engine>>, Failure> {
    let engine = open().engines.get(&ticket.addr()).cloned();
    engine.ok_or_else(|| {
        let message = if ticket.is_null() {
            "restorer is NULL"
        } else {
            "this restorer is not open: it was closed, or never came from dino_ir_open"
        };
        Failure::new(Status::InvalidArgument, message)
    })
}

/// Takes the engine for one call. It does not wait: a progress function that restores with the same
/// handle would wait for ever.
pub fn lock(engine: &Mutex<Engine>) -> Result<MutexGuard<'_, Engine>, Failure> {
    match engine.try_lock() {
        Ok(guard) => Ok(guard),
        // Nothing that changes an engine panics half way, so that it is whole.
        Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => Err(Failure::new(
            Status::Busy,
            "this restorer is at work in another call; open a second one",
        )),
    }
}

/// Forgets a ticket; its engine goes when no call uses it any more.
pub fn forget(ticket: *mut Handle) {
    // Outside the lock: dropping weights takes a while.
    let engine = open().engines.remove(&ticket.addr());
    drop(engine);
}
