//! The operation's class: a filter that needs the whole photo for any part of the result.

use std::ffi::{CString, c_int, c_uint, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{null, null_mut};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::gegl::{
    FilterClass, GTypeModule, MESSAGE, ObjectClass, OperationClass, PROPERTY_FLAGS, Pointer,
    Rectangle, Text, TypeInfo, TypeQuery, babl_format_with_space, babl_space, babl_space_get_icc,
    g_log, g_object_class_install_property, g_param_spec_double, g_type_module_register_type,
    g_type_query, g_value_get_double, g_value_set_double, gegl_buffer_copy, gegl_buffer_get,
    gegl_buffer_set, gegl_operation_class_set_keys, gegl_operation_filter_get_type,
    gegl_operation_get_source_space, gegl_operation_set_format,
    gegl_operation_source_get_bounding_box, gegl_rectangle_is_infinite_plane,
};
use super::photo;
use dino_ir::ColourProfile;

/// The only property.
const STRENGTH: c_uint = 1;

/// The photo's own colours, and alpha that is not multiplied in.
const FORMAT: Text = c"R'G'B'A float".as_ptr();

/// Where an instance's own fields begin: behind those of its parent.
static FIELDS: OnceLock<usize> = OnceLock::new();

/// An instance's own fields.
#[repr(C)]
struct Fields {
    strength: f64,
}

/// Registers the type, unless this GEGL's classes are not those that we know.
///
/// # Safety
/// `module` is GEGL's.
pub unsafe fn register(module: *mut GTypeModule) -> bool {
    let mut parent = TypeQuery {
        kind: 0,
        name: null(),
        class_size: 0,
        instance_size: 0,
    };
    // SAFETY: room for the answer.
    let filter = unsafe {
        let filter = gegl_operation_filter_get_type();
        g_type_query(filter, &raw mut parent);
        filter
    };
    if parent.class_size as usize != size_of::<FilterClass>() {
        tell("this version of GEGL is not known: there is no effect".to_owned());
        return false;
    }
    let fields = (parent.instance_size as usize).next_multiple_of(align_of::<Fields>());
    let fields = *FIELDS.get_or_init(|| fields);
    let info = TypeInfo {
        class_size: size_of::<FilterClass>() as u16,
        base_init: null_mut(),
        base_finalize: null_mut(),
        class_init,
        class_finalize: null_mut(),
        class_data: null(),
        instance_size: (fields + size_of::<Fields>()) as u16,
        preallocated: 0,
        instance_init: null_mut(),
        value_table: null(),
    };
    // SAFETY: a complete description, which is copied.
    let kind = unsafe {
        g_type_module_register_type(
            module,
            filter,
            c"GeglOpDinoIrRestore".as_ptr(),
            &raw const info,
            0,
        )
    };
    kind != 0
}

unsafe extern "C" fn class_init(class: *mut FilterClass, _data: Pointer) {
    // SAFETY: GObject's class of our type, whose size was checked.
    unsafe {
        let operation: *mut OperationClass = &raw mut (*class).operation;
        let object: *mut ObjectClass = &raw mut (*operation).object;
        (*object).set_property = set_property;
        (*object).get_property = get_property;
        (*operation).prepare = prepare;
        (*operation).get_invalidated_by_change = get_invalidated_by_change;
        (*operation).get_required_for_output = get_required_for_output;
        (*operation).get_cached_region = get_cached_region;
        (*class).process = process;
        let strength = g_param_spec_double(
            c"strength".as_ptr(),
            c"Strength".as_ptr(),
            c"0 leaves the photo as it is, 1 takes the network's result".as_ptr(),
            0.0,
            1.0,
            1.0,
            PROPERTY_FLAGS,
        );
        g_object_class_install_property(object, STRENGTH, strength);
        gegl_operation_class_set_keys(
            operation,
            c"name".as_ptr(),
            c"dino-ir:restore".as_ptr(),
            c"title".as_ptr(),
            c"Restore (DINO-IR)".as_ptr(),
            c"categories".as_ptr(),
            c"enhance:noise-reduction".as_ptr(),
            c"description".as_ptr(),
            c"Removes noise, blur, rain, haze and compression, whichever the photo has".as_ptr(),
            c"gimp:menu-path".as_ptr(),
            c"<Image>/Filters/Enhance".as_ptr(),
            c"gimp:menu-label".as_ptr(),
            c"Restore (DINO-IR), as an effect...".as_ptr(),
            null::<c_void>(),
        );
    }
}

/// An instance's own fields.
///
/// # Safety
/// `operation` is an instance of our type.
unsafe fn fields(operation: Pointer) -> *mut Fields {
    let offset = FIELDS
        .get()
        .copied()
        .expect("set before there are instances");
    // SAFETY: instances are that much larger than their parent.
    unsafe { operation.cast::<u8>().add(offset).cast() }
}

unsafe extern "C" fn set_property(
    operation: Pointer,
    id: c_uint,
    value: *const c_void,
    _: Pointer,
) {
    if id == STRENGTH {
        // SAFETY: our instance, and a value of the property's type.
        unsafe { (*fields(operation)).strength = g_value_get_double(value) };
    }
}

unsafe extern "C" fn get_property(operation: Pointer, id: c_uint, value: Pointer, _: Pointer) {
    if id == STRENGTH {
        // SAFETY: our instance, and a value of the property's type.
        unsafe { g_value_set_double(value, (*fields(operation)).strength) };
    }
}

/// The photo's profile; `None` for sRGB, and for profiles that cannot be inverted: their values are taken for sRGB's.
///
/// # Safety
/// `operation` is an instance of our type.
unsafe fn profile(operation: Pointer) -> Option<ColourProfile> {
    // SAFETY: a pad that every filter has; a space and the bytes of its profile live as long as babl.
    let icc = unsafe {
        let space = gegl_operation_get_source_space(operation, c"input".as_ptr());
        if space.is_null() || space == babl_space(c"sRGB".as_ptr()) {
            return None;
        }
        let mut length = 0;
        let bytes = babl_space_get_icc(space, &raw mut length);
        let length = usize::try_from(length).ok()?;
        if bytes.is_null() || length == 0 {
            return None;
        }
        std::slice::from_raw_parts(bytes, length)
    };
    ColourProfile::from_icc(icc)
        .ok()
        .filter(|profile| profile.fits(4))
}

/// The format of both pads, in the photo's own colours.
///
/// # Safety
/// `operation` is an instance of our type.
unsafe fn format(operation: Pointer) -> Pointer {
    // SAFETY: a pad that every filter has; NULL, where nothing is connected, is sRGB.
    unsafe {
        let space = gegl_operation_get_source_space(operation, c"input".as_ptr());
        babl_format_with_space(FORMAT, space)
    }
}

unsafe extern "C" fn prepare(operation: Pointer) {
    // SAFETY: our instance, pads that every filter has.
    unsafe {
        let format = format(operation);
        gegl_operation_set_format(operation, c"input".as_ptr(), format);
        gegl_operation_set_format(operation, c"output".as_ptr(), format);
    }
}

/// The whole input, or `other` where there is none or it has no end.
///
/// # Safety
/// `operation` is an instance of our type; `other` points to a rectangle.
unsafe fn whole(operation: Pointer, other: *const Rectangle) -> Rectangle {
    // SAFETY: as promised; the answer is NULL or lives as long as the operation's node.
    unsafe {
        let whole = gegl_operation_source_get_bounding_box(operation, c"input".as_ptr());
        if whole.is_null() || gegl_rectangle_is_infinite_plane(whole) != 0 {
            *other
        } else {
            *whole
        }
    }
}

/// As [`whole`], but no more than `other` of a photo that is refused: nothing is computed or kept for it.
///
/// # Safety
/// As there.
unsafe fn needed(operation: Pointer, other: *const Rectangle) -> Rectangle {
    // SAFETY: as promised.
    unsafe {
        let whole = whole(operation, other);
        if photo::is_too_large(whole.width, whole.height) {
            *other
        } else {
            whole
        }
    }
}

/// A changed pixel may change all of them.
unsafe extern "C" fn get_invalidated_by_change(
    operation: Pointer,
    _: Text,
    changed: *const Rectangle,
) -> Rectangle {
    // SAFETY: GEGL's own arguments.
    unsafe { whole(operation, changed) }
}

unsafe extern "C" fn get_required_for_output(
    operation: Pointer,
    _: Text,
    wanted: *const Rectangle,
) -> Rectangle {
    // SAFETY: GEGL's own arguments.
    unsafe { needed(operation, wanted) }
}

unsafe extern "C" fn get_cached_region(operation: Pointer, wanted: *const Rectangle) -> Rectangle {
    // SAFETY: GEGL's own arguments.
    unsafe { needed(operation, wanted) }
}

/// Restores the whole input and writes what is wanted of it. What cannot be restored stays as it is, with a message: GEGL
/// would take the pixels that an operation leaves out for transparent ones. Nothing of ours may unwind into GEGL.
unsafe extern "C" fn process(
    operation: Pointer,
    input: Pointer,
    output: Pointer,
    wanted: *const Rectangle,
    _level: c_int,
) -> c_int {
    let run = AssertUnwindSafe(|| {
        // SAFETY: GEGL's own arguments.
        unsafe { restore(operation, input, output, wanted) }
    });
    let complaint = match catch_unwind(run) {
        Ok(Ok(())) => return 1,
        Ok(Err(complaint)) => complaint,
        Err(_) => "internal error: please report this bug".to_owned(),
    };
    tell(complaint);
    // SAFETY: GEGL's own arguments.
    unsafe { gegl_buffer_copy(input, wanted, 0, output, wanted) };
    1
}

/// # Safety
/// The arguments of [`process`].
unsafe fn restore(
    operation: Pointer,
    input: Pointer,
    output: Pointer,
    wanted: *const Rectangle,
) -> Result<(), String> {
    // SAFETY: our instance, live buffers, room for the whole rectangle.
    unsafe {
        let strength = (*fields(operation)).strength as f32;
        let area = whole(operation, wanted);
        let side = |length: c_int| usize::try_from(length).unwrap_or(0);
        let (width, height) = (side(area.width), side(area.height));
        if strength <= 0.0 || width == 0 || height == 0 {
            gegl_buffer_copy(input, wanted, 0, output, wanted);
            return Ok(());
        }
        if photo::is_too_large(area.width, area.height) {
            // Before memory is asked for.
            return Err(photo::too_large(width, height));
        }
        let format = format(operation);
        let mut pixels = vec![0.0_f32; width * height * 4];
        let to = pixels.as_mut_ptr().cast();
        gegl_buffer_get(input, &raw const area, 1.0, format, to, 0, 0);
        let restored = photo::restored(&pixels, width, height, profile(operation));
        let restored = restored.map_err(|error| error.to_string())?;
        photo::mix(&mut pixels, &restored, strength);
        gegl_buffer_set(
            output,
            &raw const area,
            0,
            format,
            pixels.as_ptr().cast(),
            0,
        );
        Ok(())
    }
}

/// A line in GEGL's log, which GIMP shows to the user. Said once: an editor asks for a picture in many parts.
fn tell(message: String) {
    static SAID: Mutex<String> = Mutex::new(String::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if *said == message {
        return;
    }
    let line = CString::new(format!("Restore (DINO-IR): {message}").replace('\0', "?"));
    // SAFETY: a format with one string, and that string.
    unsafe {
        g_log(
            c"GEGL".as_ptr(),
            MESSAGE,
            c"%s".as_ptr(),
            line.unwrap_or_default().as_ptr(),
        );
    }
    *said = message;
}
