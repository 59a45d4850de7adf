package dev.plasmon;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How the native library is found, kept and loaded. */
class LibraryTest {
  @TempDir Path folder;

  @Test
  void everyClassLoaderHasOne() throws Exception {
    String own = Session.version();
    URL classes = Session.class.getProtectionDomain().getCodeSource().getLocation();
    for (int i = 0; i < 2; i++) {
      try (URLClassLoader loader = new URLClassLoader(new URL[] {classes}, ClassLoader.getPlatformClassLoader())) {
        Class<?> session = loader.loadClass(Session.class.getName());
        assertNotSame(Session.class, session);
        assertEquals(own, session.getMethod("version").invoke(null));
        try (AutoCloseable opened = (AutoCloseable) session.getConstructor().newInstance();
            AutoCloseable rows = (AutoCloseable) session.getMethod("query", String.class).invoke(opened, "SELECT 1")) {
          assertNotEquals(0L, rows.getClass().getMethod("next").invoke(rows));
        }
      }
    }
  }

  private List<Path> kept() throws Exception {
    Path own = folder.resolve("plasmon-" + System.getProperty("user.name"));
    assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(own)));
    try (var files = Files.list(own)) {
      return files.toList();
    }
  }

  @Test
  void itIsKeptUnderItsHash() throws Exception {
    String temporary = "-Djava.io.tmpdir=" + folder;
    assertEquals("version " + Session.version(), Child.run("version", temporary).output());
    Path library = kept().get(0);
    assertEquals(1, kept().size());
    assertTrue(library.getFileName().toString().matches("[0-9a-f]{32}-libplasmon_jni.so"), library.toString());
    FileTime made = Files.getLastModifiedTime(library);
    assertEquals(0, Child.run("version", temporary).status());
    assertEquals(made, Files.getLastModifiedTime(library));
    // Half of it, of a machine that went down.
    byte[] whole = Files.readAllBytes(library);
    Files.write(library, java.util.Arrays.copyOf(whole, whole.length / 2));
    assertEquals(0, Child.run("version", temporary).status());
    assertEquals(-1, Files.mismatch(library, Files.write(folder.resolve("whole"), whole)));
    assertEquals(List.of(library), kept());
    // A folder that others may write to is not trusted, and not changed; what serves in its place is gone afterwards.
    Files.setPosixFilePermissions(library.getParent(), PosixFilePermissions.fromString("rwxrwxrwx"));
    Files.writeString(library, "harm");
    assertEquals("version " + Session.version(), Child.run("version", temporary).output());
    assertEquals("harm", Files.readString(library));
    try (var files = Files.list(folder)) {
      assertEquals(List.of(library.getParent(), folder.resolve("whole")), files.filter(f -> !f.endsWith("hsperfdata_" + System.getProperty("user.name"))).sorted().toList());
    }
  }

  @Test
  void anotherOneCanBeNamed() throws Exception {
    Child.Outcome missing = Child.run("twice", "-Dplasmon.library.path=/nowhere/libplasmon_jni.so");
    String[] lines = missing.output().lines().toArray(String[]::new);
    assertEquals(2, lines.length, missing.output() + missing.errors());
    assertEquals(lines[0], lines[1]);
    assertTrue(lines[0].startsWith("Plasmon's native library cannot be loaded: ") && lines[0].contains("/nowhere"), lines[0]);
    Path given = Path.of(Session.class.getProtectionDomain().getCodeSource().getLocation().toURI()).resolve("META-INF/native/linux-x86_64");
    for (Path path : List.of(given, given.resolve("libplasmon_jni.so"))) {
      assertEquals("version " + Session.version(), Child.run("version", "-Dplasmon.library.path=" + path).output());
    }
  }

  @Test
  void aProgramEndsWhateverIsOpen() throws Exception {
    Child.Outcome outcome = Child.run("forget");
    assertEquals(0, outcome.status(), outcome.errors());
    assertEquals("forgotten", outcome.output());
  }

  @Test
  void theExampleRuns() throws Exception {
    assumeTrue(ModuleLayer.boot().findModule("jdk.compiler").isPresent(), "a run-time environment does not compile");
    Child.Outcome outcome = Child.java(new String[0], "examples/Query.java");
    assertEquals(0, outcome.status(), outcome.errors());
    assertEquals("0 333334\n1 333333\n2 333333\nUSER: there is no table or view nowhere", outcome.output());
  }
}
