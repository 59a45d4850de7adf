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
#define PLASMON_ABI_VERSION ((1 << 16) | 1)

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
  // Another thread, or this one further up its stack, is inside a call on the same handle; or the call would wait for a query that waits for this thread.
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

// When equal arguments of a function give equal results.
typedef enum plasmon_volatility {
  // Always. Calls over constants are made once, while the statement is planned.
  PLASMON_VOLATILITY_IMMUTABLE = 0,
  // Within one statement.
  PLASMON_VOLATILITY_STABLE = 1,
  // Never: one result is asked for each row, whatever the arguments.
  PLASMON_VOLATILITY_VOLATILE = 2,
} plasmon_volatility;

// How `plasmon_statement_substrait` writes a plan.
typedef enum plasmon_substrait_format {
  // Protobuf.
  PLASMON_SUBSTRAIT_FORMAT_BINARY = 0,
  // The JSON of protobuf.
  PLASMON_SUBSTRAIT_FORMAT_JSON = 1,
} plasmon_substrait_format;

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

// Where an order puts nulls.
typedef enum plasmon_nulls {
  // As SQL does: last ascending, first descending.
  PLASMON_NULLS_DEFAULT = 0,
  // Before all values.
  PLASMON_NULLS_FIRST = 1,
  // After all values.
  PLASMON_NULLS_LAST = 2,
} plasmon_nulls;

// Which rows a join gives. Output columns: the probe side's, then the build side's; semi and anti joins give one side's; mark joins add a boolean.
typedef enum plasmon_join_kind {
  // Pairs that match.
  PLASMON_JOIN_KIND_INNER = 0,
  // And probe rows without a match.
  PLASMON_JOIN_KIND_PROBE = 1,
  // And build rows without a match.
  PLASMON_JOIN_KIND_BUILD = 2,
  // And both.
  PLASMON_JOIN_KIND_FULL = 3,
  // Probe rows with a match.
  PLASMON_JOIN_KIND_PROBE_SEMI = 4,
  // Probe rows without a match.
  PLASMON_JOIN_KIND_PROBE_ANTI = 5,
  // Probe rows, and whether they have a match.
  PLASMON_JOIN_KIND_PROBE_MARK = 6,
  // Build rows with a match.
  PLASMON_JOIN_KIND_BUILD_SEMI = 7,
  // Build rows without a match.
  PLASMON_JOIN_KIND_BUILD_ANTI = 8,
  // Build rows, and whether they have a match.
  PLASMON_JOIN_KIND_BUILD_MARK = 9,
} plasmon_join_kind;

// Which part of an aggregation is done.
typedef enum plasmon_aggregate_phase {
  // Rows in, results out.
  PLASMON_AGGREGATE_PHASE_SINGLE = 0,
  // Rows in; keys and states out.
  PLASMON_AGGREGATE_PHASE_PARTIAL = 1,
  // Keys and states in and out.
  PLASMON_AGGREGATE_PHASE_MERGE = 2,
  // Keys and states in, results out.
  PLASMON_AGGREGATE_PHASE_FINAL = 3,
} plasmon_aggregate_phase;

// How much a record matters. Setting a level sets all that matter more, too.
typedef enum plasmon_log_level {
  // Nothing.
  PLASMON_LOG_LEVEL_OFF = 0,
  // A bug of the library, with its place.
  PLASMON_LOG_LEVEL_ERROR = 1,
  // A query that failed, something that was left out.
  PLASMON_LOG_LEVEL_WARN = 2,
  // Queries that start and end.
  PLASMON_LOG_LEVEL_INFO = 3,
  // Ways that were taken.
  PLASMON_LOG_LEVEL_DEBUG = 4,
  // More than that.
  PLASMON_LOG_LEVEL_TRACE = 5,
} plasmon_log_level;

// Bytes that the library gave. They are the caller's: free them once with `plasmon_bytes_free`, as they were given.
typedef struct plasmon_bytes {
  // The first byte; null when there are none.
  uint8_t *data;
  // How many there are.
  uint64_t length;
} plasmon_bytes;

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

// An expression over columns that are not known yet. Immutable: any number of threads, operators and other expressions may use one.
typedef struct plasmon_expression {
  // Zero is no expression.
  uint64_t id;
} plasmon_expression;

// One key of an order.
typedef struct plasmon_order {
  // What is compared.
  struct plasmon_expression expression;
  // Not 0 = largest first.
  int32_t descending;
  // A `plasmon_nulls`.
  int32_t nulls;
} plasmon_order;

// The clauses of an aggregate call; those of zero are none.
typedef struct plasmon_aggregate_clauses {
  // `sizeof(plasmon_aggregate_clauses)`.
  uint64_t size;
  // Not 0 = equal arguments count once.
  int32_t distinct;
  // Not 0 = `IGNORE NULLS`.
  int32_t ignore_nulls;
  // Only rows for which it is true count.
  struct plasmon_expression filter;
  // Order within a group, for functions that depend on it.
  const struct plasmon_order *order_by;
  // Keys of `order_by`.
  uint64_t order_by_count;
} plasmon_aggregate_clauses;

// The clauses of a call over a window; those of zero are none.
typedef struct plasmon_window_clauses {
  // `sizeof(plasmon_window_clauses)`.
  uint64_t size;
  // Not 0 = equal arguments count once.
  int32_t distinct;
  // Not 0 = `IGNORE NULLS`.
  int32_t ignore_nulls;
  // Only rows for which it is true count.
  struct plasmon_expression filter;
  // Rows of equal values are one partition.
  const struct plasmon_expression *partition_by;
  // Expressions of `partition_by`.
  uint64_t partition_by_count;
  // Order within a partition.
  const struct plasmon_order *order_by;
  // Keys of `order_by`.
  uint64_t order_by_count;
  // As in SQL: `ROWS BETWEEN 2 PRECEDING AND CURRENT ROW`; null = SQL's default.
  const char *frame;
} plasmon_window_clauses;

// A session: tables, views, functions and settings. Any number of threads may use one.
typedef struct plasmon_session {
  // Zero is no session.
  uint64_t id;
} plasmon_session;

// Computes `result`, an array of the registered type, from the columns of `arguments`, a struct array of as many rows as values are wanted. It may
// move `arguments` out (and set `release` to null); else it is released after the call. Anything but 0 fails the query, with the text of
// `plasmon_callback_set_error`.
typedef int32_t (*plasmon_scalar_callback)(void *context, struct ArrowArray *arguments, struct ArrowArray *result);

// Told once that a context is not used any more.
typedef void (*plasmon_release_callback)(void *context);

// A function that a host has registered.
typedef struct plasmon_function {
  // Zero is no function.
  uint64_t id;
} plasmon_function;

// Gives the rows of one call as a stream. `arguments` is a struct array of one row, a column each argument, of the types that `schema` tells. Both
// are released after the call unless they were moved out. Anything but 0 fails the statement, with the text of `plasmon_callback_set_error`.
typedef int32_t (*plasmon_table_callback)(void *context,
                                          struct ArrowSchema *schema,
                                          struct ArrowArray *arguments,
                                          struct ArrowArrayStream *result);

// Gets one record: a `plasmon_log_level`, the part of the library it is of (`plasmon::query`), and a text. Texts live until it returns. It is called on
// any thread, several at a time, may call any function of the library, and must not unwind. What the library does for it on the same thread is not
// logged.
typedef void (*plasmon_log_callback)(void *context, int32_t level, const char *target, const char *message);

// A host's memory manager. Its functions are called on any thread, several at a time, with none of the library's locks held; they may call any function
// of the library, and must not unwind.
typedef struct plasmon_memory {
  // `sizeof(plasmon_memory)`.
  uint64_t size;
  // Passed to each function.
  void *context;
  // Whether the library may allocate `bytes` more: 0 = yes, all of them; anything else = no, none, and the query ends with
  // `PLASMON_CODE_OUT_OF_MEMORY`. Asked for some megabytes at a time.
  int32_t (*reserve)(void *context, uint64_t bytes);
  // Takes back `bytes` of what was reserved.
  void (*release)(void *context, uint64_t bytes);
  // Please free `bytes` elsewhere: called once before the library takes a refusal for an answer, and asks again when this gives more than 0, the bytes
  // that were freed. Null = the host cannot.
  uint64_t (*spill)(void *context, uint64_t bytes);
  // Called once, when nothing of the library knows `context` any more, and all that was reserved is released. Null = not needed.
  void (*closed)(void *context);
} plasmon_memory;

// A statement, or operators, that run. Its rows are read by one thread at a time; every thread may cancel it and look at its progress.
typedef struct plasmon_query {
  // Zero is no query.
  uint64_t id;
} plasmon_query;

// What an operator reads: a stream, or the query of another operator that has not started; the other is null, or zero.
typedef struct plasmon_input {
  // Taken over in every case; read batch by batch while the query runs.
  struct ArrowArrayStream *stream;
  // Becomes a part of the new query, and its handle is closed, when the call succeeds.
  struct plasmon_query query;
} plasmon_input;

// One setting.
typedef struct plasmon_setting {
  // One of those of `plasmon_statement_set`.
  const char *name;
  // Its value, as text.
  const char *value;
} plasmon_setting;

// How the query of an operator runs. Of a chain, those given to its last operator count.
typedef struct plasmon_run_options {
  // `sizeof(plasmon_run_options)`.
  uint64_t size;
  // Settings in place of the session's.
  const struct plasmon_setting *settings;
  // How many.
  uint64_t setting_count;
  // The query fails with `PLASMON_CODE_DEADLINE` when it is not over so many milliseconds after this call; 0 = no deadline.
  uint64_t deadline_milliseconds;
} plasmon_run_options;

// A hash join.
typedef struct plasmon_join {
  // `sizeof(plasmon_join)`.
  uint64_t size;
  // A `plasmon_join_kind`.
  int32_t kind;
  // Not 0 = as `NOT IN` does (`PROBE_ANTI`, `PROBE_MARK`): a null key makes the answer unknown.
  int32_t null_aware;
  // Equal pairs: expressions over the probe side …
  const struct plasmon_expression *probe_keys;
  // … and over the build side.
  const struct plasmon_expression *build_keys;
  // For each pair, not 0 = nulls equal each other; null = they do not.
  const uint8_t *null_equal;
  // How many pairs; none = every pair of rows that the residual keeps.
  uint64_t key_count;
  // A further condition over the probe side's columns followed by the build side's; zero = none.
  struct plasmon_expression residual;
  // Ordinals of the columns that come out; null = all.
  const uint64_t *columns;
  // How many.
  uint64_t column_count;
} plasmon_join;

// A grouped aggregation. Out come the keys, the column `grouping_id` (grouping sets only), then the results or states.
typedef struct plasmon_aggregate {
  // `sizeof(plasmon_aggregate)`.
  uint64_t size;
  // A `plasmon_aggregate_phase`.
  int32_t phase;
  // Zero.
  int32_t reserved;
  // Group keys over the rows; none = one group.
  const struct plasmon_expression *keys;
  // How many.
  uint64_t key_count;
  // Aggregate calls over the rows.
  const struct plasmon_expression *calls;
  // How many.
  uint64_t call_count;
  // `grouping_set_count` rows of `key_count` bytes: not 0 = the set keeps the key. Bit i of the grouping id (the last key is bit 0) is set when the
  // set does not keep the key; ordinals of equal sets stand above.
  const uint8_t *grouping_sets;
  // How many; none = plain grouping.
  uint64_t grouping_set_count;
  // For `MERGE` and `FINAL`, which read states: the columns of the rows that `PARTIAL` read; null else. Taken over in every case.
  struct ArrowSchema *rows;
} plasmon_aggregate;

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

// Frees the bytes and leaves none in the struct, so that freeing it again does nothing; null is allowed. Since ABI 1.1.
void plasmon_bytes_free(struct plasmon_bytes *bytes);

// The last failure of this thread; null when there was none. A call that succeeds leaves it as it was. Since ABI 1.0.
const struct plasmon_error *plasmon_last_error(void);

// A short name of a `plasmon_code`, e.g. `out of memory`; `unknown` for other numbers. Lives as long as the process. Since ABI 1.0.
const char *plasmon_code_name(int32_t code);

// The column of that ordinal, from 0; of a join's two sides, those of the probe side come first. Close `out` with `plasmon_expression_close`, as every
// expression. Since ABI 1.1.
int32_t plasmon_expression_column(uint64_t ordinal,
                                  struct plasmon_expression *out);

// The column of exactly that name; `probe.name` and `build.name` tell the sides of a join apart. Since ABI 1.1.
int32_t plasmon_expression_name(const char *name, struct plasmon_expression *out);

// An expression in SQL, `l_quantity < 24`: names are columns, in lower case unless quoted. Aggregate and window calls may be written so too.
// `length` bytes, or up to the zero when it is negative. Since ABI 1.1.
int32_t plasmon_expression_sql(const char *sql,
                               int64_t length,
                               struct plasmon_expression *out);

// A constant: the one value of `array`, of the type of `schema`. Both structs are taken over in every case. Since ABI 1.1.
int32_t plasmon_expression_literal(struct ArrowSchema *schema,
                                   struct ArrowArray *array,
                                   struct plasmon_expression *out);

// A call of a scalar function, of the library or registered with the session, or an operator: `+ - * / % || = <> < <= > >=`, `and`, `or`, `not`, `like`,
// `in` (value, items …), `between`, `is null`, `case` (condition, value, …, otherwise) … and their negations. The arguments' handles stay the
// host's, and may be closed. Since ABI 1.1.
int32_t plasmon_expression_call(const char *name,
                                const struct plasmon_expression *arguments,
                                uint64_t count,
                                struct plasmon_expression *out);

// `operand` as a value of the type of `to`, which is taken over in every case. A value that has no image is an error, or null when `or_null` is not 0.
// Since ABI 1.1.
int32_t plasmon_expression_cast(struct plasmon_expression operand,
                                struct ArrowSchema *to,
                                int32_t or_null,
                                struct plasmon_expression *out);

// `expression`, under a name for the column that it becomes. Since ABI 1.1.
int32_t plasmon_expression_named(struct plasmon_expression expression,
                                 const char *name,
                                 struct plasmon_expression *out);

// A call of an aggregate function for `plasmon_operator_aggregate`; `count` without arguments counts rows. `clauses` may be null. Since ABI 1.1.
int32_t plasmon_expression_aggregate(const char *name,
                                     const struct plasmon_expression *arguments,
                                     uint64_t count,
                                     const struct plasmon_aggregate_clauses *clauses,
                                     struct plasmon_expression *out);

// A call of a window function, or of an aggregate function over a window, for `plasmon_operator_window`. `clauses` may be null: all rows, in no order.
// Since ABI 1.1.
int32_t plasmon_expression_window(const char *name,
                                  const struct plasmon_expression *arguments,
                                  uint64_t count,
                                  const struct plasmon_window_clauses *clauses,
                                  struct plasmon_expression *out);

// Closes an expression. What was made of it lives on. Since ABI 1.1.
int32_t plasmon_expression_close(struct plasmon_expression expression);

// Adds a scalar function to SQL, or replaces the one of that name: its arguments are the columns of `arguments` (what is given is cast to their
// types), its results have the type of the one column of `result`. Both schemas are taken over in every case, and so is `context`: `release` is called
// with it once, when nothing can call the function any more or when this fails. `callback` runs on the library's threads, several at once.
// `volatility` is a `plasmon_volatility`. `out` becomes the function's handle unless it is null. Since ABI 1.1.
int32_t plasmon_session_register_function(struct plasmon_session session,
                                          const char *name,
                                          struct ArrowSchema *arguments,
                                          struct ArrowSchema *result,
                                          int32_t volatility,
                                          plasmon_scalar_callback callback,
                                          void *context,
                                          plasmon_release_callback release,
                                          struct plasmon_function *out);

// Adds a table function to SQL (`SELECT * FROM name(1, 'x')`; arguments are constants), or replaces the one of that name. It is called when a statement is
// planned, which tells the columns, and again for every scan of one call after the first. `context`, `release` and `out` as for
// `plasmon_session_register_function`. Since ABI 1.1.
int32_t plasmon_session_register_table_function(struct plasmon_session session,
                                                const char *name,
                                                plasmon_table_callback callback,
                                                void *context,
                                                plasmon_release_callback release,
                                                struct plasmon_function *out);

// Stops a function and closes its handle: calls that are under way are waited for, later ones fail their query, and its context is released before
// this returns. For hosts that go away before the library's queries do; not from inside a function, nor on a worker of the library (`PLASMON_CODE_BUSY`). Since ABI 1.1.
int32_t plasmon_function_stop(struct plasmon_function function);

// Inside a callback that is about to fail: why, `length` bytes or up to the zero when negative; copied. Since ABI 1.1.
int32_t plasmon_callback_set_error(const char *message, int64_t length);

// Makes `callback` get what the library logs from now on, records of `level` (a `plasmon_log_level`) and of all that matter more, in place of the one
// before; null or `PLASMON_LOG_LEVEL_OFF` = nobody. When this returns, the callback before is no longer called: other threads have left it. Called from
// inside that callback, all but that one call are over. One for the process. Since ABI 1.1.
int32_t plasmon_set_log(plasmon_log_callback callback,
                        void *context,
                        int32_t level);

// Makes queries of the session that start from now on take their memory of the host; null = they ask nobody. Queries that run keep what they have.
// What a query took is given back when it ends, fails or is cancelled, and at the latest when its handle is closed and its stream released.
// Since ABI 1.1.
int32_t plasmon_session_set_memory(struct plasmon_session session,
                                   const struct plasmon_memory *memory);

// Asks the queries of the session to give back `bytes` that they took of the host: first what they do not use, then what stands still and can go to disk.
// `freed` becomes how many bytes `release` got; when that is less, queries at work are asked too, and give back what spilling frees within a batch.
// From any thread, also from inside the host's memory functions. Since ABI 1.1.
int32_t plasmon_session_spill(struct plasmon_session session,
                              uint64_t bytes,
                              uint64_t *freed);

// The rows for which `predicate` is true. `options` may be null, here and below. Close `out` with `plasmon_query_close`. Since ABI 1.1.
int32_t plasmon_operator_filter(struct plasmon_session session,
                                struct plasmon_input input,
                                struct plasmon_expression predicate,
                                const struct plasmon_run_options *options,
                                struct plasmon_query *out);

// The values of `expressions`. Since ABI 1.1.
int32_t plasmon_operator_project(struct plasmon_session session,
                                 struct plasmon_input input,
                                 const struct plasmon_expression *expressions,
                                 uint64_t count,
                                 const struct plasmon_run_options *options,
                                 struct plasmon_query *out);

// Rows of two inputs that match: `build` is held in a hash table, `probe` streams. Since ABI 1.1.
int32_t plasmon_operator_join(struct plasmon_session session,
                              struct plasmon_input probe,
                              struct plasmon_input build,
                              const struct plasmon_join *join,
                              const struct plasmon_run_options *options,
                              struct plasmon_query *out);

// One row a group. Since ABI 1.1.
int32_t plasmon_operator_aggregate(struct plasmon_session session,
                                   struct plasmon_input input,
                                   const struct plasmon_aggregate *aggregate,
                                   const struct plasmon_run_options *options,
                                   struct plasmon_query *out);

// The rows in the order of `keys`, the first `offset` left out, at most `fetch` given (top-N); -1 = all. Since ABI 1.1.
int32_t plasmon_operator_sort(struct plasmon_session session,
                              struct plasmon_input input,
                              const struct plasmon_order *keys,
                              uint64_t count,
                              uint64_t offset,
                              int64_t fetch,
                              const struct plasmon_run_options *options,
                              struct plasmon_query *out);

// The rows, and behind their columns one for each of `calls`, which are window calls. Since ABI 1.1.
int32_t plasmon_operator_window(struct plasmon_session session,
                                struct plasmon_input input,
                                const struct plasmon_expression *calls,
                                uint64_t count,
                                const struct plasmon_run_options *options,
                                struct plasmon_query *out);

// All rows but the first `offset`, at most `fetch`; -1 = all. Since ABI 1.1.
int32_t plasmon_operator_limit(struct plasmon_session session,
                               struct plasmon_input input,
                               uint64_t offset,
                               int64_t fetch,
                               const struct plasmon_run_options *options,
                               struct plasmon_query *out);

// The rows dealt to `partitions`, 1 to 4,096. Every batch has rows of one partition, whose number stands in each row of the last column, `partition`, an
// int32. Equal keys come to one partition, in every query and process of one version of the library; without keys, batches are dealt in turn. Since
// ABI 1.1.
int32_t plasmon_operator_partition(struct plasmon_session session,
                                   struct plasmon_input input,
                                   const struct plasmon_expression *keys,
                                   uint64_t count,
                                   uint64_t partitions,
                                   const struct plasmon_run_options *options,
                                   struct plasmon_query *out);

// The columns of the result. The host releases `out`. Since ABI 1.0.
int32_t plasmon_query_schema(struct plasmon_query query, struct ArrowSchema *out);

// Gives the rest of the rows as a stream, once. The host releases `out`; that ends the query, whose handle stays for its progress and metrics.
// Closing the handle ends the stream with `ECANCELED`. Since ABI 1.0.
int32_t plasmon_query_stream(struct plasmon_query query,
                             struct ArrowArrayStream *out);

// Waits for the next batch of the result; at its end `out` is released (`release` null). What `plasmon_query_stream` gives tells failures as texts,
// this tells them in full. Since ABI 1.1.
int32_t plasmon_query_next(struct plasmon_query query,
                           struct ArrowArray *out);

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
// statement has no plan, or operators have not started. Free `*out` with `plasmon_text_free`. Since ABI 1.0.
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

// Sets a plan in place of a text: `length` bytes in the library's own format, `plan.proto`, which are copied. It reads tables of the session and streams
// that are bound to the statement, by name; whether it can be run is told by the calls that plan it, with the node that is to blame in `plan_path`.
// Since ABI 1.1.
int32_t plasmon_statement_set_plan(struct plasmon_statement statement,
                                   const uint8_t *bytes,
                                   uint64_t length);

// The optimized plan in the library's own format, for `plasmon_statement_set_plan`; an error when the statement is no query. Free `out` with
// `plasmon_bytes_free`. Since ABI 1.1.
int32_t plasmon_statement_plan(struct plasmon_statement statement,
                               struct plasmon_bytes *out);

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

// Sets a Substrait plan in place of a text: `length` bytes of protobuf or JSON, which are copied. It reads tables of the session, files, and streams that
// are bound to the statement, by name; its dynamic parameters 0, 1 … are those that are bound. Whether it can be run is told by the calls that plan it, with
// the node that is to blame in `plan_path`. Since ABI 1.1.
int32_t plasmon_statement_set_substrait(struct plasmon_statement statement,
                                        const uint8_t *plan,
                                        uint64_t length);

// The statement's plan as Substrait, in a `plasmon_substrait_format`, as it is before the engine's own optimizer; an error when the statement is no query,
// or has a node without a form there (`plan_path` names it). Free `out` with `plasmon_bytes_free`. Since ABI 1.1.
int32_t plasmon_statement_substrait(struct plasmon_statement statement,
                                    int32_t format,
                                    struct plasmon_bytes *out);

// The library's version, `major.minor.patch`. Lives as long as the process. Since ABI 1.0.
const char *plasmon_version(void);

// The ABI that the library serves; compare with `PLASMON_ABI_VERSION` of the header. Since ABI 1.0.
uint32_t plasmon_abi_version(void);

// Whether the library serves programs compiled for `abi_version` (pass `PLASMON_ABI_VERSION`): the same major version, and a minor one that is
// not newer than its own; else `PLASMON_CODE_UNSUPPORTED_VERSION`. Since ABI 1.0.
int32_t plasmon_check_abi(uint32_t abi_version);

// What the library can do on this machine, as a JSON object: `version`, `abi`, `simd` (`scalar`, `avx2`, `avx512`), `plan_version` (the
// newest version of `plan.proto` that is read), `formats`. Lives as long as
// the process. Since ABI 1.0.
const char *plasmon_features(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PLASMON_H */
