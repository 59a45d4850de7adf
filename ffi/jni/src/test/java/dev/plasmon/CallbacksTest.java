package dev.plasmon;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.arrow.c.ArrowArray;
import org.apache.arrow.c.ArrowSchema;
import org.apache.arrow.c.Data;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** From the library into Java: batches that Java gives and takes, and what they throw. */
class CallbacksTest {
  /** Batches of numbers, up to a failure if there is one. */
  private static final class Numbers implements BatchSource {
    private final BufferAllocator allocator;
    private final int batches;
    private final Exception failure;
    private final AtomicInteger given = new AtomicInteger();
    private final AtomicInteger closed = new AtomicInteger();
    private final Set<Thread> threads = ConcurrentHashMap.newKeySet();
    private final Set<ClassLoader> loaders = ConcurrentHashMap.newKeySet();

    Numbers(BufferAllocator allocator, int batches, Exception failure) {
      this.allocator = allocator;
      this.batches = batches;
      this.failure = failure;
    }

    @Override
    public boolean next(long array) throws Exception {
      threads.add(Thread.currentThread());
      loaders.add(Thread.currentThread().getContextClassLoader());
      int batch = given.getAndIncrement();
      if (batch == batches) {
        if (failure != null) {
          throw failure;
        }
        return false;
      }
      try (VectorSchemaRoot root = Batches.numbers(allocator, batch * 1000L, 1000)) {
        root.setRowCount(1000);
        Data.exportVectorSchemaRoot(allocator, root, null, ArrowArray.wrap(array));
      }
      return true;
    }

    @Override
    public void close() {
      closed.incrementAndGet();
    }
  }

  /** Hands over the schema of {@link Numbers}. */
  private static void withSchema(BufferAllocator allocator, SchemaUse use) {
    try (VectorSchemaRoot root = Batches.numbers(allocator, 0, 0); ArrowSchema schema = ArrowSchema.allocateNew(allocator)) {
      Data.exportSchema(allocator, root.getSchema(), null, schema);
      use.with(schema.memoryAddress());
    }
  }

  private interface SchemaUse {
    void with(long schema);
  }

  @ParameterizedTest
  @ValueSource(strings = {"pool", "inline"})
  void aQueryReadsWhatJavaGives(String driver) throws Exception {
    try (BufferAllocator allocator = new RootAllocator(); Session session = new Session()) {
      Numbers numbers = new Numbers(allocator, 100, null);
      try (Plan plan = session.prepare("SELECT sum(n), count(*) FROM numbers").set("driver", driver)) {
        withSchema(allocator, schema -> plan.bindBatches("numbers", schema, numbers));
        try (Stream rows = plan.execute()) {
          assertEquals("[[4999950000, 100000]]", Batches.pulled(allocator, rows).toString());
        }
      }
      assertEquals(101, numbers.given.get());
      assertEquals(1, numbers.closed.get());
      assertEquals(driver.equals("inline"), numbers.threads.equals(Set.of(Thread.currentThread())));
      assertTrue(numbers.threads.stream().allMatch(t -> t == Thread.currentThread() || t.isDaemon()));
      assertEquals(Set.of(Thread.currentThread().getContextClassLoader()), numbers.loaders);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"pool", "inline"})
  void anExceptionOfASourceIsTheCause(String driver) throws Exception {
    try (BufferAllocator allocator = new RootAllocator(); Session session = new Session()) {
      Exception failure = new IllegalStateException("the disk 🦀 is gone\u0000!");
      Numbers numbers = new Numbers(allocator, 3, failure);
      try (Plan plan = session.prepare("SELECT sum(n) FROM numbers").set("driver", driver)) {
        withSchema(allocator, schema -> plan.bindBatches("numbers", schema, numbers));
        try (Stream rows = plan.execute()) {
          PlasmonException e = Batches.fails(ErrorCode.HOST, rows::next);
          assertSame(failure, e.getCause());
          assertTrue(e.getMessage().contains("java.lang.IllegalStateException: the disk 🦀 is gone"), e.getMessage());
          assertEquals(0, rows.next());
        }
      }
      assertEquals(1, numbers.closed.get());
      Numbers again = new Numbers(allocator, 0, failure);
      withSchema(allocator, schema -> {
        PlasmonException e = Batches.fails(ErrorCode.HOST, () -> session.registerBatches("numbers", schema, again));
        assertSame(failure, e.getCause());
      });
      assertEquals(1, again.closed.get());
    }
  }

  @Test
  void errorsOfTheMachineAreCausesToo() throws Exception {
    try (BufferAllocator allocator = new RootAllocator(); Session session = new Session();
        Plan plan = session.prepare("SELECT * FROM numbers")) {
      withSchema(allocator, schema -> plan.bindBatches("numbers", schema, array -> recursion(0) > 0));
      try (Stream rows = plan.execute()) {
        assertTrue(Batches.fails(ErrorCode.HOST, rows::next).getCause() instanceof StackOverflowError);
      }
    }
  }

  private static int recursion(int depth) {
    return recursion(depth + 1) + 1;
  }

  @Test
  void aSourceThatLiesIsRefused() throws Exception {
    try (BufferAllocator allocator = new RootAllocator(); Session session = new Session();
        Plan plan = session.prepare("SELECT * FROM numbers")) {
      // A batch, but none written: the end.
      withSchema(allocator, schema -> plan.bindBatches("numbers", schema, array -> true));
      try (Stream rows = plan.execute()) {
        assertEquals(0, rows.next());
      }
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> plan.bindBatches("numbers", 0, array -> true));
      withSchema(allocator, schema -> Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> plan.bindBatches("numbers", schema, null)));
      withSchema(allocator, schema -> Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> plan.bindBatches(null, schema, array -> true)));
    }
  }

  @Test
  void aSourceMayUseTheLibrary() throws Exception {
    try (BufferAllocator allocator = new RootAllocator(); Session session = new Session();
        Plan plan = session.prepare("SELECT sum(n) FROM numbers").set("driver", "inline")) {
      AtomicReference<Stream> outer = new AtomicReference<>();
      AtomicReference<ErrorCode> refused = new AtomicReference<>();
      Numbers numbers = new Numbers(allocator, 2, null);
      BatchSource nested = array -> {
        try (Stream rows = session.query("SELECT count(*) FROM generate_series(1, 10)")) {
          assertNotEquals(0, rows.next());
        }
        try {
          outer.get().next();
        } catch (PlasmonException e) {
          refused.set(e.code());
        }
        return numbers.next(array);
      };
      withSchema(allocator, schema -> plan.bindBatches("numbers", schema, nested));
      try (Stream rows = plan.execute()) {
        outer.set(rows);
        assertEquals("[[1999000]]", Batches.pulled(allocator, rows).toString());
      }
      assertEquals(ErrorCode.BUSY, refused.get());
    }
  }

  @Test
  void pushHandsOverEveryBatch() throws Exception {
    try (Session session = new Session(); Stream rows = session.query("SELECT value FROM generate_series(1, 300000)")) {
      AtomicLong seen = new AtomicLong();
      rows.push(array -> seen.addAndGet(ArrowArray.wrap(array).snapshot().length));
      assertEquals(300000, seen.get());
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> rows.push(null));
    }
  }

  @Test
  void whatAConsumerThrowsEndsTheRun() throws Exception {
    try (Session session = new Session(); Stream rows = session.query("SELECT value FROM generate_series(1, 3000000)")) {
      Exception failure = new Exception("enough");
      PlasmonException e = Batches.fails(ErrorCode.HOST, () -> rows.push(array -> {
        throw failure;
      }));
      assertSame(failure, e.getCause());
      assertTrue(e.getMessage().contains("enough"));
      // What was under way may still come, and then no more.
      Batches.fails(ErrorCode.CANCELLED, () -> rows.push(array -> {}));
    }
    try (Session session = new Session(); Stream rows = session.query("SELECT 1")) {
      Batches.fails(ErrorCode.HOST, () -> rows.push(array -> {
        throw new InterruptedException();
      }));
      assertTrue(Thread.interrupted());
    }
  }
}
