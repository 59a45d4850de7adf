package dev.plasmon;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.arrow.c.ArrowArray;
import org.apache.arrow.c.ArrowSchema;
import org.apache.arrow.c.Data;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.VectorSchemaRoot;

/** A JVM of its own, for what one JVM does once. */
final class Child {
  private Child() {}

  record Outcome(int status, String output, String errors) {}

  /** One of the cases of {@link #main}, with options for the JVM. */
  static Outcome run(String what, String... options) throws Exception {
    return java(options, Child.class.getName(), what);
  }

  /** A Java program with the class path of this one. */
  static Outcome java(String[] options, String... program) throws Exception {
    List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xcheck:jni"));
    command.add("-Djava.io.tmpdir=" + System.getProperty("java.io.tmpdir"));
    command.add("--add-opens=java.base/java.nio=ALL-UNNAMED");
    command.add("--enable-native-access=ALL-UNNAMED");
    command.addAll(List.of(options));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.addAll(List.of(program));
    Path errors = Files.createTempFile("plasmon-test-", ".txt");
    Process process = new ProcessBuilder(command).redirectError(errors.toFile()).start();
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (!process.waitFor(60, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError("it does not end: " + output);
    }
    String told = Files.readString(errors);
    Files.delete(errors);
    List<String> lines = output.lines().toList();
    assertEquals(List.of(), warnings(lines));
    // Without what the JVM said, which is not the program's.
    String own = lines.stream().filter(line -> !line.contains("in native method") && !line.startsWith("\t")).collect(Collectors.joining("\n"));
    return new Outcome(process.exitValue(), own, told);
  }

  /** What {@code -Xcheck:jni} has to say, each with its stack, but for what it says of the start of Arrow Java's own library. */
  static List<String> warnings(List<String> lines) {
    List<String> warnings = new ArrayList<>();
    for (int i = 0; i < lines.size(); i++) {
      if (lines.get(i).contains("WARNING") || lines.get(i).contains("in native method")) {
        StringBuilder warning = new StringBuilder(lines.get(i));
        for (; i + 1 < lines.size() && lines.get(i + 1).startsWith("\t"); i++) {
          warning.append('\n').append(lines.get(i + 1));
        }
        if (warning.indexOf("org.apache.arrow.c.jni.JniLoader.load") < 0) {
          warnings.add(warning.toString());
        }
      }
    }
    return warnings;
  }

  public static void main(String[] arguments) throws Exception {
    switch (arguments[0]) {
      case "version" -> System.out.println("version " + Session.version());
      case "twice" -> {
        for (int i = 0; i < 2; i++) {
          try {
            new Session().close();
          } catch (UnsatisfiedLinkError e) {
            System.out.println(e.getMessage());
          }
        }
      }
      case "forget" -> forget();
      default -> throw new IllegalArgumentException(arguments[0]);
    }
  }

  /** Ends while workers are at work, and inside Java. */
  @SuppressWarnings("resource")
  private static void forget() throws Exception {
    BufferAllocator allocator = new RootAllocator();
    Plan plan = new Session().prepare("SELECT * FROM numbers");
    CountDownLatch entered = new CountDownLatch(200);
    try (VectorSchemaRoot root = Batches.numbers(allocator, 0, 0); ArrowSchema schema = ArrowSchema.allocateNew(allocator)) {
      Data.exportSchema(allocator, root.getSchema(), null, schema);
      plan.bindBatches("numbers", schema.memoryAddress(), array -> {
        entered.countDown();
        if (entered.getCount() == 0) {
          Thread.sleep(1_000_000);
        }
        try (VectorSchemaRoot batch = Batches.numbers(allocator, 0, 1)) {
          batch.setRowCount(1);
          Data.exportVectorSchemaRoot(allocator, batch, null, ArrowArray.wrap(array));
        }
        return true;
      });
    }
    Stream rows = plan.set("batch_rows", "1").execute();
    while (entered.getCount() > 0 && rows.next() != 0) {}
    System.out.println("forgotten");
  }
}
