// The part of the hostile caller that knows operators, expressions, the host's memory and the log: included by hostile.c, behind its table of calls.

// The host's memory: gives or refuses at random, and calls back.
static int64_t memory_given;
static int32_t some_reserve(void* context, uint64_t bytes) {
  (void)context;
  uint64_t freed;
  plasmon_session session = {some_handle(SESSION)};
  if (one_in(8)) note(plasmon_session_spill(session, below(1 << 20), MAYBE(&freed)), "session_spill inside");
  if (one_in(6)) return (int32_t)below(3) - 1 ? 1 : 0x7fffffff;
  __atomic_fetch_add(&memory_given, (int64_t)bytes, __ATOMIC_RELAXED);
  return 0;
}
static void some_release(void* context, uint64_t bytes) {
  (void)context;
  __atomic_fetch_sub(&memory_given, (int64_t)bytes, __ATOMIC_RELAXED);
}
static uint64_t some_spill(void* context, uint64_t bytes) {
  (void)context;
  return one_in(2) ? 0 : bytes;
}

static void some_log(void* context, int32_t level, const char* target, const char* message) {
  (void)context;
  if (level < 1 || level > 5 || !*target || !*message) abort();
  if (one_in(50)) note(plasmon_set_log(NULL, NULL, PLASMON_LOG_LEVEL_OFF), "set_log inside");
}

static void fill(void* options, size_t bytes) {
  // Null pointers and small numbers; sizes that are right, short, wrong.
  memset(options, 0, bytes);
  uint64_t size = one_in(12) ? below(bytes + 1) : one_in(20) ? next_random() : bytes;
  memcpy(options, &size, sizeof size);
}

// Two expressions, or the same one twice.
static plasmon_expression pair[THREADS * 4][2];
static plasmon_expression* some_pair(void) {
  static int next_pair;
  plasmon_expression* two = pair[(unsigned)__atomic_fetch_add(&next_pair, 1, __ATOMIC_RELAXED) % (THREADS * 4)];
  for (int i = 0; i < 2; i++) __atomic_store_n(&two[i].id, some_handle(EXPRESSION), __ATOMIC_RELAXED);
  return MAYBE(two);
}

static void some_expression(void) {
  static const char* names[] = {"+", "=", "<", "and", "or", "not", "like", "in", "case", "between", "sum", "count", "row_number", "is null",
                                "abs", "nothing", "", "\xff", "coalesce", "[]", "first_value", "\"", "c0", "probe.c0", "build.c0", "zero"};
  static const char* texts[] = {"c0", "c0 > 3", "c0 % 5", "c0 +", "sum(c0)", "count(*)", "1 / (c0 - 7)", "sum(c0) OVER (ORDER BY c0)", "(SELECT 1)", "$1",
                                "nowhere", "", "c0; c0", "c0 FROM t", "probe.c0 < build.c0", "sum(sum(c0))", "CASE WHEN c0 > 5 THEN 1 END", "\xff"};
  const char* name = one_in(15) ? NULL : ONE_OF(names);
  const char* text = one_in(15) ? NULL : ONE_OF(texts);
  plasmon_expression made = {0}, *out = MAYBE(&made), some = {some_handle(EXPRESSION)};
  uint64_t count = one_in(20) ? next_random() : below(3);
  plasmon_order order = {some, (int32_t)below(2), (int32_t)below(5) - 1};
  int32_t code = 0;
  switch (below(10)) {
    case 0: note(code = plasmon_expression_column(one_in(5) ? next_random() : below(3), out), "expression_column"); break;
    case 1: note(code = plasmon_expression_name(name, out), "expression_name"); break;
    case 2:
    case 3: note(code = plasmon_expression_sql(text, text && one_in(5) ? (int64_t)below(strlen(text) + 1) : -1, out), "expression_sql"); break;
    case 4: note(code = plasmon_expression_call(name, some_pair(), count > 2 && !one_in(3) ? 2 : count > 1 << 20 ? count : count % 3, out), "expression_call"); break;
    case 5: note(code = plasmon_expression_named(some, name, out), "expression_named"); break;
    case 6: {
      arena* types = (arena*)calloc(1, sizeof *types);
      type* columns = some_columns(types);
      int is_spoilt = one_in(2);
      struct ArrowSchema schema;
      struct ArrowArray array;
      make_schema(columns, is_spoilt && one_in(2), &schema);
      make_array(columns, one_in(8) ? (int64_t)below(5) : 1, is_spoilt && one_in(2), 0, &array);
      if (one_in(2)) {
        note(code = plasmon_expression_literal(MAYBE(&schema), MAYBE(&array), out), "expression_literal");
      } else {
        note(code = plasmon_expression_cast(some, MAYBE(&schema), (int32_t)below(2), out), "expression_cast");
      }
      if (schema.release) schema.release(&schema);
      if (array.release) array.release(&array);
      arena_free(types);
      break;
    }
    case 7: {
      plasmon_aggregate_clauses clauses;
      fill(&clauses, sizeof clauses);
      clauses.distinct = one_in(4);
      if (one_in(4)) clauses.filter = some;
      if (one_in(4)) clauses.order_by = &order;
      clauses.order_by_count = one_in(20) ? next_random() | 1 << 21 : clauses.order_by != NULL;
      note(code = plasmon_expression_aggregate(name, some_pair(), below(3), one_in(3) ? NULL : &clauses, out), "expression_aggregate");
      break;
    }
    case 8: {
      static const char* frames[] = {"ROWS BETWEEN 1 PRECEDING AND CURRENT ROW", "ROWS", ") FILTER (WHERE true", "", "\xff"};
      plasmon_window_clauses clauses;
      fill(&clauses, sizeof clauses);
      if (one_in(3)) clauses.frame = ONE_OF(frames);
      if (one_in(2)) clauses.order_by = &order;
      clauses.order_by_count = clauses.order_by != NULL;
      clauses.partition_by = some_pair();
      clauses.partition_by_count = below(3);
      note(code = plasmon_expression_window(name, some_pair(), below(3), one_in(3) ? NULL : &clauses, out), "expression_window");
      break;
    }
    case 9: note(plasmon_expression_close(some), "expression_close"); return;
  }
  if (code == 0 && out) keep(EXPRESSION, made.id);
}

// A stream, a query, both or none.
static plasmon_input some_input(struct ArrowArrayStream* stream) {
  plasmon_input input = {NULL, {0}};
  memset(stream, 0, sizeof *stream);
  if (!one_in(3)) {
    *stream = some_stream();
    input.stream = stream;
  }
  if (!input.stream || one_in(30)) input.query.id = some_handle(QUERY);
  return input;
}

static void some_operator(void) {
  plasmon_session session = some_session();
  struct ArrowArrayStream first, second;
  struct ArrowSchema schema;
  memset(&second, 0, sizeof second);
  memset(&schema, 0, sizeof schema);
  plasmon_input input = some_input(&first);
  plasmon_expression some = {some_handle(EXPRESSION)};
  plasmon_query made = {0}, *out = MAYBE(&made);
  plasmon_setting setting = {some_text(), some_text()};
  plasmon_run_options run;
  fill(&run, sizeof run);
  if (one_in(4)) run.settings = &setting;
  run.setting_count = one_in(30) ? next_random() | 1 << 21 : run.settings != NULL;
  run.deadline_milliseconds = 1 + below(5);
  plasmon_run_options* options = one_in(4) ? NULL : &run;
  int32_t code = 0;
  switch (below(8)) {
    case 0: note(code = plasmon_operator_filter(session, input, some, options, out), "operator_filter"); break;
    case 1: note(code = plasmon_operator_project(session, input, some_pair(), below(3), options, out), "operator_project"); break;
    case 2: {
      plasmon_input build = some_input(&second);
      static const uint8_t nulls[2] = {0, 1};
      uint64_t columns[2] = {below(3), below(3)};
      plasmon_join join;
      fill(&join, sizeof join);
      join.kind = (int32_t)below(12) - 1;
      join.null_aware = one_in(10);
      join.probe_keys = some_pair();
      join.build_keys = some_pair();
      join.null_equal = one_in(2) ? NULL : nulls;
      join.key_count = one_in(20) ? next_random() | 1 << 21 : below(3);
      if (one_in(4)) join.residual = some;
      if (one_in(3)) join.columns = columns;
      join.column_count = join.columns ? below(3) : below(3) * (next_random() | 1);
      note(code = plasmon_operator_join(session, input, build, MAYBE(&join), options, out), "operator_join");
      break;
    }
    case 3: {
      static const uint8_t sets[4] = {1, 0, 1, 1};
      plasmon_aggregate aggregate;
      fill(&aggregate, sizeof aggregate);
      aggregate.phase = one_in(3) ? (int32_t)below(6) - 1 : 0;
      aggregate.keys = some_pair();
      aggregate.key_count = below(3);
      aggregate.calls = some_pair();
      aggregate.call_count = below(3);
      aggregate.grouping_sets = one_in(4) ? sets : NULL;
      aggregate.grouping_set_count = one_in(20) ? next_random() : below(3);
      if (aggregate.phase > 1 && !one_in(4)) {
        arena* types = (arena*)calloc(1, sizeof *types);
        make_schema(some_columns(types), one_in(4), &schema);
        arena_free(types);
        aggregate.rows = &schema;
      }
      if (aggregate.grouping_sets && aggregate.grouping_set_count > 2) aggregate.grouping_set_count |= 1 << 22;
      note(code = plasmon_operator_aggregate(session, input, MAYBE(&aggregate), options, out), "operator_aggregate");
      if (schema.release) schema.release(&schema);
      break;
    }
    case 4: {
      plasmon_order order = {some, (int32_t)below(2), (int32_t)below(5) - 1};
      note(code = plasmon_operator_sort(session, input, one_in(10) ? NULL : &order, one_in(10) ? next_random() | 1 << 21 : 1, below(20), (int64_t)below(20) - 5, options, out), "operator_sort");
      break;
    }
    case 5: note(code = plasmon_operator_window(session, input, some_pair(), below(3), options, out), "operator_window"); break;
    case 6: note(code = plasmon_operator_limit(session, input, one_in(5) ? next_random() : below(100), one_in(5) ? (int64_t)next_random() : (int64_t)below(100), options, out), "operator_limit"); break;
    case 7: note(code = plasmon_operator_partition(session, input, some_pair(), below(3), one_in(5) ? next_random() : below(9), options, out), "operator_partition"); break;
  }
  if ((input.stream && first.release) || second.release) abort();
  if (first.release) first.release(&first);
  if (code == 0 && out) keep(QUERY, made.id);
}

static void some_of_the_host(void) {
  plasmon_session session = some_session();
  uint64_t freed;
  plasmon_memory memory;
  switch (below(4)) {
    case 0:
      fill(&memory, sizeof memory);
      if (!one_in(10)) memory.reserve = some_reserve;
      if (!one_in(10)) memory.release = some_release;
      if (one_in(2)) memory.spill = some_spill;
      note(plasmon_session_set_memory(session, one_in(5) ? NULL : &memory), "session_set_memory");
      break;
    case 1:
    case 2: note(plasmon_session_spill(session, next_random(), MAYBE(&freed)), "session_spill"); break;
    case 3: note(plasmon_set_log(one_in(3) ? NULL : some_log, NULL, (int32_t)below(8) - 1), "set_log"); break;
  }
}

// Functions of the host: what they give is the argument, nothing, another number of rows, or a failure.
static int32_t some_scalar(void* context, struct ArrowArray* arguments, struct ArrowArray* result) {
  (void)context;
  inside_of_callback();
  if (one_in(4)) return (int32_t)below(3) + plasmon_callback_set_error(MAYBE("no"), -1);
  if (one_in(8)) return 0;
  if (arguments->n_children < 1) return 1;
  *result = *arguments->children[0];
  arguments->children[0]->release = NULL;
  return 0;
}
static int32_t some_failure(void* context, struct ArrowArray* arguments, struct ArrowArray* result) {
  (void)context, (void)arguments, (void)result;
  return one_in(2);
}
static int32_t some_table(void* context, struct ArrowSchema* schema, struct ArrowArray* arguments, struct ArrowArrayStream* result) {
  (void)context, (void)schema, (void)arguments;
  inside_of_callback();
  if (one_in(4)) return 1;
  if (!one_in(8)) *result = some_stream();
  return 0;
}
static int64_t functions_given;
static void some_end(void* context) {
  (void)context;
  __atomic_fetch_sub(&functions_given, 1, __ATOMIC_RELAXED);
}

static void some_function(void) {
  plasmon_session session = some_session();
  plasmon_function made = {0}, *out = one_in(3) ? NULL : &made;
  __atomic_fetch_add(&functions_given, 1, __ATOMIC_RELAXED);
  if (one_in(3)) {
    note(plasmon_session_register_table_function(session, one_in(2) ? "u" : some_text(), MAYBE(some_table), NULL, some_end, out), "register_table_function");
  } else {
    arena* types = (arena*)calloc(1, sizeof *types);
    type* columns = some_columns(types);
    // A function of a type that is not what it says gives nothing: bytes that are missing in its values could not be seen.
    int is_spoilt = one_in(4);
    struct ArrowSchema arguments, result;
    make_schema(columns, is_spoilt, &arguments);
    make_schema(columns, is_spoilt && one_in(2), &result);
    struct ArrowSchema *arguments_in = MAYBE(&arguments), *result_in = MAYBE(&result);
    note(plasmon_session_register_function(session, one_in(2) ? "abs" : some_text(), arguments_in, result_in, (int32_t)below(5) - 1,
                                           is_spoilt ? some_failure : MAYBE(some_scalar), NULL, some_end, out),
         "register_function");
    if ((arguments_in && arguments.release) || (result_in && result.release)) abort();
    if (arguments.release) arguments.release(&arguments);
    if (result.release) result.release(&result);
    arena_free(types);
  }
  if (made.id) keep(FUNCTION, made.id);
}

CASE(6, some_function, some_function();)
CASE(2, function_stop, note(plasmon_function_stop((plasmon_function){some_handle(FUNCTION)}), "function_stop");)
CASE(1, callback_set_error, note(plasmon_callback_set_error(some_text(), -1), "callback_set_error");)
CASE(24, some_expression, some_expression();)
CASE(40, some_operator, some_operator();)
CASE(8, some_of_the_host, some_of_the_host();)
