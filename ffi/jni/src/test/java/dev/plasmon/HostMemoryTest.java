package dev.plasmon;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.junit.jupiter.api.Test;

/** Queries that take their memory of a Java object. */
class HostMemoryTest {
  private static final class Limited implements HostMemory {
    private final long limit;
    private final AtomicLong used = new AtomicLong();
    private final AtomicLong most = new AtomicLong();
    private final AtomicInteger refused = new AtomicInteger();
    private final AtomicInteger asked = new AtomicInteger();

    Limited(long limit) {
      this.limit = limit;
    }

    @Override
    public synchronized boolean reserve(long bytes) {
      if (used.get() + bytes > limit) {
        refused.incrementAndGet();
        return false;
      }
      most.accumulateAndGet(used.addAndGet(bytes), Math::max);
      return true;
    }

    @Override
    public synchronized void release(long bytes) {
      used.addAndGet(-bytes);
    }

    @Override
    public long spill(long bytes) {
      asked.incrementAndGet();
      return 0;
    }
  }

  private static final String SORTED = "SELECT max(n) FROM (SELECT value AS n, CAST(value AS VARCHAR) AS s FROM generate_series(1, 1000000) ORDER BY s LIMIT 900000)";

  @Test
  void queriesStayWithinWhatTheyAreGiven() {
    Limited memory = new Limited(8 << 20);
    try (BufferAllocator allocator = new RootAllocator(); Session session = new Session()) {
      session.set("driver", "inline").setMemory(memory);
      try (Stream rows = session.query(SORTED)) {
        assertEquals(1, Batches.pulled(allocator, rows).size());
      }
      assertTrue(memory.refused.get() > 0 && memory.asked.get() > 0, "it wanted more");
      assertTrue(memory.most.get() > 0);
      assertEquals(0, memory.used.get());
    }
  }

  @Test
  void whatIsTakenCanBeAskedBack() {
    Limited memory = new Limited(256 << 20);
    try (Session session = new Session()) {
      session.set("driver", "inline").setMemory(memory);
      try (Stream rows = session.query(SORTED)) {
        while (memory.used.get() < 16 << 20) {
          assertTrue(rows.step() != Stream.Step.DONE);
        }
        // What is not used comes back at once, the rest within a batch.
        session.spill(Long.MAX_VALUE);
        rows.step();
        rows.step();
        assertTrue(memory.used.get() < 16 << 20, "of " + memory.used.get());
        rows.cancel();
      }
      assertEquals(0, memory.used.get());
      assertEquals(0, session.spill(1 << 20));
    }
  }

  @Test
  void memoryThatThrowsIsNone() {
    HostMemory broken = new HostMemory() {
      @Override
      public boolean reserve(long bytes) {
        throw new IllegalStateException("no memory manager");
      }

      @Override
      public void release(long bytes) {
        throw new IllegalStateException("no memory manager");
      }

      @Override
      public long spill(long bytes) {
        throw new IllegalStateException("no memory manager");
      }
    };
    try (BufferAllocator allocator = new RootAllocator(); Session session = new Session()) {
      session.set("driver", "inline").setMemory(broken);
      try (Stream rows = session.query("SELECT array_agg(value) FROM generate_series(1, 3000000)")) {
        Batches.fails(ErrorCode.OUT_OF_MEMORY, rows::next);
      }
      session.setMemory(null);
      try (Stream rows = session.query("SELECT count(*) FROM generate_series(1, 1000)")) {
        assertEquals(1000L, Batches.pulled(allocator, rows).get(0).get(0));
      }
    }
  }
}
