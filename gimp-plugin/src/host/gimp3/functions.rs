//! What only GIMP 3 has: its functions in use, and the structures that they are given.

use std::ffi::{c_char, c_double, c_int, c_uint, c_ulong, c_ushort, c_void};

use crate::host::gegl::{Pointer, Text};
use crate::host::library::functions;

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
pub type Run =
    unsafe extern "C" fn(Pointer, c_int, Pointer, *mut Pointer, Pointer, Pointer) -> Pointer;

/// GimpRunFunc: procedure, config, data.
pub type RunAll = unsafe extern "C" fn(Pointer, Pointer, Pointer) -> Pointer;

/// GTypeQuery.
#[repr(C)]
pub struct TypeQuery {
    pub id: c_ulong,
    pub name: Text,
    pub class_size: c_uint,
    pub instance_size: c_uint,
}

/// GTypeInfo.
#[repr(C)]
pub struct TypeInfo {
    pub class_size: c_ushort,
    pub base_init: Pointer,
    pub base_finalize: Pointer,
    pub class_init: unsafe extern "C" fn(*mut PlugInClass, Pointer),
    pub class_finalize: Pointer,
    pub class_data: Pointer,
    pub instance_size: c_ushort,
    pub preallocations: c_ushort,
    pub instance_init: Pointer,
    pub value_table: Pointer,
}

/// GimpPlugInClass, as far as it is used.
#[repr(C)]
pub struct PlugInClass {
    /// GObjectClass: 17 pointers.
    pub parent: [*mut c_void; 17],
    pub query_procedures: Option<unsafe extern "C" fn(Pointer) -> Pointer>,
    pub init_procedures: Option<unsafe extern "C" fn(Pointer) -> Pointer>,
    pub create_procedure: Option<unsafe extern "C" fn(Pointer, Text) -> Pointer>,
    pub quit: Option<unsafe extern "C" fn(Pointer)>,
    pub set_i18n: Option<unsafe extern "C" fn(Pointer, Text, *mut Pointer, *mut Pointer) -> c_int>,
}
