//! The dialog, made by GIMP from the procedure's arguments; Reset and the last values are GIMP's too.

use std::ffi::{c_char, c_double, c_int};
use std::ptr::null;

use crate::host::TITLE;
use crate::host::arguments::{DEVICE, OUTPUT, STRENGTH, TILE_SIZE, WEIGHTS};
use crate::host::gegl::{Pointer, Text};
use crate::host::library::{Library, functions};
use crate::job::Error;

functions! {
    /// libgimpui, which is opened for a dialog only.
    Ui {
        fn gimp_ui_init(Text);
        fn gimp_procedure_dialog_new(Pointer, Pointer, Text) -> Pointer;
        fn gimp_procedure_dialog_get_scale_entry(Pointer, Text, c_double) -> Pointer;
        fn gimp_procedure_dialog_fill(Pointer; ...);
        fn gimp_procedure_dialog_run(Pointer) -> c_int;
        fn gtk_widget_destroy(Pointer);
    }
}

/// Lets the user edit the config; false if they cancel.
///
/// # Errors
/// [`Error::Library`].
///
/// # Safety
/// A GimpProcedure and its GimpProcedureConfig, on the main thread.
pub unsafe fn run(procedure: Pointer, config: Pointer) -> Result<bool, Error> {
    let ui = Ui::load(Library::open(c"libgimpui-3.0.so.0")?)?;
    // SAFETY: as the caller promises; names of the procedure's own arguments.
    unsafe {
        (ui.gimp_ui_init)(c"dino-ir-restore".as_ptr());
        let dialog = (ui.gimp_procedure_dialog_new)(procedure, config, TITLE.as_ptr());
        (ui.gimp_procedure_dialog_get_scale_entry)(dialog, STRENGTH.as_ptr(), 1.0);
        (ui.gimp_procedure_dialog_fill)(
            dialog,
            STRENGTH.as_ptr(),
            OUTPUT.as_ptr(),
            WEIGHTS.as_ptr(),
            TILE_SIZE.as_ptr(),
            DEVICE.as_ptr(),
            null::<c_char>(),
        );
        let ok = (ui.gimp_procedure_dialog_run)(dialog) != 0;
        (ui.gtk_widget_destroy)(dialog);
        Ok(ok)
    }
}
