package org.winnow.models;

import java.io.IOException;
import java.io.Reader;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;

/**
 * Converts text to ids in calls of limited length. The native library ends the process on texts
 * that are too long for it. For 1 MiB it was measured to need 200 MB of memory and 1 to 2.5 s. So a
 * text is encoded in parts where a cut changes no id. Any other text of more than one call is
 * refused.
 */
final class TokenEncoder {
  /** The most bytes of UTF-8 that one call of the library takes. */
  static final int MAX_CALL_BYTES = 1 << 20;

  /** The length of a part, if there is a place to cut. */
  static final int PART_BYTES = 1 << 18;

  private static final int MIN_PART = 1 << 10; // characters between two cuts

  private final Path file;
  private final NativeTokenizer library;
  private final @Nullable TextCutter cutter;
  private final long maxBytesPerToken;

  TokenEncoder(NativeTokenizer library, TokenizerFile tokens) {
    this.file = tokens.file();
    this.library = library;
    this.cutter = TextCutter.of(tokens);
    this.maxBytesPerToken = TextLimits.maxBytesPerToken(tokens);
  }

  /**
   * @throws IllegalArgumentException if the text is too long for one call and cannot be cut
   * @throws org.winnow.ContextLengthException if it is sure to need more than the room, mostly
   *     before it is encoded
   */
  int[] encode(String text, boolean addSpecialTokens, TextRoom room) {
    long bytes = TextLimits.utf8Bytes(text);
    room.require(0, bytes, maxBytesPerToken);
    if (bytes <= PART_BYTES) return call(text, addSpecialTokens);
    try {
      return encode(new StringReader(text), addSpecialTokens, room);
    } catch (IOException e) {
      throw new IllegalStateException(e); // a StringReader that is open throws none
    }
  }

  /**
   * Encodes all that a reader gives, and holds only the ids and about {@link #MAX_CALL_BYTES} of
   * the text. It reads on only while the text may fit into the room.
   *
   * @throws IllegalArgumentException if the text is too long for one call and cannot be cut
   * @throws org.winnow.ContextLengthException if the text is sure to need more than the room
   */
  int[] encode(Reader reader, boolean addSpecialTokens, TextRoom room) throws IOException {
    Ids ids = new Ids();
    StringBuilder text = new StringBuilder();
    long bytesBefore = 0;
    while (true) {
      boolean ends = fill(reader, text);
      room.require(ids.size, TextLimits.utf8Bytes(text), maxBytesPerToken);
      int fitting = fitting(text, MAX_CALL_BYTES);
      int part = fitting(text, PART_BYTES);
      boolean isLast = ends && part == text.length();
      int cut = isLast ? -1 : cut(text, part, fitting);
      if (cut < 0 && !isLast) isLast = ends && fitting == text.length();
      if (isLast) {
        if (bytesBefore == 0) return call(text.toString(), addSpecialTokens);
        ids.add(call(text.toString(), false));
        return addSpecialTokens ? withSpecialTokens(ids.toArray()) : ids.toArray();
      }
      if (cut < 0) throw tooLong(bytesBefore, TextLimits.utf8Bytes(text));
      String piece = text.substring(0, cut);
      ids.add(call(piece, false));
      int next = Objects.requireNonNull(cutter).dropsSpace() ? cut + 1 : cut;
      bytesBefore += TextLimits.utf8Bytes(piece) + next - cut;
      text.delete(0, next);
    }
  }

  /** A place to cut, best before {@code part}, at the latest before {@code fitting}; or -1. */
  private int cut(CharSequence text, int part, int fitting) {
    if (cutter == null) return -1;
    int cut = cutter.last(text, MIN_PART, part);
    return cut >= 0 ? cut : cutter.last(text, Math.max(part, MIN_PART), fitting);
  }

  private IllegalArgumentException tooLong(long bytesBefore, long bytes) {
    return new IllegalArgumentException(
        cutter == null
            ? "text must have at most "
                + MAX_CALL_BYTES
                + " bytes: this tokenizer's texts cannot be cut; found at least "
                + bytes
            : "text must have a space behind a word in each "
                + MAX_CALL_BYTES
                + " bytes, found none in those after byte "
                + bytesBefore);
  }

  /** Reads until more than one call's text is there; returns whether the text ends. */
  private boolean fill(Reader reader, StringBuilder text) throws IOException {
    int reach = cutter == null ? 1 : cutter.reach();
    char[] buffer = new char[1 << 16];
    while (text.length() < MAX_CALL_BYTES + reach) {
      int count = reader.read(buffer);
      if (count < 0) return true;
      text.append(buffer, 0, count);
    }
    return false;
  }

  /** The characters at the beginning of a text that have at most this many bytes. */
  private static int fitting(CharSequence text, int maxBytes) {
    long bytes = 0;
    for (int at = 0, next; at < text.length(); at = next) {
      next = TextLimits.nextCharacter(text, at);
      bytes += TextLimits.utf8Bytes(text, at, next);
      if (bytes > maxBytes) return at;
    }
    return text.length();
  }

  private int[] call(String text, boolean addSpecialTokens) {
    // half a character becomes a question mark
    String valid = new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.UTF_8);
    Ids ids = new Ids();
    try {
      ids.add(library.encode(valid, addSpecialTokens));
    } catch (IllegalStateException e) {
      throw e; // it is closed
    } catch (RuntimeException e) { // what the library throws, such as for an unknown character
      throw new CheckpointException(
          file, null, "a tokenizer for this text", Json.quote(String.valueOf(e.getMessage())), e);
    }
    return ids.toArray();
  }

  /** Puts the tokens around that the library puts around a text. */
  private int[] withSpecialTokens(int[] ids) {
    int[] with = call("a", true);
    int[] without = call("a", false);
    int extra = with.length - without.length;
    for (int begin = 0; begin <= extra; begin++) {
      int end = begin + without.length;
      if (!Arrays.equals(with, begin, end, without, 0, without.length)) continue;
      Ids all = new Ids();
      all.add(Arrays.copyOf(with, begin));
      all.add(ids);
      all.add(Arrays.copyOfRange(with, end, with.length));
      return all.toArray();
    }
    throw new IllegalStateException("special tokens change the text's own");
  }

  /** A growing list of ids. */
  private static final class Ids {
    private int[] ids = new int[16];
    private int size;

    void add(int[] more) {
      reserve(more.length);
      System.arraycopy(more, 0, ids, size, more.length);
      size += more.length;
    }

    void add(long[] more) {
      reserve(more.length);
      for (long id : more) ids[size++] = Math.toIntExact(id);
    }

    private void reserve(int more) {
      int needed = Math.addExact(size, more);
      if (needed > ids.length)
        ids =
            Arrays.copyOf(
                ids, (int) Math.min(Integer.MAX_VALUE - 8, Math.max(needed, ids.length * 3L / 2)));
    }

    int[] toArray() {
      return size == ids.length ? ids : Arrays.copyOf(ids, size);
    }
  }
}
