package dev.plasmon;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.SimpleFormatter;
import org.apache.arrow.c.ArrowArrayStream;
import org.apache.arrow.c.Data;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.ipc.ArrowReader;
import org.junit.jupiter.api.Test;

/** Nothing leaks: not what is closed, not what is forgotten, not what outlives what it came from. */
class LifetimeTest {
  @Test
  void nothingIsLeftOfWhatIsClosed() throws Exception {
    try (BufferAllocator allocator = new RootAllocator(); Session session = new Session()) {
      for (int round = 0; round < 50; round++) {
        try (Plan plan = session.prepare("SELECT n, n + 1 FROM input WHERE n % 2 = 0");
            ArrowArrayStream in = Batches.stream(allocator, Batches.numbers(allocator, 0, 10_000))) {
          plan.bindStream("input", in.memoryAddress());
          try (Stream rows = plan.execute()) {
            // Read in part, to the end, or not at all.
            for (int batch = 0; batch < round % 3 && rows.next() != 0; batch++) {}
          }
        }
        assertEquals(0, allocator.getAllocatedMemory());
      }
    }
  }

  @Test
  void batchesOutliveWhatTheyCameFrom() throws Exception {
    try (BufferAllocator allocator = new RootAllocator()) {
      ArrowReader reader;
      try (Session session = new Session();
          Stream rows = session.query("SELECT value FROM generate_series(1, 1000000)");
          ArrowArrayStream stream = ArrowArrayStream.allocateNew(allocator)) {
        rows.exportTo(stream.memoryAddress());
        reader = Data.importArrayStream(allocator, stream);
      }
      long rows = 0;
      try (reader) {
        while (reader.loadNextBatch()) {
          rows += reader.getVectorSchemaRoot().getRowCount();
        }
      }
      assertEquals(1_000_000, rows);
    }
  }

  @Test
  void whatIsForgottenIsClosedAndLogged() throws Exception {
    List<String> logged = new CopyOnWriteArrayList<>();
    Handler handler = new Handler() {
      private final SimpleFormatter formatter = new SimpleFormatter();

      @Override
      public void publish(LogRecord record) {
        logged.add(formatter.formatMessage(record));
      }

      @Override
      public void flush() {}

      @Override
      public void close() {}
    };
    Logger logger = Logger.getLogger("dev.plasmon");
    logger.setUseParentHandlers(false);
    logger.addHandler(handler);
    try (BufferAllocator allocator = new RootAllocator()) {
      AtomicInteger closed = new AtomicInteger();
      forget(allocator, closed);
      for (int i = 0; i < 1000 && (closed.get() < 1 || logged.size() < 3); i++) {
        System.gc();
        Thread.sleep(10);
      }
      assertEquals(1, closed.get());
      assertEquals(0, allocator.getAllocatedMemory());
      assertTrue(logged.stream().anyMatch(m -> m.contains("a stream of SELECT n FROM numbers") && m.contains("never closed")), logged.toString());
      assertTrue(logged.stream().anyMatch(m -> m.startsWith("a plan")), logged.toString());
      assertTrue(logged.stream().anyMatch(m -> m.startsWith("a session")), logged.toString());
      assertFalse(logged.stream().anyMatch(m -> m.contains("SELECT 'exported'")), logged.toString());
    } finally {
      logger.removeHandler(handler);
      logger.setUseParentHandlers(true);
    }
  }

  @SuppressWarnings("resource")
  private static void forget(BufferAllocator allocator, AtomicInteger closed) throws Exception {
    Session session = new Session();
    Plan plan = session.prepare("SELECT n FROM numbers");
    BatchSource source = new BatchSource() {
      @Override
      public boolean next(long array) throws InterruptedException {
        Thread.sleep(1);
        return false;
      }

      @Override
      public void close() {
        closed.incrementAndGet();
      }
    };
    try (var root = Batches.numbers(allocator, 0, 0); var schema = org.apache.arrow.c.ArrowSchema.allocateNew(allocator)) {
      Data.exportSchema(allocator, root.getSchema(), null, schema);
      plan.bindBatches("numbers", schema.memoryAddress(), source);
    }
    plan.execute();
    // Whoever reads its rows keeps what matters: no leak.
    try (ArrowArrayStream stream = ArrowArrayStream.allocateNew(allocator)) {
      session.query("SELECT 'exported'").exportTo(stream.memoryAddress());
      ArrowStructs.releaseStream(stream.memoryAddress());
    }
  }

  @Test
  void anExportedStreamNeedsNobody() throws Exception {
    try (BufferAllocator allocator = new RootAllocator();
        Session session = new Session();
        ArrowArrayStream stream = ArrowArrayStream.allocateNew(allocator)) {
      exportAndForget(session, stream);
      for (int i = 0; i < 5; i++) {
        System.gc();
        Thread.sleep(10);
      }
      long rows = 0;
      try (ArrowReader reader = Data.importArrayStream(allocator, stream)) {
        while (reader.loadNextBatch()) {
          rows += reader.getVectorSchemaRoot().getRowCount();
        }
      }
      assertEquals(2_000_000, rows);
    }
  }

  @SuppressWarnings("resource")
  private static void exportAndForget(Session session, ArrowArrayStream stream) {
    session.query("SELECT value FROM generate_series(1, 2000000)").exportTo(stream.memoryAddress());
  }

  @Test
  void metricsOutliveTheExportedStream() throws Exception {
    try (BufferAllocator allocator = new RootAllocator();
        Session session = new Session();
        Stream rows = session.query("SELECT count(*) FROM generate_series(1, 1000)")) {
      assertEquals("[[1000]]", Batches.exported(allocator, rows).toString());
      assertEquals(1000, rows.progress().rowsRead());
      assertTrue(rows.metrics().contains("1000"), rows.metrics());
    }
  }
}
