//! What the preview uses of GTK 2 and GTK 3.

use std::ffi::{c_char, c_double, c_int, c_uint, c_ulong};

use crate::host::gegl::{Pointer, Text};
use crate::host::library::functions;

/// Any function for a signal.
pub type Handler = unsafe extern "C" fn();

functions! {
    /// What GTK 2 and GTK 3 have in common, and what is below them.
    Gtk {
        fn gtk_drawing_area_new() -> Pointer;
        fn gtk_hbox_new(c_int, c_int) -> Pointer;
        fn gtk_vbox_new(c_int, c_int) -> Pointer;
        fn gtk_box_pack_start(Pointer, Pointer, c_int, c_int, c_uint);
        fn gtk_container_set_border_width(Pointer, c_uint);
        fn gtk_label_new(Text) -> Pointer;
        fn gtk_label_set_text(Pointer, Text);
        fn gtk_label_set_line_wrap(Pointer, c_int);
        fn gtk_label_set_ellipsize(Pointer, c_int);
        fn gtk_misc_set_alignment(Pointer, f32, f32);
        fn gtk_spinner_new() -> Pointer;
        fn gtk_spinner_start(Pointer);
        fn gtk_spinner_stop(Pointer);
        fn gtk_widget_add_events(Pointer, c_int);
        fn gtk_widget_get_allocation(Pointer, *mut Allocation);
        fn gtk_widget_get_window(Pointer) -> Pointer;
        fn gtk_widget_queue_draw(Pointer);
        fn gtk_widget_set_size_request(Pointer, c_int, c_int);
        fn gtk_widget_set_tooltip_text(Pointer, Text);
        fn gtk_widget_show_all(Pointer);
        fn gtk_widget_show(Pointer);
        fn gtk_widget_hide(Pointer);
        fn gdk_cairo_create(Pointer) -> Pointer;
        fn gdk_window_get_origin(Pointer, *mut c_int, *mut c_int) -> c_int;
        fn cairo_image_surface_create_for_data(Pointer, c_int, c_int, c_int, c_int) -> Pointer;
        fn cairo_surface_finish(Pointer);
        fn cairo_surface_destroy(Pointer);
        fn cairo_set_source_surface(Pointer, Pointer, c_double, c_double);
        fn cairo_paint(Pointer);
        fn cairo_destroy(Pointer);
        fn g_signal_connect_data(Pointer, Text, Handler, Pointer, Pointer, c_int) -> c_ulong;
        fn g_signal_handler_disconnect(Pointer, c_ulong);
        fn g_timeout_add(c_uint, unsafe extern "C" fn(Pointer) -> c_int, Pointer) -> c_uint;
        fn g_source_remove(c_uint) -> c_int;
        fn g_idle_add(unsafe extern "C" fn(Pointer) -> c_int, Pointer) -> c_uint;
    }
}

/// GtkAllocation.
#[repr(C)]
#[derive(Default)]
pub struct Allocation {
    _x: c_int,
    _y: c_int,
    pub width: c_int,
    pub height: c_int,
}

/// What GdkEventButton, GdkEventMotion and GdkEventScroll begin with, in GTK 2 and 3.
#[repr(C)]
pub struct MouseEvent {
    _kind: c_int,
    _window: Pointer,
    _send_event: c_char,
    _time: u32,
    pub x: c_double,
    pub y: c_double,
}

/// GdkEventScroll.
#[repr(C)]
pub struct ScrollEvent {
    pub mouse: MouseEvent,
    _state: c_uint,
    /// 0 up, 1 down; others are none that a wheel has.
    pub direction: c_int,
}
