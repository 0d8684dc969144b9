package org.winnow.models;

import java.util.List;

/**
 * Finds the end of a text that arrives in pieces: the place before the first stop text that is
 * complete. If several become complete with the same character, the longest one counts. How the
 * text is divided into pieces has no effect.
 */
final class StopText {
  private final List<Search> searches;
  private int length; // of the text
  private boolean found;

  StopText(List<String> stops) {
    searches = stops.stream().map(Search::new).toList();
  }

  /** Whether a stop text is complete. Later pieces have no effect then. */
  boolean isFound() {
    return found;
  }

  /**
   * @return the number of characters, from the beginning of the text, that come before any stop
   *     text: those after them may begin one
   */
  int append(String piece) {
    int held = 0;
    for (Search search : searches) held = Math.max(held, search.matched);
    for (int i = 0; i < piece.length() && !found; i++) {
      length++;
      held = 0;
      int stop = 0;
      for (Search search : searches) {
        search.append(piece.charAt(i));
        held = Math.max(held, search.matched);
        if (search.isComplete()) stop = Math.max(stop, search.matched);
      }
      found = stop > 0;
      length -= stop;
    }
    return found ? length : length - held;
  }

  /** Knuth, Morris and Pratt 1977, doi:10.1137/0206024. */
  private static final class Search {
    private final String stop;
    private final int[]
        shorter; // [n]: the next shorter beginning that the first n characters end in
    private int matched; // characters of the stop text that the text ends in

    Search(String stop) {
      this.stop = stop;
      shorter = new int[stop.length() + 1];
      for (int n = 2; n <= stop.length(); n++)
        shorter[n] = extend(shorter[n - 1], stop.charAt(n - 1));
    }

    private int extend(int count, char next) {
      int longest = count;
      while (longest > 0 && stop.charAt(longest) != next) longest = shorter[longest];
      return stop.charAt(longest) == next ? longest + 1 : 0;
    }

    void append(char next) {
      matched = extend(matched, next);
    }

    boolean isComplete() {
      return matched == stop.length();
    }
  }
}
