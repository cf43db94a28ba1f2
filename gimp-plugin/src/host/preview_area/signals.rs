//! How GTK and GLib call the preview.

use std::ffi::{CStr, c_int, c_ulong};
use std::mem::transmute;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::gtk::{Handler, MouseEvent, ScrollEvent};
use super::{CHECK, PreviewArea, Toolkit};
use crate::host::gegl::Pointer;
use crate::preview::Wake;

/// G_CONNECT_SWAPPED: the data come first, wherever a signal has them.
const SWAPPED: c_int = 2;

/// For a change of anything, the data first.
type Change = unsafe extern "C" fn(Pointer);
/// Widget, cairo context or event, data.
type Paint = unsafe extern "C" fn(Pointer, Pointer, Pointer) -> c_int;
/// Widget, event, data.
type Mouse = unsafe extern "C" fn(Pointer, *const MouseEvent, Pointer) -> c_int;
/// Widget, event, data.
type Scroll = unsafe extern "C" fn(Pointer, *const ScrollEvent, Pointer) -> c_int;

/// The one that callbacks may touch: GLib may call back when its dialog is long gone. There is one dialog in a process.
static CURRENT: AtomicPtr<PreviewArea<'static>> = AtomicPtr::new(null_mut());
/// Whether GLib has been asked to call back.
static WOKEN: AtomicBool = AtomicBool::new(false);

impl PreviewArea<'_> {
    /// Makes it the one that is called, by the signals of its area and by a clock.
    pub(super) fn listen(&self, toolkit: Toolkit) {
        CURRENT.store(self.address().cast(), Ordering::Release);
        let (signal, paint): (_, Paint) = match toolkit {
            Toolkit::Gtk2 => (c"expose-event", on_expose),
            Toolkit::Gtk3 => (c"draw", on_draw),
        };
        let mouse: [(_, Mouse); 3] = [
            (c"button-press-event", on_press),
            (c"button-release-event", on_release),
            (c"motion-notify-event", on_motion),
        ];
        // SAFETY: signals of a GtkDrawingArea, with functions of their types.
        unsafe {
            self.connect(self.area, signal, transmute::<Paint, Handler>(paint), 0);
            for (signal, handler) in mouse {
                self.connect(self.area, signal, transmute::<Mouse, Handler>(handler), 0);
            }
            let scroll = transmute::<Scroll, Handler>(on_scroll);
            self.connect(self.area, c"scroll-event", scroll, 0);
            let clock = (self.gtk.g_timeout_add)(CHECK, on_clock, null_mut());
            self.clock.set(Some(clock));
        }
    }

    /// Lets a signal of an object that holds settings tell of their change.
    ///
    /// # Safety
    /// A live GObject with that signal.
    pub unsafe fn follow(&self, object: Pointer, signal: &CStr) {
        // SAFETY: with the data first, whatever follows is not looked at.
        let number = unsafe {
            let handler = transmute::<Change, Handler>(on_change);
            self.connect(object, signal, handler, SWAPPED)
        };
        self.connected.borrow_mut().push((object, number));
    }

    /// Ends all that [`listen`](Self::listen) and [`follow`](Self::follow) began.
    pub(super) fn deafen(&self) {
        CURRENT.store(null_mut(), Ordering::Release);
        // SAFETY: a source of ours that is still there, as its function never ends it; objects of the dialog, which is
        // still there too, and signals connected here.
        unsafe {
            if let Some(clock) = self.clock.take() {
                (self.gtk.g_source_remove)(clock);
            }
            for (object, number) in self.connected.take() {
                (self.gtk.g_signal_handler_disconnect)(object, number);
            }
        }
    }

    /// # Safety
    /// The function has the signal's type.
    unsafe fn connect(
        &self,
        object: Pointer,
        signal: &CStr,
        handler: Handler,
        flags: c_int,
    ) -> c_ulong {
        let (signal, data) = (signal.as_ptr(), self.address());
        // SAFETY: as the caller promises.
        unsafe {
            (self.gtk.g_signal_connect_data)(object, signal, handler, data, null_mut(), flags)
        }
    }

    fn address(&self) -> Pointer {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// What workers call.
    pub(super) fn waker(&self) -> Wake {
        let add = self.gtk.g_idle_add;
        Arc::new(move || {
            if !WOKEN.swap(true, Ordering::AcqRel) {
                // SAFETY: GLib takes this from any thread.
                unsafe { add(on_idle, null_mut()) };
            }
        })
    }

    /// Has itself called when GTK has nothing else to do.
    pub(super) fn wake(&self) {
        WOKEN.store(true, Ordering::Release);
        // SAFETY: a function that stays.
        unsafe { (self.gtk.g_idle_add)(on_idle, null_mut()) };
    }
}

impl Drop for PreviewArea<'_> {
    fn drop(&mut self) {
        self.deafen();
    }
}

/// Lets the current preview do something. No panic crosses C: after one there is no preview, only the dialog.
fn with_current(work: impl FnOnce(&PreviewArea<'_>)) {
    // SAFETY: set while its box lives; all of this happens on GTK's thread.
    let Some(area) = (unsafe { CURRENT.load(Ordering::Acquire).as_ref() }) else {
        return;
    };
    if catch_unwind(AssertUnwindSafe(|| work(area))).is_err() {
        CURRENT.store(null_mut(), Ordering::Release);
    }
}

unsafe extern "C" fn on_idle(_data: Pointer) -> c_int {
    WOKEN.store(false, Ordering::Release);
    with_current(|area| area.serve());
    // Once.
    0
}

unsafe extern "C" fn on_clock(_data: Pointer) -> c_int {
    with_current(|area| area.check());
    // Again.
    1
}

unsafe extern "C" fn on_change(_data: Pointer) {
    with_current(|area| area.set());
}

unsafe extern "C" fn on_draw(_widget: Pointer, cairo: Pointer, _data: Pointer) -> c_int {
    // SAFETY: what GTK 3 hands over.
    with_current(|area| unsafe { area.paint(cairo) });
    1
}

unsafe extern "C" fn on_expose(_widget: Pointer, _event: Pointer, _data: Pointer) -> c_int {
    // SAFETY: a widget that is exposed has a window; the context is ours.
    with_current(|area| unsafe {
        let cairo = (area.gtk.gdk_cairo_create)((area.gtk.gtk_widget_get_window)(area.area));
        area.paint(cairo);
        (area.gtk.cairo_destroy)(cairo);
    });
    1
}

unsafe extern "C" fn on_press(_area: Pointer, event: *const MouseEvent, _data: Pointer) -> c_int {
    // SAFETY: an event of that kind.
    let (x, y) = unsafe { ((*event).x, (*event).y) };
    with_current(|area| {
        area.look(|view| {
            view.press(x, y);
            true
        });
    });
    1
}

unsafe extern "C" fn on_release(
    _area: Pointer,
    _event: *const MouseEvent,
    _data: Pointer,
) -> c_int {
    with_current(|area| {
        area.look(|view| {
            view.release();
            true
        });
    });
    1
}

unsafe extern "C" fn on_motion(_area: Pointer, event: *const MouseEvent, _data: Pointer) -> c_int {
    // SAFETY: an event of that kind.
    let (x, y) = unsafe { ((*event).x, (*event).y) };
    with_current(|area| area.look(|view| view.drag(x, y)));
    1
}

unsafe extern "C" fn on_scroll(_area: Pointer, event: *const ScrollEvent, _data: Pointer) -> c_int {
    // SAFETY: an event of that kind.
    let (x, y, direction) = unsafe { ((*event).mouse.x, (*event).mouse.y, (*event).direction) };
    with_current(|area| {
        area.look(|view| {
            match direction {
                0 => view.zoom_at(x, y, true),
                1 => view.zoom_at(x, y, false),
                _ => return false,
            }
            true
        });
    });
    1
}
