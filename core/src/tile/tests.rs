use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;

fn bytes(height: usize, width: usize) -> u64 {
    (height * width) as u64 * 100
}

fn rules(tile: Option<usize>, overlap: Option<usize>, memory: Option<u64>) -> TileRules {
    TileRules {
        multiple: 8,
        tile,
        overlap,
        memory,
    }
}

#[test]
fn tiles_cover_the_image() {
    let mut random = StdRng::seed_from_u64(1);
    for _ in 0..2000 {
        let multiple = [1, 2, 7, 8, 14][random.random_range(0..5)];
        let (width, height) = (random.random_range(1..400), random.random_range(1..400));
        let tile = random
            .random_bool(0.7)
            .then(|| random.random_range(multiple..300));
        let overlap = random.random_bool(0.5).then(|| match tile {
            Some(tile) => random.random_range(0..tile / multiple) * multiple,
            None => random.random_range(0..100),
        });
        let memory = random
            .random_bool(0.5)
            .then(|| random.random_range(16_000_000..40_000_000));
        let rules = TileRules {
            multiple,
            tile,
            overlap,
            memory,
        };
        let plan = TilePlan::new(width, height, &rules, &bytes).expect("a good plan");

        let mut seen = vec![0u8; width * height];
        for tile in plan.tiles() {
            let Tile { input, output, .. } = tile;
            assert_eq!(
                (input.width, input.height),
                (plan.tile_width(), plan.tile_height())
            );
            assert!(
                [input.x, input.y, input.width, input.height]
                    .iter()
                    .all(|at| at % multiple == 0)
            );
            assert!(output.x >= input.x && output.x + output.width <= input.x + input.width);
            assert!(output.y >= input.y && output.y + output.height <= input.y + input.height);
            assert!(output.width > 0 && output.height > 0);
            for y in output.y..output.y + output.height {
                for x in output.x..output.x + output.width {
                    seen[y * width + x] += 1;
                }
            }
        }
        assert!(
            seen.iter().all(|tiles| (1..=4).contains(tiles)),
            "{width}x{height} {rules:?}"
        );
        if let Some(memory) = memory {
            assert!(bytes(plan.tile_height(), plan.tile_width()) <= memory);
        }
        for axis in [plan.columns(), plan.rows()] {
            let needed = overlap.unwrap_or(0);
            for index in 1..axis.count() {
                let shared = axis.starts[index - 1] + axis.tile - axis.starts[index];
                assert!(shared >= needed, "{width}x{height} {rules:?}");
            }
            for pair in axis.seams.windows(2) {
                assert!(pair[0].end <= pair[1].start);
            }
        }
    }
}

#[test]
fn outermost_context_carries_no_weight() {
    let plan =
        TilePlan::new(300, 200, &rules(Some(64), Some(32), None), &bytes).expect("a good plan");
    for tile in plan.tiles() {
        if tile.column > 0 {
            assert!(tile.output.x >= tile.input.x + MARGIN);
        }
        if tile.column + 1 < plan.columns().count() {
            assert!(tile.output.x + tile.output.width + MARGIN <= tile.input.x + tile.input.width);
        }
    }
}

#[test]
fn memory_decides() {
    let plan = TilePlan::new(
        6000,
        4000,
        &rules(None, None, Some(bytes(512, 512))),
        &bytes,
    )
    .expect("a good plan");
    assert!((448..=512).contains(&plan.tile_width()) && (448..=512).contains(&plan.tile_height()));
    let whole = TilePlan::new(6000, 4000, &rules(None, None, None), &bytes).expect("a good plan");
    assert_eq!(
        (whole.len(), whole.tile_width(), whole.tile_height()),
        (1, 6000, 4000)
    );

    let Err(Error::OutOfMemory(message)) = TilePlan::new(
        6000,
        4000,
        &rules(None, None, Some(bytes(64, 64) - 1)),
        &bytes,
    ) else {
        panic!("fits");
    };
    assert!(message.contains(&bytes(64, 64).to_string()), "{message}");
    let least = TilePlan::new(6000, 4000, &rules(None, None, Some(bytes(64, 64))), &bytes)
        .expect("a good plan");
    assert!(bytes(least.tile_height(), least.tile_width()) <= bytes(64, 64));
    // A small image needs no more than itself.
    assert!(TilePlan::new(9, 3, &rules(None, None, Some(bytes(8, 16))), &bytes).is_ok());
    let fixed = TilePlan::new(
        600,
        400,
        &rules(Some(128), None, Some(bytes(64, 64))),
        &bytes,
    );
    assert!(matches!(fixed, Err(Error::OutOfMemory(_))));
}

#[test]
fn small_image_is_one_tile() {
    for (width, height, padded) in [(1, 1, (8, 8)), (13, 1, (16, 8)), (64, 60, (64, 64))] {
        for tile in [None, Some(64)] {
            let plan = TilePlan::new(width, height, &rules(tile, None, None), &bytes)
                .expect("a good plan");
            assert_eq!((plan.tile_width(), plan.tile_height()), padded);
            assert_eq!(plan.len(), 1);
            assert_eq!(
                plan.tile(0).output,
                Area {
                    x: 0,
                    y: 0,
                    width,
                    height
                }
            );
        }
    }
}

#[test]
fn refuses_bad_options() {
    for (tile, overlap) in [
        (0, None),
        (7, None),
        (64, Some(64)),
        (64, Some(57)),
        (8, Some(usize::MAX)),
    ] {
        let plan = TilePlan::new(300, 300, &rules(Some(tile), overlap, None), &bytes);
        assert!(
            matches!(plan, Err(Error::InvalidOption(_))),
            "{tile} {overlap:?}"
        );
    }
    let huge =
        TilePlan::new(300, 300, &rules(Some(usize::MAX), None, None), &bytes).expect("one tile");
    assert_eq!(huge.len(), 1);
    let wide =
        TilePlan::new(300, 300, &rules(None, Some(usize::MAX), None), &bytes).expect("one tile");
    assert_eq!(wide.len(), 1);
    for (width, height) in [(0, 1), (1, 0), (usize::MAX, usize::MAX), (usize::MAX, 1)] {
        let plan = TilePlan::new(width, height, &rules(None, None, None), &bytes);
        assert!(matches!(plan, Err(Error::InvalidImage(_))));
    }
}

#[test]
fn reflect_equals_walking() {
    for length in 1..9usize {
        let (mut at, mut forward) = (0, true);
        for index in 0..60 {
            assert_eq!(reflect(index, length), at, "{index} of {length}");
            if length > 1 {
                forward = if at == 0 {
                    true
                } else if at == length - 1 {
                    false
                } else {
                    forward
                };
                at = if forward { at + 1 } else { at - 1 };
            }
        }
    }
}
