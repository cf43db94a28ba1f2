//! Which pixels of a layer are seen, where the line between before and after is, and what the mouse does to both.

use std::fmt;

use dino_ir::restore::Area;

/// Pixels on either side of the line where a press takes hold of it.
const GRIP: f64 = 8.0;
/// Pixels that the mouse has to go before a press becomes a move.
const STILL: f64 = 4.0;
/// So large may a pixel be drawn.
const MAX_ZOOM: usize = 8;
/// Neither side is larger, whatever the window: what is seen has to be restored, and kept.
const MAX_SIDE: usize = 1024;

/// A window on a layer.
#[derive(Clone, Debug)]
pub struct View {
    /// The layer's columns and rows.
    layer: (usize, usize),
    /// The window's.
    size: (usize, usize),
    /// The first column and row that are seen.
    origin: (usize, usize),
    /// Pixels of the window for one of the layer's.
    zoom: usize,
    /// Where the line is: 0 at the left end of the window, 1 at the right one.
    split: f64,
    held: Held,
}

/// Where a view looks: what is worth keeping for the next time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// The layer's first column and row that are seen.
    pub origin: (usize, usize),
    /// Pixels of the window for one of the layer's.
    pub zoom: usize,
    /// Where the line is, 0..=1.
    pub split: f64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (x, y) = self.origin;
        write!(f, "{x} {y} {} {}", self.zoom, self.split)
    }
}

impl Place {
    /// From what [`Display`](fmt::Display) has written.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut number = || words.next()?.parse().ok();
        let (x, y, zoom) = (number()?, number()?, number()?);
        let split = words.next()?.parse().ok()?;
        Some(Self {
            origin: (x, y),
            zoom,
            split,
        })
    }
}

/// What the pressed button holds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Held {
    Nothing,
    /// The line.
    Split,
    /// The layer: as it was before, or moved.
    Layer {
        from: (f64, f64),
        origin: (usize, usize),
        moves: bool,
    },
}

impl View {
    /// A window of that size on the middle of `area`, a part of the layer.
    pub fn new(layer: (usize, usize), size: (usize, usize), area: Area) -> Self {
        let mut view = Self {
            layer,
            size,
            origin: (0, 0),
            zoom: 1,
            split: 0.5,
            held: Held::Nothing,
        };
        let middle = |start: usize, count: usize, seen: usize| {
            (start + count / 2) as f64 - seen.div_ceil(2) as f64
        };
        view.go_to((
            middle(area.x, area.width, size.0),
            middle(area.y, area.height, size.1),
        ));
        view
    }

    /// Where it looks.
    pub fn place(&self) -> Place {
        Place {
            origin: self.origin,
            zoom: self.zoom,
            split: self.split,
        }
    }

    /// Looks there again, as far as the layer still goes.
    pub fn look_at(&mut self, place: Place) {
        self.zoom = place.zoom.clamp(1, MAX_ZOOM);
        if (0.0..=1.0).contains(&place.split) {
            self.split = place.split;
        }
        self.go_to((place.origin.0 as f64, place.origin.1 as f64));
    }

    /// The window's columns and rows.
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// Pixels of the window for one of the layer's.
    pub fn zoom(&self) -> usize {
        self.zoom
    }

    /// The window has another size.
    pub fn resize(&mut self, width: usize, height: usize) {
        self.size = (width.clamp(1, MAX_SIDE), height.clamp(1, MAX_SIDE));
        self.go_to((self.origin.0 as f64, self.origin.1 as f64));
    }

    /// What is seen of the layer.
    pub fn area(&self) -> Area {
        let seen =
            |layer: usize, size: usize, origin: usize| size.div_ceil(self.zoom).min(layer - origin);
        Area {
            x: self.origin.0,
            y: self.origin.1,
            width: seen(self.layer.0, self.size.0, self.origin.0),
            height: seen(self.layer.1, self.size.1, self.origin.1),
        }
    }

    /// Where in the window the layer begins: a small one is in the middle.
    pub fn margin(&self) -> (usize, usize) {
        let margin = |layer: usize, size: usize| size.saturating_sub(layer * self.zoom) / 2;
        (
            margin(self.layer.0, self.size.0),
            margin(self.layer.1, self.size.1),
        )
    }

    /// The window's column from which on the restored photo is seen, left of it the original. At either end there is no
    /// line; while the button is held still, all is the original.
    pub fn split(&self) -> usize {
        if self.shows_original() {
            return self.size.0;
        }
        (self.split * self.size.0 as f64).round() as usize
    }

    /// Whether the button is held to see the original.
    pub fn shows_original(&self) -> bool {
        matches!(self.held, Held::Layer { moves: false, .. })
    }

    /// The button is pressed there, in pixels of the window.
    pub fn press(&mut self, x: f64, y: f64) {
        self.held = if (x - self.split() as f64).abs() <= GRIP {
            Held::Split
        } else {
            Held::Layer {
                from: (x, y),
                origin: self.origin,
                moves: false,
            }
        };
    }

    /// The mouse is there now; true if that changes anything.
    pub fn drag(&mut self, x: f64, y: f64) -> bool {
        match self.held {
            Held::Nothing => return false,
            Held::Split => self.split = (x / self.size.0 as f64).clamp(0.0, 1.0),
            Held::Layer {
                from,
                origin,
                moves,
            } => {
                let (right, down) = (x - from.0, y - from.1);
                if !moves && right.hypot(down) <= STILL {
                    return false;
                }
                self.held = Held::Layer {
                    from,
                    origin,
                    moves: true,
                };
                let zoom = self.zoom as f64;
                self.go_to((
                    origin.0 as f64 - right / zoom,
                    origin.1 as f64 - down / zoom,
                ));
            }
        }
        true
    }

    /// The button is released.
    pub fn release(&mut self) {
        self.held = Held::Nothing;
    }

    /// Twice as large or half as large, never below 1:1; what is under the mouse stays there as far as that can be.
    pub fn zoom_at(&mut self, x: f64, y: f64, larger: bool) {
        let before = self.zoom;
        self.zoom = if larger {
            (before * 2).min(MAX_ZOOM)
        } else {
            (before / 2).max(1)
        };
        let shift = 1.0 / before as f64 - 1.0 / self.zoom as f64;
        self.go_to((
            self.origin.0 as f64 + x * shift,
            self.origin.1 as f64 + y * shift,
        ));
    }

    /// Moves to a column and row, as far as the layer goes.
    fn go_to(&mut self, (x, y): (f64, f64)) {
        let within = |to: f64, layer: usize, size: usize| {
            let last = layer.saturating_sub(size / self.zoom);
            (to.round().max(0.0) as usize).min(last)
        };
        self.origin = (
            within(x, self.layer.0, self.size.0),
            within(y, self.layer.1, self.size.1),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(layer: (usize, usize)) -> View {
        let all = Area {
            x: 0,
            y: 0,
            width: layer.0,
            height: layer.1,
        };
        View::new(layer, (400, 300), all)
    }

    fn area(x: usize, y: usize, width: usize, height: usize) -> Area {
        Area {
            x,
            y,
            width,
            height,
        }
    }

    #[test]
    fn it_begins_in_the_middle_of_what_is_selected() {
        assert_eq!(view((1000, 1000)).area(), area(300, 350, 400, 300));
        let corner = View::new((1000, 1000), (400, 300), area(900, 0, 100, 100));
        assert_eq!(corner.area(), area(600, 0, 400, 300));
    }

    #[test]
    fn a_small_layer_is_seen_in_the_middle() {
        let view = view((100, 60));
        assert_eq!(
            (view.area(), view.margin()),
            (area(0, 0, 100, 60), (150, 120))
        );
    }

    #[test]
    fn a_press_shows_the_original_and_a_drag_moves_the_layer() {
        let mut view = view((1000, 1000));
        assert_eq!(view.split(), 200);
        view.press(50.0, 50.0);
        assert_eq!(view.split(), 400, "all of it");
        assert!(!view.drag(52.0, 51.0), "a hand trembles");
        assert!(view.shows_original());
        assert!(view.drag(20.0, 60.0));
        assert_eq!(view.area(), area(330, 340, 400, 300));
        assert_eq!(view.split(), 200, "restored while it moves");
        view.drag(9000.0, -9000.0);
        assert_eq!(
            view.area(),
            area(0, 700, 400, 300),
            "no further than it goes"
        );
        view.release();
        assert!(!view.drag(20.0, 60.0));
    }

    #[test]
    fn the_line_is_taken_by_its_grip() {
        let mut view = view((1000, 1000));
        view.press(206.0, 10.0);
        assert!(view.drag(100.0, 10.0));
        assert_eq!((view.split(), view.area().x), (100, 300));
        view.drag(-50.0, 10.0);
        assert_eq!(view.split(), 0);
        view.release();
        // It can be had back from where it went.
        view.press(3.0, 10.0);
        view.drag(40.0, 0.0);
        assert_eq!(view.split(), 40);
    }

    #[test]
    fn zoom_keeps_what_is_under_the_mouse() {
        let mut view = view((1000, 1000));
        view.zoom_at(100.0, 60.0, true);
        // Column 400 was at 100, and is there.
        assert_eq!(view.area(), area(350, 380, 200, 150));
        view.zoom_at(100.0, 60.0, false);
        assert_eq!(view.area(), area(300, 350, 400, 300));
        view.zoom_at(0.0, 0.0, false);
        assert_eq!(view.zoom(), 1, "never smaller");
        for _ in 0..9 {
            view.zoom_at(399.0, 299.0, true);
        }
        assert_eq!(view.zoom(), 8);
        let seen = view.area();
        assert!(seen.x + seen.width <= 1000 && seen.y + seen.height <= 1000);
    }

    #[test]
    fn a_place_is_found_again_as_far_as_it_is_there() {
        let mut before = view((1000, 1000));
        before.zoom_at(100.0, 60.0, true);
        let place = Place::parse(&before.place().to_string()).expect("a place");
        let mut after = view((1000, 1000));
        after.look_at(place);
        assert_eq!(
            (after.area(), after.split()),
            (before.area(), before.split())
        );
        let mut smaller = view((300, 100));
        smaller.look_at(place);
        let seen = smaller.area();
        assert!(seen.x + seen.width <= 300 && seen.y + seen.height <= 100);
        for other in ["", "1 2 3", "a b c d"] {
            assert_eq!(Place::parse(other), None);
        }
    }

    #[test]
    fn a_window_larger_than_the_layer_shows_all() {
        let mut view = view((1000, 500));
        view.resize(5000, 5000);
        assert_eq!(view.size(), (1024, 1024));
        assert_eq!(view.area(), area(0, 0, 1000, 500));
        view.resize(0, 0);
        assert_eq!(view.area(), area(0, 0, 1, 1));
    }
}
