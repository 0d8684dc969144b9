package org.winnow.models;

import java.util.ArrayDeque;
import java.util.Deque;
import org.jspecify.annotations.Nullable;

/**
 * Finds regular expressions that may take exponential time: a repeated group that itself holds a
 * repetition without limit, a reference to a group, a call of a group. The library ends the process
 * when a match takes too many steps.
 */
final class PatternCheck {
  private final String pattern;
  private int at;

  private PatternCheck(String pattern) {
    this.pattern = pattern;
  }

  /** What is wrong with a pattern in Oniguruma's syntax, or null. */
  static @Nullable String fault(String pattern) {
    return new PatternCheck(pattern).scan();
  }

  private @Nullable String scan() {
    Deque<Boolean> outer = new ArrayDeque<>(); // whether the groups around hold a repetition
    boolean repeats = false; // whether the group so far does
    while (at < pattern.length()) {
      char c = pattern.charAt(at++);
      if (c == '\\') {
        if (at == pattern.length()) return "a pattern that ends in \\";
        char escaped = pattern.charAt(at++);
        if ((escaped >= '1' && escaped <= '9') || escaped == 'k' || escaped == 'g')
          return "a reference, \\" + escaped;
      } else if (c == '[') {
        if (!skipClass()) return "a [ without ]";
      } else if (c == '(') {
        outer.push(repeats);
        repeats = false;
      } else if (c == ')') {
        if (outer.isEmpty()) return "a ) without (";
        boolean inner = repeats;
        boolean repeated = inner && isRepeated();
        if (repeated) return "a repeated group that holds a repetition";
        repeats = outer.pop() || inner;
      } else if (c == '*' || c == '+' || (c == '{' && isOpenRange(at))) repeats = true;
    }
    return outer.isEmpty() ? null : "a ( without )";
  }

  /** Whether what follows lets a group occur more than once. */
  private boolean isRepeated() {
    if (at == pattern.length()) return false;
    char c = pattern.charAt(at);
    return c == '*' || c == '+' || (c == '{' && !pattern.startsWith("{1}", at));
  }

  /** Whether a {@code {n,}} begins before an index. */
  private boolean isOpenRange(int index) {
    int end = pattern.indexOf('}', index);
    return end > 0 && pattern.substring(index, end).matches("\\d+,");
  }

  private boolean skipClass() {
    int depth = 1;
    int first = at; // a ] there is a character
    if (at < pattern.length() && pattern.charAt(at) == '^') first = ++at;
    while (at < pattern.length()) {
      char c = pattern.charAt(at++);
      if (c == '\\') at++;
      else if (c == '[') depth++;
      else if (c == ']' && at - 1 != first && --depth == 0) return true;
    }
    return false;
  }
}
