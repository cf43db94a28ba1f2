//! All that the plug-in knows of an image editor.

mod arguments;
mod gegl;
mod gimp2;
mod gimp3;
mod libgimp;
mod library;
#[cfg(test)]
pub mod memory;
mod preview_area;

use std::ffi::{CStr, CString, c_char};
use std::ptr::null_mut;

use dino_ir::restore::Area;

use crate::job::Error;
use crate::language::msgid;
use crate::preview::Place;
use crate::settings::Output;

/// The procedure's name in every GIMP.
const PROCEDURE: &CStr = c"plug-in-dino-ir-restore";
/// The one that also takes how much of each fault is removed, where another one is needed for that.
const PROCEDURE_ONLY: &CStr = c"plug-in-dino-ir-restore-only";
/// The one that also takes whether to tell how far off pixels may be, likewise.
const PROCEDURE_UNCERTAINTY: &CStr = c"plug-in-dino-ir-restore-uncertainty";
/// The one for all open images.
const PROCEDURE_ALL: &CStr = c"plug-in-dino-ir-restore-all";
const MENU_LABEL: &str = msgid("Re_store (DINO-IR)...");
const MENU_LABEL_ALL: &str = msgid("Restore _All Open Images (DINO-IR)...");
const MENU_PATH: &CStr = c"<Image>/Filters";
const IMAGE_TYPES: &CStr = c"RGB*, GRAY*";
const TITLE: &str = msgid("Restore (DINO-IR)");
const TITLE_ALL: &str = msgid("Restore All Open Images (DINO-IR)");
const BLURB: &str =
    msgid("Removes noise, rain, haze and blur from a photo, without being told which");
const BLURB_ALL: &str =
    msgid("Removes noise, rain, haze and blur from the selected layers of all open images");
const HELP: &str = msgid(
    "Restores the active layer, mask or channel, as far as it is selected, with a neural network that is part of the \
     plug-in. No photo leaves this computer.",
);
/// GIMP's name of our help.
const HELP_DOMAIN: &CStr = c"dino-ir-restore";
const AUTHORS: &CStr = c"The DINO-IR in Rust authors";
const DATE: &CStr = c"2026";

/// The address of the folder of our help, if it was installed beside the program.
fn help_folder() -> Option<std::path::PathBuf> {
    let program = std::env::current_exe().ok()?;
    let folder = program.parent()?.join("help");
    folder.is_dir().then_some(folder)
}

/// Serves the GIMP that started this process, and returns the exit status.
///
/// # Errors
/// [`Error::Library`] if no GIMP did, or its library lacks something.
pub fn main(arguments: Vec<CString>) -> Result<u8, Error> {
    let version = host_version(&arguments).ok_or_else(|| {
        Error::Library(
            "it is started by GIMP, not by hand; gimp-plugin/install puts it where GIMP looks"
                .to_owned(),
        )
    })?;
    let mut argv: Vec<*mut c_char> = arguments
        .iter()
        .map(|argument| argument.as_ptr().cast_mut())
        .collect();
    argv.push(null_mut());
    let code = match version {
        Version::Two => gimp2::main(&mut argv)?,
        Version::Three => gimp3::main(&mut argv)?,
    };
    Ok(u8::try_from(code).unwrap_or(1))
}

#[derive(Debug, PartialEq)]
enum Version {
    Two,
    Three,
}

/// GIMP 2.10 calls `PROGRAM -gimp READ WRITE -MODE TRACE`, GIMP 3 `PROGRAM -gimp PROTOCOL READ WRITE
/// -MODE TRACE`.
fn host_version(arguments: &[CString]) -> Option<Version> {
    let is_mode = |at: usize| {
        let argument = arguments.get(at).map(|argument| argument.to_bytes());
        argument.is_some_and(|argument| argument.len() > 1 && argument[0] == b'-')
    };
    match arguments.get(1)?.to_bytes() {
        b"-gimp" if is_mode(4) => Some(Version::Two),
        b"-gimp" if is_mode(5) => Some(Version::Three),
        _ => None,
    }
}

/// How colours are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Red, green and blue.
    Rgb,
    /// One channel; masks and channels too.
    Grey,
    /// Numbers of a palette.
    Indexed,
}

/// The facts about what is to be restored.
#[derive(Clone, Copy, Debug)]
pub struct Drawable {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The bounds of the selection inside the drawable, the whole where nothing is selected; `None` if
    /// the selection lies outside.
    pub selection: Option<Area>,
    /// How colours are stored.
    pub colour: Colour,
    /// Whether it has an alpha channel.
    pub alpha: bool,
    /// Whether it is a group of layers.
    pub group: bool,
    /// Whether its pixels are locked.
    pub locked: bool,
    /// Whether those of a group that it is in are, and with them every layer there.
    pub group_locked: bool,
    /// Whether it is a layer that another layer can be put above: no mask, channel, or floating
    /// selection.
    pub layer: bool,
}

impl Drawable {
    /// Samples of a pixel as [`Host::read`] gives them: 1 to 4.
    pub fn channels(&self) -> usize {
        self.colours() + usize::from(self.alpha)
    }

    /// Whether the alpha of a pixel, if it has one, is 0 or less: what it shows is nothing.
    pub fn hides(&self, pixel: &[f32]) -> bool {
        self.alpha && pixel[self.colours()] <= 0.0
    }

    /// Those that are no alpha: 1 or 3.
    pub fn colours(&self) -> usize {
        match self.colour {
            Colour::Grey => 1,
            Colour::Rgb | Colour::Indexed => 3,
        }
    }
}

/// How far off restored pixels may be, as a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorMap {
    /// Where in the drawable.
    pub area: Area,
    /// `[area.height, area.width, 2]`: grey, in eighths of an 8-bit level, and alpha: how much of the pixel was restored.
    pub pixels: Vec<u8>,
}

impl ErrorMap {
    /// The absolute error that is white, as samples are: 32 levels of 8 bits.
    const WHITE: f32 = 32.0 / 255.0;

    /// One without pixels so far.
    pub fn new(area: Area) -> Self {
        let pixels = Vec::with_capacity(area.width * area.height * 2);
        Self { area, pixels }
    }

    /// Adds pixels: the expected absolute error of each, and how much of it was restored, 0..=1.
    pub fn extend(&mut self, errors: &[f32], restored: &[f32]) {
        // A cast saturates.
        let byte = |value: f32| (value * 255.0).round() as u8;
        let pairs = errors.iter().zip(restored);
        let pixels =
            pairs.flat_map(|(error, restored)| [byte(error / Self::WHITE), byte(*restored)]);
        self.pixels.extend(pixels);
    }
}

/// An image editor, with one drawable that is to be restored.
///
/// Samples are `[area.height, area.width, channels]`: grey or RGB, then alpha if there is any; not
/// premultiplied; sRGB-encoded, nominally 0..=1, whatever the drawable's profile is. What alpha hides is written as it was.
pub trait Host {
    /// The facts.
    fn drawable(&self) -> Drawable;

    /// Reads the drawable as it was before the restoration. `area` is inside it and not empty.
    fn read(&self, area: Area, samples: &mut [f32]);

    /// Reads how much of each pixel is selected, 0..=1: `[area.height, area.width]`.
    fn selected(&self, area: Area, selected: &mut [f32]);

    /// From now on reads the drawable as it is now.
    fn refresh(&self);

    /// Where a preview of this drawable has looked last.
    fn place(&self) -> Option<Place>;

    /// Keeps that for as long as the editor has the drawable open.
    fn keep_place(&self, place: Place);

    /// Writes to a draft that the user does not see.
    fn write(&mut self, area: Area, samples: &[f32]);

    /// Makes the draft the result, through the selection, and puts a map, if there is one, above it as a hidden layer; all as
    /// one step to undo. Before this call nothing has changed for the user.
    ///
    /// # Errors
    /// [`Refused`] if the editor does not take it; then nothing has changed either.
    fn finish(&mut self, output: Output, errors: Option<&ErrorMap>) -> Result<(), Refused>;

    /// Puts an unchanged copy of the layer above it, as one step to undo.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    fn duplicate(&mut self) -> Result<(), Refused>;

    /// Shows how far the work is, 0..=1.
    fn progress(&mut self, fraction: f64, text: &str);
}

/// The editor did not take the result.
#[derive(Debug, thiserror::Error)]
#[error(
    "GIMP refused the result: check that the layer is neither locked nor a link or vector layer"
)]
pub struct Refused;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_gimps_apart() {
        let version = |line: &str| {
            let arguments = line
                .split(' ')
                .map(|word| CString::new(word).expect("no zero"));
            host_version(&arguments.collect::<Vec<_>>())
        };
        assert_eq!(version("x -gimp 10 12 -query 0"), Some(Version::Two));
        assert_eq!(version("x -gimp 277 10 12 -run 0"), Some(Version::Three));
        assert_eq!(version("x -gimp"), None);
        assert_eq!(version("x --help"), None);
    }
}
