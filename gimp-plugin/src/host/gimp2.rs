//! GIMP 2.10: items are integers, arguments are positional, the last values are for the plug-in to keep.

mod dialog;
mod last_values;

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use self::dialog::Chosen;
use super::gegl::{Pointer, Text};
use super::libgimp::{LibGimp, RunMode, Status};
use super::library::{Library, functions};
use super::{
    AUTHORS, BLURB, BLURB_ALL, DATE, HELP, HELP_DOMAIN, Host, IMAGE_TYPES, MENU_LABEL,
    MENU_LABEL_ALL, MENU_PATH, PROCEDURE, PROCEDURE_ALL, PROCEDURE_ONLY, PROCEDURE_UNCERTAINTY,
    TITLE, TITLE_ALL, arguments, help_folder,
};
use crate::job::{Error, caught};
use crate::language::{fill, tr, tr_c};
use crate::settings::{self, Device, FAULTS, Output, Settings};
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
        fn gimp_plugin_help_register(Text, Text) -> c_int;
        fn gimp_image_list(*mut c_int) -> *mut i32;
        fn gimp_image_get_active_layer(i32) -> i32;
        fn g_filename_to_uri(Text, Text, Pointer) -> *mut c_char;
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

const RUN_MODE: ParameterDefinition = define(
    Kind::Int32,
    c"run-mode",
    c"{ RUN-INTERACTIVE (0), RUN-NONINTERACTIVE (1), RUN-WITH-LAST-VALS (2) }",
);

/// The settings, for scripts: in English.
const SETTINGS: [ParameterDefinition; 5] = [
    define(
        Kind::Float,
        arguments::STRENGTH,
        c"0 keeps the original, 1 restores as much as the model can",
    ),
    define(
        Kind::String,
        arguments::WEIGHTS,
        c"A weights file (.safetensors); empty for the model inside the plug-in",
    ),
    define(
        Kind::Int32,
        arguments::TILE_SIZE,
        c"Side of the tiles in pixels; 0: as large as 1 GiB of memory allows",
    ),
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

const IMAGE: ParameterDefinition = define(Kind::Image, c"image", c"The image");
const DRAWABLE: ParameterDefinition =
    define(Kind::Drawable, c"drawable", c"The layer, mask or channel");

/// How much of a fault is removed.
const fn define_fault(at: usize) -> ParameterDefinition {
    define(
        Kind::Float,
        FAULTS[at].name,
        c"How much of it is removed: 0 leaves it as it is, 1 takes away all that the model finds",
    )
}

/// The arguments of all procedures for one image: each takes the first so many. GIMP 2.10 refuses a call with an argument less
/// than there are, so that each new argument has a new procedure, and scripts that call the older ones go on.
static DEFINITIONS: [ParameterDefinition; ONLY + 1] = {
    let [strength, weights, tile_size, output, device] = SETTINGS;
    [
        RUN_MODE,
        IMAGE,
        DRAWABLE,
        strength,
        weights,
        tile_size,
        output,
        device,
        define_fault(0),
        define_fault(1),
        define_fault(2),
        define_fault(3),
        define_fault(4),
        define(
            Kind::Int32,
            arguments::UNCERTAINTY,
            c"Whether a hidden layer above shows how far off each pixel may be { no (0), yes (1) }",
        ),
    ]
};

/// Arguments of the first procedure.
const PLAIN: usize = 3 + SETTINGS.len();
/// Of the procedure that also takes how much of each fault is removed. The last one takes all.
const ONLY: usize = PLAIN + FAULTS.len();

/// Of the procedure for all open images.
static DEFINITIONS_ALL: [ParameterDefinition; 6] = {
    let [strength, weights, tile_size, output, device] = SETTINGS;
    [RUN_MODE, strength, weights, tile_size, output, device]
};

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
        lib: LibGimp::load(library, -1, c"gimp_drawable_offsets")?,
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
    // GIMP 2.10 would translate them itself, by a catalogue of gettext's own. What they are now stays until GIMP asks again,
    // which it does when the program has changed.
    let install =
        |name: &CStr, label: Option<&str>, blurb: &str, types: &CStr, parameters: &[_]| {
            let (label, blurb, help) = (label.map(tr_c), tr_c(blurb), tr_c(HELP));
            // SAFETY: strings and tables that GIMP copies.
            unsafe {
                (gimp2.gimp_install_procedure)(
                    name.as_ptr(),
                    blurb.as_ptr(),
                    help.as_ptr(),
                    AUTHORS.as_ptr(),
                    AUTHORS.as_ptr(),
                    DATE.as_ptr(),
                    label.as_ref().map_or(null(), |label| label.as_ptr()),
                    types.as_ptr(),
                    PLUGIN,
                    parameters.len() as c_int,
                    0,
                    parameters.as_ptr(),
                    null(),
                );
                if label.is_some() {
                    (gimp2.gimp_plugin_menu_register)(name.as_ptr(), MENU_PATH.as_ptr());
                }
            }
        };
    install(
        PROCEDURE,
        Some(MENU_LABEL),
        BLURB,
        IMAGE_TYPES,
        &DEFINITIONS[..PLAIN],
    );
    install(
        PROCEDURE_ONLY,
        None,
        BLURB,
        IMAGE_TYPES,
        &DEFINITIONS[..ONLY],
    );
    install(
        PROCEDURE_UNCERTAINTY,
        None,
        BLURB,
        IMAGE_TYPES,
        &DEFINITIONS,
    );
    install(
        PROCEDURE_ALL,
        Some(MENU_LABEL_ALL),
        BLURB_ALL,
        c"",
        &DEFINITIONS_ALL,
    );
    let folder = help_folder()
        .and_then(|folder| CString::new(folder.into_os_string().into_encoded_bytes()).ok());
    if let Some(folder) = folder {
        // SAFETY: an absolute path; the string stays, as this process does not.
        unsafe {
            let uri = (gimp2.g_filename_to_uri)(folder.as_ptr(), null(), null_mut());
            (gimp2.gimp_plugin_help_register)(HELP_DOMAIN.as_ptr(), uri);
        }
    }
}

unsafe extern "C" fn run(
    name: Text,
    count: c_int,
    parameters: *const Parameter,
    result_count: *mut c_int,
    results: *mut *mut Parameter,
) {
    let Some(api) = API.get() else { return };
    let done = caught(|| {
        let count = usize::try_from(count).unwrap_or(0);
        // SAFETY: as many arguments as GIMP says, of the types that are registered.
        unsafe {
            let parameters = std::slice::from_raw_parts(parameters, count);
            let name = CStr::from_ptr(name);
            if name == PROCEDURE_ALL {
                run_all(api, parameters)
            } else if name == PROCEDURE_ONLY {
                run_one(api, parameters, &DEFINITIONS[..ONLY])
            } else if name == PROCEDURE_UNCERTAINTY {
                run_one(api, parameters, &DEFINITIONS)
            } else {
                run_one(api, parameters, &DEFINITIONS[..PLAIN])
            }
        }
    });
    let status = |status: Status| Parameter {
        kind: Kind::Status as c_int,
        data: Data { int: status as i32 },
    };
    let returned = match done {
        Ok(done) => vec![status(done)],
        Err(error) => {
            let message = error.message().replace('\0', "?");
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
/// The arguments of a GimpRunProc, by the first of [`DEFINITIONS`]: as `due`.
unsafe fn run_one(
    api: &Api,
    parameters: &[Parameter],
    due: &[ParameterDefinition],
) -> Result<Status, Error> {
    let [mode, image, drawable, own @ ..] = parameters else {
        return Err(too_few(parameters, due));
    };
    // SAFETY: the first three are integers.
    let (mode, image, drawable) = unsafe { (mode.data.int, image.data.int, drawable.data.int) };
    let mode = RunMode::from_number(mode);
    // From its menu GIMP hands over no more than these.
    if mode == RunMode::NonInteractive && parameters.len() != due.len() {
        return Err(too_few(parameters, due));
    }
    let host = match mode {
        RunMode::Interactive => Some(api.lib.host(image, drawable)?),
        _ => None,
    };
    let host = host.as_ref().map(|host| host as &dyn Host);
    // SAFETY: as the caller promises.
    let Some((settings, preview)) = (unsafe { choose(api, mode, own, TITLE, host)? }) else {
        return Ok(Status::Cancel);
    };
    api.lib.restore(image, drawable, &settings, mode, preview)?;
    Ok(Status::Success)
}

/// # Safety
/// The arguments of a GimpRunProc, by [`DEFINITIONS_ALL`].
unsafe fn run_all(api: &Api, parameters: &[Parameter]) -> Result<Status, Error> {
    let [mode, own @ ..] = parameters else {
        return Err(too_few(parameters, &DEFINITIONS_ALL));
    };
    // SAFETY: an integer.
    let mode = RunMode::from_number(unsafe { mode.data.int });
    // SAFETY: as the caller promises.
    let Some((settings, _)) = (unsafe { choose(api, mode, own, TITLE_ALL, None)? }) else {
        return Ok(Status::Cancel);
    };
    let mut count = 0;
    // SAFETY: an array of as many numbers as GIMP says, ours to free.
    let images = unsafe {
        let list = (api.gimp2.gimp_image_list)(&mut count);
        let count = usize::try_from(count).unwrap_or(0);
        let images = match list.is_null() {
            true => Vec::new(),
            false => std::slice::from_raw_parts(list, count).to_vec(),
        };
        (api.lib.gegl.g_free)(list.cast());
        images
    };
    let selected = images.into_iter().map(|image| {
        // SAFETY: an image of GIMP's.
        let layer = unsafe { (api.gimp2.gimp_image_get_active_layer)(image) };
        (
            image,
            Vec::from_iter((layer != api.lib.none).then_some(layer)),
        )
    });
    api.lib
        .restore_all(&selected.collect::<Vec<_>>(), &settings)?;
    Ok(Status::Success)
}

/// The settings to go by, asked for where the mode is to ask; `None` if the user cancels.
///
/// # Safety
/// As [`from_arguments`], in GIMP's own thread.
unsafe fn choose(
    api: &Api,
    mode: RunMode,
    own: &[Parameter],
    title: &str,
    host: Option<&dyn Host>,
) -> Result<Option<Chosen>, Error> {
    match mode {
        // SAFETY: as the caller promises.
        RunMode::NonInteractive => Ok(Some((unsafe { from_arguments(own)? }, None))),
        RunMode::LastValues => Ok(Some((last_values::get(&api.gimp2), None))),
        RunMode::Interactive => {
            let last = last_values::get(&api.gimp2);
            // SAFETY: as the caller promises.
            let chosen = unsafe { dialog::run(&api.lib.gegl, title, host, &last)? };
            if let Some((settings, _)) = &chosen {
                // Before the work: a cancel ends the process.
                last_values::set(&api.gimp2, settings);
            }
            Ok(chosen)
        }
    }
}

fn too_few(parameters: &[Parameter], due: &[ParameterDefinition]) -> Error {
    Error::Setting(fill(
        tr("{count} arguments where {due} are due"),
        &[("count", &parameters.len()), ("due", &due.len())],
    ))
}

/// # Safety
/// GIMP checked the types against [`SETTINGS`], and of what comes after them, shares and whether there is uncertainty, likewise.
unsafe fn from_arguments(arguments: &[Parameter]) -> Result<Settings, Error> {
    let [strength, weights, tile_size, output, device, more @ ..] = arguments else {
        return Err(too_few(arguments, &SETTINGS));
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
    let mut shares = [1.0; FAULTS.len()];
    for (share, given) in shares.iter_mut().zip(more) {
        // SAFETY: as the caller promises.
        *share = unsafe { given.data.float };
    }
    // SAFETY: as the caller promises.
    let uncertainty = |given: &Parameter| unsafe { given.data.int != 0 };
    let unknown = |what: &str, number: i32| {
        Error::Setting(fill(
            tr("{what} {number} is unknown"),
            &[("what", &what), ("number", &number)],
        ))
    };
    Ok(Settings {
        strength,
        weights: (!weights.is_empty()).then(|| system::path(weights)),
        tile_size,
        output: Output::from_number(output).ok_or_else(|| unknown("output", output))?,
        device: Device::from_number(device).ok_or_else(|| unknown("device", device))?,
        removal: settings::removal(shares),
        uncertainty: more.get(FAULTS.len()).is_some_and(uncertainty),
    })
}
