package dev.plasmon;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.arrow.c.ArrowArrayStream;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Many threads on one session; several on one object. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ThreadsTest {
  private static final int THREADS = 8;

  private static void onThreads(Callable<?> work) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(THREADS);
    try {
      List<Future<?>> running = new ArrayList<>();
      for (int i = 0; i < THREADS; i++) {
        running.add(pool.submit(work));
      }
      for (Future<?> one : running) {
        one.get(100, TimeUnit.SECONDS);
      }
    } finally {
      pool.shutdownNow();
    }
  }

  @Test
  void oneSessionServesMany() throws Exception {
    try (BufferAllocator allocator = new RootAllocator(); Session session = new Session()) {
      session.set("threads", "2");
      session.query("CREATE TABLE t AS SELECT value AS n FROM generate_series(1, 10000)").close();
      onThreads(() -> {
        for (int i = 0; i < 100; i++) {
          try (Plan plan = session.prepare("SELECT sum(t.n) FROM t JOIN input ON t.n = input.n + 1").set("driver", i % 2 == 0 ? "pool" : "inline");
              ArrowArrayStream in = Batches.stream(allocator, Batches.numbers(allocator, 0, 1000))) {
            plan.bindStream("input", in.memoryAddress());
            try (Stream rows = plan.execute()) {
              assertEquals("[[500500]]", (i % 3 == 0 ? Batches.exported(allocator, rows) : Batches.pulled(allocator, rows)).toString());
            }
          }
        }
        return null;
      });
      assertEquals(0, allocator.getAllocatedMemory());
    }
  }

  /** Every outcome is a batch, the end, or a code; and in the end all rows were seen once. */
  @Test
  void oneStreamServesOneAtATime() throws Exception {
    try (Session session = new Session(); Stream rows = session.query("SELECT value FROM generate_series(1, 5000000)")) {
      onThreads(() -> {
        for (;;) {
          try {
            if (rows.next() == 0) {
              return null;
            }
          } catch (PlasmonException e) {
            assertEquals(ErrorCode.BUSY, e.code());
          }
          rows.progress();
        }
      });
    }
  }

  @Test
  void everyThreadMayCancel() throws Exception {
    for (String driver : List.of("pool", "inline")) {
      try (Session session = new Session();
          Plan plan = session.prepare("SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b").set("driver", driver);
          Stream rows = plan.execute()) {
        Thread other = new Thread(() -> {
          try {
            Thread.sleep(50);
          } catch (InterruptedException e) {
            return;
          }
          rows.cancel();
        });
        other.start();
        Batches.fails(ErrorCode.CANCELLED, rows::next);
        other.join();
      }
    }
  }

  /** Whoever waits inside gets an exception; whoever comes late, too. */
  @Test
  void everyThreadMayClose() throws Exception {
    for (int round = 0; round < 50; round++) {
      try (Session session = new Session()) {
        Stream rows = session.query("SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b");
        CyclicBarrier start = new CyclicBarrier(2);
        Thread other = new Thread(() -> {
          try {
            start.await();
          } catch (Exception e) {
            return;
          }
          rows.close();
        });
        other.start();
        start.await();
        try {
          rows.next();
          throw new AssertionError("an end");
        } catch (PlasmonException e) {
          assertTrue(e.code() == ErrorCode.CANCELLED || e.code() == ErrorCode.INVALID_HANDLE, e.toString());
        }
        other.join();
      }
    }
  }

  @Test
  void closingTwiceAtOnceIsOnce() throws Exception {
    for (int round = 0; round < 100; round++) {
      Session session = new Session();
      onTwo(session::close);
    }
  }

  private static void onTwo(Runnable work) throws InterruptedException {
    Thread other = new Thread(work);
    other.start();
    work.run();
    other.join();
  }
}
