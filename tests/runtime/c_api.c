/* What a caller in C may do wrong, and the calls that the example has not:  c_api MODEL.cvi
 * Says the line of what is not as it should be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster_runtime.h"

#define IS(expected, call)                                                                      \
    do {                                                                                        \
        int got_ = (int)(call);                                                                \
        if (got_ != (int)(expected)) {                                                         \
            fprintf(stderr, "line %d: %d (%s)\n", __LINE__, got_, cvr_status_text(got_));     \
            return 1;                                                                           \
        }                                                                                       \
    } while (0)
#define HOLDS(what) IS(1, (what) ? 1 : 0)

enum { LENGTH = 784, FRAMES = 3 };
static cvr_engine engine, other;
static float frames[FRAMES * LENGTH + 1], trust[LENGTH];

int main(int count, char **arguments) {
    HOLDS(count == 2 && cvr_abi_version() == CVR_ABI_VERSION);
    for (int status = -3; status < 40; status++) {
        HOLDS(cvr_status_text(status) && strlen(cvr_status_text(status)) > 3);
    }
    HOLDS(cvr_status_text(2147483647) && cvr_status_text(-2147483647));

    static unsigned char image[1 << 20];
    FILE *file = fopen(arguments[1], "rb");
    HOLDS(file);
    size_t length = fread(image, 1, sizeof image, file), needed = 0, done = 9;
    fclose(file);
    IS(CVR_STATUS_OK, cvr_scratch_len(image, length, &needed));
    float *scratch = malloc((needed + 1) * sizeof *scratch);
    char *odd = (char *)scratch + 1;
    cvr_assignment found[FRAMES];
    cvr_model model;
    cvr_outside outside;

    /* Memory that nobody opened: zeros, and whatever else. */
    for (int content = 0; content < 256; content += 51) {
        memset(&other, content, sizeof other);
        IS(CVR_STATUS_NOT_OPEN, cvr_assign(&other, frames, LENGTH, found));
        IS(CVR_STATUS_NOT_OPEN, cvr_assign_u8(&other, image, LENGTH, found));
        IS(CVR_STATUS_NOT_OPEN, cvr_assign_batch(&other, frames, LENGTH, found, 1, &done));
        IS(CVR_STATUS_NOT_OPEN, cvr_first_outside(&other, frames, LENGTH, &outside));
        IS(CVR_STATUS_NOT_OPEN, cvr_model_of(&other, &model));
        IS(CVR_STATUS_NOT_OPEN, cvr_critic_scratch_len(&other, &needed));
        IS(0, done);
    }
    IS(CVR_STATUS_OK, cvr_scratch_len(image, length, &needed));
    IS(CVR_STATUS_OK, cvr_open(image, length, scratch, needed, &engine));
    other = engine;
    IS(CVR_STATUS_NOT_OPEN, cvr_assign(&other, frames, LENGTH, found));

    /* Pointers that are null or between two places. */
    IS(CVR_STATUS_NULL, cvr_assign(NULL, frames, LENGTH, found));
    IS(CVR_STATUS_NULL, cvr_assign(&engine, NULL, LENGTH, found));
    IS(CVR_STATUS_NULL, cvr_assign(&engine, frames, LENGTH, NULL));
    IS(CVR_STATUS_NULL, cvr_assign_u8(&engine, NULL, LENGTH, found));
    IS(CVR_STATUS_NULL, cvr_assign_batch(&engine, frames, LENGTH, NULL, 1, NULL));
    IS(CVR_STATUS_NULL, cvr_first_outside(&engine, frames, LENGTH, NULL));
    IS(CVR_STATUS_NULL, cvr_scratch_len(NULL, length, &needed));
    IS(CVR_STATUS_NULL, cvr_scratch_len(image, length, NULL));
    IS(CVR_STATUS_NULL, cvr_model_of(&engine, NULL));
    IS(CVR_STATUS_MISALIGNED, cvr_assign((cvr_engine *)(void *)odd, frames, LENGTH, found));
    IS(CVR_STATUS_MISALIGNED, cvr_assign(&engine, (float *)(void *)odd, LENGTH, found));
    IS(CVR_STATUS_MISALIGNED, cvr_assign(&engine, frames, LENGTH, (cvr_assignment *)(void *)odd));
    IS(CVR_STATUS_MISALIGNED, cvr_first_outside(&engine, (float *)(void *)odd, LENGTH, &outside));
    IS(CVR_STATUS_MISALIGNED, cvr_scratch_len(image, length, (size_t *)(void *)odd));
    IS(CVR_STATUS_MISALIGNED, cvr_open(image, length, scratch, needed, (cvr_engine *)(void *)odd));
    IS(CVR_STATUS_IMAGE, cvr_scratch_len(image + 1, length - 1, &needed));
    /* Longer than any memory. */
    IS(CVR_STATUS_FRAME_LENGTH, cvr_assign(&engine, frames, (size_t)-1, found));
    IS(CVR_STATUS_FRAME_LENGTH, cvr_assign_batch(&engine, frames, LENGTH, found, (size_t)-1, &done));

    /* The calls of a batch, of a model, of its critic. */
    for (int at = 0; at < FRAMES * LENGTH; at++) {
        frames[at] = (float)(at % 29 < 6 + at / LENGTH);
    }
    IS(CVR_STATUS_OK, cvr_assign_batch(&engine, frames, FRAMES * LENGTH, found, FRAMES, &done));
    HOLDS(done == FRAMES);
    for (int at = 0; at < FRAMES; at++) {
        cvr_assignment one;
        IS(CVR_STATUS_OK, cvr_assign(&engine, frames + at * LENGTH, LENGTH, &one));
        HOLDS(one.cluster == found[at].cluster && one.novelty == found[at].novelty);
    }
    frames[LENGTH + 5] /= 0.0f;
    frames[LENGTH + 5] -= frames[LENGTH + 5];
    IS(CVR_STATUS_FRAME_NOT_FINITE, cvr_assign_batch(&engine, frames, FRAMES * LENGTH, found, FRAMES, &done));
    HOLDS(done == 1);
    IS(CVR_STATUS_OK, cvr_model_of(&engine, &model));
    HOLDS(model.channels == 1 && model.height == 28 && model.width == 28 && model.clusters == found[0].clusters);
    HOLDS(model.has_critic && model.has_range && model.hop == 0 && model.checksum != 0);
    IS(CVR_STATUS_OK, cvr_critic_scratch_len(&engine, &needed));
    float *more = malloc(needed * sizeof *more);
    IS(CVR_STATUS_SCRATCH, cvr_explain(&engine, more, needed - 1, frames, LENGTH, trust, LENGTH, found));
    IS(CVR_STATUS_FRAME_LENGTH, cvr_explain(&engine, more, needed, frames, LENGTH, trust, LENGTH - 1, found));
    IS(CVR_STATUS_OK, cvr_explain(&engine, more, needed, frames, LENGTH, trust, LENGTH, found));
    for (int at = 0; at < LENGTH; at++) {
        HOLDS(trust[at] >= 0.0f && trust[at] <= 1.0f);
    }
    /* What fails to open is closed. */
    image[length / 2] ^= 1;
    IS(CVR_STATUS_IMAGE, cvr_open(image, length, scratch, needed, &engine));
    IS(CVR_STATUS_NOT_OPEN, cvr_assign(&engine, frames, LENGTH, found));
    free(more);
    free(scratch);
    return 0;
}
