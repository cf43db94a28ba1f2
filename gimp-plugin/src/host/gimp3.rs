//! GIMP 3.0 and 3.2: a GObject class, procedures with named arguments.

mod dialog;

use std::ffi::{CStr, CString, c_char, c_double, c_int, c_uint, c_ulong, c_ushort, c_void};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use super::arguments;
use super::gegl::{Pointer, Text, take_text};
use super::libgimp::{LibGimp, RunMode, Status};
use super::library::{Library, functions};
use super::{
    AUTHORS, BLURB, BLURB_ALL, DATE, HELP, HELP_DOMAIN, IMAGE_TYPES, MENU_LABEL, MENU_LABEL_ALL,
    MENU_PATH, PROCEDURE, PROCEDURE_ALL, TITLE, TITLE_ALL, help_folder,
};
use crate::job::{Error, caught};
use crate::language::{tr, tr_c};
use crate::settings::{self, Choice, Device, FAULTS, MAX_TILE, Output, Settings};
use crate::system;

/// G_PARAM_READWRITE.
const READ_WRITE: c_uint = 3;
/// GIMP_PDB_PROC_TYPE_PLUGIN.
const PLUGIN: c_int = 1;
/// GIMP_PROCEDURE_SENSITIVE_DRAWABLE: exactly one is selected.
const ONE_DRAWABLE: c_int = 1;
/// GIMP_FILE_CHOOSER_ACTION_ANY: with any other, GIMP itself refuses a missing file, without its name.
const ANY: c_int = -1;

functions! {
    /// What only GIMP 3 has.
    Functions {
        fn gimp_main(c_ulong, c_int, *mut *mut c_char) -> c_int;
        fn gimp_plug_in_get_type() -> c_ulong;
        fn g_type_query(c_ulong, *mut TypeQuery);
        fn g_type_register_static(c_ulong, Text, *const TypeInfo, c_uint) -> c_ulong;
        fn g_list_append(Pointer, Pointer) -> Pointer;
        fn g_strdup(Text) -> *mut c_char;
        fn g_error_new_literal(c_uint, c_int, Text) -> Pointer;
        fn g_quark_from_string(Text) -> c_uint;
        fn g_file_get_path(Pointer) -> *mut c_char;
        fn g_file_get_uri(Pointer) -> *mut c_char;
        fn g_file_new_for_path(Text) -> Pointer;
        fn gimp_image_procedure_new(Pointer, Text, c_int, Run, Pointer, Pointer) -> Pointer;
        fn gimp_procedure_new(Pointer, Text, c_int, RunAll, Pointer, Pointer) -> Pointer;
        fn gimp_plug_in_set_help_domain(Pointer, Text, Pointer);
        fn gimp_get_images() -> *mut Pointer;
        fn gimp_image_get_selected_layers(Pointer) -> *mut Pointer;
        fn gimp_run_mode_get_type() -> c_ulong;
        fn gimp_procedure_add_enum_argument(
            Pointer, Text, Text, Text, c_ulong, c_int, c_uint);
        fn gimp_procedure_set_image_types(Pointer, Text);
        fn gimp_procedure_set_sensitivity_mask(Pointer, c_int);
        fn gimp_procedure_set_menu_label(Pointer, Text);
        fn gimp_procedure_add_menu_path(Pointer, Text);
        fn gimp_procedure_set_documentation(Pointer, Text, Text, Text);
        fn gimp_procedure_set_attribution(Pointer, Text, Text, Text);
        fn gimp_procedure_add_double_argument(
            Pointer, Text, Text, Text, c_double, c_double, c_double, c_uint);
        fn gimp_procedure_add_int_argument(Pointer, Text, Text, Text, c_int, c_int, c_int, c_uint);
        fn gimp_procedure_add_boolean_argument(Pointer, Text, Text, Text, c_int, c_uint);
        fn gimp_procedure_add_choice_argument(Pointer, Text, Text, Text, Pointer, Text, c_uint);
        fn gimp_procedure_add_file_argument(
            Pointer, Text, Text, Text, c_int, c_int, Pointer, c_uint);
        fn gimp_choice_new() -> Pointer;
        fn gimp_choice_add(Pointer, Text, c_int, Text, Text);
        fn gimp_procedure_config_get_choice_id(Pointer, Text) -> c_int;
        fn gimp_procedure_new_return_values(Pointer, c_int, Pointer) -> Pointer;
    }
}

/// GimpRunImageFunc: procedure, run mode, image, drawables (NULL at the end), config, data.
type Run = unsafe extern "C" fn(Pointer, c_int, Pointer, *mut Pointer, Pointer, Pointer) -> Pointer;

/// GimpRunFunc: procedure, config, data.
type RunAll = unsafe extern "C" fn(Pointer, Pointer, Pointer) -> Pointer;

/// The argument that GIMP adds to procedures of one image by itself.
const RUN_MODE: &CStr = c"run-mode";
/// GIMP_RUN_NONINTERACTIVE.
const NON_INTERACTIVE: c_int = 1;

/// GTypeQuery.
#[repr(C)]
pub struct TypeQuery {
    id: c_ulong,
    name: Text,
    class_size: c_uint,
    instance_size: c_uint,
}

/// GTypeInfo.
#[repr(C)]
pub struct TypeInfo {
    class_size: c_ushort,
    base_init: Pointer,
    base_finalize: Pointer,
    class_init: unsafe extern "C" fn(*mut PlugInClass, Pointer),
    class_finalize: Pointer,
    class_data: Pointer,
    instance_size: c_ushort,
    preallocations: c_ushort,
    instance_init: Pointer,
    value_table: Pointer,
}

/// GimpPlugInClass, as far as it is used.
#[repr(C)]
pub struct PlugInClass {
    /// GObjectClass: 17 pointers.
    parent: [*mut c_void; 17],
    query_procedures: Option<unsafe extern "C" fn(Pointer) -> Pointer>,
    init_procedures: Option<unsafe extern "C" fn(Pointer) -> Pointer>,
    create_procedure: Option<unsafe extern "C" fn(Pointer, Text) -> Pointer>,
    quit: Option<unsafe extern "C" fn(Pointer)>,
    set_i18n: Option<unsafe extern "C" fn(Pointer, Text, *mut Pointer, *mut Pointer) -> c_int>,
}

struct Api {
    gimp3: Functions,
    lib: LibGimp<Pointer>,
}

// SAFETY: addresses of functions, and NULL. GIMP calls back on the thread that is in `gimp_main`.
unsafe impl Send for Api {}
// SAFETY: as above.
unsafe impl Sync for Api {}

/// For the callbacks, to which GIMP hands nothing of ours. Set before the first of them.
static API: OnceLock<Api> = OnceLock::new();

/// Hands the process over to GIMP; returns its exit status.
///
/// # Errors
/// [`Error::Library`].
pub fn main(argv: &mut [*mut c_char]) -> Result<c_int, Error> {
    let library = Library::open("libgimp-3.0")?;
    let api = Api {
        gimp3: Functions::load(library)?,
        lib: LibGimp::load(library, null_mut(), c"gimp_drawable_get_offsets")?,
    };
    let gimp3 = &API.get_or_init(|| api).gimp3;
    // SAFETY: a class derived as the header says; its sizes come from the library itself.
    unsafe {
        let parent = (gimp3.gimp_plug_in_get_type)();
        let mut query = TypeQuery {
            id: 0,
            name: null(),
            class_size: 0,
            instance_size: 0,
        };
        (gimp3.g_type_query)(parent, &mut query);
        let size = |size: c_uint| {
            c_ushort::try_from(size).map_err(|_| Error::Library("GimpPlugIn is too large".into()))
        };
        if (query.class_size as usize) < size_of::<PlugInClass>() {
            return Err(Error::Library("GimpPlugIn's class is too small".into()));
        }
        let info = TypeInfo {
            class_size: size(query.class_size)?,
            base_init: null_mut(),
            base_finalize: null_mut(),
            class_init,
            class_finalize: null_mut(),
            class_data: null_mut(),
            instance_size: size(query.instance_size)?,
            preallocations: 0,
            instance_init: null_mut(),
            value_table: null_mut(),
        };
        let class = (gimp3.g_type_register_static)(parent, c"DinoIrRestore".as_ptr(), &info, 0);
        let count = c_int::try_from(argv.len() - 1).unwrap_or(0);
        Ok((gimp3.gimp_main)(class, count, argv.as_mut_ptr()))
    }
}

/// What [`main`] found; `None` cannot happen in a callback.
fn api() -> Option<&'static Api> {
    API.get()
}

unsafe extern "C" fn class_init(class: *mut PlugInClass, _data: Pointer) {
    // SAFETY: GObject made room for the class.
    let class = unsafe { &mut *class };
    class.query_procedures = Some(query);
    class.create_procedure = Some(create);
    // Our texts come translated: GIMP would look for catalogues in a folder of their own.
    class.set_i18n = None;
}

unsafe extern "C" fn query(plug_in: Pointer) -> Pointer {
    let Some(Api { gimp3, lib }) = api() else {
        return null_mut();
    };
    // SAFETY: a list of strings, all GLib's to free; a file that GIMP takes a reference to.
    unsafe {
        let folder = help_folder().map(|folder| folder.into_os_string().into_encoded_bytes());
        if let Some(folder) = folder.and_then(|folder| CString::new(folder).ok()) {
            let folder = (gimp3.g_file_new_for_path)(folder.as_ptr());
            (gimp3.gimp_plug_in_set_help_domain)(plug_in, HELP_DOMAIN.as_ptr(), folder);
            (lib.gegl.g_object_unref)(folder);
        }
        [PROCEDURE, PROCEDURE_ALL]
            .iter()
            .fold(null_mut(), |list, name| {
                let name = (gimp3.g_strdup)(name.as_ptr());
                (gimp3.g_list_append)(list, name.cast())
            })
    }
}

unsafe extern "C" fn create(plug_in: Pointer, name: Text) -> Pointer {
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

unsafe extern "C" fn run(
    procedure: Pointer,
    mode: c_int,
    image: Pointer,
    drawables: *mut Pointer,
    config: Pointer,
    _data: Pointer,
) -> Pointer {
    let Some(api) = api() else { return null_mut() };
    let mode = RunMode::from_number(mode);
    let done = caught(|| {
        // SAFETY: what GIMP hands to a GimpRunImageFunc.
        unsafe { run_checked(api, procedure, mode, image, drawables, config) }
    });
    // SAFETY: the procedure that is running.
    unsafe { returned(api, procedure, done) }
}

unsafe extern "C" fn run_all(procedure: Pointer, config: Pointer, _data: Pointer) -> Pointer {
    let Some(api) = api() else { return null_mut() };
    // SAFETY: what GIMP hands to a GimpRunFunc.
    unsafe {
        let done = caught(|| run_all_checked(api, procedure, config));
        returned(api, procedure, done)
    }
}

/// GimpValueArray: what a procedure returns.
///
/// # Safety
/// `procedure` is a GimpProcedure.
unsafe fn returned(api: &Api, procedure: Pointer, done: Result<Status, Error>) -> Pointer {
    let gimp3 = &api.gimp3;
    // SAFETY: an error that GIMP takes over, or none.
    unsafe {
        let (status, error) = match done {
            Ok(status) => (status, null_mut()),
            Err(error) => {
                let message = error.message().replace('\0', "?");
                let message = CString::new(message).unwrap_or_default();
                let domain = (gimp3.g_quark_from_string)(c"dino-ir".as_ptr());
                let error = (gimp3.g_error_new_literal)(domain, 0, message.as_ptr());
                (Status::ExecutionError, error)
            }
        };
        (gimp3.gimp_procedure_new_return_values)(procedure, status as c_int, error)
    }
}

/// # Safety
/// The arguments of a GimpRunImageFunc.
unsafe fn run_checked(
    api: &Api,
    procedure: Pointer,
    mode: RunMode,
    image: Pointer,
    drawables: *mut Pointer,
    config: Pointer,
) -> Result<Status, Error> {
    let mut count = 0;
    // SAFETY: an array with NULL at its end, or NULL.
    while !drawables.is_null() && unsafe { !(*drawables.add(count)).is_null() } {
        count += 1;
    }
    if count != 1 {
        return Err(Error::Several(count));
    }
    // SAFETY: as the caller promises; the first of one drawable.
    unsafe {
        let drawable = *drawables;
        let mut preview = None;
        if mode == RunMode::Interactive {
            let host = api.lib.host(image, drawable)?;
            let read = Box::new(|| settings(api, config));
            match dialog::run(procedure, config, TITLE, Some(&host), read)? {
                Some(accepted) => preview = accepted.preview,
                None => return Ok(Status::Cancel),
            }
        }
        let settings = settings(api, config)?;
        api.lib.restore(image, drawable, &settings, mode, preview)?;
    }
    Ok(Status::Success)
}

/// # Safety
/// The arguments of a GimpRunFunc.
unsafe fn run_all_checked(api: &Api, procedure: Pointer, config: Pointer) -> Result<Status, Error> {
    let mut mode: c_int = NON_INTERACTIVE;
    // SAFETY: as the caller promises: an enumeration of that name.
    unsafe {
        let (name, none) = (RUN_MODE.as_ptr(), null::<c_char>());
        (api.lib.gegl.g_object_get)(config, name, &raw mut mode, none);
        if RunMode::from_number(mode) == RunMode::Interactive {
            let read = Box::new(|| settings(api, config));
            if dialog::run(procedure, config, TITLE_ALL, None, read)?.is_none() {
                return Ok(Status::Cancel);
            }
        }
        let settings = settings(api, config)?;
        let images = take_items(api, (api.gimp3.gimp_get_images)());
        let selected = images.into_iter().map(|image| {
            let layers = (api.gimp3.gimp_image_get_selected_layers)(image);
            (image, take_items(api, layers))
        });
        api.lib
            .restore_all(&selected.collect::<Vec<_>>(), &settings)?;
    }
    Ok(Status::Success)
}

/// # Safety
/// `items` is NULL or an array of GIMP's with NULL at its end, the caller's to free.
unsafe fn take_items(api: &Api, items: *mut Pointer) -> Vec<Pointer> {
    let mut taken = Vec::new();
    // SAFETY: as the caller promises.
    unsafe {
        while !items.is_null() && !(*items.add(taken.len())).is_null() {
            taken.push(*items.add(taken.len()));
        }
        (api.lib.gegl.g_free)(items.cast());
    }
    taken
}

/// # Safety
/// `config` is a GimpProcedureConfig of one of our procedures.
unsafe fn settings(api: &Api, config: Pointer) -> Result<Settings, Error> {
    let mut strength: c_double = 0.0;
    let mut tile_size: c_int = 0;
    let mut uncertainty: c_int = 0;
    let mut file: Pointer = null_mut();
    // SAFETY: properties of these names and types; the file is ours to release.
    unsafe {
        (api.lib.gegl.g_object_get)(
            config,
            arguments::STRENGTH.as_ptr(),
            &raw mut strength,
            arguments::TILE_SIZE.as_ptr(),
            &raw mut tile_size,
            arguments::UNCERTAINTY.as_ptr(),
            &raw mut uncertainty,
            arguments::WEIGHTS.as_ptr(),
            &raw mut file,
            null::<c_char>(),
        );
        let shares = FAULTS.map(|fault| {
            let mut share: c_double = 1.0;
            let (name, none) = (fault.name.as_ptr(), null::<c_char>());
            (api.lib.gegl.g_object_get)(config, name, &raw mut share, none);
            share
        });
        let choice =
            |name: &CStr| (api.gimp3.gimp_procedure_config_get_choice_id)(config, name.as_ptr());
        let weights = if file.is_null() {
            None
        } else {
            let path = take_text(&api.lib.gegl, (api.gimp3.g_file_get_path)(file));
            let uri = take_text(&api.lib.gegl, (api.gimp3.g_file_get_uri)(file));
            (api.lib.gegl.g_object_unref)(file);
            match path {
                Some(path) => Some(system::path(path.to_bytes())),
                // What Script-Fu makes of "".
                None if uri.is_none_or(|uri| uri.is_empty()) => None,
                None => {
                    let remote = tr("the model file is not on this computer: copy it here");
                    return Err(Error::Setting(remote.to_owned()));
                }
            }
        };
        Ok(Settings {
            strength,
            weights,
            tile_size,
            output: Output::from_number(choice(arguments::OUTPUT)).unwrap_or_default(),
            device: Device::from_number(choice(arguments::DEVICE)).unwrap_or_default(),
            removal: settings::removal(shares),
            uncertainty: uncertainty != 0,
        })
    }
}
