package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class StopTextTest {
  @Test
  void theTextEndsBeforeAStopTextThatSeveralPiecesHold() {
    StopText stop = new StopText(List.of("\n\nUser:", "###"));
    assertThat(stop.append("one\n")).isEqualTo(3);
    assertThat(stop.append("two#")).isEqualTo(7);
    assertThat(stop.append("#\n\nUs")).isEqualTo(9);
    assertThat(stop.append("")).isEqualTo(9);
    assertThat(stop.isFound()).isFalse();
    assertThat(stop.append("er: x")).isEqualTo(9);
    assertThat(stop.isFound()).isTrue();
    assertThat(stop.append("###")).isEqualTo(9);
  }

  /** A text of few letters, so that beginnings overlap, cut into random pieces. */
  @Test
  void howTheTextIsCutHasNoEffect() {
    Random random = new Random(17);
    int numFound = 0;
    for (int round = 0; round < 20_000; round++) {
      List<String> stops = new ArrayList<>();
      for (int i = random.nextInt(3) + 1; i > 0; i--)
        stops.add(letters(random, 1 + random.nextInt(5)));
      String text = letters(random, random.nextInt(24));
      int end = end(text, stops);
      StopText stop = new StopText(stops);
      int certain = 0;
      for (int begin = 0; begin < text.length() && !stop.isFound(); ) {
        int next = begin + random.nextInt(Math.min(4, text.length() - begin) + 1);
        int found = stop.append(text.substring(begin, next));
        assertThat(found).isGreaterThanOrEqualTo(certain);
        certain = found;
        begin = next;
        if (!stop.isFound())
          assertThat(certain).isEqualTo(begin - held(text.substring(0, begin), stops));
      }
      String message = text + " with " + stops;
      assertThat(stop.isFound()).as(message).isEqualTo(end >= 0);
      if (end >= 0) {
        numFound++;
        assertThat(certain).as(message).isEqualTo(end);
      }
    }
    assertThat(numFound).isBetween(2_000, 18_000);
  }

  private static String letters(Random random, int length) {
    return random
        .ints(length, 'a', 'c')
        .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
        .toString();
  }

  /** Where the text ends, or -1: every prefix is compared with every stop text. */
  private static int end(String text, List<String> stops) {
    for (int length = 1; length <= text.length(); length++) {
      String prefix = text.substring(0, length);
      int longest =
          stops.stream().filter(prefix::endsWith).mapToInt(String::length).max().orElse(0);
      if (longest > 0) return length - longest;
    }
    return -1;
  }

  /** The length of the longest end of the text that begins a stop text. */
  private static int held(String text, List<String> stops) {
    for (int begin = 0; begin < text.length(); begin++) {
      String tail = text.substring(begin);
      if (stops.stream().anyMatch(stop -> stop.startsWith(tail))) return tail.length();
    }
    return 0;
  }
}
