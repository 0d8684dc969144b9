import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Writes the Java side of what kernels and their launches must agree on: {@code java
 * GenerateLaunch.java CUDA_DIRECTORY OUTPUT_DIRECTORY}, run by the build before it compiles.
 *
 * <p>Reads {@code <op>/<op>_launch.h} and {@code <op>/<op>_kernels.inc}; {@code
 * base/device_launch.h} says what a launch header may hold. Writes {@code
 * org.winnow.cuda.<Op>Launch}: constants, functions, a method per struct of extras, the offsets of
 * other structs, and the list of kernels as {@code KERNELS}.
 */
final class GenerateLaunch {
  private static final Pattern CONSTANT = Pattern.compile("constexpr int (k\\w+) = ([^;]+);");
  private static final Pattern FUNCTION =
      Pattern.compile("constexpr int64_t (\\w+)\\(([^)]*)\\)\\s*\\{\\s*return ([^;]+);\\s*}");
  private static final Pattern STRUCT = Pattern.compile("struct (\\w+) \\{([^}]*)};");
  private static final Pattern ROW = Pattern.compile("WINNOW_\\w+_KERNEL\\((.*)\\)");
  private static final Pattern COLUMNS = Pattern.compile("//   WINNOW_\\w+_KERNEL\\((.*)\\)");

  private record Field(String type, String name) {
    boolean isWide() {
      return type.endsWith("*") || type.endsWith("64_t");
    }

    int sizeBytes() {
      return isWide() ? Long.BYTES : Integer.BYTES;
    }

    String javaType() {
      return isWide() ? "long" : "int";
    }
  }

  private final Path cuda;
  private final Path output;
  private final Map<String, String> classOfConstant = new TreeMap<>();

  private GenerateLaunch(Path cuda, Path output) {
    this.cuda = cuda;
    this.output = output;
  }

  public static void main(String[] arguments) throws IOException {
    new GenerateLaunch(Path.of(arguments[0]), Path.of(arguments[1])).run();
  }

  private void run() throws IOException {
    Map<String, String> headers = texts("_launch.h");
    Map<String, String> lists = texts("_kernels.inc");
    headers.forEach(
        (stem, text) -> {
          Matcher constant = CONSTANT.matcher(text);
          while (constant.find()) {
            String before = classOfConstant.put(constant.group(1), className(stem));
            require(before == null, constant.group(1) + " is declared twice");
          }
        });
    Map<String, String> bodies = new TreeMap<>();
    headers.forEach((stem, text) -> bodies.put(stem, members(stem, text)));
    lists.forEach((stem, text) -> bodies.merge(stem, kernels(stem, text), String::concat));
    for (Map.Entry<String, String> body : bodies.entrySet()) write(body.getKey(), body.getValue());
  }

  /** By the stem before the suffix; comments of headers are left out. */
  private Map<String, String> texts(String suffix) throws IOException {
    Map<String, String> texts = new TreeMap<>();
    try (var files = Files.walk(cuda)) {
      for (Path file : (Iterable<Path>) files::iterator) {
        String name = file.getFileName().toString();
        if (!name.endsWith(suffix)) continue;
        String text = Files.readString(file);
        if (name.endsWith(".h")) text = text.replaceAll("//[^\n]*", "");
        texts.put(name.substring(0, name.length() - suffix.length()), text);
      }
    }
    require(!texts.isEmpty(), cuda + " has no *" + suffix);
    return texts;
  }

  private String members(String stem, String text) {
    StringBuilder members = new StringBuilder();
    Matcher constant = CONSTANT.matcher(text);
    while (constant.find())
      members
          .append("  static final int ")
          .append(constantName(constant.group(1)))
          .append(" = ")
          .append(expression(stem, constant.group(2)))
          .append(";\n");
    Matcher function = FUNCTION.matcher(text);
    while (function.find())
      members
          .append("\n  static long ")
          .append(camel(function.group(1)))
          .append('(')
          .append(parameters(fields(function.group(2).replace(',', ';'))))
          .append(") {\n    return ")
          .append(expression(stem, function.group(3)))
          .append(";\n  }\n");
    Matcher struct = STRUCT.matcher(text);
    while (struct.find()) {
      List<Field> fields = fields(struct.group(2));
      members.append(
          struct.group(1).endsWith("Extras")
              ? packing(struct.group(1), fields)
              : offsets(struct.group(1), fields));
    }
    require(members.length() > 0, stem + "_launch.h declares nothing");
    return members.toString();
  }

  private static List<Field> fields(String declarations) {
    List<Field> fields = new ArrayList<>();
    for (String declaration : declarations.split(";")) {
      if (declaration.isBlank()) continue;
      String line = declaration.strip().replaceAll("\\s+", " ");
      int space = Math.max(line.lastIndexOf(' '), line.lastIndexOf('*'));
      Field field = new Field(line.substring(0, space + 1).strip(), line.substring(space + 1));
      require(field.isWide() || field.type.equals("int32_t"), "no Java type for " + field.type);
      fields.add(field);
    }
    return fields;
  }

  private static String parameters(List<Field> fields) {
    StringBuilder text = new StringBuilder();
    for (Field field : fields)
      text.append(text.length() == 0 ? "" : ", ")
          .append(field.javaType())
          .append(' ')
          .append(camel(field.name));
    return text.toString();
  }

  private static String packing(String struct, List<Field> fields) {
    int alignment = fields.stream().mapToInt(Field::sizeBytes).max().orElseThrow();
    StringBuilder text = new StringBuilder("\n  /** Packs {@code " + struct + "}. */\n");
    text.append("  static KernelArguments ")
        .append(Character.toLowerCase(struct.charAt(0)))
        .append(struct.substring(1))
        .append("(KernelArguments arguments, ")
        .append(parameters(fields))
        .append(") {\n    return arguments\n        .align(")
        .append(alignment)
        .append(")\n");
    for (Field field : fields)
      text.append(field.isWide() ? "        .i64(" : "        .i32(")
          .append(camel(field.name))
          .append(")\n");
    return text.append("        .align(").append(alignment).append(");\n  }\n").toString();
  }

  private static String offsets(String struct, List<Field> fields) {
    StringBuilder text = new StringBuilder();
    String prefix = constantName("k" + struct);
    int offset = 0;
    int alignment = 1;
    for (Field field : fields) {
      offset = (offset + field.sizeBytes() - 1) / field.sizeBytes() * field.sizeBytes();
      alignment = Math.max(alignment, field.sizeBytes());
      text.append("  static final int ")
          .append(prefix)
          .append('_')
          .append(field.name.toUpperCase(Locale.ROOT))
          .append("_OFFSET = ")
          .append(offset)
          .append(";\n");
      offset += field.sizeBytes();
    }
    int sizeBytes = (offset + alignment - 1) / alignment * alignment;
    return "\n  static final int " + prefix + "_BYTES = " + sizeBytes + ";\n" + text;
  }

  private String kernels(String stem, String text) {
    Matcher header = COLUMNS.matcher(text);
    require(header.find(), stem + "_kernels.inc does not say what its columns are");
    String[] columns = header.group(1).split(", ");
    List<String> rows = new ArrayList<>();
    List<String> firstRow = null;
    for (String line : text.split("\n")) {
      Matcher row = ROW.matcher(line);
      if (!row.matches()) {
        require(line.isBlank() || line.startsWith("//"), stem + "_kernels.inc: not a row: " + line);
        continue;
      }
      String[] words = row.group(1).split(", ");
      require(words.length == columns.length, stem + "_kernels.inc: not its columns: " + line);
      List<String> values = new ArrayList<>();
      for (int i = 0; i < words.length; i++) values.add(value(columns[i], words[i]));
      if (firstRow == null) firstRow = values;
      rows.add("          new Variant(" + String.join(", ", values) + ")");
    }
    require(firstRow != null, stem + "_kernels.inc has no rows");
    StringBuilder record = new StringBuilder();
    for (int i = 0; i < columns.length; i++)
      record
          .append(i == 0 ? "" : ", ")
          .append(firstRow.get(i).startsWith("\"") ? "String " : "int ")
          .append(camel(columns[i]));
    return "\n  /** A row of {@code "
        + stem
        + "_kernels.inc}, which says what the columns are. */\n  record Variant("
        + record
        + ") {}\n\n  static final java.util.List<Variant> KERNELS =\n      java.util.List.of(\n"
        + String.join(",\n", rows)
        + ");\n";
  }

  /** Types and formats become the contracts' numbers. */
  private static String value(String column, String word) {
    if (word.matches("\\d+")) return word;
    if (column.endsWith("_type"))
      return "org.winnow.internal.NativeCodes.DTYPE_" + word.toUpperCase(Locale.ROOT);
    if (column.endsWith("_format"))
      return "org.winnow.WeightFormat." + word.toUpperCase(Locale.ROOT) + ".code()";
    return '"' + word + '"';
  }

  private String expression(String stem, String cExpression) {
    Matcher word = Pattern.compile("\\b[a-zA-Z_]\\w*").matcher(cExpression.replaceAll("\\s+", " "));
    return word.replaceAll(
        match -> {
          String name = match.group();
          if (!name.matches("k[A-Z]\\w*")) return camel(name);
          String owner = classOfConstant.get(name);
          require(owner != null, stem + "_launch.h: no constant " + name);
          String prefix = owner.equals(className(stem)) ? "" : owner + ".";
          return prefix + constantName(name);
        });
  }

  private void write(String stem, String body) throws IOException {
    String text =
        "// Generated from native/cuda, "
            + stem
            + "_launch.h and "
            + stem
            + "_kernels.inc. Do not edit.\npackage org.winnow.cuda;\n\n"
            + "/** What the kernels of one operation and their launches agree on. */\nfinal class "
            + className(stem)
            + " {\n"
            + body
            + "\n  private "
            + className(stem)
            + "() {}\n}\n";
    Path file = output.resolve("org/winnow/cuda").resolve(className(stem) + ".java");
    Files.createDirectories(file.getParent());
    // a file that is the same is left alone: what depends on it is not built again
    if (!Files.exists(file) || !Files.readString(file).equals(text)) Files.writeString(file, text);
  }

  private static String className(String stem) {
    String name = camel(stem);
    return Character.toUpperCase(name.charAt(0)) + name.substring(1) + "Launch";
  }

  /** kKeysPerBlock -> KEYS_PER_BLOCK. */
  private static String constantName(String cName) {
    return cName.substring(1).replaceAll("(?<=[a-z0-9])(?=[A-Z])", "_").toUpperCase(Locale.ROOT);
  }

  private static String camel(String words) {
    StringBuilder text = new StringBuilder();
    for (String word : words.split("_")) {
      if (text.length() == 0) text.append(word);
      else text.append(Character.toUpperCase(word.charAt(0))).append(word.substring(1));
    }
    return text.toString();
  }

  private static void require(boolean holds, String message) {
    if (!holds) throw new IllegalArgumentException(message);
  }
}
