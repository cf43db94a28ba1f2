//! The dialog in GTK 2.

use std::ffi::{CStr, CString, c_char, c_double, c_int};
use std::ptr::{null, null_mut};

use dino_ir::weights::Loaded;

use crate::host::gegl::{Gegl, Pointer, Text, take_text};
use crate::host::library::{Library, functions};
use crate::host::preview_area::{PreviewArea, Toolkit};
use crate::host::{Host, PROCEDURE, arguments};
use crate::job::Error;
use crate::language::{msgid, tr, tr_c};
use crate::preview::Preview;
use crate::settings::{self, Choice, Device, FAULTS, MAX_TILE, Output, Settings};
use crate::system;

/// GTK_RESPONSE_OK.
const OK: c_int = -5;
/// GTK_RESPONSE_CANCEL.
const CANCEL: c_int = -6;
/// Our own response: Reset.
const RESET: c_int = 1;
/// GTK_FILE_CHOOSER_ACTION_OPEN.
const OPEN: c_int = 0;
/// Pixels around and between the rows.
const SPACING: c_int = 6;
/// Rows of the table: one for each setting, and one for the faults.
const ROWS: c_int = 7;
/// Columns: label, slider, number.
const COLUMNS: c_int = 3;

functions! {
    /// libgimpui, which is opened for a dialog only.
    Ui {
        fn gimp_ui_init(Text, c_int);
        fn gimp_dialog_new(Text, Text, Pointer, c_int, Option<HelpFunction>, Text; ...) -> Pointer;
        fn gimp_standard_help_func(Text, Pointer);
        fn gimp_dialog_run(Pointer) -> c_int;
        fn gimp_window_set_transient(Pointer);
        fn gimp_scale_entry_new(
            Pointer, c_int, c_int, Text, c_int, c_int, c_double, c_double, c_double, c_double,
            c_double, c_int, c_int, c_double, c_double, Text, Text) -> Pointer;
        fn gimp_int_combo_box_new_array(c_int, *const Text) -> Pointer;
        fn gimp_int_combo_box_set_active(Pointer, c_int) -> c_int;
        fn gimp_int_combo_box_get_active(Pointer, *mut c_int) -> c_int;
        fn gimp_table_attach_aligned(
            Pointer, c_int, c_int, Text, f32, f32, Pointer, c_int, c_int) -> Pointer;
        fn gimp_help_set_help_data(Pointer, Text, Text);
        fn gtk_dialog_get_content_area(Pointer) -> Pointer;
        fn gtk_dialog_set_default_response(Pointer, c_int);
        fn gtk_hbox_new(c_int, c_int) -> Pointer;
        fn gtk_vbox_new(c_int, c_int) -> Pointer;
        fn gtk_table_new(c_int, c_int, c_int) -> Pointer;
        fn gtk_table_set_row_spacings(Pointer, c_int);
        fn gtk_table_set_col_spacings(Pointer, c_int);
        fn gtk_container_set_border_width(Pointer, c_int);
        fn gtk_container_add(Pointer, Pointer);
        fn gtk_check_button_new_with_mnemonic(Text) -> Pointer;
        fn gtk_toggle_button_set_active(Pointer, c_int);
        fn gtk_toggle_button_get_active(Pointer) -> c_int;
        fn gtk_expander_new_with_mnemonic(Text) -> Pointer;
        fn gtk_expander_set_expanded(Pointer, c_int);
        fn gtk_box_pack_start(Pointer, Pointer, c_int, c_int, c_int);
        fn gtk_adjustment_get_value(Pointer) -> c_double;
        fn gtk_adjustment_set_value(Pointer, c_double);
        fn gtk_file_chooser_button_new(Text, c_int) -> Pointer;
        fn gtk_file_chooser_get_filename(Pointer) -> *mut c_char;
        fn gtk_file_chooser_set_filename(Pointer, Text) -> c_int;
        fn gtk_file_chooser_unselect_all(Pointer);
        fn gtk_widget_show_all(Pointer);
        fn gtk_widget_destroy(Pointer);
    }
}

/// GimpHelpFunc: the page's name, data.
type HelpFunction = unsafe extern "C" fn(Text, Pointer);

/// What the user has chosen, and what the preview has found out.
pub type Chosen = (Settings, Option<Preview<Loaded>>);

/// Lets the user edit settings, with a preview of a drawable; `None` if they cancel.
///
/// # Errors
/// [`Error::Library`].
///
/// # Safety
/// On the main thread of a plug-in that GIMP 2.10 runs.
pub unsafe fn run(
    gegl: &Gegl,
    title: &str,
    host: Option<&dyn Host>,
    last: &Settings,
) -> Result<Option<Chosen>, Error> {
    let library = Library::open("libgimpui-2.0")?;
    let ui = Ui::load(library)?;
    // SAFETY: widgets made here, of the types that the functions ask for, on the main thread.
    unsafe {
        (ui.gimp_ui_init)(c"dino-ir-restore".as_ptr(), 0);
        let [title, reset, cancel, ok] =
            [title, msgid("_Reset"), msgid("_Cancel"), msgid("_OK")].map(tr_c);
        let dialog = (ui.gimp_dialog_new)(
            title.as_ptr(),
            c"dino-ir-restore".as_ptr(),
            null_mut(),
            0,
            Some(ui.gimp_standard_help_func),
            PROCEDURE.as_ptr(),
            reset.as_ptr(),
            RESET,
            cancel.as_ptr(),
            CANCEL,
            ok.as_ptr(),
            OK,
            null::<c_char>(),
        );
        (ui.gtk_dialog_set_default_response)(dialog, OK);
        (ui.gimp_window_set_transient)(dialog);
        let row = (ui.gtk_hbox_new)(0, SPACING);
        (ui.gtk_box_pack_start)((ui.gtk_dialog_get_content_area)(dialog), row, 1, 1, 0);
        let fields = Fields::new(&ui, gegl);
        fields.show(last);
        let settings = Box::new(|| Ok(fields.settings()));
        let preview = host.map(|host| PreviewArea::new(library, Toolkit::Gtk2, host, settings));
        let preview = preview.transpose()?;
        if let Some(preview) = &preview {
            (ui.gtk_box_pack_start)(row, preview.widget(), 1, 1, 0);
        }
        // Rows as high as they need to be, however high the preview is.
        let column = (ui.gtk_vbox_new)(0, 0);
        (ui.gtk_box_pack_start)(column, fields.table, 0, 0, 0);
        (ui.gtk_box_pack_start)(row, column, 0, 0, 0);
        for (widget, signal) in fields.signals() {
            if let Some(preview) = &preview {
                preview.follow(widget, signal);
            }
        }
        (ui.gtk_widget_show_all)(dialog);
        let settings = loop {
            match (ui.gimp_dialog_run)(dialog) {
                RESET => fields.show(&Settings::default()),
                OK => break Some(fields.settings()),
                _ => break None,
            }
        };
        let preview = preview.and_then(PreviewArea::close);
        (ui.gtk_widget_destroy)(dialog);
        Ok(settings.map(|settings| (settings, preview)))
    }
}

/// The widgets that hold the settings.
struct Fields<'a> {
    ui: &'a Ui,
    gegl: &'a Gegl,
    /// GtkTable.
    table: Pointer,
    /// GtkAdjustment.
    strength: Pointer,
    /// GtkExpander.
    remove: Pointer,
    /// A GtkAdjustment for each fault.
    shares: [Pointer; FAULTS.len()],
    /// GimpIntComboBox.
    output: Pointer,
    /// GtkCheckButton.
    uncertainty: Pointer,
    /// GtkFileChooserButton.
    weights: Pointer,
    /// GtkAdjustment.
    tile_size: Pointer,
    /// GimpIntComboBox.
    device: Pointer,
}

impl<'a> Fields<'a> {
    /// # Safety
    /// GTK is initialised.
    unsafe fn new(ui: &'a Ui, gegl: &'a Gegl) -> Self {
        // SAFETY: widgets made here.
        unsafe {
            let grid = |rows| {
                let table = (ui.gtk_table_new)(rows, COLUMNS, 0);
                (ui.gtk_table_set_row_spacings)(table, SPACING);
                (ui.gtk_table_set_col_spacings)(table, SPACING);
                table
            };
            let table = grid(ROWS);
            (ui.gtk_container_set_border_width)(table, 2 * SPACING);

            // GTK copies what it is given.
            let label = |text: &str| CString::new(format!("{}:", tr(text))).unwrap_or_default();
            let scale = |table, row, text: &str, most, step, page, digits, tip: &str| {
                let (label, tip) = (label(text), tr_c(tip));
                (ui.gimp_scale_entry_new)(
                    table,
                    0,
                    row,
                    label.as_ptr(),
                    160,
                    6,
                    0.0,
                    0.0,
                    most,
                    step,
                    page,
                    digits,
                    1,
                    0.0,
                    0.0,
                    tip.as_ptr(),
                    null(),
                )
            };
            let attach = |row, text: &str, widget: Pointer, tip: &str| {
                let (label, tip) = (label(text), tr_c(tip));
                let label = label.as_ptr();
                (ui.gimp_table_attach_aligned)(table, 0, row, label, 0.0, 0.5, widget, 2, 0);
                (ui.gimp_help_set_help_data)(widget, tip.as_ptr(), null());
                widget
            };
            let combo = |choices: &[Choice]| {
                let labels: Vec<CString> = choices.iter().map(|c| tr_c(c.label)).collect();
                let labels: Vec<Text> = labels.iter().map(|label| label.as_ptr()).collect();
                (ui.gimp_int_combo_box_new_array)(labels.len() as c_int, labels.as_ptr())
            };
            let share = |table, row, text, tip| scale(table, row, text, 1.0, 0.01, 0.1, 2, tip);
            let remove =
                (ui.gtk_expander_new_with_mnemonic)(tr_c(arguments::REMOVE_LABEL).as_ptr());
            let sliders = grid(FAULTS.len() as c_int);
            (ui.gtk_container_add)(remove, sliders);
            (ui.gimp_table_attach_aligned)(table, 0, 1, null(), 0.0, 0.5, remove, COLUMNS, 0);
            let shares = std::array::from_fn(|at| {
                share(
                    sliders,
                    at as c_int,
                    FAULTS[at].label,
                    arguments::REMOVE_TIP,
                )
            });
            let uncertainty = (ui.gtk_check_button_new_with_mnemonic)(
                tr_c(arguments::UNCERTAINTY_LABEL).as_ptr(),
            );
            let tip = tr_c(arguments::UNCERTAINTY_TIP);
            (ui.gimp_help_set_help_data)(uncertainty, tip.as_ptr(), null());
            (ui.gimp_table_attach_aligned)(table, 0, 3, null(), 0.0, 0.5, uncertainty, COLUMNS, 0);
            let chooser = (ui.gtk_file_chooser_button_new)(tr_c("Model file").as_ptr(), OPEN);
            Self {
                ui,
                gegl,
                table,
                strength: share(table, 0, arguments::STRENGTH_LABEL, arguments::STRENGTH_TIP),
                remove,
                shares,
                output: attach(
                    2,
                    arguments::OUTPUT_LABEL,
                    combo(&Output::CHOICES),
                    arguments::OUTPUT_TIP,
                ),
                uncertainty,
                weights: attach(
                    4,
                    arguments::WEIGHTS_LABEL,
                    chooser,
                    msgid(
                        "A weights file (.safetensors); with none, the model inside the plug-in. Reset empties it",
                    ),
                ),
                tile_size: scale(
                    table,
                    5,
                    arguments::TILE_SIZE_LABEL,
                    f64::from(MAX_TILE),
                    8.0,
                    64.0,
                    0,
                    arguments::TILE_SIZE_TIP,
                ),
                device: attach(
                    6,
                    arguments::DEVICE_LABEL,
                    combo(&Device::CHOICES),
                    arguments::DEVICE_TIP,
                ),
            }
        }
    }

    /// What tells of each change that a preview shows.
    fn signals(&self) -> impl Iterator<Item = (Pointer, &'static CStr)> {
        let others = [
            (self.strength, c"value-changed"),
            (self.weights, c"selection-changed"),
            (self.tile_size, c"value-changed"),
            (self.device, c"changed"),
        ];
        let shares = self.shares.map(|share| (share, c"value-changed"));
        others.into_iter().chain(shares)
    }

    fn show(&self, settings: &Settings) {
        let path = settings.weights.as_ref().map(|path| path.as_os_str());
        let path = path.and_then(|path| CString::new(path.as_encoded_bytes()).ok());
        // SAFETY: live widgets of these types.
        unsafe {
            (self.ui.gtk_adjustment_set_value)(self.strength, settings.strength);
            for (field, share) in self.shares.iter().zip(settings::shares(&settings.removal)) {
                (self.ui.gtk_adjustment_set_value)(*field, share);
            }
            let is_set = settings.removal != Settings::default().removal;
            (self.ui.gtk_expander_set_expanded)(self.remove, c_int::from(is_set));
            let uncertainty = c_int::from(settings.uncertainty);
            (self.ui.gtk_toggle_button_set_active)(self.uncertainty, uncertainty);
            (self.ui.gtk_adjustment_set_value)(self.tile_size, f64::from(settings.tile_size));
            (self.ui.gimp_int_combo_box_set_active)(self.output, settings.output as c_int);
            (self.ui.gimp_int_combo_box_set_active)(self.device, settings.device as c_int);
            match path {
                Some(path) => {
                    (self.ui.gtk_file_chooser_set_filename)(self.weights, path.as_ptr());
                }
                None => (self.ui.gtk_file_chooser_unselect_all)(self.weights),
            }
        }
    }

    fn settings(&self) -> Settings {
        let active = |combo: Pointer| {
            let mut number = 0;
            // SAFETY: a live GimpIntComboBox.
            unsafe { (self.ui.gimp_int_combo_box_get_active)(combo, &mut number) };
            number
        };
        // SAFETY: live widgets of these types; the path is ours to free.
        unsafe {
            let path = (self.ui.gtk_file_chooser_get_filename)(self.weights);
            let path = take_text(self.gegl, path).map(CString::into_bytes);
            Settings {
                strength: (self.ui.gtk_adjustment_get_value)(self.strength),
                weights: path.map(|path| system::path(&path)),
                tile_size: (self.ui.gtk_adjustment_get_value)(self.tile_size) as i32,
                output: Output::from_number(active(self.output)).unwrap_or_default(),
                device: Device::from_number(active(self.device)).unwrap_or_default(),
                removal: settings::removal(
                    self.shares
                        .map(|share| (self.ui.gtk_adjustment_get_value)(share)),
                ),
                uncertainty: (self.ui.gtk_toggle_button_get_active)(self.uncertainty) != 0,
            }
        }
    }
}
