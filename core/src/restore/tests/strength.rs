//! Strength mixes, and values that are not finite give way.

use super::*;

#[test]
fn strength_mixes() {
    let image = Image::new(
        2,
        1,
        vec![-0.0, 0.1, 1.7, f32::MIN_POSITIVE / 2.0, -3.0, 0.9],
    )
    .expect("a good image");
    let half = |_: usize, _: usize, plane: &[f32]| {
        plane
            .iter()
            .map(|value| value * 0.3 + 0.1)
            .collect::<Vec<_>>()
    };
    let restorer = Planes::restorer(half);

    let zero = restore(
        &restorer,
        &image,
        &Options {
            strength: 0.0,
            ..Options::default()
        },
    );
    let bits = |image: &Image| {
        image
            .pixels()
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    assert_eq!(bits(&zero), bits(&image));
    assert_eq!(restorer.network().runs.get(), 0);

    let one = restore(&restorer, &image, &Options::default());
    assert_eq!(one.pixels(), half(1, 2, image.pixels()));
    let quarter = restore(
        &restorer,
        &image,
        &Options {
            strength: 0.25,
            ..Options::default()
        },
    );
    for ((quarter, one), input) in quarter
        .pixels()
        .iter()
        .zip(one.pixels())
        .zip(image.pixels())
    {
        assert!((quarter - (input + 0.25 * (one - input))).abs() < 1e-6);
    }
}

#[test]
fn strength_0_copies_tall_images() {
    let image = random_image(5, 1000);
    let restorer = Planes::restorer(identity);
    assert_eq!(
        restore(
            &restorer,
            &image,
            &Options {
                strength: 0.0,
                ..Options::default()
            }
        ),
        image
    );
}

#[test]
fn non_finite_results_give_way_to_the_input() {
    let broken = |_: usize, _: usize, plane: &[f32]| {
        let value = |at: usize| [0.5, f32::NAN, f32::INFINITY, f32::NEG_INFINITY][at % 4];
        (0..plane.len()).map(value).collect::<Vec<_>>()
    };
    let image = random_image(8, 8);
    let restorer = Planes::restorer(broken);
    let result = restore(&restorer, &image, &Options::default());
    for (at, (result, input)) in result.pixels().iter().zip(image.pixels()).enumerate() {
        assert_eq!(
            *result,
            if (at / 3).is_multiple_of(4) {
                0.5
            } else {
                *input
            }
        );
    }
}

#[test]
fn non_finite_input_stays_where_it_is() {
    struct Holes;
    impl Source for Holes {
        fn width(&self) -> usize {
            16
        }
        fn height(&self) -> usize {
            8
        }
        fn read(&self, area: Area, rgb: &mut [f32]) -> Result<()> {
            rgb.fill(0.5);
            if (area.x, area.y) == (0, 0) {
                rgb[0] = f32::NAN;
            }
            Ok(())
        }
    }
    let options = Options::default();
    let restorer = Planes::restorer(blur);
    let mut restoration = Restoration::new(
        restorer.plan(16, 8, &options).expect("a plan"),
        &options,
        false,
        &Holes,
    )
    .expect("begun");
    let input = restoration.next_tile(&Holes).expect("read");
    let input = input.expect("a tile");
    assert!(input.planar.iter().all(|sample| sample.is_finite()));
    let again = restoration.next_tile(&Holes).expect("read");
    let again = again.expect("the same tile");
    assert_eq!(input.planar, again.planar);
    assert!(matches!(
        restoration.accept(&input.planar[1..]),
        Err(Error::Device(_))
    ));
    let rows = restoration
        .accept(&input.planar)
        .expect("accepted")
        .expect("rows");
    assert_eq!((rows.y, rows.rgb.len()), (0, 16 * 8 * 3));
    assert!(rows.rgb.iter().all(|sample| sample.is_finite()));
    assert!(matches!(
        restoration.accept(&input.planar),
        Err(Error::Device(_))
    ));
    assert_eq!(restoration.next_tile(&Holes).expect("read"), None);
    assert_eq!(restoration.replaced(), 0);
}
