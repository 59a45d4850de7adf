package dev.plasmon.spark;

import dev.plasmon.ArrowStructs;
import dev.plasmon.BatchSource;
import java.util.Iterator;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.unsafe.Platform;

/** Spark's rows as batches for the engine, in buffers outside of the heap that live until the engine releases them. */
public final class RowBatches implements BatchSource {
  private final Iterator<InternalRow> rows;
  private final DataType[] types;
  private final int batchRows;

  /** Batches of at most {@code batchRows} rows with columns of these types. */
  public RowBatches(Iterator<InternalRow> rows, DataType[] types, int batchRows) {
    this.rows = rows;
    this.types = types;
    this.batchRows = batchRows;
  }

  /** Whether columns of the type can be made of rows. */
  public static boolean supports(DataType type) {
    return RowColumnWriter.supports(type);
  }

  @Override
  public boolean next(long array) {
    if (!rows.hasNext()) {
      return false;
    }
    Buffers buffers = new Buffers(types, batchRows);
    try {
      int count = 0;
      while (count < batchRows && rows.hasNext()) {
        buffers.append(rows.next());
        count++;
      }
      buffers.finish(array, count);
    } catch (RuntimeException | Error e) {
      buffers.free();
      throw e;
    }
    return true;
  }

  /** What one batch lies in. */
  private static final class Buffers {
    private final RowColumnWriter[] columns;
    /** The columns' structs, their addresses, and the address of the batch's one buffer, its validity, which there is none of. */
    private final long structs;
    private final long addresses;
    private final long none;

    Buffers(DataType[] types, int capacity) {
      columns = new RowColumnWriter[types.length];
      for (int i = 0; i < types.length; i++) {
        columns[i] = RowColumnWriter.of(types[i], capacity);
      }
      structs = Platform.allocateMemory(Math.max(1, (long) ArrowStructs.ARRAY_BYTES * types.length));
      addresses = Platform.allocateMemory(Math.max(1, 8L * types.length));
      none = Platform.allocateMemory(8);
      Platform.putLong(null, none, 0);
    }

    void append(InternalRow row) {
      for (int i = 0; i < columns.length; i++) {
        columns[i].append(row, i);
      }
    }

    void finish(long array, int rows) {
      for (int i = 0; i < columns.length; i++) {
        long struct = structs + (long) ArrowStructs.ARRAY_BYTES * i;
        columns[i].finish(struct);
        Platform.putLong(null, addresses + 8L * i, struct);
      }
      Platform.setMemory(array, (byte) 0, ArrowStructs.ARRAY_BYTES);
      Platform.putLong(null, array + ArrowLayout.LENGTH, rows);
      Platform.putLong(null, array + ArrowLayout.BUFFER_COUNT, 1);
      Platform.putLong(null, array + ArrowLayout.BUFFERS, none);
      Platform.putLong(null, array + ArrowLayout.CHILD_COUNT, columns.length);
      Platform.putLong(null, array + ArrowLayout.CHILDREN, addresses);
      ArrowStructs.onReleaseArray(array, this::free);
    }

    void free() {
      for (RowColumnWriter column : columns) {
        column.free();
      }
      Platform.freeMemory(structs);
      Platform.freeMemory(addresses);
      Platform.freeMemory(none);
    }
  }
}
