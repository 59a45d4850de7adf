// Runs SQL files over a folder of TPC-H tables through the C ABI and prints their rows as CSV.
//
//   tpch DATA QUERY.sql …
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plasmon.h"

static void check(int32_t code) {
  if (code == PLASMON_CODE_OK) return;
  fprintf(stderr, "%s: %s\n", plasmon_code_name(code), plasmon_last_error()->message);
  exit(1);
}

static char* read_file(const char* path) {
  FILE* file = fopen(path, "rb");
  if (!file) {
    perror(path);
    exit(1);
  }
  size_t size = 0, room = 1 << 16;
  char* text = (char*)malloc(room);
  for (size_t got; (got = fread(text + size, 1, room - size - 1, file)) > 0;) {
    size += got;
    if (room - size < 2) text = (char*)realloc(text, room *= 2);
  }
  fclose(file);
  text[size] = 0;
  return text;
}

static void print_text(const char* text, size_t length) {
  int quoted = 0;
  for (size_t i = 0; i < length; i++) quoted |= strchr(",\"\r\n", text[i]) != NULL;
  if (!quoted) {
    fwrite(text, 1, length, stdout);
    return;
  }
  putchar('"');
  for (size_t i = 0; i < length; i++) {
    if (text[i] == '"') putchar('"');
    putchar(text[i]);
  }
  putchar('"');
}

static void print_date(int32_t days) {
  // Howard Hinnant's civil_from_days.
  int64_t z = (int64_t)days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
  int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  int64_t mp = (5 * doy + 2) / 153, day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
  printf("%04" PRId64 "-%02" PRId64 "-%02" PRId64, yoe + era * 400 + (month <= 2), month, day);
}

static void print_decimal(__int128 value, int scale) {
  char digits[48];
  int count = 0;
  if (value < 0) {
    putchar('-');
    value = -value;
  }
  for (; value > 0 || count <= scale; value /= 10) digits[count++] = (char)('0' + (int)(value % 10));
  while (count > 0) {
    putchar(digits[--count]);
    if (count == scale && scale > 0) putchar('.');
  }
}

static void print_value(const struct ArrowSchema* type, const struct ArrowArray* array, int64_t row) {
  const char* format = type->format;
  row += array->offset;
  const uint8_t* validity = (const uint8_t*)array->buffers[0];
  if (validity && !(validity[row / 8] >> (row % 8) & 1)) return;
  if (strcmp(format, "l") == 0) {
    printf("%" PRId64, ((const int64_t*)array->buffers[1])[row]);
  } else if (strcmp(format, "i") == 0) {
    printf("%" PRId32, ((const int32_t*)array->buffers[1])[row]);
  } else if (strcmp(format, "tdD") == 0) {
    print_date(((const int32_t*)array->buffers[1])[row]);
  } else if (strncmp(format, "d:", 2) == 0) {
    __int128 value;
    memcpy(&value, (const char*)array->buffers[1] + 16 * row, 16);
    print_decimal(value, atoi(strchr(format, ',') + 1));
  } else if (strcmp(format, "u") == 0) {
    const int32_t* offsets = (const int32_t*)array->buffers[1] + row;
    print_text((const char*)array->buffers[2] + offsets[0], (size_t)(offsets[1] - offsets[0]));
  } else if (strcmp(format, "vu") == 0) {
    const char* view = (const char*)array->buffers[1] + 16 * row;
    int32_t parts[4];
    memcpy(parts, view, 16);
    print_text(parts[0] <= 12 ? view + 4 : (const char*)array->buffers[2 + parts[2]] + parts[3], (size_t)parts[0]);
  } else {
    fprintf(stderr, "column %s has the format %s, which this program does not print\n", type->name, format);
    exit(1);
  }
}

static void run(plasmon_session session, const char* path) {
  plasmon_statement statement;
  plasmon_query query;
  struct ArrowArrayStream stream;
  struct ArrowSchema schema;
  char* sql = read_file(path);
  check(plasmon_statement_open(session, &statement));
  check(plasmon_statement_set_sql(statement, sql, -1));
  check(plasmon_statement_execute(statement, &query));
  check(plasmon_query_stream(query, &stream));
  if (stream.get_schema(&stream, &schema) != 0) exit(1);
  for (;;) {
    struct ArrowArray batch;
    if (stream.get_next(&stream, &batch) != 0) {
      fprintf(stderr, "%s: %s\n", path, stream.get_last_error(&stream));
      exit(1);
    }
    if (!batch.release) break;
    for (int64_t row = 0; row < batch.length; row++) {
      for (int64_t column = 0; column < batch.n_children; column++) {
        if (column) putchar(',');
        print_value(schema.children[column], batch.children[column], row);
      }
      putchar('\n');
    }
    batch.release(&batch);
  }
  schema.release(&schema);
  stream.release(&stream);
  check(plasmon_query_close(query));
  check(plasmon_statement_close(statement));
  free(sql);
}

int main(int count, char** arguments) {
  static const char* tables[] = {"customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"};
  plasmon_session session;
  if (count < 3) {
    fprintf(stderr, "usage: %s DATA QUERY.sql …\n", arguments[0]);
    return 2;
  }
  check(plasmon_session_open(&session));
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.parquet", arguments[1], tables[i]);
    check(plasmon_session_register_path(session, tables[i], path));
  }
  for (int i = 2; i < count; i++) {
    printf("-- %s\n", strrchr(arguments[i], '/') ? strrchr(arguments[i], '/') + 1 : arguments[i]);
    run(session, arguments[i]);
  }
  check(plasmon_session_close(session));
  return 0;
}
