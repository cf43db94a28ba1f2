//! What a restoration allocates is what its plan allows, the rows of a wide photo included.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::Tensor;
use burn::tensor::Device;
use dino_ir::model::DinoIrConfig;
use dino_ir::model::uncertainty::UncertaintyConfig;
use dino_ir::weights::Loaded;
use dino_ir::{Area, Network, Options, Restorer, Result, Sink, Source};

#[global_allocator]
static ALLOCATOR: Counting = Counting {
    used: AtomicUsize::new(0),
    peak: AtomicUsize::new(0),
};

/// The system's allocator, which counts the bytes in use.
struct Counting {
    used: AtomicUsize,
    peak: AtomicUsize,
}

impl Counting {
    fn count(&self, size: usize) {
        let used = self.used.fetch_add(size, Ordering::Relaxed) + size;
        self.peak.fetch_max(used, Ordering::Relaxed);
    }

    /// The most bytes in use during `work`, beyond those before it.
    fn peak_of(&self, work: impl FnOnce()) -> u64 {
        let before = self.used.load(Ordering::Relaxed);
        self.peak.store(before, Ordering::Relaxed);
        work();
        (self.peak.load(Ordering::Relaxed) - before) as u64
    }
}

// SAFETY: every call goes to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.count(layout.size());
        // SAFETY: the arguments go to the system's allocator as the caller gave them.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.count(layout.size());
        // SAFETY: the arguments go to the system's allocator as the caller gave them.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        self.used.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the arguments go to the system's allocator as the caller gave them.
        unsafe { System.dealloc(place, layout) }
    }
}

/// One measurement at a time.
static TURN: Mutex<()> = Mutex::new(());

/// A photo that takes no memory, hidden in part.
struct Photo {
    width: usize,
    height: usize,
}

impl Source for Photo {
    fn width(&self) -> usize {
        self.width
    }

    fn height(&self) -> usize {
        self.height
    }

    fn read(&self, area: Area, rgb: &mut [f32]) -> Result<()> {
        for (at, pixel) in rgb.chunks_exact_mut(3).enumerate() {
            let (x, y) = (area.x + at % area.width, area.y + at / area.width);
            match x % 64 {
                0 => pixel.fill(f32::NAN),
                _ => pixel.copy_from_slice(&[x, y, x + y].map(|v| (v % 97) as f32 / 97.0)),
            }
        }
        Ok(())
    }
}

/// Keeps nothing; counts rows.
struct Nowhere(usize, usize);

impl Sink for Nowhere {
    fn write_rows(&mut self, _: usize, rows: &[f32]) -> Result<()> {
        self.1 += rows.len() / 3 / self.0;
        Ok(())
    }
}

/// Gives back what it gets.
struct Identity;

impl Network for Identity {
    fn multiple(&self) -> usize {
        8
    }

    fn activation_bytes(&self, height: usize, width: usize) -> u64 {
        // The tile in and out.
        (2 * 12 * height * width) as u64
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        x
    }
}

/// The least memory with which a photo can be restored by these options.
fn least_memory<N: Network>(restorer: &Restorer<N>, photo: &Photo, options: &Options) -> u64 {
    let fits = |memory| {
        let options = Options {
            memory: Some(memory),
            ..options.clone()
        };
        restorer.plan(photo.width, photo.height, &options).is_ok()
    };
    let (mut least, mut most) = (1, 1 << 40);
    while least < most {
        let middle = least + (most - least) / 2;
        match fits(middle) {
            true => most = middle,
            false => least = middle + 1,
        }
    }
    least
}

/// What is taken when a photo, or an area of it, is restored with as little memory as the plan asks for, and that memory.
fn measured<N: Network>(
    restorer: &Restorer<N>,
    photo: &Photo,
    area: Option<Area>,
    options: &Options,
) -> (u64, u64) {
    let _turn = TURN.lock().unwrap_or_else(|turn| turn.into_inner());
    let allowed = match options.memory {
        Some(memory) => memory,
        None => least_memory(restorer, photo, options),
    };
    let options = Options {
        memory: Some(allowed),
        ..options.clone()
    };
    let Photo { width, height } = *photo;
    let [columns, rows] = area.map_or([width, height], |area| [area.width, area.height]);
    let mut sink = Nowhere(columns, 0);
    let go_on = &mut |_| ControlFlow::Continue(());
    let taken = ALLOCATOR.peak_of(|| {
        let done = match area {
            Some(area) => restorer.restore_area(photo, area, &mut sink, &options, go_on),
            None => restorer.restore(photo, &mut sink, &options, go_on),
        };
        done.expect("restored");
    });
    assert_eq!(sink.1, rows);
    println!(
        "{width} x {height}, {area:?}, tile {:?}: {taken} of {allowed}",
        options.tile
    );
    assert!(
        taken <= allowed,
        "{taken} bytes, not {allowed}: {options:?}"
    );
    (taken, allowed)
}

fn tiles(tile: usize) -> Options {
    Options {
        tile: Some(tile),
        overlap: Some(8),
        ..Options::default()
    }
}

fn within(memory: u64) -> Options {
    Options {
        memory: Some(memory),
        ..Options::default()
    }
}

const WIDE: Photo = Photo {
    width: 20_000,
    height: 400,
};

/// The network takes next to nothing here, the rows of the result almost all: without them the plan would allow less than
/// they take, and choose tiles whose rows do not fit.
#[test]
fn rows_of_a_wide_photo_are_counted() {
    let restorer = Restorer::new(Identity, &Device::flex());
    for tile in [16, 64, 256] {
        let (taken, allowed) = measured(&restorer, &WIDE, None, &tiles(tile));
        let rows = (12 * tile * WIDE.width) as u64;
        assert!(taken > rows, "{taken} bytes, rows {rows}");
        assert!(tile < 64 || 3 * taken > allowed, "{taken} of {allowed}");
    }
    for budget in [48 << 20, 192 << 20] {
        let (taken, _) = measured(&restorer, &WIDE, None, &within(budget));
        assert!(3 * taken > budget, "{taken} of {budget} are used");
    }
}

#[test]
fn the_rows_of_an_area_are_counted() {
    let restorer = Restorer::new(Identity, &Device::flex());
    let area = Area {
        x: 100,
        y: 100,
        width: 19_800,
        height: 200,
    };
    measured(&restorer, &WIDE, Some(area), &tiles(64));
}

#[test]
fn the_look_at_a_small_photo_is_counted() {
    let restorer = Restorer::new(Identity, &Device::flex());
    let photo = Photo {
        width: 300,
        height: 300,
    };
    measured(&restorer, &photo, None, &tiles(16));
}

#[test]
fn the_network_is_counted() {
    let config = DinoIrConfig::nano();
    let model = config.init(&Device::flex());
    let restorer = Restorer::new(Loaded::new(model, config), &Device::flex());
    let photo = |width, height| Photo { width, height };
    measured(&restorer, &photo(3000, 64), None, &tiles(64));
    measured(&restorer, &photo(400, 160), None, &tiles(128));
    measured(&restorer, &photo(256, 256), None, &tiles(256));
    let ensemble = Options {
        self_ensemble: true,
        ..tiles(64)
    };
    measured(&restorer, &photo(160, 64), None, &ensemble);
}

#[test]
fn the_uncertainty_is_counted() {
    let config = DinoIrConfig::nano();
    let sizes = UncertaintyConfig {
        features: config.last_features(),
        hidden: 12,
    };
    let mut network = Loaded::new(config.init(&Device::flex()), config);
    network.uncertainty = Some(sizes.init(&Device::flex()));
    let restorer = Restorer::new(network, &Device::flex());
    let photo = |width, height| Photo { width, height };
    for (photo, tile) in [(photo(3000, 64), 64), (photo(256, 256), 256)] {
        let asked = Options {
            uncertainty: true,
            ..tiles(tile)
        };
        let (_, allowed) = measured(&restorer, &photo, None, &asked);
        assert!(allowed > least_memory(&restorer, &photo, &tiles(tile)));
    }
}
