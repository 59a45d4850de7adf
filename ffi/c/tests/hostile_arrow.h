// Arrow structs of every type, over buffers that are exactly as long as they say, and all that can be wrong with them. What no consumer can see (a
// buffer that is shorter than lengths and offsets say, a pointer that leads nowhere) is the host's promise and is never broken here; everything else is.
#ifndef HOSTILE_ARROW_H
#define HOSTILE_ARROW_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plasmon.h"

// ---- chance: a thread's own generator, xorshift64*

static _Thread_local uint64_t chance_state;
static uint64_t chance_seed;  // another one for each thread, the library's own included
static uint64_t next_random(void) {
  if (chance_state == 0) chance_state = __atomic_add_fetch(&chance_seed, UINT64_C(0x9E3779B97F4A7C15), __ATOMIC_RELAXED) | 1;
  chance_state ^= chance_state >> 12;
  chance_state ^= chance_state << 25;
  chance_state ^= chance_state >> 27;
  return chance_state * UINT64_C(2685821657736338717);
}
static uint64_t below(uint64_t bound) { return (next_random() >> 11) % bound; }
static int one_in(uint64_t chances) { return below(chances) == 0; }
#define ONE_OF(array) ((array)[below(sizeof(array) / sizeof *(array))])

// ---- memory of one struct and all below it, freed with it

typedef struct arena {
  struct arena_piece* pieces;
} arena;
struct arena_piece {
  struct arena_piece* next;
  void* memory;
};

// Each piece is an allocation of its own, so that a sanitizer sees its end.
static void* arena_take(arena* from, size_t bytes) {
  struct arena_piece* piece = (struct arena_piece*)malloc(sizeof *piece);
  piece->memory = calloc(bytes ? bytes : 1, 1);
  piece->next = from->pieces;
  from->pieces = piece;
  return piece->memory;
}
static void arena_free(arena* whole) {
  for (struct arena_piece *piece = whole->pieces, *next; piece; piece = next) {
    next = piece->next;
    free(piece->memory);
    free(piece);
  }
  free(whole);
}

// Structs that were made, and those that were released: equal at the end.
enum { SCHEMAS, ARRAYS, STREAMS, STRUCTS };
static const char* const struct_names[STRUCTS] = {"schemas", "arrays", "streams"};
static uint64_t structs_made[STRUCTS], structs_released[STRUCTS];
static void count_made(int what) { __atomic_fetch_add(&structs_made[what], 1, __ATOMIC_RELAXED); }
static void count_released(int what) { __atomic_fetch_add(&structs_released[what], 1, __ATOMIC_RELAXED); }

// A caller may do anything inside of a callback; what it does there is up to the program.
static void inside_of_callback(void);

static void release_schema_below(struct ArrowSchema* schema) { schema->release = NULL; }
static void release_array_below(struct ArrowArray* array) { array->release = NULL; }
static void release_schema(struct ArrowSchema* schema) {
  arena_free((arena*)schema->private_data);
  schema->release = NULL;
  count_released(SCHEMAS);
}
static void release_array(struct ArrowArray* array) {
  arena_free((arena*)array->private_data);
  array->release = NULL;
  count_released(ARRAYS);
  inside_of_callback();
}

// ---- types

typedef enum layout { NO_BUFFER, BITS, FIXED, OFFSETS_32, OFFSETS_64, VIEWS, STRUCT, LIST_32, LIST_64, LIST_FIXED, MAP, CODES } layout;

typedef struct type {
  layout layout;
  const char* format;
  int width;      // bytes of a value
  int is_nullable;
  int children_count;
  struct type* children[3];
  struct type* dictionary;
} type;

static const struct { const char* format; int width; } fixed_types[] = {
    {"c", 1}, {"C", 1}, {"s", 2}, {"S", 2}, {"i", 4}, {"I", 4}, {"l", 8}, {"L", 8}, {"e", 2}, {"f", 4}, {"g", 8}, {"tdD", 4}, {"tdm", 8},
    {"tts", 4}, {"ttm", 4}, {"ttu", 8}, {"ttn", 8}, {"tss:", 8}, {"tsm:UTC", 8}, {"tsu:Europe/Berlin", 8}, {"tsn:", 8}, {"tsu:nowhere", 8},
    {"tDs", 8}, {"tDm", 8}, {"tDu", 8}, {"tDn", 8}, {"tiM", 4}, {"tiD", 8}, {"tin", 16}, {"d:9,2,32", 4}, {"d:18,4,64", 8}, {"d:10,3", 16},
    {"d:38,5", 16}, {"d:38,-3", 16}, {"d:76,9,256", 32}, {"w:5", 5}, {"w:0", 0}, {"w:16", 16}};

static type* some_type(arena* memory, int depth) {
  type* made = (type*)arena_take(memory, sizeof *made);
  made->is_nullable = !one_in(4);
  uint64_t kind = below(depth < 3 ? 20 : 12);
  if (kind < 5) {
    uint64_t index = below(sizeof fixed_types / sizeof *fixed_types);
    *made = (type){.layout = FIXED, .format = fixed_types[index].format, .width = fixed_types[index].width, .is_nullable = made->is_nullable};
  } else if (kind == 5) {
    *made = (type){.layout = FIXED, .format = "l", .width = 8, .is_nullable = made->is_nullable};
  } else if (kind == 6) {
    made->layout = BITS, made->format = "b";
  } else if (kind == 7) {
    made->layout = NO_BUFFER, made->format = "n", made->is_nullable = 1;
  } else if (kind < 10) {
    made->layout = OFFSETS_32, made->format = one_in(3) ? "z" : "u";
  } else if (kind == 10) {
    made->layout = OFFSETS_64, made->format = one_in(2) ? "U" : "Z";
  } else if (kind == 11) {
    made->layout = VIEWS, made->format = one_in(2) ? "vu" : "vz";
  } else if (kind < 14) {
    made->layout = STRUCT, made->format = "+s", made->children_count = (int)below(4);
  } else if (kind < 16) {
    made->layout = one_in(3) ? LIST_64 : LIST_32, made->format = made->layout == LIST_64 ? "+L" : "+l", made->children_count = 1;
  } else if (kind == 16) {
    made->layout = LIST_FIXED, made->format = "+w:3", made->width = 3, made->children_count = 1;
  } else if (kind == 17) {
    made->layout = MAP, made->format = "+m", made->children_count = 1;
  } else {
    static const struct { const char* format; int width; } codes[] = {{"c", 1}, {"C", 1}, {"s", 2}, {"S", 2}, {"i", 4}, {"I", 4}, {"l", 8}, {"L", 8}};
    uint64_t index = below(8);
    made->layout = CODES, made->format = codes[index].format, made->width = codes[index].width;
    made->dictionary = some_type(memory, 3);
    return made;
  }
  for (int child = 0; child < made->children_count; child++) made->children[child] = some_type(memory, depth + 1);
  if (made->layout == MAP) {
    type* entries = made->children[0];
    *entries = (type){.layout = STRUCT, .format = "+s", .children_count = 2};
    entries->children[0] = some_type(memory, 3);
    entries->children[0]->is_nullable = 0;
    entries->children[1] = some_type(memory, depth + 1);
  }
  return made;
}

// Columns c0, c1 …; the first is a number as often as not, so that statements have something to count on.
static type* some_columns(arena* memory) {
  type* root = (type*)arena_take(memory, sizeof *root);
  root->layout = STRUCT, root->format = "+s", root->children_count = 1 + (int)below(3);
  for (int child = 0; child < root->children_count; child++) root->children[child] = some_type(memory, 0);
  return root;
}

// ---- schemas

enum { NODES_MAX = 64 };
typedef struct schema_nodes {
  int count;
  struct ArrowSchema* nodes[NODES_MAX];
} schema_nodes;

static void fill_schema(arena* memory, const type* of, const char* name, struct ArrowSchema* out, schema_nodes* nodes) {
  memset(out, 0, sizeof *out);
  out->format = of->format;
  out->name = name;
  out->flags = of->is_nullable ? ARROW_FLAG_NULLABLE : 0;
  out->n_children = of->children_count;
  out->release = release_schema_below;
  // One more than there are, null, for counts that lie.
  out->children = (struct ArrowSchema**)arena_take(memory, ((size_t)of->children_count + 1) * sizeof *out->children);
  for (int child = 0; child < of->children_count; child++) {
    static const char* const names[] = {"c0", "c1", "c2"};
    out->children[child] = (struct ArrowSchema*)arena_take(memory, sizeof *out);
    fill_schema(memory, of->children[child], names[child], out->children[child], nodes);
  }
  if (of->dictionary) {
    out->dictionary = (struct ArrowSchema*)arena_take(memory, sizeof *out);
    fill_schema(memory, of->dictionary, "", out->dictionary, nodes);
  }
  if (nodes->count < NODES_MAX) nodes->nodes[nodes->count++] = out;
}

static int64_t absurd(void) { return one_in(2) ? -1 - (int64_t)(next_random() >> 1 >> below(62)) : INT64_MAX - (int64_t)(next_random() >> 24); }

static const char* some_metadata(arena* memory) {
  // A count, then keys and values behind their lengths; whatever lies is seen before it is followed.
  int32_t texts[4][4] = {{-1, 0, 0, 0}, {INT32_MAX, 0, 0, 0}, {1, -5, 0, 0}, {1, 4, 0x20fffe41, INT32_MIN}};
  int32_t* metadata = (int32_t*)arena_take(memory, sizeof texts[0]);
  memcpy(metadata, texts[below(4)], sizeof texts[0]);
  return (const char*)metadata;
}

static void spoil_schema(arena* memory, struct ArrowSchema* root, const schema_nodes* nodes) {
  static const char* const formats[] = {"",    "q",   "w:-4", "w:x",   "w:99999999999", "d:99,2", "d:5,9", "d:1",  "d:", "tsx:", "ts", "tD?",    "\xff\xfe",
                                        "+",   "+r",  "+vl",  "+vL",   "+ud:0",         "+us:0",  "+w:x",  "+w:-1", "+w:9223372036854775807", "vx", "+x", "d:38,-99,4"};
  struct ArrowSchema* node = nodes->nodes[below((uint64_t)nodes->count)];
  switch (below(14)) {
    case 0: node->n_children = absurd(); break;
    case 1: node->n_children++; break;
    case 2: node->n_children = node->n_children > 0 ? node->n_children - 1 : 1; break;
    case 3: node->children = NULL; break;
    case 4: node->children[0] = NULL; break;
    case 5: node->format = NULL; break;
    case 6: node->format = ONE_OF(formats); break;
    case 7: node->name = one_in(2) ? NULL : "\xc3\x28"; break;
    case 8: node->metadata = some_metadata(memory); break;
    case 9: if (node != root) node->release = NULL; break;
    case 10: root->format = one_in(2) ? "l" : NULL; break;
    case 11: node->dictionary = one_in(2) ? node : root; break;
    case 12:  // cycles
      if (node->n_children > 0) node->children[0] = one_in(2) ? node : root;
      else root->children[0] = root;
      break;
    case 13: {  // deeper than anyone needs
      struct ArrowSchema* at = node;
      for (uint64_t depth = 40 + below(60); depth > 0; depth--) {
        struct ArrowSchema* child = (struct ArrowSchema*)arena_take(memory, sizeof *child);
        *child = (struct ArrowSchema){.format = "l", .name = "deep", .release = release_schema_below};
        at->format = "+s", at->n_children = 1;
        at->children = (struct ArrowSchema**)arena_take(memory, sizeof *at->children);
        at->children[0] = child;
        at = child;
      }
      break;
    }
  }
}

static void make_schema(const type* of, int is_spoilt, struct ArrowSchema* out) {
  arena* memory = (arena*)calloc(1, sizeof *memory);
  schema_nodes nodes = {0};
  fill_schema(memory, of, "", out, &nodes);
  out->private_data = memory;
  out->release = release_schema;
  count_made(SCHEMAS);
  if (is_spoilt) spoil_schema(memory, out, &nodes);
  // A released struct, whose memory is gone.
  if (is_spoilt && one_in(20)) out->release(out);
}

// ---- arrays

typedef struct array_node {
  struct ArrowArray* array;
  const type* of;
  int64_t rows;  // from the buffers' start
  int64_t data_bytes[2];
} array_node;
typedef struct array_nodes {
  int count;
  array_node nodes[NODES_MAX];
  int is_loose;  // buffers are longer than needed, for batches of another type than the schema's
} array_nodes;

enum { SPARE_BUFFERS = 8 };

// A buffer of exactly so many bytes; sometimes not aligned.
static uint8_t* some_buffer(arena* memory, const array_nodes* nodes, int64_t bytes, int64_t rows) {
  if (nodes->is_loose) return (uint8_t*)arena_take(memory, (size_t)(bytes + (rows + 2) * 32));
  size_t skew = one_in(12) ? 1 + below(7) : 0;
  return (uint8_t*)arena_take(memory, (size_t)bytes + skew) + skew;
}

static void random_bytes(uint8_t* to, int64_t bytes) {
  uint64_t mode = below(3);
  for (int64_t at = 0; at < bytes; at++) to[at] = mode == 0 ? (uint8_t)next_random() : mode == 1 ? (uint8_t)(at % 8 == 0 ? below(5) : 0) : (uint8_t)(one_in(2) ? 0xff : 0x7f);
}

static void write_offset(uint8_t* offsets, int width, int64_t index, int64_t value) {
  if (width == 4) {
    int32_t narrow = (int32_t)value;
    memcpy(offsets + index * 4, &narrow, 4);
  } else {
    memcpy(offsets + index * 8, &value, 8);
  }
}

// Offsets of `rows` values of 0 to 6 units each; the last one.
static int64_t fill_offsets(uint8_t* offsets, int width, int64_t rows) {
  int64_t end = one_in(5) ? (int64_t)below(4) : 0;
  for (int64_t row = 0; row <= rows; row++) {
    write_offset(offsets, width, row, end);
    if (row < rows) end += (int64_t)below(7);
  }
  return end;
}

// Any cut of it is UTF-8.
static void fill_text(uint8_t* text, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at++) text[at] = (uint8_t)"abc 1-2.T:%_"[below(12)];
}

static void fill_views(arena* memory, array_nodes* nodes, struct ArrowArray* out, int64_t rows, int64_t* buffers_bytes) {
  int64_t buffers = (int64_t)below(3);
  for (int64_t index = 0; index < buffers; index++) {
    buffers_bytes[index] = 20 + (int64_t)below(20);
    out->buffers[2 + index] = some_buffer(memory, nodes, buffers_bytes[index], 0);
    fill_text((uint8_t*)out->buffers[2 + index], buffers_bytes[index]);
  }
  uint8_t* lengths = some_buffer(memory, nodes, buffers * 8, 0);
  memcpy(lengths, buffers_bytes, (size_t)buffers * 8);
  out->buffers[2 + buffers] = lengths;
  out->n_buffers = 3 + buffers;
  uint8_t* views = some_buffer(memory, nodes, rows * 16, rows);
  for (int64_t row = 0; row < rows; row++) {
    uint8_t* view = views + row * 16;
    if (buffers > 0 && one_in(2)) {
      int32_t index = (int32_t)below((uint64_t)buffers), length = 13 + (int32_t)below(7), offset = (int32_t)below((uint64_t)buffers_bytes[index] - (uint64_t)length + 1);
      memcpy(view, &length, 4);
      memcpy(view + 4, (const uint8_t*)out->buffers[2 + index] + offset, 4);
      memcpy(view + 8, &index, 4);
      memcpy(view + 12, &offset, 4);
    } else {
      view[0] = (uint8_t)below(13);
      fill_text(view + 4, view[0]);
    }
  }
  out->buffers[1] = views;
}

static void fill_array(arena* memory, const type* of, int64_t rows, struct ArrowArray* out, array_nodes* nodes);

static struct ArrowArray* array_below(arena* memory, const type* of, int64_t rows, array_nodes* nodes) {
  struct ArrowArray* made = (struct ArrowArray*)arena_take(memory, sizeof *made);
  fill_array(memory, of, rows, made, nodes);
  return made;
}

static void fill_validity(arena* memory, const type* of, int64_t rows, struct ArrowArray* out, array_nodes* nodes) {
  out->null_count = one_in(3) ? -1 : 0;
  if (!of->is_nullable || one_in(2)) return;
  uint8_t* bits = some_buffer(memory, nodes, (rows + 7) / 8, rows);
  int64_t nulls = 0;
  for (int64_t row = 0; row < rows; row++) {
    int is_set = !one_in(4);
    bits[row / 8] |= (uint8_t)(is_set << (row % 8));
    nulls += !is_set && row >= out->offset && row < out->offset + out->length;
  }
  out->buffers[0] = bits;
  out->null_count = one_in(3) ? -1 : nulls;
}

static void fill_array(arena* memory, const type* of, int64_t rows, struct ArrowArray* out, array_nodes* nodes) {
  memset(out, 0, sizeof *out);
  // `rows` are seen; more may lie before and after them.
  out->offset = one_in(4) ? (int64_t)below(11) : 0;
  int64_t bytes[2] = {0, 0};
  out->length = rows + (one_in(6) ? (int64_t)below(3) : 0);
  int64_t all = out->offset + out->length;
  const void** buffers = (const void**)arena_take(memory, SPARE_BUFFERS * sizeof *buffers);
  out->buffers = buffers;
  out->release = release_array_below;
  out->n_buffers = 2;
  out->n_children = of->children_count;
  out->children = (struct ArrowArray**)arena_take(memory, ((size_t)of->children_count + 1) * sizeof *out->children);
  if (of->layout != NO_BUFFER) fill_validity(memory, of, all, out, nodes);
  int64_t below_rows = all;
  switch (of->layout) {
    case NO_BUFFER:
      out->n_buffers = 0;
      out->null_count = out->length;
      break;
    case BITS:
      buffers[1] = some_buffer(memory, nodes, (all + 7) / 8, all);
      random_bytes((uint8_t*)buffers[1], (all + 7) / 8);
      break;
    case FIXED:
      buffers[1] = some_buffer(memory, nodes, all * of->width, all);
      random_bytes((uint8_t*)buffers[1], all * of->width);
      break;
    case OFFSETS_32:
    case OFFSETS_64: {
      int width = of->layout == OFFSETS_32 ? 4 : 8;
      buffers[1] = some_buffer(memory, nodes, (all + 1) * width, all);
      bytes[0] = fill_offsets((uint8_t*)buffers[1], width, all);
      buffers[2] = some_buffer(memory, nodes, bytes[0], all);
      fill_text((uint8_t*)buffers[2], bytes[0]);
      out->n_buffers = 3;
      break;
    }
    case VIEWS: fill_views(memory, nodes, out, all, bytes); break;
    case STRUCT: out->n_buffers = 1; break;
    case LIST_FIXED:
      out->n_buffers = 1;
      below_rows = all * of->width;
      break;
    case LIST_32:
    case LIST_64:
    case MAP: {
      int width = of->layout == LIST_64 ? 8 : 4;
      buffers[1] = some_buffer(memory, nodes, (all + 1) * width, all);
      below_rows = fill_offsets((uint8_t*)buffers[1], width, all);
      break;
    }
    case CODES: {
      int64_t values = 1 + (int64_t)below(5);
      buffers[1] = some_buffer(memory, nodes, all * of->width, all);
      for (int64_t row = 0; row < all; row++) ((uint8_t*)buffers[1])[row * of->width] = (uint8_t)below((uint64_t)values);
      out->dictionary = array_below(memory, of->dictionary, values, nodes);
      break;
    }
  }
  for (int child = 0; child < of->children_count; child++) out->children[child] = array_below(memory, of->children[child], below_rows, nodes);
  if (nodes->count < NODES_MAX) nodes->nodes[nodes->count++] = (array_node){out, of, all, {bytes[0], bytes[1]}};
}

// Values that lie about other values. Lengths stay: what an end that lies makes of a shorter array could not be seen.
static void spoil_values(const array_node* node) {
  struct ArrowArray* array = node->array;
  uint8_t* values = (uint8_t*)array->buffers[1];
  int64_t rows = node->rows, row = rows > 0 ? (int64_t)below((uint64_t)rows) : 0;
  switch (node->of->layout) {
    case OFFSETS_32:
    case OFFSETS_64: {
      int width = node->of->layout == OFFSETS_32 ? 4 : 8;
      if (node->data_bytes[0] > 0 && one_in(2)) {
        ((uint8_t*)array->buffers[2])[below((uint64_t)node->data_bytes[0])] = (uint8_t)(0x80 | next_random());
      } else if (rows > 0 && one_in(2)) {
        write_offset(values, width, row, (int64_t)next_random() >> below(64));
      } else {
        write_offset(values, width, array->offset + array->length, one_in(2) ? -1 - (int64_t)below(100) : (int64_t)below((uint64_t)node->data_bytes[0] + 1));
      }
      break;
    }
    case LIST_32:
    case LIST_64:
    case MAP: write_offset(values, node->of->layout == LIST_64 ? 8 : 4, (int64_t)below((uint64_t)rows + 1), (int64_t)next_random() >> below(64)); break;
    case CODES:
      if (rows > 0) random_bytes(values + row * node->of->width, node->of->width);
      break;
    case VIEWS:
      if (array->n_buffers > 3 && one_in(3)) {
        int64_t wrong = one_in(2) ? absurd() : (int64_t)below(20);
        memcpy((uint8_t*)array->buffers[array->n_buffers - 1], &wrong, 8);
      } else if (rows > 0) {
        random_bytes(values + row * 16 + below(4) * 4, 4);
      }
      break;
    default: array->null_count = 1 + (int64_t)below(3); break;
  }
}

static void spoil_array(struct ArrowArray* root, const array_nodes* nodes) {
  const array_node* node = &nodes->nodes[below((uint64_t)nodes->count)];
  struct ArrowArray* array = node->array;
  switch (below(20)) {
    case 0: array->length = absurd(); break;
    case 1: array->length = (int64_t)below((uint64_t)array->length + 1); break;
    case 2: array->offset = absurd(); break;
    case 3: array->null_count = one_in(2) ? absurd() : (int64_t)below((uint64_t)array->length + 3) - 1; break;
    case 4: array->n_buffers = absurd(); break;
    case 5: array->n_buffers = (int64_t)below(2); break;
    case 6: array->n_buffers++; break;
    case 7: array->n_children = absurd(); break;
    case 8: array->n_children++; break;
    case 9: array->n_children = array->n_children > 0 ? array->n_children - 1 : 1; break;
    case 10: array->children = NULL; break;
    case 11: array->children[0] = NULL; break;
    case 12: if (array != root) array->release = NULL; break;
    case 13: array->buffers = NULL; break;
    case 14: array->buffers[below(SPARE_BUFFERS)] = NULL; break;
    case 15: array->dictionary = node->of->layout == CODES ? NULL : array; break;
    case 16:  // a cycle, where it cannot make a buffer seem longer
      if (node->of->layout == STRUCT || node->of->layout == LIST_FIXED) array->children[0] = array;
      break;
    default: spoil_values(node); break;
  }
}

static void make_array(const type* of, int64_t rows, int is_spoilt, int is_loose, struct ArrowArray* out) {
  arena* memory = (arena*)calloc(1, sizeof *memory);
  array_nodes nodes = {.is_loose = is_loose};
  fill_array(memory, of, rows, out, &nodes);
  if (one_in(2)) {  // rows of a batch are all there
    out->buffers[0] = NULL;
    out->null_count = 0;
  }
  out->private_data = memory;
  out->release = release_array;
  count_made(ARRAYS);
  if (is_spoilt) spoil_array(out, &nodes);
  if (is_spoilt && one_in(20)) out->release(out);
}

// ---- streams

typedef struct lying_stream {
  arena types;
  type* columns;
  type* told;  // by get_schema
  int64_t batches_left, rows;
  int spoils_schema, spoils_arrays, has_no_message;
  int schema_errors, fails_after;
  int is_busy, is_over;
} lying_stream;

static void enter(lying_stream* stream, const char* what) {
  if (__atomic_exchange_n(&stream->is_busy, 1, __ATOMIC_ACQUIRE)) {
    fprintf(stderr, "%s while another call is inside of the stream\n", what);
    abort();
  }
}
static int leave(lying_stream* stream, int answer) {
  inside_of_callback();
  __atomic_store_n(&stream->is_busy, 0, __ATOMIC_RELEASE);
  return answer;
}

static int lying_get_schema(struct ArrowArrayStream* self, struct ArrowSchema* out) {
  lying_stream* stream = (lying_stream*)self->private_data;
  enter(stream, "get_schema");
  if (stream->schema_errors) return leave(stream, one_in(2) ? EINVAL : -1);
  make_schema(stream->told, stream->spoils_schema, out);
  return leave(stream, 0);
}

static int lying_get_next(struct ArrowArrayStream* self, struct ArrowArray* out) {
  lying_stream* stream = (lying_stream*)self->private_data;
  enter(stream, "get_next");
  if (stream->is_over) {
    fprintf(stderr, "a stream was asked again after its end\n");
    abort();
  }
  if (stream->fails_after-- == 0) {
    stream->is_over = 1;
    return leave(stream, one_in(2) ? EIO : INT32_MIN);
  }
  memset(out, 0, sizeof *out);
  if (stream->batches_left-- == 0) {
    stream->is_over = 1;
    return leave(stream, 0);
  }
  make_array(stream->columns, one_in(4) ? (int64_t)below(3) : stream->rows, stream->spoils_arrays && one_in(2), stream->columns != stream->told, out);
  return leave(stream, 0);
}

static const char* lying_get_last_error(struct ArrowArrayStream* self) {
  return ((lying_stream*)self->private_data)->has_no_message ? NULL : one_in(3) ? "\xff\xfe is no UTF-8" : "the host's disk is gone";
}

static void lying_release(struct ArrowArrayStream* self) {
  lying_stream* stream = (lying_stream*)self->private_data;
  enter(stream, "release");
  inside_of_callback();
  arena* types = (arena*)malloc(sizeof *types);
  *types = stream->types;
  arena_free(types);
  free(stream);
  self->release = NULL;
  count_released(STREAMS);
}

// Other columns than those of the batches, in a way that shows: too few, too many, or another type for one of plain values.
static type* some_lie(arena* memory, const type* columns) {
  type* told = (type*)arena_take(memory, sizeof *told);
  *told = *columns;
  int column = (int)below((uint64_t)told->children_count);
  layout layout = told->children[column]->layout;
  if (layout == FIXED || layout == BITS) told->children[column] = some_type(memory, 0);
  else if (told->children_count < 3) told->children[told->children_count++] = some_type(memory, 0);
  else told->children_count--;
  return told;
}

static struct ArrowArrayStream some_stream(void) {
  lying_stream* stream = (lying_stream*)calloc(1, sizeof *stream);
  stream->columns = stream->told = some_columns(&stream->types);
  stream->batches_left = (int64_t)below(4);
  stream->rows = (int64_t)below(one_in(8) ? 200 : 20);
  stream->spoils_schema = one_in(6);
  stream->spoils_arrays = !stream->spoils_schema && one_in(2);
  stream->schema_errors = one_in(30);
  stream->fails_after = one_in(8) ? (int)below(3) : -1;
  stream->has_no_message = one_in(4);
  if (one_in(12)) stream->told = some_lie(&stream->types, stream->columns);
  count_made(STREAMS);
  struct ArrowArrayStream made = {lying_get_schema, lying_get_next, lying_get_last_error, lying_release, stream};
  if (one_in(20)) made.get_last_error = NULL;
  if (one_in(60)) made.get_next = NULL;
  if (one_in(60)) made.get_schema = NULL;
  if (one_in(60)) made.release(&made);
  return made;
}

#endif
