package dev.plasmon;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;

/** The last of all: under {@code -Xcheck:jni} the JVM had nothing to say about calls from native code. */
@Order(Integer.MAX_VALUE)
class JvmLogTest {
  @Test
  void theJvmSaidNothing() throws Exception {
    assertTrue(ManagementFactory.getRuntimeMXBean().getInputArguments().contains("-Xcheck:jni"));
    String log = System.getProperty("jvm.log");
    assertNotNull(log);
    List<String> lines = Files.readAllLines(Path.of(log));
    assertTrue(lines.stream().anyMatch(line -> line.contains("<hotspot_log")), "no log at " + log);
    assertEquals(List.of(), Child.warnings(lines));
  }
}
