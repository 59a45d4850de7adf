package dev.plasmon;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Texts as the native library takes and gives them: UTF-8. */
final class Text {
  private Text() {}

  /**
   * The bytes of a text; null for null. A surrogate that stands alone has none: the bytes then end in one that UTF-8 does not have, so that the library
   * refuses them and says where.
   */
  static byte[] utf8(String text) {
    if (text == null) {
      return null;
    }
    int end = unpaired(text);
    byte[] bytes = text.substring(0, end).getBytes(StandardCharsets.UTF_8);
    if (end < text.length()) {
      bytes = Arrays.copyOf(bytes, bytes.length + 1);
      bytes[bytes.length - 1] = (byte) 0xff;
    }
    return bytes;
  }

  /** Where the first surrogate stands that has no other half; the text's length when there is none. */
  private static int unpaired(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (!Character.isSurrogate(c)) {
        continue;
      }
      if (!Character.isHighSurrogate(c) || i + 1 == text.length() || !Character.isLowSurrogate(text.charAt(i + 1))) {
        return i;
      }
      i++;
    }
    return text.length();
  }

  static String of(byte[] utf8) {
    return new String(utf8, StandardCharsets.UTF_8);
  }
}
