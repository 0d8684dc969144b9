package org.winnow.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A JSON file for the results of some work. It is created before the work, so that a wrong path
 * fails at once and not at the end.
 */
final class JsonFile implements AutoCloseable {
  private static final JsonFactory FACTORY = new JsonFactory();

  private final Path file;
  private final JsonGenerator generator;

  private JsonFile(Path file, JsonGenerator generator) {
    this.file = file;
    this.generator = generator;
  }

  /** Writes one value. */
  @FunctionalInterface
  interface Content {
    void write(JsonGenerator json) throws IOException;
  }

  static JsonFile create(Path file) throws IOException {
    try {
      return new JsonFile(
          file, FACTORY.createGenerator(Files.newBufferedWriter(file)).useDefaultPrettyPrinter());
    } catch (IOException e) {
      throw ExitCode.cannotBeWritten(file, e);
    }
  }

  /** A generator for a writer. Closing the generator does not close the writer. */
  static JsonGenerator to(Writer writer) throws IOException {
    return FACTORY
        .createGenerator(writer)
        .disable(JsonGenerator.Feature.AUTO_CLOSE_TARGET)
        .useDefaultPrettyPrinter();
  }

  /** Writes the content and flushes it to the file. */
  void write(Content content) {
    try {
      content.write(generator);
      generator.flush();
    } catch (IOException e) {
      throw ExitCode.cannotBeWritten(file, e);
    }
  }

  @Override
  public void close() throws IOException {
    generator.close();
  }
}
