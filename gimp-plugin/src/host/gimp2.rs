//! GIMP 2.10: items are integers, arguments are positional, the last values are for the plug-in to keep.

mod dialog;
mod last_values;

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr::null;
use std::sync::OnceLock;

use super::gegl::{Pointer, Text};
use super::libgimp::{LibGimp, RunMode, Status};
use super::library::{Library, functions};
use super::{AUTHORS, BLURB, DATE, HELP, IMAGE_TYPES, MENU_LABEL, MENU_PATH, PROCEDURE, arguments};
use crate::job::{Error, caught};
use crate::settings::{Device, Output, Settings};
use crate::system;

/// GIMP_PLUGIN.
const PLUGIN: c_int = 1;

functions! {
    /// What only GIMP 2 has.
    Functions {
        fn gimp_main(*const PlugInInfo, c_int, *mut *mut c_char) -> c_int;
        fn gimp_install_procedure(
            Text, Text, Text, Text, Text, Text, Text, Text, c_int, c_int, c_int,
            *const ParameterDefinition, *const ParameterDefinition);
        fn gimp_plugin_menu_register(Text, Text) -> c_int;
        fn gimp_procedural_db_get_data_size(Text) -> c_int;
        fn gimp_procedural_db_get_data(Text, Pointer) -> c_int;
        fn gimp_procedural_db_set_data(Text, Pointer, u32) -> c_int;
    }
}

/// GimpPlugInInfo.
#[repr(C)]
pub struct PlugInInfo {
    init: Option<unsafe extern "C" fn()>,
    quit: Option<unsafe extern "C" fn()>,
    query: Option<unsafe extern "C" fn()>,
    run: Option<Run>,
}

/// GimpRunProc: name, arguments, results.
type Run = unsafe extern "C" fn(Text, c_int, *const Parameter, *mut c_int, *mut *mut Parameter);

/// GimpPDBArgType, as far as it is used.
#[derive(Clone, Copy)]
#[repr(i32)]
pub enum Kind {
    Int32 = 0,
    Float = 3,
    String = 4,
    Image = 13,
    Drawable = 16,
    Status = 21,
}

/// GimpParamDef.
#[repr(C)]
pub struct ParameterDefinition {
    kind: Kind,
    name: Text,
    description: Text,
}

// SAFETY: static strings.
unsafe impl Sync for ParameterDefinition {}

/// GimpParamData; its largest member is a colour of four doubles.
#[repr(C)]
#[derive(Clone, Copy)]
pub union Data {
    int: i32,
    float: f64,
    string: Text,
    colour: [f64; 4],
}

/// GimpParam. The kind is GIMP's, so it may be one that is not listed here.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Parameter {
    kind: c_int,
    data: Data,
}

const fn define(
    kind: Kind,
    name: &'static CStr,
    description: &'static CStr,
) -> ParameterDefinition {
    ParameterDefinition {
        kind,
        name: name.as_ptr(),
        description: description.as_ptr(),
    }
}

static DEFINITIONS: [ParameterDefinition; 8] = [
    define(
        Kind::Int32,
        c"run-mode",
        c"{ RUN-INTERACTIVE (0), RUN-NONINTERACTIVE (1), RUN-WITH-LAST-VALS (2) }",
    ),
    define(Kind::Image, c"image", c"The image"),
    define(Kind::Drawable, c"drawable", c"The layer, mask or channel"),
    define(Kind::Float, arguments::STRENGTH, arguments::STRENGTH_TIP),
    define(
        Kind::String,
        arguments::WEIGHTS,
        c"A weights file (.safetensors); empty for the model inside the plug-in",
    ),
    define(Kind::Int32, arguments::TILE_SIZE, arguments::TILE_SIZE_TIP),
    define(
        Kind::Int32,
        arguments::OUTPUT,
        c"Where the result goes { replace (0), new-layer (1) }",
    ),
    define(
        Kind::Int32,
        arguments::DEVICE,
        c"What computes { auto (0), cpu (1), gpu (2) }",
    ),
];

/// GIMP reads it for as long as the process lives.
static INFO: PlugInInfo = PlugInInfo {
    init: None,
    quit: None,
    query: Some(query),
    run: Some(run),
};

struct Api {
    gimp2: Functions,
    lib: LibGimp<i32>,
}

/// For the callbacks, to which GIMP hands nothing of ours. Set before the first of them.
static API: OnceLock<Api> = OnceLock::new();

/// Hands the process over to GIMP; returns its exit status.
///
/// # Errors
/// [`Error::Library`].
pub fn main(argv: &mut [*mut c_char]) -> Result<c_int, Error> {
    let library = Library::open("libgimp-2.0")?;
    let api = Api {
        gimp2: Functions::load(library)?,
        lib: LibGimp::load(library, -1)?,
    };
    let api = API.get_or_init(|| api);
    let count = c_int::try_from(argv.len() - 1).unwrap_or(0);
    // SAFETY: a static table, and the arguments with a NULL at their end.
    Ok(unsafe { (api.gimp2.gimp_main)(&INFO, count, argv.as_mut_ptr()) })
}

unsafe extern "C" fn query() {
    let Some(Api { gimp2, .. }) = API.get() else {
        return;
    };
    // SAFETY: static strings and tables.
    unsafe {
        (gimp2.gimp_install_procedure)(
            PROCEDURE.as_ptr(),
            BLURB.as_ptr(),
            HELP.as_ptr(),
            AUTHORS.as_ptr(),
            AUTHORS.as_ptr(),
            DATE.as_ptr(),
            MENU_LABEL.as_ptr(),
            IMAGE_TYPES.as_ptr(),
            PLUGIN,
            DEFINITIONS.len() as c_int,
            0,
            DEFINITIONS.as_ptr(),
            null(),
        );
        (gimp2.gimp_plugin_menu_register)(PROCEDURE.as_ptr(), MENU_PATH.as_ptr());
    }
}

unsafe extern "C" fn run(
    _name: Text,
    count: c_int,
    parameters: *const Parameter,
    result_count: *mut c_int,
    results: *mut *mut Parameter,
) {
    let Some(api) = API.get() else { return };
    let done = caught(|| {
        let count = usize::try_from(count).unwrap_or(0);
        // SAFETY: as many arguments as GIMP says.
        unsafe { run_checked(api, std::slice::from_raw_parts(parameters, count)) }
    });
    let status = |status: Status| Parameter {
        kind: Kind::Status as c_int,
        data: Data { int: status as i32 },
    };
    let returned = match done {
        Ok(done) => vec![status(done)],
        Err(error) => {
            let message = error.to_string().replace('\0', "?");
            let string = CString::new(message).unwrap_or_default().into_raw();
            let message = Parameter {
                kind: Kind::String as c_int,
                data: Data { string },
            };
            vec![status(Status::ExecutionError), message]
        }
    };
    // SAFETY: room for two results of the caller's. GIMP reads them after this call; the process ends
    // soon after, so they are not freed.
    unsafe {
        *result_count = returned.len() as c_int;
        *results = returned.leak().as_mut_ptr();
    }
}

/// # Safety
/// The arguments of a GimpRunProc.
unsafe fn run_checked(api: &Api, parameters: &[Parameter]) -> Result<Status, Error> {
    let [mode, image, drawable, own @ ..] = parameters else {
        return Err(Error::Setting("too few arguments".to_owned()));
    };
    // SAFETY: the first three are integers.
    let (mode, image, drawable) = unsafe { (mode.data.int, image.data.int, drawable.data.int) };
    let mode = RunMode::from_number(mode);
    let (settings, preview) = match mode {
        // SAFETY: of the types that are registered.
        RunMode::NonInteractive => (unsafe { from_arguments(own)? }, None),
        RunMode::LastValues => (last_values::get(&api.gimp2), None),
        RunMode::Interactive => {
            let last = last_values::get(&api.gimp2);
            let host = api.lib.host(image, drawable)?;
            // SAFETY: in GIMP's own thread.
            match unsafe { dialog::run(&api.lib.gegl, &host, &last)? } {
                Some(chosen) => chosen,
                None => return Ok(Status::Cancel),
            }
        }
    };
    if mode == RunMode::Interactive {
        // Before the work: a cancel ends the process.
        last_values::set(&api.gimp2, &settings);
    }
    api.lib.restore(image, drawable, &settings, mode, preview)?;
    Ok(Status::Success)
}

/// # Safety
/// GIMP checked the types against [`DEFINITIONS`].
unsafe fn from_arguments(arguments: &[Parameter]) -> Result<Settings, Error> {
    let [strength, weights, tile_size, output, device] = arguments else {
        return Err(Error::Setting(format!(
            "{} arguments where {} are due",
            arguments.len() + 3,
            DEFINITIONS.len()
        )));
    };
    // SAFETY: as the caller promises; a string may be NULL.
    let (strength, weights, tile_size, output, device) = unsafe {
        let weights = weights.data.string;
        let weights = if weights.is_null() {
            c""
        } else {
            CStr::from_ptr(weights)
        };
        (
            strength.data.float,
            weights.to_bytes(),
            tile_size.data.int,
            output.data.int,
            device.data.int,
        )
    };
    let unknown = |what: &str, number: i32| Error::Setting(format!("{what} {number} is unknown"));
    Ok(Settings {
        strength,
        weights: (!weights.is_empty()).then(|| system::path(weights)),
        tile_size,
        output: Output::from_number(output).ok_or_else(|| unknown("output", output))?,
        device: Device::from_number(device).ok_or_else(|| unknown("device", device))?,
    })
}
