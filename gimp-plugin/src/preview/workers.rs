//! Threads that compute for a preview. They have no editor: the pixels that they need are read by the thread that has
//! it, which they ask.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use dino_ir::Diagnosis;
use dino_ir::restore::{Area, Progress, Removal, Source, Statistics};

use crate::host::Drawable;
use crate::job::{Engine, Error, caught, to_rgb};

/// Called after each message, on any thread: the editor's thread is to look for it.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// What a worker has to say.
pub enum Message<N: dino_ir::restore::Network> {
    /// It needs samples of the drawable.
    Read(Area, Sender<Vec<f32>>),
    /// The model is there.
    Opened(Engine<N>),
    /// This is wrong with the whole.
    Diagnosed(Diagnosis),
    /// An area is restored.
    Restored {
        /// Which one.
        area: Area,
        /// `[height, width, 3]`.
        rgb: Vec<f32>,
        /// Whether it goes by the statistics of the whole.
        is_final: bool,
        /// How much of each fault was removed.
        removal: Removal,
    },
    /// So much of the calibration pass over the whole is done.
    Calibrating(Progress),
    /// All of it is.
    Calibrated(Arc<Calibration>),
    /// It cannot be done.
    Failed(Error),
}

/// What is known of a whole layer.
#[derive(Debug)]
pub struct Calibration {
    /// What its parts go by.
    pub statistics: Statistics,
    /// Of the pixels that they were taken of.
    pub fingerprint: u64,
}

/// The workers of one preview with one model. Dropped, they end as soon as they can, and nobody waits for them.
pub struct Workers<N: dino_ir::restore::Network> {
    link: Link<N>,
    messages: Receiver<Message<N>>,
    threads: Vec<JoinHandle<()>>,
}

/// What a worker has of the others.
pub struct Link<N: dino_ir::restore::Network> {
    drawable: Drawable,
    messages: Sender<Message<N>>,
    wake: Wake,
    closed: Arc<AtomicBool>,
}

impl<N: dino_ir::restore::Network + Send + Sync + 'static> Workers<N> {
    /// For a drawable; none works yet.
    pub fn new(drawable: Drawable, wake: Wake) -> Self {
        let (sender, messages) = mpsc::channel();
        let link = Link {
            drawable,
            messages: sender,
            wake,
            closed: Arc::default(),
        };
        Self {
            link,
            messages,
            threads: Vec::new(),
        }
    }

    /// Starts one. What it gives is its last message; a panic is an error.
    pub fn start(
        &mut self,
        work: impl FnOnce(&Link<N>) -> Result<Message<N>, Error> + Send + 'static,
    ) {
        let link = self.link.clone();
        self.threads.retain(|thread| !thread.is_finished());
        self.threads.push(thread::spawn(move || {
            let message = match caught(|| work(&link)) {
                Ok(message) => message,
                Err(Error::Core(dino_ir::Error::Cancelled)) => return,
                Err(error) => Message::Failed(error),
            };
            link.tell(message);
        }));
    }

    /// The next message, if there is one.
    pub fn message(&self) -> Option<Message<N>> {
        self.messages.try_recv().ok()
    }

    /// Waits for the next message.
    pub fn wait(&self) -> Option<Message<N>> {
        self.messages.recv().ok()
    }

    /// Lets them end; gives the threads, for those who need to know that they did.
    pub fn close(&mut self) -> Vec<JoinHandle<()>> {
        self.link.closed.store(true, Ordering::Relaxed);
        std::mem::take(&mut self.threads)
    }
}

impl<N: dino_ir::restore::Network> Drop for Workers<N> {
    fn drop(&mut self) {
        self.link.closed.store(true, Ordering::Relaxed);
    }
}

impl<N: dino_ir::restore::Network> Clone for Link<N> {
    fn clone(&self) -> Self {
        Self {
            drawable: self.drawable,
            messages: self.messages.clone(),
            wake: Arc::clone(&self.wake),
            closed: Arc::clone(&self.closed),
        }
    }
}

impl<N: dino_ir::restore::Network> Link<N> {
    /// Sends a message.
    pub fn tell(&self, message: Message<N>) {
        // Nobody listens any more where the dialog is closed.
        if self.messages.send(message).is_ok() {
            (self.wake)();
        }
    }

    /// For a restorer's progress: ends its work once nobody wants it.
    pub fn go_on(&self) -> ControlFlow<()> {
        if self.closed.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Samples as the host has them.
    ///
    /// # Errors
    /// [`dino_ir::Error::Cancelled`] once nobody reads any more.
    pub fn samples(&self, area: Area, samples: &mut [f32]) -> dino_ir::Result<()> {
        let (sender, read) = mpsc::channel();
        self.tell(Message::Read(area, sender));
        if self.go_on().is_break() {
            return Err(dino_ir::Error::Cancelled);
        }
        let read = read.recv().map_err(|_| dino_ir::Error::Cancelled)?;
        samples.copy_from_slice(&read);
        Ok(())
    }
}

impl<N: dino_ir::restore::Network> Source for Link<N> {
    fn width(&self) -> usize {
        self.drawable.width
    }

    fn height(&self) -> usize {
        self.drawable.height
    }

    fn read(&self, area: Area, rgb: &mut [f32]) -> dino_ir::Result<()> {
        let mut samples = vec![0.0; area.width * area.height * self.drawable.channels()];
        self.samples(area, &mut samples)?;
        to_rgb(&self.drawable, &samples, rgb);
        Ok(())
    }
}

/// Tells pixels from those that they were: a sum over every sixteenth row, which any brush of use crosses. Much larger
/// than that is what it takes to change a layer's statistics.
///
/// # Errors
/// Those of `read`.
pub fn fingerprint(
    drawable: &Drawable,
    mut read: impl FnMut(Area, &mut [f32]) -> dino_ir::Result<()>,
) -> dino_ir::Result<u64> {
    const STEP: usize = 16;
    let mut samples = vec![0.0; drawable.width * drawable.channels()];
    let mut sum: u64 = 0xcbf2_9ce4_8422_2325;
    for y in (0..drawable.height).step_by(STEP) {
        let row = Area {
            x: 0,
            y,
            width: drawable.width,
            height: 1,
        };
        read(row, &mut samples)?;
        // FNV-1a, a sample at a time.
        for sample in &samples {
            sum = (sum ^ u64::from(sample.to_bits())).wrapping_mul(0x0100_0000_01b3);
        }
    }
    Ok(sum)
}
