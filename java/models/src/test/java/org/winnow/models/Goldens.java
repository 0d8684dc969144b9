package org.winnow.models;

import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;

/** Where the golden checkpoints and the demonstration model lie. */
final class Goldens {
  private Goldens() {}

  static Path folder(String family) {
    URL config = Goldens.class.getResource("/goldens/" + family + "/config.json");
    if (config == null) throw new IllegalArgumentException("no golden of " + family);
    try {
      return Path.of(config.toURI()).getParent();
    } catch (URISyntaxException e) {
      throw new IllegalArgumentException(e);
    }
  }

  /** The demonstration model, at the root of the repository. */
  static Path kjvMoe() {
    Path folder = Path.of("").toAbsolutePath();
    while (!Files.exists(folder.resolve("models/kjv-moe/config.json"))) folder = folder.getParent();
    return folder.resolve("models/kjv-moe");
  }
}
