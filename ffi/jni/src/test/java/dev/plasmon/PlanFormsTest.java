package dev.plasmon;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.junit.jupiter.api.Test;

/** Plans as SQL, in the library's own format, and as Substrait. */
class PlanFormsTest {
  @Test
  void plansGoOutAndComeBack() {
    try (BufferAllocator allocator = new RootAllocator();
        Session session = new Session();
        Stream made = session.query("CREATE TABLE t AS SELECT value AS a FROM generate_series(1, 10)");
        Plan plan = session.prepare("SELECT sum(a) AS total FROM t WHERE a > 5")) {
      List<List<Object>> expected = List.of(List.of(40L));
      try (Plan own = session.preparePlan(plan.toPlan()); Stream rows = own.execute()) {
        assertEquals(expected, Batches.pulled(allocator, rows));
      }
      for (Plan.SubstraitFormat format : Plan.SubstraitFormat.values()) {
        try (Plan other = session.prepareSubstrait(plan.toSubstrait(format)); Stream rows = other.execute()) {
          assertEquals(expected, Batches.pulled(allocator, rows));
        }
      }
    }
  }

  @Test
  void whatCannotBeRunIsRefusedWithItsPath() {
    byte[] nowhere = """
        {"relations": [{"root": {"names": ["b"], "input": {"read": {"namedTable": {"names": ["nowhere"]},
            "baseSchema": {"names": ["a"], "struct": {"types": [{"i64": {}}]}}}}}}]}
        """.getBytes(StandardCharsets.UTF_8);
    try (Session session = new Session(); Plan plan = session.prepareSubstrait(nowhere)) {
      PlasmonException e = Batches.fails(ErrorCode.USER, plan::execute);
      assertEquals("root.input.named_table", e.planPath());
      assertTrue(e.getMessage().contains("nowhere"), e.getMessage());
    }
    try (Session session = new Session()) {
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> session.preparePlan(null));
      Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> session.prepareSubstrait(new byte[0]));
      try (Plan plan = session.preparePlan(new byte[] {(byte) 0xff})) {
        Batches.fails(ErrorCode.USER, plan::execute);
      }
      try (Plan plan = session.prepare("DROP TABLE IF EXISTS t")) {
        Batches.fails(ErrorCode.USER, plan::toPlan);
        Batches.fails(ErrorCode.INVALID_ARGUMENT, () -> plan.toSubstrait(null));
      }
    }
  }
}
