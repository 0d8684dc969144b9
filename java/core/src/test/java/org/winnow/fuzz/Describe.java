package org.winnow.fuzz;

import java.lang.reflect.Array;
import java.util.Collection;
import java.util.StringJoiner;
import org.winnow.Tensor;

/** Arguments as a report shows them. */
final class Describe {
  private Describe() {}

  static String call(ExportedApi.Member member, Object[] all) {
    StringJoiner text = new StringJoiner(", ", member.key() + " with ", "");
    for (Object value : all) text.add(value(value));
    return text.toString();
  }

  static String value(Object value) {
    if (value == null) return "null";
    if (value instanceof Tensor tensor) {
      return tensor
          + (tensor.isClosed() ? " closed" : "")
          + (tensor.memory().isHost() ? "" : " elsewhere")
          + id(tensor);
    }
    if (value instanceof Number || value instanceof Boolean || value instanceof Enum)
      return value.toString();
    if (value instanceof String text) return '"' + text + '"';
    if (value.getClass().isArray()) {
      StringJoiner items = new StringJoiner(",", "[", "]");
      for (int i = 0; i < Math.min(6, Array.getLength(value)); i++)
        items.add(value(Array.get(value, i)));
      return items + "x" + Array.getLength(value);
    }
    if (value instanceof Collection<?> list) return "list of " + list.size();
    if (value instanceof java.nio.file.Path path) return "file " + path.getFileName();
    return value.getClass().getSimpleName() + id(value);
  }

  private static String id(Object value) {
    return "@" + Integer.toHexString(System.identityHashCode(value));
  }

  /** Whether a number among the arguments may stand for more memory than a child has. */
  static boolean isHuge(Object[] all) {
    for (Object value : all) {
      if (value instanceof Integer number && number >= 1 << 16) return true;
      if (value instanceof Long number && number >= 1 << 16) return true;
      if (value instanceof long[] extents) {
        for (long extent : extents) {
          if (extent >= 1 << 16) return true;
        }
      }
    }
    return false;
  }
}
