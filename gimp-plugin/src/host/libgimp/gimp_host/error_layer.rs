//! The hidden layer that shows how far off restored pixels may be.

use std::ffi::{c_double, c_int, c_void};
use std::mem::transmute;

use dino_ir::restore::Area;

use super::GimpHost;
use crate::host::gegl::Buffer;
use crate::host::library::Library;
use crate::host::{Colour, ErrorMap, Refused};
use crate::job::Error;
use crate::language::tr;

/// GIMP_RGBA_IMAGE.
const RGB_WITH_ALPHA: c_int = 1;
/// GIMP_GRAYA_IMAGE.
const GREY_WITH_ALPHA: c_int = 3;
/// A layer's full opacity, in percent.
const OPAQUE: c_double = 100.0;
/// GIMP_LAYER_MODE_NORMAL.
const NORMAL: c_int = 28;

/// Image, layer.
type SelectOne<Id> = unsafe extern "C" fn(Id, Id) -> c_int;
/// Image, layers with NULL at their end.
type SelectSeveral<Id> = unsafe extern "C" fn(Id, *const Id) -> c_int;

/// How this GIMP makes a layer the one that the user works on.
pub enum Select<Id> {
    /// GIMP 2.10.
    One(SelectOne<Id>),
    /// GIMP 3.
    Several(SelectSeveral<Id>),
}

impl<Id> Select<Id> {
    /// # Errors
    /// [`Error::Library`] if it can do neither.
    pub fn load(library: Library) -> Result<Self, Error> {
        // SAFETY: the signatures that the headers declare.
        unsafe {
            if let Ok(several) = library.find(c"gimp_image_set_selected_layers") {
                let several = transmute::<*mut c_void, SelectSeveral<Id>>(several);
                return Ok(Self::Several(several));
            }
            let one = library.find(c"gimp_image_set_active_layer")?;
            Ok(Self::One(transmute::<*mut c_void, SelectOne<Id>>(one)))
        }
    }
}

impl<Id: Copy + PartialEq> GimpHost<'_, Id> {
    /// Puts a map above the layer, where nobody sees it.
    pub(super) fn insert_errors(&self, errors: &ErrorMap) -> Result<Id, Refused> {
        let (gimp, lib) = (&self.lib.gimp, self.lib);
        let Area { width, height, .. } = errors.area;
        // SAFETY: items of one image, named by GIMP; room for two integers.
        unsafe {
            let kind = match self.drawable.colour {
                Colour::Grey => GREY_WITH_ALPHA,
                Colour::Rgb | Colour::Indexed => RGB_WITH_ALPHA,
            };
            let name = self.name_with(tr(" expected error"));
            let (columns, rows) = (width as c_int, height as c_int);
            let name = name.as_ptr();
            let layer =
                (gimp.gimp_layer_new)(self.image, name, columns, rows, kind, OPAQUE, NORMAL);
            if layer == lib.none {
                return Err(Refused);
            }
            let (mut left, mut top) = (0, 0);
            (lib.offsets)(self.id, &mut left, &mut top);
            let (x, y) = (errors.area.x as c_int, errors.area.y as c_int);
            (gimp.gimp_layer_set_offsets)(layer, left + x, top + y);
            (gimp.gimp_item_set_visible)(layer, 0);
            let parent = (gimp.gimp_item_get_parent)(self.id);
            let position = (gimp.gimp_image_get_item_position)(self.image, self.id);
            if self.fill(layer, errors).is_none()
                || (gimp.gimp_image_insert_layer)(self.image, layer, parent, position) == 0
            {
                (gimp.gimp_item_delete)(layer);
                return Err(Refused);
            }
            Ok(layer)
        }
    }

    /// Writes a map to a new layer of its size.
    fn fill(&self, layer: Id, errors: &ErrorMap) -> Option<()> {
        let (gimp, gegl) = (&self.lib.gimp, &self.lib.gegl);
        // SAFETY: a layer of ours; GIMP gives a reference to its buffer, and formats live as long as babl.
        let (mut buffer, format) = unsafe {
            let buffer = Buffer::new(gegl, (gimp.gimp_drawable_get_buffer)(layer))?;
            let space = (gegl.babl_format_get_space)((gimp.gimp_drawable_get_format)(layer));
            let format = (gegl.babl_format_with_space)(c"Y'A float".as_ptr(), space);
            (buffer, format)
        };
        let width = errors.area.width;
        for (y, row) in errors.pixels.chunks_exact(width * 2).enumerate() {
            let row: Vec<f32> = row.iter().map(|&byte| f32::from(byte) / 255.0).collect();
            let area = Area {
                x: 0,
                y,
                width,
                height: 1,
            };
            buffer.set(area, format, 2, &row);
        }
        buffer.flush();
        Some(())
    }

    /// Makes the layer the one that the user works on.
    pub(super) fn select(&self) {
        // SAFETY: an image, and a layer of it.
        unsafe {
            match self.lib.select {
                Select::One(select) => select(self.image, self.id),
                Select::Several(select) => select(self.image, [self.id, self.lib.none].as_ptr()),
            };
        }
    }
}
