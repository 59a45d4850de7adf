// What a batch costs on its way into the library and out again, from Java: batches that a Java object gives are read by `SELECT n FROM input` on the
// caller's thread and come back one by one. The program's own cost of making and reading its batches is measured alone and taken off; all that crosses
// (asking for a batch, handing it over, giving it out, telling of its release) is in. As crossing.c, which measures C.
//
// Prints one JSON line a shape: batches, rows of each, nanoseconds a batch (median of the rounds), and whether every buffer kept its address.
import dev.plasmon.ArrowStructs;
import dev.plasmon.BatchSource;
import dev.plasmon.Plan;
import dev.plasmon.Session;
import dev.plasmon.Stream;
import java.lang.reflect.Field;
import java.util.Arrays;
import sun.misc.Unsafe;

public class Crossing {
  private static final int ROUNDS = 5;
  private static final Unsafe MEMORY = memory();
  /** Its `release` is that of children whose parent frees everything. */
  private static final long CHILD = MEMORY.allocateMemory(ArrowStructs.ARRAY_BYTES);
  /** What batches of many rows show, so that filling them does not drown what is measured. */
  private static final long SHARED = MEMORY.allocateMemory(8 * 8192);

  private static Unsafe memory() {
    try {
      Field field = Unsafe.class.getDeclaredField("theUnsafe");
      field.setAccessible(true);
      return (Unsafe) field.get(null);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Batches of one int64 column that counts up. */
  private static final class Numbers implements BatchSource {
    private final long rows;
    private long left;
    private long number;
    private long values;
    /** The memory behind the last batch. */
    private long made;

    Numbers(long batches, long rows) {
      left = batches;
      this.rows = rows;
    }

    /** All but the release: a child, the pointers to it and to buffers, and values. */
    boolean make(long array) {
      if (left-- == 0) {
        return false;
      }
      long child = MEMORY.allocateMemory(ArrowStructs.ARRAY_BYTES + 40);
      long childBuffers = child + ArrowStructs.ARRAY_BYTES;
      long buffers = childBuffers + 16;
      long children = buffers + 8;
      values = rows == 1 ? children + 8 : SHARED;
      if (rows == 1) {
        MEMORY.putLong(values, number++);
      }
      MEMORY.putLong(childBuffers, 0);
      MEMORY.putLong(childBuffers + 8, values);
      MEMORY.putLong(buffers, 0);
      MEMORY.putLong(children, child);
      struct(child, 2, childBuffers, 0, 0);
      MEMORY.putLong(child + 64, MEMORY.getLong(CHILD + 64));
      struct(array, 1, buffers, 1, children);
      made = child;
      return true;
    }

    private void struct(long array, int buffers, long buffersAt, int children, long childrenAt) {
      MEMORY.putLong(array, rows);
      MEMORY.putLong(array + 8, 0);
      MEMORY.putLong(array + 16, 0);
      MEMORY.putLong(array + 24, buffers);
      MEMORY.putLong(array + 32, children);
      MEMORY.putLong(array + 40, buffersAt);
      MEMORY.putLong(array + 48, childrenAt);
      MEMORY.putLong(array + 56, 0);
      MEMORY.putLong(array + 72, 0);
    }

    @Override
    public boolean next(long array) {
      if (!make(array)) {
        return false;
      }
      long memory = made;
      ArrowStructs.onReleaseArray(array, () -> MEMORY.freeMemory(memory));
      return true;
    }
  }

  private static final class Sum {
    private long batches;
    private long rows;
    private long kept;

    void add(long array, long values) {
      long child = MEMORY.getAddress(MEMORY.getAddress(array + 48));
      batches++;
      rows += MEMORY.getLong(array);
      kept += MEMORY.getAddress(MEMORY.getAddress(child + 40) + 8) == values ? 1 : 0;
    }
  }

  /** The program's own cost, in nanoseconds. */
  private static long alone(long batches, long rows) {
    long array = MEMORY.allocateMemory(ArrowStructs.ARRAY_BYTES);
    Numbers numbers = new Numbers(batches, rows);
    Sum sum = new Sum();
    long start = System.nanoTime();
    while (numbers.make(array)) {
      sum.add(array, numbers.values);
      MEMORY.freeMemory(numbers.made);
    }
    long took = System.nanoTime() - start;
    check(sum, batches, rows);
    MEMORY.freeMemory(array);
    return took;
  }

  private static void check(Sum sum, long batches, long rows) {
    if (sum.batches != batches || sum.rows != batches * rows) {
      throw new AssertionError(sum.batches + " batches of " + sum.rows + " rows in all came back");
    }
  }

  /** The schema of the batches, which the library takes over: a struct of one int64 column {@code n}. */
  private static long schema(long memory) {
    long root = memory;
    long child = root + ArrowStructs.SCHEMA_BYTES;
    long children = child + ArrowStructs.SCHEMA_BYTES;
    long texts = children + 8;
    MEMORY.setMemory(memory, 256, (byte) 0);
    MEMORY.putByte(texts, (byte) '+');
    MEMORY.putByte(texts + 1, (byte) 's');
    MEMORY.putByte(texts + 3, (byte) 'l');
    MEMORY.putByte(texts + 5, (byte) 'n');
    MEMORY.putLong(root, texts);
    MEMORY.putLong(root + 8, texts + 2);
    MEMORY.putLong(root + 32, 1);
    MEMORY.putLong(root + 40, children);
    MEMORY.putLong(children, child);
    MEMORY.putLong(child, texts + 3);
    MEMORY.putLong(child + 8, texts + 5);
    MEMORY.putLong(child + 24, 2);
    ArrowStructs.onReleaseSchema(root, null);
    ArrowStructs.onReleaseSchema(child, null);
    return root;
  }

  private static void measure(Session session, long batches, long rows) {
    long[] times = new long[ROUNDS];
    long memory = MEMORY.allocateMemory(256);
    boolean zeroCopy = true;
    // The first round warms the JVM up.
    for (int round = -1; round < ROUNDS; round++) {
      long alone = alone(batches, rows);
      Numbers numbers = new Numbers(batches, rows);
      Sum sum = new Sum();
      long took;
      try (Plan plan = session.prepare("SELECT n FROM input").set("driver", "inline").set("batch_rows", "8192")) {
        plan.bindBatches("input", schema(memory), numbers);
        try (Stream out = plan.execute()) {
          long start = System.nanoTime();
          for (long array; (array = out.next()) != 0;) {
            sum.add(array, numbers.values);
          }
          took = System.nanoTime() - start;
        }
      }
      check(sum, batches, rows);
      zeroCopy &= sum.kept == batches;
      if (round >= 0) {
        times[round] = (took - alone) / batches;
      }
    }
    MEMORY.freeMemory(memory);
    Arrays.sort(times);
    System.out.printf(
        "{\"host\": \"Java\", \"batches\": %d, \"rows\": %d, \"nanoseconds\": %d, \"least\": %d, \"most\": %d, \"zero_copy\": %b}%n",
        batches, rows, times[ROUNDS / 2], times[0], times[ROUNDS - 1], zeroCopy);
  }

  public static void main(String[] arguments) {
    ArrowStructs.onReleaseArray(CHILD, null);
    try (Session session = new Session()) {
      measure(session, 1_000_000, 1);
      measure(session, 10_000, 8192);
    }
  }
}
