package org.winnow.cli;

import java.nio.file.Path;

/** Files of the project that the tests run commands on. */
final class Shipped {
  /** The demo's model. */
  static final Path MODEL = Path.of("../../models/kjv-moe").toAbsolutePath().normalize();

  private Shipped() {}

  /** A tiny checkpoint of that family, with the results of a reference. */
  static Path golden(String family) {
    return Path.of("../models/src/test/resources/goldens", family).toAbsolutePath().normalize();
  }
}
