package dev.plasmon;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.arrow.c.ArrowArray;
import org.apache.arrow.c.Data;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.junit.jupiter.api.Test;

/** Batches as bytes, from one query to another. */
class FramesTest {
  /** A {@code StructType} of plan.proto: one column {@code n}, a nullable int64. */
  private static final byte[] NUMBERS = {0x0a, 9, 0x0a, 1, 'n', 0x12, 2, 8, 6, 0x18, 1};

  private record Given(Iterator<byte[]> frames, Exception failure, AtomicInteger closed) implements FrameSource {
    @Override
    public byte[] next() throws Exception {
      if (frames.hasNext()) {
        return frames.next();
      }
      if (failure != null) {
        throw failure;
      }
      return null;
    }

    @Override
    public void close() {
      closed.incrementAndGet();
    }
  }

  private static Given given(List<byte[]> frames, Exception failure) {
    return new Given(frames.iterator(), failure, new AtomicInteger());
  }

  private static List<byte[]> frames(Session session, String sql) {
    List<byte[]> frames = new ArrayList<>();
    try (Stream rows = session.query(sql)) {
      for (byte[] next; (next = rows.nextFrames()) != null;) {
        frames.add(next);
      }
      assertNull(rows.nextFrames());
    }
    return frames;
  }

  @Test
  void rowsGoFromQueryToQuery() {
    try (BufferAllocator allocator = new RootAllocator(); Session session = new Session()) {
      session.set("driver", "inline");
      List<byte[]> frames = frames(session, "SELECT value AS n FROM generate_series(1, 100000)");
      assertTrue(frames.size() > 1);
      Given source = given(frames, null);
      try (Plan plan = session.prepare("SELECT count(*), sum(n) FROM f").bindFrames("f", NUMBERS, source);
          Stream rows = plan.execute()) {
        assertEquals(List.of(List.of(100_000L, 5_000_050_000L)), Batches.pulled(allocator, rows));
      }
      assertEquals(1, source.closed().get());
    }
  }

  @Test
  void arraysBecomeFrames() {
    try (BufferAllocator allocator = new RootAllocator(); Session session = new Session()) {
      byte[] frames;
      try (VectorSchemaRoot root = Batches.numbers(allocator, 5, 70_000); ArrowArray array = ArrowArray.allocateNew(allocator)) {
        root.setRowCount(70_000);
        Data.exportVectorSchemaRoot(allocator, root, null, array);
        frames = Frames.encode(array.memoryAddress(), NUMBERS);
      }
      assertTrue(frames.length < 70_000 * 4, "distances from a base");
      try (Plan plan = session.prepare("SELECT min(n), max(n), count(*) FROM f").bindFrames("f", NUMBERS, given(List.of(frames), null));
          Stream rows = plan.execute()) {
        assertEquals(List.of(List.of(5L, 70_004L, 70_000L)), Batches.pulled(allocator, rows));
      }
    }
  }

  @Test
  void failuresAreTold() {
    try (Session session = new Session()) {
      session.set("driver", "inline");
      List<byte[]> frames = frames(session, "SELECT value AS n FROM generate_series(1, 10)");
      Exception failure = new IllegalStateException("the network is down");
      Given source = given(frames, failure);
      try (Plan plan = session.prepare("SELECT sum(n) FROM f").bindFrames("f", NUMBERS, source); Stream rows = plan.execute()) {
        PlasmonException e = Batches.fails(ErrorCode.HOST, rows::next);
        assertSame(failure, e.getCause());
        assertTrue(e.getMessage().contains("the network is down"), e.getMessage());
      }
      assertEquals(1, source.closed().get());
      byte[] changed = frames.get(0).clone();
      changed[changed.length / 2] ^= 1;
      try (Plan plan = session.prepare("SELECT sum(n) FROM f").bindFrames("f", NUMBERS, given(List.of(changed), null)); Stream rows = plan.execute()) {
        Batches.fails(ErrorCode.DATA, rows::next);
      }
      try (Plan plan = session.prepare("SELECT 1")) {
        Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> plan.bindFrames("f", NUMBERS, null));
        Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> plan.bindFrames("f", null, source));
        Batches.fails(ErrorCode.USER, () -> plan.bindFrames("f", new byte[] {0x7f}, source));
      }
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> Frames.encode(0, NUMBERS));
    }
  }

  @Test
  void everyRelationOfAPlanHasItsCounters() {
    try (BufferAllocator allocator = new RootAllocator(); Session session = new Session();
        Stream made = session.query("CREATE TABLE t AS SELECT value AS a FROM generate_series(1, 1000)");
        Plan sql = session.prepare("SELECT a % 10 AS k, count(*) AS n FROM t WHERE a > 500 GROUP BY 1");
        Plan plan = session.preparePlan(sql.toPlan());
        Stream rows = plan.execute()) {
      assertEquals(10, Batches.pulled(allocator, rows).size());
      long[] counters = rows.nodeMetrics();
      assertNotNull(counters);
      int width = (int) counters[0];
      assertEquals(0, (counters.length - 1) % width);
      assertTrue(counters.length > width);
      // The root's rows, then those of its input …; the last relation is the scan, with the filter that the optimizer gave it.
      assertEquals(10, counters[1]);
      assertEquals(500, counters[counters.length - width]);
      try (Stream other = session.query("SELECT 1")) {
        assertEquals(1, other.nodeMetrics().length);
      }
    }
  }
}
