package org.winnow.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A JSON file that is created before the work whose results it takes, so that a wrong path is not
 * found out at the end.
 */
final class JsonFile implements AutoCloseable {
  private static final JsonFactory FACTORY = new JsonFactory();

  private final JsonGenerator generator;

  private JsonFile(JsonGenerator generator) {
    this.generator = generator;
  }

  static JsonFile create(Path file) throws IOException {
    try {
      return new JsonFile(
          FACTORY.createGenerator(Files.newBufferedWriter(file)).useDefaultPrettyPrinter());
    } catch (IOException e) {
      throw new CommandException(
          ExitCode.BAD_INPUT, file + ": cannot be written: " + e.getClass().getSimpleName());
    }
  }

  /** Into that writer, which stays open. */
  static JsonGenerator to(Writer writer) throws IOException {
    return FACTORY
        .createGenerator(writer)
        .disable(JsonGenerator.Feature.AUTO_CLOSE_TARGET)
        .useDefaultPrettyPrinter();
  }

  JsonGenerator generator() {
    return generator;
  }

  @Override
  public void close() throws IOException {
    generator.close();
  }
}
