/* Restores a PNG, or only a rectangle of it, with libdino_ir:
 *
 *     cc restore.c -I../include -L../../target/release -ldino_ir -lpng -o restore
 *     ./restore noisy.png restored.png [X Y WIDTH HEIGHT]
 */
#include "dino_ir.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int show(uint32_t done, uint32_t total, void *user) {
    (void)user;
    fprintf(stderr, "\rtile %u of %u", done, total);
    return 0; /* anything else cancels */
}

/* A view of a rectangle: its first pixel, and the stride of the whole picture. */
static dino_ir_image view(png_bytep pixels, png_image png, const int rectangle[4]) {
    dino_ir_image image = {0};
    image.struct_size = sizeof image;
    image.channels = 4;
    image.sample = DINO_IR_SAMPLE_U8;
    image.stride = (size_t)png.width * 4;
    image.data = pixels + (size_t)rectangle[1] * image.stride + (size_t)rectangle[0] * 4;
    image.width = (uint32_t)rectangle[2];
    image.height = (uint32_t)rectangle[3];
    return image;
}

int main(int argc, char **argv) {
    if (argc != 3 && argc != 7) {
        fprintf(stderr, "usage: %s IN.png OUT.png [X Y WIDTH HEIGHT]\n", argv[0]);
        return 2;
    }
    png_image png = {0};
    png.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_file(&png, argv[1])) {
        fprintf(stderr, "%s: %s\n", argv[1], png.message);
        return 1;
    }
    png.format = PNG_FORMAT_RGBA;
    png_bytep before = malloc(PNG_IMAGE_SIZE(png)), after = malloc(PNG_IMAGE_SIZE(png));
    if (!before || !after || !png_image_finish_read(&png, NULL, before, 0, NULL)) {
        fprintf(stderr, "%s: %s\n", argv[1], png.message);
        return 1;
    }
    memcpy(after, before, PNG_IMAGE_SIZE(png));

    int rectangle[4] = {0, 0, (int)png.width, (int)png.height};
    for (int i = 3; i < argc; i++)
        rectangle[i - 3] = atoi(argv[i]);
    int right = (int)png.width - rectangle[2], bottom = (int)png.height - rectangle[3];
    if (rectangle[0] < 0 || rectangle[1] < 0 || rectangle[2] < 1 || rectangle[3] < 1 ||
        rectangle[0] > right || rectangle[1] > bottom) {
        fprintf(stderr, "the rectangle is outside of the picture\n");
        return 2;
    }

    dino_ir_restorer *restorer = dino_ir_open(NULL, "auto");
    if (!restorer) {
        fprintf(stderr, "%s\n", dino_ir_last_error());
        return 1;
    }
    dino_ir_image in = view(before, png, rectangle), out = view(after, png, rectangle);
    int status = dino_ir_restore(restorer, &in, &out, NULL, show, NULL);
    fprintf(stderr, "\n");
    if (status != DINO_IR_STATUS_OK)
        fprintf(stderr, "%s\n", dino_ir_last_error());
    else if (!png_image_write_to_file(&png, argv[2], 0, after, 0, NULL))
        fprintf(stderr, "%s: %s\n", argv[2], png.message), status = 1;
    dino_ir_close(restorer);
    free(before);
    free(after);
    return status;
}
