# The effect that stands on a layer, in GIMP 3: its strength edited, then taken away. `folder` is defined before.
from gi.repository import Gimp, Gio


def save_as(image, name):
    copy = image.duplicate()
    copy.flatten()
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, copy, Gio.File.new_for_path(folder + "/" + name), None)
    copy.delete()


image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(folder + "/effect.xcf"))
effect = image.get_layers()[0].get_filters()[0]
effect.get_config().set_property("strength", 0.5)
# A configuration is the script's own until it is sent.
effect.update()
save_as(image, "edited.png")
Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, Gio.File.new_for_path(folder + "/edited.xcf"), None)
image.delete()

image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(folder + "/edited.xcf"))
save_as(image, "edited-opened.png")
image.get_layers()[0].get_filters()[0].delete()
save_as(image, "removed.png")
