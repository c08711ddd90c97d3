/* Labels a frame of bytes with a flash image:  label MODEL.cvi FRAME
 * FRAME holds one byte a value, such as the 784 grey levels of a digit. */
#include <stdio.h>
#include <stdlib.h>

#include "cluster_runtime.h"

/* Memory from malloc is aligned well enough for an image. */
static unsigned char *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        return NULL;
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    unsigned char *bytes = size > 0 ? malloc((size_t)size) : NULL;
    *length = bytes ? fread(bytes, 1, (size_t)size, file) : 0;
    fclose(file);
    return bytes;
}

static int fails(const char *what, cvr_status status) {
    fprintf(stderr, "%s: %s\n", what, cvr_status_text(status));
    return (int)status;
}

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "usage: label MODEL.cvi FRAME\n");
        return 64;
    }
    size_t image_len = 0, frame_len = 0, scratch_len = 0;
    unsigned char *image = read_file(arguments[1], &image_len);
    unsigned char *frame = read_file(arguments[2], &frame_len);
    if (!image || !frame) {
        fprintf(stderr, "a file cannot be read\n");
        return 65;
    }
    cvr_status status = cvr_scratch_len(image, image_len, &scratch_len);
    if (status != CVR_STATUS_OK) {
        return fails(arguments[1], status);
    }
    static cvr_engine engine;
    float *scratch = malloc(scratch_len * sizeof *scratch);
    status = cvr_open(image, image_len, scratch, scratch_len, &engine);
    if (status != CVR_STATUS_OK) {
        return fails(arguments[1], status);
    }
    cvr_assignment found;
    status = cvr_assign_u8(&engine, frame, frame_len, &found);
    if (status != CVR_STATUS_OK) {
        return fails(arguments[2], status);
    }
    printf("cluster %u of %u, confidence %.4f, runner-up %d, novelty %.3f%s%s\n", (unsigned)found.cluster,
           (unsigned)found.clusters, found.confidence, (int)found.runner_up, found.novelty,
           found.is_novel ? " (novel)" : "", found.is_outside ? " (outside the range of training)" : "");
    free(scratch);
    free(frame);
    free(image);
    return 0;
}
