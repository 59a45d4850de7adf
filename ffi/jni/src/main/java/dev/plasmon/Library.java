package dev.plasmon;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Properties;

/**
 * The native library: found in the jar, laid beside other temporary files under the hash of its content, where the next JVM finds it, and loaded once a class
 * loader.
 */
final class Library {
  /** A file, or the folder that it is in, to be taken in place of the jar's. */
  static final String PATH_PROPERTY = "plasmon.library.path";

  private static final String NAME = System.mapLibraryName("plasmon_jni");
  private static final String VERSION;
  private static final String FAILURE;

  static {
    String version = "";
    String failure = null;
    try {
      version = load();
    } catch (IOException | UnsatisfiedLinkError e) {
      failure = "Plasmon's native library cannot be loaded: " + e.getMessage();
    }
    VERSION = version;
    FAILURE = failure;
  }

  private Library() {}

  /** The library's version, the same as that of these classes. Fails whenever it could not be loaded. */
  static String version() {
    if (FAILURE != null) {
      throw new UnsatisfiedLinkError(FAILURE);
    }
    return VERSION;
  }

  private static String load() throws IOException {
    String given = System.getProperty(PATH_PROPERTY);
    if (given != null) {
      Path path = Path.of(given).toAbsolutePath();
      load(Files.isDirectory(path) ? path.resolve(NAME) : path);
    } else {
      Path library = extracted();
      load(library);
      if (!library.getParent().equals(ownFolder())) {
        Files.delete(library);
        Files.delete(library.getParent());
      }
    }
    String version = Text.of(start0(Library.class.getClassLoader()));
    String own = ownVersion();
    if (!version.equals(own)) {
      throw new UnsatisfiedLinkError("it is of version " + version + ", the classes are of version " + own);
    }
    return version;
  }

  /** A library is loaded for one class loader only; another one gets a copy of its own, which lives without a name. */
  private static void load(Path library) throws IOException {
    try {
      System.load(library.toString());
    } catch (UnsatisfiedLinkError e) {
      if (e.getMessage() == null || !e.getMessage().contains("already loaded in another classloader")) {
        throw e;
      }
      Path folder = Files.createTempDirectory("plasmon-");
      Path copy = Files.copy(library, folder.resolve(NAME));
      try {
        System.load(copy.toString());
      } finally {
        Files.delete(copy);
        Files.delete(folder);
      }
    }
  }

  private static Path extracted() throws IOException {
    String resource = "/META-INF/native/" + platform() + "/" + NAME;
    try (InputStream library = Library.class.getResourceAsStream(resource)) {
      if (library == null) {
        throw new UnsatisfiedLinkError("there is no " + resource + " in the jar; -D" + PATH_PROPERTY + "=FILE names one");
      }
      return extracted(library);
    }
  }

  /** Where the library lies, under a name that tells its content; it appears there whole or not at all. */
  private static Path extracted(InputStream library) throws IOException {
    Path folder = folder();
    Path part = Files.createTempFile(folder, "part-", ".so");
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      try (OutputStream out = new DigestOutputStream(Files.newOutputStream(part), digest)) {
        library.transferTo(out);
      }
      String hash = HexFormat.of().formatHex(digest.digest(), 0, 16);
      Path place = folder.resolve(hash + "-" + NAME);
      if (Files.exists(place) && Files.mismatch(part, place) == -1) {
        return place;
      }
      return Files.move(part, place, StandardCopyOption.ATOMIC_MOVE);
    } catch (NoSuchAlgorithmException e) {
      throw new IOException(e);
    } finally {
      Files.deleteIfExists(part);
    }
  }

  private static Path ownFolder() {
    return Path.of(System.getProperty("java.io.tmpdir"), "plasmon-" + System.getProperty("user.name"));
  }

  /** The user's own folder; a fresh one when somebody else could change what lies in that. */
  private static Path folder() throws IOException {
    Path own = ownFolder();
    Path fresh = Files.createTempDirectory(own.getParent(), "plasmon-");
    try {
      // Where there is none, the fresh one becomes it; where there is one with something in it, that fails.
      return Files.move(fresh, own, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      boolean isSafe = Files.isDirectory(own, LinkOption.NOFOLLOW_LINKS)
          && Files.getOwner(own, LinkOption.NOFOLLOW_LINKS).equals(Files.getOwner(fresh))
          && PosixFilePermissions.toString(Files.getPosixFilePermissions(own, LinkOption.NOFOLLOW_LINKS)).endsWith("------");
      if (isSafe) {
        Files.delete(fresh);
      }
      return isSafe ? own : fresh;
    }
  }

  private static String platform() {
    String system = System.getProperty("os.name").toLowerCase(Locale.ROOT);
    String processor = System.getProperty("os.arch").toLowerCase(Locale.ROOT);
    return system + "-" + (processor.equals("amd64") ? "x86_64" : processor);
  }

  private static String ownVersion() throws IOException {
    Properties properties = new Properties();
    try (InputStream file = Library.class.getResourceAsStream("version.properties")) {
      properties.load(file);
    }
    return properties.getProperty("version");
  }

  private static native byte[] start0(ClassLoader loader);

  /** The class of a code's number; -1 for a number that is none. */
  static native int classOf0(int code);

  /** The name of a code's number; empty for a number that is none. */
  static native byte[] nameOf0(int code);
}
