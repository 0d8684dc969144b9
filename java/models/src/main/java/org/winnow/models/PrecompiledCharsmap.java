package org.winnow.models;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Base64;
import java.util.BitSet;
import java.util.Deque;
import org.jspecify.annotations.Nullable;

/**
 * Checks the table of replacements of a {@code Precompiled} normalizer, as SentencePiece writes it:
 * the size of a trie in bytes, a double array of 32-bit units (darts-clone), then texts that end in
 * a zero byte. The library reads it without checks.
 */
final class PrecompiledCharsmap {
  private PrecompiledCharsmap() {}

  /** What is wrong with a table in base64, or null. */
  static @Nullable String fault(String base64) {
    ByteBuffer bytes;
    try {
      bytes = ByteBuffer.wrap(Base64.getDecoder().decode(base64)).order(ByteOrder.LITTLE_ENDIAN);
    } catch (IllegalArgumentException e) {
      return "no base64";
    }
    if (bytes.remaining() < Integer.BYTES) return bytes.remaining() + " bytes";
    int size = bytes.getInt();
    if (size <= 0 || size % Integer.BYTES != 0 || size > bytes.remaining())
      return "a trie of " + size + " bytes";
    int[] units = new int[size / Integer.BYTES];
    bytes.asIntBuffer().get(units);
    bytes.position(Integer.BYTES + size);
    ByteBuffer texts = bytes.slice();
    try {
      CharBuffer decoded = StandardCharsets.UTF_8.newDecoder().decode(texts.duplicate());
      return walk(units, texts, decoded);
    } catch (CharacterCodingException e) {
      return "texts that are not UTF-8";
    }
  }

  private static @Nullable String walk(int[] units, ByteBuffer texts, CharBuffer decoded) {
    BitSet seen = new BitSet(units.length);
    Deque<Integer> bases = new ArrayDeque<>();
    bases.add(offset(units[0]));
    while (!bases.isEmpty()) {
      int base = bases.pop();
      if (base < 0 || (base | 0xff) >= units.length) return "a trie that leaves its array";
      if (seen.get(base)) continue;
      seen.set(base);
      for (int label = 1; label < 256; label++) {
        int unit = units[base ^ label];
        if ((unit & 0x800000ff) != label) continue; // no child of this label
        int next = base ^ label ^ offset(unit);
        if (next < 0 || next >= units.length) return "a trie that leaves its array";
        if ((unit >>> 8 & 1) == 1) { // a key ends here
          int text = units[next] & 0x7fffffff;
          if (text > texts.limit()) return "a text that is not there";
          if (text < texts.limit() && (texts.get(text) & 0xc0) == 0x80) return "half a character";
        }
        bases.push(next);
      }
    }
    return decoded.isEmpty() ? "no texts" : null;
  }

  private static int offset(int unit) {
    return unit >>> 10 << ((unit & 1 << 9) >>> 6);
  }
}
