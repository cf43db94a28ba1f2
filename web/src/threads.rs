//! The threads of this module: workers that have one memory with it. Rayon's pool, on which the network computes, runs on them.
//!
//! A browser's threads are started by JavaScript, so that the pool cannot start them: it leaves each thread's work here,
//! where a worker fetches it.

use std::sync::{Condvar, Mutex, PoisonError};

use rayon::{ThreadBuilder, ThreadPoolBuilder};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::PageError;

/// Threads of the pool that no worker has fetched yet.
static UNCLAIMED: Mutex<Vec<ThreadBuilder>> = Mutex::new(Vec::new());
/// Told of each that is added.
static ADDED: Condvar = Condvar::new();

/// Makes the pool. Waits for `count` workers that are in [`run_thread`], or are about to be.
///
/// # Errors
/// A message, if there is a pool already.
#[wasm_bindgen]
pub fn start_threads(count: usize) -> Result<(), PageError> {
    let leave = |thread| {
        let mut unclaimed = UNCLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
        unclaimed.push(thread);
        ADDED.notify_one();
        Ok(())
    };
    let pool = ThreadPoolBuilder::new()
        .num_threads(count)
        .spawn_handler(leave);
    pool.build_global()
        .map_err(|error| PageError::new(&format!("the threads cannot be started: {error}")))
}

/// Makes the calling worker a thread of the pool: it does not return while the pool is there.
#[wasm_bindgen]
pub fn run_thread() {
    let mut unclaimed = UNCLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(thread) = unclaimed.pop() {
            drop(unclaimed);
            return thread.run();
        }
        unclaimed = ADDED
            .wait(unclaimed)
            .unwrap_or_else(PoisonError::into_inner);
    }
}
