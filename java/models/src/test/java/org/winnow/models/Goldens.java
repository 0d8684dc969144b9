package org.winnow.models;

import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;

/** The paths of the golden checkpoints and of the demonstration model. */
final class Goldens {
  private Goldens() {}

  static Path folder(String family) {
    return resource("/goldens/" + family + "/config.json").getParent();
  }

  /** The configuration of a published checkpoint. */
  static Path configuration(String name) {
    return resource("/configs/" + name + ".json");
  }

  private static Path resource(String name) {
    URL resource = Goldens.class.getResource(name);
    if (resource == null) throw new IllegalArgumentException("no resource " + name);
    try {
      return Path.of(resource.toURI());
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
