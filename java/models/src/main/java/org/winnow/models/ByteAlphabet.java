package org.winnow.models;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The characters that stand for bytes in byte-level vocabularies. Printable bytes of Latin-1 stand
 * for themselves, the others for the characters from U+0100 on (GPT-2, {@code bytes_to_unicode}).
 */
final class ByteAlphabet {
  private static final int SIZE = 256 + 68; // 68 bytes are not printable
  private static final short[] VALUES = new short[SIZE];

  static {
    int next = 256;
    Arrays.fill(VALUES, (short) -1);
    for (int value = 0; value < 256; value++) {
      boolean isPrintable = (value >= '!' && value <= '~') || (value >= 0xa1 && value != 0xad);
      VALUES[isPrintable ? value : next++] = (short) value;
    }
  }

  private ByteAlphabet() {}

  /** The byte that a character stands for, or -1. */
  static int value(char character) {
    return character < SIZE ? VALUES[character] : -1;
  }

  /** Whether every character of a text stands for a byte. */
  static boolean covers(String text) {
    for (int i = 0; i < text.length(); i++) if (value(text.charAt(i)) < 0) return false;
    return true;
  }

  /** All 256 characters. */
  static List<String> characters() {
    return IntStream.range(0, SIZE)
        .filter(c -> VALUES[c] >= 0)
        .mapToObj(Character::toString)
        .toList();
  }
}
