/* run_model MODEL BATCH THREADS REPEAT INPUT... : runs a model and writes its
 * outputs.
 *
 * INPUTs are files of raw numbers, one for each input of the model. Output i
 * goes to INPUT_0.out_i. REPEAT threads of the program run the model at the
 * same time, each in a session of its own; all must compute the same. */
#include <lathe_runtime.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char* kUsage =
    "usage: run_model MODEL BATCH THREADS REPEAT INPUT...\n";

static int fail(const char* what) {
  fprintf(stderr, "run_model: %s: %s\n", what, lathe_last_error());
  return 1;
}

static void print_info(const char* what, const lathe_tensor_info* info) {
  fprintf(stderr, "%s %s: type %d, sizes", what, info->name, (int)info->type);
  for (int32_t d = 0; d < info->rank; ++d) {
    fprintf(stderr, " %lld", (long long)info->sizes[d]);
  }
  fprintf(stderr, "\n");
}

/* Fills `buffer` with the file's bytes, of which there must be `bytes`. */
static int read_exactly(const char* path, void* buffer, size_t bytes) {
  FILE* file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    return 1;
  }
  const size_t got = fread(buffer, 1, bytes, file);
  const int is_end = fgetc(file) == EOF;
  fclose(file);
  if (got == bytes && is_end) return 0;
  fprintf(stderr, "run_model: %s has not the %zu bytes of its input\n", path,
          bytes);
  return 1;
}

static int write_output(const char* stem, int32_t index, const void* data,
                        size_t bytes) {
  char path[4096];
  snprintf(path, sizeof(path), "%s.out_%d", stem, (int)index);
  FILE* file = fopen(path, "wb");
  if (file == NULL) {
    perror(path);
    return 1;
  }
  const int is_written = fwrite(data, 1, bytes, file) == bytes;
  return fclose(file) == 0 && is_written ? 0 : 1;
}

typedef struct job {
  const lathe_model* model;
  int64_t batch;
  int32_t threads;
  char** inputs;
  lathe_session* session; /* Made by the job, freed by main. */
  int is_failed;
} job;

static void* run_job(void* argument) {
  job* j = argument;
  j->is_failed = 1;
  if (lathe_session_create(j->model, j->batch, j->threads, &j->session) !=
      LATHE_OK) {
    fail("session");
    return NULL;
  }
  for (int32_t i = 0; i < lathe_model_input_count(j->model); ++i) {
    lathe_tensor_info info;
    lathe_session_input_info(j->session, i, &info);
    if (read_exactly(j->inputs[i], lathe_session_input(j->session, i),
                     info.bytes) != 0) {
      return NULL;
    }
  }
  if (lathe_session_run(j->session) != LATHE_OK) {
    fail("run");
    return NULL;
  }
  j->is_failed = 0;
  return NULL;
}

/* Writes what the first job computed, which must be what all computed. */
static int write_outputs(const lathe_model* model, const job* jobs, int count,
                         const char* stem) {
  for (int32_t i = 0; i < lathe_model_output_count(model); ++i) {
    lathe_tensor_info info;
    lathe_session_output_info(jobs[0].session, i, &info);
    print_info("output", &info);
    const void* first = lathe_session_output(jobs[0].session, i);
    for (int k = 1; k < count; ++k) {
      if (memcmp(first, lathe_session_output(jobs[k].session, i), info.bytes) !=
          0) {
        fprintf(stderr, "run_model: two sessions do not agree\n");
        return 1;
      }
    }
    if (write_output(stem, i, first, info.bytes) != 0) return 1;
  }
  return 0;
}

int main(int argc, char** argv) {
  if (argc < 6) {
    fputs(kUsage, stderr);
    return 2;
  }
  lathe_model* model;
  if (lathe_model_load(argv[1], &model) != LATHE_OK) return fail("load");
  if (argc - 5 != lathe_model_input_count(model)) {
    fprintf(stderr, "run_model: the model has %d inputs\n",
            (int)lathe_model_input_count(model));
    return 2;
  }
  for (int32_t i = 0; i < lathe_model_input_count(model); ++i) {
    lathe_tensor_info info;
    lathe_model_input(model, i, &info);
    print_info("input", &info);
  }
  const int count = atoi(argv[4]) > 0 ? atoi(argv[4]) : 1;
  job* jobs = calloc(count, sizeof(job));
  pthread_t* threads = calloc(count, sizeof(pthread_t));
  int is_failed = 0;
  for (int k = 0; k < count; ++k) {
    const job j = {model, atoll(argv[2]), atoi(argv[3]), argv + 5, NULL, 1};
    jobs[k] = j;
    pthread_create(&threads[k], NULL, run_job, &jobs[k]);
  }
  for (int k = 0; k < count; ++k) {
    pthread_join(threads[k], NULL);
    is_failed |= jobs[k].is_failed;
  }
  if (!is_failed) is_failed = write_outputs(model, jobs, count, argv[5]);
  for (int k = 0; k < count; ++k) lathe_session_free(jobs[k].session);
  lathe_model_free(model);
  free(threads);
  free(jobs);
  return is_failed;
}
