//! A preview of the restoration: what a dialog shows of it, without a word about windows. It says what is to be computed
//! next, keeps what was, and hands over what the restoration itself can go on with.
//!
//! At first a part of the layer is restored by what is around it, which takes as long as its own pixels do. Meanwhile all
//! of the layer is calibrated (a calibration pass finds its global statistics), and then the part is restored once more by
//! them: now it is what OK gives.

mod cells;
mod picture;
mod view;
mod words;
mod workers;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use dino_ir::Diagnosis;
use dino_ir::restore::{Area, ImageSink, Network, Options, Progress, Removal, Restorer};

use self::cells::{Cells, Pixels};
pub use self::view::{Place, View};
pub use self::workers::Wake;
use self::workers::{Calibration, Message, Workers, fingerprint};
use crate::host::{Drawable, Host};
use crate::job::{Engine, Error, Model, options, to_rgb};
use crate::language::{fill, tr};
use crate::settings::Settings;
use crate::trace::trace;

/// The root of the mean square of the change, of 255, up to which nobody would see it: that of most good photos is 0.3 to
/// 0.9, where there is slight noise of a camera it is 1 or more.
const HARDLY: f64 = 0.9;

/// Opens the model that settings name.
pub type Open<N> = fn(&Settings) -> Result<Model<N>, Error>;

/// A preview of one drawable.
pub struct Preview<N: Network> {
    drawable: Drawable,
    selection: Area,
    settings: Settings,
    open: Open<N>,
    wake: Wake,
    view: View,
    cells: Cells,
    workers: Workers<N>,
    model: Option<(Engine<N>, Options)>,
    diagnosis: Option<Diagnosis>,
    calibration: Option<Arc<Calibration>>,
    calibrating: Option<Progress>,
    is_restoring: bool,
    failed: Option<String>,
    /// How often an area was restored.
    runs: usize,
}

impl<N: Network + Send + Sync + 'static> Preview<N> {
    /// Begins with the middle of the selection, in a window of that size.
    pub fn new(
        drawable: Drawable,
        selection: Area,
        size: (usize, usize),
        settings: Settings,
        open: Open<N>,
        wake: Wake,
    ) -> Self {
        let mut preview = Self {
            drawable,
            selection,
            settings,
            open,
            view: View::new((drawable.width, drawable.height), size, selection),
            cells: Cells::new(drawable.width, drawable.height),
            workers: Workers::new(drawable, Arc::clone(&wake)),
            wake,
            model: None,
            diagnosis: None,
            calibration: None,
            calibrating: None,
            is_restoring: false,
            failed: None,
            runs: 0,
        };
        preview.open(Vec::new());
        preview
    }

    /// Where it looks, for the mouse to change. Afterwards [`go_on`](Self::go_on) is due.
    pub fn view(&mut self) -> &mut View {
        &mut self.view
    }

    /// What is shown goes by these.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How often the network has restored an area.
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// Takes other settings. Strength needs nothing new; where something else is removed the network runs once more, by the
    /// same global statistics; another model, device or tile restores all anew.
    pub fn set(&mut self, settings: Settings) {
        let before = std::mem::replace(&mut self.settings, settings);
        let after = &self.settings;
        let same = (&before.weights, before.device, before.tile_size)
            == (&after.weights, after.device, after.tile_size);
        let steers = before.removal != after.removal;
        // Weights that cannot be steered may do again.
        if !same || (steers && self.failed.is_some()) {
            self.begin_anew();
        } else if steers {
            self.cells.outdate();
            if let Some((engine, _)) = self.model.take() {
                self.use_model(engine);
            }
            self.go_on();
        }
    }

    /// Goes on with a model, by the settings as they are now.
    fn use_model(&mut self, engine: Engine<N>) {
        let (drawable, selection) = (&self.drawable, self.selection);
        match options(&engine.restorer, drawable, selection, &self.settings) {
            Ok(options) => {
                let options = Options {
                    strength: 1.0,
                    // Nothing of it is shown.
                    uncertainty: false,
                    ..options
                };
                self.model = Some((engine, options));
            }
            Err(error) => self.failed = Some(error.message()),
        }
    }

    /// Looks whether what is seen is still as it was read: the user may paint while the dialog is open. If not, all is
    /// read and restored anew, and this is true. `host` gives the pixels as they are now.
    pub fn check(&mut self, host: &dyn Host) -> bool {
        let seen = self.view.area();
        let is_same = self.cells.known(seen).all(|(area, cell)| {
            let now = self.pixels(area, host);
            cell.has_pixels(&now)
        });
        if !is_same {
            trace(|| "the layer was changed".to_owned());
            self.cells.forget_all();
            self.diagnosis = None;
            self.begin_anew();
        }
        !is_same
    }

    fn begin_anew(&mut self) {
        let wake = Arc::clone(&self.wake);
        let mut last = std::mem::replace(&mut self.workers, Workers::new(self.drawable, wake));
        self.model = None;
        self.calibration = None;
        self.calibrating = None;
        self.is_restoring = false;
        self.failed = None;
        self.cells.forget_restored();
        self.open(last.close());
    }

    /// Opens the model once `last`, the threads before, have ended: two models at work would take twice the memory.
    fn open(&mut self, last: Vec<std::thread::JoinHandle<()>>) {
        let (open, settings) = (self.open, self.settings.clone());
        self.workers.start(move |_| {
            for thread in last {
                // A worker tells of its panics by itself.
                let _ = thread.join();
            }
            Ok(Message::Opened(open(&settings)?.into()))
        });
    }

    /// Handles the messages that came, for no longer than a hand notices; true if there may be more. `host` has the
    /// pixels of the drawable.
    pub fn serve(&mut self, host: &dyn Host) -> bool {
        let start = Instant::now();
        while start.elapsed().as_millis() < 15 {
            let Some(message) = self.workers.message() else {
                return false;
            };
            self.take(message, host);
        }
        true
    }

    fn take(&mut self, message: Message<N>, host: &dyn Host) {
        match message {
            Message::Read(area, reply) => return self.answer(area, &reply, host),
            Message::Opened(engine) => self.use_model(engine),
            Message::Diagnosed(diagnosis) => self.diagnosis = Some(diagnosis),
            Message::Restored {
                area,
                rgb,
                is_final,
                removal,
            } => {
                self.cells.set_restored(area, &rgb, is_final);
                if removal != self.settings.removal {
                    // A slider moved on meanwhile.
                    self.cells.outdate();
                }
                self.is_restoring = false;
                self.runs += 1;
            }
            Message::Calibrating(progress) => self.calibrating = Some(progress),
            Message::Calibrated(calibration) => self.calibration = Some(calibration),
            Message::Failed(error) => self.failed = Some(error.message()),
        }
        self.go_on();
    }

    /// Reads for a worker.
    fn answer(&self, area: Area, reply: &Sender<Vec<f32>>, host: &dyn Host) {
        let mut samples = vec![0.0; area.width * area.height * self.drawable.channels()];
        host.read(area, &mut samples);
        // A worker that has ended needs none.
        let _ = reply.send(samples);
    }

    /// Starts what is to be computed next, unless it is being done already.
    pub fn go_on(&mut self) {
        let Some((engine, options)) = &self.model else {
            return;
        };
        let (restorer, options) = (Arc::clone(&engine.restorer), options.clone());
        if self.failed.is_some() {
            return;
        }
        let seen = self.view.area();
        // A calibration pass over a layer that is seen as a whole takes no longer than to restore it by itself.
        let sees_all = (seen.width, seen.height) == (self.drawable.width, self.drawable.height);
        if !self.is_restoring
            && (self.calibration.is_some() || !sees_all)
            && let Some(area) = self.cells.unrestored(seen, self.calibration.is_some())
        {
            self.is_restoring = true;
            self.restore(area, Arc::clone(&restorer), options.clone());
        }
        // The first picture comes first.
        if self.calibrating.is_none() && (sees_all || self.runs > 0) {
            self.calibrating = Some(Progress {
                done: 0,
                total: 1,
                calibration: 1,
            });
            self.calibrate(restorer, options);
        }
    }

    fn restore(&mut self, area: Area, restorer: Arc<Restorer<N>>, options: Options) {
        let calibration = self.calibration.clone();
        self.workers.start(move |link| {
            let start = Instant::now();
            let mut sink = ImageSink::new(area.width, area.height)?;
            let statistics = calibration
                .as_ref()
                .map(|calibration| &calibration.statistics);
            restorer.restore_part(link, area, statistics, &mut sink, &options, &mut |_| {
                link.go_on()
            })?;
            let rgb = sink.finish()?.pixels().to_vec();
            let is_final = calibration.is_some();
            trace(|| {
                let Area {
                    x,
                    y,
                    width,
                    height,
                } = area;
                let seconds = start.elapsed().as_secs_f64();
                format!("restored {width} x {height} at {x}, {y}, final {is_final}: {seconds:.2} s")
            });
            Ok(Message::Restored {
                area,
                rgb,
                is_final,
                removal: options.removal,
            })
        });
    }

    fn calibrate(&mut self, restorer: Arc<Restorer<N>>, options: Options) {
        let drawable = self.drawable;
        self.workers.start(move |link| {
            if restorer.diagnoses() {
                link.tell(Message::Diagnosed(restorer.diagnose(link)?));
            }
            let start = Instant::now();
            let fingerprint = fingerprint(&drawable, |area, samples| link.samples(area, samples))?;
            let statistics = restorer.statistics(link, &options, &mut |progress| {
                link.tell(Message::Calibrating(progress));
                link.go_on()
            })?;
            trace(|| format!("calibrated: {:.2} s", start.elapsed().as_secs_f64()));
            Ok(Message::Calibrated(Arc::new(Calibration {
                statistics,
                fingerprint,
            })))
        });
    }

    /// The picture in words of 0x00RRGGBB, as large as the [view](View::size). The network is not run for it.
    pub fn draw(&mut self, host: &dyn Host) -> Vec<u32> {
        let seen = self.view.area();
        while let Some(area) = self.cells.unread(seen) {
            self.read(area, host);
        }
        self.cells.forget_far(seen);
        self.go_on();
        let strength = self.settings.strength as f32;
        picture::draw(&self.view, &self.cells, strength)
    }

    /// Reads the original of an area.
    fn read(&mut self, area: Area, host: &dyn Host) {
        let pixels = self.pixels(area, host);
        self.cells.set_original(area, &pixels);
    }

    fn pixels(&self, area: Area, host: &dyn Host) -> Pixels {
        let channels = self.drawable.channels();
        let count = area.width * area.height;
        let mut samples = vec![0.0; count * channels];
        host.read(area, &mut samples);
        let mut rgb = vec![0.0; count * 3];
        to_rgb(&self.drawable, &samples, &mut rgb);
        let alpha = match self.drawable.alpha {
            true => samples
                .chunks_exact(channels)
                .map(|p| p[channels - 1])
                .collect(),
            false => Vec::new(),
        };
        let mut selected = vec![1.0; count];
        host.selected(area, &mut selected);
        Pixels {
            rgb,
            alpha,
            selected,
        }
    }

    /// Whether something is computed that will change the picture.
    pub fn is_busy(&self) -> bool {
        self.failed.is_none() && (self.calibration.is_none() || self.is_restoring)
    }

    /// A line on what is going on, and how good the picture is.
    pub fn status(&self) -> String {
        if let Some(failed) = &self.failed {
            return failed.clone();
        }
        let is_seen = self.runs > 0 && !self.is_restoring;
        match (&self.model, &self.calibrating, &self.calibration) {
            (None, ..) => tr("Loading the model...").to_owned(),
            (_, Some(progress), None) if is_seen => {
                let percent = 100 * progress.done / progress.total.max(1);
                fill(
                    tr("Nearly what OK gives; looking at the whole image: {percent} %"),
                    &[("percent", &percent)],
                )
            }
            (.., Some(_)) if is_seen => match self.change() {
                Some(change) if change <= HARDLY && self.settings.removal == Removal::ALL => {
                    tr("Hardly any change: this photo seems fine").to_owned()
                }
                _ => tr("This is what OK gives").to_owned(),
            },
            _ => tr("Restoring what is seen...").to_owned(),
        }
    }

    /// A line on what is wrong with the photo; empty before that is known.
    pub fn diagnosis(&self) -> String {
        self.diagnosis
            .as_ref()
            .map(words::words)
            .unwrap_or_default()
    }

    /// How much the restoration at full strength changes what is seen: the root of the mean square, of 255.
    fn change(&self) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0);
        for (_, cell) in self.cells.known(self.view.area()) {
            for (at, (before, after)) in cell.original.iter().zip(&cell.restored).enumerate() {
                if before.is_finite() {
                    let difference = (after - before) * cell.selected[at / 3];
                    sum += f64::from(difference.powi(2));
                    count += 1;
                }
            }
        }
        (count > 0).then(|| 255.0 * (sum / f64::from(count)).sqrt())
    }

    /// What the restoration with these settings can go on with: the model, and the calibration if it was begun; that is waited
    /// for. `None` if that is of no use.
    ///
    /// # Errors
    /// What went wrong with the calibration pass meanwhile.
    pub fn finish(
        mut self,
        host: &RefCell<&mut dyn Host>,
        settings: &Settings,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Option<Engine<N>>, Error> {
        let kind = |drawable: &Drawable| {
            let Drawable {
                width,
                height,
                colour,
                alpha,
                ..
            } = *drawable;
            (width, height, colour, alpha)
        };
        self.set(settings.clone());
        // The restoration says itself what is wrong. A dialog does not keep anybody from cropping the layer.
        if self.failed.is_some() || kind(&self.drawable) != kind(&host.borrow().drawable()) {
            return Ok(None);
        }
        while self.calibration.is_none()
            && self.failed.is_none()
            && (self.model.is_none() || self.calibrating.is_some())
        {
            let Some(message) = self.workers.wait() else {
                return Ok(None);
            };
            match message {
                Message::Failed(error) => return Err(error),
                Message::Calibrating(now) => progress(now),
                Message::Opened(engine) => self.use_model(engine),
                Message::Calibrated(calibration) => self.calibration = Some(calibration),
                Message::Read(area, reply) => self.answer(area, &reply, &**host.borrow()),
                Message::Restored { .. } | Message::Diagnosed(_) => {}
            }
        }
        let Some((engine, _)) = self.model.take() else {
            return Ok(None);
        };
        let current = fingerprint(&self.drawable, |area, samples| {
            host.borrow().read(area, samples);
            Ok(())
        })?;
        let calibration = self.calibration.take();
        let statistics = calibration.filter(|calibration| calibration.fingerprint == current);
        trace(|| format!("handed over, calibrated {}", statistics.is_some()));
        Ok(Some(Engine {
            statistics: statistics.map(|calibration| calibration.statistics.clone()),
            ..engine
        }))
    }
}

#[cfg(test)]
mod tests;
