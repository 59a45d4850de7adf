package dev.plasmon;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.apache.arrow.c.ArrowArrayStream;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.junit.jupiter.api.Test;

/** Codes, messages and hints; misuse of every object. */
class ErrorsTest {
  @Test
  void theTableIsTheLibrarys() {
    Session.version();
    List<ErrorCode> known = new ArrayList<>();
    for (int number = 1; number < 256; number++) {
      String name = Text.of(Library.nameOf0(number));
      if (!name.isEmpty()) {
        ErrorCode code = ErrorCode.of(number);
        assertEquals(number, code.number(), name);
        assertEquals(Library.classOf0(number), code.errorClass().number(), name);
        known.add(code);
      }
    }
    assertEquals(List.of(ErrorCode.values()), known);
  }

  @Test
  void failuresTellWhatTheyAre() {
    try (Session session = new Session()) {
      assertTrue(Batches.fails(ErrorCode.USER, () -> session.query("SELEC 1")).getMessage().contains("SELEC"));
      PlasmonException e = Batches.fails(ErrorCode.USER, () -> session.query("SELECT nothing FROM generate_series(1, 2)"));
      assertEquals(ErrorClass.USER, e.errorClass());
      assertTrue(e.getMessage().contains("nothing"), e.getMessage());
      assertTrue(e.toString().startsWith("dev.plasmon.PlasmonException: USER 10: "), e.toString());
      try (Stream rows = session.query("SELECT 1 / (value - 5) FROM generate_series(1, 10)")) {
        Batches.fails(ErrorCode.DATA, () -> rows.push(array -> {}));
      }
      Batches.fails(ErrorCode.IO, () -> session.registerPath("t", "/nowhere/t.parquet"));
      Batches.fails(ErrorCode.USER, () -> session.set("speed", "11"));
      Batches.fails(ErrorCode.USER, () -> session.deregister("nowhere"));
      try (Plan plan = session.prepare("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b")) {
        try (Stream rows = plan.deadline(Duration.ofMillis(20)).execute()) {
          Batches.fails(ErrorCode.DEADLINE, rows::next);
        }
        Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> plan.deadline(Duration.ofSeconds(-1)));
        plan.deadline(Duration.ofSeconds(Long.MAX_VALUE)).deadline(Duration.ofNanos(1)).deadline(null);
      }
      PlasmonException noMemory = Batches.fails(ErrorCode.OUT_OF_MEMORY, () -> {
        try (Plan plan = session.prepare("SELECT array_agg(value) FROM generate_series(1, 1000000)").set("memory_bytes", "100000");
            Stream rows = plan.execute()) {
          rows.push(array -> {});
        }
      });
      assertEquals(ErrorClass.OPERATOR, noMemory.errorClass());
    }
  }

  @Test
  void hintsAndPathsAreKept() {
    PlasmonException e = (PlasmonException) PlasmonException.of(12, Text.utf8("no 🦀"), Text.utf8("root/join.left"), Text.utf8("try ü"));
    assertEquals(ErrorCode.UNSUPPORTED, e.code());
    assertEquals("root/join.left", e.planPath());
    assertEquals("try ü", e.hint());
    assertEquals("dev.plasmon.PlasmonException: UNSUPPORTED 12: no 🦀 (at root/join.left)\nhint: try ü", e.toString());
  }

  @Test
  void nullIsRefusedEverywhere() {
    try (Session session = new Session(); Plan plan = session.prepare("SELECT 1"); Stream rows = plan.execute()) {
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> session.set(null, "1"));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> session.set("threads", null));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> session.registerPath(null, "x"));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> session.registerPath("x", null));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> session.registerStream("x", 0));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> session.registerBatches("x", 0, array -> false));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> session.deregister(null));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> session.prepare(null));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> session.query(null));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> plan.set(null, null));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> plan.bindStream("x", 0));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> plan.bindParameters(0, 0));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> plan.exportSchema(0));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> plan.explain(null));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> rows.exportSchema(0));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> rows.exportTo(0));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> ArrowStructs.releaseArray(0));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> ArrowStructs.releaseSchema(0));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> ArrowStructs.releaseStream(0));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> ArrowStructs.onReleaseArray(0, null));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> ArrowStructs.onReleaseSchema(0, null));
      assertTrue(Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> rows.exportTo(12345)).getMessage().contains("multiple of 8"));
    }
  }

  @Test
  void whatIsClosedIsRefused() {
    Session session = new Session();
    Plan plan = session.prepare("SELECT 1");
    Stream rows = plan.execute();
    session.close();
    session.close();
    assertTrue(Batches.fails(ErrorCode.INVALID_HANDLE, () -> session.set("threads", "1")).getMessage().contains("closed"));
    Batches.fails(ErrorCode.INVALID_HANDLE, () -> session.prepare("SELECT 1"));
    Batches.fails(ErrorCode.INVALID_HANDLE, () -> session.registerPath("x", "y"));
    // A plan outlives its session, a stream its plan.
    plan.execute().close();
    plan.close();
    Batches.fails(ErrorCode.INVALID_HANDLE, plan::execute);
    Batches.fails(ErrorCode.INVALID_HANDLE, () -> plan.explain(Plan.ExplainFormat.JSON));
    assertTrue(rows.next() != 0);
    rows.close();
    rows.close();
    Batches.fails(ErrorCode.INVALID_HANDLE, rows::next);
    Batches.fails(ErrorCode.INVALID_HANDLE, rows::step);
    Batches.fails(ErrorCode.INVALID_HANDLE, rows::array);
    Batches.fails(ErrorCode.INVALID_HANDLE, rows::cancel);
    Batches.fails(ErrorCode.INVALID_HANDLE, rows::progress);
    Batches.fails(ErrorCode.INVALID_HANDLE, rows::metrics);
    Batches.fails(ErrorCode.INVALID_HANDLE, () -> rows.push(array -> {}));
  }

  @Test
  void rowsGoOneWay() throws Exception {
    try (BufferAllocator allocator = new RootAllocator();
        Session session = new Session();
        Stream rows = session.query("SELECT 1");
        ArrowArrayStream out = ArrowArrayStream.allocateNew(allocator);
        ArrowArrayStream again = ArrowArrayStream.allocateNew(allocator)) {
      rows.exportTo(out.memoryAddress());
      Batches.fails(ErrorCode.INVALID_STATE, () -> rows.exportTo(again.memoryAddress()));
      Batches.fails(ErrorCode.INVALID_STATE, rows::next);
      Batches.fails(ErrorCode.INVALID_STATE, rows::step);
      rows.progress();
      ArrowStructs.releaseStream(out.memoryAddress());
      ArrowStructs.releaseStream(out.memoryAddress());
      // Taken over in every case, and released is not a stream.
      try (ArrowArrayStream in = Batches.stream(allocator, Batches.numbers(allocator, 0, 10))) {
        Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> session.registerStream(null, in.memoryAddress()));
        Batches.fails(ErrorCode.INVALID_ARROW, () -> session.registerStream("t", in.memoryAddress()));
      }
    }
  }

  @Test
  void textsAreUtf8() throws Exception {
    try (BufferAllocator allocator = new RootAllocator(); Session session = new Session()) {
      assertEquals("🦀 é \u0000 end", Batches.value(allocator, session, "SELECT '🦀 é \u0000 end' AS text").toString());
      assertEquals(4L, ((Number) Batches.value(allocator, session, "SELECT octet_length('🦀')")).longValue());
      assertEquals(1L, ((Number) Batches.value(allocator, session, "SELECT octet_length('\u0000') AS bytes")).longValue());
      PlasmonException e = Batches.fails(ErrorCode.USER, () -> session.query("SELECT \"🦀\""));
      assertTrue(e.getMessage().contains("🦀"), e.getMessage());
      for (String broken : List.of("SELECT '\ud83e'", "SELECT '\ud83ex'", "\udd80")) {
        assertTrue(Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> session.query(broken)).getMessage().contains("UTF-8"));
      }
      assertTrue(Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> session.registerPath("a\u0000b", "x")).getMessage().contains("zero"));
    }
  }
}
