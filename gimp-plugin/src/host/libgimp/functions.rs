//! The functions of libgimp in use, and what they hand over.

use std::ffi::{c_char, c_double, c_int, c_void};

use crate::host::gegl::{Pointer, Text};
use crate::host::library::functions;

functions! {
    /// The functions in use.
    Functions<Id> {
        fn gimp_drawable_get_buffer(Id) -> Pointer;
        fn gimp_drawable_get_shadow_buffer(Id) -> Pointer;
        fn gimp_drawable_get_format(Id) -> Pointer;
        fn gimp_drawable_merge_shadow(Id, c_int) -> c_int;
        fn gimp_drawable_free_shadow(Id) -> c_int;
        fn gimp_drawable_update(Id, c_int, c_int, c_int, c_int) -> c_int;
        fn gimp_drawable_mask_intersect(Id, *mut c_int, *mut c_int, *mut c_int, *mut c_int) -> c_int;
        fn gimp_drawable_is_indexed(Id) -> c_int;
        fn gimp_drawable_is_gray(Id) -> c_int;
        fn gimp_drawable_has_alpha(Id) -> c_int;
        fn gimp_item_is_group(Id) -> c_int;
        fn gimp_item_is_layer(Id) -> c_int;
        fn gimp_item_is_layer_mask(Id) -> c_int;
        fn gimp_item_get_lock_content(Id) -> c_int;
        fn gimp_item_set_lock_content(Id, c_int) -> c_int;
        fn gimp_item_get_parent(Id) -> Id;
        fn gimp_item_get_name(Id) -> *mut c_char;
        fn gimp_item_set_name(Id, Text) -> c_int;
        fn gimp_item_delete(Id) -> c_int;
        fn gimp_item_set_visible(Id, c_int) -> c_int;
        fn gimp_layer_from_mask(Id) -> Id;
        fn gimp_layer_is_floating_sel(Id) -> c_int;
        fn gimp_layer_new(Id, Text, c_int, c_int, c_int, c_double, c_int) -> Id;
        fn gimp_layer_set_offsets(Id, c_int, c_int) -> c_int;
        fn gimp_layer_new_from_drawable(Id, Id) -> Id;
        fn gimp_image_insert_layer(Id, Id, Id, c_int) -> c_int;
        fn gimp_image_remove_layer(Id, Id) -> c_int;
        fn gimp_image_get_item_position(Id, Id) -> c_int;
        fn gimp_image_undo_group_start(Id) -> c_int;
        fn gimp_image_undo_group_end(Id) -> c_int;
        fn gimp_item_attach_parasite(Id, *const Parasite) -> c_int;
        fn gimp_item_get_parasite(Id, Text) -> *mut Parasite;
        fn gimp_parasite_new(Text, u32, u32, *const c_void) -> *mut Parasite;
        fn gimp_parasite_free(*mut Parasite);
        fn gimp_image_get_selection(Id) -> Id;
        fn gimp_image_get_precision(Id) -> c_int;
        fn gimp_image_get_color_profile(Id) -> Pointer;
        fn gimp_color_profile_get_icc_profile(Pointer, *mut usize) -> *const u8;
        fn gimp_image_get_name(Id) -> *mut c_char;
        fn gimp_selection_is_empty(Id) -> c_int;
        fn gimp_displays_flush() -> c_int;
        fn gimp_message(Text) -> c_int;
        fn gimp_progress_init(Text) -> c_int;
        fn gimp_progress_set_text(Text) -> c_int;
        fn gimp_progress_update(c_double) -> c_int;
        fn gimp_progress_end() -> c_int;
    }
}

/// GimpParasite: bytes that GIMP keeps with an item.
#[repr(C)]
pub struct Parasite {
    _name: *mut c_char,
    _flags: u32,
    pub size: u32,
    pub data: *mut c_void,
}
