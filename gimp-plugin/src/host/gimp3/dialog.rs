//! The dialog, made by GIMP from the procedure's arguments; Reset and the last values are GIMP's too.

use std::ffi::{CStr, c_char, c_double, c_int, c_uint};
use std::ptr::{null, null_mut};

use crate::host::TITLE;
use crate::host::arguments::{DEVICE, OUTPUT, STRENGTH, TILE_SIZE, WEIGHTS, WEIGHTS_TIP};
use crate::host::gegl::{Pointer, Text};
use crate::host::library::{Library, functions};
use crate::job::Error;

/// GIMP_FILE_CHOOSER_ACTION_OPEN.
const OPEN: c_int = 0;
/// G_BINDING_BIDIRECTIONAL | G_BINDING_SYNC_CREATE.
const BOTH_WAYS: c_int = 1 | 2;
/// The upper part of the dialog.
const TOP: &CStr = c"dino-ir-top";

functions! {
    /// libgimpui, which is opened for a dialog only.
    Ui {
        fn gimp_ui_init(Text);
        fn gimp_procedure_dialog_new(Pointer, Pointer, Text) -> Pointer;
        fn gimp_procedure_dialog_get_scale_entry(Pointer, Text, c_double) -> Pointer;
        fn gimp_procedure_dialog_fill_box(Pointer, Text, Text; ...) -> Pointer;
        fn gimp_procedure_dialog_fill(Pointer; ...);
        fn gimp_procedure_dialog_run(Pointer) -> c_int;
        fn gimp_file_chooser_new(c_int, Text, Text, Pointer) -> Pointer;
        fn g_object_bind_property(Pointer, Text, Pointer, Text, c_int) -> Pointer;
        fn gtk_widget_set_tooltip_text(Pointer, Text);
        fn gtk_widget_show(Pointer);
        fn gtk_box_pack_start(Pointer, Pointer, c_int, c_int, c_uint);
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
    let ui = Ui::load(Library::open("libgimpui-3.0")?)?;
    // SAFETY: as the caller promises; names of the procedure's own arguments.
    unsafe {
        (ui.gimp_ui_init)(c"dino-ir-restore".as_ptr());
        let dialog = (ui.gimp_procedure_dialog_new)(procedure, config, TITLE.as_ptr());
        (ui.gimp_procedure_dialog_get_scale_entry)(dialog, STRENGTH.as_ptr(), 1.0);
        let top = (ui.gimp_procedure_dialog_fill_box)(
            dialog,
            TOP.as_ptr(),
            STRENGTH.as_ptr(),
            OUTPUT.as_ptr(),
            null::<c_char>(),
        );
        let chooser = file_chooser(&ui, config);
        (ui.gtk_box_pack_start)(top, chooser, 0, 0, 0);
        (ui.gimp_procedure_dialog_fill)(
            dialog,
            TOP.as_ptr(),
            TILE_SIZE.as_ptr(),
            DEVICE.as_ptr(),
            null::<c_char>(),
        );
        let ok = (ui.gimp_procedure_dialog_run)(dialog) != 0;
        (ui.gtk_widget_destroy)(dialog);
        Ok(ok)
    }
}

/// A row for the weights file. GIMP makes none for a file argument that may be missing.
///
/// # Safety
/// A config with that property, on the main thread.
unsafe fn file_chooser(ui: &Ui, config: Pointer) -> Pointer {
    // SAFETY: as the caller promises; both properties hold a GFile or NULL.
    unsafe {
        let (label, title) = (c"_Model file", c"Model file");
        let chooser = (ui.gimp_file_chooser_new)(OPEN, label.as_ptr(), title.as_ptr(), null_mut());
        let file = c"file".as_ptr();
        (ui.g_object_bind_property)(config, WEIGHTS.as_ptr(), chooser, file, BOTH_WAYS);
        (ui.gtk_widget_set_tooltip_text)(chooser, WEIGHTS_TIP.as_ptr());
        (ui.gtk_widget_show)(chooser);
        chooser
    }
}
