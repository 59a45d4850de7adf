package dev.plasmon.spark;

import dev.plasmon.ArrowStructs;
import dev.plasmon.BatchSource;
import dev.plasmon.Plan;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.BinaryType;
import org.apache.spark.sql.types.BooleanType;
import org.apache.spark.sql.types.ByteType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DateType;
import org.apache.spark.sql.types.DayTimeIntervalType;
import org.apache.spark.sql.types.DecimalType;
import org.apache.spark.sql.types.DoubleType;
import org.apache.spark.sql.types.FloatType;
import org.apache.spark.sql.types.IntegerType;
import org.apache.spark.sql.types.LongType;
import org.apache.spark.sql.types.MapType;
import org.apache.spark.sql.types.Metadata;
import org.apache.spark.sql.types.NullType;
import org.apache.spark.sql.types.ShortType;
import org.apache.spark.sql.types.StringType;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.types.TimestampNTZType;
import org.apache.spark.sql.types.TimestampType;
import org.apache.spark.sql.types.YearMonthIntervalType;
import org.apache.spark.unsafe.Platform;

/** Spark's schemas as {@code ArrowSchema} structs of the Arrow C Data Interface. */
public final class ArrowSchemas {
  // Where the fields of an ArrowSchema lie.
  private static final int FORMAT = 0;
  private static final int NAME = 8;
  private static final int FLAGS = 24;
  private static final int CHILD_COUNT = 32;
  private static final int CHILDREN = 40;
  private static final long NULLABLE = 2;

  /** Everything that one schema has allocated. */
  private final List<Long> allocated = new ArrayList<>();

  private ArrowSchemas() {}

  /** Has {@code plan} read the table {@code name}, of columns {@code schema}, as the batches that {@code source} gives. */
  public static void bind(Plan plan, String name, StructType schema, BatchSource source) {
    long struct = Platform.allocateMemory(ArrowStructs.SCHEMA_BYTES);
    try {
      write(schema, struct);
      plan.bindBatches(name, struct, source);
    } finally {
      Platform.freeMemory(struct);
    }
  }

  /** Fills the struct at {@code target}; releasing it frees what hangs on it, and the struct itself is the caller's. */
  private static void write(StructType schema, long target) {
    ArrowSchemas one = new ArrowSchemas();
    one.fill(target, "", schema, false);
    ArrowStructs.onReleaseSchema(target, () -> one.allocated.forEach(Platform::freeMemory));
  }

  private void fill(long struct, String name, DataType type, boolean isNullable) {
    Platform.setMemory(struct, (byte) 0, ArrowStructs.SCHEMA_BYTES);
    Platform.putLong(null, struct + FORMAT, text(format(type)));
    Platform.putLong(null, struct + NAME, text(name));
    Platform.putLong(null, struct + FLAGS, isNullable ? NULLABLE : 0);
    StructField[] fields = children(type);
    if (fields.length > 0) {
      long pointers = allocate(8L * fields.length);
      for (int i = 0; i < fields.length; i++) {
        long child = allocate(ArrowStructs.SCHEMA_BYTES);
        fill(child, fields[i].name(), fields[i].dataType(), fields[i].nullable());
        ArrowStructs.onReleaseSchema(child, null);
        Platform.putLong(null, pointers + 8L * i, child);
      }
      Platform.putLong(null, struct + CHILD_COUNT, fields.length);
      Platform.putLong(null, struct + CHILDREN, pointers);
    }
  }

  private static StructField[] children(DataType type) {
    if (type instanceof StructType struct) {
      return struct.fields();
    }
    if (type instanceof ArrayType list) {
      return new StructField[] {field("element", list.elementType(), list.containsNull())};
    }
    if (type instanceof MapType map) {
      StructType entries =
          new StructType(new StructField[] {field("key", map.keyType(), false), field("value", map.valueType(), map.valueContainsNull())});
      return new StructField[] {field("entries", entries, false)};
    }
    return new StructField[0];
  }

  private static StructField field(String name, DataType type, boolean isNullable) {
    return new StructField(name, type, isNullable, Metadata.empty());
  }

  private static String format(DataType type) {
    if (type instanceof DecimalType decimal) {
      return "d:" + decimal.precision() + "," + decimal.scale();
    }
    for (Format format : FORMATS) {
      if (format.type.isInstance(type)) {
        return format.text;
      }
    }
    throw new IllegalArgumentException("no native type for " + type.simpleString());
  }

  private record Format(Class<? extends DataType> type, String text) {}

  private static final List<Format> FORMATS = List.of(
      new Format(NullType.class, "n"), new Format(BooleanType.class, "b"), new Format(ByteType.class, "c"), new Format(ShortType.class, "s"),
      new Format(IntegerType.class, "i"), new Format(LongType.class, "l"), new Format(FloatType.class, "f"), new Format(DoubleType.class, "g"),
      new Format(StringType.class, "u"), new Format(BinaryType.class, "z"), new Format(DateType.class, "tdD"),
      new Format(TimestampType.class, "tsu:UTC"), new Format(TimestampNTZType.class, "tsu:"), new Format(YearMonthIntervalType.class, "tiM"),
      new Format(DayTimeIntervalType.class, "tDu"), new Format(ArrayType.class, "+l"), new Format(StructType.class, "+s"),
      new Format(MapType.class, "+m"));

  private long text(String text) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    long address = allocate(utf8.length + 1);
    Platform.copyMemory(utf8, Platform.BYTE_ARRAY_OFFSET, null, address, utf8.length);
    Platform.putByte(null, address + utf8.length, (byte) 0);
    return address;
  }

  private long allocate(long bytes) {
    long address = Platform.allocateMemory(bytes);
    allocated.add(address);
    return address;
  }
}
