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
  private final @Nullable Path temporary;
  private final Thread hook = new Thread(this::delete, "winnow-bench-cleaner");

  private MadeModel(Path path, @Nullable Path temporary) {
    this.path = path;
    this.temporary = temporary;
    if (temporary != null) Runtime.getRuntime().addShutdownHook(hook);
  }

  static MadeModel of(EndToEndOptions options, CheckpointShape shape) throws IOException {
    Path given = options.path();
    if (given != null) return new MadeModel(given, null);
    Path made = options.made();
    if (made != null) return new MadeModel(RandomCheckpoint.in(made, shape), null);
    Path temporary = Files.createTempDirectory("winnow-bench");
    MadeModel model = new MadeModel(temporary.resolve(shape.folderName()), temporary);
    try {
      RandomCheckpoint.in(temporary, shape);
      return model;
    } catch (IOException | RuntimeException e) {
      model.close();
      throw e;
    }
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
