import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Writes the Java side of the contracts in {@code native/include}: {@code java GenerateContracts
 * INCLUDE_DIRECTORY OUTPUT_DIRECTORY}. The build runs it before it compiles.
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

  private final Path include;
  private final Path output;
  private final Contracts contracts;

  private GenerateContracts(Path include, Path output) throws IOException {
    this.include = include;
    this.output = output;
    contracts = new Contracts(include);
  }

  public static void main(String[] arguments) throws IOException {
    new GenerateContracts(Path.of(arguments[0]), Path.of(arguments[1])).run();
  }

  private void run() throws IOException {
    for (Contracts.Operation operation : contracts.operations) writeArguments(operation);
    writeThreadArguments();
    writeOperations();
    writeCpuOperations();
    writeNativeOperations();
    writeCodes();
    writeWeightFormat();
    writeLayoutCheck();
  }

  private void writeArguments(Contracts.Operation operation) throws IOException {
    String type = operation.javaName() + "Arguments";
    StringBuilder text = new StringBuilder();
    text.append(
        """
        /**
         * {@code winnow_%s_arguments} of {@code %s}, which documents the fields.
         */
        public final class %s extends Arguments {
          public static final int SIZE_BYTES = %s;
        """
            .formatted(operation.name(), operation.header(), type, operation.sizeBytes()));
    if (operation.isLinked())
      text.append(
          """

            private @org.jspecify.annotations.Nullable %s following;
          """
              .formatted(type));
    text.append(
        """

          %s(java.nio.ByteBuffer thread, int offset, int detailOffset) {
            super(thread, offset, SIZE_BYTES, detailOffset);
          }
        """
            .formatted(type));
    for (Contracts.Field field : operation.fields()) {
      boolean isNext = operation.isLinked() && field.name().equals("next");
      text.append(isNext ? next(type, operation.offset(field)) : accessors(type, operation, field));
    }
    write("org.winnow.internal", type, operation.header(), text.append("}\n"));
  }

  private static String next(String type, int offset) {
    return """

          public %1$s next(@org.jspecify.annotations.Nullable %1$s next) {
            following = next;
            memory.putLong(%2$s, next == null ? 0 : next.address());
            return this;
          }

          public @org.jspecify.annotations.Nullable %1$s next() {
            return following;
          }
        """
        .formatted(type, offset);
  }

  private static String accessors(
      String type, Contracts.Operation operation, Contracts.Field field) {
    return """

          public %1$s %2$s(%3$s value) {
            memory.put%4$s(%5$s, value);
            return this;
          }

          public %3$s %2$s() {
            return memory.get%4$s(%5$s);
          }
        """
        .formatted(
            type,
            Contracts.camel(field.name(), false),
            field.javaType(),
            field.accessor(),
            operation.offset(field));
  }

  private void writeThreadArguments() throws IOException {
    StringBuilder fields = new StringBuilder();
    StringBuilder creations = new StringBuilder();
    StringBuilder sizes = new StringBuilder();
    for (Contracts.Operation operation : contracts.operations) {
      String type = operation.javaName() + "Arguments";
      String method = operation.method();
      if (operation.isLinked()) {
        String count = "NativeCodes." + operation.mostLinked();
        fields.append(
            "  public final %1$s[] %2$s = new %1$s[%3$s];\n".formatted(type, method, count));
        creations.append(
            """
                for (int i = 0; i < %3$s; i++) {
                  %2$s[i] = new %1$s(memory, offset, 0);
                  offset += padded(%1$s.SIZE_BYTES);
                }
            """
                .formatted(type, method, count));
        sizes.append("\n        + %2$s * padded(%1$s.SIZE_BYTES)".formatted(type, count));
      } else {
        fields.append("  public final %s %s;\n".formatted(type, method));
        creations.append(
            """
                %2$s = new %1$s(memory, offset, 0);
                offset += padded(%1$s.SIZE_BYTES);
            """
                .formatted(type, method));
        sizes.append("\n        + padded(%s.SIZE_BYTES)".formatted(type));
      }
    }
    write(
        "org.winnow.internal",
        "ThreadArguments",
        "winnow",
        """
        /** The argument structs of all operations for one thread. Each call overwrites them. */
        public final class ThreadArguments {
          private static final int LINE_BYTES = 64;

        %s
          ThreadArguments() {
            java.nio.ByteBuffer memory = Arguments.allocate(sizeBytes());
            int offset = LINE_BYTES; // the detail takes the first cache line
        %s  }

          private static int sizeBytes() {
            return LINE_BYTES%s;
          }

          private static int padded(int sizeBytes) {
            return (sizeBytes + LINE_BYTES - 1) & -LINE_BYTES;
          }
        }
        """
            .formatted(fields, creations, sizes));
  }

  private void writeOperations() throws IOException {
    StringBuilder text = new StringBuilder();
    text.append(
        """
        /**
         * One method per operation, without argument checks. Each returns a status; {@link
         * Arguments#detail} then is the number that the contract defines for the status.
         */
        public interface Operations {
        """);
    for (Contracts.Operation operation : contracts.operations)
      text.append(
          """
            /** {@code %s}. */
            Status %s(%sArguments arguments);

          """
              .formatted(operation.header(), operation.method(), operation.javaName()));
    write("org.winnow.internal", "Operations", "winnow", text.append("}\n"));
  }

  private void writeCpuOperations() throws IOException {
    StringBuilder text = new StringBuilder();
    text.append(
        """
        /** The operations on a CPU backend's team of threads. */
        public abstract class CpuOperations implements Kernels {
          /**
           * The {@code winnow_cpu} that operations run on.
           *
           * @throws IllegalStateException if it is closed
           */
          protected abstract long cpu();
        """);
    for (Contracts.Operation operation : contracts.operations)
      text.append(
          """

            @Override
            public final Status %s(%sArguments arguments) {
              return Status.of(NativeOperations.winnow_%s(arguments.address(), cpu(), arguments.detailAddress()));
            }
          """
              .formatted(operation.method(), operation.javaName(), operation.name()));
    write("org.winnow.internal", "CpuOperations", "winnow", text.append("}\n"));
  }

  private void writeNativeOperations() throws IOException {
    StringBuilder text = new StringBuilder();
    text.append(
        """
        import org.bytedeco.javacpp.annotation.Cast;
        import org.bytedeco.javacpp.annotation.Properties;

        /** The C interface of {@code winnow.h}. {@link NativeLoader#load} must have loaded the library. */
        @Properties(inherit = org.winnow.presets.NativeCpuConfig.class)
        public final class NativeOperations {
          private NativeOperations() {}
        """);
    for (Contracts.Function function : contracts.functions) {
      List<String> parameters = new ArrayList<>();
      for (Contracts.Field parameter : function.parameters()) {
        String cast = parameter.isPointer() ? "@Cast(\"" + parameter.cType() + "\") " : "";
        parameters.add(
            cast + parameter.javaType() + ' ' + Contracts.camel(parameter.name(), false));
      }
      text.append(
          "\n  public static native %s %s(%s);\n"
              .formatted(
                  returned(function.returnType()), function.name(), String.join(", ", parameters)));
    }
    write("org.winnow.internal", "NativeOperations", "winnow.h", text.append("}\n"));
  }

  private static String returned(String cType) {
    if (cType.equals("void")) return "void";
    if (cType.equals("const char*")) return "String";
    if (cType.endsWith("*")) return "@Cast(\"" + cType + "\") long";
    return new Contracts.Field(cType, "returned").javaType();
  }

  private void writeCodes() throws IOException {
    write(
        "org.winnow.internal",
        "NativeCodes",
        "winnow",
        "/** The numbers of enums and limits in native contracts. */\n"
            + "public final class NativeCodes {\n"
            + contracts.codes
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
                  "WINNOW_WEIGHT_FORMAT\\((\\w+), (\\w+), (\\d+), (\\d+), (\\d+), (\\d+), (\\d+),"
                      + " (\"\\w*\"), (\"\\w*\")\\)")
              .matcher(line);
      if (row.matches()) {
        Contracts.require(
            Integer.parseInt(row.group(3)) == expected++,
            "codes of weight_formats.inc must ascend from 0");
        rows.append(rows.length() == 0 ? "" : ",\n");
        rows.append("  /** %s */\n".formatted(comment.toString().strip()));
        rows.append(
            "  %s(%s, %s, %s, %s, %s, %s)"
                .formatted(
                    row.group(2),
                    row.group(4),
                    row.group(5),
                    row.group(6),
                    row.group(7),
                    row.group(8),
                    row.group(9)));
        comment.setLength(0);
      } else if (line.startsWith("//")) {
        comment.append(line.substring(2));
      } else {
        Contracts.require(line.isBlank(), table + ": not a row: " + line);
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
    for (Contracts.Operation operation : contracts.operations) {
      String struct = "winnow_" + operation.name() + "_arguments";
      text.append(
          "static_assert(sizeof(%s) == %s, \"size\");\n".formatted(struct, operation.sizeBytes()));
      for (Contracts.Field field : operation.fields())
        text.append(
            "static_assert(offsetof(%s, %s) == %s, \"%s.%s\");\n"
                .formatted(
                    struct, field.name(), operation.offset(field), operation.name(), field.name()));
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
}
