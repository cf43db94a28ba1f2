//! The procedures as GIMP is told of them: names, menus, help, arguments.

use std::ffi::{CStr, c_int, c_uint};
use std::ptr::{null, null_mut};

use super::functions::Functions;
use super::{Api, NON_INTERACTIVE, RUN_MODE, api, run, run_all};
use crate::host::arguments;
use crate::host::gegl::{Pointer, Text};
use crate::host::{
    AUTHORS, BLURB, BLURB_ALL, DATE, HELP, IMAGE_TYPES, MENU_LABEL, MENU_LABEL_ALL, MENU_PATH,
    PROCEDURE, PROCEDURE_ALL,
};
use crate::language::tr_c;
use crate::settings::{self, Choice, Device, FAULTS, MAX_TILE, Output, Settings};

/// G_PARAM_READWRITE.
const READ_WRITE: c_uint = 3;
/// GIMP_PDB_PROC_TYPE_PLUGIN.
const PLUGIN: c_int = 1;
/// GIMP_PROCEDURE_SENSITIVE_DRAWABLE: exactly one is selected.
const ONE_DRAWABLE: c_int = 1;
/// GIMP_FILE_CHOOSER_ACTION_ANY: with any other, GIMP itself refuses a missing file, without its name.
const ANY: c_int = -1;

pub unsafe extern "C" fn create(plug_in: Pointer, name: Text) -> Pointer {
    let Some(Api { gimp3, .. }) = api() else {
        return null_mut();
    };
    // SAFETY: objects and strings of GIMP's, and our own static strings.
    unsafe {
        let known = CStr::from_ptr(name);
        let (procedure, label, blurb) = if known == PROCEDURE {
            let procedure = (gimp3.gimp_image_procedure_new)(
                plug_in,
                name,
                PLUGIN,
                run,
                null_mut(),
                null_mut(),
            );
            (gimp3.gimp_procedure_set_image_types)(procedure, IMAGE_TYPES.as_ptr());
            (gimp3.gimp_procedure_set_sensitivity_mask)(procedure, ONE_DRAWABLE);
            (procedure, MENU_LABEL, BLURB)
        } else if known == PROCEDURE_ALL {
            let procedure =
                (gimp3.gimp_procedure_new)(plug_in, name, PLUGIN, run_all, null_mut(), null_mut());
            (gimp3.gimp_procedure_add_enum_argument)(
                procedure,
                RUN_MODE.as_ptr(),
                c"Run mode".as_ptr(),
                c"The run mode".as_ptr(),
                (gimp3.gimp_run_mode_get_type)(),
                NON_INTERACTIVE,
                READ_WRITE,
            );
            (procedure, MENU_LABEL_ALL, BLURB_ALL)
        } else {
            return null_mut();
        };
        // GIMP copies them.
        let (label, blurb, help) = (tr_c(label), tr_c(blurb), tr_c(HELP));
        (gimp3.gimp_procedure_set_menu_label)(procedure, label.as_ptr());
        (gimp3.gimp_procedure_add_menu_path)(procedure, MENU_PATH.as_ptr());
        let page = PROCEDURE.as_ptr();
        (gimp3.gimp_procedure_set_documentation)(procedure, blurb.as_ptr(), help.as_ptr(), page);
        (gimp3.gimp_procedure_set_attribution)(
            procedure,
            AUTHORS.as_ptr(),
            AUTHORS.as_ptr(),
            DATE.as_ptr(),
        );
        add_arguments(gimp3, procedure);
        procedure
    }
}

/// # Safety
/// `procedure` is a new GimpProcedure.
unsafe fn add_arguments(gimp3: &Functions, procedure: Pointer) {
    let choices = |choices: &[Choice]| {
        // SAFETY: a new list of static strings; no help for each.
        unsafe {
            let list = (gimp3.gimp_choice_new)();
            for (number, choice) in (0..).zip(choices) {
                let label = tr_c(choice.label);
                let name = choice.name.as_ptr();
                (gimp3.gimp_choice_add)(list, name, number, label.as_ptr(), null());
            }
            list
        }
    };
    let default = Settings::default();
    // SAFETY: as the caller promises; static strings.
    unsafe {
        (gimp3.gimp_procedure_add_double_argument)(
            procedure,
            arguments::STRENGTH.as_ptr(),
            tr_c(arguments::STRENGTH_LABEL).as_ptr(),
            tr_c(arguments::STRENGTH_TIP).as_ptr(),
            0.0,
            1.0,
            default.strength,
            READ_WRITE,
        );
        (gimp3.gimp_procedure_add_file_argument)(
            procedure,
            arguments::WEIGHTS.as_ptr(),
            tr_c(arguments::WEIGHTS_LABEL).as_ptr(),
            tr_c(arguments::WEIGHTS_TIP).as_ptr(),
            ANY,
            1,
            null_mut(),
            READ_WRITE,
        );
        (gimp3.gimp_procedure_add_int_argument)(
            procedure,
            arguments::TILE_SIZE.as_ptr(),
            tr_c(arguments::TILE_SIZE_LABEL).as_ptr(),
            tr_c(arguments::TILE_SIZE_TIP).as_ptr(),
            0,
            MAX_TILE,
            default.tile_size,
            READ_WRITE,
        );
        (gimp3.gimp_procedure_add_choice_argument)(
            procedure,
            arguments::OUTPUT.as_ptr(),
            tr_c(arguments::OUTPUT_LABEL).as_ptr(),
            tr_c(arguments::OUTPUT_TIP).as_ptr(),
            choices(&Output::CHOICES),
            Output::CHOICES[0].name.as_ptr(),
            READ_WRITE,
        );
        (gimp3.gimp_procedure_add_choice_argument)(
            procedure,
            arguments::DEVICE.as_ptr(),
            tr_c(arguments::DEVICE_LABEL).as_ptr(),
            tr_c(arguments::DEVICE_TIP).as_ptr(),
            choices(&Device::CHOICES),
            Device::CHOICES[0].name.as_ptr(),
            READ_WRITE,
        );
        for (fault, share) in FAULTS.iter().zip(settings::shares(&default.removal)) {
            (gimp3.gimp_procedure_add_double_argument)(
                procedure,
                fault.name.as_ptr(),
                tr_c(fault.label).as_ptr(),
                tr_c(arguments::REMOVE_TIP).as_ptr(),
                0.0,
                1.0,
                share,
                READ_WRITE,
            );
        }
        (gimp3.gimp_procedure_add_boolean_argument)(
            procedure,
            arguments::UNCERTAINTY.as_ptr(),
            tr_c(arguments::UNCERTAINTY_LABEL).as_ptr(),
            tr_c(arguments::UNCERTAINTY_TIP).as_ptr(),
            c_int::from(default.uncertainty),
            READ_WRITE,
        );
    }
}
