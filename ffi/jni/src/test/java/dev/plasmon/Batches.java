package dev.plasmon;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.apache.arrow.c.ArrowArray;
import org.apache.arrow.c.ArrowArrayStream;
import org.apache.arrow.c.ArrowSchema;
import org.apache.arrow.c.CDataDictionaryProvider;
import org.apache.arrow.c.Data;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.FieldVector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.ipc.ArrowReader;
import org.apache.arrow.vector.ipc.ArrowStreamReader;
import org.apache.arrow.vector.ipc.ArrowStreamWriter;
import org.junit.jupiter.api.function.Executable;

/** Streams and batches of Arrow Java's, for the tests to hand in and to read. */
final class Batches {
  private Batches() {}

  /** A stream of one batch. The root is closed. */
  static ArrowArrayStream stream(BufferAllocator allocator, VectorSchemaRoot root) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (root; ArrowStreamWriter writer = new ArrowStreamWriter(root, null, bytes)) {
      writer.writeBatch();
    }
    ArrowArrayStream stream = ArrowArrayStream.allocateNew(allocator);
    Data.exportArrayStream(allocator, new ArrowStreamReader(new ByteArrayInputStream(bytes.toByteArray()), allocator), stream);
    return stream;
  }

  /** A column {@code n} of the numbers from {@code first} on. */
  static VectorSchemaRoot numbers(BufferAllocator allocator, long first, int count) {
    BigIntVector n = new BigIntVector("n", allocator);
    n.allocateNew(count);
    for (int i = 0; i < count; i++) {
      n.set(i, first + i);
    }
    n.setValueCount(count);
    return VectorSchemaRoot.of(n);
  }

  /** All rows, read as an Arrow C stream. */
  static List<List<Object>> exported(BufferAllocator allocator, Stream rows) throws IOException {
    List<List<Object>> read = new ArrayList<>();
    try (ArrowArrayStream stream = ArrowArrayStream.allocateNew(allocator)) {
      rows.exportTo(stream.memoryAddress());
      try (ArrowReader reader = Data.importArrayStream(allocator, stream)) {
        while (reader.loadNextBatch()) {
          add(reader.getVectorSchemaRoot(), read);
        }
      }
    }
    return read;
  }

  /** All rows, pulled batch by batch. */
  static List<List<Object>> pulled(BufferAllocator allocator, Stream rows) {
    List<List<Object>> read = new ArrayList<>();
    try (CDataDictionaryProvider dictionaries = new CDataDictionaryProvider();
        ArrowSchema schema = ArrowSchema.allocateNew(allocator)) {
      rows.exportSchema(schema.memoryAddress());
      try (VectorSchemaRoot root = Data.importVectorSchemaRoot(allocator, schema, dictionaries)) {
        for (long array; (array = rows.next()) != 0;) {
          Data.importIntoVectorSchemaRoot(allocator, ArrowArray.wrap(array), root, dictionaries);
          add(root, read);
        }
      }
    }
    return read;
  }

  static void add(VectorSchemaRoot root, List<List<Object>> rows) {
    for (int row = 0; row < root.getRowCount(); row++) {
      List<Object> values = new ArrayList<>();
      for (FieldVector column : root.getFieldVectors()) {
        Object value = column.getObject(row);
        values.add(value instanceof byte[] bytes ? ByteBuffer.wrap(bytes) : value);
      }
      rows.add(values);
    }
  }

  /** The only value of a query. */
  static Object value(BufferAllocator allocator, Session session, String sql) throws IOException {
    try (Stream rows = session.query(sql)) {
      return pulled(allocator, rows).get(0).get(0);
    }
  }

  static PlasmonException fails(ErrorCode code, Executable call) {
    PlasmonException e = assertThrows(PlasmonException.class, call);
    assertEquals(code, e.code(), e.toString());
    return e;
  }
}
