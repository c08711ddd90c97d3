/* The native engine for C. Written by cbindgen from runtime/c/src/lib.rs; see runtime/c/examples/label.c. */

#ifndef CLUSTER_RUNTIME_H
#define CLUSTER_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 Most clusters of a model.
 */
#define CVR_MAX_CLUSTERS 64

/*
 The version of this interface: a program and a library of different versions do not go together. cvr_abi_version says
 the library's.
 */
#define CVR_ABI_VERSION 2

/*
 8-byte words of an engine.
 */
#define CVR_ENGINE_WORDS 384

/*
 How a call ended.
 */
typedef enum cvr_status {
  /*
   Done.
   */
  CVR_STATUS_OK = 0,
  /*
   A pointer is null.
   */
  CVR_STATUS_NULL = 1,
  /*
   The bytes are no flash image of this version, or are damaged.
   */
  CVR_STATUS_IMAGE = 2,
  /*
   The scratch memory is shorter than cvr_scratch_len says, or not aligned to 4 bytes.
   */
  CVR_STATUS_SCRATCH = 3,
  /*
   The golden frame does not give its golden answer.
   */
  CVR_STATUS_SELF_TEST = 4,
  /*
   The frame has another number of values than the model takes.
   */
  CVR_STATUS_FRAME_LENGTH = 5,
  /*
   A value of the frame is NaN or infinite.
   */
  CVR_STATUS_FRAME_NOT_FINITE = 6,
  /*
   The values of the frame are far out of range.
   */
  CVR_STATUS_FRAME_OVERFLOW = 7,
  /*
   A defect of this library.
   */
  CVR_STATUS_INTERNAL = 8,
  /*
   A pointer is not aligned as what it points at must be.
   */
  CVR_STATUS_MISALIGNED = 9,
  /*
   The engine was not opened, its last opening failed, or it was copied to another place.
   */
  CVR_STATUS_NOT_OPEN = 10,
  /*
   The image has no critic, or its section makes no sense.
   */
  CVR_STATUS_CRITIC = 11,
} cvr_status;

/*
 A model ready to assign frames: memory of the caller, whose content is the library's. A copy is not open.

 One thread uses an engine at a time. Different engines may be used at once, also on one image; but each has scratch
 memory of its own. No function keeps anything elsewhere, so interrupts may use engines of their own.
 */
typedef struct cvr_engine {
  uint64_t words[CVR_ENGINE_WORDS];
} cvr_engine;

/*
 What an image says of its model.
 */
typedef struct cvr_model {
  /*
   Tells one model from another.
   */
  uint32_t checksum;
  /*
   Channels of a frame, which come first.
   */
  uint32_t channels;
  /*
   Rows of a frame.
   */
  uint32_t height;
  /*
   Columns of a frame.
   */
  uint32_t width;
  /*
   Number of clusters K.
   */
  uint32_t clusters;
  /*
   Dimensions D of the latent.
   */
  uint32_t latent;
  /*
   Novelty past which a frame is novel, nats.
   */
  float novelty_threshold;
  /*
   Samples from the begin of a window to that of the next; 0 if the image does not say.
   */
  uint32_t hop;
  /*
   Samples a second; 0 if the image does not say.
   */
  float rate;
  /*
   True if the image says what values training saw.
   */
  bool has_range;
  /*
   True if there is a critic, for cvr_explain.
   */
  bool has_critic;
} cvr_model;

/*
 What the model says of a frame.
 */
typedef struct cvr_assignment {
  /*
   The most probable cluster, from 0.
   */
  uint32_t cluster;
  /*
   The probability q(c|x) of that cluster.
   */
  float confidence;
  /*
   The second most probable cluster, -1 if there is only one.
   */
  int32_t runner_up;
  /*
   Negative log-likelihood of the latent under the mixture, nats.
   */
  float novelty;
  /*
   True if novelty is past the model's threshold.
   */
  bool is_novel;
  /*
   True if a value lies outside the range seen in training, so that the rest is not to be trusted; false if the
   image does not say what that was. cvr_first_outside tells which.
   */
  bool is_outside;
  /*
   Number of clusters K.
   */
  uint32_t clusters;
  /*
   q(c|x) of the first K.
   */
  float responsibilities[CVR_MAX_CLUSTERS];
} cvr_assignment;

/*
 A value of a frame that lies outside the range seen in training.
 */
typedef struct cvr_outside {
  /*
   True if there is one; the rest is 0 otherwise.
   */
  bool found;
  /*
   Its index in the frame.
   */
  uint32_t index;
  /*
   The value.
   */
  float value;
  /*
   The least value that training saw of its channel or column.
   */
  float least;
  /*
   The largest.
   */
  float most;
} cvr_outside;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The version of the library's interface, to be compared with CVR_ABI_VERSION.
 */
uint32_t cvr_abi_version(void);

/*
 Writes the floats of scratch memory that an engine for this image needs.

 # Safety
 `image` holds `image_len` bytes, `needed` is writable.
 */
enum cvr_status cvr_scratch_len(const uint8_t *image, size_t image_len, size_t *needed);

/*
 Opens an image, checks every byte of it, and runs its self-test. After an error the engine is not open.

 Image and scratch memory must stay, and not be touched, as long as the engine is used. Nothing needs closing.

 # Safety
 `image` holds `image_len` bytes, `scratch` `scratch_len` floats, `engine` is writable.
 */
enum cvr_status cvr_open(const uint8_t *image,
                         size_t image_len,
                         float *scratch,
                         size_t scratch_len,
                         struct cvr_engine *engine);

/*
 Writes what the image of an engine says of its model.

 # Safety
 `engine` is memory of an engine, `model` is writable.
 */
enum cvr_status cvr_model_of(const struct cvr_engine *engine, struct cvr_model *model);

/*
 Assigns a frame of floats, channels first, in the units of the training data.

 # Safety
 `engine` is memory of an engine, `frame` holds `frame_len` floats, `assignment` is writable.
 */
enum cvr_status cvr_assign(struct cvr_engine *engine,
                           const float *frame,
                           size_t frame_len,
                           struct cvr_assignment *assignment);

/*
 Assigns a frame of bytes, each divided by 255, as images are.

 # Safety
 As cvr_assign, with bytes.
 */
enum cvr_status cvr_assign_u8(struct cvr_engine *engine,
                              const uint8_t *frame,
                              size_t frame_len,
                              struct cvr_assignment *assignment);

/*
 Assigns `count` frames of floats that follow each other, one after another and without a heap. Before the first that is
 refused all are assigned; `done`, which may be null, says how many.

 # Safety
 As cvr_assign; `frames` holds `frames_len` floats, `assignments` has room for `count`, `done` is null or writable.
 */
enum cvr_status cvr_assign_batch(struct cvr_engine *engine,
                                 const float *frames,
                                 size_t frames_len,
                                 struct cvr_assignment *assignments,
                                 size_t count,
                                 size_t *done);

/*
 Writes the floats of scratch memory that cvr_explain needs beside the engine's.

 # Safety
 `engine` is memory of an engine, `needed` is writable.
 */
enum cvr_status cvr_critic_scratch_len(const struct cvr_engine *engine, size_t *needed);

/*
 Assigns a frame as cvr_assign does, and writes how well each of its values is what the model expects, 0 to 1.

 The critic's weights are looked at anew in every call. `trust` has as many values as the frame; of a model with a front
 end, which sees features, as many as those.

 # Safety
 As cvr_assign; `scratch` holds `scratch_len` floats, `trust` `trust_len`, and neither overlaps anything else.
 */
enum cvr_status cvr_explain(struct cvr_engine *engine,
                            float *scratch,
                            size_t scratch_len,
                            const float *frame,
                            size_t frame_len,
                            float *trust,
                            size_t trust_len,
                            struct cvr_assignment *assignment);

/*
 Tells the first value of a frame, as cvr_assign takes it, that lies outside the range seen in training.

 # Safety
 As cvr_assign; `outside` is writable.
 */
enum cvr_status cvr_first_outside(const struct cvr_engine *engine,
                                  const float *frame,
                                  size_t frame_len,
                                  struct cvr_outside *outside);

/*
 What a status means, in English; never null, whatever the number.
 */
const char *cvr_status_text(int32_t status);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CLUSTER_RUNTIME_H */
