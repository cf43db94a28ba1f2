//! The dialog, made by GIMP from the procedure's arguments; Reset and the last values are GIMP's too.

use std::ffi::{CStr, c_char, c_double, c_int, c_uint};
use std::ptr::{null, null_mut};

use dino_ir::weights::Loaded;

use crate::host::Host;
use crate::host::arguments::{
    DEVICE, OUTPUT, REMOVE_LABEL, STRENGTH, TILE_SIZE, UNCERTAINTY, WEIGHTS, WEIGHTS_LABEL,
    WEIGHTS_TIP,
};
use crate::host::gegl::{Pointer, Text};
use crate::host::library::{Library, functions};
use crate::host::preview_area::{PreviewArea, ReadSettings, Toolkit};
use crate::job::Error;
use crate::language::tr_c;
use crate::preview::Preview;
use crate::settings::FAULTS;

/// GIMP_FILE_CHOOSER_ACTION_OPEN.
const OPEN: c_int = 0;
/// G_BINDING_BIDIRECTIONAL | G_BINDING_SYNC_CREATE.
const BOTH_WAYS: c_int = 1 | 2;
/// The upper part of the dialog.
const TOP: &CStr = c"dino-ir-top";
/// Pixels for the settings: room for the slider.
const WIDTH: c_int = 320;
/// How much of each fault is removed.
const REMOVE: &CStr = c"dino-ir-remove";
/// Where that is in the upper part: below the strength.
const BELOW_STRENGTH: c_int = 1;
/// All of the settings, beside the preview.
const FIELDS: &CStr = c"dino-ir-fields";

functions! {
    /// libgimpui, which is opened for a dialog only.
    Ui {
        fn gimp_ui_init(Text);
        fn gimp_procedure_dialog_new(Pointer, Pointer, Text) -> Pointer;
        fn gimp_procedure_dialog_get_scale_entry(Pointer, Text, c_double) -> Pointer;
        fn gimp_procedure_dialog_fill_box(Pointer, Text, Text; ...) -> Pointer;
        fn gimp_procedure_dialog_run(Pointer) -> c_int;
        fn gimp_file_chooser_new(c_int, Text, Text, Pointer) -> Pointer;
        fn g_object_bind_property(Pointer, Text, Pointer, Text, c_int) -> Pointer;
        fn gtk_widget_set_tooltip_text(Pointer, Text);
        fn gtk_widget_show(Pointer);
        fn gtk_box_pack_start(Pointer, Pointer, c_int, c_int, c_uint);
        fn gtk_box_reorder_child(Pointer, Pointer, c_int);
        fn gtk_expander_new_with_mnemonic(Text) -> Pointer;
        fn gtk_container_add(Pointer, Pointer);
        fn gtk_widget_destroy(Pointer);
        fn gtk_widget_set_size_request(Pointer, c_int, c_int);
        fn gtk_hbox_new(c_int, c_int) -> Pointer;
        fn gtk_dialog_get_content_area(Pointer) -> Pointer;
    }
}

/// The user has said OK.
pub struct Accepted {
    /// What has found out what the restoration can go on with.
    pub preview: Option<Preview<Loaded>>,
}

/// Lets the user edit the config, which `settings` reads, with a preview of a drawable; `None` if they cancel.
///
/// # Errors
/// [`Error::Library`].
///
/// # Safety
/// A GimpProcedure and its GimpProcedureConfig, on the main thread.
pub unsafe fn run(
    procedure: Pointer,
    config: Pointer,
    title: &str,
    host: Option<&dyn Host>,
    settings: ReadSettings<'_>,
) -> Result<Option<Accepted>, Error> {
    let library = Library::open("libgimpui-3.0")?;
    let ui = Ui::load(library)?;
    // SAFETY: as the caller promises; names of the procedure's own arguments.
    unsafe {
        (ui.gimp_ui_init)(c"dino-ir-restore".as_ptr());
        let title = tr_c(title);
        let dialog = (ui.gimp_procedure_dialog_new)(procedure, config, title.as_ptr());
        (ui.gimp_procedure_dialog_get_scale_entry)(dialog, STRENGTH.as_ptr(), 1.0);
        let top = (ui.gimp_procedure_dialog_fill_box)(
            dialog,
            TOP.as_ptr(),
            STRENGTH.as_ptr(),
            OUTPUT.as_ptr(),
            UNCERTAINTY.as_ptr(),
            null::<c_char>(),
        );
        let remove = remover(&ui, dialog);
        (ui.gtk_box_pack_start)(top, remove, 0, 0, 0);
        (ui.gtk_box_reorder_child)(top, remove, BELOW_STRENGTH);
        let chooser = file_chooser(&ui, config);
        (ui.gtk_box_pack_start)(top, chooser, 0, 0, 0);
        let fields = (ui.gimp_procedure_dialog_fill_box)(
            dialog,
            FIELDS.as_ptr(),
            TOP.as_ptr(),
            TILE_SIZE.as_ptr(),
            DEVICE.as_ptr(),
            null::<c_char>(),
        );
        let preview = host.map(|host| PreviewArea::new(library, Toolkit::Gtk3, host, settings));
        let preview = preview.transpose()?;
        let row = (ui.gtk_hbox_new)(0, 0);
        if let Some(preview) = &preview {
            preview.follow(config, c"notify");
            (ui.gtk_box_pack_start)(row, preview.widget(), 1, 1, 0);
        }
        (ui.gtk_box_pack_start)(row, fields, 0, 0, 0);
        (ui.gtk_box_pack_start)((ui.gtk_dialog_get_content_area)(dialog), row, 1, 1, 0);
        (ui.gtk_widget_set_size_request)(fields, WIDTH, -1);
        (ui.gtk_widget_show)(fields);
        (ui.gtk_widget_show)(row);
        let ok = (ui.gimp_procedure_dialog_run)(dialog) != 0;
        let preview = preview.and_then(PreviewArea::close);
        (ui.gtk_widget_destroy)(dialog);
        Ok(ok.then_some(Accepted { preview }))
    }
}

/// A slider for each fault, behind a line that opens and closes.
///
/// # Safety
/// A GimpProcedureDialog of our own, on the main thread.
unsafe fn remover(ui: &Ui, dialog: Pointer) -> Pointer {
    let [noise, blur, rain, haze, compression] = FAULTS.map(|fault| fault.name.as_ptr());
    // SAFETY: as the caller promises; names of the procedure's own arguments.
    unsafe {
        for name in [noise, blur, rain, haze, compression] {
            (ui.gimp_procedure_dialog_get_scale_entry)(dialog, name, 1.0);
        }
        let sliders = (ui.gimp_procedure_dialog_fill_box)(
            dialog,
            REMOVE.as_ptr(),
            noise,
            blur,
            rain,
            haze,
            compression,
            null::<c_char>(),
        );
        let expander = (ui.gtk_expander_new_with_mnemonic)(tr_c(REMOVE_LABEL).as_ptr());
        (ui.gtk_container_add)(expander, sliders);
        (ui.gtk_widget_show)(sliders);
        (ui.gtk_widget_show)(expander);
        expander
    }
}

/// A row for the weights file. GIMP makes none for a file argument that may be missing.
///
/// # Safety
/// A config with that property, on the main thread.
unsafe fn file_chooser(ui: &Ui, config: Pointer) -> Pointer {
    // SAFETY: as the caller promises; both properties hold a GFile or NULL.
    unsafe {
        let (label, title) = (tr_c(WEIGHTS_LABEL), tr_c("Model file"));
        let chooser = (ui.gimp_file_chooser_new)(OPEN, label.as_ptr(), title.as_ptr(), null_mut());
        let file = c"file".as_ptr();
        (ui.g_object_bind_property)(config, WEIGHTS.as_ptr(), chooser, file, BOTH_WAYS);
        (ui.gtk_widget_set_tooltip_text)(chooser, tr_c(WEIGHTS_TIP).as_ptr());
        (ui.gtk_widget_show)(chooser);
        chooser
    }
}
