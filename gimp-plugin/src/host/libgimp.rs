//! What GIMP 2.10 and GIMP 3 have in common. They differ in how they name images and items: by an
//! integer or by a pointer, here `Id`.

mod functions;
mod gimp_host;

use std::ffi::{CStr, CString, c_int, c_void};
use std::mem::transmute;
use std::time::Duration;

use dino_ir::ColourProfile;
use dino_ir::weights::Loaded;

use self::functions::Functions;
use self::gimp_host::{GimpHost, Select};
use super::gegl::{Buffer, Gegl, take_text};
use super::library::Library;
use crate::job::{self, Done, Error};
use crate::language::{fill, tr, tr_n};
use crate::preview::Preview;
use crate::settings::Settings;
use crate::trace::trace;

/// GimpPDBStatusType.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    /// The message says why.
    ExecutionError = 0,
    /// All is well.
    Success = 3,
    /// The user closed the dialog.
    Cancel = 4,
}

/// GimpRunMode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunMode {
    /// With a dialog.
    Interactive,
    /// With the arguments given.
    NonInteractive,
    /// With the settings of the last time.
    LastValues,
}

impl RunMode {
    /// From GIMP's number.
    pub fn from_number(number: c_int) -> Self {
        match number {
            0 => Self::Interactive,
            1 => Self::NonInteractive,
            _ => Self::LastValues,
        }
    }
}

/// Item, column, row.
type Offsets<Id> = unsafe extern "C" fn(Id, *mut c_int, *mut c_int) -> c_int;

/// An image, and what of it is to be restored.
pub type Selected<Id> = (Id, Vec<Id>);

/// An open libgimp with what it depends on.
pub struct LibGimp<Id> {
    /// GIMP's functions.
    pub gimp: Functions<Id>,
    /// GEGL's.
    pub gegl: Gegl,
    /// The id that names no item.
    pub none: Id,
    /// Where in the image a drawable begins.
    offsets: Offsets<Id>,
    select: Select<Id>,
}

impl<Id: Copy + PartialEq> LibGimp<Id> {
    /// Finds the functions; `offsets` is what this GIMP calls the one that tells where in the image a drawable begins.
    ///
    /// # Errors
    /// [`Error::Library`] that names the first one missing.
    pub fn load(library: Library, none: Id, offsets: &CStr) -> Result<Self, Error> {
        let offsets = library.find(offsets)?;
        Ok(Self {
            // SAFETY: the signature that both have.
            offsets: unsafe { transmute::<*mut c_void, Offsets<Id>>(offsets) },
            gimp: Functions::load(library)?,
            gegl: Gegl::load(library)?,
            select: Select::load(library)?,
            none,
        })
    }

    /// A drawable as it is now.
    ///
    /// # Errors
    /// [`Error::Library`] if it has no pixels.
    pub fn host(&self, image: Id, drawable: Id) -> Result<GimpHost<'_, Id>, Error> {
        GimpHost::new(self, image, drawable)
    }

    /// Restores a drawable, with what a preview of it has found out, and shows the result if somebody watches.
    ///
    /// # Errors
    /// Any of [`job::run`].
    pub fn restore(
        &self,
        image: Id,
        drawable: Id,
        settings: &Settings,
        mode: RunMode,
        preview: Option<Preview<Loaded>>,
    ) -> Result<(), Error> {
        let mut host = self.host(image, drawable)?;
        let done = match preview {
            Some(preview) => job::run_previewed(&mut host, settings, preview, job::open)?,
            None => job::run(&mut host, settings, job::open)?,
        };
        if mode != RunMode::NonInteractive {
            // SAFETY: no arguments.
            unsafe { (self.gimp.gimp_displays_flush)() };
            if let Some(done) = done {
                self.say(&done.message());
            }
        }
        Ok(())
    }

    /// Restores what is selected of several images, each with a step to undo of its own. One that cannot be restored
    /// does not keep the others from it.
    ///
    /// # Errors
    /// [`Error::Some`] that names those that could not.
    pub fn restore_all(&self, images: &[Selected<Id>], settings: &Settings) -> Result<(), Error> {
        let mut opened = None;
        let mut last = None;
        let mut time = Duration::ZERO;
        let mut refused = Vec::new();
        for (image, drawables) in images {
            let done = drawables.iter().try_for_each(|drawable| {
                let mut host = self.host(*image, *drawable)?;
                let done = job::run_one_of(&mut host, settings, &mut opened, job::open)?;
                time += done.map_or(Duration::ZERO, |done: Done| done.time);
                last = done.or(last);
                Ok(())
            });
            if let Err(error) = done {
                // SAFETY: an image of GIMP's; the string is ours to free.
                let name =
                    unsafe { take_text(&self.gegl, (self.gimp.gimp_image_get_name)(*image)) };
                let name = name.unwrap_or_default();
                refused.push(format!(
                    "{}: {}",
                    name.to_string_lossy(),
                    Error::message(&error)
                ));
            }
        }
        // SAFETY: no arguments.
        unsafe { (self.gimp.gimp_displays_flush)() };
        let count = images.len() - refused.len();
        let summary = fill(
            tr_n("{count} image restored", "{count} images restored", count),
            &[("count", &count)],
        );
        if !refused.is_empty() {
            let refused = refused.join("; ");
            return Err(Error::Some(fill(
                tr("{summary}; left as they are: {refused}"),
                &[("summary", &summary), ("refused", &refused)],
            )));
        }
        self.say(&match last {
            Some(done) => format!("{summary}. {}", Done { time, ..done }.message()),
            None => summary,
        });
        Ok(())
    }

    /// Says something that needs no answer: GIMP shows it in the status bar.
    fn say(&self, text: &str) {
        trace(|| format!("said: {text}"));
        let text = CString::new(text.replace('\0', "?")).unwrap_or_default();
        // SAFETY: a string.
        unsafe {
            // The progress has the status bar until it ends.
            (self.gimp.gimp_progress_end)();
            (self.gimp.gimp_message)(text.as_ptr());
        }
    }

    /// The colours of an image; `None` for sRGB's, and where values are to be taken for sRGB's.
    fn profile(&self, image: Id) -> Option<ColourProfile> {
        let gimp = &self.gimp;
        // SAFETY: an image of GIMP's; a profile that is ours to release, with as many bytes as it says.
        let profile = unsafe {
            let profile = (gimp.gimp_image_get_color_profile)(image);
            if profile.is_null() {
                return None;
            }
            let mut length = 0;
            let bytes = (gimp.gimp_color_profile_get_icc_profile)(profile, &mut length);
            let icc = match bytes.is_null() {
                true => &[],
                false => std::slice::from_raw_parts(bytes, length),
            };
            let read = ColourProfile::from_icc(icc);
            (self.gegl.g_object_unref)(profile);
            read.ok()?
        };
        (!profile.is_srgb()).then_some(profile)
    }

    /// The image's selection, if there is one, and where in it a drawable begins.
    fn selection(&self, image: Id, drawable: Id) -> Option<(Buffer<'_>, (c_int, c_int))> {
        let gimp = &self.gimp;
        let (mut left, mut top) = (0, 0);
        // SAFETY: an image and an item of GIMP's; room for two integers; a reference to a buffer.
        unsafe {
            if (gimp.gimp_selection_is_empty)(image) != 0 {
                return None;
            }
            (self.offsets)(drawable, &mut left, &mut top);
            let mask = (gimp.gimp_image_get_selection)(image);
            let mask = Buffer::new(&self.gegl, (gimp.gimp_drawable_get_buffer)(mask))?;
            Some((mask, (left, top)))
        }
    }

    /// Whether the user has locked the pixels of an item, and of a group that it is in; a mask is locked with its layer.
    ///
    /// # Safety
    /// `item` names an item of GIMP's.
    unsafe fn locks(&self, mut item: Id) -> (bool, bool) {
        let gimp = &self.gimp;
        // SAFETY: items, as the caller and GIMP promise.
        unsafe {
            if (gimp.gimp_item_is_layer_mask)(item) != 0 {
                item = (gimp.gimp_layer_from_mask)(item);
            }
            let is_locked = |item| (gimp.gimp_item_get_lock_content)(item) != 0;
            let parent =
                |item| Some((gimp.gimp_item_get_parent)(item)).filter(|item| *item != self.none);
            let mut groups = std::iter::successors(parent(item), |group| parent(*group));
            (is_locked(item), groups.any(is_locked))
        }
    }
}
