/* Restores a made picture, noise on a slope, with the C library, and writes its bytes: the same on every system.
 *     pattern OUT.rgb
 */
#include "dino_ir.h"

#include <stdint.h>
#include <stdio.h>

enum { WIDTH = 72, HEIGHT = 56, BYTES = WIDTH * HEIGHT * 3 };

int main(int argc, char **argv) {
    static uint8_t before[BYTES], after[BYTES];
    if (argc != 2) {
        fprintf(stderr, "usage: pattern OUT.rgb\n");
        return 2;
    }
    uint32_t seed = 1;
    for (int i = 0; i < BYTES; i++) {
        seed = seed * 1664525u + 1013904223u;
        before[i] = (uint8_t)(60 + i / 3 % WIDTH + (seed >> 26));
    }
    dino_ir_image in = {0}, out;
    in.struct_size = sizeof in;
    in.channels = 3;
    in.sample = DINO_IR_SAMPLE_U8;
    in.width = WIDTH;
    in.height = HEIGHT;
    in.stride = WIDTH * 3;
    in.data = before;
    out = in;
    out.data = after;
    dino_ir_restorer *restorer = dino_ir_open(NULL, "cpu");
    if (!restorer || dino_ir_restore(restorer, &in, &out, NULL, NULL, NULL) != DINO_IR_STATUS_OK) {
        fprintf(stderr, "%s\n", dino_ir_last_error());
        return 1;
    }
    dino_ir_close(restorer);
    /* An error that is caused on purpose: what failed must be told through the library's own text. */
    if (dino_ir_open("no such file", "cpu") != NULL || dino_ir_last_error()[0] == '\0') {
        fprintf(stderr, "missing weights went unnoticed\n");
        return 1;
    }
    FILE *file = fopen(argv[1], "wb");
    if (!file || fwrite(after, 1, BYTES, file) != BYTES || fclose(file) != 0) {
        perror(argv[1]);
        return 1;
    }
    return 0;
}
