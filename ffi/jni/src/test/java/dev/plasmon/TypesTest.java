package dev.plasmon;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import org.apache.arrow.c.ArrowArray;
import org.apache.arrow.c.ArrowArrayStream;
import org.apache.arrow.c.ArrowSchema;
import org.apache.arrow.c.Data;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.*;
import org.apache.arrow.vector.complex.ListVector;
import org.apache.arrow.vector.complex.StructVector;
import org.apache.arrow.vector.complex.impl.UnionListWriter;
import org.apache.arrow.vector.types.pojo.ArrowType;
import org.apache.arrow.vector.types.pojo.FieldType;
import org.junit.jupiter.api.Test;

/** Values of every type come back as they went in, by every way. */
class TypesTest {
  private static final int ROWS = 1000;

  private static VectorSchemaRoot everyType(BufferAllocator allocator) {
    BitVector bits = new BitVector("bits", allocator);
    TinyIntVector tiny = new TinyIntVector("tiny", allocator);
    SmallIntVector small = new SmallIntVector("small", allocator);
    IntVector integer = new IntVector("integer", allocator);
    BigIntVector big = new BigIntVector("big", allocator);
    UInt4Vector unsigned = new UInt4Vector("unsigned", allocator);
    Float4Vector single = new Float4Vector("single", allocator);
    Float8Vector floating = new Float8Vector("floating", allocator);
    DecimalVector decimal = new DecimalVector("decimal", allocator, 30, 4);
    DateDayVector day = new DateDayVector("day", allocator);
    TimeStampMicroVector moment = new TimeStampMicroVector("moment", allocator);
    TimeStampMicroTZVector instant = new TimeStampMicroTZVector("instant", allocator, "UTC");
    VarCharVector text = new VarCharVector("text", allocator);
    VarBinaryVector binary = new VarBinaryVector("binary", allocator);
    List<FieldVector> columns = new ArrayList<>(List.of(bits, tiny, small, integer, big, unsigned, single, floating, decimal, day, moment, instant, text, binary));
    columns.forEach(FieldVector::allocateNew);
    for (int i = 0; i < ROWS; i++) {
      if (i % 7 == 3) {
        continue;
      }
      bits.setSafe(i, i % 2);
      tiny.setSafe(i, i % 128 - 64);
      small.setSafe(i, i * 31 - 15000);
      integer.setSafe(i, i * 1_000_003);
      big.setSafe(i, i * 1_000_000_007_000_003L);
      unsigned.setSafe(i, -i);
      single.setSafe(i, i / 3f);
      floating.setSafe(i, i / 7.0);
      decimal.setSafe(i, new BigDecimal("12345678901234567890.1234").subtract(BigDecimal.valueOf(i)));
      day.setSafe(i, i * 17 - 3000);
      moment.setSafe(i, i * 86_399_999_999L);
      instant.setSafe(i, -i * 86_399_999_999L);
      text.setSafe(i, Text.utf8("row " + i + (i % 2 == 0 ? " \u0000 zero" : " 🦀 astral") + "x".repeat(i % 40)));
      binary.setSafe(i, new byte[] {(byte) i, 0, -1});
    }
    ListVector list = ListVector.empty("list", allocator);
    UnionListWriter writer = list.getWriter();
    StructVector struct = new StructVector("struct", allocator, FieldType.nullable(ArrowType.Struct.INSTANCE), null);
    IntVector inner = struct.addOrGet("inner", FieldType.nullable(new ArrowType.Int(32, true)), IntVector.class);
    struct.allocateNew();
    for (int i = 0; i < ROWS; i++) {
      writer.setPosition(i);
      writer.startList();
      for (int n = 0; n < i % 5; n++) {
        writer.writeBigInt(i * n);
      }
      writer.endList();
      struct.setIndexDefined(i);
      inner.setSafe(i, i);
    }
    columns.add(list);
    columns.add(struct);
    columns.forEach(column -> column.setValueCount(ROWS));
    return new VectorSchemaRoot(columns);
  }

  @Test
  void everyWayKeepsEveryValue() throws Exception {
    try (BufferAllocator allocator = new RootAllocator(); Session session = new Session()) {
      List<List<Object>> expected = new ArrayList<>();
      try (VectorSchemaRoot root = everyType(allocator)) {
        Batches.add(root, expected);
      }
      try (ArrowArrayStream in = Batches.stream(allocator, everyType(allocator))) {
        session.registerStream("t", in.memoryAddress());
      }
      for (String driver : List.of("pool", "inline")) {
        try (Plan plan = session.prepare("SELECT * FROM t").set("driver", driver)) {
          try (Stream rows = plan.execute()) {
            assertEquals(expected, Batches.exported(allocator, rows));
          }
          try (Stream rows = plan.execute()) {
            assertEquals(expected, Batches.pulled(allocator, rows));
          }
        }
        try (Plan plan = session.prepare("SELECT * FROM input").set("driver", driver);
            ArrowArrayStream in = Batches.stream(allocator, everyType(allocator))) {
          plan.bindStream("input", in.memoryAddress());
          try (Stream rows = plan.execute()) {
            assertEquals(expected, Batches.pulled(allocator, rows));
          }
        }
      }
      session.deregister("t");
    }
  }

  @Test
  void parametersAndSchemas() throws Exception {
    try (BufferAllocator allocator = new RootAllocator();
        Session session = new Session();
        Plan plan = session.prepare("SELECT $1 + 1 AS more, upper($2) AS louder")) {
      BigIntVector number = new BigIntVector("a", allocator);
      VarCharVector text = new VarCharVector("b", allocator);
      number.setSafe(0, 41);
      text.setSafe(0, Text.utf8("é🦀"));
      number.setValueCount(1);
      text.setValueCount(1);
      try (VectorSchemaRoot row = VectorSchemaRoot.of(number, text);
          ArrowArray array = ArrowArray.allocateNew(allocator);
          ArrowSchema schema = ArrowSchema.allocateNew(allocator)) {
        row.setRowCount(1);
        Data.exportVectorSchemaRoot(allocator, row, null, array, schema);
        plan.bindParameters(schema.memoryAddress(), array.memoryAddress());
      }
      try (ArrowSchema schema = ArrowSchema.allocateNew(allocator)) {
        plan.exportSchema(schema.memoryAddress());
        assertEquals(List.of("more", "louder"), Data.importSchema(allocator, schema, null).getFields().stream().map(f -> f.getName()).toList());
      }
      try (Stream rows = plan.execute()) {
        assertEquals("[[42, É🦀]]", Batches.pulled(allocator, rows).toString());
      }
    }
  }

  @Test
  void stepsComeToTheSameEnd() {
    try (Session session = new Session();
        Plan plan = session.prepare("SELECT value FROM generate_series(1, 100000)").set("driver", "inline");
        Stream rows = plan.execute()) {
      long seen = 0;
      int moves = 0;
      Stream.Step step;
      while ((step = rows.step()) != Stream.Step.DONE) {
        if (step == Stream.Step.BATCH) {
          // The struct's first field is its length.
          seen += length(rows.array());
        } else {
          assertEquals(0, rows.array());
          moves++;
        }
      }
      assertEquals(100000, seen);
      assertEquals(0, rows.array());
      assertEquals(true, moves > 0);
      Stream.Progress progress = rows.progress();
      assertEquals(100000, progress.rowsRead());
      assertEquals(true, rows.metrics().startsWith("{") && rows.metrics().contains("generate_series"), rows.metrics());
      assertEquals(true, plan.explain(Plan.ExplainFormat.TEXT).contains("generate_series"));
    }
  }

  private static long length(long array) {
    return ArrowArray.wrap(array).snapshot().length;
  }
}
