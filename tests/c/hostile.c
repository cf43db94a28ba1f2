/* What a caller can do wrong gives a code and a message, not a crash; two threads work side by side.
 * Prints a line for each expectation that fails; exits with their number. */
#include "dino_ir.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 40, HEIGHT = 24, CHANNELS = 3, BYTES = WIDTH * HEIGHT * CHANNELS };

static int failures;

static void expect(int line, int status, int expected) {
    const char *message = dino_ir_last_error();
    if (status != expected) {
        printf("line %d: status %d, not %d (%s)\n", line, status, expected, message);
        failures++;
    }
    if (expected != DINO_IR_STATUS_OK && (!message || !*message)) {
        printf("line %d: no message\n", line);
        failures++;
    }
}
#define EXPECT(status, call) expect(__LINE__, (call), DINO_IR_STATUS_##status)

static dino_ir_image image(void *data) {
    dino_ir_image image = {0};
    image.struct_size = sizeof image;
    image.data = data;
    image.stride = WIDTH * CHANNELS;
    image.width = WIDTH;
    image.height = HEIGHT;
    image.channels = CHANNELS;
    image.sample = DINO_IR_SAMPLE_U8;
    return image;
}

static dino_ir_options options(void) {
    dino_ir_options options = {0};
    options.struct_size = sizeof options;
    options.strength = 1;
    return options;
}

static int cancel_at_half(uint32_t done, uint32_t total, void *user) {
    if (total < 2)
        return 0;
    if (done * 2 >= total) {
        *(uint32_t *)user = done;
        return 1;
    }
    return 0;
}

struct work {
    unsigned char out[BYTES];
    const unsigned char *in;
    int status;
};

static void *restore_twice(void *argument) {
    struct work *work = argument;
    work->status = DINO_IR_STATUS_INTERNAL;
    dino_ir_restorer *restorer = dino_ir_open(NULL, "cpu");
    for (int i = 0; restorer && i < 2; i++) {
        dino_ir_image in = image((void *)work->in), out = image(work->out);
        work->status = dino_ir_restore(restorer, &in, &out, NULL, NULL, NULL);
        if (work->status)
            break;
    }
    dino_ir_close(restorer);
    return NULL;
}

int main(int argc, char **argv) {
    static unsigned char before[BYTES], after[BYTES], copy[BYTES];
    for (int i = 0; i < BYTES; i++)
        before[i] = (unsigned char)(i * 7919 >> 3);

    if (argc != 2 || dino_ir_abi_version() != DINO_IR_ABI_VERSION || !dino_ir_last_error()) {
        printf("usage: %s BROKEN-WEIGHTS, with the library that the header is from\n", argv[0]);
        return 100;
    }

    /* Opening. */
    struct { const char *path, *device, *says; } bad[] = {
        {"/no/such/weights.safetensors", "cpu", "/no/such/weights.safetensors"},
        {"/", "cpu", "/"},
        {"", "cpu", ""},
        {argv[1], "cpu", argv[1]},
        {NULL, "toaster", "toaster"},
        {NULL, "cuda:99999999999999999999", "cuda"},
        {NULL, "\xff\xfe", "device"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (dino_ir_open(bad[i].path, bad[i].device)) {
            printf("opened bad case %zu\n", i);
            failures++;
        } else if (!strstr(dino_ir_last_error(), bad[i].says) || !*dino_ir_last_error()) {
            printf("bad case %zu says %s\n", i, dino_ir_last_error());
            failures++;
        }
    }
    dino_ir_restorer *restorer = dino_ir_open(NULL, NULL);
    if (!restorer) {
        printf("%s\n", dino_ir_last_error());
        return 101;
    }

    /* Handles. */
    dino_ir_image in = image(before), out = image(after);
    dino_ir_options opts = options();
    EXPECT(INVALID_ARGUMENT, dino_ir_restore(NULL, &in, &out, NULL, NULL, NULL));
    EXPECT(INVALID_ARGUMENT, dino_ir_restore((void *)before, &in, &out, NULL, NULL, NULL));
    EXPECT(INVALID_ARGUMENT, dino_ir_restore((void *)-1, &in, &out, NULL, NULL, NULL));
    dino_ir_close(NULL);
    dino_ir_close((void *)before);

    /* Structures. */
    EXPECT(INVALID_ARGUMENT, dino_ir_restore(restorer, NULL, &out, NULL, NULL, NULL));
    EXPECT(INVALID_ARGUMENT, dino_ir_restore(restorer, &in, NULL, NULL, NULL, NULL));
    EXPECT(INVALID_ARGUMENT, dino_ir_restore(restorer, (void *)(before + 1), &out, NULL, NULL, NULL));
#define BAD_IMAGE(STATUS, member, value)                                              \
    in = image(before), in.member = (value);                                          \
    EXPECT(STATUS, dino_ir_restore(restorer, &in, &out, NULL, NULL, NULL));           \
    in = image(before), out.member = (value);                                         \
    EXPECT(STATUS, dino_ir_restore(restorer, &in, &out, NULL, NULL, NULL));           \
    out = image(after)
    BAD_IMAGE(INVALID_ARGUMENT, struct_size, 0);
    BAD_IMAGE(INVALID_ARGUMENT, struct_size, sizeof in - 1);
    BAD_IMAGE(INVALID_ARGUMENT, struct_size, sizeof in + 8);
    BAD_IMAGE(INVALID_ARGUMENT, struct_size, SIZE_MAX);
    BAD_IMAGE(INVALID_ARGUMENT, data, NULL);
    BAD_IMAGE(INVALID_IMAGE, data, (void *)(UINTPTR_MAX - 16));
    BAD_IMAGE(INVALID_IMAGE, width, 0);
    BAD_IMAGE(INVALID_IMAGE, height, 0);
    BAD_IMAGE(INVALID_IMAGE, width, UINT32_MAX);
    BAD_IMAGE(INVALID_IMAGE, height, HEIGHT - 1);
    BAD_IMAGE(INVALID_IMAGE, channels, 0);
    BAD_IMAGE(INVALID_IMAGE, channels, 5);
    BAD_IMAGE(INVALID_IMAGE, channels, 1);
    BAD_IMAGE(INVALID_IMAGE, sample, 3);
    BAD_IMAGE(INVALID_IMAGE, sample, UINT32_MAX);
    BAD_IMAGE(INVALID_IMAGE, stride, 0);
    BAD_IMAGE(INVALID_IMAGE, stride, WIDTH * CHANNELS - 1);
    BAD_IMAGE(INVALID_IMAGE, stride, SIZE_MAX);
    BAD_IMAGE(INVALID_IMAGE, stride, SIZE_MAX / (HEIGHT - 1));
    in = image(before);
    out = image(before + WIDTH);
    EXPECT(INVALID_IMAGE, dino_ir_restore(restorer, &in, &out, NULL, NULL, NULL));
    out = image(after);

    /* Maps. */
#define BAD_MAP(STATUS, map) \
    EXPECT(STATUS, dino_ir_restore_with_uncertainty(restorer, &in, &out, map, NULL, NULL, NULL, NULL))
    dino_ir_image map = image(after);
    BAD_MAP(INVALID_ARGUMENT, NULL);
    BAD_MAP(INVALID_IMAGE, &map);
    map.channels = 1;
    BAD_MAP(INVALID_IMAGE, &map);
    map.data = before;
    BAD_MAP(INVALID_IMAGE, &map);
    map.data = NULL;
    BAD_MAP(INVALID_ARGUMENT, &map);

    /* Options. */
#define BAD_OPTION(STATUS, member, value)                                             \
    opts = options(), opts.member = (value);                                          \
    EXPECT(STATUS, dino_ir_restore(restorer, &in, &out, &opts, NULL, NULL))
    BAD_OPTION(INVALID_ARGUMENT, struct_size, 4);
    BAD_OPTION(INVALID_OPTION, strength, 1.5f);
    BAD_OPTION(INVALID_OPTION, strength, -1);
    BAD_OPTION(INVALID_OPTION, strength, (float)(0.0 / 0.0 * 1));
    BAD_OPTION(INVALID_OPTION, tile, 3);
    opts = options(), opts.tile = 16, opts.overlap = UINT32_MAX;
    EXPECT(INVALID_OPTION, dino_ir_restore(restorer, &in, &out, &opts, NULL, NULL));
    BAD_OPTION(OUT_OF_MEMORY, memory, 1);
    for (int i = 0; i < BYTES; i++)
        if (after[i]) {
            printf("an error left pixels behind\n");
            failures++;
            break;
        }

    /* Profiles. */
    EXPECT(INVALID_IMAGE, dino_ir_set_profile(restorer, before, BYTES));
    EXPECT(INVALID_IMAGE, dino_ir_set_profile(restorer, before, 0));
    EXPECT(INVALID_ARGUMENT, dino_ir_set_profile(restorer, NULL, 1));
    EXPECT(INVALID_ARGUMENT, dino_ir_set_profile(restorer, before, SIZE_MAX));
    EXPECT(INVALID_ARGUMENT, dino_ir_set_profile(NULL, before, BYTES));
    EXPECT(OK, dino_ir_set_profile(restorer, NULL, 0));

    /* Cancelling, with enough tiles for a half; then the restorer still works. */
    uint32_t stopped = 0;
    opts = options();
    opts.tile = 16;
    opts.overlap = 8;
    EXPECT(CANCELLED, dino_ir_restore(restorer, &in, &out, &opts, cancel_at_half, &stopped));
    if (stopped < 2) {
        printf("cancelled after %u tiles\n", stopped);
        failures++;
    }
    EXPECT(OK, dino_ir_restore(restorer, &in, &out, NULL, NULL, NULL));
    memcpy(copy, after, BYTES);

    /* A crop: only its own pixels change. */
    memset(after, 77, BYTES);
    in.data = before + 5 * WIDTH * CHANNELS + 8 * CHANNELS;
    out.data = after + 5 * WIDTH * CHANNELS + 8 * CHANNELS;
    in.width = out.width = 17;
    in.height = out.height = 11;
    EXPECT(OK, dino_ir_restore(restorer, &in, &out, NULL, NULL, NULL));
    int inside = 0;
    for (int i = 0; i < BYTES; i++) {
        int y = i / (WIDTH * CHANNELS), x = i % (WIDTH * CHANNELS) / CHANNELS;
        int in_crop = y >= 5 && y < 16 && x >= 8 && x < 25;
        if (!in_crop && after[i] != 77) {
            printf("pixel %d, %d outside of the crop was written\n", x, y);
            failures++;
            break;
        }
        inside += in_crop && after[i] != 77;
    }
    if (inside < 17 * 11) {
        printf("only %d samples of the crop were written\n", inside);
        failures++;
    }

    /* Two threads with a restorer each. */
    static struct work work[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        work[i].in = before;
        if (pthread_create(&threads[i], NULL, restore_twice, &work[i]))
            return 102;
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        EXPECT(OK, work[i].status);
        if (memcmp(work[i].out, copy, BYTES)) {
            printf("thread %d got other pixels\n", i);
            failures++;
        }
    }

    /* Closed handles are seen. */
    dino_ir_close(restorer);
    dino_ir_close(restorer);
    in = image(before), out = image(after);
    EXPECT(INVALID_ARGUMENT, dino_ir_restore(restorer, &in, &out, NULL, NULL, NULL));
    return failures;
}
