// A host's stream of one int64 column `n` that counts up, over buffers of the host's own; knows how often what was released.
#ifndef HOST_STREAM_H
#define HOST_STREAM_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plasmon.h"

typedef struct host_stream {
  int64_t batches_left;
  int64_t rows;             // of each batch
  int64_t next;             // value of the next row
  int64_t fail_after;       // batches until get_next fails; -1 = never
  const void* last_values;  // of the last batch given
  plasmon_query closes;     // a query that get_next closes
  int64_t* shared;          // values that every batch shows, in place of ones of its own
  void (*at_release)(void);  // runs when an array is released
  int schemas_made;
  int schemas_released, arrays_made, arrays_released, stream_released;
} host_stream;

typedef struct host_schema {
  host_stream* host;
  struct ArrowSchema child;
  struct ArrowSchema* children[1];
} host_schema;

static void host_release_schema_child(struct ArrowSchema* schema) { schema->release = NULL; }

static void host_release_schema(struct ArrowSchema* schema) {
  host_schema* held = (host_schema*)schema->private_data;
  held->host->schemas_released++;
  free(held);
  schema->release = NULL;
}

static int host_get_schema(struct ArrowArrayStream* stream, struct ArrowSchema* out) {
  host_schema* held = (host_schema*)calloc(1, sizeof *held);
  held->host = (host_stream*)stream->private_data;
  held->host->schemas_made++;
  held->child.format = "l";
  held->child.name = "n";
  held->child.flags = ARROW_FLAG_NULLABLE;
  held->child.release = host_release_schema_child;
  held->children[0] = &held->child;
  memset(out, 0, sizeof *out);
  out->format = "+s";
  out->name = "";
  out->n_children = 1;
  out->children = held->children;
  out->private_data = held;
  out->release = host_release_schema;
  return 0;
}

typedef struct host_batch {
  host_stream* host;
  struct ArrowArray child;
  struct ArrowArray* children[1];
  const void* struct_buffers[1];
  const void* value_buffers[2];
} host_batch;

static void host_release_child(struct ArrowArray* array) { array->release = NULL; }

static void host_release_array(struct ArrowArray* array) {
  host_batch* batch = (host_batch*)array->private_data;
  __atomic_fetch_add(&batch->host->arrays_released, 1, __ATOMIC_RELAXED);
  if (batch->host->at_release) batch->host->at_release();
  if (!batch->host->shared) free((void*)batch->value_buffers[1]);
  free(batch);
  array->release = NULL;
}

static void host_make_batch(host_stream* host, struct ArrowArray* out) {
  host_batch* batch = (host_batch*)calloc(1, sizeof *batch);
  int64_t* values = host->shared;
  if (!values) {
    values = (int64_t*)malloc((size_t)(host->rows ? host->rows : 1) * sizeof(int64_t));
    for (int64_t row = 0; row < host->rows; row++) values[row] = host->next++;
  }
  batch->host = host;
  batch->value_buffers[1] = values;
  batch->child.length = host->rows;
  batch->child.n_buffers = 2;
  batch->child.buffers = batch->value_buffers;
  batch->child.release = host_release_child;
  batch->children[0] = &batch->child;
  memset(out, 0, sizeof *out);
  out->length = host->rows;
  out->n_buffers = 1;
  out->buffers = batch->struct_buffers;
  out->n_children = 1;
  out->children = batch->children;
  out->private_data = batch;
  out->release = host_release_array;
  host->last_values = values;
  host->arrays_made++;
}

static int host_get_next(struct ArrowArrayStream* stream, struct ArrowArray* out) {
  host_stream* host = (host_stream*)stream->private_data;
  memset(out, 0, sizeof *out);
  if (host->closes.id) {
    plasmon_query_close(host->closes);
    host->closes.id = 0;
  }
  if (host->fail_after == 0) return EIO;
  if (host->fail_after > 0) host->fail_after--;
  if (host->batches_left == 0) return 0;
  host->batches_left--;
  host_make_batch(host, out);
  return 0;
}

static const char* host_get_last_error(struct ArrowArrayStream* stream) {
  (void)stream;
  return "the host's disk is gone";
}

static void host_release_stream(struct ArrowArrayStream* stream) {
  __atomic_fetch_add(&((host_stream*)stream->private_data)->stream_released, 1, __ATOMIC_RELEASE);
  stream->release = NULL;
}

static struct ArrowArrayStream host_open(host_stream* host, int64_t batches, int64_t rows) {
  memset(host, 0, sizeof *host);
  host->batches_left = batches;
  host->rows = rows;
  host->fail_after = -1;
  struct ArrowArrayStream stream = {host_get_schema, host_get_next, host_get_last_error, host_release_stream, host};
  return stream;
}

#endif
