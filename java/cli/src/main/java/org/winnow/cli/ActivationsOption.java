package org.winnow.cli;

import java.util.Iterator;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.winnow.DType;
import org.winnow.models.LoadOptions;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** {@code --activations}: the type in which a model multiplies. */
final class ActivationsOption {
  private static final List<DType> TYPES = List.of(DType.F32, DType.BF16);

  @Option(
      names = "--activations",
      paramLabel = "TYPE",
      converter = Converter.class,
      completionCandidates = Candidates.class,
      description =
          "type in which activations are multiplied: f32, or bf16, which rounds them before;"
              + " matrices stored in f32 multiply f32; default: bf16, of verify f32")
  private @Nullable DType type;

  /** These options with the type that was asked for, if one was. */
  LoadOptions over(LoadOptions options) {
    return type == null ? options : options.withActivations(type);
  }

  /** The type that was asked for, or null. */
  @Nullable DType type() {
    return type;
  }

  /** The option as it was given, for a command of the same name. */
  List<String> arguments() {
    return type == null ? List.of() : List.of("--activations", type.toString());
  }

  /** What the option takes. */
  static final class Candidates implements Iterable<String> {
    @Override
    public Iterator<String> iterator() {
      return TYPES.stream().map(DType::toString).iterator();
    }
  }

  /** Parses a type for picocli. */
  static final class Converter implements ITypeConverter<DType> {
    @Override
    public DType convert(String value) {
      for (DType type : TYPES) {
        if (type.toString().equalsIgnoreCase(value)) return type;
      }
      throw new TypeConversionException("activations must be f32 or bf16, found " + value);
    }
  }
}
