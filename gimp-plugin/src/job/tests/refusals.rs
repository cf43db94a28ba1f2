//! What is not done, and what is said then; and layers that are too large to hold.

use super::*;

#[test]
fn strength_0_touches_nothing_and_loads_nothing_nor_does_removing_nothing() {
    let cases = [Output::Replace, Output::NewLayer]
        .map(|output| [(output, 0.0, Removal::ALL), (output, 1.0, Removal::NONE)]);
    for (output, strength, removal) in cases.into_iter().flatten() {
        let mut host = layer(40, 30, Colour::Grey, true);
        let before = host.pixels.clone();
        let settings = Settings {
            output,
            strength,
            removal,
            ..Settings::default()
        };
        let open =
            |_: &Settings| -> Result<Model<Invert>, Error> { panic!("weights are not needed") };
        run(&mut host, &settings, open).expect("nothing to do");
        assert_eq!(host.pixels, before);
        match output {
            Output::Replace => assert_eq!((host.steps, host.above), (0, None)),
            Output::NewLayer => assert_eq!(host.above, Some(before)),
        }
    }
}

#[test]
fn what_cannot_be_restored_says_what_to_do() {
    let settings = Settings::default();
    let new_layer = Settings {
        output: Output::NewLayer,
        ..Settings::default()
    };
    let good = drawable(40, 30, Colour::Rgb, false);
    let cases: [(Drawable, &Settings, &str); 9] = [
        (
            Drawable {
                colour: Colour::Indexed,
                ..good
            },
            &settings,
            "Image > Mode > RGB",
        ),
        (
            Drawable {
                group: true,
                ..good
            },
            &settings,
            "select one layer inside it",
        ),
        (
            Drawable {
                locked: true,
                ..good
            },
            &settings,
            "unlock them",
        ),
        (
            Drawable {
                group_locked: true,
                ..good
            },
            &new_layer,
            "unlock the group",
        ),
        (
            Drawable {
                selection: None,
                ..good
            },
            &settings,
            "Select > None",
        ),
        (
            Drawable {
                layer: false,
                ..good
            },
            &new_layer,
            "choose the output",
        ),
        (
            good,
            &Settings {
                strength: 1.5,
                ..Settings::default()
            },
            "strength 1.5",
        ),
        (
            good,
            &Settings {
                removal: Removal::ALL.with(Fault::Jpeg, -1.0),
                ..Settings::default()
            },
            "compression -1",
        ),
        (
            good,
            &Settings {
                tile_size: -1,
                ..Settings::default()
            },
            "tile size -1",
        ),
    ];
    for (drawable, settings, expected) in cases {
        let mut host = Memory::new(drawable, vec![0.25; 40 * 30 * 3]);
        let opened = Cell::new(false);
        let error = run(&mut host, settings, |settings| {
            opened.set(true);
            invert(settings)
        })
        .expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
        assert!(!opened.get(), "refused before the weights are read");
        assert_eq!(host.steps, 0);
    }
}

#[test]
fn a_panic_becomes_a_message() {
    let mut host = layer(40, 30, Colour::Rgb, false);
    let before = host.pixels.clone();
    let error = run(&mut host, &Settings::default(), |_| {
        Ok(on_cpu(Invert { panics: true }))
    })
    .expect_err("it panics");
    assert!(error.to_string().contains("the network broke"), "{error}");
    assert_eq!((host.pixels, host.steps), (before, 0));
}

#[test]
fn a_refused_result_is_an_error() {
    let mut host = layer(40, 30, Colour::Rgb, false);
    host.refuse = true;
    let result = run(&mut host, &Settings::default(), invert);
    assert!(matches!(result, Err(Error::Refused(_))));
}

#[test]
fn a_layer_of_too_wide_rows_is_refused_and_a_part_of_it_is_not() {
    // A row of the result takes 12 bytes a pixel; 64 of them are the least.
    let restorer = invert(&Settings::default()).expect("a network").restorer;
    let settings = Settings::default();
    let outcome = |width: usize, selected: usize| {
        let whole = drawable(width, 4000, Colour::Rgb, false);
        let selection = Area {
            x: 0,
            y: 90,
            width: selected,
            height: 200,
        };
        options(&restorer, &whole, selection, &settings)
    };
    assert!(outcome(300_000, 300_000).is_ok());
    assert!(matches!(outcome(3_000_000, 3_000_000), Err(Error::TooWide)));
    let given = Settings {
        tile_size: 512,
        ..settings
    };
    let whole = drawable(3_000_000, 4000, Colour::Rgb, false);
    let all = whole.selection.expect("all of it");
    assert!(options(&restorer, &whole, all, &given).is_ok());
}

#[test]
fn a_large_layer_is_never_held_whole() {
    // 4096 bytes a pixel: 1 GiB holds tiles of about 512 x 512.
    let mut host = layer(600, 2400, Colour::Rgb, false);
    run(&mut host, &Settings::default(), invert).expect("restored");
    let whole = host.pixels.len();
    assert!(host.largest.get() < whole / 4, "{}", host.largest.get());
    let tiles = host.progress.len() - 2;
    assert!(tiles > 4, "{tiles} tiles");
    let fractions = host.progress.iter().map(|(fraction, _)| *fraction);
    assert!(fractions.is_sorted());
    assert_eq!(
        host.progress.last().map(|(fraction, _)| *fraction),
        Some(1.0)
    );
    assert!(
        host.progress[3].1.contains("left"),
        "{}",
        host.progress[3].1
    );
}
