package dev.plasmon.spark;

import java.math.BigDecimal;
import java.math.BigInteger;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.BinaryType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.Decimal;
import org.apache.spark.sql.types.DecimalType;
import org.apache.spark.sql.types.MapType;
import org.apache.spark.sql.types.NullType;
import org.apache.spark.sql.types.StringType;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.vectorized.ColumnVector;
import org.apache.spark.sql.vectorized.ColumnarArray;
import org.apache.spark.sql.vectorized.ColumnarMap;
import org.apache.spark.unsafe.Platform;
import org.apache.spark.unsafe.types.UTF8String;

/**
 * A column of a native batch as Spark reads it: an {@code ArrowArray} of the Arrow C Data Interface, read where it lies. Nothing is copied; values that
 * refer to memory ({@link #getUTF8String}) are valid until the task asks for its next batch.
 */
public final class ArrowColumn extends ColumnVector {
  private final int offset;
  private final int nulls;
  private final long validity;
  /** Fixed-width values, or the bytes of strings. */
  private final long values;
  /** Where strings and lists begin and end: 32-bit numbers. */
  private final long offsets;
  private final int decimalPrecision;
  private final int decimalScale;
  private final ArrowColumn[] children;

  /** The column of {@code type} at an address of an {@code ArrowArray}, which must outlive it. */
  public ArrowColumn(DataType type, long array) {
    super(type);
    int length = Math.toIntExact(Platform.getLong(null, array + ArrowLayout.LENGTH));
    offset = Math.toIntExact(Platform.getLong(null, array + ArrowLayout.OFFSET));
    boolean isNull = type instanceof NullType;
    validity = isNull ? 0 : buffer(array, 0);
    nulls = isNull ? length : nulls(array, length);
    boolean hasOffsets = type instanceof StringType || type instanceof BinaryType || type instanceof ArrayType || type instanceof MapType;
    offsets = hasOffsets ? buffer(array, 1) : 0;
    boolean hasBytes = type instanceof StringType || type instanceof BinaryType;
    boolean hasChildren = type instanceof StructType || type instanceof ArrayType || type instanceof MapType;
    values = isNull || hasChildren ? 0 : buffer(array, hasBytes ? 2 : 1);
    decimalPrecision = type instanceof DecimalType decimal ? decimal.precision() : 0;
    decimalScale = type instanceof DecimalType decimal ? decimal.scale() : 0;
    children = children(type, array);
  }

  /** Rows of the batch at an address of an {@code ArrowArray} of a struct. */
  public static int rows(long batch) {
    return Math.toIntExact(Platform.getLong(null, batch + ArrowLayout.LENGTH));
  }

  /** The columns of the batch at an address of an {@code ArrowArray} of a struct. */
  public static ArrowColumn[] columns(long batch, DataType[] types) {
    ArrowColumn[] columns = new ArrowColumn[types.length];
    for (int i = 0; i < types.length; i++) {
      columns[i] = new ArrowColumn(types[i], child(batch, i));
    }
    return columns;
  }

  private static ArrowColumn[] children(DataType type, long array) {
    if (type instanceof ArrayType list) {
      return new ArrowColumn[] {new ArrowColumn(list.elementType(), child(array, 0))};
    }
    if (type instanceof MapType map) {
      long entries = child(array, 0);
      return new ArrowColumn[] {new ArrowColumn(map.keyType(), child(entries, 0)), new ArrowColumn(map.valueType(), child(entries, 1))};
    }
    if (type instanceof StructType struct) {
      ArrowColumn[] fields = new ArrowColumn[struct.length()];
      for (int i = 0; i < fields.length; i++) {
        fields[i] = new ArrowColumn(struct.fields()[i].dataType(), child(array, i));
      }
      return fields;
    }
    return new ArrowColumn[0];
  }

  private static long child(long array, int index) {
    return Platform.getLong(null, Platform.getLong(null, array + ArrowLayout.CHILDREN) + 8L * index);
  }

  private static long buffer(long array, int index) {
    return Platform.getLong(null, Platform.getLong(null, array + ArrowLayout.BUFFERS) + 8L * index);
  }

  /** How many of the rows are null; one that is not told is counted when it matters first, here. */
  private int nulls(long array, int length) {
    long told = Platform.getLong(null, array + ArrowLayout.NULL_COUNT);
    if (told >= 0 || validity == 0) {
      return validity == 0 ? 0 : Math.toIntExact(told);
    }
    int found = 0;
    for (int row = 0; row < length; row++) {
      found += isBitSet(validity, offset + row) ? 0 : 1;
    }
    return found;
  }

  private static boolean isBitSet(long bits, int index) {
    return (Platform.getByte(null, bits + (index >> 3)) >> (index & 7) & 1) != 0;
  }

  @Override
  public void close() {
    // The batch belongs to the native library.
  }

  @Override
  public boolean hasNull() {
    return nulls > 0;
  }

  @Override
  public int numNulls() {
    return nulls;
  }

  @Override
  public boolean isNullAt(int row) {
    return nulls > 0 && (validity == 0 || !isBitSet(validity, offset + row));
  }

  @Override
  public boolean getBoolean(int row) {
    return isBitSet(values, offset + row);
  }

  @Override
  public byte getByte(int row) {
    return Platform.getByte(null, values + offset + row);
  }

  @Override
  public short getShort(int row) {
    return Platform.getShort(null, values + 2L * (offset + row));
  }

  @Override
  public int getInt(int row) {
    return Platform.getInt(null, values + 4L * (offset + row));
  }

  @Override
  public long getLong(int row) {
    return Platform.getLong(null, values + 8L * (offset + row));
  }

  @Override
  public float getFloat(int row) {
    return Platform.getFloat(null, values + 4L * (offset + row));
  }

  @Override
  public double getDouble(int row) {
    return Platform.getDouble(null, values + 8L * (offset + row));
  }

  /** Decimals lie in 128 bits; those of at most 18 digits are read from the lower half. */
  @Override
  public Decimal getDecimal(int row, int precision, int scale) {
    if (isNullAt(row)) {
      return null;
    }
    long address = values + 16L * (offset + row);
    long low = Platform.getLong(null, address);
    if (decimalPrecision <= Decimal.MAX_LONG_DIGITS() && decimalScale == scale && precision >= decimalPrecision) {
      return Decimal.createUnsafe(low, precision, scale);
    }
    long high = Platform.getLong(null, address + 8);
    return Decimal.apply(new BigDecimal(unscaled(high, low), decimalScale), precision, scale);
  }

  private static BigInteger unscaled(long high, long low) {
    if (high == low >> 63) {
      return BigInteger.valueOf(low);
    }
    byte[] bytes = new byte[16];
    for (int i = 0; i < 8; i++) {
      bytes[i] = (byte) (high >> (56 - 8 * i));
      bytes[8 + i] = (byte) (low >> (56 - 8 * i));
    }
    return new BigInteger(bytes);
  }

  private int begin(int row) {
    return Platform.getInt(null, offsets + 4L * (offset + row));
  }

  @Override
  public UTF8String getUTF8String(int row) {
    if (isNullAt(row)) {
      return null;
    }
    int begin = begin(row);
    return UTF8String.fromAddress(null, values + begin, begin(row + 1) - begin);
  }

  @Override
  public byte[] getBinary(int row) {
    if (isNullAt(row)) {
      return null;
    }
    int begin = begin(row);
    byte[] bytes = new byte[begin(row + 1) - begin];
    Platform.copyMemory(null, values + begin, bytes, Platform.BYTE_ARRAY_OFFSET, bytes.length);
    return bytes;
  }

  @Override
  public ColumnarArray getArray(int row) {
    if (isNullAt(row)) {
      return null;
    }
    int begin = begin(row);
    return new ColumnarArray(children[0], begin, begin(row + 1) - begin);
  }

  @Override
  public ColumnarMap getMap(int row) {
    if (isNullAt(row)) {
      return null;
    }
    int begin = begin(row);
    return new ColumnarMap(children[0], children[1], begin, begin(row + 1) - begin);
  }

  /** A field of a struct. Its rows are those of the struct, whose offset its own array has as well. */
  @Override
  public ColumnVector getChild(int ordinal) {
    return children[ordinal];
  }
}
