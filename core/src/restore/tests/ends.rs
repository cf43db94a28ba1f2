//! What ends a restoration early: a cancel, an error of the caller's source or sink, bad options.

use super::*;

#[test]
fn cancels_between_tiles() {
    let image = random_image(100, 100);
    for self_ensemble in [false, true] {
        let options = Options {
            self_ensemble,
            ..tiled(32, 8)
        };
        let total = Planes::restorer(identity)
            .plan(100, 100, &options)
            .expect("a plan")
            .len();
        for stop in [0, 1, total / 2, total] {
            let restorer = Planes::restorer(identity);
            let sink = RefCell::new(StrictSink {
                width: 100,
                next: 0,
                writes: 0,
            });
            let at_break = Cell::new(0);
            let mut progress = |progress: Progress| {
                if progress.done < stop {
                    return ControlFlow::Continue(());
                }
                at_break.set(restorer.network().runs.get());
                ControlFlow::Break(())
            };
            let result = restorer.restore(&image, &mut *sink.borrow_mut(), &options, &mut progress);
            assert!(matches!(result, Err(Error::Cancelled)));
            assert_eq!(
                (restorer.network().runs.get(), at_break.get()),
                (stop, stop)
            );
            if stop == 0 {
                assert_eq!(sink.borrow().writes, 0);
            }
        }
    }
    let mut sink = StrictSink {
        width: 100,
        next: 0,
        writes: 0,
    };
    let options = Options {
        strength: 0.0,
        ..Options::default()
    };
    let restorer = Planes::restorer(identity);
    let result = restorer.restore(&image, &mut sink, &options, &mut |_| ControlFlow::Break(()));
    assert!(matches!(result, Err(Error::Cancelled)) && sink.writes == 0);
}

#[test]
fn a_failing_sink_ends_it() {
    struct Full;
    impl Sink for Full {
        fn write_rows(&mut self, _: usize, _: &[f32]) -> Result<()> {
            Err(Error::InvalidImage("full".to_owned()))
        }
    }
    let restorer = Planes::restorer(identity);
    let image = random_image(100, 100);
    let result = restorer.restore(&image, &mut Full, &tiled(32, 8), &mut |_| {
        ControlFlow::Continue(())
    });
    assert!(matches!(result, Err(Error::InvalidImage(_))));
    assert!(restorer.network().runs.get() < 16);
}

/// An image of which no more than so many reads succeed.
struct Failing {
    image: Image,
    left: Cell<usize>,
}

/// A caller's own error.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("photo.raw: the card was pulled out; put it back")]
struct CardGone {
    line: usize,
}

impl Source for Failing {
    fn width(&self) -> usize {
        self.image.width()
    }
    fn height(&self) -> usize {
        self.image.height()
    }
    fn read(&self, area: Area, rgb: &mut [f32]) -> Result<()> {
        match self.left.get().checked_sub(1) {
            Some(left) => self.left.set(left),
            None => return Err(Error::Caller(Box::new(CardGone { line: area.y }))),
        }
        self.image.read(area, rgb)
    }
}

/// Checks that an error is the caller's, as it was given.
fn check_card_gone(error: Error) {
    assert_eq!(error.kind(), "caller");
    assert_eq!(error.to_string(), CardGone { line: 0 }.to_string());
    assert!(std::error::Error::source(&error).is_none(), "said once");
    let Error::Caller(error) = error else {
        panic!("{error:?}");
    };
    assert!(error.downcast::<CardGone>().is_ok());
}

#[test]
fn a_failing_source_ends_it_with_its_own_error() {
    let (width, height) = (100, 100);
    // Of the reads, three look for a frame, four for toning; the others are one for each of 16 tiles.
    let options = tiled(32, 8);
    let tiles = Planes::restorer(identity).plan(width, height, &options);
    assert_eq!(tiles.expect("a plan").len(), 16);
    for reads in 0..=23 {
        let restorer = Planes::restorer(identity);
        let source = Failing {
            image: random_image(width, height),
            left: Cell::new(reads),
        };
        let mut sink = StrictSink {
            width,
            next: 0,
            writes: 0,
        };
        let result = restorer.restore(&source, &mut sink, &options, &mut |_| {
            ControlFlow::Continue(())
        });
        match result {
            Ok(()) => assert_eq!((reads, sink.next), (23, height)),
            Err(error) => {
                assert!(reads < 23);
                check_card_gone(error);
            }
        }
        assert_eq!(restorer.network().runs.get(), reads.saturating_sub(7));
        // Only whole rows of tiles were written: nothing before the first one is there, and nothing after the failure.
        assert_eq!(sink.writes, reads.saturating_sub(7) / 4);
    }
}

#[test]
fn every_way_to_read_hands_the_error_on() {
    let restorer = Planes::restorer(identity);
    let copied = Options {
        strength: 0.0,
        ..Options::default()
    };
    let mut sink = StrictSink {
        width: 20,
        next: 0,
        writes: 0,
    };
    let failing = |reads| Failing {
        image: random_image(40, 40),
        left: Cell::new(reads),
    };
    let area = Area {
        x: 10,
        y: 10,
        width: 20,
        height: 20,
    };
    for (options, reads) in [(&copied, 0), (&tiled(24, 8), 0), (&tiled(24, 8), 2)] {
        let go_on = &mut |_| ControlFlow::Continue(());
        let result = restorer.restore_area(&failing(reads), area, &mut sink, options, go_on);
        check_card_gone(result.expect_err("no pixels"));
        let result = restorer.restore_part(&failing(0), area, None, &mut sink, options, go_on);
        check_card_gone(result.expect_err("no pixels"));
    }
    assert_eq!(sink.writes, 0);
    let statistics = restorer.statistics(&failing(1), &tiled(24, 8), &mut |_| {
        ControlFlow::Continue(())
    });
    check_card_gone(statistics.expect_err("no pixels"));
    check_card_gone(restorer.observe(&failing(0)).expect_err("no pixels"));
}

#[test]
fn a_failed_read_can_be_tried_again() {
    let restorer = Planes::restorer(identity);
    let options = tiled(24, 8);
    let source = Failing {
        image: random_image(40, 40),
        left: Cell::new(usize::MAX),
    };
    let plan = restorer.plan(40, 40, &options).expect("a plan");
    let mut restoration = Restoration::new(plan, &options, false, &source).expect("begun");
    let mut rows = Vec::new();
    loop {
        source.left.set(0);
        if restoration.progress().done < restoration.progress().total {
            check_card_gone(restoration.next_tile(&source).expect_err("no pixels"));
        }
        source.left.set(1);
        let Some(input) = restoration.next_tile(&source).expect("read") else {
            break;
        };
        if let Some(finished) = restoration.accept(&input.planar).expect("accepted") {
            rows.extend_from_slice(finished.rgb);
        }
    }
    let image = Image::new(40, 40, rows).expect("all rows");
    assert!(difference(&image, &source.image) < 1e-6);
}

#[test]
fn refuses_bad_options_before_anything() {
    let restorer = Planes::restorer(identity);
    let image = random_image(20, 20);
    for options in [
        Options {
            strength: f32::NAN,
            ..Options::default()
        },
        Options {
            strength: 1.01,
            ..Options::default()
        },
        tiled(7, 0),
        tiled(64, 60),
    ] {
        let mut sink = StrictSink {
            width: 20,
            next: 0,
            writes: 0,
        };
        let mut progress = |_| panic!("began");
        let result = restorer.restore(&image, &mut sink, &options, &mut progress);
        assert!(
            matches!(result, Err(Error::InvalidOption(_))),
            "{options:?}"
        );
    }
    let poor = Options {
        memory: Some(1000),
        ..Options::default()
    };
    assert!(matches!(
        restorer.restore_image(&image, &poor),
        Err(Error::OutOfMemory(_))
    ));
}
