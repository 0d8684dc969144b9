import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Writes the Java side of the contracts in {@code native/include}: {@code java
 * GenerateContracts.java INCLUDE_DIRECTORY OUTPUT_DIRECTORY}. The build runs it before it compiles.
 *
 * <ul>
 *   <li>{@code <Op>Arguments}: reads and writes an operation's argument struct. Offsets follow the
 *       C rules of 64-bit Linux. The JNI library includes the generated {@code struct_layout.h}, in
 *       which the C++ compiler compares them.
 *   <li>{@code ThreadArguments}: all argument structs of one thread, in native memory.
 *   <li>{@code Operations}: one method per operation, which a backend implements.
 *   <li>{@code CpuOperations}: the same methods for the CPU, one native call each.
 *   <li>{@code NativeOperations}: the native methods.
 *   <li>{@code NativeCodes}: the numbers of the contracts' enums.
 *   <li>{@code org.winnow.WeightFormat}: the table of weight formats.
 * </ul>
 */
final class GenerateContracts {
  private static final String HEADER = "// Generated from native/include/%s. Do not edit.\n";

  private record Field(String cType, String name) {
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

  private record Operation(String name, String header, List<Field> fields) {
    String javaName() {
      return camel(name, true);
    }

    String method() {
      return camel(name, false);
    }

    boolean isChained() {
      return fields.get(0).name.equals("next");
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

  private record Function(String returnType, String name, List<Field> parameters) {}

  private final Path include;
  private final Path output;
  private final List<Operation> operations = new ArrayList<>();
  private final List<Function> functions = new ArrayList<>();
  private final StringBuilder codes = new StringBuilder();

  private GenerateContracts(Path include, Path output) {
    this.include = include;
    this.output = output;
  }

  public static void main(String[] arguments) throws IOException {
    new GenerateContracts(Path.of(arguments[0]), Path.of(arguments[1])).run();
  }

  private void run() throws IOException {
    for (String header : List.of("operation", "dtype", "activation", "cpu"))
      read("winnow/base/" + header + ".h");
    try (var files = Files.newDirectoryStream(include.resolve("winnow"), "*.h")) {
      List<String> names = new ArrayList<>();
      for (Path file : files) names.add("winnow/" + file.getFileName());
      names.sort(null);
      for (String name : names) read(name);
    }
    String umbrella = Files.readString(include.resolve("winnow.h"));
    for (Operation operation : operations) {
      require(
          umbrella.contains("#include \"" + operation.header + "\""),
          operation.header + " is missing in winnow.h");
      writeArguments(operation);
    }
    writeThreadArguments();
    writeOperations();
    writeCpuOperations();
    writeNativeOperations();
    writeCodes();
    writeWeightFormat();
    writeLayoutCheck();
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
      operations.add(new Operation(struct.group(1), header, fields));
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

  private void writeArguments(Operation operation) throws IOException {
    String type = operation.javaName() + "Arguments";
    StringBuilder text = new StringBuilder();
    text.append("/**\n * {@code winnow_")
        .append(operation.name)
        .append("_arguments} of {@code ")
        .append(operation.header)
        .append("}, which documents the fields.\n */\n");
    text.append("public final class ").append(type).append(" extends Arguments {\n");
    text.append("  public static final int SIZE_BYTES = ")
        .append(operation.sizeBytes())
        .append(";\n");
    if (operation.isChained())
      text.append("\n  private @org.jspecify.annotations.Nullable ")
          .append(type)
          .append(" following;\n");
    text.append("\n  ")
        .append(type)
        .append("(java.nio.ByteBuffer thread, int offset, int detailOffset) {\n")
        .append("    super(thread, offset, SIZE_BYTES, detailOffset);\n  }\n");
    for (Field field : operation.fields) {
      String name = camel(field.name, false);
      int offset = operation.offset(field);
      if (operation.isChained() && field.name.equals("next")) {
        text.append("\n  public ")
            .append(type)
            .append(" next(@org.jspecify.annotations.Nullable ")
            .append(type)
            .append(" next) {\n")
            .append("    following = next;\n    memory.putLong(")
            .append(offset)
            .append(", next == null ? 0 : next.address());\n    return this;\n  }\n");
        text.append("\n  public @org.jspecify.annotations.Nullable ")
            .append(type)
            .append(" next() {\n    return following;\n  }\n");
        continue;
      }
      text.append("\n  public ")
          .append(type)
          .append(' ')
          .append(name)
          .append('(')
          .append(field.javaType())
          .append(" value) {\n    memory.put")
          .append(field.accessor())
          .append('(')
          .append(offset)
          .append(", value);\n    return this;\n  }\n");
      text.append("\n  public ")
          .append(field.javaType())
          .append(' ')
          .append(name)
          .append("() {\n    return memory.get")
          .append(field.accessor())
          .append('(')
          .append(offset)
          .append(");\n  }\n");
    }
    write("org.winnow.internal", type, operation.header, text.append("}\n"));
  }

  private void writeThreadArguments() throws IOException {
    StringBuilder fields = new StringBuilder();
    StringBuilder creations = new StringBuilder();
    int offset = 64; // the detail takes the first cache line
    for (Operation operation : operations) {
      String type = operation.javaName() + "Arguments";
      if (operation.isChained()) {
        String count = "NativeCodes." + operation.name.toUpperCase() + "_MAX_PRODUCTS";
        fields
            .append("  public final ")
            .append(type)
            .append("[] ")
            .append(operation.method())
            .append(" = new ")
            .append(type)
            .append('[')
            .append(count)
            .append("];\n");
        creations
            .append("    for (int i = 0; i < ")
            .append(count)
            .append("; i++) {\n      ")
            .append(operation.method())
            .append("[i] = new ")
            .append(type)
            .append("(memory, offset, 0);\n      offset += padded(")
            .append(type)
            .append(".SIZE_BYTES);\n    }\n");
      } else {
        fields
            .append("  public final ")
            .append(type)
            .append(' ')
            .append(operation.method())
            .append(";\n");
        creations
            .append("    ")
            .append(operation.method())
            .append(" = new ")
            .append(type)
            .append("(memory, offset, 0);\n    offset += padded(")
            .append(type)
            .append(".SIZE_BYTES);\n");
      }
    }
    write(
        "org.winnow.internal",
        "ThreadArguments",
        "winnow",
        "/** The argument structs of all operations for one thread. Each call overwrites them. */\n"
            + "public final class ThreadArguments {\n"
            + "  private static final int LINE_BYTES = 64;\n\n"
            + fields
            + "\n"
            + "  ThreadArguments() {\n"
            + "    java.nio.ByteBuffer memory = Arguments.allocate(sizeBytes());\n"
            + "    int offset = LINE_BYTES; // the detail takes the first cache line\n"
            + creations
            + "  }\n"
            + "\n  private static int sizeBytes() {\n    return LINE_BYTES"
            + sizes()
            + ";\n"
            + "  }\n"
            + "\n"
            + "  private static int padded(int sizeBytes) {\n"
            + "    return (sizeBytes + LINE_BYTES - 1) & -LINE_BYTES;\n"
            + "  }\n"
            + "}\n");
  }

  private String sizes() {
    StringBuilder sum = new StringBuilder();
    for (Operation operation : operations) {
      sum.append("\n        + ");
      if (operation.isChained())
        sum.append("NativeCodes.").append(operation.name.toUpperCase()).append("_MAX_PRODUCTS * ");
      sum.append("padded(").append(operation.javaName()).append("Arguments.SIZE_BYTES)");
    }
    return sum.toString();
  }

  private void writeOperations() throws IOException {
    StringBuilder text =
        new StringBuilder(
            "/**\n"
                + " * One method per operation, without argument checks. Each returns a status;"
                + " {@link\n"
                + " * Arguments#detail} then is the number that the contract defines for the"
                + " status.\n"
                + " */\n"
                + "public interface Operations {\n");
    for (Operation operation : operations)
      text.append("  /** {@code ")
          .append(operation.header)
          .append("}. */\n  Status ")
          .append(operation.method())
          .append('(')
          .append(operation.javaName())
          .append("Arguments arguments);\n\n");
    write("org.winnow.internal", "Operations", "winnow", text.append("}\n"));
  }

  private void writeCpuOperations() throws IOException {
    StringBuilder text =
        new StringBuilder(
            "/** The operations on a CPU backend's team of threads. */\n"
                + "public abstract class CpuOperations implements Kernels {\n"
                + "  /**\n"
                + "   * The {@code winnow_cpu} that operations run on.\n"
                + "   *\n"
                + "   * @throws IllegalStateException if it is closed\n"
                + "   */\n"
                + "  protected abstract long cpu();\n");
    for (Operation operation : operations)
      text.append("\n  @Override\n  public final Status ")
          .append(operation.method())
          .append('(')
          .append(operation.javaName())
          .append("Arguments arguments) {\n    return Status.of(NativeOperations.winnow_")
          .append(operation.name)
          .append("(arguments.address(), cpu(), arguments.detailAddress()));\n  }\n");
    write("org.winnow.internal", "CpuOperations", "winnow", text.append("}\n"));
  }

  private void writeNativeOperations() throws IOException {
    StringBuilder text =
        new StringBuilder(
            "import org.bytedeco.javacpp.annotation.Cast;\n"
                + "import org.bytedeco.javacpp.annotation.Properties;\n\n"
                + "/** The C interface of {@code winnow.h}. {@link NativeLoader#load} must have"
                + " loaded the library. */\n"
                + "@Properties(inherit = org.winnow.presets.NativeCpuConfig.class)\n"
                + "public final class NativeOperations {\n"
                + "  private NativeOperations() {}\n");
    for (Function function : functions) {
      text.append("\n  public static native ")
          .append(returned(function.returnType))
          .append(' ')
          .append(function.name)
          .append('(');
      for (int i = 0; i < function.parameters.size(); i++) {
        Field parameter = function.parameters.get(i);
        text.append(i == 0 ? "" : ", ");
        if (parameter.isPointer()) text.append("@Cast(\"").append(parameter.cType).append("\") ");
        text.append(parameter.javaType()).append(' ').append(camel(parameter.name, false));
      }
      text.append(");\n");
    }
    write("org.winnow.internal", "NativeOperations", "winnow.h", text.append("}\n"));
  }

  private static String returned(String cType) {
    if (cType.equals("void")) return "void";
    if (cType.equals("const char*")) return "String";
    if (cType.endsWith("*")) return "@Cast(\"" + cType + "\") long";
    return new Field(cType, "returned").javaType();
  }

  private void writeCodes() throws IOException {
    write(
        "org.winnow.internal",
        "NativeCodes",
        "winnow",
        "/** The numbers of enums and limits in native contracts. */\n"
            + "public final class NativeCodes {\n"
            + codes
            + "\n  private NativeCodes() {}\n}\n");
  }

  private void writeWeightFormat() throws IOException {
    String table = "winnow/base/weight_formats.inc";
    StringBuilder rows = new StringBuilder();
    StringBuilder comment = new StringBuilder();
    int expected = 0;
    for (String line : Files.readAllLines(include.resolve(table))) {
      Matcher row =
          Pattern.compile(
                  "WINNOW_WEIGHT_FORMAT\\((\\w+), (\\w+), (\\d+), (\\d+), (\\d+), (\\d+),"
                      + " (\"\\w*\"), (\"\\w*\")\\)")
              .matcher(line);
      if (row.matches()) {
        require(
            Integer.parseInt(row.group(3)) == expected++,
            "codes of weight_formats.inc must ascend from 0");
        rows.append(rows.length() == 0 ? "" : ",\n")
            .append("  /** ")
            .append(comment.toString().strip())
            .append(" */\n  ")
            .append(row.group(2))
            .append('(')
            .append(row.group(4))
            .append(", ")
            .append(row.group(5))
            .append(", ")
            .append(row.group(6))
            .append(", ")
            .append(row.group(7))
            .append(", ")
            .append(row.group(8))
            .append(')');
        comment.setLength(0);
      } else if (line.startsWith("//")) {
        comment.append(line.substring(2));
      } else {
        require(line.isBlank(), table + ": not a row: " + line);
        comment.setLength(0);
      }
    }
    String template =
        Files.readString(
            Path.of(System.getProperty("winnow.templates"), "WeightFormat.java.template"));
    write("org.winnow", "WeightFormat", table, template.replace("@ROWS@", rows));
  }

  private void writeLayoutCheck() throws IOException {
    StringBuilder text =
        new StringBuilder(String.format(HEADER, "winnow"))
            .append(
                "// The struct layouts that GenerateContracts.java assumes, for the C++ compiler to"
                    + " compare.\n")
            .append("#include <cstddef>\n\n#include \"winnow.h\"\n\n");
    for (Operation operation : operations) {
      String struct = "winnow_" + operation.name + "_arguments";
      text.append("static_assert(sizeof(")
          .append(struct)
          .append(") == ")
          .append(operation.sizeBytes())
          .append(", \"size\");\n");
      for (Field field : operation.fields)
        text.append("static_assert(offsetof(")
            .append(struct)
            .append(", ")
            .append(field.name)
            .append(") == ")
            .append(operation.offset(field))
            .append(", \"")
            .append(operation.name)
            .append('.')
            .append(field.name)
            .append("\");\n");
    }
    writeFile(output.resolve("struct_layout.h"), text.toString());
  }

  private void write(String javaPackage, String type, String source, CharSequence body)
      throws IOException {
    writeFile(
        output.resolve(javaPackage.replace('.', '/')).resolve(type + ".java"),
        String.format(HEADER, source) + "package " + javaPackage + ";\n\n" + body);
  }

  /** Does not write a file whose content is unchanged, so that its dependents are not rebuilt. */
  private static void writeFile(Path file, String text) throws IOException {
    Files.createDirectories(file.getParent());
    if (!Files.exists(file) || !Files.readString(file).equals(text)) Files.writeString(file, text);
  }

  private static int align(int offset, int alignment) {
    return (offset + alignment - 1) / alignment * alignment;
  }

  private static String camel(String words, boolean upper) {
    StringBuilder text = new StringBuilder();
    for (String word : words.split("_")) {
      boolean capital = upper || text.length() > 0;
      text.append(capital ? Character.toUpperCase(word.charAt(0)) : word.charAt(0))
          .append(word.substring(1));
    }
    return text.toString();
  }

  private static void require(boolean holds, String message) {
    if (!holds) throw new IllegalArgumentException(message);
  }
}
