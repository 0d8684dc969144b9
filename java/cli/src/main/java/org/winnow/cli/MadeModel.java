package org.winnow.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * The checkpoint that a benchmark runs on: one that the user has, or one that is made. A made one
 * in a temporary folder is deleted at the end, also if the process is asked to end.
 */
final class MadeModel implements AutoCloseable {
  private final Path path;
  private final String name;
  private final @Nullable Path temporary;
  private final Thread hook = new Thread(this::delete, "winnow-bench-cleaner");

  private MadeModel(Path path, String name, @Nullable Path temporary) {
    this.path = path;
    this.name = name;
    this.temporary = temporary;
    if (temporary != null) Runtime.getRuntime().addShutdownHook(hook);
  }

  /**
   * @param shape of the model if one is made
   */
  static MadeModel of(EndToEndOptions options, CheckpointShape shape, Terminal terminal)
      throws IOException {
    Path given = options.path();
    if (given != null) return new MadeModel(given, given.toString(), null);
    terminal.err().println("bench: making " + shape.folderName());
    terminal.err().flush();
    Path made = options.made();
    if (made != null)
      return new MadeModel(RandomCheckpoint.in(made, shape), shape.folderName(), null);
    Path temporary = Files.createTempDirectory("winnow-bench");
    MadeModel model =
        new MadeModel(temporary.resolve(shape.folderName()), shape.folderName(), temporary);
    try {
      RandomCheckpoint.in(temporary, shape);
      return model;
    } catch (IOException | RuntimeException e) {
      model.close();
      throw e;
    }
  }

  /** The path as given; the folder of a made one, which tells all that it depends on. */
  String name() {
    return name;
  }

  Path path() {
    return path;
  }

  private void delete() {
    if (temporary == null) return;
    for (Path file :
        new Path[] {
          path.resolve("config.json"),
          path.resolve("model.safetensors"),
          path.resolve("model.safetensors.part"),
          path,
          temporary
        }) {
      file.toFile().delete(); // nothing more can be done if it fails
    }
  }

  @Override
  public void close() {
    delete();
    if (temporary == null) return;
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The process is ending and the hook is running.
    }
  }
}
