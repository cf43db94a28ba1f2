//! What the operation needs of GObject, GEGL and babl, as their headers declare it (GEGL 0.4).

use std::ffi::{c_char, c_double, c_int, c_uint, c_void};

pub type Pointer = *mut c_void;
pub type Text = *const c_char;
pub type GType = usize;

/// `GEGL_MODULE_ABI_VERSION`.
pub const MODULE_ABI_VERSION: u32 = 0x000A;

/// `G_PARAM_READWRITE | G_PARAM_CONSTRUCT | GEGL_PARAM_PAD_INPUT`, as GEGL's own operations have it.
pub const PROPERTY_FLAGS: c_int = 0b11 | 0b100 | 1 << 9;

/// `G_LOG_LEVEL_MESSAGE`.
pub const MESSAGE: c_int = 1 << 5;

#[repr(C)]
pub struct GTypeModule {
    _opaque: [u8; 0],
}

/// GeglModuleInfo.
#[repr(C)]
pub struct ModuleInfo {
    pub abi_version: u32,
}

/// GeglRectangle.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rectangle {
    pub x: c_int,
    pub y: c_int,
    pub width: c_int,
    pub height: c_int,
}

/// GTypeInfo.
#[repr(C)]
pub struct TypeInfo {
    pub class_size: u16,
    pub base_init: Pointer,
    pub base_finalize: Pointer,
    pub class_init: unsafe extern "C" fn(*mut FilterClass, Pointer),
    pub class_finalize: Pointer,
    pub class_data: *const c_void,
    pub instance_size: u16,
    pub preallocated: u16,
    pub instance_init: Pointer,
    pub value_table: *const c_void,
}

/// GTypeQuery.
#[repr(C)]
pub struct TypeQuery {
    pub kind: GType,
    pub name: Text,
    pub class_size: c_uint,
    pub instance_size: c_uint,
}

/// GObjectClass.
#[repr(C)]
pub struct ObjectClass {
    kind: GType,
    construct_properties: Pointer,
    constructor: Pointer,
    pub set_property: unsafe extern "C" fn(Pointer, c_uint, *const c_void, Pointer),
    pub get_property: unsafe extern "C" fn(Pointer, c_uint, Pointer, Pointer),
    rest: [Pointer; 12],
}

/// GeglOperationClass.
#[repr(C)]
pub struct OperationClass {
    pub object: ObjectClass,
    name: Text,
    compatible_name: Text,
    keys: Pointer,
    bits: u64,
    attach: Pointer,
    pub prepare: unsafe extern "C" fn(Pointer),
    get_bounding_box: Pointer,
    pub get_invalidated_by_change:
        unsafe extern "C" fn(Pointer, Text, *const Rectangle) -> Rectangle,
    pub get_required_for_output: unsafe extern "C" fn(Pointer, Text, *const Rectangle) -> Rectangle,
    pub get_cached_region: unsafe extern "C" fn(Pointer, *const Rectangle) -> Rectangle,
    process: Pointer,
    detect: Pointer,
    rest: [Pointer; 10],
}

/// GeglOperationFilterClass.
#[repr(C)]
pub struct FilterClass {
    pub operation: OperationClass,
    pub process: unsafe extern "C" fn(Pointer, Pointer, Pointer, *const Rectangle, c_int) -> c_int,
    rest: [Pointer; 4],
}

unsafe extern "C" {
    pub fn g_type_query(kind: GType, query: *mut TypeQuery);
    pub fn g_type_module_register_type(
        module: *mut GTypeModule,
        parent: GType,
        name: Text,
        info: *const TypeInfo,
        flags: c_uint,
    ) -> GType;
    pub fn g_object_class_install_property(class: *mut ObjectClass, id: c_uint, spec: Pointer);
    pub fn g_param_spec_double(
        name: Text,
        nick: Text,
        blurb: Text,
        least: c_double,
        most: c_double,
        default: c_double,
        flags: c_int,
    ) -> Pointer;
    pub fn g_value_get_double(value: *const c_void) -> c_double;
    pub fn g_value_set_double(value: Pointer, to: c_double);
    pub fn g_log(domain: Text, level: c_int, format: Text, ...);

    pub fn gegl_operation_filter_get_type() -> GType;
    pub fn gegl_operation_class_set_keys(class: *mut OperationClass, key: Text, ...);
    pub fn gegl_operation_set_format(operation: Pointer, pad: Text, format: Pointer);
    pub fn gegl_operation_get_source_space(operation: Pointer, pad: Text) -> Pointer;
    pub fn gegl_operation_source_get_bounding_box(
        operation: Pointer,
        pad: Text,
    ) -> *const Rectangle;
    pub fn gegl_rectangle_is_infinite_plane(rectangle: *const Rectangle) -> c_int;
    pub fn gegl_buffer_get(
        buffer: Pointer,
        rectangle: *const Rectangle,
        scale: c_double,
        format: Pointer,
        to: Pointer,
        stride: c_int,
        beyond: c_int,
    );
    pub fn gegl_buffer_set(
        buffer: Pointer,
        rectangle: *const Rectangle,
        level: c_int,
        format: Pointer,
        from: *const c_void,
        stride: c_int,
    );
    pub fn gegl_buffer_copy(
        from: Pointer,
        rectangle: *const Rectangle,
        beyond: c_int,
        to: Pointer,
        at: *const Rectangle,
    );
    pub fn babl_format_with_space(name: Text, space: Pointer) -> Pointer;
    pub fn babl_space(name: Text) -> Pointer;
    pub fn babl_space_get_icc(space: Pointer, length: *mut c_int) -> *const u8;
}
