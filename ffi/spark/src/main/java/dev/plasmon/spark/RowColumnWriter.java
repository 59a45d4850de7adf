package dev.plasmon.spark;

import dev.plasmon.ArrowStructs;
import org.apache.spark.sql.catalyst.expressions.SpecializedGetters;
import org.apache.spark.sql.types.BinaryType;
import org.apache.spark.sql.types.BooleanType;
import org.apache.spark.sql.types.ByteType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DateType;
import org.apache.spark.sql.types.DayTimeIntervalType;
import org.apache.spark.sql.types.Decimal;
import org.apache.spark.sql.types.DecimalType;
import org.apache.spark.sql.types.DoubleType;
import org.apache.spark.sql.types.FloatType;
import org.apache.spark.sql.types.IntegerType;
import org.apache.spark.sql.types.LongType;
import org.apache.spark.sql.types.NullType;
import org.apache.spark.sql.types.ShortType;
import org.apache.spark.sql.types.StringType;
import org.apache.spark.sql.types.TimestampNTZType;
import org.apache.spark.sql.types.TimestampType;
import org.apache.spark.sql.types.YearMonthIntervalType;
import org.apache.spark.unsafe.Platform;
import org.apache.spark.unsafe.types.UTF8String;

/** One column of a batch that is made of Spark's rows: buffers outside of the heap, in Arrow's layout, of at most {@code capacity} rows. */
abstract class RowColumnWriter {
  private final int buffers;
  /** The array of the buffers' addresses, which the struct points at. */
  private long addresses;
  private long validity;
  protected final int capacity;
  protected long values;
  protected int rows;
  private int nulls;

  private RowColumnWriter(int capacity, int buffers, long valueBytes) {
    this.capacity = capacity;
    this.buffers = buffers;
    addresses = Platform.allocateMemory(8L * buffers);
    validity = zeroed((capacity + 7) / 8);
    values = valueBytes > 0 ? zeroed(valueBytes) : 0;
  }

  private static long zeroed(long bytes) {
    long address = Platform.allocateMemory(bytes);
    Platform.setMemory(address, (byte) 0, bytes);
    return address;
  }

  /** Whether there is a writer for the type. */
  static boolean supports(DataType type) {
    return type instanceof BooleanType || type instanceof DecimalType || type instanceof StringType || type instanceof BinaryType
        || type instanceof NullType || width(type) > 0;
  }

  static RowColumnWriter of(DataType type, int capacity) {
    if (type instanceof BooleanType) {
      return new Booleans(capacity);
    }
    if (type instanceof DecimalType decimal) {
      return new Decimals(capacity, decimal);
    }
    if (type instanceof StringType) {
      return new Strings(capacity);
    }
    if (type instanceof BinaryType) {
      return new Binaries(capacity);
    }
    if (type instanceof NullType) {
      return new Nulls(capacity);
    }
    return switch (width(type)) {
      case 1 -> new Bytes(capacity);
      case 2 -> new Shorts(capacity);
      case 4 -> type instanceof FloatType ? new Floats(capacity) : new Ints(capacity);
      case 8 -> type instanceof DoubleType ? new Doubles(capacity) : new Longs(capacity);
      default -> throw new IllegalArgumentException("no column of " + type.simpleString() + " is made of rows");
    };
  }

  /** Bytes of a value of a fixed-width type; 0 for others. */
  private static int width(DataType type) {
    if (type instanceof ByteType) {
      return 1;
    }
    if (type instanceof ShortType) {
      return 2;
    }
    if (type instanceof IntegerType || type instanceof DateType || type instanceof FloatType || type instanceof YearMonthIntervalType) {
      return 4;
    }
    boolean isLong = type instanceof LongType || type instanceof TimestampType || type instanceof TimestampNTZType || type instanceof DayTimeIntervalType;
    return isLong || type instanceof DoubleType ? 8 : 0;
  }

  final void append(SpecializedGetters row, int ordinal) {
    if (row.isNullAt(ordinal)) {
      nulls++;
      appendNull();
    } else {
      setBit(validity, rows);
      appendValue(row, ordinal);
    }
    rows++;
  }

  /** Writes the value of row number {@link #rows}. */
  abstract void appendValue(SpecializedGetters row, int ordinal);

  void appendNull() {}

  /** Fills the {@code ArrowArray} at {@code array}, which has its buffers from here until they are freed. */
  final void finish(long array) {
    Platform.setMemory(array, (byte) 0, ArrowStructs.ARRAY_BYTES);
    Platform.putLong(null, array + ArrowLayout.LENGTH, rows);
    Platform.putLong(null, array + ArrowLayout.NULL_COUNT, nulls);
    Platform.putLong(null, array + ArrowLayout.BUFFER_COUNT, buffers);
    Platform.putLong(null, array + ArrowLayout.BUFFERS, addresses);
    if (buffers > 0) {
      Platform.putLong(null, addresses, nulls > 0 ? validity : 0);
    }
    finishBuffers(addresses);
    ArrowStructs.onReleaseArray(array, null);
  }

  void finishBuffers(long addresses) {
    Platform.putLong(null, addresses + 8, values);
  }

  void free() {
    Platform.freeMemory(addresses);
    Platform.freeMemory(validity);
    if (values != 0) {
      Platform.freeMemory(values);
    }
    addresses = 0;
    validity = 0;
    values = 0;
  }

  protected static void setBit(long bits, int index) {
    long at = bits + (index >> 3);
    Platform.putByte(null, at, (byte) (Platform.getByte(null, at) | 1 << (index & 7)));
  }

  private static final class Nulls extends RowColumnWriter {
    Nulls(int capacity) {
      super(capacity, 0, 0);
    }

    @Override
    void appendValue(SpecializedGetters row, int ordinal) {
      throw new IllegalStateException("a value of type void");
    }

    @Override
    void finishBuffers(long addresses) {}
  }

  private static final class Booleans extends RowColumnWriter {
    Booleans(int capacity) {
      super(capacity, 2, (capacity + 7) / 8);
    }

    @Override
    void appendValue(SpecializedGetters row, int ordinal) {
      if (row.getBoolean(ordinal)) {
        setBit(values, rows);
      }
    }
  }

  private static final class Bytes extends RowColumnWriter {
    Bytes(int capacity) {
      super(capacity, 2, capacity);
    }

    @Override
    void appendValue(SpecializedGetters row, int ordinal) {
      Platform.putByte(null, values + rows, row.getByte(ordinal));
    }
  }

  private static final class Shorts extends RowColumnWriter {
    Shorts(int capacity) {
      super(capacity, 2, 2L * capacity);
    }

    @Override
    void appendValue(SpecializedGetters row, int ordinal) {
      Platform.putShort(null, values + 2L * rows, row.getShort(ordinal));
    }
  }

  private static final class Ints extends RowColumnWriter {
    Ints(int capacity) {
      super(capacity, 2, 4L * capacity);
    }

    @Override
    void appendValue(SpecializedGetters row, int ordinal) {
      Platform.putInt(null, values + 4L * rows, row.getInt(ordinal));
    }
  }

  private static final class Floats extends RowColumnWriter {
    Floats(int capacity) {
      super(capacity, 2, 4L * capacity);
    }

    @Override
    void appendValue(SpecializedGetters row, int ordinal) {
      Platform.putFloat(null, values + 4L * rows, row.getFloat(ordinal));
    }
  }

  private static final class Longs extends RowColumnWriter {
    Longs(int capacity) {
      super(capacity, 2, 8L * capacity);
    }

    @Override
    void appendValue(SpecializedGetters row, int ordinal) {
      Platform.putLong(null, values + 8L * rows, row.getLong(ordinal));
    }
  }

  private static final class Doubles extends RowColumnWriter {
    Doubles(int capacity) {
      super(capacity, 2, 8L * capacity);
    }

    @Override
    void appendValue(SpecializedGetters row, int ordinal) {
      Platform.putDouble(null, values + 8L * rows, row.getDouble(ordinal));
    }
  }

  private static final class Decimals extends RowColumnWriter {
    private final int precision;
    private final int scale;

    Decimals(int capacity, DecimalType type) {
      super(capacity, 2, 16L * capacity);
      precision = type.precision();
      scale = type.scale();
    }

    @Override
    void appendValue(SpecializedGetters row, int ordinal) {
      Decimal decimal = row.getDecimal(ordinal, precision, scale);
      long at = values + 16L * rows;
      if (precision <= Decimal.MAX_LONG_DIGITS()) {
        long unscaled = decimal.toUnscaledLong();
        Platform.putLong(null, at, unscaled);
        Platform.putLong(null, at + 8, unscaled >> 63);
        return;
      }
      byte[] bytes = decimal.toJavaBigDecimal().unscaledValue().toByteArray();
      byte sign = (byte) (bytes[0] >> 7);
      for (int i = 0; i < 16; i++) {
        Platform.putByte(null, at + i, i < bytes.length ? bytes[bytes.length - 1 - i] : sign);
      }
    }
  }

  /** Offsets, and bytes that grow. */
  private abstract static class Variable extends RowColumnWriter {
    private final long offsets;
    private long room;
    private int used;

    Variable(int capacity) {
      super(capacity, 3, 16L * capacity);
      room = 16L * capacity;
      offsets = Platform.allocateMemory(4L * (capacity + 1));
      Platform.putInt(null, offsets, 0);
    }

    /** Where {@code bytes} more bytes of this row's value are to be written. */
    final long room(int bytes) {
      int end = Math.addExact(used, bytes);
      if (end > room) {
        long more = Math.max(end, 2 * room);
        values = Platform.reallocateMemory(values, room, more);
        room = more;
      }
      long at = values + used;
      used = end;
      Platform.putInt(null, offsets + 4L * (rows + 1), used);
      return at;
    }

    @Override
    final void appendNull() {
      room(0);
    }

    @Override
    final void finishBuffers(long addresses) {
      Platform.putLong(null, addresses + 8, offsets);
      Platform.putLong(null, addresses + 16, values);
    }

    @Override
    final void free() {
      Platform.freeMemory(offsets);
      super.free();
    }
  }

  private static final class Strings extends Variable {
    Strings(int capacity) {
      super(capacity);
    }

    @Override
    void appendValue(SpecializedGetters row, int ordinal) {
      UTF8String text = row.getUTF8String(ordinal);
      int bytes = text.numBytes();
      Platform.copyMemory(text.getBaseObject(), text.getBaseOffset(), null, room(bytes), bytes);
    }
  }

  private static final class Binaries extends Variable {
    Binaries(int capacity) {
      super(capacity);
    }

    @Override
    void appendValue(SpecializedGetters row, int ordinal) {
      byte[] bytes = row.getBinary(ordinal);
      Platform.copyMemory(bytes, Platform.BYTE_ARRAY_OFFSET, null, room(bytes.length), bytes.length);
    }
  }
}
