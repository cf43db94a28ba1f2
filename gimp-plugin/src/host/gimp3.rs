//! GIMP 3.0 and 3.2: a GObject class, procedures with named arguments.

mod dialog;
mod functions;
mod procedures;

use std::ffi::{CStr, CString, c_char, c_double, c_int, c_uint, c_ushort};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use self::functions::{Functions, PlugInClass, TypeInfo, TypeQuery};
use self::procedures::create;
use super::arguments;
use super::gegl::{Pointer, take_text};
use super::libgimp::{LibGimp, RunMode, Status};
use super::library::Library;
use super::{HELP_DOMAIN, PROCEDURE, PROCEDURE_ALL, TITLE, TITLE_ALL, help_folder};
use crate::job::{Error, caught};
use crate::language::tr;
use crate::settings::{self, Device, FAULTS, Output, Settings};
use crate::system;

/// The argument that GIMP adds to procedures of one image by itself.
const RUN_MODE: &CStr = c"run-mode";
/// GIMP_RUN_NONINTERACTIVE.
const NON_INTERACTIVE: c_int = 1;

struct Api {
    gimp3: Functions,
    lib: LibGimp<Pointer>,
}

// SAFETY: addresses of functions, and NULL. GIMP calls back on the thread that is in `gimp_main`.
unsafe impl Send for Api {}
// SAFETY: nothing in it changes once it is made; the callbacks share one thread.
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
