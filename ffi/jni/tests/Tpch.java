// Runs SQL files over a folder of TPC-H tables through dev.plasmon and prints their rows as CSV; batches are read where they are, without Arrow Java.
//
//   java -cp plasmon-java.jar Tpch.java DATA QUERY.sql …
import dev.plasmon.ArrowStructs;
import dev.plasmon.Session;
import dev.plasmon.Stream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.List;
import sun.misc.Unsafe;

public class Tpch {
  private static final List<String> TABLES = List.of("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier");
  private static final Unsafe MEMORY = memory();

  private static Unsafe memory() {
    try {
      Field field = Unsafe.class.getDeclaredField("theUnsafe");
      field.setAccessible(true);
      return (Unsafe) field.get(null);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  public static void main(String[] arguments) throws Exception {
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    try (Session session = new Session()) {
      for (String table : TABLES) {
        session.registerPath(table, arguments[0] + "/" + table + ".parquet");
      }
      for (String path : List.of(arguments).subList(1, arguments.length)) {
        Path query = Path.of(path);
        out.println("-- " + query.getFileName());
        try (Stream rows = session.query(Files.readString(query))) {
          print(rows, out);
        }
      }
    }
    out.flush();
  }

  private static void print(Stream rows, PrintStream out) {
    long schema = MEMORY.allocateMemory(ArrowStructs.SCHEMA_BYTES);
    rows.exportSchema(schema);
    int columns = (int) MEMORY.getLong(schema + 32);
    String[] formats = new String[columns];
    for (int column = 0; column < columns; column++) {
      formats[column] = terminated(MEMORY.getAddress(pointer(schema + 40, column)));
    }
    rows.push(array -> {
      StringBuilder line = new StringBuilder();
      for (long row = 0; row < MEMORY.getLong(array); row++) {
        line.setLength(0);
        for (int column = 0; column < columns; column++) {
          line.append(column == 0 ? "" : ",").append(value(formats[column], pointer(array + 48, column), row));
        }
        out.println(line);
      }
    });
    ArrowStructs.releaseSchema(schema);
    MEMORY.freeMemory(schema);
  }

  /** The {@code index}-th of the pointers that the pointer at {@code field} leads to. */
  private static long pointer(long field, long index) {
    return MEMORY.getAddress(MEMORY.getAddress(field) + 8 * index);
  }

  /** One value of the {@code ArrowArray} at {@code array}: length, null count, offset, numbers of buffers and children, buffers, children … */
  private static Object value(String format, long array, long row) {
    row += MEMORY.getLong(array + 16);
    long validity = pointer(array + 40, 0);
    if (validity != 0 && (MEMORY.getByte(validity + row / 8) >> (row % 8) & 1) == 0) {
      return "";
    }
    long values = pointer(array + 40, 1);
    if (format.equals("l")) {
      return MEMORY.getLong(values + 8 * row);
    } else if (format.equals("i")) {
      return MEMORY.getInt(values + 4 * row);
    } else if (format.equals("tdD")) {
      return LocalDate.ofEpochDay(MEMORY.getInt(values + 4 * row));
    } else if (format.startsWith("d:")) {
      return decimal(values + 16 * row, Integer.parseInt(format.substring(format.indexOf(',') + 1)));
    } else if (format.equals("u")) {
      int start = MEMORY.getInt(values + 4 * row);
      return quoted(text(pointer(array + 40, 2) + start, MEMORY.getInt(values + 4 * row + 4) - start));
    } else if (format.equals("vu")) {
      long view = values + 16 * row;
      int length = MEMORY.getInt(view);
      long bytes = length <= 12 ? view + 4 : pointer(array + 40, 2 + MEMORY.getInt(view + 8)) + MEMORY.getInt(view + 12);
      return quoted(text(bytes, length));
    }
    throw new IllegalArgumentException("a column of format " + format + ", which this program does not print");
  }

  private static String decimal(long address, int scale) {
    byte[] bytes = new byte[16];
    for (int i = 0; i < 16; i++) {
      bytes[15 - i] = MEMORY.getByte(address + i);
    }
    return new BigDecimal(new BigInteger(bytes), scale).toPlainString();
  }

  private static String terminated(long address) {
    int length = 0;
    while (MEMORY.getByte(address + length) != 0) {
      length++;
    }
    return text(address, length);
  }

  private static String text(long address, int length) {
    byte[] bytes = new byte[length];
    MEMORY.copyMemory(null, address, bytes, Unsafe.ARRAY_BYTE_BASE_OFFSET, length);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  private static String quoted(String text) {
    boolean plain = text.chars().noneMatch(c -> ",\"\r\n".indexOf(c) >= 0);
    return plain ? text : '"' + text.replace("\"", "\"\"") + '"';
  }
}
