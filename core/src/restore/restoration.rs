//! The restoration of one image as a state machine.

use super::calibration::Calibration;
use super::dihedral::Dihedral;
use super::overview::Overview;
use super::part::Part;
use super::tile_input::{TileInput, calibration_input, network_input, purpose, read_reflected};
use super::veil::Veil;
use super::{Area, Options, Progress, Removal, Source, TilePlan};
use crate::blend::Band;
use crate::tile::Tile;
use crate::{Error, Result};

/// Rows that no later tile changes.
#[derive(Clone, Copy, Debug)]
pub struct FinishedRows<'a> {
    /// The first one.
    pub y: usize,
    /// `[rows, image width, 3]`, interleaved RGB, not clamped.
    pub rgb: &'a [f32],
    /// `[rows, image width]`, the expected absolute errors, if they were [asked for](Options::uncertainty).
    pub uncertainty: Option<&'a [f32]>,
}

/// The restoration of one image, a run of the network at a time: [`next_tile`](Self::next_tile), [`run`](fn@super::run) the
/// network, [`accept`](Self::accept), write the finished rows, and so on until there is no next tile.
/// Dropping it at any point cancels. Besides the plan it holds a tile and a band of rows as high as
/// a tile, not the image.
pub struct Restoration {
    /// Where in the image the plan's pixels are: everywhere, or in a part.
    part: Area,
    plan: TilePlan,
    strength: f32,
    removal: Removal,
    passes: usize,
    calibration: Calibration,
    overview: Overview,
    /// Where the photo is in the part; the rest is its frame.
    inside: Area,
    done: usize,
    replaced: u64,
    /// Rows above this were handed out.
    finished: usize,
    band: Band,
    /// The expected errors, if they are asked for.
    errors: Option<Band>,
    current: Option<Current>,
}

/// The tile being restored.
struct Current {
    tile: Tile,
    /// `[3, height, width]`, as the source gave it, hidden pixels filled.
    input: Vec<f32>,
    /// The mean of the passes so far, each weighted by 1 / passes: `[3, height, width]`, or 4 planes; the last one
    /// has the expected errors.
    mean: Vec<f32>,
}

impl Restoration {
    /// Begins. `calibrates`: whether a calibration pass comes first, as
    /// [`Network::has_global_statistics`](super::Network::has_global_statistics) says. All of `source` is read once, to
    /// tell whether it is in colour and has a frame. With strength 0 the network still runs; only [`Restorer`](super::Restorer) skips it.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] as [`Options::validate`]; the source's own errors.
    pub fn new(
        plan: TilePlan,
        options: &Options,
        calibrates: bool,
        source: &dyn Source,
    ) -> Result<Self> {
        let calibration = if calibrates && plan.len() > 1 {
            Calibration::new(plan.clone(), options.passes())
        } else {
            Calibration::none(plan.clone())
        };
        Self::of_part(
            plan.area(),
            plan,
            calibration,
            Overview::of(source)?,
            options,
        )
    }

    /// With the veil of haze that [`Restorer::veil`](super::Restorer::veil) has found: it is lifted from the photo before the
    /// network sees it.
    pub fn with_veil(self, veil: Option<Veil>) -> Self {
        Self {
            overview: self.overview.with_veil(veil),
            ..self
        }
    }

    /// Of a part of an image. The part has its own plan, and the calibration pass has the plan of the image. Rows and tiles
    /// are those of the part; the source is the image.
    pub(super) fn of_part(
        part: Area,
        plan: TilePlan,
        calibration: Calibration,
        overview: Overview,
        options: &Options,
    ) -> Result<Self> {
        options.validate()?;
        let band = Band::new(&plan, 3);
        let errors = options.uncertainty.then(|| Band::new(&plan, 1));
        let strength = options.strength;
        Ok(Self {
            part,
            plan,
            strength,
            removal: options.removal,
            passes: options.passes(),
            calibration,
            inside: overview.frame.inside_of(part),
            overview,
            done: 0,
            replaced: 0,
            finished: 0,
            band,
            errors,
            current: None,
        })
    }

    /// The plan.
    pub fn plan(&self) -> &TilePlan {
        &self.plan
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        Progress {
            done: self.done,
            total: self.calibration.runs() + self.plan.len() * self.passes,
            calibration: self.calibration.runs(),
        }
    }

    /// Pixels of the network's results so far that were not finite and gave way to the input's; each
    /// tile and pass counts. Anything but 0 says that the network or its device is broken.
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    /// What to run the network on next, `None` at the end. Until the result is accepted, another call
    /// gives the same again. `source` must have the plan's size, and be the same each time.
    ///
    /// # Errors
    /// The source's own. Another call reads again.
    ///
    /// # Panics
    /// If `source` has another size.
    pub fn next_tile(&mut self, source: &dyn Source) -> Result<Option<TileInput>> {
        self.check_size(source);
        if self.done == self.progress().total {
            return Ok(None);
        }
        let Some(run) = self.done.checked_sub(self.calibration.runs()) else {
            return self.read_ahead(self.done, source).map(Some);
        };
        let pass = run % self.passes;
        let current = match self.current.take() {
            Some(current) => current,
            None => {
                let tile = self.plan.tile(run / self.passes);
                let input =
                    read_reflected(&Part::new(source, self.part), tile.input, self.plan.area())?;
                if tile.column == 0 {
                    self.band.advance(self.finished);
                    if let Some(errors) = &mut self.errors {
                        errors.advance(self.finished);
                    }
                }
                let mean = vec![0.0; input.len() / 3 * self.planes()];
                Current { tile, input, mean }
            }
        };
        let current = self.current.insert(current);
        let area = current.tile.input;
        if self.inside != self.plan.area() || self.overview.veil.is_some() {
            return self.photo(source, area, pass).map(Some);
        }
        let purpose = purpose(&self.calibration, pass);
        let input = network_input(&current.input, area, pass, purpose);
        Ok(Some(self.with_options(input)))
    }

    /// What [`next_tile`](Self::next_tile) will give at its turn, for callers that run the network on several tiles
    /// at once: `run` counts as [`Progress::done`] does. Results are still to be accepted in order.
    ///
    /// # Errors
    /// The source's own.
    ///
    /// # Panics
    /// If there are not that many runs, or the [calibration pass](Progress::calibration) is not done, or `source` has
    /// another size.
    pub fn read_ahead(&self, run: usize, source: &dyn Source) -> Result<TileInput> {
        self.check_size(source);
        let calibration = self.calibration.runs();
        let Some(run) = run.checked_sub(calibration) else {
            let frame = self.overview.frame;
            let source = &self.overview.lifted(source, self.removal.haze);
            return calibration_input(&self.calibration, run, self.passes, source, frame);
        };
        assert!(self.done >= calibration, "the calibration pass is done");
        let area = self.plan.tile(run / self.passes).input;
        self.photo(source, area, run % self.passes)
    }

    /// What the network sees of an area: the photo, without its frame and its veil.
    fn photo(&self, source: &dyn Source, area: Area, pass: usize) -> Result<TileInput> {
        let lifted = self.overview.lifted(source, self.removal.haze);
        let input = read_reflected(&Part::new(&lifted, self.part), area, self.inside)?;
        Ok(self.with_options(network_input(
            &input,
            area,
            pass,
            purpose(&self.calibration, pass),
        )))
    }

    /// The input, with the options of this restoration.
    fn with_options(&self, input: TileInput) -> TileInput {
        TileInput {
            removal: self.removal,
            uncertainty: self.errors.is_some(),
            ..input
        }
    }

    /// Planes of the network's result.
    fn planes(&self) -> usize {
        3 + usize::from(self.errors.is_some())
    }

    fn check_size(&self, source: &dyn Source) {
        let image = self.calibration.plan();
        assert_eq!(
            (source.width(), source.height()),
            (image.width(), image.height()),
            "the planned image"
        );
    }

    /// Takes the network's result for the tile handed out last, `[3, height, width]` (with the expected errors 4
    /// planes) or the statistics, and gives the rows that are finished now, if any: they are to be written before the next call.
    ///
    /// # Errors
    /// [`Error::Device`] if no tile is out, the result has another size, or no pixel of it is finite.
    pub fn accept(&mut self, output: &[f32]) -> Result<Option<FinishedRows<'_>>> {
        let Some(run) = self.done.checked_sub(self.calibration.runs()) else {
            self.calibration.accept(self.done, output)?;
            self.done += 1;
            return Ok(None);
        };
        let Some(current) = &mut self.current else {
            return Err(Error::Device("a result without a tile".to_owned()));
        };
        if output.len() != current.mean.len() {
            return Err(Error::Device(format!(
                "the network gave {} values where {} are due",
                output.len(),
                current.mean.len()
            )));
        }
        let replaced = current.add_pass(output, Dihedral::new(run % self.passes), self.passes);
        if replaced == (current.input.len() / 3) as u64 {
            return Err(Error::broken(
                "the network gave no finite value in a whole tile",
            ));
        }
        self.replaced += replaced;
        self.done += 1;
        if !(run + 1).is_multiple_of(self.passes) {
            return Ok(None);
        }

        let Some(mut current) = self.current.take() else {
            return Ok(None);
        };
        if let Some(toning) = &self.overview.toning {
            let rgb = current.input.len();
            toning.apply(&mut current.mean[..rgb], &current.input);
        }
        if self.inside != self.plan.area() {
            current.keep_frame(self.inside);
        }
        let tile = current.tile;
        if let Some(errors) = &mut self.errors {
            let found = current.mean.split_off(current.input.len());
            errors.add(&self.plan, &tile, &found);
        }
        self.band
            .add(&self.plan, &tile, &current.mixed(self.strength));
        if tile.column + 1 < self.plan.columns().count() {
            return Ok(None);
        }
        self.finished = self
            .plan
            .rows()
            .seam_after(tile.row)
            .map_or(self.plan.height(), |seam| seam.start);
        Ok(Some(FinishedRows {
            y: self.band.y(),
            rgb: self.band.rows(self.finished),
            uncertainty: self
                .errors
                .as_ref()
                .map(|errors| errors.rows(self.finished)),
        }))
    }
}

impl Current {
    /// Adds one pass to the mean, transformed back; returns how many pixels were replaced.
    fn add_pass(&mut self, output: &[f32], transform: Dihedral, passes: usize) -> u64 {
        let Area { width, height, .. } = self.tile.input;
        let plane = height * width;
        let share = 1.0 / passes as f32;
        let mut replaced = 0;
        for (from, to) in transform.indices(height, width).enumerate() {
            // A pixel is replaced as a whole: a single channel would change its colour.
            let planes = output.len() / plane;
            let finite = (0..planes).all(|channel| output[channel * plane + from].is_finite());
            replaced += u64::from(!finite);
            for channel in 0..planes {
                let (from, to) = (channel * plane + from, channel * plane + to);
                self.mean[to] += share
                    * match self.input.get(to) {
                        _ if finite => output[from],
                        Some(input) => *input,
                        // The error of such a pixel may be any.
                        None => 1.0,
                    };
            }
        }
        replaced
    }

    /// Puts what the source gave, with no error expected, where the photo's frame is.
    fn keep_frame(&mut self, inside: Area) {
        let Area {
            x,
            y,
            width,
            height,
        } = self.tile.input;
        let columns = inside.x..inside.x + inside.width;
        let rows = inside.y..inside.y + inside.height;
        for at in 0..width * height {
            if columns.contains(&(x + at % width)) && rows.contains(&(y + at / width)) {
                continue;
            }
            for at in (at..self.mean.len()).step_by(width * height) {
                self.mean[at] = self.input.get(at).copied().unwrap_or(0.0);
            }
        }
    }

    /// `input + strength * (result - input)`, exact at both ends.
    fn mixed(self, strength: f32) -> Vec<f32> {
        if strength == 1.0 {
            return self.mean;
        }
        if strength == 0.0 {
            return self.input;
        }
        let mut mixed = self.mean;
        for (mixed, input) in mixed.iter_mut().zip(&self.input) {
            *mixed = input + strength * (*mixed - input);
        }
        mixed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image;

    #[test]
    fn reads_ahead_what_comes_next() {
        let pixels = (0..40 * 24 * 3).map(|at| at as f32).collect();
        let image = Image::new(40, 24, pixels).expect("a good image");
        let rules = crate::tile::TileRules {
            multiple: 8,
            tile: Some(16),
            overlap: Some(8),
            memory: None,
        };
        let plan = TilePlan::new(40, 24, &rules, &|_, _| 0).expect("a plan");
        let options = Options {
            self_ensemble: true,
            ..Options::default()
        };
        let mut restoration =
            Restoration::new(plan, &options, false, &image).expect("good options");
        let total = restoration.progress().total;
        let ahead: Vec<_> = (0..total)
            .map(|run| restoration.read_ahead(run, &image).expect("read"))
            .collect();
        for expected in ahead {
            let next = restoration.next_tile(&image).expect("read");
            let next = next.expect("as many as counted");
            assert_eq!(next, expected);
            restoration.accept(&next.planar).expect("of its size");
        }
        assert_eq!(restoration.next_tile(&image).expect("read"), None);
    }
}
