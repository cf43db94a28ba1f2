//! The preview in a dialog of GTK 2 or GTK 3: a drawing area with a line of text below.
//!
//! GIMP's own preview widgets show one 8-bit picture which they ask for from the start at every change, on the thread
//! that then stands still; there is no line to move, and they are other ones in 2.10 and 3. A drawing area is the same
//! in both toolkits but for the signal that asks for its picture, so this is one for all GIMPs.

mod gtk;
mod signals;

use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_int, c_uint, c_ulong};
use std::time::Instant;

use dino_ir::weights::Loaded;

use self::gtk::{Allocation, Gtk};
use super::Host;
use super::gegl::Pointer;
use super::library::Library;
use crate::job::{self, Error};
use crate::language::{msgid, tr_c};
use crate::preview::{Preview, View};
use crate::settings::Settings;
use crate::trace::trace;

/// Side of the preview in pixels; it grows with the dialog.
const SIDE: c_int = 400;
/// What the mouse does.
const HINT: &str = msgid(
    "Drag the line to compare; hold to see the original.\n\
     Drag the photo to move it; the wheel enlarges it.",
);
/// How often the layer is looked at, in milliseconds.
const CHECK: c_uint = 1500;
/// Of the diagnosis: two lines, which it may need.
const NOTHING_YET: &str = "\n";
/// Pixels around and between the parts.
const SPACING: c_int = 6;
/// GDK_BUTTON_MOTION_MASK | GDK_BUTTON_PRESS_MASK | GDK_BUTTON_RELEASE_MASK | GDK_SCROLL_MASK.
const EVENTS: c_int = 1 << 4 | 1 << 8 | 1 << 9 | 1 << 21;
/// CAIRO_FORMAT_RGB24.
const RGB24: c_int = 1;
/// PANGO_ELLIPSIZE_END.
const ELLIPSIZE_END: c_int = 3;

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
    /// GtkLabel: what is wrong with the photo.
    diagnosis: Pointer,
    /// What the labels say.
    said: RefCell<String>,
    explained: RefCell<String>,
    spins: Cell<bool>,
    /// GLib's number of what calls [`check`](Self::check).
    clock: Cell<Option<c_uint>>,
    /// Signals of objects that outlive the dialog.
    connected: RefCell<Vec<(Pointer, c_ulong)>>,
}

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
            let nothing_yet = CString::new(NOTHING_YET).unwrap_or_default();
            let diagnosis = (gtk.gtk_label_new)(nothing_yet.as_ptr());
            (gtk.gtk_label_set_line_wrap)(diagnosis, 1);
            (gtk.gtk_widget_set_size_request)(diagnosis, SIDE, -1);
            (gtk.gtk_misc_set_alignment)(diagnosis, 0.0, 0.0);
            (gtk.gtk_box_pack_start)(widget, diagnosis, 0, 0, 0);
            // No tooltip: it would lie on the photo.
            let hint = (gtk.gtk_label_new)(tr_c(HINT).as_ptr());
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
                diagnosis,
                said: RefCell::default(),
                explained: RefCell::default(),
                clock: Cell::default(),
                spins: Cell::new(false),
                connected: RefCell::default(),
            })
        };
        this.listen(toolkit);
        this.begin();
        Ok(this)
    }

    /// Everything, to be put into a dialog.
    pub fn widget(&self) -> Pointer {
        self.widget
    }

    /// Ends it before its dialog is destroyed; what it has found out can be used further.
    pub fn close(self: Box<Self>) -> Option<Preview<Loaded>> {
        self.deafen();
        let mut preview = self.preview.take();
        if let Some(preview) = &mut preview {
            self.host.keep_place(preview.view().place());
        }
        preview
    }

    /// Starts the preview, or says why there is none.
    fn begin(&self) {
        let drawable = self.host.drawable();
        let size = (SIDE as usize, SIDE as usize);
        let begun = job::previewed(&drawable).and_then(|selection| {
            let settings = (self.settings)()?;
            Ok(Preview::new(
                drawable,
                selection,
                size,
                settings,
                job::open,
                self.waker(),
            ))
        });
        match begun {
            Ok(mut preview) => {
                if let Some(place) = self.host.place() {
                    preview.view().look_at(place);
                }
                *self.preview.borrow_mut() = Some(preview);
            }
            Err(error) => self.say(&error.message()),
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
        self.explain(&preview.diagnosis());
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

    /// Says what is wrong with the photo.
    fn explain(&self, text: &str) {
        if *self.explained.borrow() == text {
            return;
        }
        *self.explained.borrow_mut() = text.to_owned();
        trace(|| format!("preview finds: {text}"));
        // The line keeps its room while nothing is known.
        let text = if text.is_empty() { NOTHING_YET } else { text };
        let text = CString::new(text).unwrap_or_default();
        // SAFETY: a live GtkLabel.
        unsafe {
            (self.gtk.gtk_label_set_text)(self.diagnosis, text.as_ptr());
            (self.gtk.gtk_widget_set_tooltip_text)(self.diagnosis, text.as_ptr());
        }
    }

    /// Looks whether the layer was changed in GIMP's own windows, of which nobody tells a plug-in.
    fn check(&self) {
        if let Ok(mut preview) = self.preview.try_borrow_mut()
            && let Some(preview) = &mut *preview
        {
            self.host.refresh();
            if !preview.check(self.host) {
                return;
            }
        }
        self.changed();
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
