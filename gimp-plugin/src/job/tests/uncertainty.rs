//! The layer of expected errors.

use super::*;

/// As [`Invert`], and off by an eighth of red.
struct Unsure;

impl Network for Unsure {
    fn multiple(&self) -> usize {
        8
    }

    fn activation_bytes(&self, _: usize, _: usize) -> u64 {
        0
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        x.neg().add_scalar(1.0)
    }

    fn has_uncertainty(&self) -> bool {
        true
    }

    fn forward_with_uncertainty(
        &self,
        x: Tensor<4>,
        _: Option<Tensor<2>>,
        _: &Removal,
    ) -> [Tensor<4>; 2] {
        let errors = x.clone().narrow(1, 0, 1) * 0.125;
        [self.forward(x), errors]
    }
}

fn unsure(_: &Settings) -> Result<Model<Unsure>, Error> {
    Ok(on_cpu(Unsure))
}

#[test]
fn expected_errors_are_a_layer_of_their_own() {
    for (output, alpha) in [(Output::Replace, false), (Output::NewLayer, true)] {
        let mut host = layer(40, 70, Colour::Rgb, alpha);
        let area = Area {
            x: 5,
            y: 3,
            width: 31,
            height: 60,
        };
        host.drawable.selection = Some(area);
        for (at, mask) in host.mask.iter_mut().enumerate() {
            let inside = (3..63).contains(&(at / 40)) && (5..36).contains(&(at % 40));
            *mask = if inside { (at % 3) as f32 / 2.0 } else { 0.0 };
        }
        let before = host.pixels.clone();
        let settings = Settings {
            output,
            uncertainty: true,
            ..Settings::default()
        };
        run(&mut host, &settings, unsure).expect("restored");
        assert_eq!(host.steps, 1);
        let map = host.errors.expect("a map");
        assert_eq!(map.area, area);
        assert_eq!(map.pixels.len(), 2 * area.width * area.height);
        let channels = host.drawable.channels();
        for (at, found) in map.pixels.chunks_exact(2).enumerate() {
            let (x, y) = (area.x + at % area.width, area.y + at / area.width);
            let pixel = &before[(y * 40 + x) * channels..][..channels];
            let is_hidden = alpha && pixel[3] == 0.0;
            let shown = if is_hidden {
                0.0
            } else {
                host.mask[y * 40 + x]
            };
            assert_eq!(found[1], (shown * 255.0).round() as u8);
            // A level is eight.
            let grey = (pixel[0] * 0.125 * 255.0 * 255.0 / 32.0).min(255.0);
            let off = (f32::from(found[0]) - grey).abs();
            assert!(is_hidden || off <= 0.51, "{found:?} {grey}");
        }
    }
}

#[test]
fn there_is_no_uncertainty_of_nothing_nor_above_a_mask() {
    let uncertain = Settings {
        uncertainty: true,
        ..Settings::default()
    };
    let mut host = layer(40, 30, Colour::Rgb, false);
    let nothing = Settings {
        strength: 0.0,
        ..uncertain.clone()
    };
    run(&mut host, &nothing, unsure).expect("nothing to do");
    assert_eq!((host.steps, &host.errors), (0, &None));
    // The network does not tell.
    let error = run(&mut host, &uncertain, invert).expect_err("refused");
    assert!(error.message().contains("cannot tell"), "{error}");
    host.drawable.layer = false;
    let error = run(&mut host, &uncertain, unsure).expect_err("refused");
    assert!(matches!(error, Error::NoUncertainty), "{error}");
    assert!(error.message().contains("leave out"), "{error}");
    assert_eq!(host.steps, 0);
}
