//! The preview in a dialog of GTK 2 or GTK 3: a drawing area with a line of text below.
//!
//! GIMP's own preview widgets show one 8-bit picture which they ask for from the start at every change, on the thread
//! that then stands still; there is no line to move, and they are other ones in 2.10 and 3. A drawing area is the same
//! in both toolkits but for the signal that asks for its picture, so this is one for all GIMPs.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char, c_double, c_int, c_uint, c_ulong};
use std::mem::transmute;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::time::Instant;

use dino_ir::weights::Loaded;

use super::Host;
use super::gegl::{Pointer, Text};
use super::library::{Library, functions};
use crate::job::{self, Error};
use crate::preview::{Preview, View, Wake};
use crate::settings::Settings;
use crate::trace::trace;

/// Side of the preview in pixels; it grows with the dialog.
const SIDE: c_int = 400;
/// What the mouse does.
const HINT: &CStr = c"Drag the line to compare; hold to see the original.\n\
    Drag the photo to move it; the wheel enlarges it.";
/// Pixels around and between the parts.
const SPACING: c_int = 6;
/// GDK_BUTTON_MOTION_MASK | GDK_BUTTON_PRESS_MASK | GDK_BUTTON_RELEASE_MASK | GDK_SCROLL_MASK.
const EVENTS: c_int = 1 << 4 | 1 << 8 | 1 << 9 | 1 << 21;
/// CAIRO_FORMAT_RGB24.
const RGB24: c_int = 1;
/// PANGO_ELLIPSIZE_END.
const ELLIPSIZE_END: c_int = 3;
/// G_CONNECT_SWAPPED: the data come first, wherever a signal has them.
const SWAPPED: c_int = 2;

/// Any function for a signal: those below.
type Handler = unsafe extern "C" fn();
/// For a change of anything, the data first.
type Change = unsafe extern "C" fn(Pointer);
/// Widget, cairo context or event, data.
type Paint = unsafe extern "C" fn(Pointer, Pointer, Pointer) -> c_int;
/// Widget, event, data.
type Mouse = unsafe extern "C" fn(Pointer, *const MouseEvent, Pointer) -> c_int;
/// Widget, event, data.
type Scroll = unsafe extern "C" fn(Pointer, *const ScrollEvent, Pointer) -> c_int;

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
        fn g_idle_add(unsafe extern "C" fn(Pointer) -> c_int, Pointer) -> c_uint;
    }
}

/// GtkAllocation.
#[repr(C)]
#[derive(Default)]
pub struct Allocation {
    _x: c_int,
    _y: c_int,
    width: c_int,
    height: c_int,
}

/// What GdkEventButton, GdkEventMotion and GdkEventScroll begin with, in GTK 2 and 3.
#[repr(C)]
struct MouseEvent {
    _kind: c_int,
    _window: Pointer,
    _send_event: c_char,
    _time: u32,
    x: c_double,
    y: c_double,
}

/// GdkEventScroll.
#[repr(C)]
struct ScrollEvent {
    mouse: MouseEvent,
    _state: c_uint,
    /// 0 up, 1 down; others are none that a wheel has.
    direction: c_int,
}

/// The toolkit of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolkit {
    /// Of GIMP 2.10.
    Gtk2,
    /// Of GIMP 3.
    Gtk3,
}

/// What the dialog reads its settings with.
pub type ReadSettings<'a> = Box<dyn Fn() -> Result<Settings, Error> + 'a>;

/// The preview of one dialog.
pub struct PreviewArea<'a> {
    gtk: Gtk,
    host: &'a dyn Host,
    settings: ReadSettings<'a>,
    preview: RefCell<Option<Preview<Loaded>>>,
    /// Everything.
    widget: Pointer,
    /// GtkDrawingArea.
    area: Pointer,
    /// GtkLabel.
    label: Pointer,
    /// GtkSpinner.
    spinner: Pointer,
    /// What the label says.
    said: RefCell<String>,
    spins: Cell<bool>,
    /// Signals of objects that outlive the dialog.
    connected: RefCell<Vec<(Pointer, c_ulong)>>,
}

/// The one that callbacks may touch: GLib may call back when its dialog is long gone. There is one dialog in a process.
static CURRENT: AtomicPtr<PreviewArea<'static>> = AtomicPtr::new(null_mut());
/// Whether GLib has been asked to call back.
static WOKEN: AtomicBool = AtomicBool::new(false);

impl<'a> PreviewArea<'a> {
    /// Makes the widgets and begins to work. `settings` is called now and at every change of theirs.
    ///
    /// # Errors
    /// [`Error::Library`].
    ///
    /// # Safety
    /// GTK is initialised, and this is its thread. `library` is libgimpui.
    pub unsafe fn new(
        library: Library,
        toolkit: Toolkit,
        host: &'a dyn Host,
        settings: ReadSettings<'a>,
    ) -> Result<Box<Self>, Error> {
        let gtk = Gtk::load(library)?;
        // SAFETY: widgets made here, of the types that the functions ask for.
        let this = unsafe {
            let widget = (gtk.gtk_vbox_new)(0, SPACING);
            (gtk.gtk_container_set_border_width)(widget, 2 * SPACING as c_uint);
            let area = (gtk.gtk_drawing_area_new)();
            (gtk.gtk_widget_set_size_request)(area, SIDE, SIDE);
            (gtk.gtk_widget_add_events)(area, EVENTS);
            (gtk.gtk_box_pack_start)(widget, area, 1, 1, 0);
            let row = (gtk.gtk_hbox_new)(0, SPACING);
            let spinner = (gtk.gtk_spinner_new)();
            (gtk.gtk_widget_set_size_request)(spinner, 16, 16);
            (gtk.gtk_box_pack_start)(row, spinner, 0, 0, 0);
            let label = (gtk.gtk_label_new)(c"".as_ptr());
            (gtk.gtk_label_set_ellipsize)(label, ELLIPSIZE_END);
            (gtk.gtk_misc_set_alignment)(label, 0.0, 0.5);
            (gtk.gtk_box_pack_start)(row, label, 1, 1, 0);
            (gtk.gtk_box_pack_start)(widget, row, 0, 0, 0);
            // No tooltip: it would lie on the photo.
            let hint = (gtk.gtk_label_new)(HINT.as_ptr());
            (gtk.gtk_misc_set_alignment)(hint, 0.0, 0.5);
            (gtk.gtk_box_pack_start)(widget, hint, 0, 0, 0);
            (gtk.gtk_widget_show_all)(widget);
            Box::new(Self {
                gtk,
                host,
                settings,
                preview: RefCell::new(None),
                widget,
                area,
                label,
                spinner,
                said: RefCell::default(),
                spins: Cell::new(false),
                connected: RefCell::default(),
            })
        };
        CURRENT.store(this.address().cast(), Ordering::Release);
        this.listen(toolkit);
        this.begin();
        Ok(this)
    }

    /// Everything, to be put into a dialog.
    pub fn widget(&self) -> Pointer {
        self.widget
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

    /// Ends it before its dialog is destroyed; what it has found out can be used further.
    pub fn close(self: Box<Self>) -> Option<Preview<Loaded>> {
        CURRENT.store(null_mut(), Ordering::Release);
        for (object, number) in self.connected.take() {
            // SAFETY: objects of the dialog, which is still there, and signals connected here.
            unsafe { (self.gtk.g_signal_handler_disconnect)(object, number) };
        }
        self.preview.take()
    }

    fn address(&self) -> Pointer {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    fn listen(&self, toolkit: Toolkit) {
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

    /// Starts the preview, or says why there is none.
    fn begin(&self) {
        let drawable = self.host.drawable();
        let add = self.gtk.g_idle_add;
        let wake: Wake = Arc::new(move || {
            if !WOKEN.swap(true, Ordering::AcqRel) {
                // SAFETY: GLib takes this from any thread.
                unsafe { add(on_idle, null_mut()) };
            }
        });
        let size = (SIDE as usize, SIDE as usize);
        let begun = job::previewed(&drawable).and_then(|selection| {
            let settings = (self.settings)()?;
            Ok(Preview::new(
                drawable,
                selection,
                size,
                settings,
                job::open,
                wake,
            ))
        });
        match begun {
            Ok(preview) => *self.preview.borrow_mut() = Some(preview),
            Err(error) => self.say(&error.to_string()),
        }
        self.tell();
    }

    /// Shows what is going on.
    fn tell(&self) {
        let Ok(preview) = self.preview.try_borrow() else {
            return;
        };
        let Some(preview) = &*preview else { return };
        self.say(&preview.status());
        let spins = preview.is_busy();
        if self.spins.replace(spins) != spins {
            // SAFETY: a live GtkSpinner. One that stands still would be taken for work.
            unsafe {
                if spins {
                    (self.gtk.gtk_widget_show)(self.spinner);
                    (self.gtk.gtk_spinner_start)(self.spinner);
                } else {
                    (self.gtk.gtk_spinner_stop)(self.spinner);
                    (self.gtk.gtk_widget_hide)(self.spinner);
                }
            }
        }
    }

    fn say(&self, text: &str) {
        if *self.said.borrow() == text {
            return;
        }
        *self.said.borrow_mut() = text.to_owned();
        trace(|| format!("preview says: {text}"));
        let text = CString::new(text.replace('\0', "?")).unwrap_or_default();
        // SAFETY: a live GtkLabel.
        unsafe {
            (self.gtk.gtk_label_set_text)(self.label, text.as_ptr());
            (self.gtk.gtk_widget_set_tooltip_text)(self.label, text.as_ptr());
        }
    }

    /// Takes what the workers have sent.
    fn serve(&self) {
        let Ok(mut preview) = self.preview.try_borrow_mut() else {
            return self.wake();
        };
        let more = preview
            .as_mut()
            .is_some_and(|preview| preview.serve(self.host));
        drop(preview);
        if more {
            self.wake();
        }
        self.changed();
    }

    fn wake(&self) {
        WOKEN.store(true, Ordering::Release);
        // SAFETY: a function that stays.
        unsafe { (self.gtk.g_idle_add)(on_idle, null_mut()) };
    }

    /// Takes the dialog's settings.
    fn set(&self) {
        let Ok(settings) = (self.settings)() else {
            return;
        };
        if let Ok(mut preview) = self.preview.try_borrow_mut()
            && let Some(preview) = &mut *preview
        {
            preview.set(settings);
        }
        self.changed();
    }

    /// Lets the mouse change the view; `change` says whether it did.
    fn look(&self, change: impl FnOnce(&mut View) -> bool) {
        if let Ok(mut preview) = self.preview.try_borrow_mut()
            && let Some(preview) = &mut *preview
            && !change(preview.view())
        {
            return;
        }
        self.changed();
    }

    /// Has the picture drawn again.
    fn changed(&self) {
        self.tell();
        // SAFETY: a live widget.
        unsafe { (self.gtk.gtk_widget_queue_draw)(self.area) };
    }

    /// Draws the picture into a cairo context.
    ///
    /// # Safety
    /// A cairo_t of the area.
    unsafe fn paint(&self, cairo: Pointer) {
        let Ok(mut preview) = self.preview.try_borrow_mut() else {
            return;
        };
        let Some(preview) = &mut *preview else { return };
        let start = Instant::now();
        let mut allocation = Allocation::default();
        // SAFETY: a live widget.
        unsafe { (self.gtk.gtk_widget_get_allocation)(self.area, &mut allocation) };
        let side = |length: c_int| usize::try_from(length).unwrap_or(0);
        preview
            .view()
            .resize(side(allocation.width), side(allocation.height));
        let mut picture = preview.draw(self.host);
        let (width, height) = preview.view().size();
        // SAFETY: words for the whole surface, which is gone before them.
        unsafe {
            let surface = (self.gtk.cairo_image_surface_create_for_data)(
                picture.as_mut_ptr().cast(),
                RGB24,
                width as c_int,
                height as c_int,
                4 * width as c_int,
            );
            (self.gtk.cairo_set_source_surface)(cairo, surface, 0.0, 0.0);
            (self.gtk.cairo_paint)(cairo);
            (self.gtk.cairo_surface_finish)(surface);
            (self.gtk.cairo_surface_destroy)(surface);
        }
        trace(|| self.drawn(preview, start));
    }

    /// A line on what was drawn and where.
    fn drawn(&self, preview: &mut Preview<Loaded>, start: Instant) -> String {
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        let (mut left, mut top) = (0, 0);
        // SAFETY: a widget that is on the screen has a window.
        unsafe {
            let window = (self.gtk.gtk_widget_get_window)(self.area);
            (self.gtk.gdk_window_get_origin)(window, &mut left, &mut top);
        }
        let runs = preview.runs();
        let strength = preview.settings().strength;
        let view = preview.view();
        let ((width, height), seen, split) = (view.size(), view.area(), view.split());
        format!(
            "drawn {width} x {height} at {left}, {top}: layer {}, {}, split {split}, strength {strength:.2}, \
             runs {runs}, {milliseconds:.1} ms",
            seen.x, seen.y
        )
    }
}

impl Drop for PreviewArea<'_> {
    fn drop(&mut self) {
        CURRENT.store(null_mut(), Ordering::Release);
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
