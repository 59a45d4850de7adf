// Plasmon's C ABI. Generated from ffi/c/src by the test `the_header_is_current`; do not edit.
//
// Every function returns a plasmon_code and never throws, exits or aborts; plasmon_last_error() tells what went wrong on this thread. Handles are
// numbers: closed, foreign and invented ones are refused with PLASMON_CODE_INVALID_HANDLE. ABI.md has the rules of ownership, threads and versions.
//
// Apache License 2.0.

#ifndef PLASMON_H
#define PLASMON_H

#include <stddef.h>
#include <stdint.h>

// The Arrow C Data and C Stream Interfaces, word for word: https://arrow.apache.org/docs/format/CDataInterface.html
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema** children;
  struct ArrowSchema* dictionary;
  void (*release)(struct ArrowSchema*);
  void* private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  struct ArrowArray** children;
  struct ArrowArray* dictionary;
  void (*release)(struct ArrowArray*);
  void* private_data;
};
#endif  // ARROW_C_DATA_INTERFACE

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE
struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream*, struct ArrowSchema* out);
  int (*get_next)(struct ArrowArrayStream*, struct ArrowArray* out);
  const char* (*get_last_error)(struct ArrowArrayStream*);
  void (*release)(struct ArrowArrayStream*);
  void* private_data;
};
#endif  // ARROW_C_STREAM_INTERFACE


// The version of the ABI: the higher 16 bits change when programs must be compiled anew, the lower 16 when something was added.
#define PLASMON_ABI_VERSION (1 << 16)

// Kind of a failure. Numbers are part of the ABI: new ones are added, old ones stay.
typedef enum plasmon_code {
  // No failure.
  PLASMON_CODE_OK = 0,
  // An argument is null, out of range, or no UTF-8.
  PLASMON_CODE_INVALID_ARGUMENT = 1,
  // A handle is closed, of another kind, or was never given.
  PLASMON_CODE_INVALID_HANDLE = 2,
  // An Arrow struct breaks the C Data Interface, or its data is malformed.
  PLASMON_CODE_INVALID_ARROW = 3,
  // The call is out of order: the statement has no text, the result is over, the stream was taken.
  PLASMON_CODE_INVALID_STATE = 4,
  // Another thread, or this one further up its stack, is inside a call on the same handle.
  PLASMON_CODE_BUSY = 5,
  // The caller was compiled for an ABI that this library does not serve.
  PLASMON_CODE_UNSUPPORTED_VERSION = 6,
  // The statement, an option or a name is wrong.
  PLASMON_CODE_USER = 10,
  // A value cannot be computed: overflow, division by zero, a bad cast.
  PLASMON_CODE_DATA = 11,
  // Valid, but the engine has no way to run it.
  PLASMON_CODE_UNSUPPORTED = 12,
  // A file or store failed, or holds malformed bytes.
  PLASMON_CODE_IO = 13,
  // The memory budget is used up.
  PLASMON_CODE_OUT_OF_MEMORY = 14,
  // Cancelled by its owner.
  PLASMON_CODE_CANCELLED = 15,
  // Ran past its deadline.
  PLASMON_CODE_DEADLINE = 16,
  // A callback or stream of the host failed.
  PLASMON_CODE_HOST = 17,
  // A bug in the library.
  PLASMON_CODE_INTERNAL = 20,
} plasmon_code;

// How `plasmon_statement_explain` shows a plan.
typedef enum plasmon_explain_format {
  // An indented tree.
  PLASMON_EXPLAIN_FORMAT_TEXT = 0,
  // `{"sections": [{"title", "plan"}], "planning": […]}`.
  PLASMON_EXPLAIN_FORMAT_JSON = 1,
  // One self-contained page with a picture.
  PLASMON_EXPLAIN_FORMAT_HTML = 2,
} plasmon_explain_format;

// What one `plasmon_query_step` came to.
typedef enum plasmon_step {
  // `out` holds a batch of the result; step again.
  PLASMON_STEP_BATCH = 1,
  // Work was done; step again.
  PLASMON_STEP_MOVED = 2,
  // Nothing can be done now; step again later.
  PLASMON_STEP_BLOCKED = 3,
  // The result has ended.
  PLASMON_STEP_DONE = 4,
} plasmon_step;

// Who can mend a failure.
typedef enum plasmon_class {
  // Nobody needs to.
  PLASMON_CLASS_NONE = 0,
  // The program that calls the library.
  PLASMON_CLASS_CALLER = 1,
  // Who wrote the statement.
  PLASMON_CLASS_USER = 2,
  // Who keeps the data, files and stores.
  PLASMON_CLASS_DATA = 3,
  // Who runs the machine: memory, deadlines, cancellation.
  PLASMON_CLASS_OPERATOR = 4,
  // The library's makers.
  PLASMON_CLASS_LIBRARY = 5,
} plasmon_class;

// A failure. All texts live until the next call of `plasmon_last_error` on the same thread.
typedef struct plasmon_error {
  // A `plasmon_code`.
  int32_t code;
  // A `plasmon_class`: who can mend it.
  int32_t error_class;
  // What happened, and to what.
  const char *message;
  // The plan node that is to blame; empty when there is none.
  const char *plan_path;
  // What may help; empty when nothing is known to.
  const char *hint;
} plasmon_error;

// A statement that runs. Its rows are read by one thread at a time; every thread may cancel it and look at its progress.
typedef struct plasmon_query {
  // Zero is no query.
  uint64_t id;
} plasmon_query;

// Gets one batch, a struct array, and `context`. It may move the array out (and set `release` to null); else the array is released after it
// returns. Anything but 0 ends the query.
typedef int32_t (*plasmon_batch_callback)(void *context, struct ArrowArray *array);

// What a query has done so far.
typedef struct plasmon_progress {
  // Rows read by scans.
  uint64_t rows_read;
  // Rows of all scanned tables; -1 = unknown.
  int64_t rows_total;
  // Bytes reserved now.
  uint64_t bytes_reserved;
  // The most bytes reserved at once so far.
  uint64_t bytes_peak;
  // Time since the query was started.
  uint64_t elapsed_nanos;
} plasmon_progress;

// A session: tables, views, functions and settings. Any number of threads may use one.
typedef struct plasmon_session {
  // Zero is no session.
  uint64_t id;
} plasmon_session;

// A statement that is being put together. Threads take turns; who comes in between gets `PLASMON_CODE_BUSY`.
typedef struct plasmon_statement {
  // Zero is no statement.
  uint64_t id;
} plasmon_statement;

// Every code, in the order of their numbers.
#define plasmon_code_ALL { plasmon_code_Ok, plasmon_code_InvalidArgument, plasmon_code_InvalidHandle, plasmon_code_InvalidArrow, plasmon_code_InvalidState, plasmon_code_Busy, plasmon_code_UnsupportedVersion, plasmon_code_User, plasmon_code_Data, plasmon_code_Unsupported, plasmon_code_Io, plasmon_code_OutOfMemory, plasmon_code_Cancelled, plasmon_code_Deadline, plasmon_code_Host, plasmon_code_Internal, }

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The last failure of this thread; null when there was none. A call that succeeds leaves it as it was. Since ABI 1.0.
const struct plasmon_error *plasmon_last_error(void);

// A short name of a `plasmon_code`, e.g. `out of memory`; `unknown` for other numbers. Lives as long as the process. Since ABI 1.0.
const char *plasmon_code_name(int32_t code);

// The columns of the result. The host releases `out`. Since ABI 1.0.
int32_t plasmon_query_schema(struct plasmon_query query, struct ArrowSchema *out);

// Gives the rest of the rows as a stream, once. The host releases `out`; that ends the query, whose handle stays for its progress and metrics.
// Closing the handle ends the stream with `ECANCELED`. Since ABI 1.0.
int32_t plasmon_query_stream(struct plasmon_query query,
                             struct ArrowArrayStream *out);

// Runs the query to its end on this thread and hands each batch to `callback` on it. Since ABI 1.0.
int32_t plasmon_query_push(struct plasmon_query query, plasmon_batch_callback callback, void *context);

// Does a bounded piece of work on this thread: under the setting `driver = inline`, at most one batch moves through one chain of operators; under
// `driver = pool` the library's workers work, and this looks for a batch. `outcome` becomes a `plasmon_step`; `out` holds a batch for
// `PLASMON_STEP_BATCH` and is released else. Since ABI 1.0.
int32_t plasmon_query_step(struct plasmon_query query,
                           struct ArrowArray *out,
                           int32_t *outcome);

// Stops the query within one batch, from any thread, also while another is inside a call on it; that call fails with `PLASMON_CODE_CANCELLED`.
// Since ABI 1.0.
int32_t plasmon_query_cancel(struct plasmon_query query);

// What the query has done so far, from any thread. Since ABI 1.0.
int32_t plasmon_query_progress(struct plasmon_query query, struct plasmon_progress *out);

// The plan with what every operator did so far, as the JSON of `EXPLAIN (ANALYZE, FORMAT JSON)`, from any thread; an empty object when the
// statement has no plan. Free `*out` with `plasmon_text_free`. Since ABI 1.0.
int32_t plasmon_query_metrics(struct plasmon_query query,
                              char **out);

// Stops the query if it runs, and closes its handle. Returns once nothing of it runs any more, unless a stream or another thread's call holds its
// rows: then those end with `PLASMON_CODE_CANCELLED`. Since ABI 1.0.
int32_t plasmon_query_close(struct plasmon_query query);

// Opens a session with default settings. Close it with `plasmon_session_close`. Since ABI 1.0.
int32_t plasmon_session_open(struct plasmon_session *out);

// Closes a session. Its statements and queries live on. Since ABI 1.0.
int32_t plasmon_session_close(struct plasmon_session session);

// Changes a setting, as `SET name = 'value'` does: `threads`, `memory_bytes`, `batch_rows`, `driver`, `s3.region` … `SHOW ALL` lists them.
// Statements that run keep theirs. Since ABI 1.0.
int32_t plasmon_session_set(struct plasmon_session session,
                            const char *name,
                            const char *value);

// Defines `name` as the file, folder or pattern at `path`, its format told by the extension. A table of that name is replaced. Since ABI 1.0.
int32_t plasmon_session_register_path(struct plasmon_session session,
                                      const char *name,
                                      const char *path);

// Reads `stream` to its end and defines `name` as its rows, over the host's buffers. The stream is taken over in every case. A table of that name
// is replaced. Since ABI 1.0.
int32_t plasmon_session_register_stream(struct plasmon_session session,
                                        const char *name,
                                        struct ArrowArrayStream *stream);

// Forgets a table or view; one that there is not is an error. Since ABI 1.0.
int32_t plasmon_session_deregister(struct plasmon_session session, const char *name);

// Begins a statement of `session`. Close it with `plasmon_statement_close`. Since ABI 1.0.
int32_t plasmon_statement_open(struct plasmon_session session, struct plasmon_statement *out);

// Closes a statement and releases the streams that no query has taken. Queries that it started live on. Since ABI 1.0.
int32_t plasmon_statement_close(struct plasmon_statement statement);

// Sets the text: one SQL statement of `length` bytes, or up to its zero when `length` is negative. It is copied. Since ABI 1.0.
int32_t plasmon_statement_set_sql(struct plasmon_statement statement,
                                  const char *sql,
                                  int64_t length);

// Changes a setting for this statement alone; names are those of `plasmon_session_set`, without object stores. Since ABI 1.0.
int32_t plasmon_statement_set(struct plasmon_statement statement,
                              const char *name,
                              const char *value);

// Runs of the statement fail with `PLASMON_CODE_DEADLINE` when they take longer than `milliseconds`; 0 = no deadline. Since ABI 1.0.
int32_t plasmon_statement_set_deadline(struct plasmon_statement statement,
                                       uint64_t milliseconds);

// Makes `stream` the table `name` of this statement, before any of the session's of that name: read batch by batch while the statement runs, once.
// The stream is taken over in every case; its callbacks run on the library's threads, one at a time. Since ABI 1.0.
int32_t plasmon_statement_bind_stream(struct plasmon_statement statement,
                                      const char *name,
                                      struct ArrowArrayStream *stream);

// Sets the values of `$1`, `$2` …: the columns of a struct array of one row. Both structs are taken over in every case. Since ABI 1.0.
int32_t plasmon_statement_bind_parameters(struct plasmon_statement statement,
                                          struct ArrowSchema *schema,
                                          struct ArrowArray *array);

// The columns of the result, found by planning alone; no columns when the statement gives none. The host releases `out`. Since ABI 1.0.
int32_t plasmon_statement_schema(struct plasmon_statement statement,
                                 struct ArrowSchema *out);

// The plan made readable, in a `plasmon_explain_format`. Free `*out` with `plasmon_text_free`. Since ABI 1.0.
int32_t plasmon_statement_explain(struct plasmon_statement statement, int32_t format, char **out);

// Frees a text that a function gave; null is allowed. Since ABI 1.0.
void plasmon_text_free(char *text);

// Plans the statement and starts it. Statements without rows (CREATE, SET, COPY …) are done when this returns, and give a query of no rows. Streams
// that the statement reads are used up. Close `out` with `plasmon_query_close`. Since ABI 1.0.
int32_t plasmon_statement_execute(struct plasmon_statement statement,
                                  struct plasmon_query *out);

// The library's version, `major.minor.patch`. Lives as long as the process. Since ABI 1.0.
const char *plasmon_version(void);

// The ABI that the library serves; compare with `PLASMON_ABI_VERSION` of the header. Since ABI 1.0.
uint32_t plasmon_abi_version(void);

// Whether the library serves programs compiled for `abi_version` (pass `PLASMON_ABI_VERSION`): the same major version, and a minor one that is
// not newer than its own; else `PLASMON_CODE_UNSUPPORTED_VERSION`. Since ABI 1.0.
int32_t plasmon_check_abi(uint32_t abi_version);

// What the library can do on this machine, as a JSON object: `version`, `abi`, `simd` (`scalar`, `avx2`, `avx512`), `formats`. Lives as long as
// the process. Since ABI 1.0.
const char *plasmon_features(void);

// The library's version, `major.minor.patch`. Lives as long as the process. Since ABI 1.0.
const char *plasmon_version(void);

// The ABI that the library serves; compare with `PLASMON_ABI_VERSION` of the header. Since ABI 1.0.
uint32_t plasmon_abi_version(void);

// Whether the library serves programs compiled for `abi_version` (pass `PLASMON_ABI_VERSION`): the same major version, and a minor one that is
// not newer than its own; else `PLASMON_CODE_UNSUPPORTED_VERSION`. Since ABI 1.0.
int32_t plasmon_check_abi(uint32_t abi_version);

// What the library can do on this machine, as a JSON object: `version`, `abi`, `simd` (`scalar`, `avx2`, `avx512`), `formats`. Lives as long as
// the process. Since ABI 1.0.
const char *plasmon_features(void);

// The last failure of this thread; null when there was none. A call that succeeds leaves it as it was. Since ABI 1.0.
const struct plasmon_error *plasmon_last_error(void);

// A short name of a `plasmon_code`, e.g. `out of memory`; `unknown` for other numbers. Lives as long as the process. Since ABI 1.0.
const char *plasmon_code_name(int32_t code);

// Opens a session with default settings. Close it with `plasmon_session_close`. Since ABI 1.0.
int32_t plasmon_session_open(struct plasmon_session *out);

// Closes a session. Its statements and queries live on. Since ABI 1.0.
int32_t plasmon_session_close(struct plasmon_session session);

// Changes a setting, as `SET name = 'value'` does: `threads`, `memory_bytes`, `batch_rows`, `driver`, `s3.region` … `SHOW ALL` lists them.
// Statements that run keep theirs. Since ABI 1.0.
int32_t plasmon_session_set(struct plasmon_session session,
                            const char *name,
                            const char *value);

// Defines `name` as the file, folder or pattern at `path`, its format told by the extension. A table of that name is replaced. Since ABI 1.0.
int32_t plasmon_session_register_path(struct plasmon_session session,
                                      const char *name,
                                      const char *path);

// Reads `stream` to its end and defines `name` as its rows, over the host's buffers. The stream is taken over in every case. A table of that name
// is replaced. Since ABI 1.0.
int32_t plasmon_session_register_stream(struct plasmon_session session,
                                        const char *name,
                                        struct ArrowArrayStream *stream);

// Forgets a table or view; one that there is not is an error. Since ABI 1.0.
int32_t plasmon_session_deregister(struct plasmon_session session, const char *name);

// Begins a statement of `session`. Close it with `plasmon_statement_close`. Since ABI 1.0.
int32_t plasmon_statement_open(struct plasmon_session session, struct plasmon_statement *out);

// Closes a statement and releases the streams that no query has taken. Queries that it started live on. Since ABI 1.0.
int32_t plasmon_statement_close(struct plasmon_statement statement);

// Sets the text: one SQL statement of `length` bytes, or up to its zero when `length` is negative. It is copied. Since ABI 1.0.
int32_t plasmon_statement_set_sql(struct plasmon_statement statement,
                                  const char *sql,
                                  int64_t length);

// Changes a setting for this statement alone; names are those of `plasmon_session_set`, without object stores. Since ABI 1.0.
int32_t plasmon_statement_set(struct plasmon_statement statement,
                              const char *name,
                              const char *value);

// Runs of the statement fail with `PLASMON_CODE_DEADLINE` when they take longer than `milliseconds`; 0 = no deadline. Since ABI 1.0.
int32_t plasmon_statement_set_deadline(struct plasmon_statement statement,
                                       uint64_t milliseconds);

// Makes `stream` the table `name` of this statement, before any of the session's of that name: read batch by batch while the statement runs, once.
// The stream is taken over in every case; its callbacks run on the library's threads, one at a time. Since ABI 1.0.
int32_t plasmon_statement_bind_stream(struct plasmon_statement statement,
                                      const char *name,
                                      struct ArrowArrayStream *stream);

// Sets the values of `$1`, `$2` …: the columns of a struct array of one row. Both structs are taken over in every case. Since ABI 1.0.
int32_t plasmon_statement_bind_parameters(struct plasmon_statement statement,
                                          struct ArrowSchema *schema,
                                          struct ArrowArray *array);

// The columns of the result, found by planning alone; no columns when the statement gives none. The host releases `out`. Since ABI 1.0.
int32_t plasmon_statement_schema(struct plasmon_statement statement,
                                 struct ArrowSchema *out);

// The plan made readable, in a `plasmon_explain_format`. Free `*out` with `plasmon_text_free`. Since ABI 1.0.
int32_t plasmon_statement_explain(struct plasmon_statement statement, int32_t format, char **out);

// Frees a text that a function gave; null is allowed. Since ABI 1.0.
void plasmon_text_free(char *text);

// Plans the statement and starts it. Statements without rows (CREATE, SET, COPY …) are done when this returns, and give a query of no rows. Streams
// that the statement reads are used up. Close `out` with `plasmon_query_close`. Since ABI 1.0.
int32_t plasmon_statement_execute(struct plasmon_statement statement,
                                  struct plasmon_query *out);

// The columns of the result. The host releases `out`. Since ABI 1.0.
int32_t plasmon_query_schema(struct plasmon_query query, struct ArrowSchema *out);

// Gives the rest of the rows as a stream, once. The host releases `out`; that ends the query, whose handle stays for its progress and metrics.
// Closing the handle ends the stream with `ECANCELED`. Since ABI 1.0.
int32_t plasmon_query_stream(struct plasmon_query query,
                             struct ArrowArrayStream *out);

// Runs the query to its end on this thread and hands each batch to `callback` on it. Since ABI 1.0.
int32_t plasmon_query_push(struct plasmon_query query, plasmon_batch_callback callback, void *context);

// Does a bounded piece of work on this thread: under the setting `driver = inline`, at most one batch moves through one chain of operators; under
// `driver = pool` the library's workers work, and this looks for a batch. `outcome` becomes a `plasmon_step`; `out` holds a batch for
// `PLASMON_STEP_BATCH` and is released else. Since ABI 1.0.
int32_t plasmon_query_step(struct plasmon_query query,
                           struct ArrowArray *out,
                           int32_t *outcome);

// Stops the query within one batch, from any thread, also while another is inside a call on it; that call fails with `PLASMON_CODE_CANCELLED`.
// Since ABI 1.0.
int32_t plasmon_query_cancel(struct plasmon_query query);

// What the query has done so far, from any thread. Since ABI 1.0.
int32_t plasmon_query_progress(struct plasmon_query query, struct plasmon_progress *out);

// The plan with what every operator did so far, as the JSON of `EXPLAIN (ANALYZE, FORMAT JSON)`, from any thread; an empty object when the
// statement has no plan. Free `*out` with `plasmon_text_free`. Since ABI 1.0.
int32_t plasmon_query_metrics(struct plasmon_query query,
                              char **out);

// Stops the query if it runs, and closes its handle. Returns once nothing of it runs any more, unless a stream or another thread's call holds its
// rows: then those end with `PLASMON_CODE_CANCELLED`. Since ABI 1.0.
int32_t plasmon_query_close(struct plasmon_query query);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PLASMON_H */
