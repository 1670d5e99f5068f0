/* Runs models that Lathe exported: the C interface of liblathe_runtime.
 *
 *   lathe_model* model;
 *   if (lathe_model_load("best.onnx", &model) != LATHE_OK) {
 *     fprintf(stderr, "%s\n", lathe_last_error());
 *   }
 *   lathe_session* session;
 *   lathe_session_create(model, 1, 1, &session);    // batch 1, one thread
 *   memcpy(lathe_session_input(session, 0), image, bytes);
 *   lathe_session_run(session);
 *   const float* scores = lathe_session_output(session, 0);
 *   lathe_session_free(session);
 *   lathe_model_free(model);
 *
 * What is promised. The runtime holds the code that Lathe's workers measure
 * with, and a worker measures the exported file as this library loads it. On
 * a machine of the same hardware profile (CPU, instruction sets, oneDNN), with
 * the same batch and the same number of threads, outputs equal those of the
 * measured trial bit for bit: int8 layers run as int8, bf16 layers as bf16
 * (their names stand in the file's metadata; the file itself says float32).
 * Elsewhere they agree as closely as the kernels of the two machines do.
 *
 * Errors. Functions that can fail return a lathe_status; lathe_last_error()
 * then says what was wrong and what to do. On failure nothing is made and
 * output arguments are set to NULL. No exception leaves the library. Models
 * may come from strangers: bad ones are refused in bounded memory and time
 * (compressor/limits.h; running one costs what it costs).
 *
 * Threads. A lathe_model is immutable: any number of threads may use one at
 * once. A lathe_session is for one thread at a time: make one for each
 * thread. Sessions share nothing that changes, so that no lock is ever taken
 * while they run. Other functions may be called from any thread.
 *
 * Ownership. The caller frees models and sessions, in any order; a session
 * keeps what it needs of its model. Names, shapes and buffers that functions
 * return belong to the model or session, and live as long as it does.
 */
#ifndef LATHE_RUNTIME_LATHE_RUNTIME_H_
#define LATHE_RUNTIME_LATHE_RUNTIME_H_

#include <stddef.h>
#include <stdint.h>

#if defined(LATHE_RUNTIME_BUILD)
#define LATHE_RUNTIME_API __attribute__((visibility("default")))
#else
#define LATHE_RUNTIME_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lathe_model lathe_model;
typedef struct lathe_session lathe_session;

typedef enum lathe_status {
  LATHE_OK = 0,
  /* The call is at fault: NULL, an index out of range, a batch or a number of
   * threads below 1, a batch that the model does not take, a buffer of the
   * wrong size. */
  LATHE_INVALID_ARGUMENT = 1,
  /* The file cannot be read. */
  LATHE_NOT_FOUND = 2,
  /* The bytes are no ONNX model, or one that contradicts itself. */
  LATHE_INVALID_MODEL = 3,
  /* An operator, type or form that the runtime does not execute. */
  LATHE_UNSUPPORTED = 4,
  /* The model at this batch takes more memory than there is. */
  LATHE_OUT_OF_MEMORY = 5,
  /* A defect of the runtime. */
  LATHE_INTERNAL = 6
} lathe_status;

/* Element types; a bool is one byte. */
typedef enum lathe_type {
  LATHE_FLOAT32 = 1,
  LATHE_FLOAT64 = 2,
  LATHE_INT8 = 3,
  LATHE_UINT8 = 4,
  LATHE_INT16 = 5,
  LATHE_UINT16 = 6,
  LATHE_INT32 = 7,
  LATHE_UINT32 = 8,
  LATHE_INT64 = 9,
  LATHE_UINT64 = 10,
  LATHE_BOOL = 11
} lathe_type;

/* A size that the batch decides. */
#define LATHE_DYNAMIC ((int64_t)-1)

/* An input or an output. Data are dense, row-major, in the machine's byte
 * order; the batch is the first dimension. */
typedef struct lathe_tensor_info {
  const char* name;
  lathe_type type;
  int32_t rank; /* 0 for a scalar. */
  /* `rank` sizes. Of a model: LATHE_DYNAMIC where the batch decides. Of a
   * session: what they are. */
  const int64_t* sizes;
  /* Of a session: the size of its buffer. Of a model: 0. */
  size_t bytes;
} lathe_tensor_info;

/* "0.1.0". */
LATHE_RUNTIME_API const char* lathe_runtime_version(void);

/* What the last failed call on this thread said; "" before any. Lives until
 * the next call that fails on this thread. Never NULL. */
LATHE_RUNTIME_API const char* lathe_last_error(void);

/* --------------------------------------------------------------- models */

/* Reads the model at `path`.
 *
 * Errors: LATHE_INVALID_ARGUMENT, LATHE_NOT_FOUND, LATHE_INVALID_MODEL,
 * LATHE_UNSUPPORTED, LATHE_OUT_OF_MEMORY. */
LATHE_RUNTIME_API lathe_status lathe_model_load(const char* path,
                                                lathe_model** model);

/* The same from memory, which is not needed any more after the call. */
LATHE_RUNTIME_API lathe_status lathe_model_load_bytes(const void* bytes,
                                                      size_t size,
                                                      lathe_model** model);

/* NULL is allowed. */
LATHE_RUNTIME_API void lathe_model_free(lathe_model* model);

LATHE_RUNTIME_API int32_t lathe_model_input_count(const lathe_model* model);
LATHE_RUNTIME_API int32_t lathe_model_output_count(const lathe_model* model);

/* Input or output `index`, in the order of the file.
 *
 * Errors: LATHE_INVALID_ARGUMENT. */
LATHE_RUNTIME_API lathe_status lathe_model_input(const lathe_model* model,
                                                 int32_t index,
                                                 lathe_tensor_info* info);
LATHE_RUNTIME_API lathe_status lathe_model_output(const lathe_model* model,
                                                  int32_t index,
                                                  lathe_tensor_info* info);

/* The only batch that the model takes; 0 when it takes any. */
LATHE_RUNTIME_API int64_t lathe_model_fixed_batch(const lathe_model* model);

/* ------------------------------------------------------------- sessions */

/* Compiles `model` for runs of `batch` samples on `threads` threads and
 * allocates all memory that runs need. A few milliseconds to seconds; runs are
 * what is fast. `threads` counts for this session alone: the threads are
 * OpenMP's, and a session with one runs on its caller's thread.
 *
 * Errors: LATHE_INVALID_ARGUMENT, LATHE_UNSUPPORTED, LATHE_OUT_OF_MEMORY,
 * LATHE_INVALID_MODEL (shapes that contradict each other at this batch). */
LATHE_RUNTIME_API lathe_status lathe_session_create(const lathe_model* model,
                                                    int64_t batch,
                                                    int32_t threads,
                                                    lathe_session** session);

/* NULL is allowed. */
LATHE_RUNTIME_API void lathe_session_free(lathe_session* session);

/* As of the model, with all sizes known.
 *
 * Errors: LATHE_INVALID_ARGUMENT. */
LATHE_RUNTIME_API lathe_status lathe_session_input_info(
    const lathe_session* session, int32_t index, lathe_tensor_info* info);
LATHE_RUNTIME_API lathe_status lathe_session_output_info(
    const lathe_session* session, int32_t index, lathe_tensor_info* info);

/* The buffers that lathe_session_run reads and writes, aligned to 64 bytes;
 * NULL when `index` is out of range. They keep their contents between runs. */
LATHE_RUNTIME_API void* lathe_session_input(lathe_session* session,
                                            int32_t index);
LATHE_RUNTIME_API const void* lathe_session_output(const lathe_session* session,
                                                   int32_t index);

/* Computes the outputs from the inputs. Allocates nothing for networks that
 * run on kernels alone. Denormal numbers count as zero while it runs.
 *
 * Errors: LATHE_INVALID_ARGUMENT (data that an operator refuses, for instance
 * an index of Gather), LATHE_OUT_OF_MEMORY, LATHE_INTERNAL. */
LATHE_RUNTIME_API lathe_status lathe_session_run(lathe_session* session);

/* The same with buffers of the caller: copies `input_sizes[i]` bytes from
 * `inputs[i]` for each input, runs, copies each output to `outputs[i]` of
 * `output_sizes[i]` bytes. Sizes must be those of the infos.
 *
 * Errors: as lathe_session_run. */
LATHE_RUNTIME_API lathe_status
lathe_session_run_with(lathe_session* session, const void* const* inputs,
                       const size_t* input_sizes, void* const* outputs,
                       const size_t* output_sizes);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* LATHE_RUNTIME_LATHE_RUNTIME_H_ */
