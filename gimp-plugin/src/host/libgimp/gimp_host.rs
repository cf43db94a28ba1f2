//! One drawable of a running GIMP as the job sees it: pixels in sRGB, the selection, the result as a step to undo.

mod error_layer;

use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_int};

use dino_ir::ColourProfile;
use dino_ir::restore::Area;

pub use self::error_layer::Select;
use super::LibGimp;
use super::functions::Functions;
use crate::host::gegl::{Buffer, Pointer, Rectangle, take_text};
use crate::host::{Colour, Drawable, ErrorMap, Host, Refused};
use crate::job::Error;
use crate::language::tr;
use crate::preview::Place;
use crate::settings::Output;

/// The parasite that holds a [`Place`]. Without flags it is in no file, and no step to undo.
const PLACE: &CStr = c"dino-ir-preview";

/// One drawable of a running GIMP.
pub struct GimpHost<'a, Id> {
    lib: &'a LibGimp<Id>,
    image: Id,
    id: Id,
    drawable: Drawable,
    /// babl's format of the drawable's own samples.
    format: Pointer,
    /// Their colours; `None`: sRGB's.
    profile: Option<ColourProfile>,
    original: RefCell<Buffer<'a>>,
    /// How much is selected; `None` where all is. With where in the image the drawable begins.
    selection: RefCell<Option<(Buffer<'a>, (c_int, c_int))>>,
    /// GIMP's shadow of the drawable: a buffer that nobody sees before it is merged.
    draft: RefCell<Option<Buffer<'a>>>,
    shows_progress: bool,
}

impl<'a, Id: Copy + PartialEq> GimpHost<'a, Id> {
    /// Of a drawable as it is now.
    ///
    /// # Errors
    /// [`Error::Library`] if it has no pixels.
    pub fn new(lib: &'a LibGimp<Id>, image: Id, id: Id) -> Result<Self, Error> {
        let (gimp, gegl) = (&lib.gimp, &lib.gegl);
        gegl.start();
        // SAFETY: GIMP named the drawable, and gives a reference to its buffer; its own format is never
        // NULL and lives as long as babl.
        unsafe {
            let group = (gimp.gimp_item_is_group)(id) != 0;
            let original = Buffer::new(gegl, (gimp.gimp_drawable_get_buffer)(id))
                .ok_or_else(|| Error::Library("the drawable has no pixels".to_owned()))?;
            let (width, height) = original.size();
            let colour = if (gimp.gimp_drawable_is_indexed)(id) != 0 {
                Colour::Indexed
            } else if (gimp.gimp_drawable_is_gray)(id) != 0 {
                Colour::Grey
            } else {
                Colour::Rgb
            };
            let is_layer = (gimp.gimp_item_is_layer)(id) != 0;
            let (locked, group_locked) = lib.locks(id);
            let drawable = Drawable {
                width,
                height,
                selection: selection(gimp, id),
                colour,
                alpha: (gimp.gimp_drawable_has_alpha)(id) != 0,
                group,
                locked,
                group_locked,
                layer: is_layer && (gimp.gimp_layer_is_floating_sel)(id) == 0,
            };
            // Masks and channels have no colours.
            let profile = is_layer
                .then(|| lib.profile(image))
                .flatten()
                .filter(|profile| profile.fits(drawable.channels()));
            let own = (gimp.gimp_drawable_get_format)(id);
            let space = (gegl.babl_format_get_space)(own);
            // The values that the profile is for. GIMP 3 hands over its space, whose R'G'B' they are. GIMP 2.10 says sRGB, and
            // makes the profile linear where the precision is: they are those that it keeps.
            let is_srgb = space == (gegl.babl_space)(c"sRGB".as_ptr());
            let is_linear =
                profile.is_some() && is_srgb && (gimp.gimp_image_get_precision)(image) % 100 == 0;
            let name = match (drawable.colours(), drawable.alpha, is_linear) {
                (1, false, false) => c"Y' float",
                (1, false, true) => c"Y float",
                (1, true, false) => c"Y'A float",
                (1, true, true) => c"YA float",
                (_, false, false) => c"R'G'B' float",
                (_, false, true) => c"RGB float",
                (_, true, false) => c"R'G'B'A float",
                (_, true, true) => c"RGBA float",
            };
            let format = (gegl.babl_format_with_space)(name.as_ptr(), space);
            let selection = RefCell::new(lib.selection(image, id));
            Ok(Self {
                lib,
                image,
                id,
                drawable,
                format,
                profile,
                original: RefCell::new(original),
                selection,
                draft: RefCell::new(None),
                shows_progress: false,
            })
        }
    }

    /// Reads samples as the drawable itself has them.
    fn own(&self, area: Area, samples: &mut [f32]) {
        let channels = self.drawable.channels();
        let original = self.original.borrow();
        original.get(area, self.format, channels, samples);
    }

    /// Converts the colours of pixels.
    fn convert(&self, samples: &mut [f32], convert: impl Fn([f32; 3]) -> [f32; 3]) {
        for pixel in samples.chunks_exact_mut(self.drawable.channels()) {
            match pixel {
                [red, green, blue, ..] => {
                    [*red, *green, *blue] = convert([*red, *green, *blue]);
                }
                [grey, ..] => [*grey, ..] = convert([*grey; 3]),
                [] => {}
            }
        }
    }

    /// Gives what alpha hides the drawable's own samples: a conversion there and back rounds.
    fn keep_hidden(&self, area: Area, samples: &mut [f32]) {
        if !self.drawable.alpha {
            return;
        }
        let mut own = vec![0.0; samples.len()];
        self.own(area, &mut own);
        let channels = self.drawable.channels();
        let pixels = samples.chunks_exact_mut(channels);
        for (pixel, own) in pixels.zip(own.chunks_exact(channels)) {
            if self.drawable.hides(own) {
                pixel.copy_from_slice(own);
            }
        }
    }

    /// Makes the draft of an item its pixels.
    fn merge(&self, item: Id, area: Area) -> Result<(), Refused> {
        let gimp = &self.lib.gimp;
        // SAFETY: an item of ours; true: as a step to undo.
        unsafe {
            if (gimp.gimp_drawable_merge_shadow)(item, 1) == 0 {
                return Err(Refused);
            }
            (gimp.gimp_drawable_update)(
                item,
                area.x as c_int,
                area.y as c_int,
                area.width as c_int,
                area.height as c_int,
            );
        }
        Ok(())
    }

    /// Puts a copy of the layer above it, lets `fill` change it, all as one step to undo.
    fn insert(&self, fill: impl FnOnce(Id) -> Result<(), Refused>) -> Result<(), Refused> {
        let (gimp, lib) = (&self.lib.gimp, self.lib);
        // SAFETY: items of one image, named by GIMP.
        unsafe {
            let layer = (gimp.gimp_layer_new_from_drawable)(self.id, self.image);
            if layer == lib.none {
                return Err(Refused);
            }
            let name = self.name_with(tr(" restored"));
            (gimp.gimp_item_set_name)(layer, name.as_ptr());
            (gimp.gimp_item_set_lock_content)(layer, 0);

            (gimp.gimp_image_undo_group_start)(self.image);
            let parent = (gimp.gimp_item_get_parent)(self.id);
            let position = (gimp.gimp_image_get_item_position)(self.image, self.id);
            let done = if (gimp.gimp_image_insert_layer)(self.image, layer, parent, position) == 0 {
                (gimp.gimp_item_delete)(layer);
                Err(Refused)
            } else {
                fill(layer).inspect_err(|_| {
                    (gimp.gimp_image_remove_layer)(self.image, layer);
                })
            };
            (gimp.gimp_image_undo_group_end)(self.image);
            done
        }
    }

    /// The layer's name with something behind it.
    fn name_with(&self, suffix: &str) -> CString {
        let lib = self.lib;
        // SAFETY: an item of GIMP's; the string is ours to free.
        let name = unsafe { take_text(&lib.gegl, (lib.gimp.gimp_item_get_name)(self.id)) };
        let mut name = name.unwrap_or_default().into_bytes();
        name.extend(suffix.as_bytes());
        // A string of GIMP's with a suffix: no zero byte.
        CString::new(name).unwrap_or_default()
    }

    /// Makes the draft the result.
    fn apply(&self, output: Output) -> Result<(), Refused> {
        let mut draft = self.draft.take().ok_or(Refused)?;
        let area = self.drawable.selection.ok_or(Refused)?;
        draft.flush();
        match output {
            Output::Replace => {
                drop(draft);
                self.merge(self.id, area)
            }
            Output::NewLayer => {
                let done = self.insert(|layer| {
                    let mut shadow = self.shadow(layer).ok_or(Refused)?;
                    shadow.copy_from(&draft, area);
                    shadow.flush();
                    drop(shadow);
                    self.merge(layer, area)
                });
                drop(draft);
                // SAFETY: a drawable of ours.
                unsafe { (self.lib.gimp.gimp_drawable_free_shadow)(self.id) };
                done
            }
        }
    }

    /// The shadow buffer of an item.
    fn shadow(&self, item: Id) -> Option<Buffer<'a>> {
        // SAFETY: an item of ours; GIMP gives a reference.
        unsafe {
            let shadow = (self.lib.gimp.gimp_drawable_get_shadow_buffer)(item);
            Buffer::new(&self.lib.gegl, shadow)
        }
    }
}

impl<Id: Copy + PartialEq> Host for GimpHost<'_, Id> {
    fn drawable(&self) -> Drawable {
        self.drawable
    }

    fn read(&self, area: Area, samples: &mut [f32]) {
        self.own(area, samples);
        if let Some(profile) = &self.profile {
            self.convert(samples, |colour| profile.to_srgb(colour));
        }
    }

    fn selected(&self, area: Area, selected: &mut [f32]) {
        let selection = self.selection.borrow();
        let Some((mask, (left, top))) = &*selection else {
            return selected.fill(1.0);
        };
        // SAFETY: a format that lives as long as babl.
        let format = unsafe { (self.lib.gegl.babl_format)(c"Y float".as_ptr()) };
        mask.get(
            Rectangle::from(area).moved(*left, *top),
            format,
            1,
            selected,
        );
    }

    fn refresh(&self) {
        let (lib, gimp) = (self.lib, &self.lib.gimp);
        // A buffer keeps the tiles that it has read: only another one has those of now.
        // SAFETY: GIMP gives a reference to the drawable's buffer.
        let now = unsafe { Buffer::new(&lib.gegl, (gimp.gimp_drawable_get_buffer)(self.id)) };
        // A layer that was cropped meanwhile is another one, which OK refuses to go on with.
        if let Some(now) = now
            && now.size() == (self.drawable.width, self.drawable.height)
        {
            *self.original.borrow_mut() = now;
            *self.selection.borrow_mut() = lib.selection(self.image, self.id);
        }
    }

    fn place(&self) -> Option<Place> {
        let gimp = &self.lib.gimp;
        // SAFETY: a parasite that is ours to free, with as many bytes as it says.
        unsafe {
            let parasite = (gimp.gimp_item_get_parasite)(self.id, PLACE.as_ptr());
            let kept = parasite.as_ref()?;
            let bytes = std::slice::from_raw_parts(kept.data.cast::<u8>(), kept.size as usize);
            let place = std::str::from_utf8(bytes).ok().and_then(Place::parse);
            (gimp.gimp_parasite_free)(parasite);
            place
        }
    }

    fn keep_place(&self, place: Place) {
        let gimp = &self.lib.gimp;
        let text = place.to_string();
        // SAFETY: bytes that GIMP copies, twice.
        unsafe {
            let (bytes, size) = (text.as_ptr().cast(), text.len() as u32);
            let parasite = (gimp.gimp_parasite_new)(PLACE.as_ptr(), 0, size, bytes);
            (gimp.gimp_item_attach_parasite)(self.id, parasite);
            (gimp.gimp_parasite_free)(parasite);
        }
    }

    fn write(&mut self, area: Area, samples: &[f32]) {
        let mut samples = Cow::Borrowed(samples);
        if let Some(profile) = &self.profile {
            let samples = samples.to_mut();
            self.convert(samples, |colour| profile.from_srgb(colour));
            self.keep_hidden(area, samples);
        }
        let mut draft = self.draft.borrow_mut();
        if draft.is_none() {
            *draft = self.shadow(self.id);
        }
        // Without a draft the result is refused at the end.
        if let Some(draft) = &mut *draft {
            let channels = self.drawable.channels();
            draft.set(area, self.format, channels, &samples);
        }
    }

    fn finish(&mut self, output: Output, errors: Option<&ErrorMap>) -> Result<(), Refused> {
        let Some(errors) = errors else {
            return self.apply(output);
        };
        let gimp = &self.lib.gimp;
        // SAFETY: an image and a layer of GIMP's.
        unsafe {
            (gimp.gimp_image_undo_group_start)(self.image);
            // First, so that a result in a new layer is the one that the user goes on with.
            let done = self.insert_errors(errors).and_then(|layer| {
                self.apply(output).inspect_err(|_| {
                    (gimp.gimp_image_remove_layer)(self.image, layer);
                })
            });
            if done.is_ok() && output == Output::Replace {
                self.select();
            }
            (gimp.gimp_image_undo_group_end)(self.image);
            done
        }
    }

    fn duplicate(&mut self) -> Result<(), Refused> {
        self.insert(|_| Ok(()))
    }

    fn progress(&mut self, fraction: f64, text: &str) {
        let gimp = &self.lib.gimp;
        // Our own text: no zero byte.
        let text = CString::new(text).unwrap_or_default();
        // SAFETY: a string.
        unsafe {
            if self.shows_progress {
                (gimp.gimp_progress_set_text)(text.as_ptr());
            } else {
                (gimp.gimp_progress_init)(text.as_ptr());
                self.shows_progress = true;
            }
            (gimp.gimp_progress_update)(fraction);
        }
    }
}

/// The bounds of the selection inside a drawable.
///
/// # Safety
/// `id` names a drawable.
unsafe fn selection<Id>(gimp: &Functions<Id>, id: Id) -> Option<Area> {
    let (mut x, mut y, mut width, mut height) = (0, 0, 0, 0);
    // SAFETY: a drawable, and room for four integers.
    let any =
        unsafe { (gimp.gimp_drawable_mask_intersect)(id, &mut x, &mut y, &mut width, &mut height) };
    let count = |value: c_int| usize::try_from(value).ok();
    let area = Area {
        x: count(x)?,
        y: count(y)?,
        width: count(width)?,
        height: count(height)?,
    };
    (any != 0 && area.width > 0 && area.height > 0).then_some(area)
}
