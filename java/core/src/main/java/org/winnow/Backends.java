package org.winnow;

import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.ServiceLoader;
import java.util.stream.Collectors;

/** Chooses among providers for the static methods of {@link Backend}. */
final class Backends {
  private final List<BackendProvider> providers; // the preferred first

  Backends(List<BackendProvider> providers) {
    List<BackendProvider> sorted = new ArrayList<>(providers);
    sorted.sort(Comparator.comparingInt(BackendProvider::preference).reversed());
    this.providers = List.copyOf(sorted);
  }

  /** All providers visible to the class loader or module layer of Winnow's classes. */
  static Backends installed() {
    return new Backends(
        ServiceLoader.load(BackendProvider.class, Backends.class.getClassLoader()).stream()
            .map(ServiceLoader.Provider::get)
            .toList());
  }

  List<BackendProvider> providers() {
    return providers;
  }

  Backend require(String name) {
    for (BackendProvider provider : providers) {
      if (!provider.name().equals(name)) continue;
      String cause = provider.unavailabilityCause();
      if (cause != null) throw new BackendUnavailableException(name, cause);
      return provider.open();
    }
    String found = providers.stream().map(BackendProvider::name).collect(Collectors.joining(", "));
    throw new BackendUnavailableException(
        name, "no jar on the class or module path provides it; there are: " + found);
  }

  /** Logs one line with the chosen backend and the reasons against more preferred ones. */
  Backend best(System.Logger log) {
    List<String> refusals = new ArrayList<>();
    for (BackendProvider provider : providers) {
      String cause = provider.unavailabilityCause();
      if (cause != null) {
        refusals.add(provider.name() + " is unavailable: " + cause);
        continue;
      }
      Backend backend = provider.open();
      String others = refusals.isEmpty() ? "" : "; " + String.join("; ", refusals);
      log.log(Level.INFO, "backend " + backend.description() + others);
      return backend;
    }
    throw new BackendUnavailableException(
        "of any kind", refusals.isEmpty() ? "none is installed" : String.join("; ", refusals));
  }
}
