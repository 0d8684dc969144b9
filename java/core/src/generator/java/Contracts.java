import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What the headers in {@code native/include} declare: argument structs, functions of the C
 * interface and the numbers of enums.
 */
final class Contracts {
  record Field(String cType, String name) {
    boolean isPointer() {
      return cType.endsWith("*");
    }

    String javaType() {
      if (isPointer() || cType.equals("int64_t")) return "long";
      if (cType.equals("float") || cType.equals("double")) return cType;
      if (cType.equals("int32_t") || cType.matches("winnow_[a-z_]+")) return "int";
      throw new IllegalArgumentException("no Java type for " + cType + " " + name);
    }

    int sizeBytes() {
      return javaType().equals("int") || javaType().equals("float") ? 4 : 8;
    }

    /** The suffix of ByteBuffer's get and put methods for this type. */
    String accessor() {
      String type = javaType();
      return Character.toUpperCase(type.charAt(0)) + type.substring(1);
    }
  }

  /**
   * @param mostLinked name of the constant that limits how many structs a call links by their first
   *     field, next; null for an operation without
   */
  record Operation(String name, String header, List<Field> fields, String mostLinked) {
    String javaName() {
      return camel(name, true);
    }

    String method() {
      return camel(name, false);
    }

    boolean isLinked() {
      return mostLinked != null;
    }

    int offset(Field wanted) {
      int offset = 0;
      for (Field field : fields) {
        offset = align(offset, field.sizeBytes());
        if (field == wanted) return offset;
        offset += field.sizeBytes();
      }
      return align(offset, 8);
    }

    int sizeBytes() {
      int alignment = fields.stream().mapToInt(Field::sizeBytes).max().orElse(1);
      Field last = fields.get(fields.size() - 1);
      return align(offset(last) + last.sizeBytes(), alignment);
    }
  }

  record Function(String returnType, String name, List<Field> parameters) {}

  final List<Operation> operations = new ArrayList<>();
  final List<Function> functions = new ArrayList<>();

  /** A Java constant per number of an enum or a limit, one line each. */
  final StringBuilder codes = new StringBuilder();

  private final Path include;

  /**
   * Reads the headers.
   *
   * @throws IllegalArgumentException if winnow.h misses an operation, or a table a field
   */
  Contracts(Path include) throws IOException {
    this.include = include;
    for (String header :
        List.of("operation", "dtype", "kv_layout", "weight_layout", "activation", "cpu"))
      read("winnow/base/" + header + ".h");
    try (var files = Files.newDirectoryStream(include.resolve("winnow"), "*.h")) {
      List<String> names = new ArrayList<>();
      for (Path file : files) names.add("winnow/" + file.getFileName());
      names.sort(null);
      for (String name : names) read(name);
    }
    String umbrella = Files.readString(include.resolve("winnow.h"));
    for (Operation operation : operations)
      require(
          umbrella.contains("#include \"" + operation.header + "\""),
          operation.header + " is missing in winnow.h");
  }

  private void read(String header) throws IOException {
    String contract = Files.readString(include.resolve(header));
    String text = contract.replaceAll("//[^\n]*", "");
    Matcher struct =
        Pattern.compile("typedef struct winnow_(\\w+)_arguments \\{([^}]*)}").matcher(text);
    while (struct.find()) {
      List<Field> fields = new ArrayList<>();
      for (String line : struct.group(2).split(";"))
        if (!line.isBlank()) fields.add(field(line.strip()));
      requireTable(header, contract, fields);
      operations.add(
          new Operation(struct.group(1), header, fields, mostLinked(header, text, fields)));
    }
    Matcher function =
        Pattern.compile("WINNOW_C ([\\w* ]+?)(winnow_\\w+)\\(([^)]*)\\);").matcher(text);
    while (function.find()) {
      List<Field> parameters = new ArrayList<>();
      for (String parameter : function.group(3).split(","))
        if (!parameter.strip().equals("void"))
          parameters.add(field(parameter.strip().replaceAll("\\s+", " ")));
      functions.add(new Function(function.group(1).strip(), function.group(2), parameters));
    }
    Matcher code =
        Pattern.compile("\\bWINNOW_(\\w+) = (\\d+),|#define WINNOW_(\\w+) (\\d+)").matcher(text);
    while (code.find()) {
      boolean isEnum = code.group(1) != null;
      codes
          .append("  public static final int ")
          .append(isEnum ? code.group(1) : code.group(3))
          .append(" = ")
          .append(isEnum ? code.group(2) : code.group(4))
          .append(";\n");
    }
  }

  private static String mostLinked(String header, String text, List<Field> fields) {
    if (!fields.get(0).name.equals("next")) return null;
    Matcher limit = Pattern.compile("#define WINNOW_(\\w+_MAX_\\w+) ").matcher(text);
    require(limit.find(), header + " must limit how many structs a call links");
    return limit.group(1);
  }

  /**
   * Requires that the contract's table has a row per field, with the field's name in the first
   * column. A row may name several fields. Continued lines of a row are indented beyond the names.
   */
  private static void requireTable(String header, String contract, List<Field> fields) {
    List<String> names = new ArrayList<>();
    for (Field field : fields) names.add(field.name);
    Pattern row = Pattern.compile("//   ((?:\\w+, )*\\w+)(?: {2,}.*)");
    List<String> listed = new ArrayList<>();
    for (String block : contract.split("\n//\n")) {
      List<String> found = new ArrayList<>();
      for (String line : block.split("\n")) {
        Matcher matcher = row.matcher(line);
        if (matcher.matches()) found.addAll(List.of(matcher.group(1).split(", ")));
        else if (line.matches("//   \\S.*"))
          found.add(line.substring(5)); // text in the name column that is not a row
      }
      if (found.contains(names.get(0))) listed = found;
    }
    List<String> expected = new ArrayList<>(names);
    listed.sort(null);
    expected.sort(null);
    require(
        listed.equals(expected),
        header + ": the table must have a row per field, " + names + ", found " + listed);
  }

  private static Field field(String declaration) {
    int space = Math.max(declaration.lastIndexOf(' '), declaration.lastIndexOf('*'));
    return new Field(declaration.substring(0, space + 1).strip(), declaration.substring(space + 1));
  }

  private static int align(int offset, int alignment) {
    return (offset + alignment - 1) / alignment * alignment;
  }

  static String camel(String words, boolean upper) {
    StringBuilder text = new StringBuilder();
    for (String word : words.split("_")) {
      boolean capital = upper || text.length() > 0;
      text.append(capital ? Character.toUpperCase(word.charAt(0)) : word.charAt(0))
          .append(word.substring(1));
    }
    return text.toString();
  }

  static void require(boolean holds, String message) {
    if (!holds) throw new IllegalArgumentException(message);
  }
}
