//! The preview with a host in memory and networks whose result is known.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use burn::Tensor;
use dino_ir::Fault;

use super::*;
use crate::host::Colour;
use crate::host::memory::Memory;
use crate::job::{Model, on_cpu, run, run_previewed};
use crate::settings::{self, Output};

/// Takes half of the mean of all that it sees away.
struct Centred;

impl Network for Centred {
    fn multiple(&self) -> usize {
        8
    }

    fn activation_bytes(&self, height: usize, width: usize) -> u64 {
        (height * width * 4096) as u64
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let stats = self.global_statistics(x.clone());
        self.forward_with_stats(x, stats)
    }

    fn has_global_statistics(&self) -> bool {
        true
    }

    fn global_statistics(&self, x: Tensor<4>) -> Tensor<2> {
        x.mean().mul_scalar(0.5).reshape([1, 1])
    }

    fn forward_with_stats(&self, x: Tensor<4>, stats: Tensor<2>) -> Tensor<4> {
        x - stats.reshape([1, 1, 1, 1])
    }
}

fn centred(_: &Settings) -> Result<Model<Centred>, Error> {
    Ok(on_cpu(Centred))
}

const WIDTH: usize = 700;
const HEIGHT: usize = 600;

fn all() -> Area {
    Area {
        x: 0,
        y: 0,
        width: WIDTH,
        height: HEIGHT,
    }
}

/// Bright on the right, so that a part's mean is not the whole's.
fn layer(colour: Colour, alpha: bool) -> Memory {
    let drawable = Drawable {
        width: WIDTH,
        height: HEIGHT,
        selection: Some(all()),
        colour,
        alpha,
        group: false,
        locked: false,
        group_locked: false,
        layer: true,
    };
    let channels = drawable.channels();
    let pixels = (0..WIDTH * HEIGHT * channels).map(|at| {
        let x = at / channels % WIDTH;
        // In colour, or it would be taken for a toned photo.
        let y = if at % channels == 2 {
            at / channels / WIDTH
        } else {
            0
        };
        (x as f32 * 0.8 + y as f32 * 0.1) / WIDTH as f32 + (at * 7919 % 31) as f32 / 310.0
    });
    Memory::new(drawable, pixels.collect())
}

fn settings() -> Settings {
    Settings {
        tile_size: 256,
        ..Settings::default()
    }
}

fn preview(host: &Memory) -> Preview<Centred> {
    Preview::new(
        host.drawable,
        all(),
        (200, 150),
        settings(),
        centred,
        Arc::new(|| {}),
    )
}

/// Serves until `done`; draws as a window would.
fn serve<N: Network + Send + Sync + 'static>(
    preview: &mut Preview<N>,
    host: &Memory,
    done: impl Fn(&Preview<N>) -> bool,
) {
    let start = Instant::now();
    while !done(preview) {
        assert!(start.elapsed().as_secs() < 300, "{}", preview.status());
        preview.serve(host);
        preview.draw(host);
        thread::sleep(Duration::from_millis(1));
    }
}

fn is_done<N: Network + Send + Sync + 'static>(preview: &Preview<N>) -> bool {
    !preview.is_busy()
}

/// The largest difference, of 255, of what is known restored from what a host holds.
fn difference<N: Network>(preview: &Preview<N>, restored: &Memory) -> f32 {
    let channels = restored.drawable.channels();
    let mut largest = 0f32;
    let mut compared = 0;
    for (area, cell) in preview.cells.known(preview.view.area()) {
        for (at, rgb) in cell.restored.chunks_exact(3).enumerate() {
            let (x, y) = (area.x + at % area.width, area.y + at / area.width);
            let expected = &restored.pixels[(y * WIDTH + x) * channels..][..channels];
            let colours = restored.drawable.colours();
            for (found, expected) in rgb.iter().zip(&expected[..colours]) {
                largest = largest.max((found - expected).abs() * 255.0);
                compared += 1;
            }
        }
    }
    assert!(compared >= 200 * 150, "{compared} samples");
    largest
}

#[test]
fn it_shows_what_the_job_gives() {
    for (colour, alpha) in [
        (Colour::Rgb, false),
        (Colour::Rgb, true),
        (Colour::Grey, false),
    ] {
        let mut host = layer(colour, alpha);
        let mut preview = preview(&host);
        serve(&mut preview, &host, is_done);
        run(&mut host, &settings(), centred).expect("restored");
        let off = difference(&preview, &host);
        assert!(off <= 1.0, "{colour:?} {alpha}: off by {off}");
        assert_eq!(preview.status(), "This is what OK gives");
    }
}

#[test]
fn a_first_picture_comes_before_the_calibration_pass() {
    let mut host = layer(Colour::Rgb, false);
    let mut preview = preview(&host);
    preview.view().press(20.0, 20.0);
    preview.view().drag(4000.0, 20.0);
    preview.view().release();
    serve(&mut preview, &host, |preview| preview.runs() == 1);
    assert!(preview.calibration.is_none());
    run(&mut host, &settings(), centred).expect("restored");
    let off = difference(&preview, &host);
    assert!(off > 10.0, "by the mean of the dark part: off by {off}");
}

#[test]
fn a_move_restores_only_what_is_new_and_strength_nothing() {
    let host = layer(Colour::Rgb, false);
    let mut preview = preview(&host);
    serve(&mut preview, &host, is_done);
    let runs = preview.runs();
    assert_eq!(runs, 2, "at first, and by the calibration");

    let before = preview.draw(&host);
    preview.set(Settings {
        strength: 0.5,
        output: Output::NewLayer,
        ..settings()
    });
    assert!(preview.draw(&host) != before);
    assert!(is_done(&preview));
    preview.view().press(20.0, 20.0);
    preview.view().drag(-60.0, 20.0);
    preview.draw(&host);
    serve(&mut preview, &host, is_done);
    assert_eq!(preview.runs(), runs + 1, "the columns on the right");
    preview.view().drag(20.0, 20.0);
    preview.draw(&host);
    assert!(is_done(&preview));
    assert_eq!(preview.runs(), runs + 1, "back where all is known");
}

#[test]
fn a_layer_that_is_painted_on_is_restored_anew() {
    let mut host = layer(Colour::Rgb, false);
    let mut preview = preview(&host);
    serve(&mut preview, &host, is_done);
    assert!(!preview.check(&host), "it is as it was");
    let seen = preview.view.area();
    let at = ((seen.y + 10) * WIDTH + seen.x + 10) * 3;
    host.pixels[at..at + 60].fill(0.9);
    assert!(preview.check(&host));
    assert!(preview.is_busy(), "by the calibration of the new one");
    serve(&mut preview, &host, is_done);
    run(&mut host, &settings(), centred).expect("restored");
    assert!(difference(&preview, &host) < 1.0);
}

#[test]
fn another_tile_or_model_restores_anew() {
    let host = layer(Colour::Rgb, false);
    let mut preview = preview(&host);
    serve(&mut preview, &host, is_done);
    let runs = preview.runs();
    preview.set(Settings {
        tile_size: 128,
        ..settings()
    });
    assert!(preview.is_busy());
    assert_eq!(preview.status(), "Loading the model...");
    serve(&mut preview, &host, is_done);
    assert!(preview.runs() > runs);
}

#[test]
fn other_shares_take_the_network_but_no_other_calibration() {
    /// What it takes away is haze.
    struct Steered;

    impl Network for Steered {
        fn multiple(&self) -> usize {
            8
        }

        fn activation_bytes(&self, height: usize, width: usize) -> u64 {
            Centred.activation_bytes(height, width)
        }

        fn forward(&self, x: Tensor<4>) -> Tensor<4> {
            Centred.forward(x)
        }

        fn has_global_statistics(&self) -> bool {
            true
        }

        fn global_statistics(&self, x: Tensor<4>) -> Tensor<2> {
            Centred.global_statistics(x)
        }

        fn forward_with_stats(&self, x: Tensor<4>, stats: Tensor<2>) -> Tensor<4> {
            Centred.forward_with_stats(x, stats)
        }

        fn steers(&self) -> bool {
            true
        }

        fn forward_steered(
            &self,
            x: Tensor<4>,
            stats: Option<Tensor<2>>,
            removal: &Removal,
        ) -> Tensor<4> {
            let stats = stats.unwrap_or_else(|| self.global_statistics(x.clone()));
            Centred.forward_with_stats(x, stats * removal.haze)
        }
    }

    let mut host = layer(Colour::Rgb, false);
    let open: Open<Steered> = |_| Ok(on_cpu(Steered));
    let wake: Wake = Arc::new(|| {});
    let mut preview = Preview::new(host.drawable, all(), (200, 150), settings(), open, wake);
    serve(&mut preview, &host, is_done);
    let calibration = Arc::clone(preview.calibration.as_ref().expect("a calibration"));
    let with = |haze| Settings {
        removal: Removal::ALL.with(Fault::Haze, haze),
        ..settings()
    };
    // The slider moves on while the network runs.
    for haze in [0.9, 0.7, 0.5] {
        preview.set(with(haze));
        assert!(preview.is_busy());
    }
    serve(&mut preview, &host, is_done);
    assert!(Arc::ptr_eq(
        &calibration,
        preview.calibration.as_ref().expect("one")
    ));
    run(&mut host, &with(0.5), open).expect("restored");
    let off = difference(&preview, &host);
    assert!(off <= 1.0, "off by {off}");
}

#[test]
fn weights_that_cannot_be_steered_say_so_until_all_is_to_be_removed() {
    let host = layer(Colour::Rgb, false);
    let mut preview = preview(&host);
    serve(&mut preview, &host, is_done);
    preview.set(Settings {
        removal: Removal::only(&[Fault::Haze]),
        ..settings()
    });
    serve(&mut preview, &host, is_done);
    let said = preview.status();
    assert!(said.contains("cannot remove one fault"), "{said}");
    preview.set(settings());
    serve(&mut preview, &host, is_done);
    assert_eq!(preview.status(), "This is what OK gives");
}

#[test]
fn the_job_goes_on_with_the_statistics() {
    static CALIBRATIONS: AtomicUsize = AtomicUsize::new(0);

    /// Counts the runs of its calibration passes.
    struct Counted;

    impl Network for Counted {
        fn multiple(&self) -> usize {
            8
        }

        fn activation_bytes(&self, height: usize, width: usize) -> u64 {
            Centred.activation_bytes(height, width)
        }

        fn forward(&self, x: Tensor<4>) -> Tensor<4> {
            Centred.forward(x)
        }

        fn has_global_statistics(&self) -> bool {
            true
        }

        fn global_statistics(&self, x: Tensor<4>) -> Tensor<2> {
            CALIBRATIONS.fetch_add(1, Ordering::Relaxed);
            Centred.global_statistics(x)
        }

        fn forward_with_stats(&self, x: Tensor<4>, stats: Tensor<2>) -> Tensor<4> {
            Centred.forward_with_stats(x, stats)
        }
    }

    let open: Open<Counted> = |_| Ok(on_cpu(Counted));
    let mut expected = layer(Colour::Rgb, false);
    run(&mut expected, &settings(), open).expect("restored");
    let all_runs = CALIBRATIONS.swap(0, Ordering::Relaxed);
    assert!(all_runs > 0);

    // After the calibration pass, in the middle of it, before it, and with a layer that was painted on meanwhile.
    let cases = [(true, false), (false, false), (true, true)];
    for (waits, paints) in cases {
        let mut host = layer(Colour::Rgb, false);
        let wake: Wake = Arc::new(|| {});
        let mut preview = Preview::new(host.drawable, all(), (200, 150), settings(), open, wake);
        if waits {
            serve(&mut preview, &host, is_done);
        } else {
            serve(&mut preview, &host, |preview| preview.calibrating.is_some());
        }
        if paints {
            host.pixels[..WIDTH * 20 * 3].fill(0.5);
            expected = layer(Colour::Rgb, false);
            expected.pixels[..WIDTH * 20 * 3].fill(0.5);
            run(&mut expected, &settings(), open).expect("restored");
            CALIBRATIONS.store(all_runs, Ordering::Relaxed);
        }
        run_previewed(&mut host, &settings(), preview, open).expect("restored");
        let pairs = host.pixels.iter().zip(&expected.pixels);
        let off = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-6, "waits {waits}, paints {paints}: off by {off}");
        assert_eq!(host.steps, 1);
        let runs = CALIBRATIONS.swap(0, Ordering::Relaxed);
        let expected = if paints { 2 * all_runs } else { all_runs };
        assert_eq!(runs, expected, "waits {waits}, paints {paints}");
    }
}

#[test]
fn a_model_that_cannot_be_opened_is_told() {
    let mut host = layer(Colour::Rgb, false);
    let open: Open<Centred> = |_| Err(Error::Setting("no such model".to_owned()));
    let wake: Wake = Arc::new(|| {});
    let mut preview = Preview::new(host.drawable, all(), (200, 150), settings(), open, wake);
    serve(&mut preview, &host, is_done);
    assert_eq!(preview.status(), "no such model");
    // The job says so itself.
    let error = run_previewed(&mut host, &settings(), preview, open).expect_err("no model");
    assert_eq!(error.to_string(), "no such model");
}

#[test]
fn a_panic_of_a_worker_is_told() {
    let host = layer(Colour::Rgb, false);
    let open: Open<Centred> = |_| panic!("the model broke");
    let wake: Wake = Arc::new(|| {});
    let mut preview = Preview::new(host.drawable, all(), (200, 150), settings(), open, wake);
    serve(&mut preview, &host, is_done);
    assert!(
        preview.status().contains("the model broke"),
        "{}",
        preview.status()
    );
}

#[test]
fn a_photo_that_needs_nothing_is_said_to() {
    /// Changes nothing.
    struct Identity;

    impl Network for Identity {
        fn multiple(&self) -> usize {
            8
        }

        fn activation_bytes(&self, _: usize, _: usize) -> u64 {
            0
        }

        fn forward(&self, x: Tensor<4>) -> Tensor<4> {
            x
        }
    }

    let host = layer(Colour::Rgb, false);
    let open: Open<Identity> = |_| Ok(on_cpu(Identity));
    let wake: Wake = Arc::new(|| {});
    let settings = settings::Settings::default();
    let mut preview = Preview::new(host.drawable, all(), (200, 150), settings, open, wake);
    serve(&mut preview, &host, is_done);
    assert_eq!(preview.status(), "Hardly any change: this photo seems fine");
}

#[test]
fn closed_in_the_middle_it_leaves_nobody_waiting() {
    let host = layer(Colour::Rgb, false);
    let mut preview = preview(&host);
    serve(&mut preview, &host, |preview| preview.calibrating.is_some());
    // The calibration pass asks for pixels that nobody will read.
    let threads = preview.workers.close();
    drop(preview);
    for thread in threads {
        thread.join().expect("ended by itself");
    }
}

#[test]
fn the_embedded_model_shows_what_the_job_gives() {
    // Tiles as small as the model bears: the more of them, the more the preview could differ.
    let mut host = layer(Colour::Rgb, false);
    let wake: Wake = Arc::new(|| {});
    let open: Open<dino_ir::weights::Loaded> = crate::job::open;
    let settings = Settings {
        device: settings::Device::Cpu,
        ..settings()
    };
    let mut preview = Preview::new(host.drawable, all(), (96, 96), settings.clone(), open, wake);
    serve(&mut preview, &host, is_done);
    run(&mut host, &settings, open).expect("restored");
    let seen = preview.view.area();
    let mut largest = 0f32;
    for (area, cell) in preview.cells.known(seen) {
        for (at, rgb) in cell.restored.chunks_exact(3).enumerate() {
            let (x, y) = (area.x + at % area.width, area.y + at / area.width);
            let expected = &host.pixels[(y * WIDTH + x) * 3..][..3];
            for (found, expected) in rgb.iter().zip(expected) {
                largest = largest.max((found - expected).abs() * 255.0);
            }
        }
    }
    assert!(largest <= 1.0, "off by {largest} of 255");
}
