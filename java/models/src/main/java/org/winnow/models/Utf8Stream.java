package org.winnow.models;

/**
 * Converts bytes to characters as they arrive. Bytes that begin a character are held back until the
 * character is complete. Bytes that cannot be part of one become U+FFFD: the longest beginning of a
 * character as one (Unicode 15, section 3.9, "U+FFFD Substitution of Maximal Subparts"), or every
 * byte as one.
 */
final class Utf8Stream {
  private static final char REPLACEMENT = '\uFFFD';

  private final boolean eachByte; // whether every wrong byte becomes a U+FFFD of its own
  private int held; // bytes of an incomplete character
  private int missing; // bytes that complete it
  private int codePoint; // the bits of the held bytes
  private int low; // the next byte must lie in [low, high]
  private int high;

  Utf8Stream(boolean eachByte) {
    this.eachByte = eachByte;
  }

  /** Takes a byte in [0, 255] and appends the characters that are now known. */
  void take(int value, StringBuilder out) {
    if (missing > 0) {
      if (value >= low && value <= high) {
        codePoint = codePoint << 6 | value & 0x3f;
        held++;
        low = 0x80;
        high = 0xbf;
        if (--missing > 0) return;
        held = 0;
        out.appendCodePoint(codePoint);
        return;
      }
      end(out);
    }
    if (value < 0x80) out.append((char) value);
    else if (value < 0xc2 || value > 0xf4) out.append(REPLACEMENT);
    else begin(value);
  }

  private void begin(int value) {
    held = 1;
    low = 0x80;
    high = 0xbf;
    if (value < 0xe0) {
      missing = 1;
      codePoint = value & 0x1f;
    } else if (value < 0xf0) {
      missing = 2;
      codePoint = value & 0x0f;
      if (value == 0xe0) low = 0xa0; // else two bytes would do
      if (value == 0xed) high = 0x9f; // else half of a surrogate pair
    } else {
      missing = 3;
      codePoint = value & 0x07;
      if (value == 0xf0) low = 0x90; // else three bytes would do
      if (value == 0xf4) high = 0x8f; // else more than U+10FFFF
    }
  }

  /** Appends what the held bytes become if nothing completes their character. */
  void end(StringBuilder out) {
    if (held > 0) out.append(String.valueOf(REPLACEMENT).repeat(eachByte ? held : 1));
    held = 0;
    missing = 0;
  }
}
