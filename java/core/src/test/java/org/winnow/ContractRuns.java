package org.winnow;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.BeforeClassTemplateInvocationCallback;
import org.junit.jupiter.api.extension.ClassTemplateInvocationContext;
import org.junit.jupiter.api.extension.ClassTemplateInvocationContextProvider;
import org.junit.jupiter.api.extension.Extension;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Runs a contract test class once for each of {@link BackendsUnderTest#runs}. */
final class ContractRuns implements ClassTemplateInvocationContextProvider {
  @Override
  public boolean supportsClassTemplate(ExtensionContext context) {
    return true;
  }

  @Override
  public Stream<Run> provideClassTemplateInvocationContexts(ExtensionContext context) {
    return BackendsUnderTest.provided().runs().stream().map(Run::new);
  }

  private record Run(String name) implements ClassTemplateInvocationContext {
    @Override
    public String getDisplayName(int invocationIndex) {
      return name;
    }

    @Override
    public List<Extension> getAdditionalExtensions() {
      BeforeClassTemplateInvocationCallback begin =
          context -> BackendsUnderTest.provided().begin(name);
      return List.of(begin);
    }
  }
}
